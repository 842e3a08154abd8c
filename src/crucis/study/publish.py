"""From results and records to the content of a report page. Words and arrangement only; numbers come finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import yaml

from ..report import content as c
from . import account, auditing, checklist, profiles, reacted, registry, reviewing
from .confounding import foreseen
from .gates.page import shown
from .modelled import prediction
from .naming import meant, named
from .pictures import association, cell_label, figures
from .plan import Plan
from .readings import Readings
from .results import AnalysisResult, Criterion, ResultRow, Verdict
from .session import Conclusion, Session
from .spec import Study
from .stage_tables import stage_table
from .table import Missing
from .verdict_words import VERDICT, judged, verdict_words

_STATES = ("ok", "refused", "diverged", "failed", "sealed", "missing")
_HOLDS = {"true": "holds", "false": "fails", "unknown": "cannot tell"}
_MAX_SOURCES = 2000
_LONGEST = 60  # characters of a changed value; the whole stands in the resolved study


def page_of(session: Session, conclusion: Conclusion) -> c.Page:
    """Everything that the page says. A function of the study, its records and ledgers; of nothing else."""
    study, readings = session.study, conclusion.readings
    registration = registry.current(study, session.store)
    after = registry.late(study, registration)
    results = {name: named(study, result) for name, result in conclusion.results.items()}
    return c.Page(
        title=study.name, study=study.name, question=study.question or "", preset=study.preset or "",
        summary=_summary(readings, conclusion),
        verdicts=tuple(_verdict(study, verdict, after) for verdict in conclusion.verdicts.values()),
        gates=shown(session, conclusion.gates),
        figures=(*figures(readings, results), *profiles.pictures(readings)),
        design=_design(readings), changes=_changes(session), registration=_registration(session, registration),
        power=foreseen(study, session.plan),
        analyses=tuple(_analysis(session, result, after) for result in results.values()),
        stages=(
            *filter(None, (stage_table(readings, name, _what(readings.plan, name)) for name in study.stages)),
            *reacted.tables(readings), *profiles.tables(readings),
        ),
        audits=auditing.pages(session), limits=_limits(session, conclusion),
        sources=_sources(readings), environment=account.environment(readings),
        cost=account.cost(readings), commands=account.commands(session),
        checklist=tuple(c.Tick(t.what, t.holds, t.says) for t in checklist.after(session, conclusion)),
        settings=tuple(c.Setting(*line) for line in checklist.settings(session)),
    )  # fmt: skip


def analysis_of(session: Session, conclusion: Conclusion, name: str) -> c.Analysis:
    """One analysis as the page shows it.

    Raises:
        KeyError: no such analysis.
    """
    after = registry.late(session.study, registry.current(session.study, session.store))
    return _analysis(session, named(session.study, conclusion.results[name]), after)


# -- verdicts -----------------------------------------------------------------------------------------------------


def _summary(readings: Readings, conclusion: Conclusion) -> tuple[str, ...]:
    counts = Counter(readings.state(node) for node in readings.plan.by_key.values())
    total = sum(counts.values())
    done = counts["ok"] + counts["refused"] + counts["diverged"]
    text = [f"{done} of {total} steps have a record, over {_seeds_in_words(readings.plan)} per cell."]
    outcomes = Counter(verdict.outcome for verdict in conclusion.verdicts.values())
    if outcomes:
        words = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
        text.append(f"{sum(outcomes.values())} claim{'s' * (sum(outcomes.values()) != 1)}: {words}.")
    return tuple(text)


def _verdict(study: Study, verdict: Verdict, after: Mapping[str, str]) -> c.Verdict:
    if len(verdict.parts) == 1:  # one level is the whole; saying it twice would only puzzle
        verdict = replace(verdict, parts=(), criteria=verdict.parts[0].criteria)
    notes = meant(study, study.claims[verdict.name])
    notes += (f"added or changed on {after[verdict.name]}, after the data",) if verdict.name in after else ()
    return c.Verdict(
        verdict.name, verdict.says or verdict.name, verdict.outcome, verdict.because,
        tuple(_criterion(criterion, verdict.because) for criterion in verdict.criteria),
        tuple(map(_part, verdict.parts)),
        notes,
    )  # fmt: skip


def _part(part: Verdict) -> c.Part:
    criteria = tuple(_criterion(criterion, part.because) for criterion in part.criteria)
    return c.Part(part.level, part.outcome, part.because, criteria)


def _criterion(criterion: Criterion, said: str) -> c.Criterion:
    measured: c.Cell = None
    if criterion.value is not None:
        measured = c.Estimate(criterion.value, criterion.low, criterion.high)
    return c.Criterion(
        criterion.text,
        _HOLDS.get(criterion.outcome, criterion.outcome),
        measured,
        "" if criterion.because in said else criterion.because,
    )


# -- what was run -------------------------------------------------------------------------------------------------


def _design(readings: Readings) -> c.Design:
    plan = readings.plan
    stages, problems = [], []
    for name in plan.study.stages:
        nodes = list({node.key: node for node in plan.nodes if node.owner == name}.values())
        counts = Counter(readings.state(node) for node in nodes)
        stages.append(c.StageCount(name, _what(plan, name), len(nodes), **{s: counts[s] for s in _STATES}))
        problems += [
            c.Problem(name, cell_label(readings, node.instance.cell), node.instance.seed, readings.state(node),
                      readings.why(node), node.key)
            for node in nodes if readings.state(node) in ("refused", "diverged", "failed")
        ]  # fmt: skip
    factors = tuple(c.Factor(factor.name, factor.labels) for factor in plan.study.factors.values())
    excluded = tuple(c.Excluded(count, cause) for cause, count in plan.excluded.items())
    from .design import cells

    duplicates = [
        f"{info.duplicates_removed} exact duplicates across splits were taken out of the training side of "
        f"{plan.sources[digest]['name']}"
        for digest, info in plan.infos.items()
        if info.duplicates_removed
    ]
    return c.Design(
        factors, _seeds(plan), len(cells(plan.study)), tuple(stages), excluded, tuple(problems), tuple(duplicates)
    )


def _by_stage(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Stage -> its seeds, for stages that have any; the trials of a search are not a stage of their own."""
    out: dict[str, dict[int, None]] = {}
    for node in plan.nodes:
        if node.instance.seed is not None and not node.inner:
            out.setdefault(node.owner, {})[node.instance.seed] = None
    return {stage: tuple(sorted(found)) for stage, found in out.items()}


