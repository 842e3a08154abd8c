import pytest
import torch
from train_cases import Ctx, Ticker, contents, images, job, mlp, vectors

from crucis.errors import Divergence, Stopped
from crucis.train import stacked
from crucis.train.cadence import Cadence
from crucis.train.fit import fit, result
from crucis.train.stacked import can_stack, fit_many, why_not

DATA = vectors()
OPTIMISERS = [
    "sgd",
    {"sgd": {"momentum": 0.0}},
    "adam",
    "adamw",
    "rmsprop",
    {"rmsprop": {"momentum": 0.9, "centred": True}},
    {"sgd": {"form": "caffe"}},
    {"rmsprop_tf": {"momentum": 0.9}},
    "lars",
    "lamb",
]


def _jobs(seeds, data=DATA, build=None, **params):
    return [job(data, build or mlp(), seed, **params) for seed in seeds]


def _both(tmp_path, seeds, data=DATA, build=None, **params):
    alone, together = [], []
    for made in _jobs(seeds, data, build, **params):
        ctx = Ctx(tmp_path / f"solo{made.seed}")
        alone.append((fit(made, ctx), ctx))
    contexts = [Ctx(tmp_path / f"stack{seed}") for seed in seeds]
    found = fit_many(_jobs(seeds, data, build, **params), contexts)
    together = list(zip(found, contexts, strict=True))
    return alone, together


def _assert_equal(alone, together):
    for (one, ctx_one), (two, ctx_two) in zip(alone, together, strict=True):
        assert two.notes["executor"] == "stacked"
        assert one.values == two.values
        assert one.uncertainty == two.uncertainty
        assert contents(ctx_one) == contents(ctx_two)


@pytest.mark.parametrize("optimiser", OPTIMISERS, ids=str)
@pytest.mark.parametrize("extra", [{}, {"ema": 0.9, "label_smoothing": 0.1, "decay_on": "all"}], ids=["plain", "more"])
def test_stacked_is_solo_bit_for_bit(tmp_path, optimiser, extra):
    _assert_equal(*_both(tmp_path, [1, 2, 3], optimiser=optimiser, **extra))


@pytest.mark.parametrize(
    "schedule", ["constant", "cosine", "linear", "polynomial", "step", "multi_step", "exponential"]
)
def test_stacked_on_images_with_each_schedule(tmp_path, schedule):
    data = images()
    _assert_equal(*_both(tmp_path, [5, 6], data, mlp(108), schedule=schedule, batch=32))


def test_slot_and_company_do_not_matter(tmp_path):
    def of(seeds, name):
        contexts = [Ctx(tmp_path / f"{name}{seed}") for seed in seeds]
        fit_many(_jobs(seeds), contexts)
        return contents(contexts[seeds.index(7)])

    assert of([7, 8], "a") == of([1, 2, 3, 7], "b") == of([9, 7, 11], "c")


def test_seeds_with_data_of_their_own(tmp_path):
    jobs = [job(vectors(seed=seed), mlp(), seed) for seed in (1, 2)]
    contexts = [Ctx(tmp_path / f"s{k}") for k in range(2)]
    found = fit_many(jobs, contexts)
    for made, fitted, ctx in zip(jobs, found, contexts, strict=True):
        solo = Ctx(tmp_path / f"solo{made.seed}")
        assert fit(made, solo).values == fitted.values
        assert contents(solo) == contents(ctx)
        assert fitted.notes["executor"] == "stacked"


def test_early_stopping_takes_single_seeds_out(tmp_path):
    params = {"length": "30 epochs", "select": "loss", "patience": 2, "lr": 0.3, "schedule": "constant", "batch": 16}
    alone, together = _both(tmp_path, [1, 2, 3, 4], **params)
    steps = {fitted.steps for fitted, _ in alone}
    assert len(steps) > 1 and max(steps) < 30 * 4
    _assert_equal(alone, together)
    for (one, _), (two, _) in zip(alone, together, strict=True):
        for a, b in zip(one.model.parameters(), two.model.parameters(), strict=True):
            assert torch.equal(a, b)


class _Poisoned:
    """Weights of seed 2 overflow after some steps: its first layer starts huge."""

    def __init__(self, seed):
        self.seed = seed

    def __call__(self):
        net = mlp()()
        if self.seed == 2:
            with torch.no_grad():
                net[1].weight.fill_(3e38)
        return net


