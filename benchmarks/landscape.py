"""Cost of one point of a landscape: ours, ours in bfloat16, without folding, a plain loop, and PyPI `loss-landscapes`.

    python benchmarks/landscape.py [--images 256] [--points 9] [--repeats 5] [--batch 128] [--write]

CPU seconds per point, one thread, in turn, median over repeats; rows that are not installed are left out and said so.
"of peak" is the network's floating-point operations per second as a share of what a large float32 matrix product
reaches just before and after. bfloat16 pays on processors with matrix instructions for it; the first line says whether
this one has them. `loss-landscapes` belongs into an environment of its own; `PYTHONPATH` to its folder is enough.
`--write` keeps the table in results/landscape.json.

Below each network: where the time of the fused forward pass goes, layer by layer, and how near to the peak each
convolution (with the pooling that it takes along) comes there and by itself, repeated with its input in cache.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import fx, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from crucis import streams
from crucis.measure.convolutions import Fused
from crucis.measure.directions import draw
from crucis.measure.stem import Stem
from crucis.measure.surface import Surface
from crucis.nets import convnet, resnet_cifar

SHAPE, CLASSES = (3, 32, 32), 100


def wide(shape: tuple[int, ...], classes: int) -> nn.Module:
    return convnet.build(shape, classes, widths=[32, 64, 128])


def network(build: Callable[..., nn.Module]) -> nn.Module:
    with streams.borrowed(0), torch.no_grad():
        net = build(SHAPE, CLASSES)
        for _ in range(3):
            net(torch.randn(64, *SHAPE))
        for parameter in net.parameters():  # PyPI's package divides by the norm of fresh, zero biases
            parameter.add_(torch.randn_like(parameter), alpha=1e-3)
    return net.eval()


def ours(
    net: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    points: int,
    batch: int,
    folding: bool,
    precision: str = "fp32",
    fusing: bool = True,
) -> Callable[[], float]:
    x = x.to(memory_format=torch.channels_last)
    surface = Surface(
        net, list(zip(x.split(batch), y.split(batch), strict=True)), folding=folding, fusing=fusing, precision=precision
    )
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


class Timed(fx.Interpreter):
    """Runs a fused network and adds up the CPU seconds of every operation."""

    def __init__(self, net: fx.GraphModule) -> None:
        super().__init__(net)
        self.seconds: dict[fx.Node, float] = {}
        self.shapes: dict[fx.Node, torch.Size] = {}

    def run_node(self, n: fx.Node) -> object:
        start = time.process_time()
        out = super().run_node(n)
        self.seconds[n] = self.seconds.get(n, 0.0) + time.process_time() - start
        if isinstance(out, torch.Tensor):
            self.shapes[n] = out.shape
        return out


def alone(part: Fused | Stem) -> float:
    """CPU seconds per image of one convolution by itself, its input in cache, at the best of some batch sizes."""
    best = float("inf")
    for batch in (16, 32, 64, 128):
        x = torch.randn(batch, *part.inside).to(memory_format=torch.channels_last)
        x = part.cut(x) if isinstance(part, Stem) else x
        for _ in range(8):
            start = time.process_time()
            for _ in range(4):
                part(x)
            best = min(best, (time.process_time() - start) / 4 / batch)
    return best


def layers(net: nn.Module, x: torch.Tensor, y: torch.Tensor, batch: int, repeats: int, most: float) -> list[dict]:
    """Where the time of the fused forward pass goes: convolutions of equal shape together, then the rest."""
    x = x.to(memory_format=torch.channels_last)
    surface = Surface(net, list(zip(x.split(batch), y.split(batch), strict=True)))
    fused = surface.network
    assert isinstance(fused, fx.GraphModule)
    timed = Timed(fused)
    with torch.no_grad():
        for part, _ in surface.runs:
            timed.run(part)
        timed.seconds.clear()
        for _ in range(repeats):
            for part, _ in surface.runs:
                timed.run(part)
        whole, rows = sum(timed.seconds.values()), {}
        for node, seconds in timed.seconds.items():
            part, label, flops, least = None, "all else", 0.0, 0.0
            if node.op == "call_module":
                part = fused.get_submodule(str(node.target))
                label = type(part).__name__
            if isinstance(part, (Fused, Stem)):
                inside, side, out = part.inside, part.area[0], timed.shapes[node]
                label = f"{inside[0]}x{inside[1]} to {out[1]}x{side}" + (" pooled" if out[2] < side else "")
                flops = 2.0 * part.filters.numel() * part.area[0] * part.area[1]
                least = alone(part) if label not in rows else rows[label]["alone"]
            row = rows.setdefault(label, {"layer": label, "count": 0, "seconds": 0.0, "flops": 0.0, "alone": least})
            row["count"], row["seconds"], row["flops"] = (
                row["count"] + 1,
                row["seconds"] + seconds,
                row["flops"] + flops,
            )
    images, table = len(x) * repeats, []
    for row in sorted(rows.values(), key=lambda row: -row["seconds"]):
        each = row["flops"] / row["count"]
        table.append({
            "layer": row["layer"], "count": row["count"], "us_per_image": 1e6 * row["seconds"] / images,
            "share": row["seconds"] / whole,
            "of_peak": row["flops"] / (row["seconds"] / images) / most if each else None,
            "alone_of_peak": each / row["alone"] / most if each else None,
        })  # fmt: skip
    return table


def ceiling(table: list[dict]) -> float:
    """Of the peak, if every convolution ran as it does alone and all else cost nothing."""
    rows = [row for row in table if row["of_peak"]]
    work = [row["of_peak"] * row["us_per_image"] for row in rows]
    return sum(work) / sum(w / row["alone_of_peak"] for w, row in zip(work, rows, strict=True))


def peak() -> float:
    """Floating-point operations per second of one thread in a large float32 product, the best of some."""
    n = 1536
    left, right = torch.randn(n, n), torch.randn(n, n)
    best = 0.0
    for _ in range(8):
        start = time.process_time()
        left @ right
        best = max(best, 2 * n**3 / (time.process_time() - start))
    return best


def matrix_instructions() -> str:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = [name for name in ("amx_bf16", "avx512_bf16") if name in flags]
    return ", ".join(found) or "none"


def measured(rows: dict[str, Callable[[], float]], points: int, repeats: int) -> dict[str, float]:
    """CPU seconds per point of each row: all rows in turn, so that a machine that drifts drifts for all."""
    times: dict[str, list[float]] = {label: [] for label in rows}
    with torch.no_grad():
        for sample in rows.values():
            sample()
        for _ in range(repeats):
            for label, sample in rows.items():
                start = time.process_time()
                sample()
                times[label].append((time.process_time() - start) / getattr(sample, "points", points))
    return {label: statistics.median(found) for label, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("images", 256), ("points", 9), ("repeats", 5), ("batch", 128)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    most = peak()
    body = {
        "load": os.getloadavg()[0],
        "bf16_instructions": matrix_instructions(),
        "peak_gflops": most / 1e9,
        **vars(args),
        "networks": {},
    }
    print(f"bfloat16 instructions: {body['bf16_instructions']}; float32 matrix product {most / 1e9:.0f} GFLOP/s")
    with streams.borrowed(1):
        x, y = torch.randn(args.images, *SHAPE), torch.randint(0, CLASSES, (args.images,))
    for name, build in (("convnet", wide), ("resnet-20", resnet_cifar.build)):
        net = network(build)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net(x)
        flops = counter.get_total_flops()
        rows = {
            "ours": ours(net, x, y, args.points, args.batch, True),
            "ours, bfloat16": ours(net, x, y, args.points, args.batch, True, "bf16"),
            "ours, not fused": ours(net, x, y, args.points, args.batch, True, fusing=False),
            "ours, not folded": ours(net, x, y, args.points, args.batch, False, fusing=False),
            "plain loop, one batch": plain(net, x, y, args.points),
            "PyPI loss-landscapes": pypi(net, x, y, args.points),
        }
        size = sum(p.numel() for p in net.parameters())
        print(f"{name}: {size:,} parameters, {flops / args.images / 1e6:.0f} MFLOP an image, {args.images} images")
        most = peak()
        costs = measured({label: sample for label, sample in rows.items() if sample}, args.points, args.repeats)
        most = max(most, peak())
        print(f"  a large float32 matrix product before and after: {most / 1e9:.0f} GFLOP/s")
        table = {}
        for label in rows:
            if label not in costs:
                print(f"  {label:24s} not installed")
                continue
            table[label] = {"ms": 1e3 * costs[label], "of_ours": costs[label] / costs["ours"],
                            "of_peak": flops / costs[label] / most}  # fmt: skip
            print(f"  {label:24s} {table[label]['ms']:9.1f} ms per point   {table[label]['of_ours']:5.2f} x ours   "
                  f"{table[label]['of_peak']:5.0%} of peak")  # fmt: skip
        found = layers(net, x, y, args.batch, args.repeats, most)
        for row in found:
            shares = f"{row['of_peak']:5.0%} of peak, alone {row['alone_of_peak']:4.0%}" if row["of_peak"] else ""
            print(f"    {row['count']:2d} x {row['layer']:18s} {row['us_per_image']:7.1f} us an image "
                  f"{row['share']:5.0%} of the time   {shares}")  # fmt: skip
        print(f"    convolutions alone would reach {ceiling(found):.0%} of peak")
        body["networks"][name] = {"rows": table, "layers": found, "convolutions_alone_of_peak": ceiling(found),
                                  "peak_gflops": most / 1e9}  # fmt: skip
    if args.write:
        path = Path(__file__).parent / "results" / "landscape.json"
        path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        print(f"kept in {path.name}")


if __name__ == "__main__":
    main()
