"""What a study consists of: its text, the texts and files that it names, and users' code with its local imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import source
from ..engine.bundle import EXTENSIONS
from ..errors import CrucisError, Faults
from . import merge, text
from .load import SUFFIXES
from .spec import Study
from .tree import plain


class NotWhole(CrucisError):
    """A study that cannot be gathered in one folder, with the file that stands in the way."""


def main_file(study: Study) -> Path:
    """The file in which the study was written; that of a shipped protocol if it was run by its name."""
    name = Path(study.file).name
    return study.folder / name if name.endswith(SUFFIXES) else merge.PROTOCOLS / f"{study.protocol}.yaml"


def gather(study: Study) -> dict[str, Path]:
    """Name relative to the study's folder -> file, of everything beside the study that it names, and of its own text.

    Raises:
        NotWhole: a file outside the study's folder, or one whose imports cannot be seen.
    """
    main = main_file(study)
    found = {main.name: main}
    queue: list[Any] = [dict(study.resolved), _plain(main)]
    while queue:
        for word in _texts(queue.pop()):
            for name, path in _named(word, study.folder).items():
                if name not in found:
                    found[name] = path
                    if path.suffix in SUFFIXES:
                        queue.append(_plain(path))
    return dict(sorted(found.items()))


def _plain(path: Path) -> Any:
    node = text.read_file(path, path.name, Faults())
    return None if node is None else plain(node)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _named(word: str, folder: Path) -> dict[str, Path]:
    """The files that a word of the study means, or none."""
    path = Path(word)
    if len(word) > 400 or "\n" in word or path.suffix[1:].lower() not in EXTENSIONS or not (folder / path).is_file():
        return {}
    _inside(folder / path, folder, word)
    name = path.as_posix()
    if path.suffix != ".py":
        return {name: folder / path}
    try:
        code = source.follow(folder / path, folder)
    except source.SourceError as error:
        raise NotWhole(f"{word}: {error}") from None
    for file, data in code.items():
        if not (folder / file).is_file() or (folder / file).read_bytes() != data:
            raise NotWhole(f"{word} uses '{file}', which lies outside the study's folder; copy it beside the study")
    return {name: folder / name for name in code}


def _inside(path: Path, folder: Path, word: str) -> None:
    if folder.resolve() not in path.resolve().parents or Path(word).is_absolute():
        raise NotWhole(f"the study names '{word}', which lies outside its folder; copy it beside the study")


def runs_commands(path: Path) -> bool:
    """Whether a study's text names commands that a gate would run."""
    return any(word == "check" or word.endswith(".check") for word in _keys(_plain(path)))


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield str(name)
            yield from _keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _keys(item)
