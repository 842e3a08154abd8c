"""Range tests of learning rates for a study that plans none: the study with one stage more, of which only it runs.

Nothing is registered, because a range test is a look at the tool and no result of the study. Its records are those that
a stage `{perturb: lr_range, of: STAGE@at=0%}` of the study itself would have, so whoever writes it there later finds
them in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CrucisError, Fault, StudyError, did_you_mean
from ..records import Record
from . import rates
from .distributions import parameters
from .dump import dump
from .load import study_from_text
from .pictures import cell_label
from .readings import Readings
from .session import PRELOAD, Session
from .spec import Distribution, LeafRef, Stage, Study

STAGE, MODEL = "lr-range", "lr-range-of-trial"
#: Sections that a range test has no use for.
_IDLE = ("question", "derive", "analysis", "claims", "gates", "budget")


@dataclass(frozen=True)
class Tested:
    """The range tests of one network: its cell in words, what its seeds say together, and its records by seed.

    lost: seed -> why it has no record that is ok.
    """

    label: str
    advice: rates.Advice | None
    records: Mapping[int, Record]
    lost: Mapping[int, str]


def ranging(study: Study, stage: str | None, options: Mapping[str, Any]) -> Study:
    """The study with the stage `lr-range` on the untrained networks of a stage that trains.

    Args:
        study: as it is.
        stage: which one; None if there is only one. A search stands for its trial, without the rate that it looks for.
        options: parameters of `lr_range`.

    Raises:
        CrucisError: no such stage, several, or one that starts from a trained network.
        StudyError: the study with that stage has faults.
    """
    name = _chosen(study, stage)
    chosen = study.stages[name]
    stages = {key: dict(body) for key, body in study.resolved["stages"].items()}
    if chosen.trial is not None:
        stages[MODEL] = _trial(name, chosen, stages[name]["trial"])
        name = MODEL
    stages[STAGE] = {"perturb": {"lr_range": dict(options)} if options else "lr_range", "of": f"{name}@at=0%"}
    text = {key: value for key, value in study.resolved.items() if key not in _IDLE} | {"stages": stages}
    found, faults = study_from_text(dump(text), study.folder, file=study.file, yes=True)
    if found is None:
        raise StudyError([_placed(fault) for fault in faults if not fault.note])
    return replace(found, protocol=study.protocol)


def _placed(fault: Fault) -> Fault:
    """A fault of the study with the stage more, whose lines are in no file: what was asked for on the command line."""
    option = fault.path.removeprefix(f"stages.{STAGE}.perturb.lr_range.")
    return replace(fault, path=fault.path if option == fault.path else f"--{option}", file="", line=0, column=0)


def _chosen(study: Study, stage: str | None) -> str:
    trains = [name for name, one in study.stages.items() if _trains(one)]
    if stage is not None and stage not in study.stages:
        raise CrucisError(f"--stage {stage}: no such stage.{did_you_mean(stage, study.stages)}")
    if stage is not None and stage not in trains:
        one = study.stages[stage]
        what = "does not train" if one.verb != "train" else "starts from a trained network" if one.of else (
            "has a protocol of its own")  # fmt: skip
        wanted = "a range test begins with an untrained network, which it trains by the protocol supervised"
        raise CrucisError(f"--stage {stage}: it {what}; {wanted}: {_list(trains)}")
    if stage is None and len(trains) != 1:
        raise CrucisError(f"which stage? Write --stage NAME: {_list(trains)}")
    return stage or trains[0]


def _trains(stage: Stage) -> bool:
    """Whether a stage begins with an untrained network, and by no protocol that is known to be another one."""
    body = stage.trial or stage
    other = isinstance(body.leaf, LeafRef) and not body.leaf.own and body.leaf.name != "supervised"
    return body.verb == "train" and not body.of and not other


def _list(names: list[str]) -> str:
    return ", ".join(names) or "there is none that trains an untrained network"


def _trial(name: str, search: Stage, written: Mapping[str, Any]) -> dict[str, Any]:
    """The trial of a search as a stage of its own, without its distribution of `lr`."""
    assert search.trial is not None
    searched = [one.path for one in parameters(search.trial.params) if one.path != "lr"]
    if searched:
        raise CrucisError(
            f"--stage {name}: its trials also vary {', '.join(searched)}, and a range test needs one value of each; "
            f"write for instance --set 'stages.{name}.trial.{searched[0]}=VALUE'"
        )
    drop = isinstance(search.trial.params.get("lr"), Distribution)
    return {key: value for key, value in written.items() if not (drop and key == "lr")}


def run(
    session: Session, *, workers: int | None = None, progress: Callable[[Any], None] | None = None,
    cells: Mapping[str, tuple[str, ...]] | None = None,
) -> tuple[list[Tested], Any]:  # fmt: skip
    """Run the range tests of a session whose study `ranging` made; what they say, and the engine's outcome."""
    from ..engine import supervisor
    from . import codestate
    from .cost import Predictor

    plan = session.plan
    plan.code.keep(session.store.path / "code")
    nodes = [node for node in plan.part((STAGE,), cells) if node.instance.stage == STAGE]
    outcome = supervisor.run(
        plan.steps_of(plan.with_inputs(nodes)), session.store, runner="crucis.study.steps:run", preload=PRELOAD,
        workers=workers, progress=progress, again="failed", cost=Predictor(plan, session.store).step_seconds,
        environment=codestate.described(session.study.folder, session.store),
    )  # fmt: skip
    readings = Readings(plan, session.store)
    cells_found: dict[str, list[Any]] = {}
    for node in nodes:
        cells_found.setdefault(cell_label(readings, node.instance.cell), []).append(node)
    return [_tested(label, found, readings) for label, found in cells_found.items()], outcome


def _tested(label: str, nodes: list[Any], readings: Readings) -> Tested:
    records: dict[int, Record] = {}
    lost: dict[int, str] = {}
    for node in nodes:
        record, seed = readings.record(node.key), node.instance.seed
        if record is not None and record.outcome == "ok":
            records[seed] = record
        else:
            lost[seed] = ": ".join(filter(None, (readings.state(node), readings.why(node))))
    return Tested(label, rates.advice(list(records.values())) if records else None, records, lost)
