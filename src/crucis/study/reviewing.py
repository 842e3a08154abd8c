"""Comparisons and ablations as a reviewer reads them: the table, the conclusion in a sentence, the Pareto front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import Refusal
from ..report import content as c
from ..stats import verdicts
from ..stats.describe import summary
from ..stats.table import Sample
from .costing import Cost, expectation, front
from .results import AnalysisResult, ResultRow
from .spec import Analysis
from .verdict_words import verdict_words

_PANELS = 6  # of an interaction plot
_RECOMMENDED = {"better": "keep", "worse": "drop", "equivalent": "drop", "inconclusive": "undecided"}


def recommendation(row: ResultRow) -> str:
    """Keep, drop or undecided, for a component.

    Keep if its effect is better at the corrected level. Drop if it is worse, or equivalent: smaller than the margin
    with certainty. Else undecided, with the seeds that would decide; no evidence of use is no evidence of uselessness.
    """
    word = next((name for name in verdicts.WORDS if row.values.get(name)), "")
    tail = verdict_words(row).removeprefix("inconclusive").replace("pair", "seed")
    return f"undecided{tail}" if word == "inconclusive" else _RECOMMENDED.get(word, "")


# --- the table -------------------------------------------------------------------------------------------------


def reviewed(analysis: Analysis, result: AnalysisResult) -> bool:
    """Whether a comparison is shown as a reviewer's table: one method, a reference, costs or expectations."""
    wanted = bool(analysis.cost or analysis.expect)
    return result.verb == "compare" and wanted and analysis.against is not None and len(result.leaves) == 1


def table(analysis: Analysis, result: AnalysisResult) -> c.Table:
    """Configuration, value, change, p (corrected), significant, verdict, expectation, costs, n; the reference first."""
    between = analysis.between or ""
    outer = [axis for axis in result.axes if axis not in (between, "against", "metric")]
    metric = len({row.axes.get("metric") for row in result.rows}) > 1
    names = list(dict.fromkeys(price.label for row in result.rows for price in row.data.get("cost", ())))
    unit = {"1": "", "same": ""}.get(result.units.get("effect", ""), result.units.get("effect", ""))
    value = "value" if metric or not result.rows else _without_stage(result.rows[0].axes.get("metric", "value"))
    columns = [
        *([c.Column("metric")] if metric else []), *(c.Column(axis) for axis in outer),
        c.Column("configuration"), c.Column(value, "estimate", unit, "mean over seeds with its interval"),
        c.Column("change", "estimate", unit, f"against {analysis.against}, paired by seed, with its interval"),
        c.Column("p (corrected)", "p"), c.Column("significant", says="whether the corrected p is at most the level"),
        c.Column("verdict"), *([c.Column("expected", "number", unit), c.Column("as expected")] * bool(analysis.expect)),
        *(c.Column(name, "number", says="mean over seeds") for name in names), c.Column("n", "n"),
    ]  # fmt: skip
    rows, seen = [], set()
    for row in result.rows:
        head = [*([row.axes.get("metric", "")] if metric else []), *(row.axes.get(axis, "") for axis in outer)]
        blank = [None, None, "", "", "", *([None, ""] if analysis.expect else [])]
        if tuple(head) not in seen:
            seen.add(tuple(head))
            first = [*head, analysis.against, _mean(row.data.get("b", ()), result.confidence), *blank[1:]]
            rows.append(c.Row((*first, *_prices(row, names, analysis.against or ""), row.n)))
        rows.append(c.Row(_cells(analysis, result, row, head, names), (), ("incomplete",) * row.incomplete))
    return c.Table(tuple(columns), tuple(rows))


def _without_stage(name: str) -> str:
    """`accuracy@at=0.5` of `model.accuracy@at=0.5`."""
    head, at, rest = name.partition("@")
    return f"{head.rpartition('.')[2]}{at}{rest}"


def _cells(
    analysis: Analysis, result: AnalysisResult, row: ResultRow, head: Sequence[str], names: Sequence[str]
) -> tuple[c.Cell, ...]:
    level = row.axes.get(analysis.between or "", "")
    effect, low, high, p = (row.values.get(name) for name in ("effect", "low", "high", "p"))
    change: c.Cell = c.Absent("refused", str(row.refused)) if effect is None else c.Estimate(effect, low, high)
    significant = "" if p is None else "yes" if p <= round(1.0 - result.confidence, 12) else "no"
    held: list[c.Cell] = []
    if analysis.expect:
        wanted = analysis.expect.get(level)
        neutral = 1.0 if result.units.get("effect") == "ratio" else 0.0
        held = [wanted, "" if wanted is None else expectation(wanted, effect, low, high, neutral)]
    n = row.n if row.n == row.n_planned else f"{row.n} of {row.n_planned}"
    mean = _mean(row.data.get("a", ()), result.confidence)
    return (*head, level, mean, change, p, significant, verdict_words(row), *held, *_prices(row, names, level), n)


def _prices(row: ResultRow, names: Sequence[str], level: str) -> list[c.Cell]:
    known = {price.label: price for price in row.data.get("cost", ())}
    return [
        known[name].means[level] if name in known and level in known[name].means else c.Absent("missing")
        for name in names
    ]


