"""Which published network a training has: names of the shelf and of other libraries beside those of recipes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import shelf

#: What a foreign library calls a network that recipes call otherwise.
_ALIASES = {
    "mobilenetv2_100": ("mobilenet_v2",), "mobilenetv3_large_100": ("mobilenet_v3_large",),
    "mobilenetv3_small_100": ("mobilenet_v3_small",), "regnety_004": ("regnet_y_400mf",),
    "swin_tiny_patch4_window7_224": ("swin_t",), "vit_base_patch16_224": ("vit_b_16",),
}  # fmt: skip
#: Beginnings of names under which libraries have several networks that differ in more than their size.
_DOUBTFUL = ("vit", "mae_vit")
_FOREIGN = ("timm", "torchvision")


def named(net: Mapping[str, Any]) -> tuple[str, ...]:
    """What recipes may call a network, given as a step's identity `{"leaf": ..., "params": ...}`; the first name is
    that shown to people. Empty for a file of the user's own."""
    leaf = str(net.get("leaf", ""))
    if leaf not in shelf.names("nets"):
        return ()
    about = shelf.leaf("nets", leaf).params
    params = {name: param.default for name, param in about.items() if not param.required} | dict(net["params"])
    if leaf in _FOREIGN:
        name = str(params["name"]).partition(".")[0]
        return (name, *_ALIASES.get(name, ()))
    if leaf == "resnet_cifar" and params["width"] == about["width"].default:
        return (f"resnet{params['depth']}",)
    if leaf == "wrn":
        return (f"wrn_{params['depth']}_{params['widen']:g}",)
    return (_shown(leaf, net["params"]), leaf)


def known(net: Mapping[str, Any], models: tuple[str, ...], small: bool) -> bool | None:
    """Whether a network is one of `models`; None where names do not tell.

    Args:
        net: the network's identity.
        models: what the recipe names.
        small: whether the recipe is one for small images, as the ResNets of `resnet_cifar` are.
    """
    names = named(net)
    if not names:
        return None
    if net["leaf"] == "resnet_cifar" and not small:
        return False  # resnet110 and its like are names of two architectures, told apart by the images
    if set(names) & set(models):
        return True
    family = any(model.startswith(_DOUBTFUL) for model in models)
    return None if family and net["leaf"] in _FOREIGN and names[0].startswith(("vit", "deit")) else False


def _shown(leaf: str, params: Mapping[str, Any]) -> str:
    return f"{leaf} ({', '.join(f'{name} {value}' for name, value in params.items())})" if params else leaf
