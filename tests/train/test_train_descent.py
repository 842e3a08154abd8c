"""Descents with given rates: the limit of a real training is that of its curvature, and nothing else is touched."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from train_cases import Ctx, Quirky, contents, images, job, mlp, run, vectors

from crucis import shelf
from crucis.data.dataset import Split
from crucis.errors import Refusal, Stopped
from crucis.measure.perturbations.lr_range import perturb
from crucis.measure.specimen import Specimen
from crucis.numerics.rate_range import find, ramp
from crucis.testing.instruments import unchanged
from crucis.train.descent import FILE, Descents
from crucis.train.run import untrained

AUGMENT = [{"crop": {"padding": 1}}, "flip", {"mixup": {"alpha": 0.5}}]


def _descents(made, ctx, model=None):
    model = untrained(made.build, made.seed, made.depth) if model is None else model
    return model, Descents(model, made.data, made.settings, made.seed, 0, ctx, "cpu", "strict")


def _never(losses):
    return not np.isfinite(losses[-1])


def _linear():
    return nn.Sequential(nn.Flatten(), nn.Linear(5, 3))


def _overlapping():
    """Labels at random: the minimum is near even odds, where the curvature of the end is that of the start."""
    data = vectors(n=220)
    return replace(data, train=Split(data.train.x, np.random.default_rng(0).permutation(data.train.y)))


def _curvature(data):
    """Largest eigenvalue of the Hessian of a linear classifier's mean cross-entropy at its minimum, in float64."""
    x, y = torch.tensor(data.train.x, dtype=torch.float64), torch.tensor(data.train.y)
    x = torch.cat([x, torch.ones(len(x), 1)], 1)
    weights = torch.zeros(3, 6, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=500, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def loss(w):
        return functional.cross_entropy(x @ w.T, y)

    def closure():
        optimiser.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    optimiser.step(closure)
    hessian = torch.autograd.functional.hessian(loss, weights.detach()).reshape(18, 18)
    return float(torch.linalg.eigvalsh(hessian)[-1])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_softmax_regression_has_the_limit_of_its_curvature(tmp_path, momentum):
    data = _overlapping()
    plain = {"sgd": {"momentum": momentum, "nesterov": False}}
    made = job(data, _linear, batch=1000, weight_decay=0.0, optimiser=plain)
    _, descents = _descents(made, Ctx(tmp_path))
    assert find(descents).largest == pytest.approx(2 * (1 + momentum) / _curvature(data), rel=0.2)


def test_a_constant_rate_is_the_training_itself(tmp_path):
    """The losses of a descent are those of the trainer: same batches, same steps, but for the streams' verb."""
    made = job(vectors(), mlp(), schedule="constant", warmup=0.0, lr=0.05, optimiser="adam", length="8 steps")
    made = replace(made, verb="perturb")
    fitted, _ = run(tmp_path / "run", made)
    _, descents = _descents(made, Ctx(tmp_path), untrained(made.build, made.seed, 0, "perturb"))
    losses = descents([0.05] * 8, _never)
    assert fitted.curve["train_loss"][-1] == pytest.approx(np.mean(losses[-4:]), abs=1e-12)


@pytest.mark.parametrize("optimiser", shelf.names("optimisers"))
@pytest.mark.parametrize(
    "recipe",
    [
        {"augment": AUGMENT, "clip": 1.0},
        {"accumulate": 2, "precision": "bf16", "ema": 0.9, "ema_warmup": True, "weight_decay_end": 0.1},
    ],
)
def test_every_recipe_starts_from_the_same_place_and_touches_nothing(tmp_path, optimiser, recipe):
    made = job(images(), Quirky, optimiser=optimiser, **recipe)
    before, ctx = run(tmp_path / "before", made)
    model, descents = _descents(made, Ctx(tmp_path))
    rates = ramp(1e-3, 10.0, 12).tolist()
    with unchanged(model):
        first = descents(rates, _never)
        descents([0.5] * 5, _never)
        assert descents(rates, _never) == first  # fresh optimiser state, same draws
    after, again = run(tmp_path / "after", made)
    assert before.values == after.values and contents(ctx) == contents(again)


def test_an_interrupted_test_goes_on_where_it_was(tmp_path):
    made = job(vectors(), mlp(dropout=0.2), optimiser="adam")
    options = {"steps": 40, "hold": 20, "start": 1e-4}

    def tested(ctx):
        model, descents = _descents(made, ctx)
        specimen = Specimen(model=model, data=made.data, seed=1, settings=made.settings, ctx=ctx, descents=descents)
        return perturb(specimen, **options)

    whole = tested(Ctx(tmp_path / "whole"))
    stops = 0
    while True:
        ctx = Ctx(tmp_path / "cut", stop_after=45)
        try:
            found = tested(ctx)
            break
        except Stopped:
            stops += 1
    assert stops > 2 and ctx.looks < whole.values["steps_made"]
    assert found.values == whole.values and found.notes == whole.notes
    assert contents(ctx) == contents(Ctx(tmp_path / "whole"))
    (tmp_path / "cut" / "scratch" / FILE).write_bytes(b"torn")
    assert tested(Ctx(tmp_path / "cut")).values == whole.values


def test_what_cannot_be_tested_is_refused(tmp_path):
    made = job(vectors(), mlp())
    model, descents = _descents(made, Ctx(tmp_path))
    with pytest.raises(Refusal, match="protocol supervised"):
        perturb(Specimen(model=model, data=made.data, ctx=Ctx(tmp_path)))
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    broken = Specimen(model=model, data=made.data, ctx=Ctx(tmp_path), descents=_descents(made, Ctx(tmp_path), model)[1])
    with pytest.raises(Refusal, match="before the first update"):
        perturb(broken, steps=20, hold=20)
    assert descents is not None


def test_a_network_that_no_rate_breaks_says_so(tmp_path):
    ctx = Ctx(tmp_path)
    specimen = Specimen(model=_linear(), data=vectors(), ctx=ctx, descents=lambda rates, _: [1.0] * len(rates))
    result = perturb(specimen, steps=20, hold=20)
    assert "largest" not in result.values and "steepest" not in result.values
    assert result.notes["left_out"]["largest"] == "no instability up to 10, where the ramp ends"
