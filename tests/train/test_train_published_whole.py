"""Every published recipe builds, trains three steps on generated images and is audited from its record; one changed
constant is caught on its line, and so is a record that was tampered with."""

import copy
from pathlib import Path

import numpy as np
import pytest
from train_cases import Ctx, Quirky, images

from crucis import shelf
from crucis.data.open import open_data
from crucis.nets import dqn, mixer, mlp, resnet_cifar, vit, wrn
from crucis.study.spec import LeafRef
from crucis.train import recipes
from crucis.train.fit import Job
from crucis.train.published import facts
from crucis.train.published.audit import Training, audit, verdict
from crucis.train.published.facts import NoSuchRecipe
from crucis.train.published.rates import Rates
from crucis.train.settings import SettingsError, completed, resolve

NAMES = facts.names()
LIGHT = {"pca_lighting": {"std": 0.1}}
#: What a study writes where the sources leave it open.
WRITTEN = {
    "vgg-imagenet": {"augment": [{"scaled_crop": {"lowest": 8 / 7, "highest": 8 / 7}}, "flip", LIGHT]},
    "mobilenet-v2": {"augment": ["resized_crop", "flip"]}, "mobilenet-v3": {"augment": ["resized_crop", "flip"]},
    "ewc-permuted-mnist": {"optimiser": "sgd", "lr": 1e-3, "weight_decay": 0.0, "schedule": "constant"},
    "ewc-atari": {"games": ["catch"], "epsilon": [1.0, 0.1, 100], "learn_after": 20, "loss": "huber", "double": True,
                  "clip_rewards": True, "ewc_fisher": "td_error", "optimiser":
                  {"rmsprop": {"smoothing": 0.95, "momentum": 0.0, "eps": 0.01, "centred": True}}},
}  # fmt: skip
#: Heads of a small machine, and the lines that say so.
SMALLER = {
    "mocov3-vit": {"hidden": 12}, "dino-vits16": {"prototypes": 10},
    "mae-vitb16": {"decoder_width": 12, "decoder_depth": 1, "decoder_heads": 2},
    "ijepa-vith14": {"predictor_width": 12, "predictor_depth": 1, "min_keep": 1, "precision": "fp32"},
}  # fmt: skip
SHRUNK = {
    "mocov3-vit": {"head.hidden (hidden)"}, "dino-vits16": {"head.out_dim (prototypes)"},
    "mae-vitb16": {"model.decoder (decoder_width)", "model.decoder (decoder_depth)", "model.decoder (decoder_heads)"},
    "ijepa-vith14": {"model.predictor_dim (predictor_width)", "model.predictor_depth (predictor_depth)",
                     "mask.min_keep (min_keep)", "precision"},
}  # fmt: skip
DATA = images(n=70, size=8)


def data(name):
    """What a recipe is trained on here."""
    return open_data(LeafRef("data", "games", {"n": 90}), folder=Path(), root=None) if name == "ewc-atari" else DATA


def net(name):
    """The published family, small."""
    shape, classes = data(name).shape, data(name).classes
    if name == "ewc-atari":
        return dqn.build(shape, classes, filters=[4, 4], kernels=[4, 3], strides=[4, 1], width=8)
    if name.startswith(("vit", "deit", "moco", "dino", "mae", "ijepa")):
        return vit.build(shape, classes, patch=2, width=12, depth=1, heads=2)
    if name.startswith(("resnet-cifar", "simclr")):
        return resnet_cifar.build(shape, classes, depth=8, width=4)
    if name.startswith("wrn"):
        return wrn.build(shape, classes, depth=10, widen=0.25)
    if name.startswith("mixer"):
        return mixer.build(shape, classes, patch=2, width=12, depth=1)
    return mlp.build(shape, classes, widths=[8, 8]) if name.startswith("ewc") else Quirky(classes=classes)


def params_of(name, **more):
    """As a study writes it that scales a recipe to three steps."""
    written = {"length": "3 steps", "batch": 16, **WRITTEN.get(name, {}), **SMALLER.get(name, {}), **more}
    made = recipes.published(name)
    return made, completed(f"train/{made.protocol}", recipes.with_recipe(name, written)[0])


