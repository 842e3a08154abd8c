"""What a `predict` looks like on the page: predictions against the truth, the permutation null, and a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..report import content as c
from .outcomes import NOISE
from .results import AnalysisResult, ResultRow


def prediction(result: AnalysisResult, rows: Sequence[ResultRow]) -> str:
    """The best model in a sentence, and plainly whether it beats noise."""
    tested = [row for row in rows if row.tested and row.values.get("gain_over_noise") is not None]
    if not tested:
        return f"{len(rows)} rows."
    best = max(tested, key=lambda row: row.values["gain_over_noise"] or 0.0)
    v = best.values
    name, p = best.axes["model"], v.get("p")
    found = p is not None and p < 1.0 - result.confidence
    if (v["gain_over_noise"] or 0.0) <= 0:
        verdict = "No model predicts left-out units better than noise of equal dimension does"
    elif not found:
        verdict = "No model is shown to add to the base; that is no evidence that nothing does"
    else:
        verdict = f"Model {name} adds to the base"
    where = ", ".join(label for axis, label in best.axes.items() if axis not in ("metric", "model"))
    return (
        f"{verdict}. Largest gain over noise{f' ({where})' if where else ''}: model {name}, "
        f"{_number(v['gain_over_noise'])} [{_number(v.get('noise_low'))}, {_number(v.get('noise_high'))}], "
        f"p = {_number(p)}, n = {best.n}."
    )


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def prediction_figures(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Predicted against measured for every model, and the permutation null of every tested one; a set per `each`."""
    sets: dict[tuple[tuple[str, str], ...], list[ResultRow]] = {}
    for row in rows:
        if "told" in row.data and "y" in row.data:
            key = tuple((axis, label) for axis, label in row.axes.items() if axis not in ("metric", "model"))
            sets.setdefault(key, []).append(row)
    for number, (key, members) in enumerate(sets.items()):
        tail = f"-{number + 1}" if len(sets) > 1 else ""
        where = ", ".join(label for _, label in key)
        title = f"{result.name}{f', {where}' if where else ''}"
        yield c.Figure(
            f"{result.name}-predicted{tail}", f"{title}: predicted against measured",
            c.Scatter(tuple(_against(row, _range(members)) for row in members)),
            "Every point is one unit, predicted by a model that never saw it or its group; on the line the prediction "
            f"is right. '{NOISE[1:]}' is a control: noise of equal dimension in place of what the model adds; mean "
            "over its draws. MAE: mean absolute error; R2 is against the mean of the other groups, so that 0 is "
            "no better than that mean.",
            exploratory=result.exploratory, main=number == 0,
        )  # fmt: skip
        nulls = tuple(_null(row) for row in members if len(row.data.get("null", ())) > 1)
        if nulls:
            yield c.Figure(
                f"{result.name}-null{tail}", f"{title}: what permutation gives",
                c.Histogram(nulls, c.Axis("gain in R2 over the base")),
                "Gain in R2 of left-out predictions over the columns shared with the base, worked out again for every "
                "permutation of what the base leaves (Freedman-Lane). The line is the gain with the true order; p is "
                "the share of permutations at or beyond it. Every panel has its own axis.",
                exploratory=result.exploratory, main=number == 0,
            )  # fmt: skip


def _range(rows: Sequence[ResultRow]) -> tuple[float, float]:
    """One range for truth and predictions of all models, so that panels compare and the line is the diagonal."""
    values = [value for row in rows for value in (*row.data["y"], *row.data["told"])]
    pad = 0.04 * (max(values) - min(values))
    return min(values) - pad, max(values) + pad


def _against(row: ResultRow, ends: tuple[float, float]) -> c.ScatterPanel:
    y, told = row.data["y"], row.data["told"]
    points = tuple(c.Dot(str(label), a, b) for label, a, b in zip(row.data["labels"], y, told, strict=True))
    says = f"MAE {_number(row.values.get('mae'))}, R2 {_number(row.values.get('r2'))}, n = {row.n}"
    metric = row.axes.get("metric", "y")
    line = c.Fit(ends, ends, says="prediction = measurement")
    label = f"model {row.axes['model']}"
    return c.ScatterPanel(
        label,
        points,
        c.Axis(f"{metric}, measured", low=ends[0], high=ends[1]),
        c.Axis("predicted", low=ends[0], high=ends[1]),
        line,
        says,
    )


def _null(row: ResultRow) -> c.HistogramPanel:
    null = row.data["null"]
    p = row.values.get("p_raw")
    says = f"observed {_number(null[0])}, p = {_number(p)} before correction, {len(null) - 1} permutations"
    return c.HistogramPanel(f"model {row.axes['model']}", null[1:], null[0], says)


def heat(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Coefficients of many columns with many targets as coloured cells; a picture per `each`."""
    sets: dict[tuple[tuple[str, str], ...], dict[tuple[str, str], ResultRow]] = {}
    for row in rows:
        sets.setdefault(row.data["block"], {})[row.data["sides"]] = row
    for number, (rest, cells) in enumerate(sets.items()):
        across = list(dict.fromkeys(y for _, y in cells))
        down = list(dict.fromkeys(x for x, _ in cells))
        where = ", ".join(label for _, label in rest)
        common, heads = _shortened(across)
        values = [[_value(cells.get((x, y)), "rho") for y in across] for x in down]
        p = [[_value(cells.get((x, y)), "p") for y in across] for x in down]
        level = 1.0 - result.confidence
        yield c.Figure(
            f"{result.name}-heat{f'-{number + 1}' if len(sets) > 1 else ''}",
            f"{result.name}{f', {where}' if where else ''}: all associations at once",
            c.Heat(tuple(down), heads, values, p, level, "\u03c1"),
            f"Spearman's coefficient of every row with every column{common}. A frame marks p < {level:.2g} after "
            "correction for the maximum over all cells of the picture; a cell without a number could not be "
            "computed (all values equal, as where nothing persists).",
            exploratory=result.exploratory, main=number == 0,
        )  # fmt: skip


def _shortened(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Names of one column at many places, `task_b.retention@step=10`, without what they share; and that in words."""
    heads = {name.partition("@")[0] for name in names}
    if len(heads) > 1 or not all("@" in name for name in names):
        return "", tuple(names)
    return f" (of {heads.pop()})", tuple(name.partition("@")[2].replace("@", ", ") for name in names)


def _value(row: ResultRow | None, name: str) -> float | None:
    return None if row is None or row.refused is not None else row.values.get(name)
