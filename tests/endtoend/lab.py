"""A bench for whole runs: a folder with a study and a store of its own, and the command line as a function."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crucis.cli import main

#: Two tiny networks on handwritten digits: four models of a fraction of a second, a measurement of each, one claim.
STUDY = """\
study: first
seeds: {seeds}
factors:
  net:
    small: {{mlp: {{widths: [8]}}}}
    wide: {{mlp: {{widths: [12]}}}}
stages:
  model: {{train: supervised, net: $net, data: digits, batch: 256, for: 2 epochs}}
  scores: {{measure: classification, of: model}}
analysis:
  which: {{compare: paired_t, of: model.accuracy, between: net, against: small}}
claims:
  wide-wins: which.effect@net=wide > 0
"""


@dataclass
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


class Lab:
    """A folder in which studies are written and commands given. Every command uses one worker and this store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / ".crucis"

    def write(self, text: str, name: str = "study.yaml") -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return path

    def study(self, seeds: int = 2, **replaced: str) -> Path:
        """The usual study; `replaced` swaps pieces of text (`old=new` by position of the keys `a`, `b`)."""
        return self.write(STUDY.format(seeds=seeds))

    def edit(self, old: str, new: str, name: str = "study.yaml") -> None:
        path = self.folder / name
        before = path.read_text(encoding="utf-8")
        assert before.count(old) == 1, (old, before.count(old))
        path.write_text(before.replace(old, new), encoding="utf-8")

    def __call__(self, command: str, *arguments: str, study: str | None = "study.yaml") -> Said:
        """`crucis COMMAND STUDY ARGUMENTS` in this process, with what it printed and its exit code."""
        words = [command, *([str(self.folder / study)] if study else []), *arguments]
        if command in ("run", "unseal"):
            words += ["--quiet", *([] if "--workers" in arguments else ["--workers", "1"])]
        return said(words)

    def process(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """The command line as a process of its own, in a group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "crucis.cli", *words], cwd=self.folder, env=environment(), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, **options,
        )  # fmt: skip

    # -- what lies there ------------------------------------------------------------------------------------------

    def bodies(self, store: Path | None = None) -> dict[str, dict[str, Any]]:
        """Key -> record.json of every record."""
        found = {}
        for path in sorted(((store or self.store) / "steps").glob("*/*/record.json")):
            found[path.parent.name] = json.loads(path.read_text(encoding="utf-8"))
        return found

    def contents(self, store: Path | None = None) -> dict[str, str]:
        """Key -> digest of what the record says."""
        return {key: body["content"] for key, body in self.bodies(store).items()}

    def touched(self) -> dict[str, int]:
        """When each file of each record was written."""
        return {str(path): path.stat().st_mtime_ns for path in (self.store / "steps").rglob("*") if path.is_file()}

    def of_kind(self, kind: str, store: Path | None = None) -> dict[str, dict[str, Any]]:
        return {key: body for key, body in self.bodies(store).items() if body["spec"]["kind"] == kind}

    def report(self, name: str = "first") -> dict[str, bytes]:
        """Every file of the study's report."""
        folder = self.folder / "report" / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def steps(self, *arguments: str, study: str = "study.yaml") -> dict[str, dict[str, Any]]:
        """`crucis plan --format json`: label -> key, cached, why."""
        answer = self("plan", "--format", "json", *arguments, study=study)
        assert answer.code == 0, answer.all
        return {step["label"]: step for step in json.loads(answer.out)["list"]}

    def keys(self, *arguments: str, study: str = "study.yaml") -> dict[str, str]:
        return {label: step["key"] for label, step in self.steps(*arguments, study=study).items()}

    def page(self, name: str = "first") -> str:
        return self.report(name)["index.html"].decode()


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


def said(words: list[str]) -> Said:
    """A command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as end:  # the parser's own errors
            code = int(end.code or 0)
    return Said(code, out.getvalue(), err.getvalue())


def clean_error(answer: Said, *words: str, code: int = 2) -> None:
    """One located sentence or a few, the right exit code, no traceback."""
    assert answer.code == code, answer.all
    assert "Traceback" not in answer.all, answer.all
    for word in words:
        assert word in answer.err, (word, answer.err)
