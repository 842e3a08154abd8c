"""Gradient checkpointing: the bits of the plain run, with dropout, batch norm and buffers of one's own; less memory."""

import copy

import pytest
import torch
from test_train_reactions import _interrupted, _same
from torch import nn
from train_cases import Ctx, Quirky, contents, images, job, mlp, run, vectors

from crucis import shelf
from crucis.errors import Refusal
from crucis.train.recomputing import blocks, recomputed
from crucis.train.run import Run


def _net(name, **params):
    build = shelf.load(shelf.leaf("nets", name))
    return lambda: build((3, 8, 8), 3, **params)


NETS = {
    "resnet_cifar": (_net("resnet_cifar", depth=8, width=4), 3),
    "wrn": (_net("wrn", depth=10), 3),
    "vit": (_net("vit", width=16, depth=3, heads=2, dropout=0.2), 3),
    "mixer": (_net("mixer", width=16, depth=2), 2),
    "convnet": (_net("convnet"), None),
    "quirky blocks": (lambda: nn.Sequential(nn.Sequential(*(_Block() for _ in range(3))), Quirky()), 4),
}


class _Block(nn.Module):
    """Batch norm, dropout, and a buffer that the forward pass changes and uses."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout(0.3)
        self.register_buffer("seen", torch.ones(()))

    def forward(self, x):
        if self.training:
            self.seen *= 1.25
        return x + self.drop(torch.relu(self.norm(self.conv(x)))) * self.seen


@pytest.mark.parametrize("extra", [
    {}, {"accumulate": 2, "precision": "bf16", "optimiser": "adamw"}, {"precision": "fp16", "clip": 1.0, "ema": 0.9},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("name", NETS)
def test_the_bits_of_the_plain_run(tmp_path, name, extra):
    build, count = NETS[name]
    if count is not None:
        assert len(blocks(build())) == count
    params = {"length": "2 epochs", "batch": 16, "lr": 0.02, **extra}
    plain = run(tmp_path / "a", job(images(n=52, size=8), build, **params))
    again = run(tmp_path / "b", job(images(n=52, size=8), build, checkpointing=True, **params))
    assert plain[0].values == again[0].values and contents(plain[1]) == contents(again[1])
    assert not any("forward" in vars(part) for part in again[0].model.modules())


def test_running_statistics_move_once(tmp_path):
    build, _ = NETS["resnet_cifar"]
    made = job(images(n=52, size=8), build, length="3 steps")
    plain = Run(made, Ctx(tmp_path))
    x, y = plain.feed.epoch(0)(0)
    with recomputed(plain.model):
        nn.functional.cross_entropy(plain.model(x), y).backward()
    norms = [part for part in plain.model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert norms and all(int(part.num_batches_tracked) == 1 for part in norms)
    reference = build().train()
    reference.load_state_dict(Run(made, Ctx(tmp_path / "r")).model.state_dict())
    reference(x)
    others = [part for part in reference.modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(torch.allclose(a.running_mean, b.running_mean) for a, b in zip(norms, others, strict=True))


def test_fewer_bytes_are_kept_for_the_gradient():
    """What the forward pass leaves for the backward pass, counted as autograd saves it."""
    build = _net("vit", width=32, depth=8, heads=2)
    torch.manual_seed(0)
    model, x = build().train(), torch.randn(8, 3, 8, 8)

    def kept():
        total = [0]

        def pack(value):
            total[0] += value.nbytes
            return value

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
            model(x).sum()
        return total[0]

    plain = kept()
    with recomputed(model):
        sparing = kept()
    assert sparing < plain / 4


def test_evaluation_is_left_alone(tmp_path):
    model = NETS["vit"][0]()
    x = torch.randn(2, 3, 8, 8)
    model.eval()
    plain = model(x)
    with recomputed(model):
        assert torch.equal(model(x), plain)


@pytest.mark.parametrize("stops", [[3], [2, 3]])
def test_a_run_that_computes_twice_resumes_bit_for_bit(tmp_path, stops):
    def made():
        return job(images(n=84, size=8), NETS["quirky blocks"][0], checkpointing=True, optimiser="adam")

    whole = run(tmp_path / "whole", made())
    _same(whole, _interrupted(tmp_path / "cut", made(), stops))


def test_a_network_without_blocks_is_refused_in_words(tmp_path):
    with pytest.raises(Refusal, match="row of blocks"):
        run(tmp_path, job(vectors(), mlp(), checkpointing=True))


def test_a_copy_computes_with_its_own_weights():
    net = nn.Sequential(*[nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)])
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    wanted = net(x)
    with recomputed(net):
        copied = copy.deepcopy(net)
        with torch.no_grad():
            for value in net.parameters():
                value.zero_()
        assert torch.equal(copied(x), wanted)
