"""Stochastic depth: the linear rule, expectations, per example, and nothing changed where it is not asked for."""

import pytest
import torch
from torch import nn

from crucis import shelf
from crucis.nets._depth import DropPath, rates

NETS = {
    "resnet_cifar": ({"depth": 14, "width": 4}, 6), "resnet": ({"depth": 18, "widen": 0.06}, 8),
    "wrn": ({"depth": 16, "widen": 0.5}, 6), "vit": ({"depth": 3, "width": 16, "heads": 2}, 3),
    "mixer": ({"depth": 4, "width": 16}, 4),
}  # fmt: skip
TWICE = ("vit", "mixer")  # two branches in a block


def _built(name, **more):
    torch.manual_seed(0)
    return shelf.load(shelf.leaf("nets", name))((3, 8, 8), 4, **NETS[name][0], **more)


@pytest.mark.parametrize("name", NETS)
def test_the_linear_rule_over_the_blocks(name):
    """Huang et al. 2016, eq. 4: survival 1 - (l / L)(1 - p_L)."""
    found = [part.probability for part in _built(name, drop_path=0.4).modules() if isinstance(part, DropPath)]
    blocks = NETS[name][1]
    expected = [0.4 * place / blocks for place in range(1, blocks + 1)]
    assert found == pytest.approx([p for p in expected for _ in range(2 if name in TWICE else 1)])
    assert rates(3, 0.5) == pytest.approx([1 / 6, 1 / 3, 1 / 2])


@pytest.mark.parametrize("name", NETS)
def test_weights_names_and_evaluation_are_those_without_it(name):
    plain, thinned = _built(name), _built(name, drop_path=0.3)
    assert not any(isinstance(part, DropPath) for part in _built(name, drop_path=0.0).modules())
    one, two = plain.state_dict(), thinned.state_dict()
    assert list(one) == list(two) and all(torch.equal(one[key], two[key]) for key in one)
    x = torch.randn(5, 3, 8, 8)
    assert torch.equal(plain.eval()(x), thinned.eval()(x))
    thinned.train()
    assert not torch.equal(thinned(x), thinned(x))


def test_each_example_is_dropped_by_itself_and_the_mean_is_kept():
    torch.manual_seed(3)
    drop, x = DropPath(0.25), torch.ones(20000, 2, 3)
    out = drop(x)
    assert out.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert bool((out.flatten(1) == out[:, :1, 0]).all())
    assert float((out[:, 0, 0] == 0).float().mean()) == pytest.approx(0.25, abs=3 * (0.25 * 0.75 / 20000) ** 0.5)
    assert drop.eval()(x) is x


def test_a_branch_left_out_for_all_leaves_the_shortcut():
    """With a probability of almost 1 the last block is its shortcut."""
    net = _built("vit", drop_path=1 - 1e-7)
    block, x = net.blocks[-1].train(), torch.randn(4, 16, 16)
    assert torch.allclose(block(x), x)
    assert isinstance(block.dense[-1], DropPath) and isinstance(block.attention.drop, nn.Sequential)