def trained(folder, name, params, made):
    """The notes of a record: what the protocol hands over."""
    train = shelf.load(shelf.leaf("train", made.protocol))
    result = train(Job(lambda: net(name), data(name), seed=1), Ctx(folder), **params)
    return result.notes["trained"]


def lines_of(made, params, notes, because=None):
    settings = resolve(params, len(DATA.train))
    return audit(made, Training(settings, notes, "generated images", because))


def keys(lines, outcome="deviates"):
    return {line.key for line in lines if line.outcome == outcome}


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_trains_three_steps_and_passes_its_own_audit(tmp_path, name):
    made, params = params_of(name)
    notes = trained(tmp_path, name, params, made)
    assert notes["updates"] == 3 and notes["batch"] == 16
    lines = lines_of(made, params, notes, "a small machine")
    assert not keys(lines)
    assert all("a small machine" in line.text for line in lines if line.outcome == "adapted")
    chosen = {line for line, key in (("batch_size", "batch"), ("schedule.total", "length")) if key in made.open}
    scaled = {"dataset", "batch_size", "schedule.total"} | SHRUNK.get(name, set())
    assert keys(lines, "adapted") == scaled - chosen
    assert chosen <= keys(lines, "unknown")
    assert keys(lines_of(made, params, notes)) == keys(lines, "adapted")  # without a reason: so many deviations
    assert keys(lines, "exact") | keys(lines, "derived")
    assert verdict(lines).startswith("an adaptation of the recipe")


