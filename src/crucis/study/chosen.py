"""Checks of what is chosen: the objective of a search, and whose winner a stage takes over."""

from __future__ import annotations

from ..errors import did_you_mean
from .axes import WINNER, axes_of, fixed, inputs, mentioned, stage_leaves
from .distributions import parameters
from .findings import Findings
from .spec import LeafRef, Stage, Study
from .stage_columns import COST, trial_columns

_FEW = ("accuracy", "loss")


def check_search(study: Study, stage: Stage, found: Findings) -> None:
    """The column that a search improves, and what its leaf needs of the distributions."""
    path = f"stages.{stage.name}"
    if stage.trial is None:
        return
    if isinstance(stage.leaf, LeafRef) and stage.leaf.name == "grid":
        open_ends = [one for one in parameters(stage.trial.params)
                     if one.distribution.kind != "choice" and one.distribution.points is None]  # fmt: skip
        for one in open_ends:
            about = one.distribution
            text = f"a grid needs to know how many values to take: {{{about.kind}: [...], points: 5}}, or a choice."
            found.add("no-points", f"{path}.trial.{one.path}", text)
    if stage_leaves(study, stage) and stage.objective != ("", ""):
        _objective(study, stage, found)


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
