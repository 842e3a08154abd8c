"""Learning-rate ranges of several seeds together: means on a logarithmic scale with intervals, and their picture.

Rates are compared as ratios, so the mean is the geometric one and its interval that of Student's t for the logarithms.
A seed without a limit below the end of its ramp is counted, never averaged over.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..records import Record
from ..report import content as c
from ..stats.tails import t_quantile

FILE = "lr_range.npz"
CONFIDENCE = 0.95
_MOST_PANELS = 16


@dataclass(frozen=True)
class Advice:
    """What the seeds of one network say.

    Attributes:
        n: seeds with a range test.
        largest, steepest: geometric mean with its interval (no interval from one seed), or None if a seed has none.
        advised: a tenth and a third of `largest`, or None.
        spread: smallest and largest of the seeds' largest stable rates, or None.
        without: reasons of the seeds that have no largest rate.
    """

    n: int
    largest: c.Estimate | None
    steepest: c.Estimate | None
    advised: tuple[float, float] | None
    spread: tuple[float, float] | None
    without: tuple[str, ...]


def advice(records: Sequence[Record]) -> Advice:
    """The range tests of the seeds of one cell, taken together.

    Reference case: seeds with 0.1 and 0.4 have the mean 0.2.
    """
    found = [float(record.values["largest"]) for record in records if "largest" in record.values]
    falls = [float(record.values["steepest"]) for record in records if "steepest" in record.values]
    left = [record.body.get("notes", {}).get("left_out", {}) for record in records]
    largest = mean(found) if len(found) == len(records) else None
    return Advice(
        len(records), largest, mean(falls) if len(falls) == len(records) else None,
        None if largest is None else (largest.value / 10, largest.value / 3),
        (min(found), max(found)) if found else None, tuple(why["largest"] for why in left if "largest" in why),
    )  # fmt: skip


def mean(rates: Sequence[float]) -> c.Estimate | None:
    """Geometric mean and its 95 % interval (Student's t of the logarithms); None of nothing."""
    if not rates:
        return None
    logs = np.log(np.asarray(rates, np.float64))
    middle = float(logs.mean())
    if len(logs) < 2:
        return c.Estimate(math.exp(middle))
    half = t_quantile(0.5 + CONFIDENCE / 2, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return c.Estimate(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def ramps(stage: str, groups: Mapping[str, Sequence[Record]]) -> Iterator[c.Figure]:
    """The picture of a stage's range tests: cell in words -> records of its seeds."""
    chosen = {label: [r for r in records if FILE in r.body["files"]] for label, records in groups.items()}
    panels = tuple(_panel(label, records) for label, records in list(chosen.items())[:_MOST_PANELS] if records)
    if not panels:
        return
    seeds = max(len(panel.ramps) for panel in panels)
    yield c.Figure(
        f"{stage}-ramps", f"Which learning rates {stage} stands", c.Ramps(panels),
        "Smoothed training loss while the learning rate rises by a constant factor per optimiser step, one line per "
        f"seed ({seeds} at most). The ramp passes the limit before the loss shows it, so the largest stable rate comes "
        "from trials at fixed rates; line and band: geometric mean over seeds with its 95 % interval (Student's t).",
        tuple(record.key for records in chosen.values() for record in records),
    )  # fmt: skip


def _panel(label: str, records: Sequence[Record]) -> c.RampPanel:
    lines = []
    for record in records:
        arrays = record.arrays(FILE)
        kept = np.isfinite(arrays["smoothed"])
        lines.append(c.RampLine(arrays["rate"][kept].tolist(), arrays["smoothed"][kept].tolist()))
    told = advice(records)
    return c.RampPanel(label, tuple(lines), told.largest, told.steepest, told.advised)
