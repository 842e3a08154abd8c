"""Augmentations beside facts: which step and which of its parameters a fact is about, what no fact is about, how often
and in which order the steps stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .facts import said

#: Facts that are about some parameters of a step; all others are about the whole step.
OPTIONS = {
    "aug.pad": ("padding",), "aug.pad_mode": ("fill",), "aug.hflip_p": ("probability",), "aug.interpolation":
    ("interpolation",), "aug.pca_lighting": ("std",), "reg.random_erasing": ("probability",),
    "reg.random_erasing_mode": ("mode",), "reg.mixup_alpha": ("mixup_alpha", "alpha"), "reg.cutmix_alpha":
    ("cutmix_alpha", "alpha"), "reg.mixup_prob": ("probability",), "reg.mixup_switch_prob": ("switch",),
    "aug.resize_shorter_side": ("lowest", "highest"), "aug.crop": ("smallest", "largest", "aspect"),
    "aug.color_jitter": ("brightness", "contrast", "saturation", "hue"),
}  # fmt: skip
_STEPS = {
    "aug.crop": ("crop", "resized_crop", "scaled_crop"), "aug.interpolation": ("resized_crop", "scaled_crop"),
    "aug.resize_shorter_side": ("scaled_crop",), "aug.pad": ("crop",), "aug.pad_mode": ("crop",),
    "aug.hflip_p": ("flip",), "aug.policy": ("rand_augment", "auto_augment", "color_jitter"),
    "aug.color_jitter": ("color_jitter",), "aug.pca_lighting": ("pca_lighting",), "aug.color": ("pca_lighting",),
    "reg.random_erasing": ("random_erasing",), "reg.random_erasing_mode": ("random_erasing",),
}  # fmt: skip
_MIXES = ("mix", "mixup", "cutmix")


def part(key: str, theirs: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The step of the recipe that a fact is about, and the parameters of it."""
    step = next(name for name in _STEPS.get(key, _MIXES) if name in theirs)
    applied = key == "aug.crop" and step in ("crop", "scaled_crop")
    return step, ("",) if applied else OPTIONS.get(key, ())


def chosen(step: Mapping[str, Any] | None, options: tuple[str, ...], theirs: Mapping[str, Any]) -> str:
    """What a step does, in words; of `theirs` only what the recipe decides, so that defaults of either side agree."""
    if step is None or options == ("",):
        return "applied" if step else "not applied"
    some = [name for name in options if name in theirs] or [name for name in theirs if theirs[name] is not None]
    values = [step.get(name, "none") for name in some]
    if len(values) == 1:
        return said(values[0])
    return ", ".join(f"{name} {said(value)}" for name, value in zip(some, values, strict=True)) or "applied"


def silent(keys: Mapping[str, tuple[str, tuple[str, ...]]], theirs: Mapping[str, Mapping[str, Any]],
           used: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, Any, Any]]:  # fmt: skip
    """Parameters of common steps that no fact is about and that differ: key of the line, the recipe's value, the used.

    Args:
        keys: fact -> its step and parameters, as `part` has them; theirs, used: step -> its parameters.
    """
    for step in theirs:
        about = {name for one, options in keys.values() if one == step for name in options}
        whole = any(one == step and not options for one, options in keys.values())
        told = about | {name for name, value in theirs[step].items() if whole and value is not None} | {"name"}
        for name, value in theirs[step].items():
            mine = used.get(step, {}).get(name, value)
            if name not in told and mine != value:
                yield f"augment {step}.{name}", value, mine


def repeated(theirs: Sequence[str], used: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """Steps that stand there more often than in the recipe: name, how often in the recipe, how often used."""
    wanted, found = Counter(theirs), Counter(used)
    yield from ((name, wanted[name], found[name]) for name in wanted if found[name] > wanted[name])


def orders(theirs: Sequence[str], used: Sequence[str]) -> tuple[str, str] | None:
    """The steps that both have, in the recipe's order and in the used one; None if that is the same."""
    both = [[name for name in dict.fromkeys(one) if name in other] for one, other in ((theirs, used), (used, theirs))]
    return None if both[0] == both[1] else (", ".join(both[0]), ", ".join(both[1]))


def shown(step: Mapping[str, Any]) -> str:
    """A step with its parameters."""
    given = ", ".join(f"{name} {said(value)}" for name, value in step.items() if name != "name" and value is not None)
    return f"{step['name']} {given}".strip()
