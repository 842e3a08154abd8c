"""Exponents against closed forms and SciPy's regression."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from crucis.errors import CrucisError, Refusal
from crucis.measure.instruments import complexity
from crucis.numerics.powers import exponent
from crucis.testing import subjects


def test_a_power_law_is_found() -> None:
    x = np.array([1.0, 2.0, 5.0, 9.0])
    found = exponent(x, 3 * x**1.7)
    assert [found.value, found.low, found.high] == pytest.approx([1.7] * 3)
    assert found.se == pytest.approx(0, abs=1e-12)


def test_against_scipy() -> None:
    draw = np.random.default_rng(0)
    x = np.arange(1.0, 9.0)
    y = x**0.8 * np.exp(draw.normal(0, 0.2, 8))
    found, wanted = exponent(x, y), stats.linregress(np.log(x), np.log(y))
    assert found.value == pytest.approx(wanted.slope)
    assert found.se == pytest.approx(wanted.stderr)
    assert found.high - found.value == pytest.approx(stats.t.ppf(0.975, 6) * wanted.stderr)


@pytest.mark.parametrize("over", ["batch", "resolution"])
def test_a_convolution_is_linear_in_examples_and_pixels(over: str, tmp_path: Path) -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    subject = subjects.model_specimen(tmp_path, model=net.eval())
    values = complexity.measure(subject, over=over, sizes=[1, 2, 3], repeats=3).values
    assert values["flops"] == pytest.approx(1)
    assert values["memory"] == pytest.approx(1, abs=0.02)
    assert values["time_low"] <= values["time"] <= values["time_high"]


class AllPairs(nn.Module):
    """Compares every pixel with every other, and waits in proportion to the square of their number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        time.sleep(4e-3 * (flat.shape[2] / 36) ** 2)
        return (flat.transpose(1, 2) @ flat).mean((1, 2))[:, None] * self.weight


def test_attention_is_quadratic_in_pixels(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path, model=AllPairs().eval())
    values = complexity.measure(subject, over="resolution", sizes=[1, 2, 3], repeats=3).values
    assert values["flops"] == pytest.approx(2)
    assert 1 < values["time"] < 3


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(36, 6)).eval()
    subject = subjects.model_specimen(tmp_path, model=dense)
    with pytest.raises(Refusal, match="1 x 12 x 12"):
        complexity.measure(subject, over="resolution")
    with pytest.raises(CrucisError, match="three increasing"):
        complexity.measure(subject, sizes=[1, 2])
