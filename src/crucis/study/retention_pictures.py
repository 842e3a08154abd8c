"""Pictures of forgetting: one panel per network, one line per strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..records import Record
from ..report import content as c
from .bands import BAND, band

#: Lines in one panel, and panels in one picture.
_MOST_LINES = 6
_MOST_PANELS = 20

Cells = Mapping[str, Mapping[str, str]]


def retention(stage: str, groups: Mapping[str, Sequence[Record]], cells: Cells) -> Iterator[c.Figure]:
    """Up to four cells in one picture; more as panels of the others for every level of the factor with the fewest.

    Args:
        stage: name of the stage.
        groups: cell in words -> its records, one per seed.
        cells: cell in words -> factor -> level.
    """
    lines = {label: _line(label, records) for label, records in groups.items()}
    arm = _arm(cells) if len(lines) > 4 else None
    if arm is None:
        for number, part in enumerate(_parts(list(lines))):
            yield _figure(
                stage, number, len(lines), groups, part,
                c.Retention(tuple(lines[each] for each in part), summary=tuple(_area(groups[each]) for each in part)),
            )  # fmt: skip
        return
    panels: dict[str, list[str]] = {}
    for label in lines:
        panels.setdefault(_without(cells, label, arm), []).append(label)
    for number, part in enumerate(_parts(list(panels))):
        shown = tuple(
            c.LinePanel(panel, tuple(_line(cells[label][arm], groups[label]) for label in panels[panel]))
            for panel in part
        )
        summary = tuple("AURC " + ", ".join(_area(groups[label])[5:] for label in panels[panel]) for panel in part)
        members = [label for panel in part for label in panels[panel]]
        yield _figure(
            stage, number, len(panels), groups, members, c.Retention(panels=shown, summary=summary),
            f" A panel per {_rest(cells, arm)}, a line per {arm}; areas are in the order of the lines.",
        )  # fmt: skip


def _line(label: str, records: Sequence[Record]) -> c.Line:
    rows = []
    for record in records:
        steps = {int(step): value for step, value in record.values["retention"].items()}
        rows.append(([0, *sorted(steps)], [1.0, *(steps[step] for step in sorted(steps))]))
    return band(rows, label)


def _area(records: Sequence[Record]) -> str:
    return f"AURC {np.mean([record.values['aurc'] for record in records]):.2f}"


def _levels(cells: Cells) -> dict[str, set[str]]:
    """Factors that vary over the cells, and their levels."""
    found: dict[str, set[str]] = {}
    for cell in cells.values():
        for name, level in cell.items():
            found.setdefault(name, set()).add(level)
    return {name: levels for name, levels in found.items() if len(levels) > 1}


def _arm(cells: Cells) -> str | None:
    """The factor whose levels are the lines of a panel: the one with the fewest, of several the last."""
    levels = _levels(cells)
    if len(levels) < 2:
        return None
    fewest = min(len(found) for found in levels.values())
    name = [name for name, found in levels.items() if len(found) == fewest][-1]
    return name if fewest <= _MOST_LINES else None


def _without(cells: Cells, label: str, arm: str) -> str:
    return ", ".join(level for name, level in cells[label].items() if name != arm and name in _levels(cells))


def _rest(cells: Cells, arm: str) -> str:
    return " and ".join(name for name in _levels(cells) if name != arm)


def _parts(names: Sequence[str]) -> list[Sequence[str]]:
    """As few pictures as can be, of nearly equal size."""
    count = -(-len(names) // _MOST_PANELS)
    return [part.tolist() for part in np.array_split(np.array(names, dtype=object), count)]


def _figure(
    stage: str, number: int, count: int, groups: Mapping[str, Sequence[Record]], members: Sequence[str],
    data: c.Retention, more: str = "",
) -> c.Figure:  # fmt: skip
    seeds = max(len(groups[label]) for label in members)
    return c.Figure(
        f"{stage}-retention{f'-{number + 1}' if count > _MOST_PANELS else ''}",
        "How much of the first task survives the second", data,
        "Retention: accuracy on the first task after some optimiser steps of the second, divided by the accuracy "
        f"before it. {BAND} (up to {seeds} seeds). AURC: area under the curve divided by its length, mean over seeds."
        f"{more}",
        tuple(record.key for label in members for record in groups[label]), main=number == 0,
    )  # fmt: skip
