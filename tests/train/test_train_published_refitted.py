"""Recipes at another batch or length: rates by closed form, what is said of it, and going on in the middle."""

import numpy as np
import pytest
from test_train_published_whole import WRITTEN
from train_cases import Ctx, Quirky, contents, images, job, run

from crucis.errors import Stopped
from crucis.train import recipes
from crucis.train.fit import fit
from crucis.train.published.audit import Training, audit
from crucis.train.settings import resolve

#: "the learning rate is X at batch B": published sentences with a rule, as (X, B, exponent); all others give none.
RULES = {
    "efficientnet-b0": (0.256, 4096, 1.0), "deit-ti-s": (5e-4, 512, 1.0), "swin-t": (1e-3, 1024, 1.0),
    "simclr-r50": (0.3, 256, 1.0), "mocov3-vit": (1.5e-4, 256, 1.0), "dino-vits16": (5e-4, 256, 1.0),
    "mae-vitb16": (1.5e-4, 256, 1.0),
}  # fmt: skip
WITHOUT = {
    "resnet-imagenet": 0.1, "resnet-imagenet-torch": 0.1, "resnet-cifar": 0.1, "vgg-imagenet": 0.01,
    "vit-b16-imagenet-1k": 3e-3, "vit-b16-imagenet-21k": 1e-3, "wrn-28-10-cifar": 0.1, "shufflenet-v2": 0.5,
    "mobilenet-v2": 0.045, "mobilenet-v3": 0.1, "densenet121": 0.1, "convnext-t": 4e-3, "mixer-b16": 1e-3,
    "regnety-400mf": 0.8, "ijepa-vith14": 1e-3,
}  # fmt: skip


def beside(name, **written):
    if name == "dino-vits16":
        written = {"length": "100 epochs", **written}
    if name.startswith("mobilenet"):
        written = {"length": "30 epochs", **written}
    return recipes.with_recipe(name, {**WRITTEN.get(name, {}), **written})


@pytest.mark.parametrize("batch", [32, 640, 8192])
@pytest.mark.parametrize("name", [*RULES, *WITHOUT])
def test_the_rate_at_another_batch_is_that_of_the_recipes_rule(name, batch):
    params, origin = beside(name, batch=batch)
    made = recipes.published(name)
    if name in RULES:
        rate, at, exponent = RULES[name]
        assert params["lr"] == pytest.approx(rate * (batch / at) ** exponent, rel=1e-12)
        assert origin["lr"].startswith(f"scaled from {made.params['lr']} at batch {made.params['batch']} (linear rule)")
    else:
        assert params["lr"] == WITHOUT[name]
        assert origin["lr"].endswith(f"unchanged at batch {batch}, since the recipe gives no rule for it")
    lines = {line.key: line for line in audit(made, Training(resolve(params, 9000), None))}
    rate_line = lines.get("lr.base") or lines["lr.peak"]
    assert rate_line.outcome in ("exact", "derived")
    assert ("linear rule" if name in RULES else f"unchanged at batch {batch}") in rate_line.text
    assert {line.key for line in lines.values() if line.outcome == "deviates"} <= {"batch_size"}
    assert lines["lr at every step"].outcome in ("derived", "unknown")


def test_a_rule_of_the_square_root():
    from crucis.train import refit

    params, origin = {"lr": 0.1, "batch": 1024}, {"lr": ""}
    refit.scale({"lr": 0.1, "batch": 256}, "square_root", params, origin, {"batch": 1024})
    assert params["lr"] == pytest.approx(0.2)
    assert origin["lr"] == "scaled from 0.1 at batch 256 (square root rule)"


@pytest.mark.parametrize("name", ["efficientnet-b0", "deit-ti-s", "convnext-t", "mobilenet-v2"])
def test_a_running_average_has_no_rule_and_says_so(name):
    made = recipes.published(name)
    for written in ({"batch": 32}, {"length": "7 epochs"}):
        params, origin = beside(name, **written)
        assert params["ema"] == made.params["ema"]
        changed = [key for key in ("length", "batch") if key in written and key in made.params]
        said = f"unchanged per step at another {' and '.join(changed)}, since no source gives a rule for it"
        assert origin["ema"].endswith(said) == bool(changed)
    assert "unchanged" not in beside(name)[1]["ema"]


