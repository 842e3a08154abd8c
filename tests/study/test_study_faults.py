"""Broken studies and their answers: every fault with its place, and nothing but the faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from fault_cases import BROKEN, ONE

from crucis.cli import main
from crucis.errors import StudyError
from crucis.study.load import check_study, load_study, study_from_text
from crucis.study.plan import PlanError, make_plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "baseline.py").write_text("class Net: pass\ndef main(): pass\n")
    (tmp_path / "base.yaml").write_text(
        "study: base\nlet: {grid: 5}\nstages:\n  task_a: {train: supervised, net: mlp, data: digits, for: 3 epochs}\n"
    )
    (tmp_path / "my_net.py").write_text('"""A net."""\ndef build(input, classes, *, rank: int = 8): ...\n')
    (tmp_path / "my_data.py").write_text('KIND = "vector"\ndef load(root): ...\n')
    return tmp_path


@pytest.mark.parametrize("name", BROKEN)
def test_fault(name: str, folder: Path) -> None:
    words, expected = BROKEN[name]
    study, faults = study_from_text(words, folder, file="s.yaml")
    assert study is None
    found = [(fault.line, fault.column, fault.path, fault.code) for fault in faults]
    assert found == [row[:4] for row in expected], [str(fault) for fault in faults]
    for fault, row in zip(faults, expected, strict=True):
        assert row[4] in fault.text
        assert str(fault).startswith(f"s.yaml:{row[0]}:{row[1]}")
        assert "\n" not in str(fault)


def test_the_command_ends_with_two_and_no_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "s.yaml"
    for name, (words, _) in BROKEN.items():
        path.write_text(words, encoding="utf-8")
        assert main(["check", str(path)]) == 2, name
        said = capsys.readouterr().err
        assert f"{path}:" in said and "nothing was run." in said, name
        assert "Traceback" not in said, name


def test_there_are_enough() -> None:
    assert len(BROKEN) >= 40


def test_all_faults_together_in_order(tmp_path: Path) -> None:
    words = (
        "study: Bad Name\nseeds: 0\nfactors: {net: [mlp]}\nstages:\n"
        "  m: {train: supervised, net: $net, data: digit, lr: x}\n"
        "  n: {measure: hesian, of: m}\nbudget: 3\n"
    )
    path = tmp_path / "s.yaml"
    path.write_text(words)
    with pytest.raises(StudyError) as caught:
        load_study(path)
    lines = [fault.line for fault in caught.value.faults]
    assert lines == sorted(lines)
    assert [fault.code for fault in caught.value.faults] == [
        "bad-name", "out-of-range", "unknown-name", "wrong-type", "unknown-name", "not-a-time",
    ]  # fmt: skip
    assert caught.value.report().endswith("6 faults; nothing was run.")


def test_consequences_stay_silent(tmp_path: Path) -> None:
    words = (
        "study: s\nfactors: {net: mlp}\nstages:\n  m: {train: supervised, net: $net, data: digits}\n"
        "  n: {measure: size, of: gone}\n  o: {measure: size, of: n}\n"
        "derive: {x: n.parameters, y: x + 1}\nanalysis:\n  a: {describe: summary, of: [x, y], each: net}\n"
        "claims: {c: a.mean > 0}\n"
    )
    _, faults = study_from_text(words, tmp_path)
    assert [fault.path for fault in faults] == ["factors.net", "stages.n.of"]


def test_no_file_and_no_protocol(tmp_path: Path) -> None:
    study, faults = check_study("perist")
    assert study is None
    assert "Did you mean 'persist'?" in faults[0].text
    study, faults = check_study(tmp_path / "none.yaml")
    assert study is None
    assert faults[0].code == "no-file"


def test_faults_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(ONE)
    for sets, code in [(["let.x=3"], "no-path"), (["seeds"], "wrong-type"), (["stages.m.lr=x"], "wrong-type"),
                       (["seeds=[1"], "yaml"), (["seeds="], "no-value")]:  # fmt: skip
        study, faults = check_study(path, sets=sets)
        assert study is None
        assert [fault.code for fault in faults] == [code]
        assert str(faults[0]).startswith(f"--set {sets[0]}")
        assert faults[0].line == 0
    study, faults = check_study(path, preset="tiny")
    assert study is None
    assert str(faults[0]) == "--preset tiny: no preset 'tiny'. Presets: none."


def test_many_seeds_are_meant_with_yes(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(ONE + "seeds: 42\n")
    assert len(load_study(path, yes=True).seeds) == 42


def test_all_that_cannot_be_planned_is_told_together(tmp_path: Path) -> None:
    words = """\
study: s
stages:
  a: {train: supervised, net: mlp, data: digits, batch: 2000, accumulate: 1000}
  b: {measure: classification, of: a}
  c: {train: supervised, net: mlp, data: digits, for: 2 epochs}
  d: {measure: classification, of: c@at=3epochs}
seeds: 2
"""
    study, faults = study_from_text(words, tmp_path, file="s.yaml")
    assert study is not None, [str(fault) for fault in faults]
    with pytest.raises(PlanError) as error:
        make_plan(study)
    first, second = str(error.value).splitlines()
    assert first.startswith("stages.a: accumulate: 1000 chunks do not divide a batch of 1")
    assert second.startswith("stages.d: @at=3epochs is step")
