"""The slow evidence of gates: repetitions, reproductions, the guide and the checks executed, a bundle restored.

Each piece becomes one line of the study's chained ledger, tied to the digests of what it is about; when that changes,
the line is no evidence any more.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...canon import sha256
from ...engine.store import Store
from .. import chain, registry
from ..spec import Gate
from . import archive, implemented, method, replication
from .case import Case, ledger_of
from .guide import commands_of, passes
from .tables import MOST_STEPS

_LIMIT_S = 3600.0  # for one command of a check or a guide
_KEPT = 2000  # characters of a command's output that are kept; its digest is that of all

Say = Callable[[str], None]


def gather(case: Case, gate: Gate, say: Say, *, commands: bool, again: bool, workers: int | None = None) -> int:
    """Make what a gate lacks and return how many lines were written.

    Args:
        say: is told what is being done.
        commands: also run the commands that the study names (`check`) and those of its guide: they run a shell.
        again: make everything anew, also what is valid.
    """
    made = 0
    for kind, about, make, shell in _wanted(case, gate, workers):
        line, _ = case.find(gate, kind, about)
        if (line is not None and not again) or (shell and not commands):
            continue
        say(f"{gate.name}: {_DOING[kind]}")
        body = make()
        if body is not None:
            chain.append(case.session.store, ledger_of(case.session),
                         {"kind": kind, "gate": gate.name, "about": about, "time": registry.now(), **body})  # fmt: skip
            case.__dict__.pop("ledger", None)
            made += 1
    return made


_DOING = {
    "components": "checking the parts of the method", "repeat": "computing a record again",
    "reproduce": "computing the whole study again",
    "guide": "executing the guide in an empty folder", "check": "running the study's commands",
    "bundle": "making a bundle and restoring it in an empty folder",
}  # fmt: skip


def _wanted(case: Case, gate: Gate, workers: int | None) -> list[tuple[str, str, Callable[[], Any], bool]]:
    if gate.kind == "replication":
        return [("repeat", replication.about(case, gate), lambda: _repeat(case, gate, workers), False)]
    if gate.kind == "archive":
        return [("bundle", archive.about(case), lambda: _bundle(case), False)]
    wanted: list[tuple[str, str, Callable[[], Any], bool]] = []
    if implemented.with_components(case):
        wanted.append(("components", implemented.about(case), lambda: implemented.check_parts(case), False))
    wanted.append(("reproduce", case.state, lambda: _reproduce(case, gate, workers), False))
    if gate.params["check"]:
        wanted.append(("check", method.check_about(case, gate), lambda: _check(case, gate), True))
    if case.path(gate.params["guide"]).is_file():
        wanted.append(("guide", method.guide_about(case, gate), lambda: _guide(case, gate), True))
    return wanted


def _repeat(case: Case, gate: Gate, workers: int | None) -> dict[str, Any] | None:
    from ..reproduction import reproduce_record

    keys = [node.key for node in replication.subject(case, gate)]
    if not keys or set(keys) - case.contents.keys():
        return None
    equal, differences = [], []
    for _ in range(gate.params["repeat"]):
        found = []
        for key in keys:
            with tempfile.TemporaryDirectory(prefix="crucis-gate-") as folder:
                found.append(reproduce_record(case.session.store, key, Path(folder), workers=workers))
        equal.append(all(item.equal for item in found))
        differences += [line for item in found for line in item.lines]
    return {"equal": equal, "keys": keys, "differences": differences[:5]}


def _reproduce(case: Case, gate: Gate, workers: int | None) -> dict[str, Any] | None:
    from ..reproduction import reproduce_study

    if len(case.contents) < len(case.session.plan.by_key):
        return None  # a part that is equal says nothing about the whole
    equal, differences = [], []
    for _ in range(gate.params["reproduce"]):
        with tempfile.TemporaryDirectory(prefix="crucis-gate-") as folder:
            found = reproduce_study(case.session, Path(folder), workers=workers)
        equal.append(found.equal and found.checked == len(case.contents))
        differences += list(found.lines)
    return {"equal": equal, "records": len(case.contents), "differences": differences[:5]}


def _shell(commands: Sequence[str], folder: Path, *, guide: bool = False) -> list[dict[str, Any]]:
    """Run commands one after the other until one fails; what each said, shortened, and the digest of all of it."""
    environment = {k: v for k, v in os.environ.items() if k != "CRUCIS_STORE"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    runs: list[dict[str, Any]] = []
    for command in commands:
        try:
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                timeout=_LIMIT_S, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            code, output = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            code, output = 124, error.stdout or b""
        text = output.decode("utf-8", "replace")
        runs.append({"command": command, "code": code, "output": text[-_KEPT:], "sha256": sha256(output)})
        if not (passes(command, code) if guide else code == 0):
            break
    return runs


def _check(case: Case, gate: Gate) -> dict[str, Any]:
    return {"runs": _shell(gate.params["check"], case.session.study.folder)}


def _guide(case: Case, gate: Gate) -> dict[str, Any] | None:
    """The guide's commands in a new folder that holds the study's files and nothing else, then compare the records."""
    from ..gathering import gather as gathered

    steps = commands_of(case.path(gate.params["guide"]).read_text(encoding="utf-8"))
    if not 1 <= len(steps) <= MOST_STEPS:
        return None
    with tempfile.TemporaryDirectory(prefix="crucis-guide-") as name:
        folder = Path(name)
        for file, path in gathered(case.session.study).items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        Store(folder / ".crucis")  # so that no store further up is taken for this folder's
        runs = _shell(steps, folder, guide=True)
        made = Store(folder / ".crucis")
        found = {key: record for key in case.contents if (record := made.read(key, deep=True)) is not None}
        equal = [key for key, record in found.items() if record.body["content"] == case.contents[key]]
    return {
        "runs": runs, "equal": len(equal), "planned": len(case.session.plan.by_key),
        "differing": sorted(found.keys() - set(equal))[:5],
    }  # fmt: skip


def _bundle(case: Case) -> dict[str, Any]:
    from ..bundles import make
    from ..restoring import restore

    target = case.session.report_folder.parent / f"{case.session.report_folder.name}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    made = make(case.session, target)
    with tempfile.TemporaryDirectory(prefix="crucis-restore-") as name:
        back = restore(target, Path(name) / made.study)
        store = Store(back.store)
        problems = store.verify()
        restored = [key for key in case.contents if store.has(key)]
    return {
        "path": os.path.relpath(target, case.session.study.folder),
        "sha256": made.digest, "records": made.records, "planned": made.planned,
        "restored": len(restored), "problems": len(problems),
    }  # fmt: skip
