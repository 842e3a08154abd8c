"""Columns of stages: what the leaves declare, the labels of their own axes, and the sentences when a name is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import did_you_mean
from .axes import axes_of, stage_leaves
from .distributions import parameters
from .info import ColumnInfo, Range, SemanticError
from .matching import label_of
from .scalars import number
from .spec import Dollar, LeafRef, Ref, Stage, Study

_FRACTION = {"unit": "fraction", "range": [0, 1], "axes": []}
_NATS = {"unit": "nats", "range": [0, None], "axes": []}
_COUNT = {"unit": "count", "range": [0, None], "axes": []}
#: What every record has: circumstance, not result.
COST: Mapping[str, Mapping[str, Any]] = {
    "seconds": {"unit": "seconds", "range": [0, None], "axes": []},
    "memory": {"unit": "bytes", "range": [0, None], "axes": []},
    "device_seconds": {"unit": "seconds", "range": [0, None], "axes": []},
}
#: What trainings leave whose leaf is a user's or a package's, whatever it declares besides.
TRAIN: Mapping[str, Mapping[str, Any]] = {
    "accuracy": {**_FRACTION, "headline": True},
    "loss": {**_NATS, "headline": True},
    "train_accuracy": _FRACTION,
    "train_loss": _NATS,
    "parameters": _COUNT,
    "steps": _COUNT,
    "curve": {**_FRACTION, "axes": ["step"]},
    "reach": {**_COUNT, "axes": ["share"]},
}
#: What every search leaves; `best` has the unit of what it improves.
SEARCH: Mapping[str, Mapping[str, Any]] = {
    "best": _FRACTION,
    **dict.fromkeys(("winner", "trials", "done", "pruned", "failed", "steps_spent"), _COUNT),
}
_WHAT = {"measure": "a measurement", "export": "an export", "search": "a search"}
_AT = re.compile(r"(?P<share>[0-9]+(?:\.[0-9]+)?)%|best|last|[0-9]+(?:epochs|steps)")


@dataclass(frozen=True)
class About:
    """What a leaf declares of a column."""

    unit: str
    range: Range
    axes: tuple[str, ...] = ()
    within: str | None = None
    headline: bool = False


def declared(study: Study, stage: Stage) -> dict[str, Mapping[str, Any]]:
    """Every column of a stage: what all stages have, what its verb has, what its leaves declare."""
    leaves = stage_leaves(study, stage).values()
    out: dict[str, Mapping[str, Any]] = {}
    if stage.verb == "train":  # built-in leaves say what they leave; an agent, for one, has no accuracy
        open_ = not leaves or any(leaf.own or ":" in leaf.name for leaf in leaves)
        out = {name: about for name, about in TRAIN.items() if open_ or any(name in leaf.columns for leaf in leaves)}
    if stage.trial is not None:
        out |= _chosen(study, stage)
    for leaf in leaves:
        out |= leaf.columns
    return {**out, **{name: about for name, about in COST.items() if name not in out}}


def trial_columns(study: Study, stage: Stage) -> dict[str, Mapping[str, Any]]:
    """Every column of the trials of a search."""
    return declared(study, stage.trial) if stage.trial is not None else {}


def _chosen(study: Study, stage: Stage) -> dict[str, Mapping[str, Any]]:
    """What a search leaves: the best objective found, what it spent, and the numbers that it chose."""
    assert stage.trial is not None
    out: dict[str, Mapping[str, Any]] = dict(SEARCH)
    if stage.objective[0] != "success":
        about = trial_columns(study, stage).get(stage.objective[1], _FRACTION)
        out["best"] = {"unit": about.get("unit", "1"), "range": about.get("range", [None, None]), "axes": [],
                       "headline": True}  # fmt: skip
    else:
        del out["best"]
    for one in parameters(stage.trial.params):
        values = [number(value) for value in one.distribution.choices]
        if one.distribution.kind != "choice":
            values = [float(one.distribution.low), float(one.distribution.high)]
        numbers = [float(value) for value in values if value is not None]
        if len(numbers) == len(values):
            out[one.name] = {"unit": "1", "range": [min(numbers), max(numbers)], "axes": []}
    return out


def find(study: Study, stage: Stage, ref: Ref) -> About:
    """What is declared of the column of a reference.

    Raises:
        SemanticError: no column, a wildcard, or no such column.
    """
    columns = declared(study, stage)
    if ref.column is None:
        some = ", ".join([name for name in columns if columns[name].get("headline")][:4] or list(columns)[:4])
        raise SemanticError("no-column", f"'{ref.name}' is a stage; name one of its columns: {ref.name}.X ({some}).")
    if ref.column == "*":
        count = sum(bool(about.get("headline")) for about in columns.values())
        text = f"'{ref.name}.*' is a list of {count} columns and an expression needs one. Name it."
        raise SemanticError("wildcard", text)
    about = columns.get(ref.column)
    if about is None and not stage_leaves(study, stage):
        return About("1", (None, None))  # the leaf itself is at fault, and that is said elsewhere
    if about is None:
        raise SemanticError("unknown-column", no_column(study, stage, ref, columns))
    low, high = about.get("range", [None, None])
    within = about.get("within")
    return About(about.get("unit", "1"), (low, high), tuple(about.get("axes", ())), within, bool(about.get("headline")))


def no_column(study: Study, stage: Stage, ref: Ref, columns: Mapping[str, Mapping[str, Any]]) -> str:
    """The sentence for a column that a stage does not have; `retention_100` is `retention@step=100`."""
    wrong = ref.column or ""
    head = f"'{ref.name}' has no column '{wrong}'."
    for name, about in columns.items():
        axes = [*about.get("axes", ()), *([about["within"]] if "within" in about else [])]
        if axes and wrong.startswith(name) and wrong != name:
            label = wrong[len(name) :].lstrip("_-")
            known = labels(study, stage, axes[0], [])
            label = label if label in known or not known else known[0]
            return f"{head} '{name}' has the axis {axes[0]}; write {ref.name}.{name}@{axes[0]}={label}."
    listed = ", ".join(columns)
    return f"{head}{did_you_mean(wrong, columns) or f' Columns: {listed}.'}"


def sealed(study: Study, stage: Stage) -> bool:
    """Whether a stage, or anything upstream of it, reads a test split."""
    if stage.params.get("split") == "test":
        return True
    return any(sealed(study, study.stages[ref.name]) for ref in stage.of.values() if ref.name in study.stages)


def expand(study: Study, ref: Ref) -> list[Ref]:
    """The columns that a reference stands for: `ripser.*` is every headline column, in the order of its leaf."""
    if ref.column != "*" or ref.name not in study.stages:
        return [ref]
    found: dict[Ref, None] = {}
    for leaf in stage_leaves(study, study.stages[ref.name]).values():
        found |= {replace(ref, column=name): None for name, about in leaf.columns.items() if about.get("headline")}
    return list(found)


# --- own axes --------------------------------------------------------------------------------------------------


def stage_axes(study: Study, stage: Stage) -> list[str]:
    """Own axes of a stage: those of any of its columns."""
    out: dict[str, None] = {}
    for about in declared(study, stage).values():
        out |= dict.fromkeys((*about.get("axes", ()), *([about["within"]] if "within" in about else [])))
    return list(out)


def labels(study: Study, stage: Stage, axis: str, cells: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Labels of a stage's own axis, over all its cells; empty if they are known only after the run.

    `AXES` of the leaf names a list, a parameter that is one, or a parameter that counts. A leaf that says nothing
    inherits the axis from its inputs, as persistence its slices from the landscape.
    """
    found: dict[str, None] = {}
    for label, leaf in stage_leaves(study, stage).items():
        source = leaf.constants.get("AXES", {}).get(axis)
        if isinstance(source, (list, tuple)):
            found |= dict.fromkeys(_texts(source))
        elif isinstance(source, str) and source in leaf.params:
            written = _written(stage, source, leaf.params[source].default, study, label)
            for value in _values(study, written, cells):
                found |= dict.fromkeys(_texts(value))
    if found:
        return tuple(found)
    for ref in stage.of.values():
        if ref.name in study.stages and ref.name != stage.name and ref.axis(axis) in (None, "*"):
            inherited = labels(study, study.stages[ref.name], axis, cells)
            if inherited:
                return inherited
    return ()


