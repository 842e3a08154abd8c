"""The tutorial on an own method, taken literally: its files written out, its commands given, only shorter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from lab import said

from crucis.study.checks import networks
from crucis.study.load import check_study

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "method.md"
#: The first block of code under each heading that names a file.
FILES = dict(
    re.findall(
        r"^## [^\n]*`([\w.]+)`\n(?:(?!## |```)[^\n]*\n)*```\w+\n(.*?)^```",
        PAGE.read_text(encoding="utf-8"),
        re.M | re.S,
    )
)
COMMANDS = re.search(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)[1].splitlines()  # type: ignore[index]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shorter(folder: Path) -> None:
    """Seven of the arms, one epoch on few examples, two seeds."""
    path = folder / "study.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in (
        ("for: 20 epochs, batch: 64", "view: {n: 96}, for: 1 epochs, batch: 96"), ("seeds: 3", "seeds: 2"),
        ("generate: factorial", "generate: leave_one_out"), ("arm.missing: [4, 5]", "arm.missing: [1, 5]"),
    ):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_the_files_say_what_the_page_says(folder: Path) -> None:
    assert set(FILES) == {"baseline.py", "method.py", "study.yaml", "ready.yaml"}
    assert len(COMMANDS) <= 5
    study, faults = check_study("study.yaml")
    assert study is not None
    assert all(fault.note for fault in faults)
    arm = study.factors["arm"]
    assert len(arm.levels) == 32
    assert {"full", "without-gating", "only-gating", "with-norm-gating", "baseline"} <= set(arm.labels)


def test_the_second_study_is_read(folder: Path) -> None:
    study, faults = check_study("ready.yaml")
    assert [str(fault) for fault in faults if not fault.note] == []
    if study is not None:
        assert [(wanted.net.name, wanted.of_arms) for wanted in networks(study)] == [
            ("./baseline.py", False), ("./method.py", True)
        ]  # fmt: skip


def test_the_commands_run(folder: Path) -> None:
    shorter(folder)
    unsealed = False
    for command in COMMANDS:
        program, *words = command.split()
        assert program == "crucis"
        if words[0] == "run":
            words += ["--quiet", "--workers", "1"]
        answer = said(words)
        unsealed = unsealed or words[0] == "unseal"
        assert answer.code == (4 if words[0] == "run" and not unsealed else 0), f"{command}\n{answer.all}"
        if words[0] == "check":
            assert "0 bad; nothing was trained." in answer.out
            assert "outputs and gradients equal bit for bit" in answer.out
    page = (folder / "report" / "my-method" / "index.html").read_text(encoding="utf-8")
    assert "without-gating" in page
    assert "the method gains at least one point" in page


def test_one_file_alone_and_as_json(folder: Path) -> None:
    answer = said(["check", "method.py", "--model", "--on", "digits", "--format", "json"])
    assert answer.code == 0, answer.all
    found = json.loads(answer.out)
    assert {each["check"] for each in found} >= {"shapes", "gradients", "used", "costs", "baseline"}
    assert next(each for each in found if each["check"] == "baseline")["values"]["difference"] == 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("if self.shortcut and y.shape == x.shape:", "if False:", "BAD used          shortcut: remove changes nothing"),
        ("adaptive_avg_pool2d(x, 1).flatten(1)", "x.amax((2, 3))", "BAD baseline      everything left out against"),
        ("self.gates[i](x.mean((2, 3)))", "self.gates[i](x.mean((2, 3))).detach()", "not gates.0.weight (none)"),
    ],
)
def test_the_table_of_bad_checks(folder: Path, old: str, new: str, words: str) -> None:
    text = (folder / "method.py").read_text(encoding="utf-8")
    assert text.count(old) == 1
    (folder / "method.py").write_text(text.replace(old, new), encoding="utf-8")
    answer = said(["check", "method.py", "--model"])
    assert answer.code == 1
    assert words in answer.out


def test_what_cannot_be_checked(folder: Path) -> None:
    for words, text in (
        (["check", "metod.py", "--model"], "no file ./metod.py"),
        (["check", "method.py", "--model", "--on", "digit"], "Did you mean 'digits'?"),
        (["check", "study.yaml", "--on", "digits"], "--on names the data for one net"),
    ):
        answer = said(words)
        assert answer.code == 2
        assert text in answer.all
        assert "Traceback" not in answer.all


def test_a_run_refuses_a_baseline_that_is_something_else(folder: Path) -> None:
    shorter(folder)
    sound = (folder / "baseline.py").read_text(encoding="utf-8")
    (folder / "baseline.py").write_text(sound.replace("nn.ReLU()", "nn.Tanh()"), encoding="utf-8")
    answer = said(["run", "study.yaml", "--quiet", "--workers", "1"])
    assert answer.code == 2
    assert "./method.py: everything left out against ./baseline.py" in answer.all
    assert "largest difference" in answer.all
    assert "Traceback" not in answer.all
    assert not list((folder / ".crucis" / "steps").glob("*/*"))
