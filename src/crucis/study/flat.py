"""The table of a study as plain rows: one per cell and seed, one column per metric. For `crucis table` and pandas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.store import Store
from .plan import Plan
from .readings import COST, Readings, cost

Rows = list[list[Any]]


def flat_table(plan: Plan, store: Store) -> tuple[list[str], Rows]:
    """Column names and rows. A stage that varies over fewer factors repeats its values in every row it belongs to."""
    readings = Readings(plan, store)
    factors = list(plan.study.factors)
    values: dict[tuple[str, ...], dict[str, Any]] = {}
    columns: dict[str, None] = {}
    parts = []
    for node in plan.nodes:
        if node.inner:
            continue
        record = readings.record(node.key)
        named = dict(_named(node.instance.stage, record.values, record.body["cost"])) if record else {}
        named[f"{node.instance.stage}.state"] = readings.state(node)
        columns.update(dict.fromkeys(named))
        parts.append((node.instance.cell, node.instance.seed, named))
    most = {tuple(sorted(cell)) for cell, _, _ in parts}
    widest = [names for names in most if not any(set(names) < set(other) for other in most)]
    seeds: list[int | None] = [*sorted({seed for _, seed, _ in parts if seed is not None})] or [None]
    for cell, seed, _ in parts:
        if tuple(sorted(cell)) in widest:
            for each in [seed] if seed is not None else seeds:
                values.setdefault((*[cell.get(name, "") for name in factors], str(each or "")), {})
    for cell, seed, named in parts:
        for row, into in values.items():
            fits = all(row[i] == cell[name] for i, name in enumerate(factors) if name in cell)
            if fits and (seed is None or row[-1] == str(seed)):
                into.update(named)
    head = [*factors, "seed", *columns]
    return head, [[*row, *(cells.get(name) for name in columns)] for row, cells in values.items()]


def _named(stage: str, values: Mapping[str, Any], spent: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        yield from _walk(f"{stage}.{name}", value)
    for name in COST:
        if name not in values and (found := cost(spent, name)) is not None:
            yield f"{stage}.{name}", found


def _order(label: str) -> tuple[float, str]:
    """Numbers by value, words behind them."""
    try:
        return float(label.rstrip("%")), label
    except ValueError:
        return float("inf"), label


def _walk(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for label, inner in sorted(value.items(), key=lambda item: _order(item[0])):
            yield from _walk(f"{name}@{label}", inner)
    else:
        yield name, value
