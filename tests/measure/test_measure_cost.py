"""Counts and times of forward passes against closed forms, torch's own counter, and a module that sleeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crucis import shelf
from crucis.errors import CrucisError
from crucis.measure.footprint import WHOLE, footprint, held, latencies, peak_bytes, plain_attention
from crucis.measure.instruments import cost
from crucis.testing import subjects
from crucis.testing.instruments import unchanged

IMAGE = torch.zeros(1, 3, 16, 16)


def test_a_linear_map_in_closed_form() -> None:
    found = footprint(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), torch.zeros(5, 3))
    assert found.flops == {"0": 2 * 5 * 3 * 2}
    assert found.made == {"0": 4 * 5 * 2, "1": 4 * 5 * 2}
    assert found.peak == 2 * 4 * 5 * 2


def test_a_grouped_strided_convolution_in_closed_form() -> None:
    found = footprint(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), torch.zeros(2, 4, 9, 9))
    assert found.flops == {WHOLE: 2 * 2 * 6 * 5 * 5 * (4 // 2) * 9}


@pytest.mark.parametrize(
    ("name", "params"),
    [("convnet", {}), ("resnet_cifar", {"depth": 8}), ("vit", {}), ("mixer", {}), ("wrn", {"depth": 10, "widen": 1})],
)
def test_the_sum_is_that_of_torchs_counter(name: str, params: dict[str, Any]) -> None:
    net = shelf.load(shelf.leaf("nets", name))((3, 16, 16), 10, **params).eval()
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), plain_attention(), counter:
        net(IMAGE)
    assert sum(footprint(net, IMAGE).flops.values()) == counter.get_total_flops() > 0


def test_fused_attention_is_counted() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    tokens, width = 5, 8
    projections = 4 * 2 * tokens * width * width
    products = 2 * 2 * tokens * tokens * width
    dense = 2 * 2 * tokens * width * 16
    found = footprint(layer, torch.zeros(1, tokens, width))
    assert sum(found.flops.values()) == projections + products + dense


def test_memory_that_is_freed_counts_no_more() -> None:
    chain = nn.Sequential(*[nn.Linear(10, 10, bias=False) for _ in range(6)])
    assert footprint(chain, torch.zeros(7, 10)).peak == 2 * 4 * 70
    assert held(chain) == 6 * 400
    assert peak_bytes(chain, torch.zeros(7, 10)) == 6 * 400 + 280 + 560


class Sleeper(nn.Module):
    """Takes 3 ms, or 20 ms every tenth time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.calls = nn.Parameter(torch.ones(6)), 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        time.sleep(0.02 if self.calls % 10 == 0 else 0.003)
        return self.weight.expand(len(x), 6)


def test_times_are_those_that_pass(tmp_path: Path) -> None:
    seconds = latencies(Sleeper().eval(), torch.zeros(2, 3), warmup=1, repeats=19)
    assert len(seconds) == 19
    assert sum(s >= 0.02 for s in seconds) >= 2
    assert 0.003 <= np.median(seconds) < 0.02
    subject = subjects.model_specimen(tmp_path, model=Sleeper().eval())
    values = cost.measure(subject, batch=[2, 4], repeats=20, warmup=0).values
    assert 0.003 <= values["latency_p50"] < 0.02 <= values["latency_p95"]
    assert values["throughput@batch"]["4"] == pytest.approx(4 / values["latency_p50@batch"]["4"])


def test_plain_columns_and_parts(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    with unchanged(subject.model):
        values = cost.measure(subject, batch=[1, 3, 100], repeats=3).values
    assert values["latency_p50"] == values["latency_p50@batch"]["1"] <= values["latency_p95"]
    assert values["memory"] == values["memory@batch"]["100"] > values["memory@batch"]["1"]
    assert values["throughput"] == values["throughput@batch"]["100"]
    assert values["parameters"] == 8 * 9 + 16 + 72 * 6 + 6
    assert values["flops"] == 2 * 36 * 8 * 9 + 2 * 72 * 6
    with np.load(tmp_path / "out" / "latency.npz") as file:
        assert file["seconds"].shape == (3, 3)
    with pytest.raises(CrucisError, match="increasing"):
        cost.measure(subject, batch=[8, 1])