@pytest.mark.parametrize(("name", "falls", "gamma"), [("resnet-cifar", (0.5, 0.75), 0.1),
                                                      ("wrn-28-10-cifar", (0.3, 0.6, 0.8), 0.2)])  # fmt: skip
@pytest.mark.parametrize(("length", "steps"), [("7 epochs", 700), ("40 steps", 40), ("1000 steps", 1000)])
def test_milestones_keep_their_shares(name, falls, gamma, length, steps):
    """32k and 48k of 64k iterations; 60, 120 and 160 of 200 epochs."""
    params, origin = recipes.with_recipe(name, {"length": length})
    settings = resolve(params, 100 * params["batch"])
    k = np.arange(steps)
    expected = 0.1 * gamma ** sum((k >= np.floor(share * steps + 0.5)).astype(int) for share in falls)
    assert np.allclose([settings.lr * factor for factor in settings.multipliers()], expected, rtol=1e-12)
    lines = {line.key: line for line in audit(recipes.published(name), Training(settings, None, "cifar10"))}
    assert lines["schedule.milestones"].outcome == "derived"
    assert lines["schedule.milestones"].text == origin["schedule"]
    assert f"the same shares of {length}" in origin["schedule"]


@pytest.mark.parametrize(("name", "rate", "lowest"), [("resnet-imagenet", 0.1, 0.0), ("vgg-imagenet", 0.01, 1e-5)])
def test_a_plateau_begins_with_the_published_rate_and_falls_tenfold(name, rate, lowest):
    """ "the learning rate starts from 0.1 and is divided by 10 when the error plateaus"; VGG's fell three times."""
    for length in ("600000 steps", "90 steps"):
        settings = resolve(beside(name, length=length)[0], 256 * 100)
        assert set(settings.multipliers()) == {1.0} and settings.lr == rate
    chosen = settings.schedule.params
    assert chosen["factor"] == 0.1 and settings.lr * chosen.get("floor", 0.0) == pytest.approx(lowest)


#: One recipe of each kind of schedule, and what brings its parts into nine steps of three an epoch.
KINDS = {
    "multi_step": ("wrn-28-10-cifar", {}), "cosine": ("convnext-t", {"warmup": "4 steps"}),
    "linear": ("mixer-b16", {"warmup": "4 steps"}),
    "exponential": ("efficientnet-b0", {"schedule": {"exponential": {"gamma": 0.97, "every": "2 steps",
                                                                     "stairs": True}}, "warmup": "2 steps"}),
    "plateau": ("resnet-imagenet", {"schedule": {"plateau": {"metric": "accuracy", "factor": 0.1, "patience": 1}},
                                    "evaluate_every": "1 steps"}),
    "by epoch, replacing": ("deit-ti-s", {"warmup": "4 steps", "repeats": 1}),
    "by epoch, multiplied": ("regnety-400mf", {"warmup": "4 steps"}),
    "joined before": ("swin-t", {"warmup": "4 steps"}),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [4, 7])
def test_a_run_that_was_cut_goes_on_with_the_rates_of_its_schedule(tmp_path, kind, stop):
    name, more = KINDS[kind]
    params, _ = recipes.with_recipe(name, {"length": "9 steps", "batch": 16, "augment": [], **more})
    made = job(images(n=70), Quirky, **params)
    whole, ctx = run(tmp_path / "whole", made)
    with pytest.raises(Stopped):
        fit(made, Ctx(tmp_path / "cut", stop_after=stop))
    again, other = run(tmp_path / "cut", made)
    assert again.notes["resumed_at"]
    assert again.notes["trained"] == whole.notes["trained"] and contents(ctx) == contents(other)
    rates = np.array([made.settings.lr * factor for factor in made.settings.multipliers()])
    kept = whole.notes["trained"]["rates"]
    if kind == "plateau":
        assert kept["steps"] == 9 and len(kept["points"]) > 1  # it fell on the way
    else:
        assert [rate for _, rate in kept["points"]] == [rates[k] for k, _ in kept["points"]]
        assert len(kept["points"]) > 1