def _seeds(plan: Plan) -> tuple[int, ...]:
    """Every seed that stands for a replicate of some stage; those of the study if no stage has any yet."""
    return tuple(sorted({seed for seeds in _by_stage(plan).values() for seed in seeds})) or plan.study.seeds


def _seeds_in_words(plan: Plan) -> str:
    """`3 seeds`, or `2 to 5 seeds` where stages differ."""
    counts = sorted({len(seeds) for seeds in _by_stage(plan).values()}) or [len(plan.study.seeds)]
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{span} seed{'s' * (counts[-1] != 1)}"


def _what(plan: Plan, name: str) -> str:
    stage = plan.study.stages[name]
    written = plan.study.resolved.get("stages", {}).get(name, {})
    shown = {k: v for k, v in written.items() if k not in (stage.verb, "like", "because", "only", "except")}
    parts = ", ".join(f"{key}: {_flow(value)}" for key, value in shown.items())
    return f"{stage.verb} {_flow(written.get(stage.verb, ''))}{' (' + parts + ')' if parts else ''}"


def _flow(value: Any) -> str:
    if isinstance(value, str):
        return value
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("...").strip()


def _changes(session: Session) -> tuple[c.Change, ...]:
    return tuple(
        c.Change(change.path, change.how, _shown(change.was), _shown(change.now)) for change in session.study.changes
    )


