"""Which published network a training's network is, by name; the line of an audit."""

from __future__ import annotations

from typing import Any

import pytest

from crucis import shelf
from crucis.train import recipes
from crucis.train.published import facts, networks
from crucis.train.published.audit import Training, audit, verdict
from crucis.train.settings import SettingsError, resolve


def net(leaf: str, **params: Any) -> dict[str, Any]:
    return {"leaf": leaf, "params": params, "revision": "1"}


KNOWN = [
    (net("resnet_cifar"), "resnet-cifar", True),
    (net("resnet_cifar", depth=110), "resnet-cifar", True),
    (net("resnet_cifar", depth=26), "resnet-cifar", False),
    (net("resnet_cifar", width=32), "resnet-cifar", False),
    (net("resnet_cifar", depth=50), "resnet-imagenet", False),  # 6 x 8 + 2, and no ResNet-50
    (net("wrn", depth=28, widen=10.0), "wrn-28-10-cifar", True),
    (net("wrn"), "wrn-28-10-cifar", False),
    (net("torchvision", name="resnet50"), "resnet-imagenet", True),
    (net("torchvision", name="resnet101"), "resnet-imagenet", False),
    (net("timm", name="resnet50.a1_in1k"), "resnet-imagenet", True),
    (net("timm", name="regnety_004"), "regnety-400mf", True),
    (net("timm", name="vit_small_patch16_224"), "mocov3-vit", None),  # theirs has twelve heads, timm's six
    (net("vit"), "vit-b16-imagenet-1k", False),
    (net("mlp", widths=[100]), "ewc-permuted-mnist", True),
    (net("mlp"), "resnet-cifar", False),
    (net("./mine.py"), "resnet-cifar", None),
]


@pytest.mark.parametrize(("one", "recipe", "fits"), KNOWN)
def test_a_network_is_known_by_its_name(one: dict[str, Any], recipe: str, fits: bool | None) -> None:
    about = facts.get(recipe)
    assert networks.known(one, about.models, "cifar" in about.dataset) is fits


def test_every_alias_is_a_network_of_a_recipe() -> None:
    models = {model for name in facts.names() for model in facts.get(name).models}
    assert {alias for aliases in networks._ALIASES.values() for alias in aliases} <= models


def test_who_asks_for_a_network_is_told_its_recipes() -> None:
    with pytest.raises(SettingsError, match=r"resnet-cifar trains it\.$"):
        recipes.translated("resnet20")
    with pytest.raises(SettingsError, match=r"resnet-imagenet and resnet-imagenet-torch and simclr-r50 train it\.$"):
        recipes.translated("resnet50")


def test_every_network_of_the_shelf_has_a_name() -> None:
    for leaf in shelf.names("nets"):
        params = {"name": "resnet18"} if leaf in networks._FOREIGN else {}
        assert networks.named(net(leaf, **params))


def test_another_network_is_no_recipe_as_published() -> None:
    made = recipes.translated("resnet-cifar")
    assert made is not None
    settings = resolve(made.params, 50_000)

    def lines(one: dict[str, Any] | None, because: str | None = None) -> Any:
        found = audit(made, Training(settings, None, "cifar10", because, network=one))
        return {line.key: line for line in found}.get("network"), verdict(found)

    line, words = lines(net("resnet_cifar"))
    assert (line.outcome, line.used) == ("exact", "resnet20") and words.startswith("the recipe, as far as")
    line, words = lines(net("mlp"))
    assert (line.outcome, line.used) == ("deviates", "mlp") and words.startswith("deviates from the recipe in network")
    line, words = lines(net("mlp"), "a small machine")
    assert (line.outcome, line.text) == ("adapted", "a small machine") and words.startswith("an adaptation")
    line, words = lines(net("./mine.py"))
    assert (line.outcome, line.used) == ("unknown", "./mine.py") and words.startswith("the recipe, as far as")
    assert lines(None)[0] is None
