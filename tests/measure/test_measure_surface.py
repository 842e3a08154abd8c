"""Directions, the surface over a plane, and what is folded or recalibrated on the way."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from crucis import streams
from crucis.errors import CrucisError, Refusal
from crucis.measure.directions import cosine, draw, moved, norm
from crucis.measure.evaluate import batches, evaluating, losses
from crucis.measure.surface import Surface, centre_loss
from crucis.testing import subjects


def test_folding_changes_rounding_only() -> None:
    data, net = subjects.data(), subjects.network()
    parts = batches(data.train, data.mean, data.std, batch=16, device="cpu")
    fast, plain = Surface(net, parts), Surface(net, parts, folding=False)
    assert (fast.folded, plain.folded) == (1, 0)
    pair = [draw(plain.theta, streams.generator(0, "d", axis), "filter") for axis in range(2)]
    for place in ((0, 0), (1, -1), (0.3, 0.7)):
        values = []
        for side in (fast, plain):
            side.plane(*pair).place(*place)
            values.append(side.loss())
        assert values[0] == pytest.approx(values[1], rel=1e-6)


class Branching(nn.Module):
    """The convolution's output is used a second time, past the normalisation: folding would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(64, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv(x)
        return self.head((self.norm(h) + h).flatten(1))


class Changed(Branching):
    """The convolution's output is changed in place before it is normalised."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(functional.relu_(self.conv(x))).flatten(1))


class StandardisedConv(nn.Conv2d):
    """The weight is standardised where it is used, so scaling it has no effect."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return functional.conv2d(x, w, self.bias)


class Standardised(Branching):
    """A layer that looks foldable from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = StandardisedConv(1, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.conv(x)).flatten(1))


class Twice(Branching):
    """One convolution, run twice."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head((self.norm(self.conv(x)) + self.conv(x)).flatten(1))


@pytest.mark.parametrize("kind", [Branching, Changed, Standardised, Twice])
def test_what_must_not_be_folded_is_not(kind: type[nn.Module]) -> None:
    with streams.borrowed(2), torch.no_grad():
        net = kind()
        net.train()
        for _ in range(4):
            net(2 + 3 * torch.randn(32, 1, 6, 6))
        net.eval()
    parts = [(torch.randn(16, 1, 6, 6), torch.randint(0, 6, (16,)))]
    found = Surface(net, parts)
    with evaluating(net):
        plain = losses(net, parts)[0]
    assert found.folded == 0
    assert found.loss() == pytest.approx(plain, rel=1e-6)


class Activated(nn.BatchNorm2d):
    """Normalises and activates in one layer, as some libraries have it."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.drop, self.act = nn.Identity(), nn.SiLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.drop(super().forward(x)))


def test_layers_that_normalise_and_activate_are_folded() -> None:
    with streams.borrowed(4), torch.no_grad():
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), Activated(4), nn.Conv2d(4, 8, 3, groups=2, bias=False), nn.BatchNorm2d(8, affine=False),
            nn.Flatten(), nn.Linear(32, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 6),
        )  # fmt: skip
        for _ in range(9):
            net(1 + 2 * torch.randn(64, 1, 6, 6))
    parts = [(torch.randn(8, 1, 6, 6), torch.randint(0, 6, (8,)))]
    fast, plain = Surface(net.eval(), parts), Surface(net, parts, folding=False)
    assert fast.folded == 3
    pair = [draw(plain.theta, streams.generator(0, "d", axis), "filter") for axis in range(2)]
    for side in (fast, plain):
        side.plane(*pair).place(0.2, -0.1)
    assert fast.loss() == pytest.approx(plain.loss(), rel=1e-5)


def test_filters_of_a_direction_have_the_norms_of_the_weights() -> None:
    net = subjects.network()
    with torch.no_grad():
        net[0].weight[2] = 0.0
    theta = {name: p.detach() for name, p in moved(net).items()}
    assert list(theta) == ["0.weight", "6.weight"]
    direction = draw(theta, torch.Generator().manual_seed(0), "filter")
    for name, part in direction.items():
        assert part.flatten(1).norm(dim=1).numpy() == pytest.approx(
            theta[name].flatten(1).norm(dim=1).numpy(), rel=1e-6
        )
    assert not direction["0.weight"][2].any()
    assert norm(direction) == pytest.approx(norm(theta), rel=1e-6)
    raw = draw(theta, torch.Generator().manual_seed(0), "raw")
    assert float(raw["6.weight"].std()) == pytest.approx(1, abs=0.15)
    assert cosine(raw, raw) == pytest.approx(1)


def test_what_moves() -> None:
    net = nn.ModuleDict(
        {
            "conv": nn.Conv2d(1, 2, 3),
            "norm": nn.LayerNorm([2, 4, 4]),  # its parameters have three dimensions
            "embed": nn.Embedding(5, 3),
            "attend": nn.MultiheadAttention(4, 2),
        }
    )
    assert list(moved(net)) == ["conv.weight", "embed.weight", "attend.in_proj_weight", "attend.out_proj.weight"]
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    assert list(moved(tied)) == ["0.weight"]
    with pytest.raises(Refusal, match="no weight matrix"):
        moved(nn.BatchNorm1d(3))


def test_batch_policies_against_training_mode() -> None:
    data, net = subjects.data(), subjects.network()
    parts = batches(data.train, data.mean, data.std, batch=7, device="cpu")
    trained = copy.deepcopy(net)
    trained[1].train()
    with torch.no_grad():
        expected = losses(trained, parts)[0]
    assert centre_loss(net, parts, batch_norm="batch") == pytest.approx(expected, rel=1e-6)

    again = copy.deepcopy(net)
    with torch.no_grad():
        hidden = [again[0](x) for x, _ in parts]
        again[1].running_mean.copy_(torch.stack([h.mean((0, 2, 3)) for h in hidden]).mean(0))
        spread = [h.transpose(0, 1).flatten(1).var(1) for h in hidden]
        again[1].running_var.copy_(torch.stack(spread).mean(0))
        expected = losses(again, parts)[0]
    assert centre_loss(net, parts, batch_norm="recalibrated") == pytest.approx(expected, rel=1e-6)
    plain = centre_loss(net, parts)
    assert abs(plain - expected) > 1e-3


def test_a_network_that_cannot_be_copied_says_so() -> None:
    net = subjects.network()
    net.cache = torch.ones(2, requires_grad=True) * 2
    with pytest.raises(CrucisError, match="Sequential cannot be copied"):
        Surface(net, [(torch.zeros(1, 1, 6, 6), torch.zeros(1, dtype=torch.long))])
