"""A model card in the form of the Hugging Face hub, with what its metadata has no field for in a file beside it.

The metadata's `model-index` takes one value per metric; n, seeds, interval and the digests of the records go into a
JSON file beside the card, and into a table in its text.
Source: the hub's model card specification (https://github.com/huggingface/hub-docs/blob/main/modelcard.md).
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from ...errors import CrucisError, did_you_mean
from ..readings import Readings
from ..references import parse_ref
from .measured import Measured, measured
from .method_card import MARK

_METRICS = {"accuracy": "accuracy", "f1": "f1", "loss": "loss", "precision": "precision", "recall": "recall"}
_KEPT = "results.json"


def model_card(readings: Readings, stage: str, *, licence: str = "") -> tuple[str, str]:
    """The card's text and the JSON beside it.

    Args:
        stage: a training stage, with `@factor=level` where it has several cells.
        licence: identifier of the licence, or empty.

    Raises:
        CrucisError: no such training stage, several cells, or no record.
    """
    found = _selected(readings, stage)
    first = found[0]
    study = readings.study
    name = f"{study.name}-{first.stage}" + "".join(f"-{label}" for label in first.cell.values())
    head: dict[str, Any] = {"library_name": "pytorch", "tags": ["crucis"]}
    head |= {"license": licence.lower()} if licence else {}  # the hub writes its identifiers small
    head |= {"datasets": [first.data]} if first.data else {}
    head["model-index"] = [{"name": name, "results": _results(found)}]
    problems = faults(head)
    if problems:
        raise CrucisError(f"the card's metadata is not in the hub's form: {problems[0]}")
    rows = "\n".join(
        f"| {m.data or '-'} | {m.stage} | {m.split} | {m.column} | {m.words} | {len(m.records)} of {m.planned} | "
        f"{', '.join(map(str, m.seeds)) or '-'} |" for m in found
    )  # fmt: skip
    text = (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n# {name}\n\n"
        f"{study.question or ''}\n\n## Results\n\nMeans over seeds with 95 % intervals; the digests of "
        f"the records are in {_KEPT}.\n\n| data set | stage | split | metric | mean [95 % interval] | n | seeds |\n"
        f"|---|---|---|---|---|---|---|\n{rows}\n\n## Intended use\n\n{MARK}\n\n## Limitations\n\n{MARK}\n"
    )
    return text, json.dumps({"model": name, "study": study.name, "results": list(map(_beside, found))}, indent=1) + "\n"


def _selected(readings: Readings, written: str) -> list[Measured]:
    """Headline numbers of the stage's cell and of the measurements made of it."""
    try:
        ref = parse_ref(written)
    except ValueError as error:
        raise CrucisError(f"--model {written}: {error}") from None
    stages = readings.study.stages
    trained = [name for name, stage in stages.items() if stage.verb == "train"]
    if ref.name not in trained or ref.column is not None:
        hint = did_you_mean(ref.name, trained) or f" Training stages: {', '.join(trained) or 'none'}."
        raise CrucisError(f"--model {written}: no training stage '{ref.name}'.{hint}")
    wanted = {axis: str(value) for axis, value in ref.at}
    for axis, value in wanted.items():
        factor = readings.study.factors.get(axis)
        if factor is None or value not in factor.labels:
            known = ", ".join(factor.labels) if factor else ", ".join(readings.study.factors) or "none"
            raise CrucisError(f"--model {written}: '@{axis}={value}' selects nothing. There are: {known}.")
    on_it = [name for name, stage in stages.items() if any(r.name == ref.name for r in stage.of.values())]
    found = [
        m for m in measured(readings, [ref.name, *on_it])
        if all(m.cell.get(axis, label) == label for axis, label in wanted.items())
    ]  # fmt: skip
    cells = {tuple(m.cell.items()) for m in found if m.stage == ref.name}
    if not cells:
        raise CrucisError(f"--model {written}: no record yet. First: crucis run {readings.study.file}")
    if len(cells) > 1:
        axes = [axis for axis in found[0].cell if len({m.cell.get(axis) for m in found}) > 1]
        raise CrucisError(
            f"--model {written}: {len(cells)} cells, over {', '.join(axes)}. Choose one: @{axes[0]}=LEVEL"
        )
    return found


def _results(found: list[Measured]) -> list[dict[str, Any]]:
    """`model-index` results: one per data set and split."""
    groups: dict[tuple[str, str], list[Measured]] = {}
    for m in found:
        groups.setdefault((m.data or "unnamed", m.split), []).append(m)
    return [
        {
            "task": {"type": "other"},
            "dataset": {"name": data, "type": data, "split": split},
            "metrics": [
                {"type": _METRICS.get(m.column, m.column), "name": f"{m.stage}.{m.column}", "value": m.mean}
                for m in items
            ],
        }
        for (data, split), items in groups.items()
    ]


def _beside(m: Measured) -> dict[str, Any]:
    return {
        "stage": m.stage, "cell": dict(m.cell), "column": m.column, "unit": m.unit, "data": m.data, "split": m.split,
        "mean": m.mean, "interval": None if m.low is None else [m.low, m.high], "confidence": 0.95, "sd": m.sd,
        "n": len(m.records), "planned": m.planned, "seeds": list(m.seeds), "records": dict(m.records),
    }  # fmt: skip


def faults(head: dict[str, Any]) -> list[str]:
    """Where metadata breaks the hub's form of `model-index` (name, results with task, dataset and metrics)."""
    out = []
    for model in head.get("model-index", []):
        if not isinstance(model.get("name"), str) or not model["name"]:
            out.append("a model without a name")
        for result in model.get("results", []):
            if "type" not in result.get("task", {}):
                out.append("a result without task.type")
            if not {"name", "type"} <= result.get("dataset", {}).keys():
                out.append("a result without dataset.name and dataset.type")
            out += [
                "a metric without type or with a value that is no number"
                for metric in result.get("metrics", [])
                if "type" not in metric or not isinstance(metric.get("value"), (int, float))
            ]
    return out
