"""From an archive back to a study at a store. Everything is judged before anything becomes visible; nothing is run."""

from __future__ import annotations

import re
import shlex
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..canon import canonical, digest
from ..engine import arrivals, bundle, disk
from ..engine.bundle import Contents
from ..engine.machine import environment
from ..engine.store import Store
from ..engine.strangers import BundleError, read_mapping
from . import registry
from .gathering import runs_commands
from .load import SUFFIXES
from .session import STORE

MAX_LINE = 4_000_000  # bytes of a ledger's line, which holds a whole study
_PRESET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NAME = re.compile(r"[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?")


@dataclass(frozen=True)
class Restored:
    """What became of a bundle.

    `taken`, `same`, `kept`: keys that are new, that were there with equal content, that were there with other content
    (and stayed). `withheld`: files of the bundle that could run something and were not trusted. `differing`: packages
    that have another version here.
    """

    folder: Path
    store: Path
    digest: str
    about: Mapping[str, Any]
    taken: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def records(self) -> int:
        """How many records the bundle had."""
        return len(self.taken) + len(self.same) + len(self.kept)

    @property
    def study(self) -> Path:
        """The study's file."""
        return self.folder / self.about["study"]["file"]

    @property
    def command(self) -> str:
        """The words that name the study on the command line, from inside its folder."""
        return command_of(self.about["study"])


def restore(
    path: str | Path, folder: str | Path | None = None, *, trust: bool = False, store: str | Path | None = None
) -> Restored:
    """Bring a bundle to life in an empty folder, or join it to a folder that has a store.

    Args:
        path: the archive.
        folder: where to; default the study's name in the current folder. A store's own folder takes records only.
        trust: also take what could run something here: Python files, commands that a gate runs, report pages.
        store: where the records go; default `.crucis` in the folder.

    Raises:
        BundleError: the archive breaks a rule, or a file of the folder stands in the way. Nothing was changed.
    """
    path = Path(path)
    contents = bundle.survey(path)
    about = _about(contents)
    target = Path(folder) if folder is not None else Path(about["study"]["name"])
    with _place(target, store) as (opened, bare):
        stage = Path(opened.root) / "tmp" / f"restore.{uuid.uuid4().hex}"
        stage.mkdir()
        try:
            return _Restoring(path, contents, about, target, opened, stage, trust, bare).run()
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def command_of(study: Mapping[str, Any]) -> str:
    """The words that name a bundled study on the command line."""
    tail = f" --preset {study['preset']}" if study["preset"] else ""
    return f"{study['file']}{tail}" + "".join(f" --set {shlex.quote(text)}" for text in study["sets"])


def _about(contents: Contents) -> dict[str, Any]:
    """`bundle.json` in the form that it must have; its words are printed, so they must be plain."""
    about = dict(contents.about)
    study = about.get("study")
    lists = [study.get("sets") if isinstance(study, dict) else None, about.get("needs")]
    fits = (
        isinstance(study, dict)
        and study.keys() == {"name", "preset", "file", "sets"}
        and isinstance(study["name"], str) and re.fullmatch(r"[a-z][a-z0-9_-]{0,99}", study["name"])
        and (study["preset"] is None or _PRESET.fullmatch(str(study["preset"])))
        and isinstance(study["file"], str) and f"study/{study['file']}" in contents.entries
        and all(type(about.get(name)) is int for name in ("planned", "records"))
        and all(isinstance(texts, list) and all(map(_plain, texts)) for texts in lists)
        and isinstance(about.get("crucis"), dict) and all(map(_plain, about["crucis"].values()))
    )  # fmt: skip
    if not fits:
        raise BundleError(f"{bundle.CONTENTS} does not say which study this is")
    return about


def _plain(text: Any) -> bool:
    return isinstance(text, str) and text.isprintable()


@contextmanager
def _place(target: Path, store: str | Path | None) -> Iterator[tuple[Store, bool]]:
    """The store to restore into, and whether the folder is a store itself. What was made here goes again if the
    restoring fails."""
    bare = (target / "store.json").is_file()
    root = Path(store) if store is not None else target if bare else target / STORE
    known = (root / "store.json").is_file()
    if target.is_dir() and any(target.iterdir()) and not known:
        raise BundleError(f"{target} is not empty and has no store; name an empty folder, or one with a {STORE}")
    if target.exists() and not target.is_dir():
        raise BundleError(f"{target} is no folder")
    new = [folder for folder in (target, root) if not folder.exists()]
    new += [folder for folder in target.absolute().parents if not folder.exists()]
    try:
        opened = Store(root)
        opened.check_writable()
        yield opened, bare
    except BaseException:
        for folder in new:
            if folder in (target, root):
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