#: A place in the parameters, another value, and the lines that must say so: of each recipe several.
CONSTANTS = [
    ("resnet-imagenet", "optimiser.sgd.momentum", 0.8, "optimizer.momentum"),
    ("resnet-imagenet", "optimiser.sgd.form", "torch", "optimizer.momentum_form"),
    ("resnet-imagenet", "schedule.plateau.factor", 0.2, "schedule.gamma"),
    ("resnet-imagenet", "augment.0.scaled_crop.highest", 2.0, "aug.resize_shorter_side"),
    ("resnet-imagenet-torch", "optimiser.sgd.nesterov", False, "optimizer.nesterov"),
    ("resnet-imagenet-torch", "schedule.multi_step.at.0", "40%", "schedule.milestones"),
    ("resnet-imagenet-torch", "augment.3.pca_lighting.std", 0.2, "aug.pca_lighting"),
    ("resnet-cifar", "lr", 0.2, "lr.base"),
    ("resnet-cifar", "weight_decay", 5e-4, "weight_decay.value"),
    ("resnet-cifar", "schedule.multi_step.gamma", 0.2, "schedule.gamma"),
    ("resnet-cifar", "augment.0.crop.padding", 2, "aug.pad"),
    ("vgg-imagenet", "weight_decay", 1e-4, "weight_decay.value"),
    ("vgg-imagenet", "optimiser.sgd.momentum", 0.99, "optimizer.momentum"),
    ("vgg-imagenet", "augment.1", None, "aug.hflip_p"),
    ("efficientnet-b0", "optimiser.rmsprop_tf.smoothing", 0.99, "optimizer.alpha"),
    ("efficientnet-b0", "optimiser.rmsprop_tf.eps", 1e-8, "optimizer.eps"),
    ("efficientnet-b0", "schedule.exponential.gamma", 0.94, "schedule.gamma"),
    ("efficientnet-b0", "schedule.exponential.every", "40%", "schedule.decay_every"),
    ("efficientnet-b0", "label_smoothing", 0.0, "reg.label_smoothing"),
    ("efficientnet-b0", "ema", 0.999, "ema.decay"),
    ("efficientnet-b0", "decay_on", "weights", "weight_decay.excludes"),
    ("vit-b16-imagenet-1k", "clip", 0.5, "optimizer.grad_clip_norm"),
    ("vit-b16-imagenet-1k", "optimiser.adamw.beta2", 0.95, "optimizer.betas"),
    ("vit-b16-imagenet-1k", "warmup", "40%", "schedule.warmup"),
    ("vit-b16-imagenet-21k", "weight_decay", 0.3, "weight_decay.value"),
    ("vit-b16-imagenet-21k", "schedule", "cosine", "schedule.kind"),
    ("deit-ti-s", "schedule.cosine.floor", 0.0, "schedule.min_lr"),
    ("deit-ti-s", "ema", 0.9999, "ema.decay"),
    ("deit-ti-s", "repeats", 2, "aug.repeated"),
    ("deit-ti-s", "augment.4.mix.cutmix_alpha", 0.5, "reg.cutmix_alpha"),
    ("deit-ti-s", "augment.2.rand_augment.magnitude", 7.0, "aug.policy"),
    ("wrn-28-10-cifar", "schedule.multi_step.gamma", 0.1, "schedule.gamma"),
    ("wrn-28-10-cifar", "augment.0.crop.fill", "zero", "aug.pad_mode"),
    ("shufflenet-v2", "weight_decay", 1e-4, "weight_decay.value"),
    ("shufflenet-v2", "label_smoothing", 0.2, "reg.label_smoothing"),
    ("shufflenet-v2", "lr", 0.1, "lr.base"),
    ("mobilenet-v2", "optimiser.rmsprop_tf.eps", 0.001, "optimizer.eps"),
    ("mobilenet-v2", "decay_on", "all", "weight_decay.applies_to"),
    ("mobilenet-v2", "schedule.exponential.gamma", 0.94, "schedule.gamma"),
    ("mobilenet-v3", "schedule.exponential.every", "1 epochs", "schedule.decay_every"),
    ("mobilenet-v3", "ema", 0.99, "ema.decay"),
    ("densenet121", "optimiser.sgd.momentum", 0.8, "optimizer.momentum"),
    ("densenet121", "augment.2.color_jitter.brightness", 0.2, "aug.policy"),
    ("convnext-t", "weight_decay", 0.1, "weight_decay.value"),
    ("convnext-t", "augment.3.random_erasing.probability", 0.5, "reg.random_erasing"),
    ("mixer-b16", "augment.1.mixup.alpha", 0.2, "reg.mixup_alpha"),
    ("mixer-b16", "lr", 0.003, "lr.base"),
    ("swin-t", "clip", None, "optimizer.grad_clip_norm"),
    ("swin-t", "augment.0.resized_crop.interpolation", "bilinear", "aug.interpolation"),
    ("regnety-400mf", "lr", 0.4, "lr.base"),
    ("regnety-400mf", "rate_every", "step", "schedule.step_granularity"),
    ("simclr-r50", "temperature", 0.5, "loss.temperature (temperature)"),
    ("simclr-r50", "optimiser.lars.trust_coefficient", 0.02, "optimizer.trust_coefficient"),
    ("mocov3-vit", "momentum", 0.9, "teacher.momentum (momentum)"),
    ("mocov3-vit", "temperature", 0.1, "loss.temperature (temperature)"),
    ("dino-vits16", "teacher_temperature", 0.04, "teacher.temperature (teacher_temperature)"),
    ("dino-vits16", "weight_decay_end", 0.04, "weight_decay.end"),
    ("dino-vits16", "centre_momentum", 0.5, "teacher.center_momentum (centre_momentum)"),
    ("mae-vitb16", "ratio", 0.5, "mask.ratio (ratio)"),
    ("mae-vitb16", "norm_pix", False, "loss.norm_pix (norm_pix)"),
    ("ijepa-vith14", "momentum", 0.99, "teacher.momentum (momentum)"),
    ("ijepa-vith14", "loss", "smooth_l1", "loss (loss)"),
    ("ijepa-vith14", "targets", 2, "mask.targets (targets)"),
    ("ewc-atari", "ewc_lambda", 40.0, "ewc.lambda"),
    ("ewc-atari", "ewc_minibatches", 10, "ewc.fisher_samples"),
    ("ewc-atari", "ewc_start", 5000, "ewc.start"),
    ("ewc-atari", "ewc_recomputed", "once", "ewc.fisher_recomputed"),
    ("ewc-atari", "ewc_penalties", "latest", "ewc.penalties"),
    ("ewc-atari", "optimiser", "adam", "optimizer.name"),
    ("ewc-atari", "optimiser.rmsprop.smoothing", 0.9, "optimizer.alpha"),
    ("ewc-atari", "optimiser.rmsprop.momentum", 0.9, "optimizer.momentum"),
    ("ewc-atari", "lr", 0.0005, "lr.base"),
    ("ewc-atari", "lr_max", 0.001, "lr.max"),
    ("ewc-atari", "clip_value", None, "optimizer.grad_clip_value"),
    ("ewc-atari", "clip", 10.0, "optimizer.grad_clip_norm"),
    ("ewc-atari", "replay", 1000, "replay.size"),
    ("ewc-atari", "period", 2, "replay.period"),
    ("ewc-atari", "target_every", 1000, "target_update"),
    ("ewc-atari", "discount", 0.95, "discount"),
    ("ewc-atari", "action_repeat", 2, "action_repeat"),
]
#: Lines that a change of another one brings with it.
FOLLOWS = {
    ("vit-b16-imagenet-21k", "schedule"): {"lr at every step"}, ("dino-vits16", "weight_decay_end"):
    {"weight decay at every step"},
    ("ewc-atari", "optimiser"): {"optimizer.alpha", "optimizer.momentum"},
    ("ewc-atari", "action_repeat"): {"ewc.start"},  # as many agent steps are other frames
}  # fmt: skip


