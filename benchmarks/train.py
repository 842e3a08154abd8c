"""What training costs beside a bare loop, Lightning, a DataLoader, a spawned worker, and fp32 convolutions.

    python benchmarks/train.py [--rounds 9] [--only loop,lightning,data,worker,resnet,stacked]

Both sides of every row run in this process (the worker row in fresh ones), in alternating order, on one thread; a row's
figure is the median over rounds of the ratio of CPU times. Lightning is no dependency: where it is not installed, its
row says so. Prints a table and, if no row was left out, writes benchmarks/results/train.json and .txt.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import importlib.util
import json
import math
import multiprocessing
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

RESULTS = Path(__file__).parent / "results"
EPOCHS, BATCH, RATE = 20, 64, 0.1
ROWS = "loop,lightning,data,worker,resnet,stacked"
Run = Callable[[], Any]


class Alone:
    """A context without an engine."""

    def __init__(self, folder: Path) -> None:
        self.inputs: dict[str, Any] = {}
        self.out, self.scratch = folder / "out", folder / "scratch"
        self.out.mkdir()
        self.scratch.mkdir()

    def beat(self, **progress: Any) -> None: ...

    def stopping(self) -> bool:
        return False

    def publish(self, *record: Any) -> None: ...

    def note(self, event: str, **fields: Any) -> None: ...


def in_turn(sides: dict[str, Run], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each side, in alternating order, after one round of warming up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds + 1):
        for name in list(sides)[:: 1 if turn % 2 else -1]:
            begun = time.process_time()
            sides[name]()
            if turn:
                times[name].append(time.process_time() - begun)
    return times


def ratio(times: dict[str, list[float]], above: str, below: str) -> dict[str, Any]:
    """Median and range of above / below over the rounds."""
    each = [a / b for a, b in zip(times[above], times[below], strict=True)]
    return {"ratio": statistics.median(each), "range": [min(each), max(each)], "rounds": len(each)}


# -- the loop ---------------------------------------------------------------------------------------------------------


def network() -> nn.Sequential:
    """64-64-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def digits() -> Any:
    """The data set, through Crucis."""
    from crucis.data.open import open_data
    from crucis.study.spec import LeafRef

    return open_data(LeafRef("data", "digits"), folder=Path.cwd(), root=None)


