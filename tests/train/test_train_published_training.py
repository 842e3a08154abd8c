"""Published recipes as trainings: parameters, rates of every step, refusals, and audits of what ran."""

from dataclasses import replace

import numpy as np
import pytest
from torch import nn
from train_cases import images, job, run

from crucis import shelf
from crucis.data.augment.crop import augment as crop
from crucis.train import recipes
from crucis.train.published import facts
from crucis.train.published.audit import Training, audit, verdict
from crucis.train.published.rates import WHOLE, Rates
from crucis.train.published.translate import translate
from crucis.train.settings import SettingsError, completed, resolve


def rates(name, n_train=50000, **written):
    params, _ = recipes.with_recipe(name, written)
    settings = resolve(params, n_train)
    return settings, np.array([settings.lr * factor for factor in settings.multipliers()])


def test_the_rates_of_resnet_on_cifar_are_those_of_the_paper():
    _, found = rates("resnet-cifar")
    k = np.arange(64000)  # "divide it by 10 at 32k and 48k iterations, and terminate training at 64k" from 0.1
    assert np.allclose(found, np.select([k < 32000, k < 48000], [0.1, 0.01], 0.001), rtol=1e-12)


def test_the_rates_of_wide_resnet_are_those_of_the_paper():
    settings, found = rates("wrn-28-10-cifar")
    assert settings.steps_per_epoch == 390
    epoch = np.arange(200 * 390) // 390  # "dropped by 0.2 at 60, 120 and 160 epochs", 200 in all
    drops = (epoch >= 60).astype(int) + (epoch >= 120) + (epoch >= 160)
    assert np.allclose(found, 0.1 * 0.2**drops, rtol=1e-12)


def test_another_reference_has_its_own_milestones_and_momentum():
    settings, found = rates("resnet-cifar@reimplementation")
    epoch = np.arange(164 * 390) // 390
    assert np.allclose(found, 0.1 * 0.1 ** ((epoch >= 80).astype(int) + (epoch >= 121)), rtol=1e-12)
    assert settings.optimiser.params["nesterov"] is True
    assert rates("resnet-cifar")[0].optimiser.params["nesterov"] is False


def test_another_length_keeps_the_shares_of_the_milestones():
    params, origin = recipes.with_recipe("wrn-28-10-cifar", {"length": "20 epochs"})
    assert params["schedule"]["multi_step"]["at"] == ["30%", "60%", "80%"]
    assert origin["schedule"].startswith("adapted from 60 epochs, 120 epochs, 160 epochs of 200 epochs")
    _, found = rates("wrn-28-10-cifar", length="20 epochs")
    epoch = np.arange(20 * 390) // 390
    assert np.allclose(found, 0.1 * 0.2 ** ((epoch >= 6).astype(int) + (epoch >= 12) + (epoch >= 16)), rtol=1e-12)


def test_a_recipe_without_a_rule_keeps_its_rate_at_another_batch():
    params, origin = recipes.with_recipe("resnet-cifar", {"batch": 64})
    assert params["lr"] == 0.1
    assert "no rule" in origin["lr"]
    assert origin["batch"] == "adapted from 128 (recipe: resnet-cifar)"


@pytest.mark.parametrize("name", facts.names())
def test_a_recipe_is_expressed_whole(name):
    made = translate(facts.get(name))
    assert not made.missing
    assert set(made.params) == set(made.origin)


def with_value(recipe, key, value):
    """The recipe with another value of a fact."""
    parts = tuple(replace(fact, value=value) if fact.key == key else fact for fact in recipe.facts)
    return replace(recipe, facts=parts)


def test_a_part_that_cannot_be_expressed_is_named(monkeypatch):
    strange = with_value(facts.get("resnet-cifar"), "optimizer.name", "adagrad")
    assert [part.partition(":")[0] for part in translate(strange).missing] == [
        "optimizer.name adagrad", "optimizer.momentum 0.9"]  # fmt: skip
    monkeypatch.setattr(recipes, "translated", lambda name: translate(strange))
    with pytest.raises(SettingsError, match=r"recipe: .* cannot be trained as published: optimizer.name adagrad"):
        recipes.with_recipe("resnet-cifar", {})
    strange = with_value(facts.get("ewc-atari"), "ewc.penalties", "one for all")
    assert translate(strange).missing == ["ewc.penalties one for all: the protocol has no such choice"]


