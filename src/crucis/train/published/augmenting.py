"""From facts about augmentation to the steps of `augment`, in the order in which published pipelines act.

Crops and flips first, then a policy or a colour jitter, then lighting, erasing after normalisation, mixing last. Sizes
in the facts are those of the published images; a step brings each image to the size of the study's data, which is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import references

if TYPE_CHECKING:
    from .translate import Translation

Step = tuple[tuple[str, ...], dict[str, Any]]
#: Relative to the data: a published side of 224 pixels is the side of the study's images.
ADAPTED = "the side of the data's images stands for the published 224 pixels"
_LIGHTING = ("PCA colour (AlexNet)", "RGB colour shift (AlexNet)")
_FB_RESNET = ("as fb.resnet.torch", "same setting as fb.resnet.torch")


def augmentation(out: Translation) -> None:
    """Put `augment` and `repeats` into a translation."""
    steps: list[Any] = []
    used: list[str] = []
    for part in (_crops, _flips, _colours, _erasing, _mixes):
        for keys, step in part(out):
            steps.append(step)
            used += keys
    if steps:
        sized = any(set(step) & {"resized_crop", "scaled_crop"} for step in steps)
        out.put("augment", steps, *used, how=ADAPTED if sized else "")
    if steps and "augment" in out.open:
        given = ", ".join(next(iter(step)) for step in steps)
        out.open["augment"] += f"; the sources give {given} beside it"
    _repeats(out)


def _said(out: Translation, key: str) -> list[Any]:
    """Every value of a key, in the order in which references speak; marks it as handled."""
    first = out.fact(key)
    rest = [fact for fact in out.recipe.of(key) if fact.role != "derived" and fact != first]
    rest.sort(key=lambda fact: references.RANK.index(fact.role))
    return [fact.value for fact in ([first] if first else []) + rest]


def _pair(text: str, word: str) -> list[float] | None:
    """The two numbers of `word [a, b]`."""
    found = re.search(word + r" \[([\d./]+), ([\d./]+)\]", text)
    return [_number(part) for part in found.groups()] if found else None


def _area(text: str) -> list[float] | None:
    return _pair(text, "(?:area|scale)")


def _number(text: str) -> float:
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


def _crops(out: Translation) -> Iterator[Step]:
    crop, pad = out.value("aug.crop"), out.value("aug.pad")
    sides = out.value("aug.resize_shorter_side")
    text = str(crop)
    if text.startswith("random-resized"):  # a source that follows may say how much of the image
        text = next((str(one) for one in _said(out, "aug.crop") if _area(str(one))), text)
    if text.startswith("random ") and isinstance(pad, int):
        mode = str(out.value("aug.pad_mode", "zero"))
        if mode not in ("zero", "reflection"):
            out.lack("aug.pad_mode", "the trainer pads with zeros or by reflection")
        fill = {"fill": "reflect"} if mode == "reflection" else {}
        yield ("aug.crop", "aug.pad", "aug.pad_mode"), {"crop": {"padding": pad, **fill}}
    elif text.startswith(("random-resized crop", "inception crop")):
        yield _resized(out, text)
    elif (uniform := re.fullmatch(r"uniform \[(\d+), (\d+)\]", str(sides))) and re.fullmatch(r"random \d+", text):
        low, high = (int(part) / int(text.partition(" ")[2]) for part in uniform.groups())
        yield ("aug.crop", "aug.resize_shorter_side"), {"scaled_crop": {"lowest": low, "highest": high}}
    elif sides is not None and crop is not None:
        why = (f"the shorter side is one of several: {sides} pixels, for a crop of {text.removeprefix('random ')}; as "
               "scaled_crop, lowest and highest are the ratios of the two")  # fmt: skip
        out.ask("augment", why, "aug.resize_shorter_side", "aug.crop")
    elif crop is not None or pad is not None:
        out.lack("aug.crop" if crop is not None else "aug.pad", "the trainer has no such crop")


def _resized(out: Translation, text: str) -> Step:
    area, aspect = _area(text), _pair(text, "aspect")
    params: dict[str, Any] = {}
    if area:
        params["smallest"], params["largest"] = area
    if aspect:
        params["aspect"] = aspect[1]
    kind = str(out.value("aug.interpolation", "bicubic" if "bicubic" in text else "bilinear"))
    if kind in ("bilinear", "bicubic"):
        params["interpolation"] = kind
    else:
        out.lack("aug.interpolation", "the trainer interpolates bilinearly or bicubically")
    return ("aug.crop", "aug.interpolation"), {"resized_crop": params}


def _flips(out: Translation) -> Iterator[Step]:
    flip = out.value("aug.hflip_p")
    if isinstance(flip, (int, float)) and flip > 0:
        yield ("aug.hflip_p",), {"flip": {"probability": float(flip)}}


def _colours(out: Translation) -> Iterator[Step]:
    if not out.recipe.task.startswith("supervised"):
        return  # several views, each with colours of its own: the objective's own parameters
    policies = [str(value) for value in _said(out, "aug.policy")]
    made = next((step for step in map(_policy, policies) if step), None)
    jitter = out.value("aug.color_jitter")
    if made is not None:
        yield ("aug.policy",), made
        if jitter is not None:
            fact = out.fact("aug.color_jitter")
            assert fact is not None
            out.outside.append((fact, "timm leaves the colour jitter out beside a policy"))
    elif policies and policies[0] in _FB_RESNET:
        yield from _fb_resnet()
    elif policies and policies[0].endswith("preprocessing"):
        why = f"the sources name '{policies[0]}', and no source that is followed says what it does"
        out.ask("augment", why, "aug.policy")
    elif policies and not policies[0].startswith("none"):
        out.lack("aug.policy", "the trainer has no such policy")
    if made is None and isinstance(jitter, list):
        names = ("brightness", "contrast", "saturation", "hue")
        yield ("aug.color_jitter",), {"color_jitter": dict(zip(names, map(float, jitter), strict=False))}
    elif made is None and jitter is not None:
        out.lack("aug.color_jitter", "the trainer needs three or four strengths")
    std, colour = out.value("aug.pca_lighting"), out.value("aug.color")
    if isinstance(std, float) and std > 0:
        yield ("aug.pca_lighting",), {"pca_lighting": {"std": std}}
    elif colour in _LIGHTING:
        yield ("aug.color",), {"pca_lighting": {"std": 0.1}}
    elif colour not in (None, False, "none"):
        out.lack("aug.color", "the trainer has no such change of colours")


def _fb_resnet() -> Iterator[Step]:
    """What the recipe `resnet-imagenet-torch` says, in its order but for the flip, which no other step depends on."""
    yield ("aug.policy",), {"resized_crop": {}}
    yield (), {"flip": {"probability": 0.5}}
    yield (), {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4}}
    yield (), {"pca_lighting": {"std": 0.1}}


def _policy(text: str) -> dict[str, Any] | None:
    """The step of a policy's name: timm's, `randaugment MAGNITUDE/DEVIATION`, TensorFlow's, or AutoAugment."""
    timm = re.fullmatch(r"rand-m(\d+)-mstd([\d.]+)-inc1", text) or re.fullmatch(r"randaugment (\d+)/([\d.]+)", text)
    if timm:
        return {"rand_augment": {"magnitude": float(timm[1]), "deviation": float(timm[2])}}
    layers = re.fullmatch(r"randaugment (\d+) layers, magnitude (\d+)", text)
    if layers:
        return {"rand_augment": {"ranges": "torchvision", "layers": int(layers[1]), "magnitude": float(layers[2])}}
    return {"auto_augment": {"policy": "v0"}} if text == "autoaugment" else None


