"""Fused convolutions: the same losses as the network itself, and the plain path wherever a graph is not understood."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from crucis import streams
from crucis.measure.bounds import follow
from crucis.measure.convolutions import Fused
from crucis.measure.directions import draw
from crucis.measure.fusing import fuse
from crucis.measure.stem import Stem, suits
from crucis.measure.surface import Surface
from crucis.nets import blocks, convnet, resnet_cifar, wrn
from crucis.nets._residual import bottleneck, headed

PLACES = ((0.0, 0.0), (1.0, -1.0), (0.3, 0.7))


def examples(size: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    with streams.borrowed(1):
        return torch.randn(size, 3, 16, 16), torch.randint(0, 5, (size,))


def settled(build: Any) -> nn.Module:
    """A network whose running statistics are those of random images."""
    with streams.borrowed(2), torch.no_grad():
        net = build()
        for _ in range(3):
            net(torch.randn(32, 3, 16, 16))
    return net.eval()


def bottlenecks() -> nn.Module:
    """One shortcut with a convolution of its own, one without; sums are fused from either side."""
    stem = [blocks.normalised(3, 8, 3), nn.ReLU()]
    return headed(stem, [bottleneck(8, 4, 2), bottleneck(16, 4, 1)], 16, 5)


def surface(net: nn.Module, batch: int = 8, **changes: Any) -> Surface:
    x, y = examples()
    return Surface(net, list(zip(x.split(batch), y.split(batch), strict=True)), **changes)


def values(made: Surface) -> list[float]:
    pair = [draw(made.theta, streams.generator(0, "d", axis), "filter") for axis in range(2)]
    plane, out = made.plane(*pair), []
    for place in PLACES:
        plane.place(*place)
        out.append(made.loss())
    return out


@pytest.mark.parametrize(
    ("build", "count"),
    [
        (lambda: convnet.build((3, 16, 16), 5, widths=[8, 16, 24]), 3),
        (lambda: resnet_cifar.build((3, 16, 16), 5, depth=8), 7),
        (bottlenecks, 8),
        (lambda: wrn.build((3, 16, 16), 5, depth=10, widen=0.5), None),
    ],
    ids=["convnet", "resnet_cifar", "bottlenecks", "wrn"],
)
def test_losses_are_those_of_the_plain_forward(build: Any, count: int | None) -> None:
    net = settled(build)
    fast, folded, plain = surface(net), surface(net, fusing=False), surface(net, folding=False, fusing=False)
    assert fast.path.startswith("fused: ")
    assert count is None or fast.path == f"fused: {count} convolutions"
    assert (folded.path, plain.path) == ("plain", "plain")
    assert values(fast) == pytest.approx(values(folded), rel=1e-6)
    assert values(fast) == pytest.approx(values(plain), rel=1e-5)


def test_batch_size_changes_rounding_only_and_order_nothing() -> None:
    net = settled(lambda: resnet_cifar.build((3, 16, 16), 5, depth=8))
    one, two = values(surface(net, batch=24)), values(surface(net, batch=5))
    assert one == pytest.approx(two, rel=1e-6)
    made = surface(net)
    pair = [draw(made.theta, streams.generator(0, "d", axis), "filter") for axis in range(2)]
    plane, backwards = made.plane(*pair), []
    for place in reversed(PLACES):
        plane.place(*place)
        backwards.append(made.loss())
    assert backwards[::-1] == values(surface(net))


class Block(nn.Module):
    """Two convolutions; tests say what happens between them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.head, self.drop = nn.Linear(6 * 16 * 16, 5), nn.Dropout(0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(self.between(functional.relu(self.one(x)))).flatten(1))

    def between(self, h: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.two(h) + h)


class Conv(nn.Conv2d):
    """A layer of somebody else's."""


class InPlace(Block):
    def between(self, h: torch.Tensor) -> torch.Tensor:
        out = self.two(h)
        out += h
        return out.relu_()


class OtherSide(Block):
    """The convolution is added into a map that is used again: it is changed in place."""

    def between(self, h: torch.Tensor) -> torch.Tensor:
        out = self.two(h)
        h += out
        return h * 0.5 + h


class Moved(Block):
    """What the convolution has read is changed before its result is added."""

    def between(self, h: torch.Tensor) -> torch.Tensor:
        out = self.two(h)
        h.mul_(3.0)
        return out + h


class Broadcast(Block):
    def between(self, h: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.two(h) + h.mean((2, 3), keepdim=True))


class Twice(Block):
    """One convolution, used by two."""

    def between(self, h: torch.Tensor) -> torch.Tensor:
        out = self.two(h)
        return functional.relu(out) + out


class Itself(Block):
    def between(self, h: torch.Tensor) -> torch.Tensor:
        out = self.two(h)
        return out + out


class Shared(Block):
    """One layer, run at two places."""

    def between(self, h: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.two(functional.relu(self.two(h)))) + h


class Scaled(Block):
    def between(self, h: torch.Tensor) -> torch.Tensor:
        return functional.relu(torch.add(self.two(h), h, alpha=2))


