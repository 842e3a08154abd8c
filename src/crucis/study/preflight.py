"""The one check that stands before every run: an arm called `baseline` is the method with everything left out.

A study of components compares arms as if the baseline were the bottom of their lattice. If its net is another file
that computes something else, every effect is measured against the wrong thing, so nothing is trained. Everything
else that can be known before training is asked for by `crucis check --model`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..canon import digest
from ..errors import CrucisError
from .identity import leaf_identity, room_revision

if TYPE_CHECKING:
    from .checks import Wanted
    from .plan import Plan

FOLDER = "checks"  # in the store: what was found equal, so that it is found once


def check_baselines(plan: Plan, store: Path, root: Path | None) -> None:
    """Refuse to train a method whose arm `baseline` is not what it becomes with everything left out.

    Cost: four forward and backward passes of 64 inputs of noise per method, once per state of the two files.

    Raises:
        CrucisError: they differ, or their weights do not map; with the largest difference and the ways out.
    """
    from .checks import networks, subject

    for wanted in networks(plan.study):
        if wanted.baseline is None or not wanted.of_arms:
            continue
        note = store / FOLDER / f"{digest(identity(wanted, plan))}.json"
        if note.is_file():
            continue
        from ..nets.checks.parts import baseline

        try:
            (finding,) = baseline(subject(wanted, plan.study.folder, root, noise=True))
        except (CrucisError, MemoryError):
            raise
        except Exception as error:  # a user's network may raise anything
            from .steps import blame

            raise CrucisError(
                f"{wanted.net.name}: {blame(error, plan.study.folder)}. Nothing was trained. To see every check: "
                "crucis check STUDY --model"
            ) from error
        if finding.outcome == "bad":
            raise CrucisError(
                f"{finding.subject}: {finding.says}. Nothing was trained, since the arms would be compared with "
                "something else. Mend it (crucis check STUDY --model), or leave 'baseline' out of the generator and "
                "give the other net a level of its own"
            )
        note.parent.mkdir(parents=True, exist_ok=True)
        aside = note.with_name(f"{note.name}.{os.getpid()}")
        aside.write_text(json.dumps({"says": finding.says, "values": dict(finding.values)}), encoding="utf-8")
        aside.replace(note)


def identity(wanted: Wanted, plan: Plan) -> list[Any]:
    """What the checks of a method's parts depend on: as long as this stays, so does what they found."""
    return [
        leaf_identity(wanted.net, plan.code),
        leaf_identity(wanted.baseline, plan.code) if wanted.baseline is not None else None,
        dict(wanted.replace), leaf_identity(wanted.data, plan.code), room_revision("nets"),
    ]  # fmt: skip
