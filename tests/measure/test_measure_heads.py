"""A head per task: who answers for the first task, and that a trunk which stays forgets nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis import streams
from crucis.data.dataset import Split
from crucis.errors import Refusal
from crucis.measure import heads, strategies
from crucis.measure.perturbations import second_task
from crucis.nets.weights import load_weights
from crucis.testing import perturbations
from crucis.train.continuation import continuation
from crucis.train.settings import resolve

PLAIN = {
    "batch": 16, "lr": 0.1, "optimiser": {"sgd": {"momentum": 0.9}}, "weight_decay": 0.1, "schedule": "constant",
    "warmup": 0.0, "length": "5 steps", "evaluate_every": "1000 steps",
}  # fmt: skip


def subject(folder: Path, *, frozen: bool = False) -> Any:
    """A network that knows task A: trunk and head are found by name, the trunk may be held still."""
    known = perturbations.specimen(folder)
    with streams.borrowed(3):
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 24), nn.Tanh(), nn.Linear(24, 6))
    settings = resolve({**PLAIN, "weight_decay": 0.0}, len(known.data.train))
    learnt = continuation(net, settings, 0, 9, known.ctx)(known.data, steps=80).model
    learnt[1].requires_grad_(not frozen)
    trainer = continuation(learnt, resolve(PLAIN, len(known.data.train)), 0, 0, known.ctx)
    return replace(known, model=learnt, trainer=trainer)


STEPS = [1, 5, 40]


@pytest.mark.parametrize("strategy", ["naive", "cosine", "ewc"])
def test_with_a_trunk_that_stays_nothing_is_forgotten(strategy: str, tmp_path: Path) -> None:
    """Weight decay shrinks the old head's rows all the same: it is read as it was."""
    found = subject(tmp_path, frozen=True)
    result = second_task.perturb(found, strategy=strategy, head="per_task", record_at=STEPS)
    assert result.values["accuracy_before"] > 0.5
    assert set(result.values["retention"].values()) == {1.0}
    assert result.values["aurc"] == 1.0
    after = load_weights(found.ctx.out / "model.safetensors")
    old, new = heads.apart(found.data, found.task)
    assert torch.equal(after["1.weight"], found.model[1].weight)
    assert not torch.equal(after["3.weight"][new], found.model[3].weight[new])
    assert strategy == "ewc" or after["3.weight"][old].norm() < found.model[3].weight[old].norm()


def test_a_shared_head_forgets_where_heads_apart_do_not(tmp_path: Path) -> None:
    shared = second_task.perturb(subject(tmp_path / "a"), record_at=STEPS)
    own = second_task.perturb(subject(tmp_path / "b"), head="per_task", record_at=STEPS)
    assert own.values["retention"]["40"] > shared.values["retention"]["40"]
    assert own.values["accuracy_b"] > 0.5
    assert own.values["accuracy_before"] >= shared.values["accuracy_before"]


def test_the_old_head_gets_no_gradient_of_the_new_task(tmp_path: Path) -> None:
    found = subject(tmp_path)
    bare = replace(found, trainer=continuation(
        found.model, resolve({**PLAIN, "weight_decay": 0.0}, len(found.data.train)), 0, 0, found.ctx))  # fmt: skip
    second_task.perturb(bare, head="per_task", record_at=STEPS)
    after, (old, new) = load_weights(found.ctx.out / "model.safetensors"), heads.apart(found.data, found.task)
    for name in ("weight", "bias"):
        was = found.model[3].state_dict()[name]
        assert torch.equal(after[f"3.{name}"][old], was[old])
        assert not torch.equal(after[f"3.{name}"][new], was[new])
    assert not torch.equal(after["1.weight"], found.model[1].weight)


@pytest.mark.parametrize("strategy", ["replay", "lwf"])
def test_strategies_that_train_the_old_head_are_read_with_it(strategy: str, tmp_path: Path) -> None:
    found = subject(tmp_path)
    result = second_task.perturb(found, strategy=strategy, head="per_task", memory=24, record_at=STEPS)
    after, (old, _) = load_weights(found.ctx.out / "model.safetensors"), heads.apart(found.data, found.task)
    assert not torch.equal(after["3.weight"][old], found.model[3].weight[old])
    assert 0 < result.values["retention"]["40"] <= 1.5


def test_reading_disturbs_no_bit_of_training(tmp_path: Path) -> None:
    often = subject(tmp_path / "often")
    second_task.perturb(often, head="per_task", record_at=[1, 2, 3, 5, 8, 13, 40])
    seldom = subject(tmp_path / "seldom")
    second_task.perturb(seldom, head="per_task", record_at=[40])
    one, two = (load_weights(each.ctx.out / "model.safetensors") for each in (often, seldom))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_head_is_put_back_and_taken_away_bit_for_bit() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5))
    kept = heads.Kept(net, [1, 3], torch.zeros(1, 4))
    was = net[3].weight.detach().clone()
    with torch.no_grad():
        net[3].weight.add_(1.0)
    now = net[3].weight.detach().clone()
    with pytest.raises(RuntimeError), kept.put_back(net):
        assert torch.equal(net[3].weight[[1, 3]], was[[1, 3]])
        assert torch.equal(net[3].weight[[0, 2, 4]], now[[0, 2, 4]])
        raise RuntimeError
    assert torch.equal(net[3].weight, now)


def test_what_has_no_heads_apart_says_so(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * self.layer(x)

    with pytest.raises(Refusal, match="one dense layer"):
        heads.Kept(Scaled(), [0], torch.zeros(1, 4))
    found = subject(tmp_path)
    with pytest.raises(Refusal, match="without common classes"):
        second_task.perturb(replace(found, task=found.data), head="per_task", record_at=STEPS)


def test_narrowed_answers_and_labels_have_one_numbering() -> None:
    net = heads.Narrowed(nn.Linear(4, 5), [4, 1])
    x = torch.randn(3, 4)
    assert torch.equal(net(x), net.net(x)[:, [1, 4]])
    split = Split(np.zeros((3, 4), np.float32), np.array([4, 1, 4]))
    assert heads.renumbered(split, [4, 1]).y.tolist() == [1, 0, 1]
    with pytest.raises(Refusal, match="does not have"):
        heads.renumbered(split, [1, 2])


def test_replay_among_the_old_classes() -> None:
    net, (x, y) = nn.Linear(4, 5), (torch.randn(1, 4), torch.tensor([3]))
    value = strategies.replayed(x, y, 2.0, [1, 3])(net)(net, torch.zeros(6, 4), torch.zeros(6, 5))
    assert float(value.detach()) == pytest.approx(-2 * float(net(x)[:, [1, 3]].log_softmax(1)[0, 1].detach()), rel=1e-6)
