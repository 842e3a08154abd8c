"""Figures of a study from its records: learning curves, landscapes, diagrams, retention, associations, effects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..records import Record
from ..report import content as c
from ..stats.line import fit_line
from . import layer_pictures, rates, retention_pictures, terrain
from .bands import BAND, band
from .modelled import heat, prediction_figures
from .nodes import Node
from .pictures_stats import critical_differences, profiles, shaped
from .readings import Readings
from .results import AnalysisResult, ResultRow
from .reviewing import attributed, fronts
from .search_pictures import search_pictures

_MOST_PANELS = 24
_JOINT = "maximum statistic"  # the correction of an analysis that is one picture of cells


def cell_label(readings: Readings, cell: Mapping[str, str]) -> str:
    """The levels of a cell, without factors that have one level only; of a trial also its number."""
    factors = readings.study.factors
    shown = [
        label if name in factors else f"{name} {label}"
        for name, label in cell.items() if name not in factors or len(factors[name].levels) > 1
    ]  # fmt: skip
    return ", ".join(shown) or ", ".join(cell.values()) or "all"


def figures(readings: Readings, results: Mapping[str, AnalysisResult]) -> tuple[c.Figure, ...]:
    """Every figure that the records and results of the study offer, the most telling first."""
    out: list[c.Figure] = []
    for stage, groups in _stages(readings).items():
        files = {name for records in groups.values() for record in records for name in record.body["files"]}
        columns = {name for records in groups.values() for record in records for name in record.values}
        if "retention" in columns:
            out += retention_pictures.retention(stage, groups, _cells(readings, stage))
        if "landscape.npz" in files:
            out += terrain.landscapes(stage, groups)
        if "diagrams.npz" in files:
            out += terrain.diagrams(stage, groups)
        if rates.FILE in files:
            out += rates.ramps(stage, groups)
        if {"layers.npz", "times.npz"} <= files:
            out += layer_pictures.layers(stage, groups)
        if "curve.npz" in files and readings.study.stages[stage].verb == "train":
            out += _curves(stage, groups)
    judged = _judged(readings)
    for result in results.values():
        alike = result.verb == "correlate" and result.correction != _JOINT
        beside = bool(judged) and alike and result.name not in judged
        out += [replace(figure, main=figure.main and not beside) for figure in _of_analysis(result)]
    out += search_pictures(readings)
    order = (
        c.Retention, c.Scatter, c.Histogram, c.Heat, c.Forest, c.Ranks, c.History, c.Slices, c.Parallel, c.Plane,
        c.Contour, c.Surface, c.Diagram, c.Barcode, c.Ramps, c.Dots, c.Curves,
    )  # fmt: skip
    return tuple(sorted(out, key=lambda figure: (figure.exploratory, order.index(type(figure.data)))))


def _judged(readings: Readings) -> set[str]:
    """Analyses that a claim rests on: of many alike, their pictures stand in front."""
    text = " ".join(part for claim in readings.study.claims.values() for part in claim.text)
    return {name for name in readings.study.analysis if re.search(rf"(?<![\w.-]){re.escape(name)}\.", text)}


def _stages(readings: Readings) -> dict[str, dict[str, list[Record]]]:
    """Stage -> cell in words -> records of its seeds that are ok, in the order of the plan."""
    out: dict[str, dict[str, list[Record]]] = {}
    for node in readings.plan.nodes:
        record = None if node.inner else readings.record(node.key)
        if record is not None and record.outcome == "ok":
            label = cell_label(readings, node.instance.cell)
            out.setdefault(node.instance.stage, {}).setdefault(label, []).append(record)
    return out


def _cells(readings: Readings, stage: str) -> dict[str, Mapping[str, str]]:
    """Cell in words -> factor -> level."""
    nodes = [node for node in readings.plan.nodes if node.instance.stage == stage and not node.inner]
    return {cell_label(readings, node.instance.cell): node.instance.cell for node in nodes}


def _keys(groups: Mapping[str, Sequence[Record]]) -> tuple[str, ...]:
    return tuple(record.key for records in groups.values() for record in records)


# -- stages -------------------------------------------------------------------------------------------------------


_TRAINED = "Training accuracy is the running mean since the evaluation before, in training mode."
_PROBED = "Accuracy of frozen features on the validation split; labels took no part in the training of the features."
#: Columns of a curve that are drawn, and their words: of a classifier, and of frozen features.
_COURSES = (("accuracy", "validation"), ("train_accuracy", "training"), ("knn_accuracy", "nearest neighbours"),
            ("linear_accuracy", "linear probe"))  # fmt: skip


def _curves(stage: str, groups: Mapping[str, Sequence[Record]]) -> Iterator[c.Figure]:
    """Nothing where no evaluation was made: after `for: 0 epochs` there is none."""
    panels, probed = [], False
    for label, records in list(groups.items())[:_MOST_PANELS]:
        curves = [record.arrays("curve.npz") for record in records]
        lines = [
            band([(curve["step"], curve[name]) for curve in curves], words)
            for name, words in _COURSES
            if all(name in curve for curve in curves)
        ]
        if lines := [line for line in lines if len(line.x)]:
            panels.append(c.LinePanel(label, tuple(lines)))
        probed = probed or any("knn_accuracy" in curve for curve in curves)
    if not panels:
        return
    yield c.Figure(
        f"{stage}-curves", f"Learning curves of {stage}",
        c.Curves(tuple(panels), c.Axis("optimiser step"), c.Axis("accuracy", "fraction")),
        f"{BAND}. {_PROBED if probed else _TRAINED}",
        _keys(groups), main=False,
    )  # fmt: skip


# -- analyses -----------------------------------------------------------------------------------------------------


def _of_analysis(result: AnalysisResult) -> Iterator[c.Figure]:
    rows = [row for row in result.rows if row.refused is None]
    if not rows:
        return
    if result.verb == "correlate" and result.correction == _JOINT:
        yield from heat(result, result.rows)
    elif result.verb == "correlate":
        yield from _scatter(result, rows)
    elif result.verb == "predict":
        yield from prediction_figures(result, rows)
    elif "groups" in rows[0].data or "panel" in rows[0].data:
        yield from shaped(result, rows)
    elif result.verb == "compare":
        yield from _forests(result, rows)
        yield from critical_differences(result, rows)
        yield from fronts(result, rows)
    elif result.verb == "attribute":
        yield from attributed(result, rows)
    elif result.verb == "describe":
        yield from _dots(result, rows)
        if "iqm" in result.leaves:
            yield from profiles(result, rows)


def _axis_text(axes: Mapping[str, str], *without: str) -> str:
    return ", ".join(label for axis, label in axes.items() if axis not in without)


def _scatter(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    first = result.leaves[0]
    panels = []
    for row in rows:
        data = row.data
        if row.axes.get("method", first) != first or "x" not in data:
            continue
        x, y = np.asarray(data["x"], float), np.asarray(data["y"], float)
        metric, target = row.axes.get("metric", "x"), row.axes.get("with", "y")
        points = tuple(
            c.Dot(str(label), float(a), float(b))
            for label, a, b in zip(data.get("labels", [""] * len(x)), x, y, strict=True)
        )
        fitted = fit_line(x, y, result.confidence)
        at, height, low, high = (part.tolist() for part in fitted) if fitted else ([], [], [], [])
        says = f"least-squares line with its {result.confidence:.0%} band"
        fit = c.Fit(at, height, low, high, says) if fitted else None
        left = "what is left of the ranks of " if data.get("residual") else ""
        panels.append(
            c.ScatterPanel(_axis_text(row.axes, "method"), points, c.Axis(left + metric), c.Axis(left + target), fit,
                           association(result, row))
        )  # fmt: skip
    for start in range(0, len(panels), 8):
        part = tuple(panels[start : start + 8])
        tail = f"-{start // 8 + 1}" if len(panels) > 8 else ""
        yield c.Figure(
            f"{result.name}-scatter{tail}", f"{result.name}: {first.replace('_', ' ')}", c.Scatter(part),
            "Every point is one network on one data set, averaged over seeds. The line is a guide to the eye; the "
            "numbers above each panel are the registered statistic.",
            exploratory=result.exploratory, main=start == 0,
        )  # fmt: skip


def association(result: AnalysisResult, row: ResultRow) -> str:
    """`rho = 0.61 [0.10, 0.90], n = 8, p = 0.11 (Holm over 4)`."""
    name = next((k for k in ("rho", "tau", "r") if row.values.get(k) is not None), None)
    if name is None:
        return f"n = {row.n}"
    low, high = row.values.get("low"), row.values.get("high")
    interval = f" [{low:.2f}, {high:.2f}]" if low is not None and high is not None else ""
    p = row.values.get("p")
    family = f" ({result.correction.capitalize()} over {result.family_size} tests)" if result.family_size > 1 else ""
    tested = f", p = {p:.2g}{family}" if p is not None else ""
    symbol = {"rho": "\u03c1", "tau": "\u03c4"}.get(name, name)
    return f"{symbol} = {row.values[name]:.2f}{interval}, n = {row.n}{tested}"


def _estimate(row: ResultRow, name: str) -> c.Estimate | c.Absent:
    value = row.values.get(name)
    if value is None:
        return c.Absent("refused" if row.refused else "missing", str(row.refused or ""))
    return c.Estimate(value, row.values.get("low"), row.values.get("high"))


def _forests(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Differences around 0 (ratios around 1), and probabilities of improvement around 0.5 in a picture of their own."""
    chance = [row for row in rows if _is_chance(result, row)]
    rest = [row for row in rows if not _is_chance(result, row)]
    if rest:
        ratio = result.units.get("effect") == "ratio"
        yield c.Figure(
            f"{result.name}-effects", f"{result.name}: {'ratios' if ratio else 'differences'} with their intervals",
            c.Forest(_effects(rest), c.Axis("effect", _unit(result, rest)), 1.0 if ratio else 0.0),
            f"Mean difference over pairs of equal seeds with its {result.confidence:.0%} interval. n: pairs present of "
            "pairs planned.", exploratory=result.exploratory,
        )  # fmt: skip
    if chance:
        yield c.Figure(
            f"{result.name}-improvement", f"{result.name}: probabilities of improvement",
            c.Forest(_effects(chance), c.Axis("probability that a run is larger", low=0.0, high=1.0), 0.5),
            f"How often a run of the first level is larger than a run of the second, mean over tasks, with its "
            f"{result.confidence:.0%} interval; 0.5 means no difference. n: pairs present of pairs planned.",
            exploratory=result.exploratory,
        )  # fmt: skip