def _shown(value: Any) -> str:
    text = "" if value is None else _flow(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def _registration(session: Session, found: registry.Registration | None) -> c.Registration | None:
    if found is None:
        return None
    lines = found.lines
    amendments = tuple(
        c.Amendment(
            str(line["time"])[:10], f"the registered text changed, digest {line['digest'][:12]}", bool(line["results"])
        )
        for line in lines[1:]
    )
    unsealed = sum(
        line["study"] == registry.ledger(session.study, session.store) for line in registry.unsealings(session.store)
    )
    notes = []
    if lines[0]["results"]:
        notes.append(
            f"{lines[0]['results']} records of this plan were in the store already, made by another study, when it was "
            "registered."
        )
    for key, name in registry.sealed_sets(session.plan).items():
        others = len(registry.unsealings(session.store, key)) - unsealed
        if others > 0:
            notes.append(
                f"Other studies of this store opened the test split of {name} {others} time{'s' * (others > 1)}."
            )
    if found.extended:
        notes.append("Seeds were added after results existed: p-values are of a study extended after looking.")
    return c.Registration(
        lines[0]["digest"], found.first[:10], amendments, unsealed, tuple(notes), bool(lines[0]["results"])
    )


# -- analyses -----------------------------------------------------------------------------------------------------

_ESTIMATES = {"mean": ("low", "high"), "effect": ("low", "high"), "rho": ("low", "high"), "tau": ("low", "high"),
              "r": ("low", "high"), "median": ("median_low", "median_high"), "sd": ("sd_low", "sd_high"),
              "dz": ("dz_low", "dz_high")}  # fmt: skip
_COUNTS = {"ties", "levels", "distinct", "df"}
_AXIS_WORDS = {
    ("describe", "metric"): "the column that is described",
    ("compare", "metric"): "the column that is compared",
    ("compare", "against"): "the level it is compared with",
    ("predict", "metric"): "the column that is predicted",
    ("predict", "model"): "the columns that it is predicted from; '-noise': noise in place of what the model adds",
}
_HIDDEN = {
    "n_planned", "min", "max", "se", "dz", "better", "worse", "equivalent", "inconclusive", "more_pairs", "groups",
}  # fmt: skip


def _analysis(session: Session, result: AnalysisResult, after: Mapping[str, str]) -> c.Analysis:
    analysis = session.study.analysis[result.name]
    result = _one_coefficient(result)
    names = list(dict.fromkeys(name for row in result.rows for name in row.values))
    intervals = {**{k: v for k, v in _ESTIMATES.items() if k in names and set(v) & set(names)}, **result.intervals}
    ends = {end for name, pair in intervals.items() if name in names for end in pair}
    once = {"p_raw"} if result.family_size == 1 else set()  # equal to p: nothing was corrected
    shown = [name for name in names if name not in ends | _HIDDEN | once]
    axes = list(result.axes)
    columns = (
        *(c.Column(axis, says=_AXIS_WORDS.get((result.verb, axis), "")) for axis in axes),
        *([c.Column("verdict", says=VERDICT)] if judged(result) else []),
        *(c.Column(name, _kind(name, intervals), _unit(result, name)) for name in shown if name != "n"),
        c.Column("n", "n", says="observations present, of those planned"),
    )
    rows = tuple(_row(row, axes, shown, intervals, judged(result)) for row in result.rows)
    grid = reviewing.table(analysis, result) if reviewing.reviewed(analysis, result) else c.Table(columns, rows)
    says = reviewing.conclusion(analysis, result) or _sentence(result)
    absent = {item.order: item for row in result.rows for item in row.missing}
    missing = tuple(map(_hole, absent.values()))
    family = (
        f"{result.correction.capitalize()} over {result.family_size} tests"
        if result.family_size > 1
        else "none (one test)"
    )
    has_p = any("p" in row.values for row in result.rows)
    return c.Analysis(
        result.name, _analysis_what(analysis), says, grid, _method(result),
        family if has_p else "", tuple(result.notes), result.exploratory, after.get(result.name, ""), missing,
    )  # fmt: skip


def _one_coefficient(result: AnalysisResult) -> AnalysisResult:
    """Several correlations in one table share the column `coefficient`; the axis `method` says which one a row is."""
    used = [name for name in ("rho", "tau", "r") if any(name in row.values for row in result.rows)]
    if len(used) < 2:
        return result
    rows = []
    for row in result.rows:
        name = next((name for name in used if name in row.values), None)
        values = {("coefficient" if key == name else key): value for key, value in row.values.items() if key not in used
                  or key == name}  # fmt: skip
        rows.append(replace(row, values=values))
    return replace(result, rows=tuple(rows), intervals={**result.intervals, "coefficient": ("low", "high")})


def _hole(item: Missing) -> str:
    seed = "" if item.seed is None else f", seed {item.seed}"
    why = f" ({item.why})" if item.why else ""
    return f"{', '.join(item.axes.values())}{seed}: {item.state}{why}"


def _analysis_what(analysis: Any) -> str:
    of = ", ".join(map(str, analysis.of))
    tail = f" with {', '.join(map(str, analysis.targets))}" if analysis.targets else ""
    tail += f", given {', '.join(map(str, analysis.given))}" if analysis.given else ""
    tail += f", between {analysis.between}" if analysis.between else ""
    tail += f", along {analysis.along}" if analysis.along else ""
    sides = "; ".join(f"{name}: {', '.join(map(str, refs))}" for name, refs in analysis.models.items())
    tail += f" from {sides}" if sides else ""
    tail += f", leaving out {analysis.leave_out}" if analysis.leave_out else ""
    tail += f", base {analysis.base}" if analysis.base else ""
    tail += f", over {analysis.over}" if analysis.over else ""
    return f"{analysis.verb}: {', '.join(leaf.name for leaf in analysis.leaves)} of {of}{tail}"


def _kind(name: str, intervals: Mapping[str, Any]) -> str:
    return "estimate" if name in intervals else "p" if name in ("p", "p_raw") else "number"


def _unit(result: AnalysisResult, name: str) -> str:
    unit = result.units.get(name, "")
    return "" if unit in ("1", "same") else unit


def _row(
    row: ResultRow, axes: Sequence[str], shown: Sequence[str], intervals: Mapping[str, Any], judged: bool
) -> c.Row:
    cells: list[c.Cell] = [row.axes.get(axis, "") for axis in axes]
    if judged:
        cells.append(reviewing.recommendation(row) if "component" in row.axes else verdict_words(row))
    for name in shown:
        if name == "n":
            continue
        value = row.values.get(name)
        if value is None:
            cells.append(c.Absent("refused", str(row.refused)) if row.refused else None)
        elif name in _COUNTS:
            cells.append(int(value))
        elif name in intervals:
            low, high = (row.values.get(end) for end in intervals[name])
            cells.append(c.Estimate(value, low, high))
        else:
            cells.append(value)
    cells.append(f"{row.n} of {row.n_planned}" if row.n != row.n_planned else row.n)
    marks = ["incomplete"] * row.incomplete + ["mixed hardware"] * row.mixed
    marks += [f"{row.excluded} excluded by design"] * bool(row.excluded)
    return c.Row(tuple(cells), (), tuple(marks))


def _sentence(result: AnalysisResult) -> str:
    """The most telling row of an analysis in words."""
    rows = [row for row in result.rows if row.refused is None]
    if result.sealed:
        return "Waits for the test split to be unsealed."
    if not rows:
        return f"No number: {result.rows[0].refused}" if result.rows else "No row."
    if result.verb == "correlate":
        name = next((k for k in ("rho", "tau", "r") if rows[0].values.get(k) is not None), "rho")
        best = max(rows, key=lambda row: abs(row.values.get(name) or 0.0))
        return f"Strongest association: {', '.join(best.axes.values())}: {association(result, best)}."
    if any(name in rows[0].values for name in _TOLD):
        return "; ".join(f"{', '.join(row.axes.values())}: {_told(result, row)}" for row in rows[:6])
    if result.verb == "compare":
        first = next(row for row in rows).axes.get("method")
        best = max((row for row in rows if row.axes.get("method") == first), key=_distance)
        v = best.values
        return f"{_largest(best)}: {', '.join(best.axes.values())}: {_number(v.get('effect'))} " \
               f"[{_number(v.get('low'))}, {_number(v.get('high'))}], n = {best.n} pairs{_says(best)}."  # fmt: skip
    if result.verb == "predict":
        return prediction(result, rows)
    if result.verb == "describe" and len(rows) <= 6:
        return "; ".join(f"{', '.join(row.axes.values()) or 'mean'}: {_number(_middle(row))}" for row in rows)
    return f"{len(rows)} rows."


#: The column that a sentence is about, for statistics that have neither an effect nor a mean.
_TOLD = {
    "concordance": "concordance", "slope": "slope", "tied": "share of tied pairs", "bias": "bias", "h": "H",
}  # fmt: skip


def _told(result: AnalysisResult, row: ResultRow) -> str:
    """`slope 0.61 [0.1, 0.9], p = 0.02, n = 8`."""
    name = next(name for name in _TOLD if name in row.values)
    ends = [row.values.get(end) for end in result.intervals.get(name, ())]
    interval = f" [{_number(ends[0])}, {_number(ends[1])}]" if ends and None not in ends else ""
    p = row.values.get("p")
    return f"{_TOLD[name]} {_number(row.values[name])}{interval}{'' if p is None else f', p = {p:.2g}'}, n = {row.n}"


def _largest(row: ResultRow) -> str:
    return "Clearest probability of improvement" if "tasks" in row.values else "Largest difference"


def _distance(row: ResultRow) -> float:
    """How far an effect lies from no difference."""
    return abs((row.values.get("effect") or 0.0) - (0.5 if "tasks" in row.values else 0.0))


def _middle(row: ResultRow) -> float | None:
    return row.values.get("iqm" if "iqm" in row.values else "mean")


def _says(row: ResultRow) -> str:
    words = verdict_words(row)
    return f": {words}" if words else ""


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


_METHODS = {
    "paired_t": "Student's t on differences paired by seed; interval from the t distribution.",
    "permutation": "Sign-flip permutation of differences paired by seed, exact where it can be enumerated.",
    "wilcoxon": "Wilcoxon's signed ranks of differences paired by seed, exact; Hodges-Lehmann estimate and interval.",
    "equivalence": "Two one-sided t-tests on differences paired by seed against the margin; p small means equivalent.",
    "rope": "Bayesian signed-rank test of differences paired by seed; posterior probabilities, not p-values.",
    "aso": "Almost stochastic order of two samples, which ignores the pairing by seed; upper bound by bootstrap.",
    "welch": "Welch's t-test of two independent samples, which ignores the pairing by seed.",
    "friedman": "Friedman's ranks over all levels; p of each pair of levels from their mean ranks.",
    "main_effects": "Contrast of runs with and without the component per seed; Student's t over seeds.",
    "interactions": "Difference of differences over two components per seed; Student's t over seeds.",
    "shapley": "Mean gain over all orders of adding the components, exact per seed; Student's t over seeds.",
    "forest": "Permutation importance in random forests of the other seeds; interval by Student's t over seeds.",
    "spearman": "Spearman's rank correlation of cell means over seeds; interval by Fisher's z.",
    "kendall": "Kendall's tau-b of cell means over seeds; interval by Fisher's z with Fieller's variance.",
    "pearson": "Pearson's correlation of cell means over seeds; interval by Fisher's z.",
    "max_statistic": "Spearman's rank correlation of cell means over seeds. p: Westfall and Young's step-down over all "
    "pairs, one permutation of the units for all; p_single: against the largest of all pairs; threshold: the "
    "coefficient beyond which p_single is significant. Interval of the single coefficient, by Fisher's z.",
    "ridge": "Ridge regression on left-out groups, penalty and standardisation inside every fold. gain: mean absolute "
    "error of the base minus that of the model; gain_over_noise: that of noise of equal dimension minus that of the "
    "model; intervals by the corrected variance of Nadeau and Bengio. p: Freedman-Lane permutation of the gain in R2 "
    "over the base; p_letter: shuffled rows of the added columns. rho is strongly negative under pure noise, so judge "
    "by r2, which is against the mean of the other groups.",
    "partial_spearman": "Spearman's correlation of what the ranks of the controls leave of the ranks.",
    "kruskal_wallis": "Kruskal-Wallis ranks of independent groups; p by permutation where a group has fewer than 5 "
    "values, else chi-squared. share: variance between levels, interval by noncentral F (normal values).",
    "agreement": "Kendall's W with p by permuting each level's order; ICC(1) with its F interval (Shrout and Fleiss).",
    "trajectory": "Least-squares slope of each run along the axis; mean over runs with Student's t interval.",
    "ties": "Counts of equal values and of pairs of them.",
    "selection_bias": "What the search found minus the mean on fresh seeds; Student's t over the fresh seeds.",
    "improvement": "Probability that a run beats a run, mean over tasks; p from swapping the values of pairs, exact.",
    "iqm": "Interquartile mean of runs and tasks; stratified bootstrap.",
    "summary": "Mean with Student's t interval; median by order statistics.",
}


def _method(result: AnalysisResult) -> str:
    return " ".join(dict.fromkeys(_METHODS.get(leaf, "As the study's own file defines.") for leaf in result.leaves))


# -- the rest -----------------------------------------------------------------------------------------------------


def _limits(session: Session, conclusion: Conclusion) -> tuple[str, ...]:
    out = [
        f"Everything here was measured with {_seeds_in_words(session.plan)} per cell and on the data sets and networks "
        "listed above; it says nothing about others.",
        "Metrics are on the validation split unless a stage says 'split: test'; choices made on validation make "
        "validation numbers optimistic.",
    ]
    if any(result.verb == "correlate" for result in conclusion.results.values()):
        out.append(
            "A correlation over architectures is observational: architectures differ in many ways at once, so an "
            "association is no proof of a cause."
        )
    if any(verdict.outcome == "inconclusive" for verdict in conclusion.verdicts.values()):
        out.append(
            "Inconclusive means that these data allow neither yes nor no at the stated confidence. It is not evidence "
            "of absence; the section on power says which effects could have been found."
        )
    if conclusion.verdicts and any(result.family_size > 1 for result in conclusion.results.values()):
        out.append(
            "A claim about an effect is judged by that effect's own interval. The p-values, and the words better and "
            "worse, of an analysis are corrected over its family, so a claim can be supported where the table says "
            "that a difference was not shown: among many comparisons one interval misses by chance."
        )
    if any(result.incomplete for result in conclusion.results.values()):
        out.append("Analyses marked incomplete lack planned values; the missing ones are listed with each.")
    return tuple(out)


def _sources(readings: Readings) -> tuple[c.Source, ...]:
    return tuple(
        c.Source(key, node.owner, cell_label(readings, node.instance.cell), node.instance.seed, readings.state(node))
        for key, node in list(readings.plan.by_key.items())[:_MAX_SOURCES]
        if readings.record(key) is not None
    )  # fmt: skip
