"""Every net on the shelf keeps the promises of the shelf; a newcomer is picked up by being there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from crucis import shelf
from crucis.testing import nets as suite

CASES = [
    pytest.param(name, example, id=f"{name}-{i}")
    for name in shelf.names("nets")
    for i, example in enumerate(shelf.leaf("nets", name).constants.get("EXAMPLES", [{}]))
]


@pytest.mark.parametrize(("name", "example"), CASES)
def test_net_keeps_the_promises(name, example):
    suite.check_net(name, example)


@pytest.mark.parametrize("name", shelf.names("nets"))
def test_every_net_declares_what_it_takes(name):
    leaf = shelf.leaf("nets", name)
    assert leaf.revision != "0" and leaf.constants.get("INPUTS")
    assert "Args:" in leaf.doc and all(param.doc for param in leaf.params.values()), "an undocumented parameter"


def test_resnet_at_its_published_size():
    suite.check_net("resnet_cifar", {"depth": 20})


BROKEN = {
    "ignores its seed": "return torch.nn.Sequential(torch.nn.Flatten(), _zero(torch.nn.Linear(D(input), classes)))",
    "other weights": "torch.seed(); return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(D(input), classes))",
    "gives": "return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(D(input), classes + 1))",
    "no gradient": "return Dead(D(input), classes)",
    "rest of the batch": "return Leaky(D(input), classes)",
    "count says": "return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(D(input), classes, bias=False))",
}


@pytest.mark.parametrize("fault", BROKEN)
def test_suite_finds_a_broken_net(tmp_path: Path, fault):
    """Mutation of the suite: each broken promise is seen, and named."""
    (tmp_path / "mine.py").write_text(
        f"""
import math, torch
from torch import nn
INPUTS = ["image", "vector"]
D = math.prod

def _zero(layer):
    nn.init.zeros_(layer.weight); nn.init.zeros_(layer.bias)
    return layer

class Dead(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.a, self.b = nn.Linear(size, classes), nn.Linear(size, classes)
    def forward(self, x):
        return self.a(x.flatten(1))

class Leaky(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.a = nn.Linear(size, classes)
    def forward(self, x):
        out = self.a(x.flatten(1))
        return out - out.mean(0) if len(x) > 1 else out

def build(input, classes):
    {BROKEN[fault]}

def count(input, classes):
    return math.prod(input) * classes + classes
"""
    )
    words = {"ignores its seed": "ignore the seed"}.get(fault, fault)
    with pytest.raises(AssertionError, match=words):
        suite.check_net("./mine.py", folder=tmp_path)


def test_own_net_passes(tmp_path: Path):
    (tmp_path / "mine.py").write_text(
        "import math\nfrom torch import nn\nINPUTS = ['vector']\n"
        "def build(input, classes, *, wide: int = 3):\n"
        "    return nn.Sequential(nn.Linear(math.prod(input), wide), nn.Tanh(), nn.Linear(wide, classes))\n"
    )
    before = torch.get_rng_state()
    suite.check_net("./mine.py", folder=tmp_path)
    suite.check_net("./mine.py", {"wide": 5}, folder=tmp_path)
    assert torch.equal(before, torch.get_rng_state()), "the global generator was touched"


def test_batch_norm_net_survives_disk_with_its_buffers(tmp_path: Path):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.LazyLinear(suite.CLASSES))
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    net(x)
    other = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, suite.CLASSES))
    suite.survives_disk("here", net, other, x)
    assert int(other[1].num_batches_tracked) == 1
