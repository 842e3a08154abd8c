"""Optimisers, rates at every step, decay and averages of published recipes, against closed forms written here."""

import numpy as np
import pytest
from train_cases import Ctx, Quirky, images, job, run

from crucis.errors import Stopped
from crucis.train import recipes
from crucis.train.fit import fit
from crucis.train.published.audit import Training, audit
from crucis.train.settings import SettingsError, resolve

IMAGENET = 1281167
OPEN = {"mobilenet-v2": "3 epochs", "mobilenet-v3": "20 epochs", "dino-vits16": "100 epochs"}


@pytest.fixture
def every(monkeypatch):
    """Recipes of which the trainer cannot express another part, too."""
    monkeypatch.setattr(recipes, "published", recipes.translated)


def settled(name, n=IMAGENET, **written):
    params = {**recipes.translated(name).params, **written}
    if name in OPEN:
        params.setdefault("length", OPEN[name])
    return resolve(params, n)


def found(settings):
    return np.array([settings.lr * factor for factor in settings.multipliers()])


def half_cosine(share, low, high):
    return low + (high - low) * (1 + np.cos(np.pi * share)) / 2


def ramp(k, warm, first, high):
    """From `first` at step 0 to `high` at step `warm`; `first` None: high / warm at step 0."""
    w = max(warm, 1)
    return high * (k + 1) / w if first is None else first + (high - first) * k / w


# Each form gives the rate at step k of n, with a warm-up of w steps; s: an interval or moments in steps.


def warm_cosine(peak, low=0.0, first=None):
    return lambda k, n, w, s: np.where(
        k < w, ramp(k, w, first, peak), half_cosine((k - w) / max(n - w, 1), low, peak)
    )  # fmt: skip


def warm_line(peak):
    return lambda k, n, w, s: np.where(k < w, ramp(k, w, None, peak), peak * (n - k) / max(n - w, 1))


def stairs(peak, gamma):
    """As tf.train.exponential_decay with staircase, which counts from the first step, and a warm-up from zero."""
    return lambda k, n, w, s: np.where(k < w, ramp(k, w, 0.0, peak), peak * gamma ** np.floor(k / s + 1e-9))


def drops(peak, gamma):
    return lambda k, n, w, s: peak * gamma ** sum((k >= moment).astype(int) for moment in s)


def deit(k, n, w, s):
    """timm 0.3.2, CosineLRScheduler._get_lr with warmup_prefix False."""
    return np.where(k < w, 1e-6 + k * (1e-3 - 1e-6) / w, half_cosine(k / n, 1e-5, 1e-3))


def regnet(k, n, w, s):
    """pycls, get_epoch_lr: the cosine of the epoch, times a factor from 0.1 to 1."""
    return 0.8 * (1 + np.cos(np.pi * k / n)) / 2 * np.where(k < w, 0.1 * (1 - k / w) + k / w, 1.0)


#: form, warm-up, interval or moments, whole length: numbers are epochs, texts iterations.
FORMS = {
    "resnet-imagenet-torch": (drops(0.1, 0.1), 0, [30, 60], 90),
    "densenet121": (drops(0.1, 0.1), 0, [30, 60], 90),
    "efficientnet-b0": (stairs(0.256, 0.97), 5, 2.4, 350),
    "vit-b16-imagenet-1k": (warm_cosine(3e-3), "10000", 0, 300),
    "vit-b16-imagenet-21k": (warm_line(1e-3), "10000", 0, 90),
    "mixer-b16": (warm_line(1e-3), "10000", 0, 300),
    "deit-ti-s": (deit, 5, 0, 300),
    "shufflenet-v2": (warm_line(0.5), 0, 0, "300000"),
    "convnext-t": (warm_cosine(4e-3, 1e-6), 20, 0, 300),
    "swin-t": (warm_cosine(1e-3, 1e-5, 1e-6), 20, 0, 300),
    "regnety-400mf": (regnet, 5, 0, 100),
    "simclr-r50": (warm_cosine(4.8), 10, 0, 100),
    "mocov3-vit": (warm_cosine(2.4e-3), 40, 0, 300),
    "mae-vitb16": (warm_cosine(2.4e-3), 40, 0, 800),
    "ijepa-vith14": (warm_cosine(1e-3, 1e-6, 1e-4), 15, 0, 300),
    # no source gives their length, so that what they have in epochs stays at any
    "mobilenet-v2": (stairs(0.045, 0.98), 0, 1, None),
    "mobilenet-v3": (stairs(0.1, 0.99), 0, 3, None),
    "dino-vits16": (warm_cosine(2e-3, 1e-6), 10, 0, None),
}


