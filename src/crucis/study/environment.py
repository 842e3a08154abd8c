"""The hardware and libraries behind the records of a study, most records first."""

from __future__ import annotations

from typing import Any

from ..report import content as c
from .readings import Readings


def environment(readings: Readings) -> tuple[c.Fact, ...]:
    """One fact per distinct numerical environment."""
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
