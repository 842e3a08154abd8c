"""What connects the entries of a study: seeds and checkpoints of inputs, and what rests on something broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .axes import axes_of, inputs, stage_leaves
from .coverage import Coverage
from .filters import MAX_SEEDS
from .gates.tables import PARAMETERS
from .spec import Analysis, Binary, Call, Column, Gate, Ref, Stage, Study, Unary
from .tree import Reading


def check_seeds(study: Study, coverage: Coverage, reading: Reading, *, yes: bool) -> None:
    """A stage's own seeds beside those of its input, and more seeds than one writes by intention."""
    axes = axes_of(study)
    for stage in study.stages.values():
        if stage.seeds is None or "seed" in stage.pool:
            continue
        every = inputs(study, stage).values()
        seeded = [ref.name for ref in every if axes.seeds.get(ref.name) and ref.axis("seed") is None]
        if seeded:
            where = f"in '{seeded[0]}'" if seeded[0] in stage.winners else "here"
            reading.fault(
                "seeded-input", f"stages.{stage.name}.seeds",
                f"its input '{seeded[0]}' has seeds already. Set seeds there, or pool: seed {where}.",
            )  # fmt: skip
    if yes:
        return
    if len(study.seeds) > MAX_SEEDS:
        _many(study, coverage, len(study.seeds), "seeds", reading)
    for stage in study.stages.values():
        if stage.seeds and len(stage.seeds) > MAX_SEEDS:
            _many(study, coverage, len(stage.seeds), f"stages.{stage.name}.seeds", reading)


def _many(study: Study, coverage: Coverage, count: int, path: str, reading: Reading) -> None:
    factors = axes_of(study).factors
    cells = coverage.count()
    trained = sum(
        sum(1 for _ in coverage.cells(stage, factors[stage.name]))
        for stage in study.stages.values()
        if stage.verb == "train"
    )
    reading.fault(
        "many-seeds", path, f"{count} seeds, {count} replicates of {cells} cell{'s' * (cells != 1)}, "
        f"{trained * count} training steps. If one seed with the value {count} was meant: seeds: [{count}]. "
        f"If {count} were meant: crucis run --yes.",
    )  # fmt: skip


def check_checkpoints(study: Study, reading: Reading) -> None:
    """`@at` of a stage's subject: only models have checkpoints, and `best` needs a metric that selects."""
    for stage in study.stages.values():
        for role, ref in stage.of.items():
            at, other = ref.axis("at"), study.stages.get(ref.name)
            path = f"stages.{stage.name}.of" + ("" if role == "of" else f".{role}")
            if other is not None and other.verb == "search":
                reading.fault(
                    "no-model", path, f"'{ref.name}' is a search; it leaves values and no model. Train one with "
                    f"{{winner_of: {ref.name}}}, and work on that.",
                )  # fmt: skip
                continue
            if at is None or other is None:
                continue
            if other.verb not in ("train", "perturb"):
                _no_checkpoints(study, other, at, path, reading)
            elif at == "best" and other.verb == "train" and "select" not in other.params:
                reading.fault(
                    "no-best", path, f"'{ref.name}' has no best checkpoint, because it names no 'select'. "
                    f"Add select: accuracy to {ref.name}, or use @at=last.",
                )  # fmt: skip


def check_models(study: Study, reading: Reading) -> None:
    """Stages that work on networks get one: a perturbation that trains none (`TRAINS = False`) leaves metrics only."""
    for stage in study.stages.values():
        for role, ref in stage.of.items():
            other = study.stages.get(ref.name)
            if other is None or other.verb != "perturb" or "SUBJECT" in _constants(study, stage):
                continue
            if _constants(study, other).get("TRAINS") is False:
                path = f"stages.{stage.name}.of" + ("" if role == "of" else f".{role}")
                models = [one.name for one in other.of.values()]
                hint = f" Write of: {models[0]}." if models else ""
                reading.fault(
                    "no-model", path, f"'{ref.name}' trains nothing, so it leaves numbers and no model.{hint}"
                )


def _constants(study: Study, stage: Stage) -> dict[str, Any]:
    return {name: value for leaf in stage_leaves(study, stage).values() for name, value in leaf.constants.items()}


def _no_checkpoints(study: Study, stage: Stage, at: Any, path: str, reading: Reading) -> None:
    models = [ref.name for ref in stage.of.values() if study.stages[ref.name].verb in ("train", "perturb")]
    hint = f"; did you mean of: {models[0]}@at={at}?" if models else "."
    reading.fault(
        "no-checkpoints", path,
        f"'{stage.name}' is a measurement and has no checkpoints. Only train and perturb leave models{hint}",
    )  # fmt: skip


# --- consequences --------------------------------------------------------------------------------------------


def closed(study: Study, reading: Reading) -> Study:
    """The study without what rests on something broken, so that the consequences of a fault are not reported."""
    stages = dict(study.stages)
    while lost := [
        name for name, stage in stages.items()
        if any(ref.name not in stages for ref in (*stage.of.values(), *stage.winners.values()))
    ]:  # fmt: skip
        for name in lost:
            del stages[name]
            reading.broken.add(name)
    derive, analysis, claims = dict(study.derive), dict(study.analysis), dict(study.claims)
    while True:
        lost = [name for name, tree in derive.items() if _rests(refs_of(tree), reading.broken)]
        lost += [name for name, one in analysis.items() if _analysis_rests(one, reading.broken)]
        if not lost:
            break
        for name in lost:
            derive.pop(name, None)
            analysis.pop(name, None)
            reading.broken.add(name)
    for name, claim in study.claims.items():
        trees = [*claim.holds_if, *([claim.refuted_if] if claim.refuted_if is not None else [])]
        if any(_rests(refs_of(tree), reading.broken) for tree in trees):
            del claims[name]
    gates = {name: gate for name, gate in study.gates.items() if not _gate_rests(gate, reading.broken)}
    return replace(study, stages=stages, derive=derive, analysis=analysis, claims=claims, gates=gates)


def _gate_rests(gate: Gate, broken: set[str]) -> bool:
    if any(gate.params.get(name) is None for name, (_, default) in PARAMETERS[gate.kind].items() if default is ...):
        return True  # what is required and cannot be read was told where it stands
    if gate.kind == "replication":
        return _rests([gate.params["of"]], broken)
    if gate.kind == "method":
        refs = [ref for ref, _, _ in gate.params["review"]]
        return bool({gate.params["of"], gate.params["ablation"]} & broken) or _rests(refs, broken)
    return False


def _analysis_rests(one: Analysis, broken: set[str]) -> bool:
    words = [one.between, one.unit, one.leave_out, *one.each]
    return _rests(list(one.refs), broken) or any(
        word is not None and word.partition(".")[0] in broken for word in words
    )


def _rests(refs: list[Ref], broken: set[str]) -> bool:
    return any(ref.name in broken or any(axis.partition(".")[0] in broken for axis, _ in ref.at) for ref in refs)


def refs_of(tree: Any) -> list[Ref]:
    """References inside an expression."""
    return list(_refs(tree))


def _refs(tree: Any) -> Iterator[Ref]:
    if isinstance(tree, Column):
        yield tree.ref
    elif isinstance(tree, Call):
        yield from _refs(tree.argument)
    elif isinstance(tree, Unary):
        yield from _refs(tree.operand)
    elif isinstance(tree, Binary):
        yield from _refs(tree.left)
        yield from _refs(tree.right)