def steps(time, per):
    if isinstance(time, list):
        return [steps(one, per) for one in time]
    return int(time) if isinstance(time, str) else round(time * 10) * per / 10


def by_epoch(name, k, per):
    if name == "deit-ti-s":  # main.py tells the scheduler the epoch that has ended: e is trained at the rate of e - 1
        return np.maximum(0, k - k % per - per)
    return k - k % per if name == "regnety-400mf" else k


@pytest.mark.parametrize("name", FORMS)
def test_the_rate_of_every_step_of_the_published_length(name):
    images = 14_000_000 if name.endswith("21k") else IMAGENET
    form, warm, interval, whole = FORMS[name]
    settings = settled(name, images)
    per, n = settings.steps_per_epoch, settings.total_steps
    assert whole is None or n == steps(whole, per)
    expected = form(by_epoch(name, np.arange(n), per), n, steps(warm, per), steps(interval, per))
    assert np.allclose(found(settings), expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("length", ["7 epochs", "750 steps"])
@pytest.mark.parametrize("name", [name for name in FORMS if FORMS[name][3] is not None])
def test_the_rate_of_every_step_of_a_short_training(every, name, length):
    """Warm-ups, moments and intervals at their shares of the training; 100 steps are an epoch."""
    params, origin = recipes.with_recipe(name, {"length": length})
    settings = resolve(params, 100 * params["batch"])
    per, n = 100, 700 if length == "7 epochs" else 750
    form, warm, interval, whole = FORMS[name]
    batch = recipes.translated(name).params["batch"]
    images = 14_000_000 if name.endswith("21k") else IMAGENET

    def share(time):
        """Of the published training, in examples seen."""
        if isinstance(time, list):
            return np.array([share(one) for one in time])
        seen = [float(one) * (batch if isinstance(one, str) else images) for one in (time, whole)]
        return seen[0] / seen[1]

    w = np.floor(share(warm) * n + 0.5)
    moments = share(interval) * n if not isinstance(interval, list) else np.floor(share(interval) * n + 0.5)
    expected = form(by_epoch(name, np.arange(n), per), n, w, moments if np.any(moments) else 1)
    assert np.allclose(found(settings), expected, rtol=1e-6, atol=1e-12)
    if warm:
        assert origin["warmup"].startswith("adapted from ") and "the same share of" in origin["warmup"]
    if interval:
        assert origin["schedule"].startswith("adapted from ") and "the same shares of" in origin["schedule"]


def test_a_decay_every_fractional_epochs_keeps_its_share(every):
    params, origin = recipes.with_recipe("efficientnet-b0", {"length": "35 epochs"})
    assert params["warmup"] == "1.428571429%"
    assert float(params["schedule"]["exponential"]["every"][:-1]) == pytest.approx(100 * 2.4 / 350)
    assert origin["schedule"] == "adapted from 2.4 epochs of 350 epochs: the same shares of 35 epochs"
    settings = resolve(params, 4096 * 312)
    falls = np.flatnonzero(np.diff(found(settings)) < 0) + 1
    assert np.allclose(falls[-20:], np.arange(126, 146) * 0.24 * 312, atol=1)  # 35 / 0.24 = 145.8 stairs


def test_iterations_of_another_batch_are_epochs_first():
    """218,949 iterations are those of batch 2048; at 4096 they would be 700 epochs."""
    made = recipes.translated("efficientnet-b0")
    assert (made.params["batch"], made.params["length"]) == (4096, "350 epochs")
    own = recipes.translated("efficientnet-b0@authors-code").params
    assert (own["batch"], own["length"], own["lr"]) == (2048, "218949 steps", pytest.approx(0.128))


def test_a_warmup_in_steps_keeps_its_share_at_another_batch():
    params, origin = recipes.with_recipe("vit-b16-imagenet-1k", {"batch": 512})
    assert float(params["warmup"][:-1]) == pytest.approx(100 * 10000 * 4096 / IMAGENET / 300)
    assert origin["warmup"] == "adapted from 10000 steps of 300 epochs at batch 4096: the same share at 512"
    params, origin = recipes.with_recipe("resnet-cifar", {"batch": 64})
    assert origin["length"].endswith("; unchanged in steps at batch 64, which see 0.5 times the examples")


def test_given_rates_stay_where_the_peak_is_scaled_alone(every):
    params, origin = recipes.with_recipe("deit-ti-s", {"batch": 256})
    assert params["lr"] == pytest.approx(2.5e-4)
    assert params["schedule"]["cosine"]["floor"] == pytest.approx(0.04)
    assert params["warmup_from"] == pytest.approx(0.004)
    assert "1e-05 is 0.04 of 0.00025" in origin["schedule"] and "the first rate stays 1e-06" in origin["warmup_from"]
    params, _ = recipes.with_recipe("swin-t", {"batch": 256})  # "linear (also warm-up and minimum lr)"
    assert (params["lr"], params["schedule"]["cosine"]["floor"], params["warmup_from"]) == (
        pytest.approx(2.5e-4), pytest.approx(0.01), pytest.approx(0.001),
    )  # fmt: skip


def test_the_recipes_own_rule_for_a_batch_is_no_deviation():
    params, _ = recipes.with_recipe("deit-ti-s", {"batch": 192})
    lines = {one.key: one for one in audit(recipes.translated("deit-ti-s"), Training(resolve(params, 192 * 50)))}
    assert [key for key, one in lines.items() if one.outcome == "deviates"] == ["batch_size"]
    assert lines["lr.base"].text.endswith("scaled from 0.001 at batch 1024 (linear rule)")
    assert lines["lr.base"].used == "0.0001875"
    assert lines["schedule.min_lr"].text == "floor 1e-05 / 0.001 = 0.01; floor adapted: 1e-05 is 0.0533333 of 0.0001875"
    assert lines["lr at every step"].outcome == "derived"
    params["lr"] = 0.001  # the rate of batch 1,024
    lines = {one.key: one for one in audit(recipes.translated("deit-ti-s"), Training(resolve(params, 192 * 50)))}
    assert lines["lr.base"].outcome == "deviates"


def test_what_no_source_gives_is_asked_for_once_and_taken_when_written(every):
    with pytest.raises(
        SettingsError, match=r"mobilenet-v2 leaves open .*: for \(no source .*length.*Write for: and augment: beside"
    ):
        recipes.with_recipe("mobilenet-v2", {})
    with pytest.raises(SettingsError, match=r"Write optimiser:, batch:, lr:, weight_decay:, for: and schedule: beside"):
        recipes.with_recipe("ewc-permuted-mnist", {})
    params, origin = recipes.with_recipe("mobilenet-v2", {"length": "5 epochs", "augment": ["flip"]})
    assert origin["augment"] == "written"
    assert params["length"] == "5 epochs" and origin["length"] == "written"
    settings = resolve(params, 9600)
    lines = audit(recipes.translated("mobilenet-v2"), Training(settings, None, "imagenet-1k"))
    total = next(line for line in lines if line.key == "schedule.total")
    assert (total.outcome, total.used) == ("unknown", "500 updates")
    assert total.text == "no source that is followed gives the length of the training; the study chose it"
    assert next(line for line in lines if line.key == "lr at every step").outcome == "derived"


@pytest.mark.parametrize(
    ("name", "optimiser", "decays"),
    [("efficientnet-b0", {"rmsprop_tf": {"smoothing": 0.9, "momentum": 0.9, "eps": 0.001}}, "all_but_norm"),
     ("mobilenet-v2", {"rmsprop_tf": {"smoothing": 0.9, "momentum": 0.9, "eps": 1.0}}, "conv"),
     ("simclr-r50", {"lars": {"momentum": 0.9, "trust_coefficient": 0.001}}, "weights"),
     ("resnet-imagenet", {"sgd": {"momentum": 0.9, "nesterov": False, "form": "caffe"}}, "all"),
     ("mixer-b16", {"adamw": {"beta1": 0.9, "beta2": 0.999}}, "all"),
     ("ewc-atari", {"rmsprop": {"smoothing": 0.95, "momentum": 0.0}}, None)],
)  # fmt: skip
def test_optimisers_and_what_decays(name, optimiser, decays):
    made = recipes.translated(name)
    assert made.params["optimiser"] == optimiser
    assert made.params.get("decay_on") == decays


def test_averages_and_decays_of_recipes():
    eff = recipes.translated("efficientnet-b0").params
    assert (eff["ema"], eff["ema_warmup"], eff["ema_statistics"]) == (0.9999, True, True)
    assert recipes.translated("convnext-t").params.keys() & {"ema_warmup", "ema_statistics"} == set()
    settings = settled("dino-vits16")
    n = settings.total_steps
    assert np.allclose(settings.decays(), half_cosine(np.arange(n) / n, 0.4, 0.04))
    settings = settled("ijepa-vith14")
    assert np.allclose(settings.decays(), np.linspace(0.04, 0.4, settings.total_steps + 1)[:-1])
    params, _ = recipes.with_recipe("vit-b16-imagenet-1k", {"weight_decay": 0.1})
    assert params["weight_decay"] == 0.1


def test_a_plateau_is_expressed_and_its_rates_are_those_of_the_run():
    made = recipes.translated("resnet-imagenet")
    assert made.params["schedule"] == {"plateau": {"metric": "accuracy", "factor": 0.1, "patience": 10}}
    assert made.assumed["schedule.patience"].startswith("not reported")
    lines = {one.key: one for one in audit(made, Training(resolve(made.params, IMAGENET), None, "imagenet-1k"))}
    assert lines["lr at every step"].outcome == "unknown" and lines["schedule.gamma"].outcome == "exact"
    assert lines["schedule.kind"].outcome == "derived" and lines["optimizer.momentum_form"].outcome == "exact"


def test_a_running_average_can_be_left_out(every):
    params, _ = recipes.with_recipe("efficientnet-b0", {"ema": None})
    assert resolve(params, 5000).ema is None


def _keys(lines, *outcomes):
    return {line.key for line in lines if line.outcome in outcomes}


def _ran(folder, name, changed=None, stop=None):
    params, _ = recipes.with_recipe(name, {"length": "9 steps", "batch": 16, "augment": []})
    if name in OPEN:
        params["warmup"] = "1 steps"
    made = job(images(n=84), Quirky, **{**params, "augment": [], **(changed or {})})
    if stop is not None:
        with pytest.raises(Stopped):
            fit(made, Ctx(folder, stop_after=stop))
    notes = run(folder, made)[0].notes["trained"]
    return notes, audit(recipes.translated(name), Training(made.settings, notes, ""))


@pytest.mark.parametrize("name", ["efficientnet-b0", "mobilenet-v2", "simclr-r50", "vit-b16-imagenet-1k", "deit-ti-s",
                                  "dino-vits16", "resnet-imagenet-torch"])  # fmt: skip
def test_what_ran_is_held_against_the_recipe_and_survives_a_stop(tmp_path, every, name):
    whole, lines = _ran(tmp_path / "whole", name)
    cut, again = _ran(tmp_path / "cut", name, stop=5)
    assert whole == cut and lines == again
    right = _keys(lines, "exact", "derived")
    assert {"optimizer.name"} <= right
    for key in ("optimizer.momentum", "optimizer.eps", "optimizer.alpha", "optimizer.implementation",
                "optimizer.trust_coefficient", "optimizer.betas", "weight_decay.coupling", "weight_decay.value",
                "weight_decay.start", "weight_decay.end", "weight_decay.schedule", "weight_decay.excludes",
                "weight_decay.applies_to", "schedule.staircase", "schedule.warmup_kind", "schedule.step_granularity",
                "ema.decay"):  # fmt: skip
        if recipes.translated(name).fact(key) is not None and key not in ("optimizer.eps",):
            assert key not in _keys(lines, "deviates"), key


@pytest.mark.parametrize(
    ("name", "changed", "key"),
    [("efficientnet-b0", {"optimiser": {"rmsprop_tf": {"smoothing": 0.99, "momentum": 0.9, "eps": 0.001}}},
      "optimizer.alpha"),
     ("efficientnet-b0", {"optimiser": {"rmsprop": {"smoothing": 0.9, "momentum": 0.9, "eps": 0.001}}},
      "optimizer.implementation"),
     ("efficientnet-b0", {"decay_on": "weights"}, "weight_decay.excludes"),
     ("efficientnet-b0", {"warmup_from": 0.5}, "schedule.warmup_kind"),
     ("efficientnet-b0", {"ema_warmup": False}, "ema.decay"),
     ("vit-b16-imagenet-1k", {"optimiser": {"adam": {"beta1": 0.9}}}, "optimizer.name"),
     ("simclr-r50", {"optimiser": {"lars": {"momentum": 0.9, "trust_coefficient": 0.01}}},
      "optimizer.trust_coefficient"),
     ("resnet-imagenet-torch", {"optimiser": {"sgd": {"momentum": 0.9, "nesterov": False, "dampening": 0.9}}},
      "optimizer.dampening"),
     ("deit-ti-s", {"rate_every": "step"}, "schedule.step_granularity"),
     ("deit-ti-s", {"rate_every": "epoch"}, "schedule.rate_lag"),
     ("deit-ti-s", {"rate_every": "epoch"}, "lr at every step"),
     ("dino-vits16", {"weight_decay_end": 0.5}, "weight_decay.end"),
     ("dino-vits16", {"weight_decay_schedule": "linear"}, "weight decay at every step")],
)  # fmt: skip
def test_one_wrong_constant_is_caught(tmp_path, every, name, changed, key):
    right = _keys(_ran(tmp_path / "a", name)[1], "deviates")
    wrong = _keys(_ran(tmp_path / "b", name, changed)[1], "deviates")
    assert key not in right and key in wrong


def test_a_schedule_that_is_not_late_deviates_by_what_it_is_early():
    made = recipes.translated("deit-ti-s@authors-code")
    lines = {one.key: one for one in audit(made, Training(resolve({**made.params, "rate_every": "epoch"}, IMAGENET)))}
    assert [key for key, one in lines.items() if one.outcome == "deviates"] == ["schedule.rate_lag", "lr at every step"]
    assert lines["schedule.rate_lag"].used == "0 epochs" and "main.py L432" in lines["schedule.rate_lag"].source
    second = 1e-6 + (1e-3 - 1e-6) / 5  # the second epoch, which main.py trains at the rate of the first
    assert lines["lr at every step"].text == f"step 1252: {second:.6g} instead of 1e-06"
    rates = [made.params["lr"] * factor for factor in resolve(made.params, IMAGENET).multipliers()]
    assert rates[0] == rates[1251] == rates[2501] == pytest.approx(1e-6) and rates[2502] == pytest.approx(second)
    assert rates[-1] == pytest.approx(half_cosine(298 / 300, 1e-5, 1e-3))


def test_the_record_says_what_a_lars_step_adapts(tmp_path, every):
    notes, _ = _ran(tmp_path, "simclr-r50")
    assert (
        notes["not_adapted"]
        == notes["not_decayed"]
        == sorted(name for name, value in Quirky().named_parameters() if value.ndim < 2)
    )
    assert [group["options"]["trust_coefficient"] for group in notes["groups"]] == [0.001, 0.001]
