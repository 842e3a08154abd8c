"""What a tracker is told of a study: its runs before they begin, their curves and endings from the records."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..canon import digest
from ..engine.store import Store
from ..records import Record
from ..trackers.sink import Ending, Plain, Row, Run
from .nodes import Node
from .plan import Plan
from .resolved import parameters

_VERBS = ("train", "measure", "perturb")
_FORM = 1  # raised when the same record is told to trackers in another way
REPORT = "report"


def runs_of(plan: Plan) -> list[Run]:
    """One run per training or measuring step that has a key and may be looked at, trials of searches included."""
    found: dict[str, Run] = {}
    for node in plan.nodes:
        hidden = node.sealed and not plan.circumstance.unsealed
        if node.spec["kind"].partition("/")[0] in _VERBS and not node.pending and not hidden:
            found.setdefault(node.key, _run(plan, node))
    return list(found.values())


def _run(plan: Plan, node: Node) -> Run:
    cell = node.instance.cell
    levels = " ".join(f"{factor}={label}" for factor, label in cell.items())
    seed = {} if node.instance.seed is None else {"seed": str(node.instance.seed)}
    return Run(
        key=node.key, name=node.label, study=plan.study.name, group=f"{plan.study.name}/{levels or node.owner}",
        params=parameters(plan, node),
        tags={"study": plan.study.name, "stage": node.instance.stage, **seed,
              **{f"cell.{factor}": label for factor, label in cell.items()}},
    )  # fmt: skip


def report_run(study: str) -> Run:
    """The run that holds a study's page and figures."""
    return Run(REPORT, f"{study} report", study, f"{study}/{REPORT}", tags={"study": study, "stage": REPORT})


def mark_of(run: Run, content: str, models: bool) -> str:
    """What stays equal as long as nothing would be written otherwise."""
    return digest([_FORM, run.pack(), content, models])


def curve_of(record: Record) -> list[Row]:
    """The rows of a record's curve, oldest first; none if it has no `curve.npz` over optimiser steps."""
    if "curve.npz" not in record.body["files"]:
        return []
    arrays = {name: column for name, column in record.arrays("curve.npz").items() if column.ndim == 1}
    if "step" not in arrays:
        return []
    return [dict(zip(arrays, map(float, row), strict=True)) for row in zip(*arrays.values(), strict=True)]


def ending_of(record: Record, store: Store, models: bool) -> Ending:
    """Closing values, what was used, tags and files of a record.

    Values: `final/COLUMN` (own axes become path elements: `final/recall/class/3`), `se/COLUMN` their standard errors,
    `cost/wall_s` and its like. A network's weights are among the files only with `models`.
    """
    body = record.body
    told = {"curve"} if "curve.npz" in body["files"] else set()  # its rows are told already
    values = {f"final/{name}": value for name, value in _numbers(record.values) if name.split("/")[0] not in told}
    for column, stated in record.uncertainty.items():
        values |= {f"se/{name}": value for name, value in _numbers({column: _errors(stated)})}
    values |= {f"cost/{name}": float(value) for name, value in body["cost"].items()}
    tags = {"outcome": record.outcome, "device": str(body["numerics"].get("model", "")), **_git(store, body)}
    if body.get("reason"):
        tags |= {"reason": f"{body['reason']['code']}: {body['reason']['text']}"}
    used: dict[str, Plain] = {}
    _flat(used, "used", body["notes"].get("trained", {}))
    models = models and store.whole(record.key)  # weights may have been given up
    files = {name: record.folder / name for name, about in body["files"].items() if models or about["role"] != "model"}
    step = record.values.get("steps", 0)
    return Ending(
        record.outcome == "ok", step if isinstance(step, int) else 0, values, used,
        {name: text for name, text in tags.items() if text}, {"record.json": record.folder / "record.json", **files},
    )  # fmt: skip


def report_ending(folder: Path) -> Ending:
    """The page of a study and what lies beside it."""
    files = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    return Ending(True, 0, files=files)


def _numbers(values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names and numbers of columns: `accuracy`, `recall/class/3`, `curve/440`."""
    for column, value in values.items():
        name, *axes = column.split("@")
        yield from _leaves(name, value, axes)


def _leaves(name: str, value: Any, axes: list[str]) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        head = f"{name}/{axes[0]}" if axes else name
        for label, item in value.items():
            yield from _leaves(f"{head}/{label}", item, axes[1:])
    elif isinstance(value, (int, float)) and math.isfinite(value):
        yield name, float(value)


def _errors(stated: Any) -> Any:
    """The standard errors in a column's uncertainty, nested like the column; nothing where none is stated."""
    if not isinstance(stated, Mapping):
        return {}
    if "kind" in stated or "se" in stated:
        return stated.get("se", {})
    return {label: _errors(item) for label, item in stated.items()}


def _git(store: Store, body: Mapping[str, Any]) -> dict[str, str]:
    path = store.path / "environments" / f"{body.get('environment')}.json"
    if not path.is_file():
        return {}
    git = json.loads(path.read_text(encoding="utf-8")).get("git", {})
    return {"commit": git["commit"], "dirty": str(git["dirty"]).lower()} if "commit" in git else {}


def _flat(out: dict[str, Plain], name: str, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _flat(out, f"{name}.{key}", item)
    elif isinstance(value, list):
        if any(isinstance(item, Mapping) for item in value):
            for place, item in enumerate(value):
                _flat(out, f"{name}.{place}", item)
        else:
            out[name] = json.dumps(value)
    else:
        out[name] = value
