"""What is said of bf16 on a processor without instructions for it."""

from __future__ import annotations

import json

import pytest

from crucis.engine import machine

STAGES = "  scores: {measure: loss_landscape, of: model, grid: 3, slices: 1, images: 16, precision: bf16}"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16\n", True),
        ("flags\t\t: fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("processor : 0\nflags\t\t: fpu avx512f avx512_vnni\n", False),
        ("Features\t: fp asimd i8mm\n", False),
        ("", None),
    ],
)
def test_flags_of_a_processor(text, want, monkeypatch):
    monkeypatch.setattr(machine, "_text", lambda path: text if path == "/proc/cpuinfo" else "")
    assert machine.has_bfloat16() is want


def test_a_plan_says_where_bf16_will_not_pay(lab, monkeypatch):
    lab.study(seeds=1)
    lab.edit("  scores: {measure: classification, of: model}", STAGES)
    monkeypatch.setattr(machine, "has_gpus", lambda: False)

    def notes(*arguments: str) -> list[str]:
        return json.loads(lab("plan", "--format", "json", *arguments).out)["notes"]

    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    (line,) = notes()
    assert line.startswith("scores: this processor has no instructions for bfloat16")
    assert "slower here than fp32" in line
    assert f"Note: {line}" in lab("plan").out
    assert notes("--device", "cpu") == [line]
    monkeypatch.setattr(machine, "has_gpus", lambda: True)
    assert notes() == []
    assert notes("--device", "cpu") == [line]
    for known in (True, None):
        monkeypatch.setattr(machine, "has_bfloat16", lambda known=known: known)
        assert notes("--device", "cpu") == []
    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    lab.edit(", precision: bf16", "")
    assert notes("--device", "cpu") == []


def test_a_run_says_it_before_it_begins(lab, monkeypatch):
    lab.study(seeds=1)
    lab.edit("  scores: {measure: classification, of: model}", STAGES)
    lab.edit("for: 2 epochs", "for: 1 step")
    monkeypatch.setattr(machine, "has_bfloat16", lambda: False)
    said = lab("run", "--device", "cpu", "--stages", "model")
    assert "bfloat16" not in said.err
    said = lab("run", "--device", "cpu")
    assert "note: scores: this processor has no instructions for bfloat16" in said.err