@dataclass
class _Restoring:
    """One restoring: unpack, judge, and only then move."""

    path: Path
    contents: Contents
    about: dict[str, Any]
    folder: Path
    store: Store
    stage: Path
    trust: bool
    bare: bool
    written: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def run(self) -> Restored:
        """All of it."""
        bundle.unpack(self.path, self.contents, self.stage)
        try:
            bodies = arrivals.judge(self.stage, self.contents)
            registrations = self._lines("registrations", _registration)
            unsealings = self._lines("unsealings", _unsealing)
            places = {} if self.bare else self._places()
        except BundleError as error:
            raise BundleError(f"{self.path.name} is refused: {error}") from None
        name = disk.file_sha256(str(self.path))
        arrival = arrivals.land(self.store, self.stage, bodies, name, code=self.trust)
        self._ledgers(registrations, unsealings)
        for target, data in places.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            disk.write_new(str(target), data)
            self.written.append(target.relative_to(self.folder).as_posix())
        return Restored(
            self.folder, self.store.path, name, self.about, tuple(arrival.taken), tuple(arrival.same),
            tuple(arrival.kept), tuple(self.written), tuple(self.withheld), self._differing(), tuple(self.notes),
        )  # fmt: skip

    # -- files ----------------------------------------------------------------------------------------------------

    def _places(self) -> dict[Path, bytes]:
        """Where each of the study's files goes; those that are there already must be equal."""
        ledger = registry_name(self.about)
        out = {}
        for name in [*self.contents.within("study"), *self.contents.within("report")]:
            folder, _, rest = name.partition("/")
            target = self.folder / (rest if folder == "study" else f"report/{ledger}/{rest}")
            data = (self.stage / name).read_bytes()
            if folder == "report" and (not self.trust or target.exists()):
                continue  # a page can be written again from the records
            if not self.trust and self._runs(name):
                self.withheld.append(rest)
            elif self.folder.resolve() not in target.parent.resolve().parents and target.parent != self.folder:
                raise BundleError(f"{target} leads out of the folder")
            elif target.is_symlink() or (target.exists() and (not target.is_file() or target.read_bytes() != data)):
                raise BundleError(f"{target} is there already with other content; restore into an empty folder")
            elif not target.exists():
                out[target] = data
        return out

    def _runs(self, name: str) -> bool:
        path = self.stage / name
        return path.suffix == ".py" or (path.suffix in SUFFIXES and runs_commands(path))

    # -- ledgers --------------------------------------------------------------------------------------------------

    def _lines(self, ledger: str, fits: Any) -> list[dict[str, Any]]:
        names = list(self.contents.within(f"ledger/{ledger}"))
        wanted = [f"ledger/{ledger}/{number}.json" for number in range(1, len(names) + 1)]
        if sorted(wanted) != names:
            raise BundleError(f"the ledger of {ledger} has gaps")
        lines = [read_mapping((self.stage / name).read_bytes(), name, MAX_LINE) for name in wanted]
        for name, line in zip(wanted, lines, strict=True):
            if not fits(line):
                raise BundleError(f"{name} is no line of this ledger")
        return lines

    def _ledgers(self, registrations: list[dict[str, Any]], unsealings: list[dict[str, Any]]) -> None:
        plain = registry_name(self.about)
        name = registry.ledger_at(plain, self.store.path.parent if self.bare else self.folder, self.store)
        there = self.store.lines(f"registrations-{name}")
        if there[: len(registrations)] != registrations[: len(there)]:
            self.notes.append(f"another registration of {name} is in the store already; it stays as it is")
        else:
            for line in registrations[len(there) :]:
                self.store.append_line(f"registrations-{name}", line)
        known = {canonical(line) for line in registry.unsealings(self.store)}
        for line in unsealings:
            moved = {**line, "study": name} if line["study"] == plain else line
            if canonical(moved) not in known:
                self.store.append_line("unsealings", moved)

    def _differing(self) -> tuple[str, ...]:
        here = environment()["packages"]
        lock = (self.stage / "lock.txt").read_text(encoding="utf-8") if (self.stage / "lock.txt").is_file() else ""
        pairs = (line.split("==") for line in lock.splitlines() if line.count("==") == 1 and line[0] not in "#-")
        return tuple(
            f"{name} {version} there, {here.get(name, 'none')} here"
            for name, version in pairs
            if here.get(name) != version
        )


def registry_name(about: Mapping[str, Any]) -> str:
    """The name of the study's ledger beside its own store, and of its report's folder."""
    study = about["study"]
    return f"{study['name']}.{study['preset']}" if study["preset"] else str(study["name"])


def _registration(line: Mapping[str, Any]) -> bool:
    return (
        line.keys() == {"digest", "time", "results", "seeds", "text"}
        and isinstance(line["text"], dict)
        and all(isinstance(line["text"].get(part, {}), dict) for part in ("derive", "analysis", "claims", "code"))
        and isinstance(line["time"], str) and type(line["results"]) is int
        and isinstance(line["seeds"], list) and all(type(seed) is int for seed in line["seeds"])
        and digest(line["text"]) == line["digest"]
    )  # fmt: skip


def _unsealing(line: Mapping[str, Any]) -> bool:
    return (
        line.keys() == {"study", "registration", "time", "who", "data", "before"}
        and all(isinstance(line[name], str) for name in ("study", "registration", "time", "who"))
        and _NAME.fullmatch(line["study"]) is not None
        and isinstance(line["data"], dict) and all(isinstance(name, str) for name in line["data"].values())
        and isinstance(line["before"], dict) and all(type(count) is int for count in line["before"].values())
    )  # fmt: skip
