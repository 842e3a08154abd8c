"""From a study's file to a `Study`: reads, merges, checks, and reports every fault together. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import Fault, StudyError, did_you_mean
from . import merge, scalars, text
from .analyses import Results
from .axes import DesignError, stage_order
from .connections import check_checkpoints, check_models, check_seeds, closed
from .constants import Constants
from .coverage import Coverage, empty, unused
from .filters import read_filter, read_seeds
from .fitting import Fitting
from .gates.read import read_gates
from .levels import Levels, check_name
from .spec import Study
from .stages import Stages
from .tree import BAD, Node, Reading, plain

SUFFIXES = (".yaml", ".yml")


def load_study(source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), yes: bool = False) -> Study:
    """Read a study file, or a shipped protocol by its name.

    Args:
        source: path of a file, or the name of a protocol.
        preset: named overrides of the study.
        sets: further overrides, each `path=value`; the value is read as YAML.
        yes: more than 20 seeds are meant.

    Raises:
        StudyError: all faults together, each with its place.
    """
    study, faults = check_study(source, preset=preset, sets=sets, yes=yes)
    if study is None or any(not fault.note for fault in faults):
        raise StudyError([fault for fault in faults if not fault.note])
    return study


def check_study(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), yes: bool = False
) -> tuple[Study | None, list[Fault]]:
    """The study (None if it has faults) and all faults and notes, in the order of the file."""
    path, shown, folder = _locate(source)
    reading = Reading(shown)
    if path is None:
        known = merge.protocols()
        hint = did_you_mean(shown, known) or f" Protocols: {', '.join(known) or 'none'}."
        reading.faults.add("no-file", f"no file and no protocol of this name.{hint}", file=shown)
        return None, reading.faults.items
    own = text.read_file(path, shown, reading.faults)
    study = None
    if own is not None:
        study = _Loader(reading, folder, preset, yes).load(own, sets)
        if study is not None and path.parent == merge.PROTOCOLS:
            study = replace(study, protocol=path.stem)
    return (None if reading.faults else study), _ordered(reading)


def _ordered(reading: Reading) -> list[Fault]:
    """Faults in the order of the file; those of other files and of the command line after them."""
    return sorted(
        dict.fromkeys(reading.faults.items),
        key=lambda fault: (fault.file != reading.file, fault.file, fault.line, fault.column),
    )


def study_from_text(
    words: str, folder: Path, *, file: str = "study.yaml", **options: Any
) -> tuple[Study | None, list[Fault]]:
    """As `check_study`, for a text that lies in no file; `folder` is where own leaves are looked for."""
    reading = Reading(file)
    own = text.read(words, file, reading.faults)
    study = None
    if own is not None:
        loader = _Loader(reading, folder, options.get("preset"), options.get("yes", False))
        study = loader.load(own, options.get("sets", ()))
    return (None if reading.faults else study), _ordered(reading)


def _locate(source: str | Path) -> tuple[Path | None, str, Path]:
    """The file, its name in messages, and the folder of its own leaves."""
    path = Path(source)
    if path.suffix in SUFFIXES or path.is_file():
        return path, str(source), path.parent
    if str(source) in merge.protocols():
        return merge.PROTOCOLS / f"{source}.yaml", str(source), Path()
    return None, str(source), Path()


class _Loader:
    """One reading of one study, in the order of the rules of evaluation."""

    def __init__(self, reading: Reading, folder: Path, preset: str | None, yes: bool) -> None:
        self.reading, self.folder, self.preset, self.yes = reading, folder, preset, yes

    def load(self, own: Node, sets: Sequence[str]) -> Study | None:
        merged = merge.merged(own, self.folder, self.preset, sets, self.reading)
        tree = self._constants(merged.tree)
        self.reading.index(tree)
        raw = plain(tree)
        if "from" in own.data and merged.base is None:
            return None  # what it starts from is missing, and with it most of what the rest refers to
        self.clear = self._unique(raw)
        return self._study(raw, merged)

    def _constants(self, tree: Node) -> Node:
        """Replace `$` of `let`; the section itself is used up."""
        lets = tree.data.get("let")
        if lets is not None and not isinstance(lets.data, dict):
            if lets.data is not BAD:
                self.reading.fault("wrong-type", "let", "expected {name: value}.", at=lets.place)
            lets = None
        for name in lets.data if lets else ():
            self.reading.keys.setdefault(f"let.{name}", lets.keys[name])
            check_name(name, f"let.{name}", self.reading)
        constants = Constants(lets, self.reading)
        out = Node({}, tree.place, tree.keys)
        for key, node in tree.data.items():
            if key not in ("let", "presets", "uses"):
                out.data[key] = node if key in ("study", "question") else constants.replace(node)
        self.lets = constants.names
        return out

    def _unique(self, raw: Mapping[str, Any]) -> bool:
        """Whether every name means one thing."""
        clear = True
        seen: dict[str, str] = dict.fromkeys(self.lets, "let")
        for section in ("factors", "stages", "derive", "analysis"):
            entries = raw.get(section)
            for name in entries if isinstance(entries, Mapping) else ():
                if name in seen:
                    clear = False
                    self.reading.fault(
                        "twice",
                        f"{section}.{name}",
                        f"'{name}' is also in '{seen[name]}'. One name, one thing.",
                        key=True,
                    )
                seen[name] = section
        return clear

    # -- the parts --------------------------------------------------------------------------------------------

    def _study(self, raw: dict[str, Any], merged: merge.Merge) -> Study:
        reading = self.reading
        name = self._name(raw)
        levels = Levels(reading, frozenset(re.findall(r"[a-z][a-z0-9_-]*\.[a-z][a-z0-9_-]*", repr(raw))), self.folder)
        levels.read(raw.get("factors"))
        stages = Stages(reading, self.folder, levels.factors)
        stages.read(raw.get("stages"))
        results = Results(reading, self.folder, levels.factors)
        results.read_derive(raw.get("derive"))
        analyses = results.read_analysis(raw.get("analysis"))
        results.read_claims(raw.get("claims"))
        if not stages.names and "stages" not in reading.broken and raw.get("stages") is not BAD:
            reading.fault("no-stages", "", "no stage. A study has at least one: stages: {model: {train: ...}}.")
        seeds = read_seeds(raw.get("seeds", 3), "seeds", reading) or (42,)
        question = raw.get("question")
        if question is not None and not isinstance(question, str) and question is not BAD:
            reading.fault("wrong-type", "question", f"expected a text, got {scalars.show(question)}.")
        study = Study(
            name, self.folder, reading.file, question if isinstance(question, str) else None, levels.factors,
            read_filter(raw.get("only"), "only", levels.factors, reading),
            read_filter(raw.get("except"), "except", levels.factors, reading),
            seeds, stages.stages, results.derive, results.derive_text, results.analysis, results.claims,
            self._budget(raw), merged.base, self.preset, tuple(merged.changed),
            self._resolved(raw, levels, stages, analyses), dict(reading.places), read_gates(raw.get("gates"), reading),
        )  # fmt: skip
        self._judge(study, levels, raw)
        return study

    def _name(self, raw: Mapping[str, Any]) -> str:
        name = raw.get("study")
        if name is None:
            self.reading.fault("no-name", "", "no name. Write study: NAME in the first line.")
        elif isinstance(name, str):
            check_name(name, "study", self.reading)
        elif name is not BAD:
            self.reading.fault("bad-name", "study", f"expected a name, got {scalars.show(name)}.")
        return name if isinstance(name, str) else ""

    def _budget(self, raw: Mapping[str, Any]) -> float | None:
        value = raw.get("budget")
        if value is None or value is BAD:
            return None
        try:
            return scalars.seconds(value)
        except ValueError as error:
            self.reading.fault("not-a-time", "budget", str(error))
            return None

    def _resolved(
        self, raw: Mapping[str, Any], levels: Levels, stages: Stages, analyses: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The study as plain data in the order of the sections, without what was used up on the way."""
        parts = {**raw, "factors": levels.forms, "stages": stages.written, "analysis": analyses}
        keep = [key for key in merge.KEYS if key not in ("from", "set", "drop", "let", "presets", *merge.LATER)]
        return {key: parts[key] for key in keep if parts.get(key) not in (None, {}, [])}

    # -- what connects the parts ------------------------------------------------------------------------------

    def _judge(self, study: Study, levels: Levels, raw: Mapping[str, Any]) -> None:
        """Checks that need more than one entry; they see only what could be read."""
        reading = self.reading
        unused(study.factors, raw.get("stages"), reading)
        empty(study, reading)
        if not self.clear:
            return
        study = closed(study, reading)
        try:
            stage_order(study)
        except DesignError as error:
            place = reading.place(f"stages.{error.names[0]}" if error.names else "stages", key=True)
            reading.fault("circle", "stages", str(error), at=place)
            return
        coverage = Coverage(study)
        Fitting(study, levels, reading, coverage).check()
        check_seeds(study, coverage, reading, yes=self.yes)
        check_checkpoints(study, reading)
        check_models(study, reading)
        from . import semantics

        reading.extend(semantics.faults(study))
