"""A study as one archive: gathered from its folder and store, and brought to life again in another place."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__, shelf
from ..canon import canonical, sha256
from ..engine import bundle, drafts
from ..engine.gc import reachable
from ..engine.machine import environment as this_environment
from ..errors import CrucisError
from . import registry
from . import session as sessions
from .gathering import gather, main_file
from .labels import Labels
from .restoring import Restored, command_of, restore
from .session import Session

_TEXTS = (".html", ".csv", ".tex", ".txt", ".svg")
_README = """\
{name}: a study with its records, made by Crucis {version}

question   {question}
records    {records} of {planned} steps
needs      {needs}

To bring it to life (Python {python} with Crucis {version}; this archive is called {file} here):

  unzip -p {file} lock.txt > lock.txt && pip install -r lock.txt
  crucis restore {file} {name}{trust}
  cd {name}
  crucis run {command}
  crucis reproduce {command}

`restore` checks every size, digest and key; `run` finds every step that has a record and judges; `reproduce` computes
everything again and compares bit for bit.
"""


@dataclass(frozen=True)
class Made:
    """A bundle that was written. `digest` is its SHA-256; `needs`: data sets that it does not hold."""

    path: Path
    digest: str
    bytes: int
    study: str
    records: int
    planned: int
    files: tuple[str, ...]
    code: tuple[str, ...]
    needs: tuple[str, ...]


def make(session: Session, path: str | Path, *, diff: bool = False) -> Made:
    """Write a study with its records, environments, code, ledgers and report into one archive.

    Equal content gives equal bytes. Hosts, users and absolute paths become labels; the numbers of the records, and so
    their keys and content digests, stay as they are.

    Args:
        session: the study at its store.
        path: the archive; replaced if it exists.
        diff: also what differed from the commit in git when steps ran, which may hold anything.

    Raises:
        NotWhole: the study names a file outside its folder.
        CrucisError: a file that no bundle may hold.
    """
    return _Maker(session, Path(path), diff).make()


class _Maker:
    """One making: collects name of the entry -> bytes or file."""

    def __init__(self, at: Session, path: Path, diff: bool) -> None:
        self.diff = diff
        self.session, self.study, self.store, self.path = at, at.study, at.store, path
        self.files: dict[str, bytes | Path] = {}
        self.environments: Counter[str] = Counter()
        places = {self.store.path: sessions.STORE, self.study.folder.absolute(): "", Path.home(): "HOME"}
        if at.circumstance.data_root:
            places[at.circumstance.data_root] = "DATA"
        found = [self._environment(name) for name in self._named_environments()]
        self.unsealings = self._unsealings()
        self.labels = Labels(
            [str(body.get("host", "")) for body in found], [str(line["who"]) for line in self.unsealings], places
        )

    def make(self) -> Made:
        """All parts in their order."""
        own = gather(self.study)
        for name, file in own.items():
            self.files[f"study/{name}"] = file
        keys = self._keys()
        given_up = [key for key in keys if not self.store.whole(key)]
        if given_up:
            many = f"{len(given_up)} record{'s' * (len(given_up) != 1)}"
            raise CrucisError(f"the weights of {many} were given up (crucis gc --weights), and a bundle is whole. To "
                              f"make them again: crucis run {main_file(self.study).name} --weights")  # fmt: skip
        for key in keys:
            self._record(key)
        self._code()
        self._ledgers()
        self._report()
        python, lock = self._lock()
        self.files["lock.txt"] = lock.encode()
        code = tuple(name for name in own if name.endswith(".py"))
        needs = self._needs(set(own))
        planned = len({node.key for node in self.session.plan.nodes})
        records = len(self.store.hits({node.key for node in self.session.plan.nodes} & set(keys)))
        about = {
            "crucis": {"version": __version__, "source": source_digest()},
            "study": {
                "name": self.study.name, "preset": self.study.preset, "file": main_file(self.study).name,
                "sets": self._sets(),
            },
            "planned": planned, "records": records, "needs": list(needs), "python": python,
        }  # fmt: skip
        self.files["README.txt"] = self._readme(about, bool(code)).encode()
        digest = bundle.write(self.path, about, self.files)
        return Made(
            self.path, digest, self.path.stat().st_size, self.study.name, records, planned, tuple(own), code, needs
        )

    # -- records --------------------------------------------------------------------------------------------------

    def _keys(self) -> list[str]:
        """Every record that the study rests on, and no sealed one."""
        nodes = self.session.plan.nodes
        hidden = {node.key for node in nodes if node.sealed and not self.session.circumstance.unsealed}
        wanted = {key for node in nodes for key in (node.key, *node.marks.values())} - hidden
        return sorted(self.store.hits(reachable(self.store, self.store.hits(wanted))) - hidden)

    def _record(self, key: str) -> None:
        record = self.store.read(key, deep=True)
        if record is None:
            raise CrucisError(f"the record {key[:12]} was damaged; run the study again, then bundle it")
        body = {name: value for name, value in record.body.items() if name != "seal"}
        for part in ("notes", "attempt", "reason"):
            body[part] = self.labels.value(body[part])
        if body["environment"]:
            text = canonical(self.labels.value(self._environment(body["environment"])))
            beside = self.store.path / "environments" / f"{body['environment']}.diff"
            body["environment"] = sha256(text)
            if self.diff and beside.is_file():
                self.files[f"environments/{body['environment']}.txt"] = beside.read_bytes()
            self.files[f"environments/{body['environment']}.json"] = text.encode()
            self.environments[body["environment"]] += 1
        self.files[f"records/{key}/{drafts.RECORD}"] = drafts.sealed_text(body)
        for name in body["files"]:
            self.files[f"records/{key}/{name}"] = record.folder / name

    def _named_environments(self) -> list[str]:
        records = (self.store.read(key) for key in self._keys())
        return sorted({record.body["environment"] for record in records if record} - {""})

    def _environment(self, name: str) -> dict[str, Any]:
        path = self.store.path / "environments" / f"{name}.json"
        return json.loads(path.read_bytes()) if path.is_file() else {"host": ""}

    # -- what stands beside them ----------------------------------------------------------------------------------

    def _code(self) -> None:
        code = self.session.plan.code
        for name in self.study.analysis:
            for leaf in self.study.analysis[name].leaves:
                if leaf.own:
                    code.digest(leaf.name)
        code.keep(self.store.path / "code")
        for digest in code.files:
            folder = self.store.path / "code" / digest
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    self.files[f"code/{digest}/{file.relative_to(folder).as_posix()}"] = file

    def _unsealings(self) -> list[dict[str, Any]]:
        """Those of this study, and those that opened the same test sets."""
        ours = registry.ledger(self.study, self.store)
        sets = registry.sealed_sets(self.session.plan)
        lines = registry.unsealings(self.store)
        kept = [line for line in lines if line["study"] == ours or sets.keys() & line["data"].keys()]
        name = registry.ledger_name(self.study)  # as it will be called beside its own store
        return [{**line, "study": name} if line["study"] == ours else line for line in kept]

    def _ledgers(self) -> None:
        lines = self.store.lines(f"registrations-{registry.ledger(self.study, self.store)}")
        for number, line in enumerate(lines, 1):
            self.files[f"ledger/registrations/{number}.json"] = canonical(line).encode()
        for number, line in enumerate(self.unsealings, 1):
            labelled = {**line, "who": self.labels.users.get(line["who"], "")}
            self.files[f"ledger/unsealings/{number}.json"] = canonical(labelled).encode()

    def _report(self) -> None:
        folder = sessions.write_report(self.session).parent
        listing = folder / "files.json"
        changed: dict[str, str] = {}
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if not file.is_file() or any(part.startswith(".") for part in Path(name).parts) or file == listing:
                continue
            data = file.read_bytes()
            if file.suffix in _TEXTS:
                data = self.labels.known(data.decode("utf-8")).encode()
            changed[name] = hashlib.sha256(data).hexdigest()
            self.files[f"report/{name}"] = data
        if listing.is_file():
            body = json.loads(listing.read_bytes())
            body["files"] = {name: changed.get(name, digest) for name, digest in body["files"].items()}
            self.files["report/files.json"] = f"{json.dumps(body, indent=1)}\n".encode()

    def _lock(self) -> tuple[str, str]:
        """The Python version and the packages of the environment in which most records were made."""
        if self.environments:
            name = min(self.environments, key=lambda name: (-self.environments[name], name))
            found = json.loads(bytes(self.files[f"environments/{name}.json"]))
        else:
            found = this_environment()
        return str(found.get("python", "")), lock_text(found)

    def _needs(self, own: set[str]) -> tuple[str, ...]:
        """Data sets whose files lie neither in the package nor beside the study."""
        out = []
        for about in self.session.plan.sources.values():
            name, path = about["name"], about["params"].get("path")
            if name.startswith("./") or name in own or (path and Path(str(path)).as_posix() in own):
                continue
            leaf = shelf.leaf("data", name)
            if path or "path" in leaf.params or "download" in leaf.params:
                out.append(f"{name} ({path})" if path else name)
        return tuple(sorted(set(out)))

    def _sets(self) -> list[str]:
        changes = {change.path: change for change in self.study.changes if change.how == "--set"}
        return [f"{path}={json.dumps(change.now, ensure_ascii=False)}" for path, change in changes.items()]

    def _readme(self, about: Mapping[str, Any], code: bool) -> str:
        study = about["study"]
        return _README.format(
            name=study["name"], version=__version__, question=self.study.question or "(none written)",
            records=about["records"], planned=about["planned"], python=about["python"],
            needs=", ".join(about["needs"]) or "nothing else", file=f"{study['name']}.zip",
            trust=" --trust" if code else "", command=command_of(study),
        )  # fmt: skip


def lock_text(found: Mapping[str, Any]) -> str:
    """A requirements file of the packages of an environment. Versions of PyTorch that name a build (`2.11.0+cpu`)
    come from PyTorch's own index; Crucis itself is named in a comment, because it may be installed from a checkout."""
    packages = {str(name): str(version) for name, version in dict(found.get("packages", {})).items()}
    lines = [f"# Python {found.get('python', '')}, {found.get('platform', '')}"]
    if "crucis" in packages:
        lines.append(f"# crucis=={packages.pop('crucis')}")
    builds = sorted({version.partition("+")[2] for version in packages.values() if "+" in version})
    lines += [f"--extra-index-url https://download.pytorch.org/whl/{build}" for build in builds]
    lines += [f"{name}=={version}" for name, version in sorted(packages.items())]
    return "\n".join(lines) + "\n"


def source_digest() -> str:
    """What the code of this Crucis is: the digest of its files by name and bytes. About 20 ms."""
    root = Path(shelf.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".yaml", ".html", ".css", ".js"))
    return sha256("\n".join(f"{path.relative_to(root).as_posix()} {sha256(path.read_bytes())}" for path in files))


__all__ = ["Made", "Restored", "command_of", "lock_text", "make", "restore", "source_digest"]