def test_one_seed_that_diverges_leaves_the_others_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked, "_equal_to_solo", lambda runs: True)  # NaN never equals NaN; not what is tested here
    jobs = [job(DATA, _Poisoned(seed), seed) for seed in (1, 2, 3)]
    contexts = [Ctx(tmp_path / f"s{made.seed}") for made in jobs]
    found = fit_many(jobs, contexts)
    bad = result(found[1])
    assert bad.outcome == "diverged" and bad.reason.code == "loss_not_finite"
    with pytest.raises(Divergence) as alone:
        fit(jobs[1], Ctx(tmp_path / "solo2"))
    assert alone.value.step == found[1].diverged.step == bad.notes["diverged_at"]
    for k in (0, 2):
        solo = Ctx(tmp_path / f"solo{jobs[k].seed}")
        assert fit(jobs[k], solo).values == found[k].values
        assert contents(solo) == contents(contexts[k])


@pytest.mark.parametrize("stop", [3, 11])
@pytest.mark.parametrize("again", ["stacked", "solo"])
def test_a_stopped_stack_goes_on_stacked_or_solo(tmp_path, stop, again):
    params = {"optimiser": "adamw", "lr": 0.01, "ema": 0.8}
    whole = [Ctx(tmp_path / f"whole{seed}") for seed in (1, 2, 3)]
    fit_many(_jobs([1, 2, 3], **params), whole)
    contexts = [Ctx(tmp_path / f"s{seed}", stop_after=stop if seed == 2 else None) for seed in (1, 2, 3)]
    with pytest.raises(Stopped):
        fit_many(_jobs([1, 2, 3], **params), contexts)
    contexts = [Ctx(tmp_path / f"s{seed}") for seed in (1, 2, 3)]
    if again == "stacked":
        found = fit_many(_jobs([1, 2, 3], **params), contexts)
        assert all(fitted.notes["executor"] == "stacked" for fitted in found)
    else:
        for made, ctx in zip(_jobs([1, 2, 3], **params), contexts, strict=True):
            assert fit(made, ctx).notes["resumed_at"]
    assert [contents(ctx) for ctx in contexts] == [contents(ctx) for ctx in whole]


def test_saving_often_changes_nothing(tmp_path):
    once = [Ctx(tmp_path / f"a{seed}") for seed in (1, 2)]
    often = [Ctx(tmp_path / f"b{seed}") for seed in (1, 2)]
    fit_many(_jobs([1, 2]), once)
    cadence = Cadence(Ticker(1.0), save_every=2.0)
    fit_many(_jobs([1, 2]), often, cadence=cadence)
    assert (often[0].scratch / "a" / "state.json").exists()
    assert [contents(ctx) for ctx in once] == [contents(ctx) for ctx in often]


def test_a_failed_trial_trains_one_after_another_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(stacked, "_equal_to_solo", lambda runs: False)
    contexts = [Ctx(tmp_path / f"s{seed}") for seed in (1, 2)]
    found = fit_many(_jobs([1, 2]), contexts)
    assert contexts[0].notes[0][0] == "not_stacked"
    assert "executor" not in found[0].notes
    solo = Ctx(tmp_path / "solo")
    fit(_jobs([1])[0], solo)
    assert contents(solo) == contents(contexts[0])


def test_the_trial_sees_a_difference(tmp_path, monkeypatch):
    plain = stacked._dense
    monkeypatch.setattr(stacked, "_dense", lambda weight, bias: lambda x: plain(weight, bias)(x) * (1 + 2**-23))
    contexts = [Ctx(tmp_path / f"s{seed}") for seed in (1, 2)]
    fit_many(_jobs([1, 2]), contexts)
    assert "trial" in contexts[0].notes[0][1]["text"]


def test_who_cannot_be_stacked():
    assert can_stack(_jobs([1, 2]))
    assert not can_stack(_jobs([1]))
    assert "Dropout" in why_not(_jobs([1, 2], build=mlp(dropout=0.2)))
    assert "Conv2d" in why_not(
        [job(images(), lambda: torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3)), s) for s in (1, 2)]
    )
    assert "fp32" in why_not(_jobs([1, 2], precision="bf16"))
    assert "clipping" in why_not(_jobs([1, 2], clip=1.0))
    assert "changing weight decay" in why_not(_jobs([1, 2], weight_decay_end=0.1))
    assert "average" in why_not(_jobs([1, 2], ema=0.9, ema_warmup=True))
    assert "multiple" in why_not(_jobs([1, 2], batch=20))
    assert "reactions" in why_not(_jobs([1, 2], on_memory="halve_batch"))
    assert "seed" in why_not([*_jobs([1]), *_jobs([2], lr=0.01)])