def _erasing(out: Translation) -> Iterator[Step]:
    share, mode = out.value("reg.random_erasing"), out.value("reg.random_erasing_mode")
    if not isinstance(share, float) or share <= 0:
        return
    known = {"pixel": "pixel", "const": "mean", "rand": "colour"}
    if mode is not None and mode not in known:
        out.lack("reg.random_erasing_mode", "the trainer erases with the mean colour, a normal colour or normal noise")
    if mode is None:
        out.assumed["augment.random_erasing.mode"] = "not reported; the mean colour chosen here"
    step = {"random_erasing": {"probability": share, "mode": known.get(str(mode), "mean")}}
    yield ("reg.random_erasing", "reg.random_erasing_mode"), step


def _mixes(out: Translation) -> Iterator[Step]:
    mixup, cutmix = out.value("reg.mixup_alpha"), out.value("reg.cutmix_alpha")
    probability, switch = out.value("reg.mixup_prob", 1.0), out.value("reg.mixup_switch_prob", 0.5)
    first, second = isinstance(mixup, (int, float)) and mixup > 0, isinstance(cutmix, (int, float)) and cutmix > 0
    more = ("reg.mixup_prob", "reg.mixup_switch_prob")
    if first and second:
        step = {"mixup_alpha": float(mixup), "cutmix_alpha": float(cutmix), "probability": float(probability),
                "switch": float(switch)}  # fmt: skip
        yield ("reg.mixup_alpha", "reg.cutmix_alpha", *more), {"mix": step}
    elif first:
        some = {"probability": float(probability)} if probability != 1 else {}
        yield ("reg.mixup_alpha", "reg.mixup_prob"), {"mixup": {"alpha": float(mixup), **some}}
    elif second:
        yield ("reg.cutmix_alpha",), {"cutmix": {"alpha": float(cutmix), "probability": float(probability)}}


def _repeats(out: Translation) -> None:
    said = _said(out, "aug.repeated")
    if not said or said[0] is False:
        return
    number = next((value for value in said if isinstance(value, int) and not isinstance(value, bool)), None)
    if number is None:
        out.lack("aug.repeated", "no source says how often")
    else:
        out.put("repeats", number, "aug.repeated")