def changed(params, place, value):
    """A copy with another value at `optimiser.sgd.momentum`; None removes an item of a list."""
    params = copy.deepcopy(params)
    inside, path = params, [int(part) if part.isdigit() else part for part in place.split(".")]
    for part in path[:-1]:
        inside = inside[part]
    if value is None and isinstance(inside, list):
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return params


def test_every_recipe_that_names_its_optimiser_has_a_wrong_variant():
    assert len({name for name, *_ in CONSTANTS}) >= 23


@pytest.mark.parametrize(("name", "place", "value", "key"), CONSTANTS)
def test_one_changed_constant_is_caught_on_its_line(tmp_path, name, place, value, key):
    made, params = params_of(name)
    wrong = changed(params, place, value)
    assert wrong != params
    notes = trained(tmp_path, name, wrong, made)
    right = {"dataset", "batch_size", "schedule.total"} | SHRUNK.get(name, set())
    found = keys(lines_of(made, wrong, notes)) - right
    assert key in found
    rates = {"lr at every step"} if key.startswith(("lr.", "schedule.")) else set()
    assert found <= {key} | rates | FOLLOWS.get((name, place), set())


# --- the record, not the parameters ---

TAMPERED = [
    ("groups.0.options.momentum", 0.5, "optimizer.momentum"), ("groups.0.options.nesterov", False,
     "optimizer.nesterov"), ("groups.0.options.weight_decay", 0.1, "weight_decay.value"), ("batch", 15, "batch_size"),
    ("augment.0.padding", 3, "aug.pad"), ("augment.1.probability", 0.4, "aug.hflip_p"),
    ("label_smoothing", 0.1, "reg.label_smoothing"), ("clip", 1.0, "optimizer.grad_clip_norm"),
    ("ema", 0.9, "ema.decay"), ("optimiser", "adam", "optimizer.name"), ("updates", 2, "schedule.total"),
]  # fmt: skip


