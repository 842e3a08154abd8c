"""The data of pictures, one frozen class per kind. Every line, band, fit and interval arrives computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crucis.report.rates import Ramps
from crucis.report.trials import History, Parallel, Plane, Slices
from crucis.report.values import Absent, Estimate


@dataclass(frozen=True)
class Axis:
    """Name and unit of an axis, and its scale (`linear` or `log`); low and high fix its ends."""

    label: str
    unit: str = ""
    scale: str = "linear"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    """A line with its band. `n` is how many seeds it is the mean of; low and high may be empty."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    n: int | None = None


@dataclass(frozen=True)
class LinePanel:
    """One small picture with a few lines."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Curves:
    """Learning curves: one panel per network, say, and in it one line per split or metric.

    key: name the lines above the picture even if there is one panel, because they end in one place.
    """

    panels: tuple[LinePanel, ...]
    x: Axis
    y: Axis
    key: bool = False


@dataclass(frozen=True)
class Retention:
    """Retention against steps of the second task, one line per arm. x = 0 is before the first step.

    `summary` of an arm (same order as lines) is printed in its panel: "AURC 0.41". With `panels` (and no `lines`)
    every panel has a few arms, the same ones in each, and `summary` is one text per
    panel, left out where there is no room.
    """

    lines: tuple[Line, ...] = ()
    x: Axis = field(default_factory=lambda: Axis("step of the second task"))
    y: Axis = field(default_factory=lambda: Axis("retention", "fraction"))
    summary: tuple[str, ...] = ()
    panels: tuple[LinePanel, ...] = ()


@dataclass(frozen=True)
class Slice:
    """A plane through weight space: loss[i][j] at (a[i], b[j]); the trained point is at `centre`."""

    label: str
    a: Sequence[float]
    b: Sequence[float]
    loss: Sequence[Sequence[float]]
    centre: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Contour:
    """Slices of a loss landscape as filled contours on one shared colour scale (logarithmic where the range asks)."""

    panels: tuple[Slice, ...]
    x: Axis = field(default_factory=lambda: Axis("along direction 1"))
    y: Axis = field(default_factory=lambda: Axis("along direction 2"))
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))
    columns: int | None = None


@dataclass(frozen=True)
class Surface:
    """The same slices as surfaces in perspective (a few only: each is heavy)."""

    panels: tuple[Slice, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Bars:
    """One persistence diagram: (birth, death) of components (H0) and loops (H1); a death of infinity never ends.

    floor: bars shorter than this are within the noise (None: no floor known).
    """

    label: str
    h0: Sequence[tuple[float, float]]
    h1: Sequence[tuple[float, float]] = ()
    floor: float | None = None


@dataclass(frozen=True)
class Diagram:
    """Persistence diagrams: death against birth."""

    panels: tuple[Bars, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Barcode:
    """The same bars drawn as bars, longest first."""

    panels: tuple[Bars, ...]
    level: Axis = field(default_factory=lambda: Axis("loss", "nats"))


@dataclass(frozen=True)
class Dot:
    """A labelled point with the intervals over its seeds."""

    label: str
    x: float
    y: float
    x_low: float | None = None
    x_high: float | None = None
    y_low: float | None = None
    y_high: float | None = None
    group: str = ""


@dataclass(frozen=True)
class Fit:
    """A fitted line with its interval band, as computed by the analysis; `says` names both."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    says: str = ""


@dataclass(frozen=True)
class ScatterPanel:
    """One scatter: points, fit, and what is printed above it: "rho 0.61 [0.10, 0.90], n = 8, p = 0.11 (Holm)"."""

    label: str
    points: tuple[Dot, ...]
    x: Axis
    y: Axis
    fit: Fit | None = None
    says: str = ""


@dataclass(frozen=True)
class Scatter:
    """One or more scatters."""

    panels: tuple[ScatterPanel, ...]


@dataclass(frozen=True)
class Effect:
    """One row of a forest plot. `says` is printed at the right, for instance "n = 24"."""

    label: str
    estimate: Estimate | Absent
    group: str = ""
    says: str = ""


@dataclass(frozen=True)
class Forest:
    """Effects with their intervals against a reference; `margin` shades reference +- margin."""

    effects: tuple[Effect, ...]
    x: Axis
    reference: float | None = 0.0
    margin: float | None = None


@dataclass(frozen=True)
class Cloud:
    """One cell: its single values (one per seed), and their mean with interval."""

    label: str
    values: Sequence[float]
    estimate: Estimate | Absent
    group: str = ""


@dataclass(frozen=True)
class Dots:
    """Values over cells: every seed as a dot, mean and interval beside it."""

    clouds: tuple[Cloud, ...]
    x: Axis


@dataclass(frozen=True)
class HistogramPanel:
    """A distribution and one value in it, which a line marks."""

    label: str
    values: Sequence[float]
    mark: float
    says: str = ""


@dataclass(frozen=True)
class Histogram:
    """Distributions side by side on one axis."""

    panels: tuple[HistogramPanel, ...]
    x: Axis


@dataclass(frozen=True)
class Heat:
    """Coefficients in [-1, 1] as coloured cells; those with p below `level` are framed. None: there is no number."""

    panels: tuple[str, ...]  # the rows' names, from the top
    columns: tuple[str, ...]
    values: Sequence[Sequence[float | None]]
    p: Sequence[Sequence[float | None]]
    level: float
    symbol: str = "r"


@dataclass(frozen=True)
class RankPanel:
    """Mean ranks of levels over n rows, best first: (label, mean rank), from 1 to the number of levels.

    critical: mean ranks further apart differ; bars: (lowest, highest) mean rank of each group that cannot be told
    apart.
    """

    label: str
    levels: tuple[tuple[str, float], ...]
    critical: float
    n: int
    bars: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Ranks:
    """Critical-difference diagrams."""

    panels: tuple[RankPanel, ...]
    x: Axis = field(default_factory=lambda: Axis("mean rank"))


FigureData = (
    Curves | Retention | Contour | Surface | Diagram | Barcode | Scatter | Forest | Dots
    | Ranks | History | Slices | Parallel | Plane | Histogram | Heat | Ramps
)  # fmt: skip