def _written(stage: Stage, name: str, default: Any, study: Study, label: str | None) -> Any:
    """A parameter as the stage, or its leaf, writes it."""
    if name in stage.params:
        return stage.params[name]
    leaf: Any = stage.leaf
    if isinstance(leaf, Dollar) and label is not None:
        level = study.factors[leaf.name].level(label)
        leaf = (level.fields or {}).get(leaf.field) if leaf.field else level.value
        leaf = next(iter(leaf.values())) if isinstance(leaf, Mapping) and len(leaf) == 1 else {}
    params = leaf.params if isinstance(leaf, LeafRef) else leaf
    return params.get(name, default) if isinstance(params, Mapping) else default


def _values(study: Study, written: Any, cells: Iterable[Mapping[str, str]]) -> list[Any]:
    """What a written value is over all cells: several if it is a `$`."""
    if not isinstance(written, Dollar):
        return [written]
    factor = study.factors.get(written.name)
    if factor is None:
        return []
    present = {cell.get(written.name) for cell in cells}
    levels = [level for level in factor.levels if not present or level.label in present]
    if written.field is None:
        return [level.value for level in levels]
    return [level.fields[written.field] for level in levels if level.fields and written.field in level.fields]


def _texts(value: Any) -> list[str]:
    if isinstance(value, int) and not isinstance(value, bool):
        return [str(i) for i in range(min(value, 100_000))]
    return [label_of(item) for item in value] if isinstance(value, (list, tuple)) else []


