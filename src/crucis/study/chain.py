"""Ledgers whose lines hold one another: each carries its own digest and that of the line before.

Changing, inserting or removing a line breaks the chain, unless every later line is written anew too. Nobody can keep
the owner of a folder from doing that; it takes writing all of the evidence again, not editing a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..canon import digest
from ..engine.store import Store


def append(store: Store, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Add a line to a chained ledger and return it as written."""
    before = store.lines(name)
    line = {**body, "number": len(before) + 1, "before": str(before[-1].get("digest", "")) if before else ""}
    line["digest"] = digest(line)
    store.append_line(name, line)
    return line


def read(store: Store, name: str) -> tuple[list[dict[str, Any]], str]:
    """The lines of a chained ledger, and where its chain breaks in words (empty if it holds).

    A ledger that breaks is no evidence of anything: who changed one line could have changed the next.
    """
    try:
        lines = store.lines(name)
    except (ValueError, OSError) as error:
        return [], f"the ledger {name} cannot be read: {error}"
    before = ""
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict) or line.get("digest") != digest({k: v for k, v in line.items() if k != "digest"}):
            return [], f"line {number} of the ledger {name} was changed after it was written"
        if line.get("before") != before or line.get("number") != number:
            return [], f"a line before line {number} of the ledger {name} was removed or replaced"
        before = line["digest"]
    return lines, ""


def unnamed(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of unsealing without who wrote it and what the study's ledger is called: a bundle replaces names by
    labels, a restored study may lie elsewhere in its store, and the line stays the same line."""
    return {key: value for key, value in line.items() if key not in ("who", "study")}