class Foreign(Block):
    def __init__(self) -> None:
        super().__init__()
        self.two = Conv(6, 6, 3, padding=1)


class Wrapped(Block):
    def __init__(self) -> None:
        super().__init__()
        self.two = nn.Conv2d(6, 6, 3, padding=1, padding_mode="circular")


KINDS = [Block, InPlace, OtherSide, Moved, Broadcast, Twice, Itself, Shared, Scaled, Foreign, Wrapped]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_stands_between_convolutions_the_losses_are_the_same(kind: type[nn.Module]) -> None:
    net = settled(kind)
    fast, plain = surface(net), surface(net, fusing=False)
    assert values(fast) == pytest.approx(values(plain), rel=1e-6)
    fused = sum(isinstance(part, (Fused, Stem)) for part in fast.network.modules())
    assert (fused > 0) == fast.path.startswith("fused")
    assert fused == (1 if kind in (Foreign, Wrapped) else 0 if kind is Moved else 3 if kind is Shared else 2)


class Branching(Block):
    def between(self, h: torch.Tensor) -> torch.Tensor:
        return h if float(h.mean()) > 0 else -h


def test_what_cannot_be_traced_or_has_hooks_runs_plain() -> None:
    branching = surface(settled(Branching))
    assert branching.path.startswith("plain: the graph is not traced")
    assert values(branching) == values(surface(settled(Branching), fusing=False))
    hooked = settled(Block)
    hooked.two.register_forward_hook(lambda _module, _args, out: 2 * out)
    assert surface(hooked).path == "plain: a layer has hooks"
    assert surface(settled(Block), precision="bf16").path == "plain"
    assert surface(settled(Block), batch_norm="batch").path == "plain"
    x, y = torch.randn(4, 6), torch.randint(0, 5, (4,))
    vectors = Surface(nn.Sequential(nn.Linear(6, 5)), [(x, y)])
    assert vectors.path == "plain: inputs are no images in float32"


class Counting(Block):
    """Another function after every call: tracing cannot know, the comparison does."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def between(self, h: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return h * self.calls


def test_a_graph_that_gives_other_logits_is_not_taken() -> None:
    assert surface(settled(Counting)).path == "plain: the fused graph gives other logits"


def test_weights_are_the_same_bits_afterwards() -> None:
    net, (x, _) = settled(Block).requires_grad_(False), examples()
    moving = {name: weight for name, weight in net.named_parameters() if weight.dim() > 1}
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    made = fuse(net, [x], moving)
    assert made.parts
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())


def test_filters_are_taken_over_when_weights_have_moved() -> None:
    net, (x, _) = settled(Block).requires_grad_(False), examples()
    made = fuse(net, [x], {"one.weight": net.one.weight})
    net.one.weight.mul_(2.0)
    made.pack()
    torch.testing.assert_close(made.net(made.inputs(x)), net(x), rtol=1e-6, atol=1e-6)


class Bursts(Block):
    """Far from its trained point it overflows; what comes out of the next layer is infinite less infinite."""

    def __init__(self) -> None:
        super().__init__()
        self.three = nn.Conv2d(6, 6, 3, padding=1)

    def between(self, h: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.three(functional.relu(self.two(h))))


class BurstsInSum(Bursts):
    """The same where ReLU follows an addition, and pooling follows that."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.head = nn.MaxPool2d(2), nn.Linear(6 * 8 * 8, 5)

    def between(self, h: torch.Tensor) -> torch.Tensor:
        return self.pool(functional.relu(self.three(functional.relu(self.two(h) + h)) + h))


@pytest.mark.parametrize("kind", [Bursts, BurstsInSum])
@pytest.mark.parametrize("bias", [0.0, -torch.inf])
def test_a_network_that_has_burst_is_not_made_well(bias: float, kind: type[nn.Module]) -> None:
    net = settled(kind)
    with torch.no_grad():
        net.two.bias.fill_(bias)  # minus infinity is no fault behind ReLU: the layer is dead
    fast, plain = surface(net), surface(net, fusing=False)
    assert fast.path.startswith("fused") or bias
    huge = {name: 1e25 * torch.randn(value.shape) for name, value in fast.theta.items()}
    for place in ((0.0, 0.0), (1.0, 0.0)):
        found = []
        for made in (fast, plain):
            made.plane(huge, huge).place(*place)
            found.append(made.loss())
        assert found[0] == pytest.approx(found[1], rel=1e-6, nan_ok=True)
    assert not math.isfinite(found[0]) or bias


def test_a_relu_after_an_addition_is_fused_only_below_overflow() -> None:
    made = surface(settled(BurstsInSum))
    sums = [part for part in made.network.modules() if isinstance(part, Fused)]
    assert [part.safe for part in sums] == [True, True]
    made.plane(*[{name: 1e25 * torch.ones_like(value) for name, value in made.theta.items()}] * 2).place(1.0, 0.0)
    made.loss()
    assert not any(part.safe for part in sums)


SHAPES = [(3, 16, 3, 1, 8), (1, 5, 5, 2, 7), (4, 17, 1, 0, 6), (2, 16, 3, 0, 9), (3, 8, 3, 2, 10), (16, 16, 3, 1, 12)]


