"""What a page says of how its records came about: hardware, time, and the commands that compute them again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..report import content as c
from .checklist import flow
from .readings import Readings
from .session import Session


def environment(readings: Readings) -> tuple[c.Fact, ...]:
    """Kinds of hardware and libraries with the number of records that each computed."""
    blocks: dict[str, tuple[dict[str, Any], int]] = {}
    for key in readings.plan.by_key:
        record = readings.record(key)
        if record is not None:
            block = record.body.get("numerics", {})
            name = str(block.get("hash", ""))
            blocks[name] = (block, blocks.get(name, (block, 0))[1] + 1)
    out = []
    for number, (block, count) in enumerate(sorted(blocks.values(), key=lambda item: -item[1]), 1):
        words = ", ".join(f"{k} {v}" for k, v in sorted(block.items()) if k != "hash" and v != "")
        out.append(c.Fact(f"numerics {number} ({count} records)", words))
    return tuple(out)


def cost(readings: Readings) -> tuple[c.Cost, ...]:
    """Computing time and stored bytes per stage, as the records tell it."""
    out = []
    for stage in readings.study.stages:
        records = [
            record
            for node in readings.plan.by_key.values()
            if node.owner == stage and (record := readings.record(node.key)) is not None
        ]
        if records:
            seconds = sum(float(record.body["cost"]["wall_s"]) for record in records)
            stored = sum(int(file["bytes"]) for record in records for file in record.body["files"].values())
            out.append(c.Cost(stage, len(records), seconds, stored))
    return tuple(out)


def commands(session: Session) -> tuple[str, ...]:
    """The commands that compute all of this again, from inside the study's folder."""
    study = session.study
    name = study.protocol if study.protocol and not study.file.endswith((".yaml", ".yml")) else Path(study.file).name
    tail = options(session)
    return (f"crucis run {name}{tail}", f"crucis verify {name}{tail}", f"crucis reproduce {name}{tail}")


def options(session: Session) -> str:
    """What follows the study on a command line to make it this one: ` --preset NAME --set 'PATH=VALUE'`, or nothing."""
    study = session.study
    tail = f" --preset {study.preset}" if study.preset else ""
    overrides = {change.path: change for change in study.changes if change.how == "--set"}
    return tail + "".join(f" --set '{path}={flow(change.now)}'" for path, change in overrides.items())