def test_an_audit_reads_what_ran(tmp_path):
    """Parameters say the recipe; notes that say otherwise are believed."""
    name = "wrn-28-10-cifar"
    made, params = params_of(name)
    notes = trained(tmp_path, name, params, made)
    good = {line.key: line for line in lines_of(made, params, notes, "a small machine")}
    for place, value, key in TAMPERED:
        lines = {line.key: line for line in lines_of(made, params, changed(notes, place, value), "a small machine")}
        assert lines[key].outcome == "adapted" and lines[key].used != good.get(key, lines["dataset"]).used, place
        differing = {one for one in lines if one not in good or lines[one].used != good[one].used}
        assert key in differing and len(differing) <= 3
    rates = np.array([0.1, 0.1, 0.1 * (1 + 1e-12)])
    lines = lines_of(made, params, {**notes, "rates": Rates.of(rates).as_dict()})
    assert "lr at every step" in keys(lines)


@pytest.mark.parametrize(("name", "place", "key"), [
    ("simclr-r50", "views.0.2.brightness", "aug.color_jitter_strength (augment)"),
    ("mocov3-vit", "views.1.3.probability", "aug.blur_p (second)"),
    ("dino-vits16", "views.2.0.smallest", "aug.local_crops (small)"),
    ("mae-vitb16", "views.0.0.smallest", "aug.crop (augment)"),
    ("simclr-r50", "objective.temperature", "loss.temperature (temperature)"),
    ("mae-vitb16", "objective.ratio", "mask.ratio (ratio)"),
    ("dino-vits16", "objective.momentum", "teacher.momentum (momentum)"),
])  # fmt: skip
def test_an_audit_reads_the_objective_that_ran(tmp_path, name, place, key):
    made, params = params_of(name)
    notes = trained(tmp_path, name, params, made)
    assert key not in keys(lines_of(made, params, notes))
    assert key in keys(lines_of(made, params, changed(notes, place, 0.123)))


def test_any_training_can_be_held_against_any_recipe(tmp_path):
    """Planned and as it ran, of two protocols; each that is another recipe's deviates."""
    for own in ("deit-ti-s", "mae-vitb16"):
        mine, params = params_of(own)
        notes = trained(tmp_path / own, own, params, mine)
        for name in facts.names():
            for ran in (None, notes):
                lines = lines_of(recipes.translated(name), params, ran)
                assert (name == own) == (
                    keys(lines) == {"dataset", "batch_size", "schedule.total"} | SHRUNK.get(own, set())
                )
    assert Rates.of(np.array([])).differs(np.array([0.1])) == "0 steps instead of 1"


def test_one_value_per_figure_is_a_line_per_figure():
    """Table S1: 1e-3 in figures 3a and 3c, 1e-5 to 1e-3 searched in 3b; 20, 100 and 100 epochs a data set."""
    name = "ewc-permuted-mnist"
    made, params = params_of(name, length="20 epochs")
    outcomes = []
    for rate in (1e-3, 1e-4):
        lines = {line.key: line.outcome for line in lines_of(made, {**params, "lr": rate}, None)}
        outcomes.append([lines[f"{key}.fig3{figure}"] for key in ("lr", "schedule.total") for figure in "abc"])
    assert outcomes[0] == ["exact", "derived", "exact", "derived", "unknown", "unknown"]
    assert outcomes[1][:3] == ["unknown", "derived", "unknown"]


@pytest.mark.parametrize(("name", "asked"), [
    ("vgg-imagenet", ["augment"]), ("mobilenet-v2", ["for", "augment"]), ("mobilenet-v3", ["for", "augment"]),
    ("dino-vits16", ["for"]),
    ("ewc-permuted-mnist", ["optimiser", "batch", "lr", "weight_decay", "for", "schedule"]),
    ("ewc-atari", ["games", "for", "epsilon", "learn_after", "loss", "double", "clip_rewards", "ewc_fisher",
                   "optimiser"]),
])  # fmt: skip
def test_everything_that_is_open_is_asked_for_at_once(name, asked):
    with pytest.raises(SettingsError) as caught:
        recipes.with_recipe(name, {})
    assert all(f"{key}:" in str(caught.value).rpartition("Write ")[2] for key in asked)
    assert set(asked) == {"for" if key == "length" else key for key in recipes.translated(name).open}
    with pytest.raises(NoSuchRecipe):
        facts.get(name + "x")