# --- what `@` may say --------------------------------------------------------------------------------------------


def check_at(study: Study, stage: Stage, value: str) -> None:
    """Whether a stage has this checkpoint.

    Raises:
        SemanticError: no model, no such checkpoint, `best` without `select`.
    """
    name = stage.name
    if stage.verb not in ("train", "perturb"):
        model = upstream(study, stage)
        hint = f"; did you mean of: {model}@at={value}?" if model else "."
        what = f"'{name}' is {_WHAT.get(stage.verb, 'no training')} and has no checkpoints."
        raise SemanticError("no-checkpoints", f"{what} Only train and perturb leave models{hint}")
    check_form(study, stage, value)
    if value == "best" and "select" not in {*stage.params, *getattr(stage.leaf, "params", {})}:
        text = (
            f"'{name}' has no best checkpoint, because it names no 'select'. "
            f"Add select: accuracy to {name}, or use @at=last."
        )
        raise SemanticError("no-best", text)


def check_form(study: Study, stage: Stage, value: str) -> None:
    """Whether a text names a checkpoint, and one that this stage keeps: leaves with `KEEPS = "last"` keep no other.

    Raises:
        SemanticError: it does not.
    """
    match = _AT.fullmatch(value)
    if not match or (match["share"] and float(match["share"]) > 100):
        raise SemanticError("bad-checkpoint", f"@at={value}: write 0% to 100%, best, last, 12epochs or 500steps.")
    if stage.verb == "perturb" and value != "last":
        text = f"'{stage.name}' is a perturbation, which keeps its last model only. Write of: {stage.name}."
        raise SemanticError("bad-checkpoint", text)
    keeps = [leaf.constants.get("KEEPS") for leaf in stage_leaves(study, stage).values()]
    if stage.verb == "train" and "last" in keeps and value not in ("0%", "100%", "last"):
        text = f"'{stage.name}' keeps its last weights only. Write of: {stage.name}, or @at=0% for how it began."
        raise SemanticError("bad-checkpoint", text)


