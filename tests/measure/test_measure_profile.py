"""Profiles against closed forms, against the whole, and against layers that take a known time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis import shelf
from crucis.measure.footprint import WHOLE, footprint
from crucis.measure.instruments import profile
from crucis.measure.layers import backward_seconds, forward_seconds, shapes
from crucis.testing import subjects
from crucis.testing.instruments import unchanged


class Slow(torch.autograd.Function):
    """The identity; 4 ms forward, 8 ms backward."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.004)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        time.sleep(0.008)
        return g


class Wait(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return Slow.apply(x)


def chain() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 6), Wait(), nn.ReLU(inplace=True), nn.Linear(6, 6)).eval()


def test_time_goes_to_the_layer_that_takes_it() -> None:
    x, net = torch.zeros(3, 1, 6, 6), chain()
    with unchanged(net):
        forwards, backwards = ([time_of(net, x) for _ in range(5)] for time_of in (forward_seconds, backward_seconds))
    # The least of some runs: the first one warms kernels up, and a busy machine delays any layer of any run.
    forward, backward = ({k: min(run[k] for run in runs) for k in runs[0]} for runs in (forwards, backwards))
    assert forward["2"] >= 0.004 and backward["2"] >= 0.008
    assert max(forward, key=lambda k: forward[k]) == max(backward, key=lambda k: backward[k]) == "2"


class Shared(nn.Module):
    """Works itself, calls one layer twice, and holds a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scale = nn.Linear(36, 36, bias=False), nn.Parameter(torch.ones(36, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        x = x + self.inner(self.inner(x))
        return x @ self.scale


def test_own_work_and_repeated_calls(tmp_path: Path) -> None:
    net = Shared().eval()
    values = profile.measure(subjects.model_specimen(tmp_path, model=net), batch=2, repeats=3).values
    assert values["flops@layer"] == {WHOLE: 2 * 36 * 6, "inner": 2 * 2 * 36 * 36}
    assert values["parameters@layer"] == {WHOLE: 36 * 6, "inner": 36 * 36}
    assert values["activations@layer"] == {WHOLE: 4 * (36 + 6), "inner": 4 * 72}
    assert values["flops"] == sum(values["flops@layer"].values())
    assert set(values["forward@layer"]) == {WHOLE, "inner"}
    assert all(seconds > 0 for seconds in values["backward@layer"].values())


@pytest.mark.parametrize(("name", "params"), [("resnet_cifar", {"depth": 8}), ("vit", {}), ("mixer", {})])
def test_sums_are_those_of_the_whole(name: str, params: dict[str, Any], tmp_path: Path) -> None:
    net = shelf.load(shelf.leaf("nets", name))((1, 6, 6) if name == "resnet_cifar" else (1, 16, 16), 6, **params).eval()
    x = torch.zeros(1, 1, 6, 6) if name == "resnet_cifar" else torch.zeros(1, 1, 16, 16)
    assert sum(forward_seconds(net, x).values()) > 0
    found, spent = footprint(net, x), backward_seconds(net, x)
    heavy = {layer for layer, count in found.flops.items() if count}
    assert heavy <= spent.keys()
    assert shapes(net, x)[WHOLE] == (6,)
    if name == "resnet_cifar":
        result = profile.measure(subjects.model_specimen(tmp_path, model=net), batch=2, repeats=3)
        assert result.values["parameters"] == sum(p.numel() for p in net.parameters())
        parts = result.values["forward@layer"].values()
        assert result.values["forward"] > 0 and min(parts) >= 0  # medians of single layers need not add up
        with np.load(tmp_path / "out" / "layers.npz") as file:
            assert file["name"].tolist() == list(result.values["flops@layer"])
            assert len(file["kind"]) == len(file["shape"]) == result.values["layers"]
