"""What a run may be asked for beside its study: a part of its cells and stages, ranks, a device, workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import CrucisError, did_you_mean
from .ranks import check_ranks
from .session import Session
from .spec import Study

Cells = dict[str, tuple[str, ...]]


def part(study: Study, stages: Sequence[str], only: Mapping[str, str | Sequence[str]]) -> tuple[tuple[str, ...], Cells]:
    """A part of a plan: names of stages, and for factors the levels that are meant.

    Raises:
        CrucisError: a stage, factor or level that the study does not have.
    """
    for name in stages:
        if name not in study.stages:
            raise CrucisError(f"--stages {name}: no such stage.{did_you_mean(name, study.stages)}")
    cells: Cells = {}
    for factor, given in only.items():
        labels = (given,) if isinstance(given, str) else tuple(given)
        if factor not in study.factors:
            raise CrucisError(f"--only {factor}: no factor '{factor}'.{did_you_mean(factor, study.factors)}")
        known = study.factors[factor].labels
        for label in labels:
            if label not in known:
                raise CrucisError(
                    f"--only {factor}={label}: '{factor}' has no level '{label}'. Levels: {', '.join(known)}."
                )
        cells[factor] = labels
    return tuple(stages), cells


def check_means(session: Session, *, workers: int | None, ranks: int | None, device: str) -> None:
    """Refuse ranks, a device or workers that cannot be, before any step fails on them. None: not asked for.

    Raises:
        CrucisError: which, and what can be.
    """
    if ranks is not None and not session.circumstance.together:
        check_ranks(ranks, device)
    if device not in ("auto", "cpu"):
        from .steps import check_device

        check_device(device)
    if workers is not None and workers < 1:
        raise CrucisError(f"--workers {workers}: at least one worker is needed")
