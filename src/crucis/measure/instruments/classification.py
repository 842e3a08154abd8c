"""How well a network classifies the split that was asked for: rates, errors per class, calibration.

precision = right among those predicted as the class, recall = right among those of the class, F1 = their harmonic mean.
The plain columns `precision`, `recall` and `f1` are unweighted means over the classes that occur in the split; the
classes themselves stand under `f1@class=NAME`. `balanced_accuracy` is that mean recall under its usual name, and
`worst_class` the lowest recall. A class that is never predicted has precision 0; `notes.never_predicted` names it.

`ece` compares confidence (the largest probability) with the share that is right, over 15 bins of equal width;
`ece_adaptive` over 15 bins of equal counts. Both are biased upwards in small splits: a perfectly calibrated network has
about sqrt(bins / examples) / 3. `brier` is the quadratic score, from 0 to 2.

Cost: one pass over the split.
Source: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, 2017 (arXiv:1706.04599); J. Nixon et al., 2019 (arXiv:1904.01685);
G. W. Brier, 1950 (doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
Reference case: constant logits over k classes have the loss log k, and the Brier score 1 - 1 / k.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...errors import Refusal
from ...numerics import calibration, confusion
from ...records import Result
from ..evaluate import answers
from ..specimen import Specimen

REVISION = 2
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "loss": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "f1": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True, "within": "class"},
    "precision": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True, "within": "class"},
    "recall": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True, "within": "class"},
    "balanced_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "worst_class": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "ece": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "ece_adaptive": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "brier": {"unit": "1", "range": [0, 2], "axes": [], "headline": False},
    "examples": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
BATCH = 256
BINS = 15
CONFUSION = "confusion.npz"


def measure(specimen: Specimen) -> Result:
    """Evaluate on `split` (validation unless said; test only when unsealed), over all classes of the data set.

    Returns:
        Columns as declared: `accuracy` with its binomial standard error, `loss` (mean cross-entropy, nats) and `brier`
        with that of a mean, recall of a class with its binomial one. `confusion.npz`: `counts` (classes, classes),
        row = label, column = prediction.

    Raises:
        Refusal: `sealed`, `too_few`, `not_finite`, `not_applicable`.
    """
    model, data = specimen.network()
    found = answers(model, specimen.asked(), data.mean, data.std, batch=BATCH, device=specimen.device)
    if not np.isfinite(found.losses).all():
        raise Refusal("not_finite", f"the loss on {len(found.labels)} examples is {found.losses.mean()}")
    probabilities = calibration.softmax(found.logits)
    predicted, confidence = found.logits.argmax(1), probabilities.max(1)
    right, count = predicted == found.labels, len(found.labels)
    brier = calibration.brier_scores(probabilities, found.labels)
    counts = confusion.matrix(found.labels, predicted, found.logits.shape[1])
    each = confusion.per_class(counts)
    names = [data.class_names[k] for k in each.classes]
    accuracy = int(right.sum()) / count
    values: dict[str, Any] = {
        "accuracy": accuracy,
        "loss": float(found.losses.mean()),
        "balanced_accuracy": float(each.recall.mean()),
        "worst_class": float(each.recall.min()),
        "ece": calibration.expected_error(confidence, right, bins=BINS),
        "ece_adaptive": calibration.adaptive_error(confidence, right, bins=BINS),
        "brier": float(brier.mean()),
        "examples": count,
    }
    for name, scores in (("f1", each.f1), ("precision", each.precision), ("recall", each.recall)):
        values |= {name: float(scores.mean()), f"{name}@class": dict(zip(names, scores.tolist(), strict=True))}
    support = counts.sum(1)[each.classes].tolist()
    uncertainty = {
        "accuracy": _binomial(accuracy, count),
        "loss": _of_mean(found.losses),
        "brier": _of_mean(brier),
        "recall@class": {n: _binomial(r, s) for n, r, s in zip(names, each.recall.tolist(), support, strict=True)},
    }
    notes = {"never_predicted": [data.class_names[k] for k in each.never]} if each.never else {}
    return Result(
        values=values, uncertainty=uncertainty, files=specimen.save(CONFUSION, {"counts": counts}), notes=notes
    )


def _binomial(share: float, count: int) -> dict[str, object]:
    return {"se": math.sqrt(share * (1 - share) / count), "n": count, "kind": "binomial"}


def _of_mean(scores: np.ndarray) -> dict[str, object]:
    return {"se": float(scores.std()) / math.sqrt(len(scores)), "n": len(scores), "kind": "mean"}