def test_no_key_of_a_training_is_dropped():
    for name in ("convnext-t", "swin-t", "deit-ti-s"):
        made = translate(facts.get(name))
        said = {part.partition(" ")[0].partition(":")[0] for part in made.missing}
        rests = {fact.key for parts in made.facts.values() for fact in parts} | {fact.key for fact, _ in made.outside}
        for key in ("reg.cutmix_alpha", "reg.random_erasing", "aug.policy", "aug.color_jitter", "aug.crop"):
            assert key in said | rests, (name, key)


def test_an_unknown_reference_offers_those_that_there_are():
    with pytest.raises(SettingsError, match=r"no reference 'papr'.*'paper'"):
        recipes.published("resnet-cifar@papr")


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))


def trained(tmp_path, name="resnet-cifar", **changed):
    """Three steps on generated images, and the audit of what ran."""
    params, _ = recipes.with_recipe(name, {"length": "3 steps", "batch": 16})
    params = {**params, **changed}
    fitted = run(tmp_path, job(images(n=70), net, **params))[0]
    notes = fitted.notes["trained"]
    assert notes["updates"] == 3
    return audit(recipes.published(name), Training(resolve(params, notes["n_train"]), notes, "cifar10"))


ADAPTED = {"batch_size", "schedule.total", "dataset"}  # 70 images of 50,000


@pytest.mark.parametrize("name", ["resnet-cifar", "wrn-28-10-cifar"])
def test_what_ran_is_the_recipe_but_for_its_length_and_batch(tmp_path, name):
    lines = trained(tmp_path, name)
    assert {line.key for line in lines if line.outcome == "deviates"} == ADAPTED
    exact = {line.key for line in lines if line.outcome == "exact"}
    assert {"optimizer.name", "optimizer.momentum", "lr.base", "weight_decay.value", "schedule.gamma", "aug.crop",
            "aug.pad", "aug.hflip_p"} <= exact  # fmt: skip
    assert verdict(lines).startswith("deviates from the recipe in dataset, batch_size")


@pytest.mark.parametrize(
    ("changed", "key"),
    [({"optimiser": {"sgd": {"momentum": 0.8, "nesterov": True}}}, "optimizer.momentum"),
     ({"optimiser": {"sgd": {"momentum": 0.9, "nesterov": False}}}, "optimizer.nesterov"),
     ({"optimiser": "adam"}, "optimizer.name"),
     ({"weight_decay": 1e-4}, "weight_decay.value"),
     ({"decay_on": "weights"}, "weight_decay.applies_to"),
     ({"lr": 0.05}, "lr.base"),
     ({"schedule": {"multi_step": {"at": ["30%", "60%", "80%"], "gamma": 0.1}}}, "schedule.gamma"),
     ({"schedule": {"multi_step": {"at": ["40%", "60%", "80%"], "gamma": 0.2}}}, "schedule.milestones"),
     ({"label_smoothing": 0.1}, "reg.label_smoothing"),
     ({"clip": 1.0}, "optimizer.grad_clip_norm"),
     ({"augment": [{"crop": {"padding": 4}}, "flip"]}, "aug.pad_mode"),
     ({"augment": [{"crop": {"padding": 2, "fill": "reflect"}}, "flip"]}, "aug.pad"),
     ({"augment": [{"crop": {"padding": 4, "fill": "reflect"}}]}, "aug.hflip_p")],
)  # fmt: skip
def test_one_wrong_constant_is_caught_on_its_line(tmp_path, changed, key):
    lines = trained(tmp_path, "wrn-28-10-cifar", **changed)
    wrong = {line.key for line in lines if line.outcome == "deviates"} - ADAPTED
    assert key in wrong
    follows = {"optimizer.name": {"optimizer.momentum", "optimizer.nesterov"}}
    rates = {"lr at every step"} if key.startswith(("lr.", "schedule.")) else set()
    assert wrong <= {key} | rates | follows.get(key, set())


def test_what_ran_counts_not_what_was_written(tmp_path):
    """The rates of the notes are those of the loop: a run whose rates were tampered with is caught at that step."""
    params, _ = recipes.with_recipe("resnet-cifar", {})
    settings, made = resolve(params, 50000), recipes.published("resnet-cifar")
    _, good = rates("resnet-cifar")
    bad = good.copy()
    bad[40000] = 0.02
    for values, outcome in ((good, "derived"), (bad, "deviates")):
        lines = audit(made, Training(settings, {"rates": Rates.of(values).as_dict(), "updates": 64000}, "cifar10"))
        line = next(line for line in lines if line.key == "lr at every step")
        assert line.outcome == outcome
    assert line.text == "step 40001: 0.02 instead of 0.01"


