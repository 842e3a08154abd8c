"""Augmentation of published recipes: facts to steps by hand, every wrong step on its line, repeats, what ran."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from train_cases import images, job, run

from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import Split
from crucis.train import recipes
from crucis.train.feed import Feed
from crucis.train.published import facts
from crucis.train.published.audit import Training, audit
from crucis.train.published.translate import translate
from crucis.train.settings import SettingsError, choice, resolve

WHOLE = {"smallest": 0.08, "largest": 1.0, "aspect": 4 / 3, "interpolation": "bicubic"}
JITTER = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}
TIMM = [
    {"resized_crop": WHOLE}, {"flip": {"probability": 0.5}}, {"rand_augment": {"magnitude": 9.0, "deviation": 0.5}},
    {"random_erasing": {"probability": 0.25, "mode": "pixel"}},
    {"mix": {"mixup_alpha": 0.8, "cutmix_alpha": 1.0, "probability": 1.0, "switch": 0.5}},
]  # fmt: skip
FLIP = {"flip": {"probability": 0.5}}
PUBLISHED = {
    "deit-ti-s": TIMM, "convnext-t": TIMM, "swin-t": TIMM,
    "resnet-imagenet": [{"scaled_crop": {"lowest": 256 / 224, "highest": 480 / 224}}, FLIP,
                        {"pca_lighting": {"std": 0.1}}],
    "resnet-imagenet-torch": [{"resized_crop": {"interpolation": "bilinear"}}, FLIP, {"color_jitter": JITTER},
                              {"pca_lighting": {"std": 0.1}}],
    "densenet121": [{"resized_crop": {}}, FLIP, {"color_jitter": JITTER}, {"pca_lighting": {"std": 0.1}}],
    "efficientnet-b0": [{"resized_crop": WHOLE}, FLIP, {"auto_augment": {"policy": "v0"}}],
    "mixer-b16": [{"rand_augment": {"ranges": "torchvision", "layers": 2, "magnitude": 15.0}},
                  {"mixup": {"alpha": 0.5}}],
    "regnety-400mf": [{"resized_crop": {"smallest": 0.08, "largest": 1.0, "interpolation": "bilinear"}}, FLIP,
                      {"pca_lighting": {"std": 0.1}}],
}  # fmt: skip


def steps(written):
    return [choice(item, "augment").load("augment")(**choice(item, "augment").params) for item in written]


@pytest.mark.parametrize("name", PUBLISHED)
def test_facts_become_steps_in_an_order_that_acts(name):
    made = translate(facts.get(name))
    assert made.params["augment"] == PUBLISHED[name]
    assert Pipeline(steps(made.params["augment"]))
    sized = any("crop" in step for item in PUBLISHED[name] for step in item)
    assert ("stands for the published 224 pixels" in made.origin["augment"]) == sized


def test_repeats_and_what_a_policy_replaces():
    made = translate(facts.get("deit-ti-s"))
    assert made.params["repeats"] == 3 and "repeats" not in translate(facts.get("swin-t")).params
    assert [why for fact, why in made.outside if fact.key == "aug.color_jitter"] == [
        "timm leaves the colour jitter out beside a policy"
    ]
    vgg = translate(facts.get("vgg-imagenet"))
    assert vgg.params["augment"] == [FLIP, {"pca_lighting": {"std": 0.1}}] and "S = 256" in vgg.open["augment"]


def lines(name, **changed):
    made = recipes.published(name)
    return audit(made, Training(resolve({**made.params, **changed}, 50000), None, made.recipe.dataset))


def swapped(name, place, step):
    written = list(PUBLISHED[name])
    written[place : place + 1] = [] if step is None else [step]
    return written


@pytest.mark.parametrize(
    ("name", "place", "step", "keys"),
    [("convnext-t", 0, {"resized_crop": {**WHOLE, "smallest": 0.2}}, {"aug.crop"}),
     ("convnext-t", 0, {"resized_crop": {**WHOLE, "interpolation": "bilinear"}}, {"aug.interpolation"}),
     ("convnext-t", 2, {"rand_augment": {"magnitude": 7.0, "deviation": 0.5}}, {"aug.policy"}),
     ("convnext-t", 3, {"random_erasing": {"probability": 0.25, "mode": "mean"}}, {"reg.random_erasing_mode"}),
     ("convnext-t", 3, None, {"reg.random_erasing", "reg.random_erasing_mode"}),
     ("convnext-t", 4, {"mix": {"mixup_alpha": 0.8, "cutmix_alpha": 0.5}}, {"reg.cutmix_alpha"}),
     ("densenet121", 1, None, {"augment flip"}),
     ("densenet121", 2, {"color_jitter": {"brightness": 0.2}}, {"aug.policy"}),
     ("resnet-imagenet-torch", 3, {"pca_lighting": {"std": 0.2}}, {"aug.pca_lighting"})],
)  # fmt: skip
def test_one_wrong_step_is_caught_on_its_line(name, place, step, keys):
    before = {line.key for line in lines(name) if line.outcome == "deviates"}
    wrong = {line.key for line in lines(name, augment=swapped(name, place, step)) if line.outcome == "deviates"}
    assert wrong - before == keys and not before & {"aug.crop", "aug.policy", "aug.repeated"}


def test_the_size_of_a_crop_is_said_to_follow():
    found = {line.key: line for line in lines("convnext-t")}
    assert found["aug.crop"].outcome == "derived" and "data's images" in found["aug.crop"].text
    extra = {line.key for line in lines("convnext-t", repeats=3) if line.outcome == "deviates"}
    assert "aug.repeated" in extra


def test_what_ran_is_noted_and_held_against_the_recipe(tmp_path):
    changed = {"length": "3 steps", "batch": 16, "augment": TIMM, "repeats": 2}
    from torch import nn

    net = lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))  # noqa: E731
    notes = run(tmp_path, job(images(n=70), net, **changed))[0].notes["trained"]
    assert [step["name"] for step in notes["augment"]] == [
        "resized_crop",
        "flip",
        "rand_augment",
        "random_erasing",
        "mix",
    ]
    assert notes["repeats"] == 2 and notes["augment"][2]["interpolation"] == "bicubic"
    made = translate(facts.get("convnext-t"))
    found = {
        line.key: line.outcome for line in audit(made, Training(resolve({**made.params, **changed}, 70), notes, ""))
    }
    assert found["aug.policy"] == found["reg.random_erasing_mode"] == found["reg.cutmix_alpha"] == "exact"
    assert found["aug.repeated"] == "deviates"


# --- repeated augmentation ---


def feed(repeats: int, n: int = 50) -> Feed:
    x = np.random.default_rng(0).integers(0, 256, (n, 6, 6, 3), dtype=np.uint8)
    source = Resident(Split(x, np.arange(n) % 3), (0.5,) * 3, (0.25,) * 3, classes=3)
    settings = resolve({"batch": 12, "repeats": repeats, "augment": ["flip", {"crop": {"padding": 2}}]}, n)
    return Feed(source, settings, (1, "train", 0))


def test_an_epoch_holds_a_part_of_the_examples_several_times():
    """DeiT's sampler over all processes, written out: every index three times in a row, cut to the length."""
    plain, repeated = feed(1), feed(3)
    for epoch in (0, 1):
        indices = plain.order(epoch).tolist()
        assert sorted(indices) == list(range(50))
        assert repeated.order(epoch).tolist() == [one for one in indices for _ in range(3)][:50]
    x, _ = repeated.epoch(0)(0)
    assert not all(torch.equal(x[3 * i], x[3 * i + 1]) for i in range(4))  # each with its own augmentation
    with pytest.raises(SettingsError, match="repeats"):
        resolve({"repeats": 0}, 50)
