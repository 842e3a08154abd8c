"""Evaluation against closed forms and a plain loop; classification and size on top of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from crucis.data.dataset import Split
from crucis.errors import CrucisError, Refusal
from crucis.measure.evaluate import accuracy_and_loss, batches
from crucis.measure.instruments import classification, size
from crucis.measure.specimen import Specimen
from crucis.records import Record
from crucis.testing import subjects
from crucis.testing.instruments import unchanged


def test_against_a_plain_loop() -> None:
    data, net = subjects.data(), subjects.network()
    scores = accuracy_and_loss(net, data.validation, data.mean, data.std)
    x = torch.from_numpy((data.validation.x / 255.0 - 0.25) / 0.2).permute(0, 3, 1, 2).float()
    y = torch.from_numpy(data.validation.y)
    with torch.no_grad():
        logits = net(x)
    assert scores.loss == pytest.approx(float(functional.cross_entropy(logits, y)), rel=1e-6)
    assert np.array_equal(scores.correct, (logits.argmax(1) == y).numpy())
    assert scores.accuracy == scores.correct.mean()
    assert scores.accuracy_se == pytest.approx(math.sqrt(scores.accuracy * (1 - scores.accuracy) / 48))


@pytest.mark.parametrize("batch", [1, 5, 7, 47, 48, 500])
def test_every_example_counts_once_whatever_the_batch(batch: int) -> None:
    data, net = subjects.data(), subjects.network()
    parts = batches(data.validation, data.mean, data.std, batch=batch, device="cpu")
    sizes = [len(y) for _, y in parts]
    assert sum(sizes) == 48
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1
    assert torch.equal(torch.cat([y for _, y in parts]), torch.from_numpy(data.validation.y))
    whole = accuracy_and_loss(net, data.validation, data.mean, data.std, batch=48)
    cut = accuracy_and_loss(net, data.validation, data.mean, data.std, batch=batch)
    assert cut.loss == pytest.approx(whole.loss, rel=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_leaves_everything_as_it_was(training: bool) -> None:
    data, net = subjects.data(), subjects.network().train(training)
    with unchanged(net):
        one = accuracy_and_loss(net, data.validation, data.mean, data.std)
    assert one.loss == accuracy_and_loss(net.eval(), data.validation, data.mean, data.std).loss


class Constant(nn.Module):
    """The same logits for everything."""

    def __init__(self, value: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.full((6,), value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(x), 6)


def test_constant_logits_cost_log_k(tmp_path: Path) -> None:
    result = classification.measure(subjects.model_specimen(tmp_path, model=Constant(3.0)))
    expected = {"accuracy": 16 / 48, "loss": math.log(6), "examples": 48, "brier": 5 / 6, "ece": 1 / 3 - 1 / 6}
    assert {name: result.values[name] for name in expected} == pytest.approx(expected)
    assert result.uncertainty["accuracy"] == {"se": math.sqrt((1 / 3) * (2 / 3) / 48), "n": 48, "kind": "binomial"}


def test_what_is_not_finite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal) as caught:
        classification.measure(subjects.model_specimen(tmp_path, model=Constant(math.nan)))
    assert caught.value.code == "not_finite"


def test_the_seal(tmp_path: Path) -> None:
    sealed = subjects.model_specimen(tmp_path, split="test")
    with pytest.raises(Refusal) as caught:
        classification.measure(sealed)
    assert caught.value.code == "sealed"
    data = replace(sealed.data, unsealed=True)
    assert classification.measure(replace(sealed, data=data)).values["examples"] == 48


def test_splits_are_the_asked_ones(tmp_path: Path) -> None:
    values = [
        classification.measure(subjects.model_specimen(tmp_path, split=split)).values["loss"]
        for split in ("train", "validation")
    ]
    assert values[0] != values[1]


def test_an_empty_split(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    empty = Split(subject.data.validation.x[:0], subject.data.validation.y[:0])
    for call in (
        lambda: classification.measure(replace(subject, data=replace(subject.data, validation=empty))),
        lambda: accuracy_and_loss(subject.model, empty, (0.0,), (1.0,)),
    ):
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.code == "too_few"


def test_size_counts_shared_weights_once() -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    tied[1].weight = tied[0].weight
    tied[1].bias.requires_grad_(False)
    assert size.measure(Specimen(model=tied)).values == {
        "parameters": 9 + 3 + 3 + 6,
        "trainable": 9 + 3 + 6,
        "buffers": 3 + 3 + 1,
        "bytes": 4 * (21 + 6) + 8,
    }
    assert size.measure(Specimen(model=nn.Linear(3, 2))).values["bytes"] == 32


def test_a_specimen_says_what_it_lacks(tmp_path: Path) -> None:
    empty: Any = Specimen()
    for call in (empty.network, empty.asked, empty.record):
        with pytest.raises(Refusal) as caught:
            call()
        assert caught.value.code == "not_applicable"
    with pytest.raises(CrucisError, match="needs a context"):
        empty.save("x.npz", {"x": np.zeros(1)})
    record = Record("k", tmp_path, {"outcome": "ok", "values": {}})
    assert Specimen(inputs={"of": record}).record() is record


def test_saved_arrays_have_bytes_that_depend_on_nothing_else(tmp_path: Path) -> None:
    one, two = (subjects.model_specimen(tmp_path / name) for name in "ab")
    arrays = {"x": np.arange(3), "y": np.ones((2, 2))}
    assert one.save("x.npz", arrays) == {"x.npz": "array"}
    two.save("x.npz", dict(reversed(arrays.items())))
    assert (one.folder() / "x.npz").read_bytes() == (two.folder() / "x.npz").read_bytes()