def tensors(split: Any, data: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised rows and labels, ready for a bare loop."""
    x = (split.x.reshape(len(split), -1) / 255.0 - data.mean[0]) / data.std[0]
    return torch.tensor(x, dtype=torch.float32), torch.tensor(split.y)


def decays(net: nn.Module) -> list[dict[str, Any]]:
    """The parameter groups of the house recipe."""
    params = list(net.parameters())
    return [
        {"params": [p for p in params if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]


def bare_loop(data: Any) -> Run:
    """Shuffle, cosine, running loss and accuracy, evaluation after each epoch: what the trainer does, by hand."""
    (x, y), (vx, vy) = tensors(data.train, data), tensors(data.validation, data)
    per_epoch = len(y) // BATCH
    total = EPOCHS * per_epoch
    rates = [RATE * (1 + math.cos(math.pi * k / total)) / 2 for k in range(total)]

    def run() -> list[tuple[float, ...]]:
        net, curve, k = network(), [], 0
        optimiser = torch.optim.SGD(decays(net), lr=RATE, momentum=0.9, nesterov=True, fused=True)
        for _ in range(EPOCHS):
            order = torch.randperm(len(y))
            loss_sum, hits = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for i in range(per_epoch):
                index = order[i * BATCH : (i + 1) * BATCH]
                xb, yb = x[index], y[index]
                logits = net(xb)
                loss = functional.cross_entropy(logits, yb)
                loss.backward()
                for group in optimiser.param_groups:
                    group["lr"] = rates[k]
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                loss_sum += loss.detach()
                hits += (logits.argmax(1) == yb).sum()
                k += 1
            net.eval()
            with torch.no_grad():
                logits = net(vx)
                found = functional.cross_entropy(logits, vy), (logits.argmax(1) == vy).float().mean()
            net.train()
            curve.append((float(loss_sum) / per_epoch, float(hits), *map(float, found)))
        return curve

    return run


def our_loop(data: Any) -> Run:
    """The whole trainer: set-up, training, evaluations, files."""
    from crucis.train.fit import Job, fit
    from crucis.train.settings import resolve

    settings = resolve({"length": f"{EPOCHS} epochs", "batch": BATCH, "lr": RATE}, len(data.train))

    def run() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            return fit(Job(network, data, settings, seed=1), Alone(Path(folder)))

    return run


def lightning_loop(data: Any) -> Run | None:
    """Trainer with everything optional off and loss and accuracy logged; batches made as in the bare loop."""
    if importlib.util.find_spec("lightning") is None:
        return None
    from crucis.nets._torchvision import torchvision

    if importlib.util.find_spec("torchvision") is not None:
        torchvision()  # so that Lightning's own import of it works on builds without its operators
    import logging

    import lightning

    warnings.filterwarnings("ignore")
    for name in ("lightning", "lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    (x, y), (vx, vy) = tensors(data.train, data), tensors(data.validation, data)
    per_epoch = len(y) // BATCH

    class Batches:
        def __init__(self, count: int, make: Callable[[], Any]) -> None:
            self.count, self.make = count, make

        def __len__(self) -> int:
            return self.count

        def __iter__(self) -> Any:
            return self.make()

    def shuffled() -> Any:
        for index in torch.randperm(len(y)).split(BATCH)[:per_epoch]:
            yield x[index], y[index]

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any) -> torch.Tensor:
            logits = self.net(batch[0])
            loss = functional.cross_entropy(logits, batch[1])
            self.log("loss", loss)
            self.log("accuracy", (logits.argmax(1) == batch[1]).float().mean())
            return loss

        def validation_step(self, batch: Any) -> None:
            logits = self.net(batch[0])
            self.log("validation_loss", functional.cross_entropy(logits, batch[1]))
            self.log("validation_accuracy", (logits.argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> Any:
            optimiser = torch.optim.SGD(decays(self), lr=RATE, momentum=0.9, nesterov=True, fused=True)
            scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * per_epoch)
            return [optimiser], [{"scheduler": scheduler, "interval": "step"}]

    def run() -> None:
        lightning.Trainer(
            max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, accelerator="cpu", devices=1, num_sanity_val_steps=0,
        ).fit(Module(), Batches(per_epoch, shuffled), Batches(1, lambda: iter([(vx, vy)])))  # fmt: skip

    return run


def loop_rows(rounds: int, wanted: set[str]) -> list[dict[str, Any]]:
    """The trainer against the bare loop and against Lightning."""
    data = digits()
    lightning = lightning_loop(data) if "lightning" in wanted else None
    sides = {"bare": bare_loop(data), "ours": our_loop(data)}
    times = in_turn({**sides, "lightning": lightning} if lightning else sides, rounds)
    steps = EPOCHS * (len(data.train) // BATCH)
    micro = {name: round(statistics.median(spent) / steps * 1e6, 1) for name, spent in times.items()}
    rows = [{
        "row": "trainer / bare loop with the same metrics", "limit": "<= 1.08", **ratio(times, "ours", "bare"),
        "met": ratio(times, "ours", "bare")["ratio"] <= 1.08, "microseconds_per_step": micro,
    }]  # fmt: skip
    if "lightning" in wanted and lightning is None:
        rows.append({"row": "Lightning Trainer with logging / trainer", "limit": ">= 3.5", "said": "not installed"})
    elif lightning is not None:
        found = ratio(times, "lightning", "ours")
        rows.append({"row": "Lightning Trainer with logging / trainer", "limit": ">= 3.5", **found,
                     "met": found["ratio"] >= 3.5})  # fmt: skip
    return rows


# -- the other rows ---------------------------------------------------------------------------------------------------


def stacked_rows(rounds: int) -> list[dict[str, Any]]:
    """Five seeds one after another against five stacked, bit for bit the same."""
    from crucis.train.fit import Job, fit
    from crucis.train.settings import resolve
    from crucis.train.stacked import fit_many

    data = digits()
    params = {"length": f"{EPOCHS} epochs", "batch": BATCH, "optimiser": "adamw", "lr": 0.001}
    settings = resolve(params, len(data.train))
    jobs = [Job(network, data, settings, seed=seed) for seed in range(5)]

    def contexts(folder: str) -> list[Any]:
        made = [Path(folder) / str(k) for k in range(len(jobs))]
        for path in made:
            path.mkdir()
        return [Alone(path) for path in made]

    def solo() -> None:
        with tempfile.TemporaryDirectory() as folder:
            for job, context in zip(jobs, contexts(folder), strict=True):
                fit(job, context)

    def stacked() -> None:
        with tempfile.TemporaryDirectory() as folder:
            found = fit_many(jobs, contexts(folder))
            assert all(fitted.notes.get("executor") == "stacked" for fitted in found)

    times = in_turn({"solo": solo, "stacked": stacked}, rounds)
    return [{"row": "5 seeds one by one / stacked (AdamW)", "limit": "", **ratio(times, "solo", "stacked")}]


def data_rows(rounds: int) -> list[dict[str, Any]]:
    """Crop, flip and normalise 4,096 images of CIFAR's shape: DataLoader and torchvision against resident batches."""
    missing = [name for name in ("torchvision", "PIL") if importlib.util.find_spec(name) is None]
    head = {"row": "DataLoader + torchvision / resident batches", "limit": ">= 10"}
    if missing:
        return [{**head, "said": f"{missing[0]} is not installed"}]
    spec = importlib.util.spec_from_file_location("benchmarks_data", Path(__file__).parent / "data.py")
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    x = bench.pixels()
    steps = [bench.crop.augment(padding=4), bench.flip.augment()]
    times = in_turn({"theirs": bench.theirs(x), "ours": bench.ours(x, steps)}, min(rounds, 5))
    found = ratio(times, "theirs", "ours")
    return [{**head, **found, "met": found["ratio"] >= 10}]


def first_backward(pipe: Any) -> None:
    """In a fresh process: one backward pass, then say how much CPU time the process has used."""
    from crucis.train import fit  # noqa: F401 - what a worker needs

    network()(torch.rand(2, 64)).sum().backward()
    pipe.send(time.process_time())
    pipe.close()


def worker_rows(rounds: int) -> list[dict[str, Any]]:
    """CPU seconds of a worker from its start to its first backward pass."""

    def start(method: str) -> float:
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["__main__", "torch", "crucis.train.fit"])
        mine, theirs = context.Pipe()
        process = context.Process(target=first_backward, args=(theirs,))
        process.start()
        found = mine.recv()
        process.join()
        return float(found)

    start("forkserver")  # the server itself starts once per study
    times = {method: [start(method) for _ in range(min(rounds, 5))] for method in ("forkserver", "spawn")}
    warm = statistics.median(times["forkserver"])
    return [{
        "row": "worker: spawned / forked from a warm server, to the first backward pass", "limit": "<= 0.05 CPU-s",
        **ratio(times, "spawn", "forkserver"), "forkserver_cpu_s": warm,
        "spawn_cpu_s": statistics.median(times["spawn"]), "met": warm <= 0.05,
    }]  # fmt: skip


