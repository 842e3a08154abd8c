"""Every leaf of the two shelves holds the suites, and the suites catch leaves that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crucis import shelf
from crucis.records import Result
from crucis.testing import instruments, perturbations

SIZE = shelf.leaf("measure", "size")


@pytest.mark.parametrize("name", shelf.names("measure"))
def test_instruments(name: str, tmp_path: Path) -> None:
    instruments.check(shelf.leaf("measure", name), tmp_path)


@pytest.mark.parametrize("name", shelf.names("perturb"))
def test_perturbations(name: str, tmp_path: Path) -> None:
    perturbations.check(shelf.leaf("perturb", name), tmp_path)


def honest(specimen: Any) -> Result:
    return shelf.load(SIZE)(specimen)


def moves_a_buffer(specimen: Any) -> Result:
    out = honest(specimen)
    specimen.model.train()(torch.randn(4, 1, 6, 6))
    specimen.model.eval()
    return out


def leaves_training_mode(specimen: Any) -> Result:
    out = honest(specimen)
    specimen.model[1].train()
    return out


def freezes(specimen: Any) -> Result:
    out = honest(specimen)
    specimen.model.requires_grad_(False)
    return out


def draws_globally(specimen: Any) -> Result:
    out = honest(specimen)
    torch.randn(1)
    return out


def not_reproducible(specimen: Any, _count: list[int] = [0]) -> Result:
    _count[0] += 1
    out = honest(specimen)
    return replace(out, values={**out.values, "bytes": _count[0]})


def nan(specimen: Any) -> Result:
    out = honest(specimen)
    return replace(out, values={**out.values, "bytes": float("nan")})


def undeclared(specimen: Any) -> Result:
    out = honest(specimen)
    return replace(out, values={**out.values, "colour": 1})


def crashes_without_subject(specimen: Any) -> Result:
    return Result(values={name: sum(1 for _ in specimen.model.parameters()) for name in SIZE.columns})


def zero_without_subject(specimen: Any) -> Result:
    return Result(values=dict.fromkeys(SIZE.columns, 0)) if specimen.model is None else honest(specimen)


def hides_nan(specimen: Any) -> Result:
    out = honest(specimen)
    first = float(next(specimen.model.parameters()).detach().abs().sum())
    return replace(out, values={**out.values, "bytes": first})


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (moves_a_buffer, "not as it was"),
        (leaves_training_mode, "not as it was"),
        (freezes, "not as it was"),
        (draws_globally, "global random generator"),
        (not_reproducible, "same stream, other values"),
        (nan, "instead of a refusal"),
        (undeclared, "does not declare"),
        (zero_without_subject, "not refused"),
        (hides_nan, "NaN weights give nan"),
    ],
)
def test_faults_are_caught(fault: Any, sentence: str, tmp_path: Path) -> None:
    instruments.check(SIZE, tmp_path / "honest", run=honest)
    with pytest.raises(AssertionError, match=sentence):
        instruments.check(SIZE, tmp_path, run=fault)


def test_a_crash_is_no_refusal(tmp_path: Path) -> None:
    with pytest.raises(AttributeError):
        instruments.check(SIZE, tmp_path, run=crashes_without_subject)


NOISE = '''"""Adds noise to the weights."""
REVISION = 1
COLUMNS = {"kept": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True}}
EXAMPLE = {"dose": 0.5}
IDENTITY = {"params": {"dose": 0.0}, "values": {"kept": 1.0}}


def perturb(specimen, *, dose: float = 0.1):
    """Noise.

    Args:
        dose: standard deviation of the noise, at least 0.
    """
'''


def noise(specimen: Any, *, dose: float, in_place: bool = False, floor: float = 0.0) -> Result:
    import copy

    from crucis import streams

    net = specimen.model if in_place else copy.deepcopy(specimen.model)
    x = torch.randn(64, 1, 6, 6, generator=streams.generator(0, "x"))
    with torch.no_grad():
        before = net(x).argmax(1)
        generator = streams.generator(specimen.seed, "noise")
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=dose + floor)
        kept = float((net(x).argmax(1) == before).float().mean())
    return Result(values={"kept": kept})


def test_a_dose_of_nothing_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "noise.py").write_text(NOISE)
    leaf = shelf.own_leaf("perturb", tmp_path, "noise.py")
    perturbations.check(leaf, tmp_path / "a", run=noise)
    with pytest.raises(AssertionError, match="not as it was"):
        perturbations.check(leaf, tmp_path / "b", run=lambda s, dose: noise(s, dose=dose, in_place=True))
    with pytest.raises(AssertionError, match="at dose 0"):
        perturbations.check(leaf, tmp_path / "c", run=lambda s, dose: noise(s, dose=dose, floor=1.0))
