"""What a study means, checked without running it: references, axes, units, analyses and claims, all faults at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import Fault, did_you_mean
from . import chosen, criteria, questions
from .axes import WINNER, DesignError, axes_of, fixed, inputs, mentioned, stage_leaves
from .columns import book_of
from .findings import Findings
from .gates import meaning
from .info import SemanticError
from .links import written
from .matching import allowed, label_for, label_of
from .spec import Dollar, Ref, Stage, Study
from .stage_columns import check_form, declared, no_level, sealed, stage_axes
from .stage_columns import labels as own_labels


def faults(study: Study) -> list[Fault]:
    """Every fault of meaning, and notes on sealed stages; consequences of a fault are not among them.

    Cost: that of the instances of the study, plus a little per reference.
    """
    found = Findings(study)
    for stage in study.stages.values():
        _unknown_inputs(study, stage, found)
    try:
        book = book_of(study)
    except DesignError as error:
        found.add("circle", f"stages.{error.names[0]}" if error.names else "stages", str(error))
        return found.faults
    for name in axes_of(study).factors:  # inputs first
        stage = study.stages[name]
        before = len(found.faults)
        _stage(study, stage, found)
        if len(found.faults) > before or any(ref.name in found.bad for ref in inputs(study, stage).values()):
            found.bad.add(name)  # its axes are not what they should be, so that nothing is said of its columns
    _steps(study, book.steps, found)
    questions.check_derived(book, found)
    for analysis in study.analysis.values():
        questions.check(book, analysis, found)
    for claim in study.claims.values():
        criteria.check(book, claim, found)
    for gate in study.gates.values():
        meaning.check(book, gate, found)
    return found.faults


# --- stages ----------------------------------------------------------------------------------------------------


def _of(stage: Stage, role: str) -> str:
    if role.startswith(WINNER):
        return f"stages.{stage.name}.winner_of"
    return f"stages.{stage.name}.of" + ("" if role == "of" else f".{role}")


def _unknown_inputs(study: Study, stage: Stage, found: Findings) -> None:
    for role, ref in stage.of.items():
        if ref.use is None and ref.name not in study.stages:
            listed = f" Stages: {', '.join(study.stages)}."
            text = f"no stage '{ref.name}'.{did_you_mean(ref.name, study.stages) or listed}"
            found.add("unknown-name", _of(stage, role), text)


def _stage(study: Study, stage: Stage, found: Findings) -> None:
    for role, ref in inputs(study, stage).items():
        for axis, value in ref.at:
            try:
                _selector(study, ref, axis, value)
            except SemanticError as error:
                found.add(error.code, _of(stage, role), error.text)
        other = study.stages[ref.name]
        if stage.verb in ("train", "perturb") and sealed(study, other):
            text = f"'{ref.name}' reads the test split. Nothing may be trained on its results; use validation."
            found.add("test-choice", _of(stage, role), text)
    if stage.verb == "search":
        chosen.check_search(study, stage, found)
    else:
        _pool(study, stage, found)
    chosen.check_winners(study, stage, found)
    _filters(study, stage, found)
    _select(study, stage, found)


def _selector(study: Study, ref: Ref, axis: str, value: str | Dollar) -> None:
    """Whether one `@axis=value` of an input has a meaning.

    Raises:
        SemanticError: it has none.
    """
    factors, seeds = axes_of(study).factors[ref.name], axes_of(study).seeds[ref.name]
    factor, other = axis.partition(".")[0], study.stages[ref.name]
    if value == "*":
        raise SemanticError("open-axis", f"@{axis}=* is several inputs. To hand them all over, write pool: {axis}.")
    if axis == "at":
        for text in _texts(study, value, axis):
            if other.verb in ("train", "perturb"):
                check_form(study, other, text)
    elif axis == "seed":
        known = ", ".join(map(str, seeds))
        if not seeds:
            raise SemanticError("unknown-axis", f"'{ref.name}' has no seeds, so that @seed selects nothing.")
        if isinstance(value, Dollar) or value not in map(str, seeds):
            raise SemanticError("unknown-level", f"'{ref.name}' has no seed {value}; it has {known}.")
    elif factor in factors:
        _level(study, ref, axis, value)
    elif axis in stage_axes(study, other):
        known_labels = own_labels(study, other, axis, [])
        for text in _texts(study, value, axis):
            if known_labels and text not in known_labels:
                raise SemanticError(
                    "unknown-level", f"'{ref.name}' has no {axis} {text}; it has {', '.join(known_labels)}."
                )
        text = f"@{axis} hands over one part of '{ref.name}', and that comes with a later version of Crucis."
        raise SemanticError("later", f"{text} Columns may be read so: {ref.name}.COLUMN@{axis}=LABEL.")
    else:
        hint = did_you_mean(axis, [*factors, *stage_axes(study, other)])
        tail = hint or (f" It varies over {', '.join(factors)}." if factors else " It varies over no factor.")
        raise SemanticError("unknown-axis", f"'{ref.name}' does not vary over '{axis}'.{tail}")


def _level(study: Study, ref: Ref, axis: str, value: str | Dollar) -> None:
    factor, _, part = axis.partition(".")
    if isinstance(value, str):
        labels = allowed(study, factor, part or None, (value,))
        if not labels:
            raise SemanticError("unknown-level", no_level(study, axis, value))
        if len(labels) > 1:
            names = ", ".join(label for label in study.factors[factor].labels if label in labels)
            raise SemanticError("open-axis", f"@{axis}={value} are several levels ({names}). Fix one: @{factor}=LABEL.")
        return
    for text, raw in _brought(study, value).items():
        if fixed(study, ref, factor) is not None and text not in study.factors[factor].labels:
            label = label_for(study, factor, raw)
            if label is None:
                raise SemanticError("unknown-level", f"{value}: {no_level(study, factor, label_of(raw))}")


def _brought(study: Study, dollar: Dollar) -> Mapping[str, Any]:
    """Label -> what a `$` brings in there; levels without the field are left out."""
    levels = study.factors[dollar.name].levels if dollar.name in study.factors else ()
    if dollar.field is None:
        return {level.label: level.value for level in levels}
    return {
        level.label: level.fields[dollar.field] for level in levels if level.fields and dollar.field in level.fields
    }


def _texts(study: Study, value: str | Dollar, axis: str) -> list[str]:
    return [value] if isinstance(value, str) else [written(axis, raw) for raw in _brought(study, value).values()]


def _pool(study: Study, stage: Stage, found: Findings) -> None:
    path = f"stages.{stage.name}.pool"
    for axis in stage.pool:
        having = [ref for ref in inputs(study, stage).values() if _varies(study, ref, axis)]
        if not having:
            refs = list(inputs(study, stage).values())
            known = [name for name in (*study.factors, "seed") if any(_varies(study, ref, name) for ref in refs)]
            tail = f"they vary over {', '.join(known)}" if known else "they have one value"
            found.add("unknown-axis", path, f"its inputs do not vary over '{axis}'; {tail}.")
        if axis in mentioned(study, stage):
            text = f"'{axis}' is pooled and stands as ${axis} here: a pooled step has no level. Remove one."
            found.add("pooled-mention", path, text)


def _varies(study: Study, ref: Ref, axis: str) -> bool:
    """Whether an input has an axis that its reference leaves open."""
    axes = axes_of(study)
    if axis == "seed":
        return bool(axes.seeds[ref.name]) and ref.axis("seed") is None
    return axis in axes.factors[ref.name] and fixed(study, ref, axis) is None


def _filters(study: Study, stage: Stage, found: Findings) -> None:
    factors = axes_of(study).factors[stage.name]
    for key, filter in (("only", stage.only), ("except", stage.exclude)):
        for factor in dict.fromkeys(name for group in filter for name, _ in group):
            if factor in study.factors and factor not in factors:
                over = f"They vary over {', '.join(factors)}." if factors else "They do not vary over any factor."
                text = (
                    f"the steps of '{stage.name}' do not vary over {factor}, so that this filter means nothing. {over}"
                )
                found.add("unknown-axis", f"stages.{stage.name}.{key}", text)


def _select(study: Study, stage: Stage, found: Findings) -> None:
    """The metric that decides `@at=best`, where the leaf itself does not list the choices."""
    value = stage.params.get("select")
    listed = [leaf.params["select"].choices for leaf in stage_leaves(study, stage).values() if "select" in leaf.params]
    if stage.verb != "train" or not isinstance(value, str) or value == "none" or any(listed):
        return
    known, path = declared(study, stage), f"stages.{stage.name}.select"
    if value.startswith("test"):
        found.add(
            "test-choice", path, f"'{value}' of split test. Nothing may be chosen on the test split; use validation."
        )
    elif value not in known:
        tail = did_you_mean(value, known) or " Write accuracy or loss."
        found.add("unknown-column", path, f"'{stage.name}' has no column '{value}'.{tail}")


def _steps(study: Study, counts: Mapping[str, int], found: Findings) -> None:
    """Stages that no step is left of, and the note on sealed ones."""
    for name, stage in study.stages.items():
        if counts[name] == 0 and not any(counts[ref.name] == 0 for ref in inputs(study, stage).values()):
            if name not in found.bad and any(counts.values()):
                where = f"stages.{name}.only" if stage.only else f"stages.{name}"
                found.add(
                    "no-cell", where, f"no step of '{name}' is left: its filters and those of its inputs exclude all."
                )
        elif stage.params.get("split") == "test" and stage.verb != "train" and name not in found.bad:
            steps = f"{counts[name]} step{'s' * (counts[name] != 1)} wait{'s' * (counts[name] == 1)}"
            hint = f"When the analysis stands: crucis unseal {study.file} (recorded)."
            text = f"sealed. {steps}; everything else runs. {hint}"
            found.add("sealed", f"stages.{name}", text, note=True)


__all__ = ["faults"]