def _mean(values: Sequence[float], confidence: float) -> c.Cell:
    if not len(values):
        return c.Absent("missing")
    try:
        found = summary.estimate(Sample(np.array(values)), confidence=confidence)
    except Refusal:
        return c.Estimate(float(np.mean(values)))
    return c.Estimate(float(found["mean"] or 0.0), found["low"], found["high"])


# --- the sentence ----------------------------------------------------------------------------------------------


def conclusion(analysis: Analysis, result: AnalysisResult) -> str:
    """What the numbers of a comparison against a reference or of an attribution say; empty for other analyses."""
    first = result.leaves[0]
    rows = [row for row in result.rows if row.refused is None and row.axes.get("method", first) == first]
    rows = [row for row in rows if row.values.get("effect") is not None and verdict_words(row)]
    if not rows or result.sealed:
        return ""
    if result.verb == "attribute":
        return " ".join(_about_component(result, row) for row in rows[:12])
    if result.verb == "compare" and analysis.against is not None and len(rows) <= 12:
        return " ".join(_about_level(analysis, result, row) for row in rows)
    return ""


def _about_level(analysis: Analysis, result: AnalysisResult, row: ResultRow) -> str:
    level, against = row.axes[analysis.between or ""], row.axes["against"]
    where = [label for axis, label in row.axes.items() if axis not in (analysis.between, "against", "method")]
    word = next((name for name in verdicts.WORDS if row.values.get(name)), "")
    says = {
        "better": f"{level} is better than {against}", "worse": f"{level} is worse than {against}",
        "equivalent": f"{level} and {against} are equivalent within the margin",
        "inconclusive": f"A difference between {level} and {against} was not shown, nor that there is none",
    }[word]  # fmt: skip
    tail = verdict_words(row).partition("(")[2].rstrip(")")
    price = [
        f"{price.means[level] / price.means[against]:.2g} x {price.label}"
        for price in row.data.get("cost", ())
        if level in price.means and price.means.get(against)
    ]
    at = f" At {', '.join(price)}." if price else ""
    return f"{says} ({', '.join(where)}): {_numbers(result, row)}{f'; {tail}' if tail else ''}.{at}"


def _about_component(result: AnalysisResult, row: ResultRow) -> str:
    where = [label for axis, label in row.axes.items() if axis not in ("component", "method")]
    saved = [
        f"{'saves' if value >= 0 else 'costs'} {abs(value):.3g} of {name}"
        for name, value in (row.data.get("saves") or {}).items()
        if value is not None
    ]
    dropping = f"; dropping it {', '.join(saved)}" if saved else ""
    if "-" in row.axes["component"] and "excess" in row.values:
        return f"{row.axes['component']} ({', '.join(where)}): {verdict_words(row)}, {_numbers(result, row)}."
    return f"{row.axes['component']} ({', '.join(where)}): {recommendation(row)}, {_numbers(result, row)}{dropping}."


def _numbers(result: AnalysisResult, row: ResultRow) -> str:
    v = row.values
    p = v.get("p")
    over = f" {result.correction.capitalize()} over {result.family_size}" if result.family_size > 1 else ""
    tested = "" if p is None else f", p {'< 0.001' if p < 0.001 else f'= {p:.2g}'}{over}"
    ends = [v.get(name) for name in ("effect", "low", "high")]
    effect, low, high = ("unknown" if end is None else f"{end:.3g}" for end in ends)
    return f"{effect} [{low}, {high}] (n = {row.n}{f' of {row.n_planned}' if row.n != row.n_planned else ''}{tested})"


# --- figures ---------------------------------------------------------------------------------------------------