#: With pooling where the side is even; it is left alone where it is odd.
POOLED = [
    (shape, pooled)
    for shape in SHAPES
    for pooled in (False, True)
    if not (pooled and (shape[4] + 2 * shape[3] - shape[2]) % 2 == 0)
]


@pytest.mark.parametrize(("shape", "pooled"), POOLED)
@pytest.mark.parametrize("relu", [False, True])
def test_layers_against_convolution_in_float64(shape: tuple[int, ...], relu: bool, pooled: bool) -> None:
    inside, filters, kernel, padding, side = shape
    with streams.borrowed(7), torch.no_grad():
        conv = nn.Conv2d(inside, filters, kernel, padding=padding, bias=padding != 2).requires_grad_(False)
        x, other = torch.randn(5, inside, side, side), None
        want = functional.conv2d(x.double(), conv.weight.double(), None, padding=padding)
        want = want if conv.bias is None else want + conv.bias.double()[:, None, None]
        layers: list[nn.Module] = [Fused(conv, relu, tuple(x.shape), pooled)]
        if inside <= 4:
            assert suits(conv, tuple(x.shape), 5)
            layers.append(Stem(conv, relu, pooled, tuple(x.shape)))
        expected = functional.relu(want) if relu else want
        expected = functional.max_pool2d(expected, 2) if pooled else expected
        for layer in layers:
            found = layer(layer.cut(x) if isinstance(layer, Stem) else x)
            torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
        if not pooled:
            other = torch.randn(want.shape)
            found = layers[0](x, other)
            expected = (want + other).relu() if relu else want + other
            torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
            layers[0].safe = True  # type: ignore[assignment]
            assert torch.equal(layers[0](x, other), found)
            layers[0].over, kept = True, other.clone()  # type: ignore[assignment]
            last = other.contiguous(memory_format=torch.channels_last)
            torch.testing.assert_close(layers[0](x, last), found, rtol=1e-6, atol=1e-6)
            assert last.data_ptr() == layers[0](x, last).data_ptr()
            assert torch.equal(other, kept)


class Longer(Block):
    """A map that is added twice: only the last addition may be written over it."""

    def __init__(self) -> None:
        super().__init__()
        self.three, self.four = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)

    def between(self, h: torch.Tensor) -> torch.Tensor:
        g = functional.relu(self.two(h))
        first = functional.relu(self.three(g) + h)
        return functional.relu(self.four(first) + h)


@pytest.mark.parametrize(
    ("kind", "want"),
    [(Longer, [False, False, True]), (Block, [False]), (Moved, []), (Broadcast, [False]), (Twice, [False])],
)
def test_what_is_read_again_is_not_written_over(kind: type[nn.Module], want: list[bool]) -> None:
    net = settled(kind)
    made, plain = surface(net), surface(net, fusing=False)
    assert [part.over for part in made.network.modules() if isinstance(part, Fused)] == want
    assert values(made) == pytest.approx(values(plain), rel=1e-6)


def test_images_are_cut_only_while_patches_fit_into_memory() -> None:
    conv, size = nn.Conv2d(3, 16, 3, padding=1), (8, 3, 32, 32)
    assert suits(conv, size, 1000)
    assert not suits(conv, size, 10000)
    assert not suits(nn.Conv2d(8, 16, 3), (8, 8, 32, 32), 10)
    assert not suits(nn.Conv2d(3, 16, 3, stride=2), size, 10)


def test_no_activation_is_larger_than_its_bound() -> None:
    made, (x, _) = surface(settled(bottlenecks)), examples()
    assert isinstance(made.network, fx.GraphModule)
    bounds = follow(
        made.network, float(x.abs().max()), lambda m: (m.filters, m.bias) if isinstance(m, (Fused, Stem)) else None
    )
    seen: dict[fx.Node, float] = {}

    class Watch(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            out = super().run_node(n)
            if n.op != "placeholder":
                seen[n] = float(out.abs().max())
            return out

    Watch(made.network).run(made.runs[0][0])
    known = [node for node in seen if math.isfinite(bounds[node])]
    assert len(known) >= 8
    assert all(seen[node] <= bounds[node] for node in known)


def test_halving_is_max_pooling_bit_for_bit() -> None:
    class Pools(Block):
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.head = nn.MaxPool2d(2), nn.Linear(6 * 8 * 8, 5)

        def between(self, h: torch.Tensor) -> torch.Tensor:
            return self.pool(self.two(h))

    net, (x, _) = settled(Pools).requires_grad_(False), examples()
    made = fuse(net, [x], {"one.weight": net.one.weight})
    assert any(type(part).__name__ == "Halved" for part in made.net.modules())
    hole = x.clone()
    hole[0, 0, 0, 0] = float("nan")
    want, got = net(hole), made.net(made.inputs(hole))
    assert bool(want[0].isnan().all())
    assert bool(got[0].isnan().all())
    torch.testing.assert_close(got[1:], want[1:], rtol=1e-6, atol=1e-6)