def has_amx() -> bool:
    """Whether the processor has matrix units for bf16."""
    info = Path("/proc/cpuinfo")
    return info.is_file() and "amx_bf16" in info.read_text(encoding="utf-8", errors="replace")


def resnet_rows(rounds: int) -> list[dict[str, Any]]:
    """One training step of ResNet-18 with a small stem, batch 128: fp32 NCHW against `precision: bf16`."""
    head = {"row": "ResNet-18 step: fp32 NCHW / precision bf16", "limit": ">= 3"}
    if not has_amx():
        return [{**head, "said": "this processor has no AMX"}]
    from crucis.nets.resnet import build
    from crucis.train.modes import autocast

    def side(precision: str, layout: torch.memory_format) -> Run:
        net = build((3, 32, 32), 10)
        net.to(memory_format=layout)  # type: ignore[call-overload]
        optimiser = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, nesterov=True, fused=True)
        x = torch.rand(128, 3, 32, 32).contiguous(memory_format=layout)
        y = torch.arange(128) % 10

        def run() -> None:
            with autocast(precision, "cpu"):
                logits = net(x)
            functional.cross_entropy(logits.float(), y).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        return run

    sides = {"fp32": side("fp32", torch.contiguous_format), "bf16": side("bf16", torch.channels_last)}
    found = ratio(in_turn(sides, min(rounds, 5)), "fp32", "bf16")
    return [{**head, **found, "met": found["ratio"] >= 3}]


# -- the table --------------------------------------------------------------------------------------------------------


def line(row: dict[str, Any]) -> str:
    """One row as text."""
    if "said" in row:
        return f"{row['row']:75} {row['said']:>28}   {row['limit']}"
    low, high = row["range"]
    figure = f"{row['ratio']:.2f}x ({low:.2f} to {high:.2f})"
    verdict = "" if "met" not in row else ("" if row["met"] else "   MISSED")
    more = f"   {row['forkserver_cpu_s']:.3f} CPU-s" if "forkserver_cpu_s" in row else ""
    return f"{row['row']:75} {figure:>28}   {row['limit']}{more}{verdict}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default=ROWS)
    given = parser.parse_args()
    wanted = set(given.only.split(","))
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    if wanted & {"loop", "lightning"}:
        rows += loop_rows(given.rounds, wanted)
    for name, make in {
        "stacked": stacked_rows,
        "data": data_rows,
        "worker": worker_rows,
        "resnet": resnet_rows,
    }.items():
        if name in wanted:
            rows += make(given.rounds)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    about = {"torch": torch.__version__, "python": platform.python_version(), "cores": os.cpu_count(), "load": load}
    text = "\n".join([*map(line, rows), f"one thread; torch {about['torch']}, {about['cores']} cores, load {load:.1f}"])
    print(text)
    if wanted != set(ROWS.split(",")):
        return
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "train.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "train.txt").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
