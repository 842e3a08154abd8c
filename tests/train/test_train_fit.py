"""What a run computes, says and leaves."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from train_cases import Ctx, Quirky, contents, images, job, mlp, run, vectors

from crucis.data.batches import Resident
from crucis.errors import Divergence, Refusal
from crucis.nets.weights import load_weights
from crucis.streams import generator
from crucis.train.continuation import continuation
from crucis.train.fit import fit, result, untrained
from crucis.train.protocols.supervised import train
from crucis.train.settings import SettingsError


def _by_hand(data, build, seed, epochs, batch, lr, momentum=0.9):
    """A plain loop in float64 of plain SGD with Nesterov momentum at a constant rate."""
    model = untrained(build, seed, 0).double()
    optimiser = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, nesterov=True)
    x, y = torch.from_numpy(data.train.x).double(), torch.from_numpy(data.train.y)
    for epoch in range(epochs):
        order = torch.randperm(len(y), generator=generator(seed, "train", 0, "order", epoch))
        for part in order.split(batch)[: len(y) // batch]:
            optimiser.zero_grad()
            functional.cross_entropy(model(x[part]), y[part]).backward()
            optimiser.step()
    return model


def test_equal_to_a_loop_by_hand(tmp_path):
    data = vectors()
    params = {"lr": 0.05, "schedule": "constant", "warmup": 0, "weight_decay": 0.0}
    fitted, ctx = run(tmp_path, job(data, mlp(), 3, length="3 epochs", **params))
    expected = _by_hand(data, mlp(), 3, 3, 16, 0.05)
    for ours, theirs in zip(fitted.model.parameters(), expected.parameters(), strict=True):
        assert torch.allclose(ours.double(), theirs, atol=1e-5)
    with torch.no_grad():
        logits = expected(torch.from_numpy(data.validation.x).double())
    y = torch.from_numpy(data.validation.y)
    assert fitted.values["loss"] == pytest.approx(float(functional.cross_entropy(logits, y)), abs=1e-4)
    assert fitted.values["accuracy"] == pytest.approx(float((logits.argmax(1) == y).double().mean()))
    assert sorted(contents(ctx)) == ["curve.npz", "model.safetensors"] == sorted(fitted.files)
    saved = load_weights(ctx.out / "model.safetensors")
    assert all(torch.equal(saved[name], value) for name, value in fitted.model.state_dict().items())


def test_values_curve_and_notes(tmp_path):
    fitted, ctx = run(tmp_path, job(vectors(), mlp(), length="3 epochs", evaluate_every="3 steps", select="accuracy"))
    with np.load(ctx.out / "curve.npz") as file:
        curve = {name: file[name] for name in file.files}
    assert list(curve) == ["step", "epoch", "train_loss", "train_accuracy", "loss", "accuracy", "lr"]
    assert curve["step"].tolist() == [3, 6, 9, 12] and curve["epoch"].tolist() == [0.75, 1.5, 2.25, 3.0]
    values = fitted.values
    assert values["steps"] == 12 and values["parameters"] == sum(p.numel() for p in mlp()().parameters())
    assert values["accuracy"] == curve["accuracy"][-1] and values["loss"] == curve["loss"][-1]
    assert values["curve"] == dict(zip(map(str, curve["step"]), curve["accuracy"], strict=True))
    assert values["best_step"] == curve["step"][curve["accuracy"].argmax()]
    assert values["best_accuracy"] == curve["accuracy"].max()
    for label, step in values["reach"].items():
        enough = curve["accuracy"] >= float(label[:-1]) / 100 * values["accuracy"]
        assert step == curve["step"][enough.argmax()]
    se = (values["accuracy"] * (1 - values["accuracy"]) / 20) ** 0.5
    assert fitted.uncertainty["accuracy"] == {"se": pytest.approx(se), "n": 20, "kind": "binomial"}
    assert "dropped" in fitted.notes and fitted.notes["seconds"]["total"] > 0
    assert "seconds" not in values and result(fitted).outcome == "ok"
    assert curve["lr"][-1] > 0


def test_running_train_loss_is_the_mean_of_the_batches(tmp_path):
    # With a rate of zero every batch sees the initial weights, so the mean over an epoch has a closed form.
    data = vectors(n=84)  # 64 training examples: four full batches
    fitted, _ = run(tmp_path, job(data, mlp(), length="2 epochs", lr=0.0))
    model = untrained(mlp(), 1, 0)
    with torch.no_grad():
        logits = model(torch.from_numpy(data.train.x))
        loss = float(functional.cross_entropy(logits, torch.from_numpy(data.train.y)))
    assert fitted.curve["train_loss"] == pytest.approx([loss, loss], rel=1e-5)
    right = float((logits.argmax(1).numpy() == data.train.y).mean())
    assert fitted.curve["train_accuracy"].tolist() == [right, right] and fitted.values["train_accuracy"] == right
    assert fitted.values["train_loss"] == pytest.approx(loss, rel=1e-5)


def test_rerun_is_bitwise_and_seeds_differ(tmp_path):
    one, two = run(tmp_path / "a", job(images(), Quirky)), run(tmp_path / "b", job(images(), Quirky))
    other = run(tmp_path / "c", job(images(), Quirky, 2))
    assert contents(one[1]) == contents(two[1]) and one[0].values == two[0].values
    assert contents(one[1]) != contents(other[1])


def test_the_global_generators_are_unchanged(tmp_path):
    torch.manual_seed(5), np.random.seed(5), random.seed(5)
    before = torch.get_rng_state().clone(), np.random.get_state()[1].copy(), random.getstate()
    flags = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    run(tmp_path, job(images(), Quirky, augment=["flip", "mixup"], ema=0.9))
    assert torch.equal(before[0], torch.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all() and before[2] == random.getstate()
    assert flags == (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)


def test_global_seeding_has_no_influence(tmp_path):
    torch.manual_seed(1)
    one = run(tmp_path / "a", job(images(), Quirky))
    torch.manual_seed(2)
    assert contents(one[1]) == contents(run(tmp_path / "b", job(images(), Quirky))[1])


def _norm(model):
    return float(sum(p.detach().square().sum() for p in model.parameters()))


def _nosy(model):
    assert not model.training
    x = torch.rand(3, 3, 6, 6)  # draws
    model(x).square().sum().backward()  # leaves gradients
    return {"norm": _norm(model)}


@pytest.mark.parametrize("ema", [None, 0.9])
def test_probes_and_published_checkpoints_disturb_nothing(tmp_path, ema):
    plain = run(tmp_path / "a", job(images(), Quirky, ema=ema))
    extra = {"probe": _nosy, "probe_at": (0, 1, 5, 12), "publish": {2: "two", 6: "six", 12: "end"}}
    watched = run(tmp_path / "b", job(images(), Quirky, ema=ema, extra=extra))
    assert plain[0].values == watched[0].values and contents(plain[1]) == contents(watched[1])
    assert sorted(watched[0].probes) == [0, 1, 5, 12]
    start = untrained(Quirky, 1, 0)
    assert watched[0].probes[0]["norm"] == pytest.approx(_norm(start))
    assert set(watched[1].published) == {"two", "six", "end"}
    record, weights = watched[1].published["end"]
    assert weights == contents(watched[1])["model.safetensors"]
    assert record.values == {"step": 12, "accuracy": plain[0].values["accuracy"], "loss": plain[0].values["loss"]}
    assert not list(watched[1].scratch.iterdir())


def test_a_published_checkpoint_is_the_run_cut_there(tmp_path):
    params = {"schedule": "constant", "warmup": 0}
    _, ctx = run(tmp_path / "a", job(vectors(), mlp(), length="8 steps", extra={"publish": {5: "five"}}, **params))
    short = run(tmp_path / "b", job(vectors(), mlp(), length="5 steps", **params))
    assert ctx.published["five"][1] == contents(short[1])["model.safetensors"]
    assert ctx.published["five"][0].values["loss"] == short[0].values["loss"]


def test_best_is_the_best_row_and_ties_go_to_the_earlier(tmp_path):
    params = {"select": "accuracy", "length": "10 epochs", "lr": 0.2}
    fitted, ctx = run(tmp_path, job(vectors(), mlp(), extra={"publish": {"best": "best"}}, **params))
    curve = fitted.curve
    assert fitted.best_step == curve["step"][curve["accuracy"].argmax()] < 40
    record, _ = ctx.published["best"]
    assert record.values["step"] == fitted.best_step and record.values["accuracy"] == curve["accuracy"].max()
    with pytest.raises(SettingsError, match="select"):
        run(tmp_path / "x", job(vectors(), mlp(), extra={"publish": {"best": "best"}}))


def test_patience_counts_evaluations_without_improvement(tmp_path):
    made = job(vectors(), mlp(), length="40 epochs", lr=0.5, schedule="constant", select="loss", patience=2,
               extra={"publish": {150: "late"}})  # fmt: skip
    fitted, _ = run(tmp_path, made)
    loss, steps = fitted.curve["loss"], fitted.curve["step"]
    best = np.minimum.accumulate(loss)
    waited = 0
    for k in range(1, len(loss)):
        waited = 0 if loss[k] < best[k - 1] else waited + 1
        assert waited < 2 or k == len(loss) - 1
    assert waited == 2 and fitted.steps == steps[-1] < 150
    assert fitted.notes["not_reached"] == [150]


@pytest.mark.parametrize("at", [1, 2, 6, 7, 12])
def test_a_loss_that_is_not_finite_is_named_exactly(tmp_path, at):
    class Trap(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = mlp()()
            self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

        def forward(self, x):
            if self.training:
                self.calls += 1
            return self.net(x) * (float("nan") if self.training and self.calls == at else 1.0)

    ctx = Ctx(tmp_path)
    with pytest.raises(Divergence) as error:
        fit(job(vectors(), Trap, length="3 epochs"), ctx)
    assert error.value.step == at
    assert (error.value.last_good is None) == (at == 1)
    assert not list(ctx.out.iterdir())


def test_a_validation_loss_that_is_not_finite_is_a_divergence(tmp_path):
    class Trap(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if self.training else super().forward(x) * float("inf")

    with pytest.raises(Divergence, match="validation"):
        fit(job(vectors(), lambda: Trap(nn.Linear(5, 3))), Ctx(tmp_path))


def test_a_huge_rate_diverges(tmp_path):
    with pytest.raises(Divergence):
        fit(job(vectors(), mlp(), lr=1e30, length="20 epochs", optimiser={"sgd": {"momentum": 0.0}}), Ctx(tmp_path))


def test_exhausted_device_memory_passes_as_itself(tmp_path):
    class Hungry(nn.Linear):
        def forward(self, x):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        fit(job(vectors(), lambda: Hungry(5, 3)), Ctx(tmp_path))


def test_an_operator_without_deterministic_form_is_refused_with_its_name(tmp_path, monkeypatch):
    class Odd(nn.Linear):
        def forward(self, x):
            raise RuntimeError(
                "put_ does not have a deterministic implementation, but you set torch.use_deterministic_algorithms"
            )

    with pytest.raises(Refusal, match=r"put_.*--fast"):
        fit(job(vectors(), lambda: Odd(5, 3)), Ctx(tmp_path))
    with pytest.raises(Refusal, match="tf32"):
        fit(job(vectors(), mlp(), precision="tf32"), Ctx(tmp_path))


def test_strict_is_on_during_the_run_and_fast_is_not(tmp_path):
    seen = []

    class Spy(nn.Linear):
        def forward(self, x):
            seen.append(torch.are_deterministic_algorithms_enabled())
            return super().forward(x)

    fit(job(vectors(), lambda: Spy(5, 3)), Ctx(tmp_path / "a"))
    strict, seen[:] = set(seen), []
    fit(job(vectors(), lambda: Spy(5, 3), extra={"determinism": "fast"}), Ctx(tmp_path / "b"))
    assert strict == {True} and set(seen) == {False}


def test_a_smaller_split_than_a_batch_and_no_steps_at_all(tmp_path):
    fitted, _ = run(tmp_path / "a", job(vectors(n=30), mlp(), batch=64, length="2 epochs"))
    assert fitted.steps == 2
    still, ctx = run(tmp_path / "b", job(vectors(), mlp(), length="0 epochs", extra={"publish": {0: "zero"}}))
    start = untrained(mlp(), 1, 0)
    assert all(torch.equal(a, b) for a, b in zip(still.model.parameters(), start.parameters(), strict=True))
    assert still.steps == 0 and still.values["reach"] == {} and ctx.published["zero"][0].values["step"] == 0


def test_training_starts_from_another_record(tmp_path):
    first, ctx = run(tmp_path / "a", job(vectors(), mlp()))
    made = replace(job(vectors(), mlp(), length="0 epochs"), initial=ctx.out, depth=1)
    second, _ = run(tmp_path / "b", made)
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))
    assert second.values["loss"] == first.values["loss"]


def test_depth_names_other_streams(tmp_path):
    one = run(tmp_path / "a", job(vectors(), mlp()))
    two = run(tmp_path / "b", replace(job(vectors(), mlp()), depth=1))
    assert contents(one[1]) != contents(two[1])


def test_parts_that_the_network_keeps_frozen_stay_so(tmp_path):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.head = nn.BatchNorm1d(5), nn.Linear(5, 3)
            self.norm.requires_grad_(False)

        def train(self, mode=True):
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x):
            assert not self.norm.training
            return self.head(self.norm(x))

    fitted, _ = run(tmp_path, job(vectors(), Half))
    assert fitted.model.norm.running_mean.tolist() == [0.0] * 5 and fitted.model.norm.weight.tolist() == [1.0] * 5
    assert fitted.values["parameters"] == 18


def test_the_protocol_resolves_its_own_parameters(tmp_path):
    made = replace(job(vectors(), mlp()), settings=None)
    found = train(made, Ctx(tmp_path / "a"), length="2 epochs", batch=16, optimiser="adam", lr=0.01)
    same, _ = run(tmp_path / "b", job(vectors(), mlp(), length="2 epochs", optimiser="adam", lr=0.01))
    assert found.values == same.values and found.files == {"model.safetensors": "model", "curve.npz": "table"}
    with pytest.raises(SettingsError, match="settings"):
        fit(made, Ctx(tmp_path / "c"))


# -- continuation ----------------------------------------------------------------------------------------------------


def test_a_continuation_goes_on_from_the_weights_and_leaves_them(tmp_path):
    data, other = vectors(), vectors(seed=4)
    first, _ = run(tmp_path / "a", job(data, mlp(), ema=0.9, select="loss", patience=3))
    settings = job(data, mlp(), optimiser="adam", lr=0.01, weight_decay=0.2).settings
    before = [p.detach().clone() for p in first.model.parameters()]
    ctx = Ctx(tmp_path / "b")
    seen = []

    def probe(model):
        seen.append(float(next(model.parameters()).detach().sum()))
        return {"first": seen[-1]}

    trainer = continuation(first.model, settings, 1, 0, ctx)
    found = trainer(other, steps=6, probe=probe, probe_at=(0, 3, 6))
    assert all(torch.equal(a, b) for a, b in zip(before, first.model.parameters(), strict=True))
    assert sorted(found.probes) == [0, 3, 6] and found.probes[0]["first"] == float(before[0].sum())
    assert not found.model.training and found.files == {"model.safetensors": "model", "curve.npz": "table"}

    model = mlp()()
    model.load_state_dict(first.model.state_dict())
    decays = [{"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": 0.2},
              {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]  # fmt: skip
    optimiser = torch.optim.Adam(decays, lr=0.01)
    x, y, step = torch.from_numpy(other.train.x), torch.from_numpy(other.train.y), 0
    for epoch in range(2):
        order = torch.randperm(len(y), generator=generator(1, "perturb", 0, "order", epoch))
        for part in order.split(16)[:4]:
            if step < 6:
                optimiser.zero_grad()
                functional.cross_entropy(model(x[part]), y[part]).backward()
                optimiser.step()
                step += 1
    for ours, theirs in zip(found.model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_continuation_takes_changes_and_more_calls(tmp_path):
    data, ctx = vectors(), Ctx(tmp_path)
    model = untrained(mlp(), 1, 0)
    trainer = continuation(model, job(data, mlp()).settings, 1, 0, ctx)
    none = trainer(data, steps=0)
    assert all(torch.equal(a, b) for a, b in zip(none.model.parameters(), model.parameters(), strict=True))
    second = trainer(data, steps=4, lr=0.0)
    assert set(second.files) == {"model-2.safetensors", "curve-2.npz"} <= set(contents(ctx))
    assert all(torch.equal(a, b) for a, b in zip(second.model.parameters(), model.parameters(), strict=True))
    with pytest.raises(SettingsError):
        trainer(data, steps=4, precision="fp8")


def test_a_continuation_resumes(tmp_path):
    from crucis.errors import Stopped

    data, model = images(), untrained(Quirky, 1, 0)
    settings = job(data, Quirky, augment=["flip"]).settings

    def go(ctx):
        return continuation(model, settings, 1, 0, ctx)(data, steps=9, probe=lambda net: {"one": 1.0}, probe_at=(0, 9))

    whole = Ctx(tmp_path / "whole")
    first = go(whole)
    with pytest.raises(Stopped):
        go(Ctx(tmp_path / "cut", stop_after=5))
    again = Ctx(tmp_path / "cut")
    assert go(again).probes == first.probes and contents(again) == contents(whole)


def test_evaluation_pads_and_masks(monkeypatch):
    from crucis.train import evaluate as module

    data = vectors(n=97)
    split = Resident(data.train, data.mean, data.std)
    model = untrained(mlp(), 1, 0)
    sizes = []
    model.register_forward_hook(lambda layer, inputs, out: sizes.append(len(inputs[0])))
    whole = module.evaluate(model, module.Sheet(split), module.Head(), torch.no_grad)
    monkeypatch.setattr(module, "BATCH", 10)
    parts = module.evaluate(model, module.Sheet(split), module.Head(), torch.no_grad)
    assert sizes == [77] + [10] * 8
    monkeypatch.setattr(module, "SMALL", 0)
    assert module.evaluate(model, module.Sheet(split), module.Head(), torch.no_grad) == parts
    assert parts.accuracy == whole.accuracy and parts.loss == pytest.approx(whole.loss, rel=1e-6)
    losses = functional.cross_entropy(model(split.x), split.y, reduction="none").detach().double()
    assert whole.loss_se == pytest.approx(float(losses.std(correction=0)) / 77**0.5, rel=1e-5)
