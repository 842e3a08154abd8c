"""The review against the perturbations and instruments that it gathers, and networks with known vices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from crucis.data.open import open_data
from crucis.errors import CrucisError, Refusal
from crucis.measure.instruments import corruption, responsibility
from crucis.measure.perturbations import pgd
from crucis.study.spec import LeafRef
from crucis.testing import perturbations, subjects


def test_it_gathers_what_the_others_measure(tmp_path: Path) -> None:
    subject = perturbations.specimen(tmp_path)
    values = responsibility.measure(subject, eps=0.2, steps=4).values
    assert values["robust_accuracy"] == pgd.perturb(subject, eps=0.2, steps=4).values["accuracy"] < 1
    assert values["corruption_accuracy"] == pytest.approx(corruption.measure(subject).values["accuracy"])
    assert values["group_accuracy"].keys() == {"a", "b", "c"}


class Memory(nn.Module):
    """Knows its training examples by heart, and of the others only that they exist."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.x, self.y = x.flatten(1), y

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        near = torch.cdist(x.flatten(1), self.x).min(1)
        known = (near.values < 0.1).float()[:, None] * self.weight
        return 9.0 * known * nn.functional.one_hot(self.y[near.indices], 6)


def test_a_network_that_remembers_betrays_everything(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    data = subject.data
    x = torch.from_numpy((data.train.x / 255.0 - 0.25) / 0.2).permute(0, 3, 1, 2).float()
    model = Memory(x, torch.from_numpy(data.train.y)).eval()
    result = responsibility.betrayal(replace(subject, model=model), 1000)
    assert result.auc == 1.0
    assert result.advantage == 1.0
    assert result.members.max() < 0.01
    assert result.others == pytest.approx(np.log(6))


def test_constant_answers_betray_nothing(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 6))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.copy_(torch.arange(6.0))
    values = responsibility.measure(subjects.model_specimen(tmp_path, model=net.eval()), steps=1).values
    assert values["membership_auc"] == 0.5
    assert values["membership_advantage"] == 0.0
    assert values["worst_group"] == 0.0


class Favours(nn.Module):
    """Class 1 to everything red, class 0 to the rest, by the means of channels."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean((2, 3)) * self.scale
        red = mean[:, 0] - mean[:, 1:].amax(1)
        return torch.stack([-red, red, *[red * 0 - 99] * 2], 1)


def test_groups_by_a_factor_of_the_data(tmp_path: Path) -> None:
    data = open_data(LeafRef("data", "shapes", {"n": 400, "size": 12}), folder=tmp_path, root=None)
    subject = subjects.model_specimen(tmp_path / "a", model=Favours().eval(), data=data)
    result = responsibility.measure(subject, groups="colour", favourable=[1], steps=1, images=40)
    values = result.values
    assert len(values["group_accuracy"]) == 6
    guess = responsibility.answers(subject.model, data.validation, data.mean, data.std, batch=64, device="cpu")
    favoured, colour = guess.logits.argmax(1) == 1, data.validation.factors["colour"]
    rates = [favoured[colour == k].mean() for k in np.unique(colour)]
    assert values["demographic_parity"] == pytest.approx(max(rates) - min(rates))
    assert values["demographic_parity"] > 0.5
    assert values["equalised_odds"] > 0.5
    assert "left_out" not in result.notes
    with pytest.raises(Refusal, match="measured quantity"):
        responsibility.measure(subject, groups="size")
    with pytest.raises(CrucisError, match="Did you mean 'colour'"):
        responsibility.measure(subject, groups="color")


def test_groups_by_class(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    result = responsibility.measure(subject, groups={"one": ["a"], "two": ["b", 2]}, steps=1)
    each = responsibility.measure(subject, steps=1).values["group_accuracy"]
    assert result.values["group_accuracy"] == pytest.approx({"one": each["a"], "two": (each["b"] + each["c"]) / 2})
    assert result.notes["left_out"].keys() == {"demographic_parity", "equalised_odds"}
    favoured = responsibility.measure(subject, groups={"one": ["a"], "two": ["b"]}, favourable=["a"], steps=1)
    assert favoured.notes["left_out"].keys() == {"equalised_odds"}
    for wrong, says in (({"x": ["zebra"]}, "no class"), ({"x": ["a"], "y": ["a"]}, "two groups"), ("sex", "factor")):
        with pytest.raises(CrucisError, match=says):
            responsibility.measure(subject, groups=wrong)
    with pytest.raises(Refusal, match="fewer than two groups"):
        responsibility.measure(subject, groups={"x": ["a"], "y": ["f"]})


def test_vectors_have_no_pixels(tmp_path: Path) -> None:
    data = open_data(LeafRef("data", "gaussian_blobs", {}), folder=tmp_path, root=None)
    net = nn.Linear(data.shape[0], data.classes).eval()
    result = responsibility.measure(subjects.model_specimen(tmp_path / "a", model=net, data=data))
    assert {"robust_accuracy", "corruption_accuracy"} <= result.notes["left_out"].keys()
    assert 0 <= result.values["membership_auc"] <= 1
