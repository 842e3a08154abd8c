"""The data of pictures of learning-rate ranges. Every mean and interval arrives computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crucis.report.values import Estimate


@dataclass(frozen=True)
class RampLine:
    """One seed's ramp: its rates, and the smoothed loss at each; places that are not finite are left out."""

    rates: Sequence[float]
    losses: Sequence[float]


@dataclass(frozen=True)
class RampPanel:
    """One network: the ramps of its seeds, and what was found.

    largest: largest stable rate, mean over seeds with its interval, or None; steepest: likewise, of the fastest fall;
    advised: from a tenth to a third of the largest, or None.
    """

    label: str
    ramps: tuple[RampLine, ...]
    largest: Estimate | None = None
    steepest: Estimate | None = None
    advised: tuple[float, float] | None = None


@dataclass(frozen=True)
class Ramps:
    """Loss against a rising learning rate, a panel per network."""

    panels: tuple[RampPanel, ...]
    unit: str = "nats"
