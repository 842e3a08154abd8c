"""Checks of what is chosen: the objective of a search, and whose winner a stage takes over."""

from __future__ import annotations

from typing import Any

from ..errors import did_you_mean
from .axes import WINNER, axes_of, fixed, inputs, mentioned, stage_leaves
from .distributions import parameters
from .findings import Findings
from .spec import LeafRef, Stage, Study
from .stage_columns import COST, trial_columns
from .success import criterion

_FEW = ("accuracy", "loss")


def check_search(study: Study, stage: Stage, found: Findings) -> None:
    """The column that a search improves, and what its leaf needs of the distributions."""
    path = f"stages.{stage.name}"
    if stage.trial is None:
        return
    name = stage.leaf.name if isinstance(stage.leaf, LeafRef) else ""
    sought = _written(stage, "find") if name == "threshold" else None
    if name == "grid" or sought in {one.path for one in parameters(stage.trial.params)}:
        for one in parameters(stage.trial.params):
            about = one.distribution
            if about.kind != "choice" and about.points is None and one.path != sought:
                text = f"'{name}' tries every value: write {{{about.kind}: [...], points: 5}}, or a choice."
                found.add("no-points", f"{path}.trial.{one.path}", text)
    if not stage_leaves(study, stage):
        return
    if name == "threshold":
        _threshold(study, stage, sought, found)
    else:
        _objective(study, stage, found)


def _written(stage: Stage, name: str) -> Any:
    inner = stage.leaf.params if isinstance(stage.leaf, LeafRef) else {}
    return stage.params.get(name, inner.get(name))


def _threshold(study: Study, stage: Stage, sought: Any, found: Findings) -> None:
    """What a threshold search looks for: a whole number among the distributions, and a comparison that it reaches."""
    assert stage.trial is not None
    path = f"stages.{stage.name}"
    whole = [one.path for one in parameters(stage.trial.params) if one.distribution.kind.startswith("int")]
    if isinstance(sought, str) and sought not in whole:
        listed = (
            f" Write one of {', '.join(whole)}." if whole else " Write for instance view: {n: {int_log_uniform: ...}}."
        )
        text = f"'{sought}' is no distribution of whole numbers in the trial.{did_you_mean(sought, whole) or listed}"
        found.add("unknown-name", f"{path}.find", text)
    text = _written(stage, "success")
    if not isinstance(text, str):
        return
    try:
        column = criterion(text)[0]
    except ValueError as error:
        found.add("bad-expression", f"{path}.success", str(error))
        return
    known = trial_columns(study, stage)
    if column not in known or known[column].get("axes"):
        tail = did_you_mean(column, known) or " Write for instance train_accuracy >= 100%."
        found.add("unknown-column", f"{path}.success", f"the trial has no column '{column}' with one number.{tail}")
    elif column in COST or known[column].get("cost"):
        found.add("no-meaning", f"{path}.success", f"'{column}' is circumstance: it differs from run to run.")


def _objective(study: Study, stage: Stage, found: Findings) -> None:
    direction, column = stage.objective
    assert stage.trial is not None
    known, path = trial_columns(study, stage), f"stages.{stage.name}.{direction}"
    if stage.trial.params.get("split") == "test" or column.startswith("test"):
        text = f"'{column}' of split test. Nothing may be chosen on the test split; use validation."
        found.add("test-choice", path, text)
    elif column not in known:
        tail = did_you_mean(column, known) or f" Write {' or '.join(_FEW)}."
        found.add("unknown-column", path, f"the trial has no column '{column}'.{tail}")
    elif column in COST or known[column].get("cost"):
        text = f"'{column}' is circumstance: it differs from run to run, and so would what is chosen. Write accuracy."
        found.add("no-meaning", path, text)
    elif known[column].get("axes"):
        text = f"'{column}' varies over {known[column]['axes'][0]}, and a search compares single numbers."
        found.add("open-axis", path, text)
    elif column.startswith("train_") or column in ("parameters", "steps"):
        text = f"'{column}' is not measured on the validation split, by which a search chooses. Write accuracy or loss."
        found.add("no-meaning", path, text)


def check_winners(study: Study, stage: Stage, found: Findings) -> None:
    """A search with several winners, of which a stage takes one without saying which."""
    own = mentioned(study, stage)
    factors = axes_of(study).factors
    for role, ref in inputs(study, stage).items():
        if not role.startswith(WINNER):
            own |= {factor for factor in factors[ref.name] if fixed(study, ref, factor) is None}
    for ref in stage.winners.values():
        for factor in factors[ref.name]:
            labels = study.factors[factor].labels
            if fixed(study, ref, factor) is None and factor not in own and len(labels) > 1:
                written = "winner_of" if "winner_of" in study.resolved.get("stages", {}).get(stage.name, {}) else ""
                text = (
                    f"'{ref.name}' has a winner per {factor} ({len(labels)}). Choose: {ref.name}@{factor}={labels[-1]}."
                )
                path = f"stages.{stage.name}.{written}" if written else f"stages.{stage.name}"
                found.add("open-axis", path, text)
