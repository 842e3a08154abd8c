"""From the words of a switch (`mlflow`, `tensorboard=DIR`) to a tracker, its target and what it needs installed."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CrucisError, did_you_mean
from .sink import Sink

_SINKS = Path(__file__).parent / "sinks"
#: Folder beside a study that holds what trackers keep in files, one folder each.
FOLDER = "tracking"
SETTING = "CRUCIS_TRACK"  # the user's own choice, for runs that name no tracker


@dataclass(frozen=True)
class Target:
    """A tracker and where it writes: a folder, or (MLflow) the address of a store or server."""

    tracker: str
    place: str

    def __str__(self) -> str:
        return f"{self.tracker}={self.place}"


def names() -> list[str]:
    """The trackers there are: one file each in `sinks`."""
    return sorted(path.stem for path in _SINKS.glob("[!_]*.py"))


def literal(tracker: str, name: str) -> Any:
    """A literal of a tracker's file, read without importing it.

    Raises:
        LookupError: the file has none of that name.
    """
    for node in ast.parse((_SINKS / f"{tracker}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return ast.literal_eval(node.value)
    raise LookupError(f"trackers/sinks/{tracker}.py declares no {name}")


def parse(words: Sequence[str], folder: Path, switch: str) -> list[Target]:
    """The targets that the words of a command line name, each tracker and place once.

    Args:
        words: `NAME` or `NAME=PLACE` each; a place that is no address is a folder, relative to the current one.
        folder: of the study; without a place a tracker writes to `tracking/NAME` in it.
        switch: how the words came (`--track`), for the text of errors.

    Raises:
        CrucisError: no such tracker, an empty place, or a package that it needs is not installed.
    """
    found: dict[str, Target] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if name not in names():
            near = did_you_mean(name, names())
            raise CrucisError(f"{switch} {word}: no tracker '{name}'.{near} There are: {', '.join(names())}.")
        if equals and not place:
            raise CrucisError(f"{switch} {word}: nothing stands after '='; write {switch} {name} or {name}=FOLDER")
        missing = [need for need in literal(name, "NEEDS") if importlib.util.find_spec(need) is None]
        if missing:
            raise CrucisError(
                f"{switch} {word}: needs the package {' and '.join(missing)}, which is not installed: "
                f"pip install 'crucis[{name}]'"
            )
        at = place if ":/" in place else str((Path(place) if place else folder / FOLDER / name).resolve())
        if ":/" in at and not literal(name, "ADDRESS"):
            raise CrucisError(f"{switch} {word}: {name} writes to a folder, not to an address; write {name}=FOLDER")
        target = Target(name, at)
        found[str(target)] = target
    return list(found.values())


def asked(words: Sequence[str], folder: Path) -> list[Target]:
    """The targets that `--track` names, else those of the user's setting `CRUCIS_TRACK` (separated by spaces).

    Raises:
        CrucisError: as `parse`.
    """
    return parse(words, folder, "--track") if words else parse(os.environ.get(SETTING, "").split(), folder, SETTING)


def open_sink(target: Target) -> Sink:
    """The sink of a target; imports the tracker's library."""
    return importlib.import_module(f"{__package__}.sinks.{target.tracker}").open_sink(target.place)


def afterwards(target: Target) -> str:
    """The command that shows what was written."""
    command = "ADDRESS" if ":/" in target.place else "AFTERWARDS"
    return str(literal(target.tracker, command)).format(place=target.place)