def upstream(study: Study, stage: Stage) -> str | None:
    """The nearest stage that leaves a model, on the way up."""
    for ref in stage.of.values():
        other = study.stages.get(ref.name)
        if other is not None and other is not stage:
            return other.name if other.verb in ("train", "perturb") else upstream(study, other)
    return None


def check_seed(study: Study, info: ColumnInfo, ref: Ref, value: str) -> None:
    """Whether a column has this seed.

    Raises:
        SemanticError: it has no seeds, or not this one.
    """
    if not info.seeded:
        raise SemanticError("unknown-axis", f"'{ref.name}' has no seeds, so that @seed={value} selects nothing.")
    known = axes_of(study).seeds.get(ref.name, study.seeds)
    if value != "*" and value not in map(str, known):
        raise SemanticError("unknown-level", f"'{ref.name}' has no seed {value}; it has {', '.join(map(str, known))}.")


def no_axis(info: ColumnInfo, ref: Ref, axis: str) -> str:
    """The sentence for an axis that a column does not have."""
    name = f"{ref.name}.{ref.column}" if ref.column else ref.name
    known = [*info.axes, *([info.within] if info.within else [])]
    over = f" It varies over {', '.join(known)}." if known else " It has one value per seed." if info.seeded else ""
    return f"{name} does not vary over '{axis}'.{did_you_mean(axis, known) or over}"


def fields_of(study: Study, factor: str) -> list[str]:
    """Names of the fields that the levels of a factor have, sorted; none for what is no factor."""
    if factor not in study.factors:
        return []
    return sorted({name for level in study.factors[factor].levels for name in level.fields or {}})


def no_level(study: Study, axis: str, value: str) -> str:
    """The sentence for a label that a factor, or a value that a field, does not have."""
    factor, _, part = axis.partition(".")
    levels = study.factors[factor].levels
    if part:
        known = list(dict.fromkeys(label_of(one.fields[part]) for one in levels if one.fields and part in one.fields))
        return f"no level of '{factor}' has {axis}={value}.{did_you_mean(value, known)} Values: {', '.join(known)}."
    known = [one.label for one in levels]
    return f"factor '{factor}' has no level '{value}'.{did_you_mean(value, known)} Levels: {', '.join(known)}."


def no_label(study: Study, info: ColumnInfo, ref: Ref, axis: str, value: str) -> str:
    """The sentence for a label that an own axis does not have."""
    known = info.labels[axis]
    shown = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    name = f"{ref.name}.{ref.column}" if ref.column else ref.name
    stage = study.stages.get(ref.name)
    if stage is None:
        return f"{name} has no {axis} '{value}'.{did_you_mean(value, known)} It has: {shown}."
    sources = [leaf.constants.get("AXES", {}).get(axis) for leaf in stage_leaves(study, stage).values()]
    parameter = next((one for one in sources if isinstance(one, str)), None)
    hint = f" Add {value} to {parameter}." if parameter else ""
    return f"{name} has no {axis} {value}; it records {shown}.{hint}"


def unknown_column(study: Study, name: str) -> str:
    """The sentence for a name that is neither stage nor column."""
    known = [*study.stages, *study.derive, *study.analysis, *study.factors]
    pieces = name.split("-")
    for i in range(1, len(pieces)):
        first, second = "-".join(pieces[:i]), "-".join(pieces[i:])
        if first in known and (second in known or second.isdigit()):
            return f"no column '{name}' ('-' is part of a name). For a difference put spaces: {first} - {second}."
    return f"no column '{name}'.{did_you_mean(name, known) or ' Columns of stages are written STAGE.COLUMN.'}"
