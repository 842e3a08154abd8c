"""A second task after the first: how much of the first one's accuracy survives, step by step.

retention(k) = accuracy_A(k) / accuracy_A(0), where k counts optimiser steps on task B; accuracies are over all classes
of the data set, on the examples of task A in the split that was asked for. AURC is the area under the broken line
through (0, 1) and the recorded steps, from 0 to min(500, largest recorded step), divided by that length.

Cost: max(record_at) optimiser steps, and one pass over the split per recorded step.
Source: retention and its area as in the PERSIST protocol; step-wise evaluation is nobody's invention.
Reference case: constant accuracy gives an AURC of 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from ...errors import CrucisError, Refusal
from ...numerics.curves import mean_height
from ...records import Result
from ..evaluate import Scores, accuracy_and_loss
from ..specimen import Probe, Specimen, Trained

REVISION = 1
RANDOM = True
AXES = {"step": "record_at"}
COLUMNS = {
    "retention": {"unit": "ratio", "range": [0, None], "axes": ["step"], "headline": True},
    "accuracy_a": {"unit": "fraction", "range": [0, 1], "axes": ["step"], "headline": False},
    "aurc": {"unit": "ratio", "range": [0, None], "axes": [], "headline": True},
    "accuracy_before": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "accuracy_b": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
}
EXAMPLE = {"record_at": [2, 5, 20]}
BATCH = 256
HORIZON = 500


def perturb(
    specimen: Specimen,
    *,
    strategy: Literal["naive"] = "naive",
    record_at: list[int] = [10, 25, 50, 100, 250, 500],  # noqa: B006 - a literal that the language reads, never changed
) -> Result:
    """Train on task B from the weights of task A and watch task A.

    Args:
        strategy: `naive` trains on and does nothing against forgetting.
        record_at: optimiser steps, increasing, from 1 on; the largest is the length of training.

    Returns:
        Columns as declared; standard errors: binomial for accuracies, of a paired ratio for retention. The trained
        network's files are those of the trainer.

    Raises:
        Refusal: `accuracy_zero` if task A was never known, `not_finite`, `sealed`, `too_few`, `not_applicable`.
        CrucisError: `record_at` is empty, not increasing or starts below 1.
    """
    del strategy  # one value so far; it is part of the step's identity
    if not record_at or record_at[0] < 1 or any(b <= a for a, b in pairwise(record_at)):
        raise CrucisError(f"record_at needs increasing steps from 1 on, got {record_at}")
    model, data = specimen.network()
    if specimen.task is None or specimen.trainer is None:
        raise Refusal("not_applicable", "a second task needs data of its own and a network that can be trained")
    split_a, split_b = specimen.asked(), specimen.task.split(specimen.split)

    def score(net: Any, split: Any, source: Any) -> Scores:
        return accuracy_and_loss(net, split, source.mean, source.std, batch=BATCH, device=specimen.device)

    before = score(model, split_a, data)
    if before.accuracy == 0.0:
        raise Refusal("accuracy_zero", "no example of task A is right before task B, so retention is undefined")
    probe = _probe(before, lambda net: score(net, split_a, data))
    trained = specimen.trainer(specimen.task, steps=record_at[-1], probe=probe, probe_at=(0, *record_at))
    return _result(trained, record_at, before, score(trained.model, split_b, specimen.task))


def _probe(before: Scores, score: Any) -> Probe:
    def probe(net: Any) -> Mapping[str, float]:
        now = score(net)
        return {"accuracy": now.accuracy, "loss": now.loss, "both": float(np.mean(now.correct & before.correct))}

    return probe


def _result(trained: Trained, record_at: list[int], before: Scores, after_b: Scores) -> Result:
    seen, count = trained.probes, len(before.correct)
    start = float(seen[0]["accuracy"])
    if start == 0.0:
        raise Refusal("accuracy_zero", "no example of task A is right before task B, so retention is undefined")
    accuracy = {str(k): float(seen[k]["accuracy"]) for k in record_at}
    retention = {label: value / start for label, value in accuracy.items()}
    end = min(HORIZON, record_at[-1])
    values = {
        "retention": retention,
        "accuracy_a": accuracy,
        "aurc": mean_height([0, *record_at], [1.0, *retention.values()], end),
        "accuracy_before": start,
        "accuracy_b": after_b.accuracy,
    }
    uncertainty = {
        "retention": {
            str(k): {
                "se": _ratio_se(accuracy[str(k)], start, float(seen[k]["both"]), count),
                "n": count,
                "kind": "delta",
            }
            for k in record_at
        },
        "accuracy_a": {label: _binomial(value, count) for label, value in accuracy.items()},
        "accuracy_before": _binomial(start, count),
        "accuracy_b": _binomial(after_b.accuracy, len(after_b.correct)),
    }
    return Result(values=values, uncertainty=uncertainty, files=dict(trained.files))


def _binomial(share: float, count: int) -> dict[str, Any]:
    return {"se": math.sqrt(share * (1 - share) / count), "n": count, "kind": "binomial"}


def _ratio_se(now: float, start: float, both: float, count: int) -> float:
    """Delta method for now/start, both shares of the same `count` examples; `both` is right at both times."""
    ratio, covariance = now / start, both - now * start
    variance = now * (1 - now) + ratio**2 * start * (1 - start) - 2 * ratio * covariance
    return math.sqrt(max(variance, 0.0) / count) / start