def test_a_whole_training_as_published_deviates_in_nothing():
    for name in ("resnet-cifar", "wrn-28-10-cifar"):
        params, _ = recipes.with_recipe(name, {})
        lines = audit(recipes.published(name), Training(resolve(params, 50000), None, "cifar10"))
        assert not {line.key for line in lines if line.outcome in ("deviates", "adapted")}
        assert verdict(lines).startswith("the recipe, as far as its sources speak")


def test_a_reason_makes_a_deviation_an_adaptation():
    params, _ = recipes.with_recipe("resnet-cifar", {"batch": 64})
    lines = audit(recipes.published("resnet-cifar"), Training(resolve(params, 50000), None, "cifar10", "little memory"))
    line = next(line for line in lines if line.key == "batch_size")
    assert (line.outcome, line.text) == ("adapted", "little memory")


def test_smooth_rates_are_kept_as_digest_and_samples():
    values = 0.1 * np.cos(np.linspace(0, 1, WHOLE * 3))
    kept = Rates.read(Rates.of(values).as_dict())
    assert not kept.whole
    assert kept.differs(values) is None
    values[-1] = np.nextafter(values[-1], 1)
    assert kept.differs(values).startswith(f"step {WHOLE * 3}")
    values[:] = kept.points[0][1]
    assert kept.differs(values).startswith("step ")


def test_a_reflecting_crop_is_torchs_reflection_padding():
    import torch

    size, padding = 6, 4
    x = torch.arange(size * size).reshape(1, 1, size, size)
    padded = nn.functional.pad(x.double(), [padding] * 4, mode="reflect")[0, 0]
    step = crop(padding=padding, fill="reflect")
    grid = torch.arange(size)[None]
    for down in range(-padding, padding + 1):
        for right in (-4, 0, 3):
            params = {"down": torch.tensor([down]), "right": torch.tensor([right])}
            rows, columns = step.source(grid, grid, (1, size, size), params)
            window = padded[down + padding :, right + padding :][:size, :size]
            assert torch.equal(x[0, 0][rows[0]][:, columns[0]].double(), window)


@pytest.mark.parametrize(
    ("name", "keys"), [("resnet-cifar", ["schedule.kind", "schedule.milestones"]), ("ewc-atari", ["ewc.penalties"])]
)
def test_a_recipe_with_missing_parts_is_audited_all_the_same(name, keys):
    """The parts that the trainer cannot express deviate, each on its own line; the others are compared."""
    made = translate(with_value(facts.get(name), keys[0], "strange"))
    settings = resolve(completed(f"train/{made.protocol}", {**made.params, "lr": made.params["lr"] / 2}), 50000)
    lines = audit(made, Training(settings, None, ""))
    assert [line.key for line in lines if line.text == "the trainer cannot express it"] == keys
    assert {line.outcome for line in lines if line.key == "lr.base"} == {"deviates"}


def test_a_smaller_batch_alone_keeps_the_epochs_of_the_recipe():
    params, _ = recipes.with_recipe("wrn-28-10-cifar", {"batch": 64})
    lines = audit(recipes.published("wrn-28-10-cifar"), Training(resolve(params, 50000), None, "cifar10"))
    assert [line.key for line in lines if line.outcome == "deviates"] == ["batch_size"]
    total = next(line for line in lines if line.key == "schedule.total")
    assert (total.outcome, total.text) == ("derived", "200 x 781 = 156,200 updates")


# -- self-supervised recipes ------------------------------------------------------------------------------------------

PROTOCOLS = {"simclr-r50": "simclr", "mocov3-vit": "moco_v3", "dino-vits16": "dino", "mae-vitb16": "mae",
             "ijepa-vith14": "i_jepa"}  # fmt: skip
SAID = {
    "simclr-r50": {"temperature": 0.1, "layers": 2, "out": 128, "lr": 4.8, "batch": 4096, "weight_decay": 1e-6},
    "simclr-r50@authors-code": {"layers": 3, "weight_decay": 1e-4},
    "mocov3-vit": {"temperature": 0.2, "momentum": 0.99, "momentum_schedule": "cosine", "hidden": 4096, "out": 256,
                   "freeze_patches": True, "decay_on": "all"},
    "dino-vits16": {"student_temperature": 0.1, "teacher_temperature_start": 0.04, "teacher_temperature": 0.07,
                    "temperature_warmup": "30 epochs", "momentum": 0.996, "centre_momentum": 0.9, "prototypes": 65536,
                    "freeze_last_layer": "1 epochs", "clip_each": 3.0, "small_views": 8, "small_size": 96 / 224,
                    "weight_decay": 0.04, "weight_decay_end": 0.4},
    "mae-vitb16": {"ratio": 0.75, "norm_pix": True, "decoder_width": 512, "decoder_depth": 8, "decoder_heads": 16},
    "ijepa-vith14": {"loss": "l2", "momentum": 0.996, "momentum_schedule": "linear", "targets": 4, "min_keep": 10,
                     "target_scale": [0.15, 0.2], "target_aspect": [0.75, 1.5], "context_scale": [0.85, 1.0],
                     "predictor_width": 384, "predictor_depth": 12, "precision": "bf16"},
    "ijepa-vith14@authors-code": {"loss": "smooth_l1", "weight_decay_schedule": "cosine", "warmup": "40 epochs"},
}  # fmt: skip


