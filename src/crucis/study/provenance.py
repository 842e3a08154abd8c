"""What rests on what: the stages behind an analysis or a claim, and the marks of values that came from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ..engine.arrivals import imported
from ..errors import CrucisError, did_you_mean
from ..report import content as c
from .axes import stage_leaves
from .expressions import references
from .plan import Node, Plan
from .readings import Readings
from .spec import Ref, Study
from .stage_columns import COST, expand

MARK = "imported"


def stages_behind(study: Study, name: str) -> tuple[str, ...]:
    """The stages whose columns a claim, an analysis, a derived column or a stage reads, in the order of the file.

    Raises:
        CrucisError: the study has nothing of this name.
    """
    found, queue, seen = set(), [name], set()
    if not _known(study, name):
        entries = [*study.claims, *study.analysis, *study.derive, *study.stages]
        raise CrucisError(f"'{name}' is no claim, analysis, figure or stage of '{study.name}'."
                          f"{did_you_mean(name, entries)}")  # fmt: skip
    while queue:
        here = queue.pop()
        if here in study.stages:
            found.add(here)
        elif here not in seen:
            seen.add(here)
            queue += [ref.name for ref in _reads(study, here)]
    return tuple(stage for stage in study.stages if stage in found)


def times_behind(study: Study, name: str) -> tuple[str, ...]:
    """The columns among what a claim, an analysis or a derived column reads, at whatever distance, that depend on the
    machine and the moment: what every step costs, and what its leaf lists as `CIRCUMSTANCE`."""
    found: dict[str, None] = {}
    queue, seen = [name], set()
    while queue:
        here = queue.pop()
        if here in seen:
            continue
        seen.add(here)
        for ref in _reads(study, here):
            if ref.name in study.stages:
                stage = study.stages[ref.name]
                chance = {
                    n for leaf in stage_leaves(study, stage).values() for n in leaf.constants.get("CIRCUMSTANCE", ())
                }
                own = {n for leaf in stage_leaves(study, stage).values() for n in leaf.columns}
                found |= {
                    f"{one.name}.{one.column}": None for one in expand(study, ref)
                    if one.column in chance or (one.column in COST and one.column not in own)
                }  # fmt: skip
            else:
                queue.append(ref.name)
    return tuple(found)


def _known(study: Study, name: str) -> bool:
    return any(name in part for part in (study.claims, study.analysis, study.derive, study.stages))


def _reads(study: Study, name: str) -> list[Ref]:
    """What an entry reads; a claim and an analysis of one name are both meant."""
    out: list[Ref] = []
    if name in study.claims:
        claim = study.claims[name]
        for criterion in (*claim.holds_if, *([claim.refuted_if] if claim.refuted_if is not None else [])):
            out += references(criterion)
    if name in study.analysis:
        analysis = study.analysis[name]
        out += analysis.refs
    if name in study.derive:
        out += references(study.derive[name])
    return out


def resting_on(plan: Plan, keys: Iterable[str]) -> set[str]:
    """The keys of the plan (checkpoints too) that are among `keys`, or were computed from one that is."""
    found = set(keys)
    for node in plan.nodes:  # topological
        below = [key for value in node.inputs.values() for key in ([value] if isinstance(value, str) else value)]
        if node.key in found or not found.isdisjoint(below):
            found |= {node.key, *node.marks.values()}
    return found


# -- marks on the page --------------------------------------------------------------------------------------------


def marked(page: c.Page, readings: Readings) -> c.Page:
    """The page with every value that rests on an imported record marked; equal to `page` if there is none.

    A record is imported if it came in a bundle and was not computed again here since.
    """
    plan = readings.plan
    foreign = imported(readings.store)
    own = {node.key for node in plan.nodes}
    if own.isdisjoint(foreign):
        return page
    resting = resting_on(plan, foreign)
    study = readings.study
    touched = {
        name: [node for node in plan.nodes if node.instance.stage in stages_behind(study, name) and node.key in resting]
        for name in dict.fromkeys((*study.claims, *study.analysis))
    }
    return replace(
        page,
        verdicts=tuple(_verdict(item, touched[item.name]) if touched.get(item.name) else item
                       for item in page.verdicts),
        analyses=tuple(_analysis(item, touched[item.name]) for item in page.analyses),
        stages=tuple(_stage(item, resting) for item in page.stages),
        limits=(_sentence(own, foreign), *page.limits),
    )  # fmt: skip


def _sentence(own: set[str], foreign: dict[str, str]) -> str:
    bundles = sorted({foreign[key][:12] for key in own & foreign.keys()})
    return (
        f"{len(own & foreign.keys())} of {len(own)} records came in the bundle{'s' * (len(bundles) > 1)} "
        f"{', '.join(bundles)} and were not computed again here. A key proves which question was asked, not that the "
        f"answer is true. Values that rest on them are marked '{MARK}'; crucis reproduce computes them again."
    )


def _verdict(item: c.Verdict, nodes: list[Node]) -> c.Verdict:
    return replace(item, notes=(*item.notes, f"rests on {len({node.key for node in nodes})} imported records"))


def _stage(item: c.StageTable, resting: set[str]) -> c.StageTable:
    rows = tuple(
        replace(row, marks=(*row.marks, MARK)) if not resting.isdisjoint(row.keys) else row for row in item.table.rows
    )
    return replace(item, table=replace(item.table, rows=rows))


def _analysis(item: c.Analysis, nodes: list[Node]) -> c.Analysis:
    names = [column.name for column in item.table.columns]
    rows = tuple(
        replace(row, marks=(*row.marks, MARK)) if any(_concerns(node, names, row) for node in nodes) else row
        for row in item.table.rows
    )
    return replace(item, table=replace(item.table, rows=rows))


def _concerns(node: Node, names: list[str], row: c.Row) -> bool:
    """Whether a node may be among the values of a row: no factor says otherwise. The reference of a comparison stands
    under `against`, so either level will do."""
    cell = node.instance.cell
    labels = dict(zip(names, row.cells, strict=False))
    return all(cell[name] in (label, labels.get("against")) for name, label in labels.items() if name in cell)