def _is_chance(result: AnalysisResult, row: ResultRow) -> bool:
    return row.axes.get("method", result.leaves[0]) == "improvement"


def _unit(result: AnalysisResult, rows: Sequence[ResultRow]) -> str:
    return "" if any(_is_chance(result, row) for row in rows) else result.units.get("effect", "")


def _effects(rows: Sequence[ResultRow]) -> tuple[c.Effect, ...]:
    return tuple(
        c.Effect(_axis_text(row.axes), _estimate(row, "effect"), says=f"n = {row.n} of {row.n_planned}") for row in rows
    )


def _dots(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    groups: dict[str, list[ResultRow]] = {}
    for row in rows:
        if "mean" in row.values or "iqm" in row.values:
            groups.setdefault(row.axes.get("metric", result.name), []).append(row)
    middle = "interquartile mean" if result.leaves == ("iqm",) else "mean"
    for metric, members in groups.items():
        clouds = tuple(
            c.Cloud(_axis_text(row.axes, "metric") or metric, list(map(float, row.data.get("x", ()))),
                    _estimate(row, "iqm" if "iqm" in row.values else "mean"))
            for row in members
        )  # fmt: skip
        yield c.Figure(
            f"{result.name}-{metric.replace('.', '-').replace('@', '-').replace('=', '-')}", f"{result.name}: {metric}",
            c.Dots(clouds, c.Axis(metric, result.units.get("mean", ""))),
            f"Every dot is one value; beside them the {middle} with its {result.confidence:.0%} interval.",
            main=False, exploratory=result.exploratory,
        )  # fmt: skip


def node_label(readings: Readings, node: Node) -> str:
    """Levels and seed of a node in words."""
    seed = "" if node.instance.seed is None else f", seed {node.instance.seed}"
    return f"{cell_label(readings, node.instance.cell)}{seed}"
