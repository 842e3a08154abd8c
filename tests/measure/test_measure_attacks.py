"""Attacks against the closed form of a linear network, against their box, and against each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis.data.dataset import Dataset, Split
from crucis.errors import Refusal
from crucis.measure import attacks
from crucis.measure.perturbations import fgsm, pgd
from crucis.measure.pixels import pictures
from crucis.testing import perturbations, subjects

EPS = 0.05


def grey(n: int = 80, classes: int = 2) -> Dataset:
    """Images in the middle of the scale, so that no attack of EPS meets 0 or 1."""
    draw = np.random.default_rng(3)

    def split() -> Split:
        return Split(
            draw.integers(60, 190, (n, 4, 4, 3), dtype=np.uint8), draw.integers(0, classes, n).astype(np.int64)
        )

    names = tuple(map(str, range(classes)))
    parts = split(), split(), split()
    return Dataset("grey", "image", classes, names, *parts, (0.5, 0.4, 0.6), (0.2, 0.3, 0.25), "grey")


def linear(classes: int = 2) -> nn.Module:
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, classes))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        net[1].weight.copy_(torch.randn(classes, 48, generator=generator) * 0.5)
        net[1].bias.copy_(torch.randn(classes, generator=generator))
    return net.eval()


def worst_case(net: nn.Module, data: Dataset, eps: float) -> np.ndarray:
    """Which images no change within eps can turn, for two classes: margin > eps x 1-norm of the weights' difference."""
    x = data.validation.x.astype(np.float64) / 255
    shown = (x - np.array(data.mean)) / np.array(data.std)
    weight, bias = net[1].weight.detach().double().numpy(), net[1].bias.detach().double().numpy()
    y = data.validation.y
    flat = shown.transpose(0, 3, 1, 2).reshape(len(y), -1)
    spread = np.repeat(np.array(data.std), 16)
    out = flat @ weight.T + bias
    own, other = out[np.arange(len(y)), y], out[np.arange(len(y)), 1 - y]
    return own - other - eps * np.abs((weight[0] - weight[1]) / spread).sum() > 0


@pytest.mark.parametrize("eps", [0.0, 0.005, 0.02, EPS])
def test_a_linear_network_meets_its_worst_case(eps: float, tmp_path: Path) -> None:
    data, net = grey(), linear()
    truth = float(worst_case(net, data, eps).mean())
    subject = subjects.model_specimen(tmp_path, model=net, data=data)
    one = fgsm.perturb(subject, eps=eps)
    many = pgd.perturb(subject, eps=eps, steps=10)
    assert one.values["accuracy"] == many.values["accuracy"] == pytest.approx(truth)
    assert one.values["clean_accuracy"] == pytest.approx(float(worst_case(net, data, 0.0).mean()))
    assert one.notes["largest_change"] == pytest.approx(eps, abs=1e-6)
    if eps >= 0.02:
        assert truth < one.values["clean_accuracy"]


def test_the_box_and_the_scale_are_kept() -> None:
    net, draw = linear(3), torch.Generator().manual_seed(1)
    x, y = torch.rand(20, 3, 4, 4, generator=draw), torch.arange(20) % 3
    x[0], x[1] = 0.0, 1.0

    def start() -> torch.Tensor:
        return 2 * torch.rand(x.shape, generator=draw) - 1

    for moved, _ in (
        attacks.fgsm(net, x, y, eps=0.3),
        attacks.pgd(net, x, y, eps=0.3, steps=7, step=0.2, start=start),
    ):
        assert float(moved.min()) >= 0
        assert float(moved.max()) <= 1
        assert float((moved - x).abs().max()) <= 0.3 + 1e-6


def test_pixels_are_the_data_and_normalisation_is_inside(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    seen = pictures(subject)
    assert np.array_equal((seen.x * 255).round().permute(0, 2, 3, 1).numpy(), subject.data.validation.x)
    plain = torch.from_numpy((subject.data.validation.x / 255.0 - 0.25) / 0.2).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        assert torch.allclose(seen.logits(seen.x), subject.model(plain), atol=1e-5)


def test_the_stronger_attack_is_stronger(tmp_path: Path) -> None:
    subject = perturbations.specimen(tmp_path)
    found = [
        fgsm.perturb(subject, eps=0.25).values["accuracy"],
        pgd.perturb(subject, eps=0.25, steps=20).values["accuracy"],
        pgd.perturb(subject, eps=0.25, steps=20, restarts=3).values["accuracy"],
    ]
    clean = fgsm.perturb(subject, eps=0.0).values
    assert clean["accuracy"] == clean["clean_accuracy"] > 0.9
    assert clean["accuracy"] > found[0] >= found[1] >= found[2]


class Steps(nn.Module):
    """Has no gradient with respect to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.detach().mean((1, 2, 3)) > 0).float()[:, None] * self.weight


def test_what_cannot_be_attacked_is_refused(tmp_path: Path) -> None:
    subject: Any = subjects.model_specimen(tmp_path)
    vectors = replace(subject.data, kind="vector")
    for changed, code in (
        (replace(subject, data=vectors), "not_applicable"),
        (replace(subject, model=Steps()), "unsupported"),
    ):
        with pytest.raises(Refusal) as caught:
            fgsm.perturb(changed)
        assert caught.value.code == code
