"""Robustness to common corruptions: accuracy on noisy, blurred, brightened, flattened and pixelated images.

`accuracy` is the mean over all corruptions and severities asked for; `accuracy@corruption=NAME` the mean over
severities, `by_severity` that over corruptions, `each` a single pair. `relative_drop` = (clean - corrupted) / clean;
`worst` is the lowest accuracy of one corruption. No reference network is divided by, so numbers of different sets of
corruptions do not compare. For images only.

Cost: 1 + corruptions x severities passes over the images.
Source: D. Hendrycks, T. Dietterich, 2019 (arXiv:1903.12261), with the strengths of CIFAR-10-C; see
`measure/corruptions.py` for what is scaled and what is left out.
Reference case: severity 0 is the untouched image.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from ...errors import CrucisError, Refusal
from ...records import Result
from ..specimen import Specimen
from ..weathering import weathered

REVISION = 1
RANDOM = True
AXES = {"corruption": "corruptions", "severity": "severities"}
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True, "within": "corruption"},
    "relative_drop": {"unit": "ratio", "range": [None, 1], "axes": [], "headline": True},
    "worst": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "clean_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "by_severity": {"unit": "fraction", "range": [0, 1], "axes": ["severity"], "headline": False},
    "each": {"unit": "fraction", "range": [0, 1], "axes": ["corruption", "severity"], "headline": False},
    "images": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
LIMITS = {"severities": "[0, 5]", "images": "[1, 10000000]"}
EXAMPLE = {"severities": [1, 5]}


def measure(
    specimen: Specimen,
    *,
    corruptions: list[
        Literal[
            "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur", "brightness",
            "contrast", "pixelate",
        ]
    ] = [  # noqa: B006 - a literal that the language reads, never changed
        "gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "gaussian_blur", "brightness", "contrast",
        "pixelate",
    ],
    severities: list[int] = [1, 2, 3, 4, 5],  # noqa: B006
    images: int = 1000,
) -> Result:  # fmt: skip
    """Classify corrupted images of the split that was asked for.

    Args:
        corruptions: which ones.
        severities: how strong, 1 (weak) to 5 (strong); 0 leaves the image alone.
        images: how many images; all of the split if there are fewer.

    Returns:
        Columns as declared; standard errors treat images as drawn and corruptions as given.

    Raises:
        Refusal: `not_applicable` for data that are no images, `sealed`, `too_few`, `not_finite`, `accuracy_zero` if no
            untouched image is known.
        CrucisError: a list is empty or says something twice.
        Stopped: asked to; the measurement starts again next time.
    """
    for name, given in (("corruptions", corruptions), ("severities", severities)):
        if not given or len({*given}) != len(given):
            raise CrucisError(f"{name} needs different entries, got {given}")
    before, after = weathered(specimen, corruptions, severities, images)
    count, clean = len(before), float(before.mean())
    if clean == 0.0:
        raise Refusal("accuracy_zero", "no untouched image is classified rightly, so nothing can get worse")
    by_name = {name: float(after[i].mean()) for i, name in enumerate(corruptions)}
    labels = [str(s) for s in severities]
    mean = float(after.mean())
    values: dict[str, Any] = {
        "accuracy": mean,
        "accuracy@corruption": by_name,
        "relative_drop": (clean - mean) / clean,
        "worst": min(by_name.values()),
        "clean_accuracy": clean,
        "by_severity": dict(zip(labels, after.mean((0, 2)).tolist(), strict=True)),
        "each": {n: dict(zip(labels, after[i].mean(1).tolist(), strict=True)) for i, n in enumerate(corruptions)},
        "images": count,
    }
    shares = after.reshape(-1, count).mean(0)
    drop_error = float((before - shares - (clean - mean) / clean * before).std()) / math.sqrt(count) / clean
    uncertainty: dict[str, Any] = {
        "accuracy": _of_mean(shares),
        "accuracy@corruption": {name: _of_mean(after[i].mean(0)) for i, name in enumerate(corruptions)},
        "relative_drop": {"se": drop_error, "n": count, "kind": "delta"},
        "clean_accuracy": _of_mean(before.astype(np.float64)),
    }
    return Result(values=values, uncertainty=uncertainty)


def _of_mean(scores: np.ndarray) -> dict[str, object]:
    return {"se": float(scores.std()) / math.sqrt(len(scores)), "n": len(scores), "kind": "images"}