def fronts(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """Quality against each cost, one panel per group of rows; the levels of the Pareto front are named."""
    groups: dict[tuple[str, ...], list[ResultRow]] = {}
    first = result.leaves[0]
    for row in rows:
        if row.data.get("cost") and "against" in row.axes and row.axes.get("method", first) == first:
            names = list(row.axes)
            between = names[names.index("against") - 1]
            key = (between, *(label for axis, label in row.axes.items() if axis not in (between, "against", "method")))
            groups.setdefault(key, []).append(row)
    panels = [
        panel
        for (between, *where), members in groups.items()
        for price in members[0].data["cost"]
        if (panel := _panel(result, between, ", ".join(where), members, price)) is not None
    ]
    for start in range(0, len(panels), 8):
        tail = f"-{start // 8 + 1}" if len(panels) > 8 else ""
        yield c.Figure(
            f"{result.name}-pareto{tail}", f"{result.name}: quality against cost",
            c.Scatter(tuple(panels[start : start + 8])),
            f"Means over seeds; bars: {result.confidence:.0%} intervals of the quality. On the front: no other level "
            "is at least as good and as cheap and better in one, by the means.",
            main=start == 0, exploratory=result.exploratory,
        )  # fmt: skip


def _panel(
    result: AnalysisResult, between: str, where: str, rows: Sequence[ResultRow], price: Cost
) -> c.ScatterPanel | None:
    values = {
        rows[0].axes["against"]: rows[0].data.get("b", ()),
        **{r.axes[between]: r.data.get("a", ()) for r in rows},
    }
    means = {level: _mean(found, result.confidence) for level, found in values.items() if level in price.means}
    points = {level: (mean.value, price.means[level]) for level, mean in means.items() if isinstance(mean, c.Estimate)}
    if len(points) < 2:
        return None
    on = front(points, bool(rows[0].data.get("higher", True)))
    dots = tuple(
        c.Dot(level, points[level][1], mean.value, y_low=mean.low, y_high=mean.high,
              group="on the front" if level in on else "beaten")
        for level, mean in means.items() if isinstance(mean, c.Estimate)
    )  # fmt: skip
    metric = rows[0].axes.get("metric", "quality")
    return c.ScatterPanel(where, dots, c.Axis(price.label), c.Axis(metric), says=f"front: {', '.join(on)}")


def attributed(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """The importance of every component, methods side by side, each with its interval."""
    found = []
    for row in rows:
        name = "importance" if row.values.get("importance") is not None else "effect"
        value = row.values.get(name)
        if value is None:
            continue
        low, high = (row.values.get(end) for end in result.intervals.get(name, ("low", "high")))
        where = [label for axis, label in row.axes.items() if axis not in ("method", "metric")]
        method = row.axes.get("method", result.leaves[0]).replace("_", " ")
        says = f"n = {row.n} of {row.n_planned}"
        found.append(c.Effect(", ".join(where), c.Estimate(value, low, high), method, says))
    if found and any("parameter" in row.axes for row in rows):
        yield c.Figure(
            f"{result.name}-importance", f"{result.name}: which parameters of the search mattered",
            c.Forest(tuple(found), c.Axis("share of the variance"), 0.0),
            f"Share of the variance of the objective that a parameter explains, with its {result.confidence:.0%} "
            "interval. n: complete trials of those that were trained in full. Trials lie where the search looked, so "
            "a share says what varied there; it is no effect size.",
            exploratory=result.exploratory, main=False,
        )  # fmt: skip
    elif found:
        unit = result.units.get("effect", result.units.get("importance", ""))
        pairs = any("excess" in row.values for row in rows)
        about = (
            "(Both - only the one) - (only the other - neither), averaged over the other components: above 0, two "
            "components give more together than the sum of what each gives."
            if pairs
            else "Main effects and Shapley values have a sign; the importance in a forest has none and is near half of "
            "an additive effect."
        )
        title = "interactions of two components" if pairs else "what each component contributes"
        yield c.Figure(
            f"{result.name}-importance", f"{result.name}: {title}",
            c.Forest(tuple(found), c.Axis("interaction" if pairs else "contribution", unit), 0.0),
            f"Means over seeds with their {result.confidence:.0%} intervals. {about}",
            exploratory=result.exploratory,
        )  # fmt: skip
        if pairs:
            yield from _crossing(result, rows)


def _crossing(result: AnalysisResult, rows: Sequence[ResultRow]) -> Iterator[c.Figure]:
    """The interaction plot: what one component gives with and without the other, for the pairs that differ most."""
    known = [row for row in rows if row.data.get("y") and row.values.get("effect") is not None]
    known.sort(key=lambda row: -abs(row.values["effect"] or 0.0))
    panels = []
    for row in known[:_PANELS]:
        names, coded, y = row.data["names"], np.array(row.data["coded"]), np.array(row.data["y"], dtype=np.float64)
        first, second = (names.index(name) for name in row.axes["component"].split("-"))
        lines = []
        for state, word in ((1, "with"), (0, "without")):
            cells = [y[:, (coded[:, first] == at) & (coded[:, second] == state)] for at in (0, 1)]
            if all(cell.shape[1] for cell in cells):
                seeds = np.stack([cell.mean(axis=1) for cell in cells])  # (2, blocks)
                low, high = (seeds.min(axis=1), seeds.max(axis=1)) if seeds.shape[1] > 1 else ((), ())
                label = f"{word} {names[second]}"
                lines.append(c.Line(label, [0, 1], seeds.mean(axis=1).tolist(), list(low), list(high), len(y)))
        where = [label for axis, label in row.axes.items() if axis not in ("method", "metric", "component")]
        if len(lines) == 2:
            panels.append(c.LinePanel(", ".join([f"{names[first]} x {names[second]}", *where]), tuple(lines)))
    if panels:
        yield c.Figure(
            f"{result.name}-crossing", f"{result.name}: the pairs that interact most",
            c.Curves(tuple(panels), c.Axis("first component: 0 left out, 1 in", low=0.0, high=1.0),
                     c.Axis(known[0].axes.get("metric", "value"), result.units.get("effect", ""))),
            "Mean over all runs with the pair in that state; lines are means over seeds, bands reach from the smallest "
            "to the largest seed. Parallel lines: the two components add up. The table says which differences are "
            "larger than chance.",
            exploratory=result.exploratory, main=False,
        )  # fmt: skip