@pytest.mark.parametrize("name", SAID)
def test_a_self_supervised_recipe_is_its_protocols(name):
    made = recipes.translated(name)
    assert made.protocol == PROTOCOLS[name.partition("@")[0]] and not made.missing
    assert {key: made.params[key] for key in SAID[name]} == SAID[name]
    assert set(made.params) <= set(shelf.leaf("train", made.protocol).params)
    used = {fact.key for rests in made.facts.values() for fact in rests} | {fact.key for fact, _ in made.outside}
    wanted = {key for key in made.recipe.keys if key.partition(".")[0] in ("aug", "loss", "mask", "teacher", "student")}
    silent = {key for key in wanted - used if made.fact(key).value not in (False, 0)}
    assert silent <= {"aug.global_crops"}, silent


def test_views_of_published_recipes():
    first, second = (recipes.translated("mocov3-vit").params[name] for name in ("augment", "second"))
    assert [next(iter(step)) for step in first] == ["resized_crop", "color_jitter", "grayscale", "blur", "flip"]
    assert {"solarize": {"probability": 0.2}} in second and {"blur": {"probability": 0.1}} in second
    small = recipes.translated("dino-vits16").params["small"]
    assert small[0]["resized_crop"] == {"smallest": 0.05, "largest": 0.4, "interpolation": "bicubic"}
    jitter = next(step for step in recipes.translated("simclr-r50").params["augment"] if "color_jitter" in step)
    assert list(jitter["color_jitter"].values()) == [0.8, 0.8, 0.8, 0.2, 0.8]


def test_a_recipe_belongs_to_its_protocol():
    assert "recipe of the protocol mae, and this stage trains by simclr" in recipes.misplaced("mae-vitb16", "simclr")
    assert recipes.misplaced("mae-vitb16", "mae") is None and recipes.misplaced("adamw-cosine", "mae") is None
    assert "protocol supervised" in recipes.misplaced("resnet-cifar", "dino")


def test_what_continual_recipes_leave_open():
    with pytest.raises(SettingsError, match=r"leaves open .* optimiser"):
        recipes.with_recipe("ewc-permuted-mnist", {})
    written = {"optimiser": "sgd", "batch": 128, "lr": 1e-3, "weight_decay": 0.0, "length": "20 epochs",
               "schedule": "constant"}  # fmt: skip
    assert recipes.with_recipe("ewc-permuted-mnist", written)[0]["lr"] == 1e-3
    with pytest.raises(SettingsError, match=r"ewc-atari leaves open .* optimiser"):
        recipes.with_recipe("ewc-atari", {})
    assert "recipe of the protocol q_learning" in recipes.misplaced("ewc-atari", "supervised")


def test_an_audit_of_a_self_supervised_training():
    made = recipes.translated("mae-vitb16")
    params, _ = recipes.with_recipe("mae-vitb16", {"batch": 50, "length": "2 epochs", "decoder_depth": 1})
    settings = resolve(completed("train/mae", params), 100)
    lines = {line.key: line for line in audit(made, Training(settings, None, "digits", "a test"))}
    assert lines["mask.ratio (ratio)"].outcome == "exact" and lines["loss.norm_pix (norm_pix)"].outcome == "exact"
    assert lines["model.decoder (decoder_width)"].outcome == "exact"
    assert lines["model.decoder (decoder_depth)"].outcome == "adapted" and lines["dataset"].outcome == "adapted"
    assert any(key.endswith("(augment)") and line.outcome in ("exact", "derived") for key, line in lines.items())
    off = resolve(completed("train/mae", {**params, "ratio": 0.5}), 100)
    lines = {line.key: line for line in audit(made, Training(off, None, "digits"))}
    assert lines["mask.ratio (ratio)"].outcome == "deviates"
    ran = {line.key: line for line in audit(made, Training(settings, {"objective": {"ratio": 0.7}}, "digits"))}
    assert ran["mask.ratio (ratio)"].used == "0.7"
