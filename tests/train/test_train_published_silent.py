"""What no fact speaks of is told all the same: options, chunks, order and count of augmentations, steps of views."""

import pytest

from crucis.train import recipes
from crucis.train.published.audit import Training, audit
from crucis.train.settings import completed, resolve

IMAGES = {"deit-ti-s": 1281167, "resnet-imagenet": 1281167, "vgg-imagenet": 1281167}
VGG = [{"scaled_crop": {"lowest": 8 / 7, "highest": 8 / 7}}, "flip", {"pca_lighting": {"std": 0.1}}]


def lines(name, written=None, begins="", dataset=None, images=None, because=None, **changed):
    """The audit of a plan with some parameters changed after the recipe made them."""
    made = recipes.translated(name)
    params = {**recipes.with_recipe(name, written or {})[0], **changed}
    settings = resolve(completed(f"train/{made.protocol}", params), images or IMAGES.get(name, 50000))
    where = dataset or made.recipe.dataset.split(",")[0]
    return audit(made, Training(settings, None, where, because, begins))


def news(name, written=None, **changed):
    """Key -> outcome of the lines that a change brings or alters, but for the rates that follow from it."""
    before = set(lines(name, written))
    return {line.key: line.outcome for line in lines(name, written, **changed)
            if line not in before and not line.key.endswith("every step")}  # fmt: skip


def with_step(name, place, **options):
    steps = [dict(step) for step in recipes.translated(name).params["augment"]]
    leaf, params = next(iter(steps[place].items()))
    steps[place] = {leaf: {**params, **options}}
    return steps


SHORT = {"deit-ti-s": {"length": "2 epochs"}}


@pytest.mark.parametrize(
    ("name", "changed", "told"),
    [("deit-ti-s", {"optimiser": {"adamw": {"eps": 1e-8, "beta2": 0.95}}}, {"optimizer.beta2": "unknown"}),
     ("deit-ti-s", {"augment": with_step("deit-ti-s", 3, count=2)}, {"augment random_erasing.count": "unknown"}),
     ("deit-ti-s", {"augment": recipes.translated("deit-ti-s").params["augment"][::-1]}, {"augment order": "unknown"}),
     ("deit-ti-s", {"precision": "bf16"}, {"precision": "unknown"}),
     ("deit-ti-s", {"accumulate": 4}, {"batch in chunks": "unknown"}),
     ("resnet-cifar", {"optimiser": {"sgd": {"momentum": 0.9, "nesterov": False, "dampening": 0.3}}},
      {"optimizer.dampening": "deviates"}),
     ("resnet-cifar", {"optimiser": {"sgd": {"momentum": 0.9, "nesterov": False, "form": "caffe"}}},
      {"optimizer.momentum_form": "unknown"}),
     ("resnet-cifar", {"augment": with_step("resnet-cifar", 0, fill="reflect")}, {"augment crop.fill": "unknown"}),
     ("resnet-cifar", {"augment": [*recipes.translated("resnet-cifar").params["augment"], {"crop": {"padding": 4}}]},
      {"augment crop": "deviates"}),
     ("resnet-imagenet", {"schedule": {"plateau": {"metric": "loss", "factor": 0.1, "patience": 3}}},
      {"schedule.metric": "unknown", "schedule.patience": "unknown"}),
     ("simclr-r50", {"hidden": 999}, {"hidden": "unknown"})],
)  # fmt: skip
def test_what_no_source_says_is_told_on_its_own_line(name, changed, told):
    assert news(name, SHORT.get(name), **changed) == told


def test_the_falls_of_a_plateau_are_counted():
    schedule = {"plateau": {"metric": "accuracy", "factor": 0.1, "patience": 10, "floor": 0.01}}  # two falls, not three
    assert news("vgg-imagenet", {"augment": VGG}, schedule=schedule) == {"schedule.number_of_decreases": "deviates"}


def test_augmentation_that_the_study_chose_is_shown_whole():
    told = {line.key: line for line in lines("vgg-imagenet", {"augment": VGG})}
    assert told["aug.resize_shorter_side"].used.startswith("scaled_crop lowest 1.14286, highest 1.14286")


def test_weights_that_are_not_drawn_deviate():
    found = {line.key: line for line in lines("resnet-cifar", begins="0123456789abcdef")}["initialisation"]
    assert (found.outcome, found.used) == ("deviates", "begins with the weights of 0123456789ab")
    found = {line.key: line for line in lines("resnet-cifar", begins="0123", because="a warm start")}["initialisation"]
    assert (found.outcome, found.text) == ("adapted", "not in the recipe; a warm start")


@pytest.mark.parametrize(
    ("dataset", "images", "outcome"),
    [("cifar10", 50000, "exact"), ("cifar10", 45000, "exact"), ("cifar10", 20000, "deviates"),
     ("image_folder", 50000, "unknown"), ("image_folder", 500, "deviates"), ("digits", 50000, "deviates")],
)  # fmt: skip
def test_a_part_of_a_data_set_is_not_the_data_set(dataset, images, outcome):
    found = next(line for line in lines("resnet-cifar", dataset=dataset, images=images) if line.key == "dataset")
    assert found.outcome == outcome
    assert images == 50000 or f"{images:,} of 50,000 training images" in found.text + found.used


@pytest.mark.parametrize(
    ("name", "view", "step", "told"),
    [("simclr-r50", "augment", {"grayscale": {"probability": 0.5}}, {"aug.grayscale_p (augment)": "deviates"}),
     ("mocov3-vit", "second", {"solarize": {"probability": 0.5}}, {"aug.solarize_p (second)": "deviates"}),
     ("mocov3-vit", "second", {"flip": {"probability": 0.1}}, {"second flip": "unknown"}),
     ("simclr-r50", "augment", {"flip": {"probability": 0.1}}, {"aug.crop (augment)": "deviates"}),
     ("mae-vitb16", "augment", {"flip": {"probability": 0.1}}, {"aug.hflip_p (augment)": "deviates"})],
)  # fmt: skip
def test_one_step_of_a_view_is_told_on_the_line_of_its_fact(name, view, step, told):
    (leaf,) = step
    steps = [step if leaf in one else one for one in recipes.translated(name).params[view]]
    assert news(name, {"length": "2 epochs"}, **{view: steps}) == told
