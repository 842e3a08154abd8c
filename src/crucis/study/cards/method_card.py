"""The method card: measured sections are written from records, the others by a person and kept.

Source: Mitchell et al. 2019, Model Cards for Model Reporting, doi:10.1145/3287560.3287596.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..readings import Readings
from ..results import AnalysisResult
from .measured import Measured, measured

MARK = "<!-- to be written by a person -->"
_MEASURED = "<!-- measured: from records; edits are overwritten -->"
_LEAST = 40  # characters of a person's text below which a section does not count as filled
_SECTION = re.compile(r"^## (.+?)[ \t]*\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


class Source(Protocol):
    """What a card reads: records and results."""

    readings: Readings

    @property
    def results(self) -> Mapping[str, AnalysisResult]:
        """The analyses."""
        ...


#: Sections that only a person can write -> what is asked.
WRITTEN = {
    "Method": "What the method does and what is new about it; its components in a sentence each; version; who to ask.",
    "Intended use": "Which tasks and users it is for, and which uses are out of scope.",
    "Ethical considerations": "Who may be harmed by errors or misuse, sensitive data, and what was done about it.",
    "Caveats": "What the numbers above do not show; known failures; what should be tried next.",
}

_NOTHING = "Not measured yet."


def card(source: Source, before: str = "") -> str:
    """The card's text. What persons wrote in `before` is kept; measured sections are written anew.

    Args:
        source: the study's records and results.
        before: the card as it was, or an empty text.
    """
    kept = sections(before)
    study = source.readings.study
    parts = [f"# Method card: {study.name}", "", *([study.question, ""] if study.question else [])]
    for title, body in _bodies(source).items():
        parts += [f"## {title}", "", _MEASURED, "", body, ""]
    for title, asked in WRITTEN.items():
        text = kept.pop(title, "").strip()
        parts += [f"## {title}", "", text or f"{MARK}\n<!-- {asked} -->", ""]
    for title, text in kept.items():  # sections that persons added
        if title not in MEASURED:
            parts += [f"## {title}", "", text.strip(), ""]
    return "\n".join(parts).rstrip() + "\n"


def sections(text: str) -> dict[str, str]:
    """Title -> body of every second-level section of a Markdown text."""
    return {match[1].strip(): match[2].strip() for match in _SECTION.finditer(text)}


def judge_card(source: Source, text: str) -> tuple[float, list[str], list[str]]:
    """(share of the sections that are filled, empty ones, measured ones that differ from what the records say)."""
    found, bodies = sections(text), _bodies(source)
    empty = [title for title, body in bodies.items() if body == _NOTHING or title not in found]
    stale = [
        title for title, body in bodies.items()
        if title in found and found[title].removeprefix(_MEASURED).strip() != body.strip()
    ]  # fmt: skip
    empty += [title for title in WRITTEN if not _filled(found.get(title, ""))]
    total = len(bodies) + len(WRITTEN)
    return (total - len(empty)) / total, empty, stale


def _filled(body: str) -> bool:
    return MARK not in body and len(re.sub(r"<!--.*?-->|\s+", " ", body, flags=re.DOTALL).strip()) >= _LEAST


def _bodies(source: Source) -> dict[str, str]:
    return {title: write(source) or _NOTHING for title, write in MEASURED.items()}


def _table(heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def _numbers(found: list[Measured]) -> str:
    rows = [
        [m.stage, m.label, m.split, f"{m.column}{f' ({m.unit})' if m.unit else ''}", m.words,
         f"{len(m.records)} of {m.planned}", ", ".join(map(str, m.seeds)) or "-"]
        for m in found
    ]  # fmt: skip
    heads = ["stage", "cell", "split", "column", "mean [95 % interval]", "n", "seeds"]
    return _table(heads, rows)


def _performance(source: Source) -> str:
    readings = source.readings
    stages = [stage.name for stage in readings.study.stages.values() if stage.verb in ("train", "measure")]
    return _numbers(measured(readings, stages))


def _evaluation(source: Source) -> str:
    plan = source.readings.plan
    rows = [
        [plan.sources[digest]["name"],
         ", ".join(f"{k} {sum(v)}" for k, v in sorted(info.class_counts.items())), digest[:12]]
        for digest, info in sorted(plan.infos.items())
    ]  # fmt: skip
    return _table(["data set", "examples per split", "digest"], rows)


def _written(value: Any) -> str:
    """A value as a study would write it: a leaf by its name and parameters."""
    if isinstance(value, Mapping) and "params" in value:
        name = value.get("leaf") or f"code {str(value.get('source', ''))[:12]}"
        inner = ", ".join(f"{k}: {_written(v)}" for k, v in value["params"].items())
        return f"{name} ({inner})" if inner else str(name)
    return str(value)


def _training(source: Source) -> str:
    rows: dict[str, list[str]] = {}
    for node in source.readings.plan.nodes:
        record = source.readings.record(node.key)
        if node.spec["kind"].startswith("train/") and record is not None:
            params = ", ".join(f"{k}: {_written(v)}" for k, v in sorted(node.spec["params"].items())) or "defaults"
            label = " ".join(node.instance.cell.values()) or "-"
            rows.setdefault(
                f"{node.instance.stage} {label}",
                [node.instance.stage, label, params, str(record.values.get("steps", ""))],
            )
    return _table(["stage", "cell", "parameters that differ from defaults", "steps"], list(rows.values()))


def _computation(source: Source) -> str:
    readings = source.readings
    rows = []
    for stage in readings.study.stages:
        found = [
            record for node in readings.plan.by_key.values()
            if node.instance.stage == stage and (record := readings.record(node.key)) is not None
        ]  # fmt: skip
        if found:
            seconds = sum(float(record.body["cost"]["wall_s"]) for record in found)
            devices = sorted({str(record.body.get("numerics", {}).get("device", "unknown")) for record in found})
            rows.append([stage, str(len(found)), f"{seconds:.1f}", ", ".join(devices)])
    return _table(["stage", "steps", "seconds in all", "device"], rows)


def _comparisons(source: Source) -> str:
    rows = []
    for result in source.results.values():
        for row in result.rows if result.verb in ("compare", "attribute") else ():
            value, low, high, p = (row.values.get(name) for name in ("effect", "low", "high", "p"))
            if value is not None:
                ends = "" if low is None or high is None else f" [{low:.4g}, {high:.4g}]"
                rows.append([result.name, ", ".join(row.axes.values()), f"{value:.4g}{ends}",
                             "" if p is None else f"{p:.3g}", str(row.n)])  # fmt: skip
    return _table(["analysis", "contrast", "effect [interval]", "p (corrected)", "n"], rows)


def _seeds(source: Source) -> str:
    study = source.readings.study
    factors = [f"- {factor.name}: {', '.join(factor.labels)}" for factor in study.factors.values()]
    return "\n".join([*factors, f"- seeds: {', '.join(map(str, study.seeds))}"])


#: Measured sections -> what writes them.
MEASURED: dict[str, Callable[[Source], str]] = {
    "Factors": _seeds,
    "Performance": _performance,
    "Comparison and ablation": _comparisons,
    "Evaluation data": _evaluation,
    "Training": _training,
    "Computational requirements": _computation,
}
