"""Several points of a landscape at once: the losses that they have one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from crucis import streams
from crucis.errors import Stopped
from crucis.measure import stacking, surface
from crucis.measure.directions import draw
from crucis.measure.instruments import loss_landscape
from crucis.measure.surface import Surface
from crucis.nets import convnet, resnet_cifar
from crucis.testing import subjects
from crucis.testing.contexts import PlainContext

ROW = [(-0.5, b) for b in (-1.0, -0.5, 0.0, 0.5, 1.0)]
MIDDLE = [(0.0, b) for _, b in ROW]


def settled(build: Any) -> nn.Module:
    with streams.borrowed(2), torch.no_grad():
        net = build()
        for _ in range(3):
            net(torch.randn(32, 3, 8, 8))
    return net.eval()


def examples(size: int = 20, batch: int = 8) -> list[tuple[torch.Tensor, torch.Tensor]]:
    with streams.borrowed(1):
        x, y = torch.randn(size, 3, 8, 8), torch.randint(0, 5, (size,))
    return list(zip(x.split(batch), y.split(batch), strict=True))


def row(made: Surface, places: list[tuple[float, float]]) -> list[float]:
    pair = [draw(made.theta, streams.generator(0, "d", axis), "filter") for axis in range(2)]
    return made.along(made.plane(*pair), places)


class Draws(nn.Module):
    """Draws at evaluation too: every point must draw the same."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(192, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(functional.dropout(x.flatten(1), 0.5, training=True))


class Normal(nn.Module):
    """Standardises its filters where it uses them, so nothing is folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.conv.weight
        h = functional.conv2d(x, w / w.flatten(1).norm(dim=1)[:, None, None, None], self.conv.bias)
        return self.head(functional.gelu(self.norm(h)).flatten(1))


KINDS = {
    "convnet": lambda: convnet.build((3, 8, 8), 5, widths=[8, 12]),
    "resnet": lambda: resnet_cifar.build((3, 8, 8), 5, depth=8, width=4),
    "draws": Draws,
    "normal": Normal,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [1, 2, 64])
def test_points_at_once_are_worth_what_they_are_worth_one_by_one(kind: str, most: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(stacking, "MOST_POINTS", most)
    net, parts = settled(KINDS[kind]), examples()
    one, many = Surface(net, parts, stacking=False), Surface(net, parts, stacking=True)
    assert many.path.endswith(f", {most} points at once")
    for places in (ROW, MIDDLE):
        want, found = row(one, places), row(many, places)
        assert found == pytest.approx(want, rel=1e-6)
        assert row(many, places) == found
    assert found[2] == want[2] == Surface(net, parts).loss()
    assert len(set(found)) == 5


def test_half_precision_at_once() -> None:
    net, parts = settled(KINDS["convnet"]), examples()
    one, many = (Surface(net, parts, precision="bf16", stacking=stack) for stack in (False, True))
    assert "points at once" in many.path
    assert row(many, ROW) == pytest.approx(row(one, ROW), rel=2e-2)
    assert row(many, ROW) != pytest.approx(row(Surface(net, parts), ROW), rel=1e-6)


class Branching(Draws):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.head(x.flatten(1))
        return h if float(h.mean()) > 0 else -h


class Counting(Draws):
    """Another function after every call."""

    calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.head(x.flatten(1)) * self.calls


def test_networks_that_do_not_stack_run_one_by_one_and_say_why() -> None:
    parts = examples()
    branching = Surface(settled(Branching), parts, stacking=True)
    assert ", one by one: the network does not take stacked weights (" in branching.path
    assert row(branching, ROW) == row(Surface(settled(Branching), parts), ROW)
    assert Surface(settled(Counting), parts, stacking=True).path.endswith("stacked weights give other logits")
    for policy in ("batch", "recalibrated"):
        assert Surface(settled(KINDS["convnet"]), parts, batch_norm=policy, stacking=True).path == "plain"


def test_a_point_that_is_not_finite_leaves_its_neighbours_alone() -> None:
    net = settled(KINDS["convnet"])
    made = Surface(net, examples(), stacking=True)
    huge = {name: torch.full_like(value, 1e30) for name, value in made.theta.items()}
    pair = made.plane(huge, draw(made.theta, streams.generator(0, "d", 1), "filter"))
    found = made.along(pair, [(0.0, 0.5), (1e8, 0.0), (0.0, -0.5)])
    assert np.isfinite(found).tolist() == [True, False, True]


def test_memory_bounds_the_points_of_a_pass(monkeypatch: Any) -> None:
    net = settled(KINDS["convnet"])
    maps = 8 * 8 * 8 * 8 * 4  # 8 images, 8 channels of 8 x 8, four bytes: the first convolution's map
    weights = 4 * sum(p.numel() for name, p in net.named_parameters() if p.dim() > 1)
    monkeypatch.setattr(stacking, "MOST_BYTES", 5 * (4 * maps + weights))
    assert ", 5 points at once" in Surface(net, examples(), stacking=True).path
    monkeypatch.setattr(stacking, "MOST_BYTES", 1)
    assert ", 1 points at once" in Surface(net, examples(), stacking=True).path


def test_a_gpu_is_asked_for_by_its_device() -> None:
    assert stacking.wanted(torch.device("cuda"))
    assert not stacking.wanted(torch.device("cpu"))
    assert "at once" not in Surface(settled(KINDS["convnet"]), examples()).path


@pytest.mark.parametrize("after", [None, 1, 9])
def test_a_landscape_of_stacked_points_is_that_of_single_ones_and_resumes(
    after: int | None, tmp_path: Path, monkeypatch: Any
) -> None:
    def run(folder: Path, ctx: Any = None) -> tuple[Any, dict[str, np.ndarray]]:
        subject = subjects.model_specimen(folder)
        subject = subject if ctx is None else type(subject)(**{**vars(subject), "ctx": ctx})
        result = loss_landscape.measure(subject, grid=7, slices=2, images=40)
        with np.load(subject.folder() / "landscape.npz") as file:
            return result, dict(file)

    _, single = run(tmp_path / "single")
    monkeypatch.setattr(stacking, "MOST_POINTS", 3)
    monkeypatch.setattr(surface, "wanted", lambda _device: True)
    result, whole = run(tmp_path / "whole")
    assert result.notes["forward"].endswith("3 points at once")
    np.testing.assert_allclose(whole["losses"], single["losses"], rtol=1e-6)
    assert (whole["losses"][:, 3, 3] == single["losses"][:, 3, 3]).all()
    if after is not None:
        with pytest.raises(Stopped):
            run(tmp_path / "cut", PlainContext(tmp_path / "cut", stop_after=after))
        _, resumed = run(tmp_path / "cut", PlainContext(tmp_path / "cut"))
        assert np.array_equal(resumed["losses"], whole["losses"])
