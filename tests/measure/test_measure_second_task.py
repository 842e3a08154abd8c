"""The second task: retention at listed steps, its area and errors, and that watching changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis.errors import CrucisError, Refusal
from crucis.measure.evaluate import accuracy_and_loss
from crucis.measure.perturbations import second_task
from crucis.measure.specimen import Specimen
from crucis.testing import perturbations, subjects
from crucis.testing.subjects import PlainTrained


class Reads(nn.Module):
    """Looks at the labels written into the images and is right on the first `share` of them."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.tensor(share))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        label, rank = x[:, 0].long(), x[:, 1]
        label = torch.where(rank < self.share.detach() - 1e-6, label, (label + 1) % 6)
        return 5 * nn.functional.one_hot(label, 6).float()


def vectors(size: int = 200) -> Any:
    from crucis.data.dataset import Dataset, Split

    y = np.arange(size) % 6
    split = Split(np.stack([y, np.arange(size) / size], axis=1).astype(np.float32), y.astype(np.int64))
    return Dataset("v", "vector", 6, tuple("abcdef"), split, split, split, (0.0, 0.0), (1.0, 1.0), "v")


def scripted(share_at: Callable[[int], float], seen: dict[str, Any] | None = None) -> Any:
    """A trainer that trains nothing: after k steps the network is right on `share_at(k)` of task A."""

    def train(data: Any, *, steps: int, probe: Any, probe_at: tuple[int, ...], **changes: Any) -> PlainTrained:
        if seen is not None:
            seen.update(data=data, steps=steps, probe_at=probe_at, changes=changes)
        probes = {k: probe(Reads(share_at(k)).eval()) for k in probe_at}
        return PlainTrained(Reads(share_at(steps)).eval(), probes, {"model.safetensors": "model"})

    return train


def specimen(share_at: Callable[[int], float], **changes: Any) -> Specimen:
    base = Specimen(model=Reads(share_at(0)).eval(), data=vectors(), task=vectors(60), trainer=scripted(share_at))
    return replace(base, **changes)


def test_constant_accuracy_is_full_retention() -> None:
    result = second_task.perturb(specimen(lambda k: 0.5))
    assert result.values["retention"] == dict.fromkeys(["10", "25", "50", "100", "250", "500"], 1.0)
    assert result.values["aurc"] == pytest.approx(1.0, abs=1e-15)
    assert result.values["accuracy_before"] == 0.5
    assert result.values["accuracy_b"] == 0.5
    assert result.files == {"model.safetensors": "model"}
    assert all(entry["se"] == 0.0 for entry in result.uncertainty["retention"].values())


def test_a_straight_line_has_its_exact_area() -> None:
    result = second_task.perturb(specimen(lambda k: 0.8 * (1 - k / 500)), record_at=[25, 50, 375, 500])
    assert result.values["retention"] == pytest.approx({"25": 0.95, "50": 0.9, "375": 0.25, "500": 0.0}, abs=1e-12)
    assert result.values["aurc"] == pytest.approx(0.5, abs=1e-12)


def test_the_area_ends_at_500_or_before() -> None:
    def drop(k: int) -> float:
        return max(0.0, 0.8 * (1 - k / 1000))

    assert second_task.perturb(specimen(drop), record_at=[100, 1000]).values["aurc"] == pytest.approx(0.75, abs=1e-12)
    assert second_task.perturb(specimen(drop), record_at=[100, 200]).values["aurc"] == pytest.approx(0.9, abs=1e-12)


def test_the_trainer_gets_the_task_and_the_steps() -> None:
    seen: dict[str, Any] = {}
    subject = specimen(lambda k: 0.5)
    second_task.perturb(replace(subject, trainer=scripted(lambda k: 0.5, seen)), record_at=[3, 7])
    assert seen == {"data": subject.task, "steps": 7, "probe_at": (0, 3, 7), "changes": {}}


def test_errors_of_shares_and_of_their_ratio() -> None:
    result = second_task.perturb(specimen(lambda k: 0.8 if k == 0 else 0.4), record_at=[10])
    n = 200
    assert result.uncertainty["accuracy_before"] == {
        "se": pytest.approx(math.sqrt(0.16 / n)),
        "n": n,
        "kind": "binomial",
    }
    assert result.uncertainty["accuracy_a"]["10"]["se"] == pytest.approx(math.sqrt(0.4 * 0.6 / n))
    # Whatever is right afterwards was right before, so of 160 right ones 80 stay: a share of 1/2 with n = 160.
    assert result.uncertainty["retention"]["10"]["se"] == pytest.approx(math.sqrt(0.25 / 160), rel=1e-9)


def test_ratio_error_against_resampling() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(400) < 0.7
    now = np.where(before, rng.random(400) < 0.6, rng.random(400) < 0.2)
    index = rng.integers(0, 400, (4000, 400))
    spread = (now[index].mean(1) / before[index].mean(1)).std()
    se = second_task._ratio_se(now.mean(), before.mean(), (now & before).mean(), 400)
    assert se == pytest.approx(spread, rel=0.05)


def test_accuracy_of_zero_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        second_task.perturb(specimen(lambda k: 0.0))
    assert caught.value.code == "accuracy_zero"


@pytest.mark.parametrize("steps", [[], [0, 5], [5, 5], [10, 5], [-1]])
def test_steps_that_cannot_be(steps: list[int]) -> None:
    with pytest.raises(CrucisError, match="increasing steps from 1 on"):
        second_task.perturb(specimen(lambda k: 0.5), record_at=steps)


def test_without_a_task_or_a_trainer() -> None:
    for field in ("task", "trainer", "model", "data"):
        with pytest.raises(Refusal) as caught:
            second_task.perturb(specimen(lambda k: 0.5, **{field: None}))
        assert caught.value.code == "not_applicable"


def test_the_sealed_split_is_sealed() -> None:
    with pytest.raises(Refusal) as caught:
        second_task.perturb(specimen(lambda k: 0.5, split="test"))
    assert caught.value.code == "sealed"


def test_watching_does_not_disturb_the_trajectory(tmp_path: Path) -> None:
    """Dropout, batch normalisation and the order of examples go on as if nobody had looked."""
    known = perturbations.specimen(tmp_path)
    train = subjects.trainer(known, lr=0.3)
    trajectories = []

    def watched(**kwargs: Any) -> PlainTrained:
        trained = train(**kwargs)
        trajectories.append(trained.model.state_dict())
        return trained

    def trainer(data: Any, *, steps: int, probe: Any, probe_at: tuple[int, ...], **changes: Any) -> PlainTrained:
        unseen = watched(data=data, steps=steps, probe=None, probe_at=())
        seen = watched(data=data, steps=steps, probe=probe, probe_at=probe_at)
        assert set(seen.probes) == {0, 1, 2, 5, 9, 30}
        assert unseen.probes == {}
        return seen

    result = second_task.perturb(replace(known, trainer=trainer), record_at=[1, 2, 5, 9, 30])
    blind, seen = trajectories
    assert all(torch.equal(blind[name], seen[name]) for name in blind)
    assert any(not torch.equal(blind[name], value) for name, value in known.model.state_dict().items())
    plain = accuracy_and_loss(known.model, known.data.validation, known.data.mean, known.data.std)
    assert result.values["accuracy_before"] == plain.accuracy > 0.5
    after = accuracy_and_loss(known.model, known.task.validation, known.task.mean, known.task.std)
    assert result.values["accuracy_b"] > after.accuracy
    assert result.values["retention"]["30"] < 1
