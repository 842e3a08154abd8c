"""Rules about a method that does not beat its baseline: which component hurts, was the search done, which split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..analyse import wild
from ..directions import directions
from ..plan import Node
from ..provenance import stages_behind
from ..results import AnalysisResult, ResultRow
from .case import Case
from .finding import Finding

_FLAT = 1 / 3  # the part of a search that should bring nothing new
_WITHOUT = "without-"


def under_baseline(case: Case) -> Iterator[Finding]:
    """A level that is significantly worse than the reference, or a claim of a gain that is refuted."""
    for name, result in case.conclusion.results.items():
        analysis = case.study.analysis[name]
        if result.verb != "compare" or analysis.against is None:
            continue
        higher = directions(case.study, analysis, wild(case.study, analysis.of))
        for row in result.rows:
            level = str(row.axes.get(analysis.between or "", ""))
            if level.startswith(_WITHOUT) or not _worse(result, row, higher.get(row.axes.get("metric", ""), True)):
                continue
            split = "test" if _reads_test(case, name) else "validation"
            v = row.values
            evidence = [
                f"on the {split} split: effect {v['effect']:.3g} [{v['low']:.3g}, {v['high']:.3g}], n = {row.n}"
            ]
            evidence += [line for line in (_hurting(case), *_searches(case)) if line]
            wanted = any(verdict.outcome == "refuted" for verdict in case.conclusion.verdicts.values())
            yield Finding(
                "under_baseline", "serious" if wanted else "advice",
                f"{name}: '{level}' is worse than '{analysis.against}' in {row.axes.get('metric', 'the metric')}",
                _next(case, split), tuple(evidence),
            )  # fmt: skip


def _worse(result: AnalysisResult, row: ResultRow, higher: bool) -> bool:
    low, high = row.values.get("low"), row.values.get("high")
    if low is None or high is None or row.incomplete:
        return False
    null = 1.0 if result.units.get("effect") == "ratio" else 0.0
    return high < null if higher else low > null


def _reads_test(case: Case, analysis: str) -> bool:
    stages = stages_behind(case.study, analysis)
    return any(node.spec.get("split") == "test" for node in case.plan.nodes if node.instance.stage in stages)


def _hurting(case: Case) -> str:
    """The component whose removal helps most, from comparisons of arms called `without-NAME`."""
    best: tuple[float, str] | None = None
    for name, result in case.conclusion.results.items():
        between = case.study.analysis[name].between or ""
        for row in result.rows if result.verb == "compare" else ():
            level, low = str(row.axes.get(between, "")), row.values.get("low")
            if level.startswith(_WITHOUT) and row.axes.get("against") == "full" and low is not None and low > 0:
                effect = float(row.values["effect"] or 0.0)
                best = max(best or (effect, level), (effect, level))
    return f"removing '{best[1].removeprefix(_WITHOUT)}' helps by {best[0]:.3g}" if best else ""


def _next(case: Case, split: str) -> str:
    hurts = _hurting(case)
    if hurts:
        return f"drop that component and compare again; {hurts}"
    arms = any(level.label.startswith(_WITHOUT) for factor in case.study.factors.values() for level in factor.levels)
    if not arms:
        return "find the component that hurts: factors: {arm: {generate: leave_one_out, of: ./method.py}}"
    if not any(stage.verb == "search" for stage in case.study.stages.values()):
        return "no component hurts; tune both sides with the same budget (search: tpe), then compare again"
    return f"no component hurts and both are tuned: believe the {split} split, and look at single cells (crucis table)"


def component_hurts(case: Case) -> Iterator[Finding]:
    """A component whose removal improves the whole, whether or not the baseline wins."""
    if line := _hurting(case):
        yield Finding("component_hurts", "advice", f"the whole method has a part that costs: {line}",
                      "leave it out and confirm with fresh seeds")  # fmt: skip


def search_unfinished(case: Case) -> Iterator[Finding]:
    """A search that still found better trials in its last third."""
    for name, stage in case.study.stages.items():
        if stage.verb == "search" and (line := _search(case, name)) and "not come to rest" in line:
            yield Finding(
                "search_unfinished", "advice", line, f"raise 'trials' of the search '{name}' (finished ones are kept), "
                "for baseline and method alike",
            )  # fmt: skip


def _searches(case: Case) -> list[str]:
    return [_search(case, name) for name, stage in case.study.stages.items() if stage.verb == "search"]


def _search(case: Case, name: str) -> str:
    """What the trials say in the order in which they were proposed: did the last third bring anything better?

    Every search of the stage (one per level of its factors) is judged alone, by its trainings of full length; one that
    has not come to rest is told before those that have.
    """
    objective = getattr(case.study.stages[name], "objective", None)
    if not objective or not objective[0]:
        return ""
    found: dict[tuple[str, ...], dict[str, list[float]]] = {}  # a trial's value is its mean over the seeds
    for node in case.plan.nodes:
        cell = node.instance.cell
        if node.instance.stage == f"{name}.trial" and cell.get("rung", "full") == "full":
            value = _objective(case, node, objective[1])
            if value is not None:
                own = tuple(label for axis, label in cell.items() if axis not in ("trial", "rung"))
                found.setdefault(own, {}).setdefault(str(cell.get("trial")), []).append(value)
    lines = []
    for own, trials in found.items():
        which = f"search '{name}'" + (f" ({', '.join(own)})" if len(found) > 1 else "")
        lines.append(_rest(which, objective, [sum(each) / len(each) for each in trials.values()]))
    return next((line for line in lines if "not come to rest" in line), lines[0] if lines else "")


def _rest(which: str, objective: Sequence[str], values: Sequence[float]) -> str:
    if len(values) < 6:
        return f"{which} has {len(values)} finished trials, too few to judge it" if values else ""
    sign = 1.0 if objective[0] == "maximise" else -1.0
    before = max(sign * value for value in values[: round(len(values) * (1 - _FLAT))])
    after = max(sign * value for value in values)
    if after > before:
        return (f"{which} has not come to rest: the last third of {len(values)} trials improved "
                f"{objective[1]} from {sign * before:.4g} to {sign * after:.4g}")  # fmt: skip
    return f"{which} has come to rest: {objective[1]} {sign * after:.4g}, nothing better in the last third"


def _objective(case: Case, node: Node, column: str) -> float | None:
    record = case.record(node)
    value = record.values.get(column) if record is not None and record.outcome == "ok" else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def validation_only(case: Case) -> Iterator[Finding]:
    """A supported claim that rests on the split by which things were chosen."""
    chosen = any(stage.verb == "search" or "select" in stage.params for stage in case.study.stages.values())
    supported = [name for name, verdict in case.conclusion.verdicts.items() if verdict.outcome == "supported"]
    on_validation = [name for name in supported if not _reads_test(case, name)]
    if chosen and on_validation:
        yield Finding(
            "validation_only", "advice", f"{', '.join(on_validation)} supported on the validation split, by which "
            "models were chosen; such scores are optimistic",
            "add a stage with split: test, and unseal it once at the end",
        )  # fmt: skip
