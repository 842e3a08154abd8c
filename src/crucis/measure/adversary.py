"""An attack on a whole split, put into numbers: shares of images that withstand, with their errors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import seeds, streams
from ..records import Result
from . import attacks
from .pixels import at_rest, pictures, right
from .pulse import pulse
from .specimen import Specimen

BATCH = 256


def picked(size: int, images: int) -> np.ndarray:
    """Indices of the images that are looked at, ascending: the same for every network and seed."""
    return np.sort(seeds.rng(0, "measure", "images").permutation(size)[:images])


@dataclass(frozen=True)
class Attacked:
    """Who was right before and who withstood, (N,) bool each on the CPU, and the largest change of a pixel."""

    before: Tensor
    after: Tensor
    largest: float


def attacked(
    specimen: Specimen, *, eps: float, steps: int = 0, step: float | None = None, restarts: int = 1, images: int
) -> Attacked:
    """Attack images of the split that was asked for.

    Args:
        eps: largest change of a pixel on the scale 0 to 1.
        steps: of projected gradient descent; 0 is the fast gradient sign method.
        step: change of a pixel in one step; None is 2.5 eps / steps, at most eps.
        restarts: random starts; an image has to withstand all.
        images: how many of the split; all if there are fewer.

    Raises:
        Refusal: `not_applicable`, `sealed`, `too_few`, `not_finite`, `unsupported`.
    """
    seen = pictures(specimen, picked(len(specimen.asked()), images))
    model, _ = specimen.network()
    size = min(eps, 2.5 * eps / max(steps, 1)) if step is None else step
    tick, after, largest = pulse(specimen.ctx), [], 0.0
    with at_rest(model):
        before = right(seen.logits, seen.parts(BATCH))
        for part, (x, y) in enumerate(seen.parts(BATCH)):
            standing = torch.ones_like(y, dtype=torch.bool)
            for k in range(restarts):
                if not steps:
                    moved, still = attacks.fgsm(seen.logits, x, y, eps=eps)
                else:
                    names = specimen.seed, "perturb", specimen.depth, "pgd", k, part
                    moved, still = attacks.pgd(
                        seen.logits, x, y, eps=eps, steps=steps, step=size, start=_uniform(x, *names), tick=tick
                    )
                standing &= still
                largest = max(largest, float((moved - x).abs().max()))
                tick()
            after.append(standing)
    return Attacked(before.cpu(), torch.cat(after).cpu(), largest)


def _uniform(x: Tensor, seed: int, *names: str | int) -> Any:
    def draw() -> Tensor:
        numbers = torch.rand(x.shape, generator=streams.generator(seed, *names))
        return (2 * numbers - 1).to(x.device)

    return draw


def result(found: Attacked) -> Result:
    """The columns of an attack: `clean_accuracy`, `accuracy`, `drop` (their difference), `success` (share of the images
    known before that are lost; 0 if none was known), `images`."""
    count, before, after = len(found.before), float(found.before.double().mean()), float(found.after.double().mean())
    lost = before - after
    values = {
        "accuracy": after, "clean_accuracy": before, "drop": lost, "success": lost / before if before else 0.0,
        "images": count,
    }  # fmt: skip
    uncertainty = {
        "accuracy": _binomial(after, count), "clean_accuracy": _binomial(before, count), "drop": _binomial(lost, count),
    }  # fmt: skip
    return Result(values=values, uncertainty=uncertainty, notes={"largest_change": found.largest})


def _binomial(share: float, count: int) -> dict[str, object]:
    return {"se": math.sqrt(max(share * (1 - share), 0.0) / count), "n": count, "kind": "binomial"}
