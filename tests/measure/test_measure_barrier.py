"""Barriers: a closed form through the whole path, ends bit for bit, batch normalisation, pools, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from crucis.errors import Refusal
from crucis.measure.evaluate import accuracy_and_loss, batches
from crucis.measure.instruments import loss_barrier
from crucis.measure.segment import Segment
from crucis.testing import subjects
from crucis.testing.instruments import unchanged


class Wells(nn.Module):
    """Logits whose cross-entropy against class 0 is log 2 + (x^2 - 1)^2 of its only weight."""

    def __init__(self, x: float) -> None:
        super().__init__()
        self.x = nn.Parameter(torch.tensor([x], dtype=torch.float64))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        rise = torch.log(2 * torch.exp((self.x**2 - 1) ** 2) - 1)  # -log sigmoid(-rise) = log 2 + (x^2 - 1)^2
        return torch.stack([torch.zeros(len(batch)), rise.expand(len(batch)).float()], 1)


def wells(folder: Path, start: float, end: float, **changes):
    from crucis.data.dataset import Dataset, Split

    split = Split(np.zeros((8, 2), np.float32), np.zeros(8, np.int64))
    data = Dataset("w", "vector", 2, ("a", "b"), split, split, split, (0.0, 0.0), (1.0, 1.0), "w")
    first = Wells(start).eval()
    base = subjects.model_specimen(folder, model=first, data=data)
    return replace(base, models={"start": first, "end": Wells(end).eval()}, **changes)


def test_two_wells_have_a_barrier_of_one_in_the_middle(tmp_path: Path) -> None:
    got = loss_barrier.measure(wells(tmp_path, -1.0, 1.0))
    assert got.values["height"] == pytest.approx(1.0, abs=1e-6)
    assert got.values["at"] == 0.5
    assert got.values["excess"] == pytest.approx(8 / 15, abs=5e-3)  # mean of (x^2 - 1)^2 from -1 to 1
    assert got.values["distance"] == 2.0
    assert (got.values["pairs"], got.values["images"]) == (1, 8)
    saved = np.load(tmp_path / "out" / "barrier.npz")
    x = 2 * saved["places"] - 1
    np.testing.assert_allclose(saved["losses"][0], np.log(2) + (x**2 - 1) ** 2, atol=1e-6)


def test_within_one_well_there_is_none(tmp_path: Path) -> None:
    got = loss_barrier.measure(wells(tmp_path, 0.8, 1.2))
    assert got.values["height"] == pytest.approx(0.0, abs=1e-6)
    assert got.values["excess"] < -1e-3
    uphill = loss_barrier.measure(wells(tmp_path, -1.0, 1.5), baseline="highest")
    assert uphill.values["height"] == 0.0
    assert loss_barrier.measure(wells(tmp_path, -1.0, 1.5)).values["height"] > 0.3


def test_ends_are_the_networks_themselves(tmp_path: Path) -> None:
    subject = subjects.pair(tmp_path, ["start", "end"])
    with unchanged(subject.models["start"]), unchanged(subject.models["end"]):
        got = loss_barrier.measure(subject, points=3)
    losses = np.load(tmp_path / "out" / "barrier.npz")["losses"][0]
    for index, role in ((0, "start"), (2, "end")):
        model = subject.models[role]
        data = subject.data
        assert losses[index] == pytest.approx(accuracy_and_loss(model, data.train, data.mean, data.std).loss, rel=1e-6)
    swapped = replace(subject, models={"start": subject.models["end"], "end": subject.models["start"]})
    back = loss_barrier.measure(swapped, points=3)
    assert back.values["height"] == pytest.approx(got.values["height"], rel=1e-5)
    assert back.values["distance"] == got.values["distance"]


def test_ends_bit_for_bit_and_recalibration(tmp_path: Path) -> None:
    subject = subjects.pair(tmp_path, ["start", "end"])
    first, last, data = subject.models["start"], subject.models["end"], subject.data
    parts = batches(data.train, data.mean, data.std, batch=20, device="cpu")
    there, here = Segment(first, last, parts), Segment(last, last, parts)
    there.place(0.3)
    there.place(1.0)
    here.place(0.0)
    assert there.loss() == here.loss()
    fresh = Segment(first, last, parts, batch_norm="recalibrated")
    fresh.place(0.5)
    again = Segment(first, last, parts)
    again.place(0.5)
    assert fresh.loss() != again.loss()
    # The statistics that recalibration finds, by hand: average of the batches' own means and variances.
    mixed = subjects.network()
    with torch.no_grad():
        for target, a, b in zip(mixed.parameters(), first.parameters(), last.parameters(), strict=True):
            target.copy_(torch.lerp(a, b, 0.5))
        seen = [mixed[0](x) for x, _ in parts]
        mixed[1].running_mean.copy_(torch.stack([h.mean((0, 2, 3)) for h in seen]).mean(0))
        mixed[1].running_var.copy_(torch.stack([h.var((0, 2, 3)) for h in seen]).mean(0))
    by_hand = accuracy_and_loss(mixed, data.train, data.mean, data.std).loss
    assert fresh.loss() == pytest.approx(by_hand, rel=1e-5)


def test_batch_size_is_rounding(tmp_path: Path) -> None:
    subject = subjects.pair(tmp_path, ["start", "end"])
    one, two = (loss_barrier.measure(subject, points=5, batch=b).values for b in (7, 48))
    assert one == pytest.approx(two, rel=1e-4, abs=1e-6)


def test_a_pool_takes_all_pairs(tmp_path: Path) -> None:
    nets = [subjects.network(k) for k in range(3)]
    pool = subjects.model_specimen(tmp_path, model=None, models={"of": nets})
    got = loss_barrier.measure(pool, points=5)
    saved = dict(np.load(tmp_path / "out" / "barrier.npz"))
    assert saved["pairs"].tolist() == [[0, 1], [0, 2], [1, 2]]
    single = []
    for a, b in saved["pairs"]:
        two = subjects.model_specimen(tmp_path, model=nets[a], models={"start": nets[a], "end": nets[b]})
        single.append(loss_barrier.measure(two, points=5).values["height"])
    assert got.values["height"] == pytest.approx(np.mean(single))
    assert got.uncertainty["height"] == {
        "se": pytest.approx(np.std(single, ddof=1) / np.sqrt(3)), "n": 3, "kind": "pairs",
    }  # fmt: skip


def test_refusals(tmp_path: Path) -> None:
    alone = subjects.model_specimen(tmp_path)
    small = nn.Sequential(nn.Flatten(), nn.Linear(36, 6)).eval()
    cases = {
        "not_applicable": [
            alone,
            replace(alone, models={"of": alone.model}),
            replace(alone, models={"start": alone.model, "end": small}),
            replace(alone, models={"start": alone.model, "end": [alone.model]}),
        ],
        "too_few": [replace(alone, models={"of": [alone.model]})],
    }
    for code, found in cases.items():
        for subject in found:
            with pytest.raises(Refusal) as caught:
                loss_barrier.measure(subject, points=3)
            assert caught.value.code == code
