"""Cost of one point of a landscape: ours, ours without folding, a plain in-place loop, and PyPI `loss-landscapes`.

    python benchmarks/landscape.py [--images 256] [--points 9] [--repeats 3] [--batch 32]

CPU seconds per point, one thread, median over repeats; rows that are not installed are left out and said so.
`loss-landscapes` belongs into an environment of its own; `PYTHONPATH` to its folder is enough.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from crucis import streams
from crucis.measure.directions import draw
from crucis.measure.surface import Surface
from crucis.nets import convnet, resnet_cifar

SHAPE, CLASSES = (3, 32, 32), 100


def network(build: Callable[..., nn.Module]) -> nn.Module:
    with streams.borrowed(0), torch.no_grad():
        net = build(SHAPE, CLASSES)
        for _ in range(3):
            net(torch.randn(64, *SHAPE))
        for parameter in net.parameters():  # PyPI's package divides by the norm of fresh, zero biases
            parameter.add_(torch.randn_like(parameter), alpha=1e-3)
    return net.eval()


def ours(
    net: nn.Module, x: torch.Tensor, y: torch.Tensor, points: int, batch: int, folding: bool
) -> Callable[[], float]:
    x = x.to(memory_format=torch.channels_last)
    surface = Surface(net, list(zip(x.split(batch), y.split(batch), strict=True)), folding=folding)
    pair = [draw(surface.theta, torch.Generator().manual_seed(axis), "filter") for axis in range(2)]
    plane = surface.plane(*pair)

    def sample() -> float:
        for index in range(points):
            plane.place(0.1 * index / points, -0.1)
            last = surface.loss()
        return last

    return sample


def plain(net: nn.Module, x: torch.Tensor, y: torch.Tensor, points: int) -> Callable[[], float]:
    net = copy.deepcopy(net)
    theta = [p.detach().clone() for p in net.parameters()]
    noise = [torch.randn_like(p) * 0.01 for p in theta]

    @torch.no_grad()
    def sample() -> float:
        for index in range(points):
            for p, start, step in zip(net.parameters(), theta, noise, strict=True):
                p.copy_(start + 0.1 * index / points * step)
            last = float(functional.cross_entropy(net(x), y))
        return last

    return sample


def pypi(net: nn.Module, x: torch.Tensor, y: torch.Tensor, points: int) -> Callable[[], float] | None:
    try:
        from loss_landscapes import random_plane
        from loss_landscapes.metrics import Loss
    except ImportError:
        return None
    steps = max(2, round(points**0.5))

    def sample() -> float:
        metric = Loss(nn.CrossEntropyLoss(), x, y)
        found = random_plane(net, metric, distance=10, steps=steps, normalization="filter", deepcopy_model=True)
        return float(found[0, 0])

    sample.points = steps**2  # type: ignore[attr-defined]
    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("images", 256), ("points", 9), ("repeats", 3), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with streams.borrowed(1):
        x, y = torch.randn(args.images, *SHAPE), torch.randint(0, CLASSES, (args.images,))
    for name, build in (("convnet", convnet.build), ("resnet-20", resnet_cifar.build)):
        net = network(build)
        rows = {
            "ours": ours(net, x, y, args.points, args.batch, True),
            "ours, not folded": ours(net, x, y, args.points, args.batch, False),
            "plain loop, one batch": plain(net, x, y, args.points),
            "PyPI loss-landscapes": pypi(net, x, y, args.points),
        }
        print(f"{name}: {sum(p.numel() for p in net.parameters()):,} parameters, {args.images} images")
        base = None
        for label, sample in rows.items():
            if sample is None:
                print(f"  {label:24s} not installed")
                continue
            with torch.no_grad():
                sample()
                times = []
                for _ in range(args.repeats):
                    start = time.process_time()
                    sample()
                    times.append((time.process_time() - start) / getattr(sample, "points", args.points))
            cost = statistics.median(times)
            base = base or cost
            print(f"  {label:24s} {1e3 * cost:9.1f} ms per point   {cost / base:5.2f} x ours")


if __name__ == "__main__":
    main()
