"""Gate 1: whether the baseline's published value was reached, and would be reached again."""

from __future__ import annotations

import re
from pathlib import Path

from ...canon import digest
from ..claims import judged
from ..judgement import Unknown
from ..plan import Node
from ..spec import Binary, Column, Gate, Number
from .case import Case, entry
from .decision import Evidence, Lines
from .integrity import integrity
from .tables import LEAST_SEEDS

_DOCUMENTS = {"a readme": r"readme(\..*)?", "a licence": r"(licen[cs]e|copying)(\..*)?"}


def lines(case: Case, gate: Gate) -> Lines:
    """All lines of gate 1."""
    found = Lines()
    integrity(case, found)
    _value(case, gate, found)
    _repeatable(case, gate, found)
    _package(case, found)
    return found


def _value(case: Case, gate: Gate, found: Lines) -> None:
    """Mean and interval against `reported * (1 +- tolerance)`; the tolerance is relative to the reported value."""
    ref, reported, tolerance = gate.params["of"], gate.params["reported"], gate.params["tolerance"]
    reach = abs(reported) * tolerance
    low, high = reported - reach, reported + reach
    evidence = case.evidence(case.nodes(ref.name))
    _, value = judged(Binary(">", Column(ref), Number(0.0, "0")), case.session.study, case.results, case.readings)
    seeds = {node.instance.seed for node in case.nodes(ref.name) if node.key in case.contents} - {None}
    found.add("seeds", len(seeds) >= LEAST_SEEDS, f"{len(seeds)} seeds, at least {LEAST_SEEDS} are asked.",
              measured=str(len(seeds)), evidence=evidence, mend="seeds: 3 or more")  # fmt: skip
    if isinstance(value, Unknown):
        for check in ("reaches", "within"):
            found.add(check, None, f"{ref}: {value.because}.", evidence=evidence)
        return
    gap = value.value - reported
    measured = f"{value.value:.5g} [{value.low:.5g}, {value.high:.5g}], n = {value.n}"
    asked = f"{reported:.5g} +- {100 * tolerance:g} % ({low:.5g} to {high:.5g}; {gate.params['source']})"
    touches = value.low <= high and value.high >= low
    within = low <= value.value <= high
    found.add("reaches", touches or within, f"The interval {'touches' if touches or within else 'misses'} {asked}.",
              measured=measured, evidence=evidence,
              mend=f"the gap is {gap:+.4g}; compare recipe, data and augmentation with the source")  # fmt: skip
    found.add("within", within, f"The mean lies {'within' if within else 'outside'} {asked}; the gap is {gap:+.4g}.",
              measured=measured, evidence=evidence, mend="more seeds, or the recipe of the source")  # fmt: skip


def subject(case: Case, gate: Gate) -> list[Node]:
    """The step that `repeat` computes again: the first one of the column's stage that has a record, with its inputs."""
    first = next((node for node in case.nodes(gate.params["of"].name) if node.key in case.contents), None)
    queue, out = [first] if first else [], []
    while queue:
        node = queue.pop()
        if node not in out:
            out.append(node)
            keys = [key for value in node.inputs.values() for key in ([value] if isinstance(value, str) else value)]
            queue += [n for n in case.session.plan.nodes if n.key in keys or set(n.marks.values()) & set(keys)]
    return out


def about(case: Case, gate: Gate) -> str:
    """What a repetition is about: the records that were computed again, as they are now."""
    return digest({node.key: case.contents.get(node.key, "") for node in subject(case, gate)})


def _repeatable(case: Case, gate: Gate, found: Lines) -> None:
    repeat = gate.params["repeat"]
    line, why = case.find(gate, "repeat", about(case, gate))
    evidence = case.evidence(subject(case, gate))
    if line is None:
        found.add("repeatable", None, f"{why}.", evidence=evidence)
        return
    equal = sum(line["equal"])
    found.add("repeatable", equal >= repeat, f"{equal} of {repeat} repetitions are equal bit for bit."
              + "".join(f" {text}." for text in line["differences"][:2]),
              measured=f"{equal} of {repeat}", evidence=(entry(line), *evidence))  # fmt: skip


def documents(folder: Path) -> dict[str, Path | None]:
    """What a package must hold beside the study -> the file, or None."""
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        what: next((path for path in names if re.fullmatch(pattern, path.name, re.IGNORECASE)), None)
        for what, pattern in _DOCUMENTS.items()
    }


def _package(case: Case, found: Lines) -> None:
    """Study, readme and licence in the folder; environment and code in the store."""
    store = case.session.store
    there = documents(case.session.study.folder)
    lacking = [what for what, path in there.items() if path is None]
    bare = [
        key for key in case.contents
        if not (store.path / "environments" / f"{case.readings.record(key).body.get('environment')}.json").is_file()  # type: ignore[union-attr]
    ]  # fmt: skip
    lacking += [f"the environment of {len(bare)} records"] if bare or not case.contents else []
    gone = [name for name in case.session.plan.code.files if not (store.path / "code" / name).is_dir()]
    lacking += ["the user's code"] * bool(gone)
    files = [case.file(name) for name in case.own_files]
    files += [Evidence("file", path.name, case.file(path.name).digest) for path in there.values() if path is not None]
    found.add("package", not lacking, f"Lacking: {', '.join(lacking)}." if lacking else
              "Study, readme, licence, environment and code are there.", measured=f"{len(files)} files",
              evidence=files, mend=f"add {', '.join(lacking)} beside the study" if lacking else "")  # fmt: skip
