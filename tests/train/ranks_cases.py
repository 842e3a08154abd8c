"""What the tests of several ranks train, in one process and in a group; as a program, one rank of the group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import torch
import torch.distributed as dist
from objective_cases import objectives
from torch import nn
from train_cases import Ctx, Quirky, Ticker, images, job, mlp, vectors

from crucis.errors import Divergence, Stopped
from crucis.nets.weights import save_weights
from crucis.train.cadence import Cadence
from crucis.train.fit import fit
from crucis.train.ranks import joined
from crucis.train.settings import SettingsError

CUT = ("rich", "dropout", "watched", "sparing", "dino", "moco_v3 tokens")
MIX = [{"crop": {"padding": 1}}, "flip", {"mixup": {"alpha": 0.5}}]


class NormAct(nn.BatchNorm2d):
    """Norm and activation in one, as some libraries have it."""

    def forward(self, x):
        return torch.relu(super().forward(x))


class Normed(nn.Module):
    """Batch norm after a convolution and after a dense layer, with and without weights; one parameter is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = NormAct(6)
        self.dense = nn.Linear(6, 8)
        self.thin = nn.BatchNorm1d(8, affine=False)
        self.head = nn.Linear(8, 3)
        self.idle = nn.Parameter(torch.ones(2))

    def forward(self, x):
        h = self.norm(self.conv(x)).mean((2, 3))
        return self.head(torch.relu(self.thin(self.dense(h))))


def cases():
    """Name -> job. Those before `dropout` draw no dropout, so a group ends as one process does."""
    short = {"length": "3 epochs", "lr": 0.02}
    return {
        "normed": job(images(), Normed, **short, extra={"publish": {2: "two"}}),
        "rich": job(images(), Normed, **short, augment=MIX, ema=0.9, clip=0.5, label_smoothing=0.1, accumulate=2),
        "cut": job(images(), Normed, **short, augment=[{"crop": {"padding": 1}}, "cutout"], select="loss"),
        "dense": job(vectors(), mlp(), select="loss", patience=1, length="9 epochs", lr=0.3, schedule="constant"),
        "watched": job(
            images(),
            Normed,
            **short,
            on_not_finite="skip",
            schedule="plateau",
            weight_decay_end=0.01,
            watch={
                "grad_norm < 0.884": ["skip", "log"],
                "train_loss > 0": {"lower_lr": 0.5},
                "batch_loss > 90": "skip",
            },
        ),
        "sparing": job(images(size=8), _blocks, **short, checkpointing=True, accumulate=2, ema=0.9),
        "dropout": job(images(), Quirky, **short, ema=0.9, optimiser="adamw"),
    }


class Block(nn.Module):
    """A residual part of convolution and batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x):
        return x + torch.relu(self.norm(self.conv(x)))


def _blocks():
    """A row of blocks, of which only the inputs are kept."""
    return nn.Sequential(nn.Sequential(*(Block() for _ in range(3))), nn.Flatten(), nn.Linear(192, 3))


def save(folder: Path, name: str, fitted, ctx) -> None:
    """What a run left, for the comparison."""
    body = {"values": fitted.values, "trained": fitted.notes["trained"], "published": sorted(ctx.published)}
    body["reactions"] = [[one["step"], one["did"]] for one in fitted.reactions]
    (folder / f"{name}.json").write_text(json.dumps({**body, "resumed": fitted.notes["resumed_at"]}))
    save_weights(folder / f"{name}.safetensors", fitted.model)


def rank(folder: Path) -> None:
    """Train all cases as one of the ranks; leave what rank 0 sees, and what every rank says of itself."""
    with joined() as ranks:
        group = weakref.ref(dist.group.WORLD)
        own, said = folder / str(ranks.rank), {}
        for name, made in cases().items():
            made = _with(made, ranks)
            whole = Ctx(own / name)
            save(own, name, fit(made, whole), whole)
        for name, made in objectives().items():
            whole = Ctx(own / name)
            save(own, name, fit(_with(made, ranks), whole), whole)
        for name in CUT:  # cut twice, each time a step or two after going on
            made = _with((cases() | objectives())[name], ranks)
            looks = []
            for _ in range(2):
                ctx = Ctx(own / f"{name}-cut", stop_after=3 if ranks.first else None)
                try:
                    fit(made, ctx, cadence=Cadence(Ticker(2.0), save_every=1e9))
                except Stopped:
                    looks.append(ctx.looks)
            ctx = Ctx(own / f"{name}-cut")
            save(own, f"{name}-cut", fit(made, ctx), ctx)
            said[name] = [looks, sorted(path.name for path in ctx.scratch.iterdir())]
        said["diverged"] = _raised(_with(job(vectors(), mlp(), lr=1e30, schedule="constant"), ranks), own)
        said["uneven"] = _raised(_with(job(vectors(), mlp(), batch=15), ranks), own)
        said["chunks"] = _raised(_with(job(vectors(), mlp(), batch=18, accumulate=6), ranks), own)
        said["memory"] = _raised(_with(job(vectors(), mlp(), on_memory="halve_batch"), ranks), own)
        said["bytes"] = [text.decode() for text in ranks.collect(b"r" * (1 + ranks.rank))]
    said["left"] = [group() is None, threads()]
    (own / "said.json").write_text(json.dumps(said))


def threads() -> list[str]:
    """Names of this process's threads that are the exchange's."""
    found = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return [name for name in found if "gloo" in name or "tcpstore" in name]


def _with(made, ranks):
    from dataclasses import replace

    return replace(made, ranks=ranks)


def _raised(made, own):
    try:
        fit(made, Ctx(own / "raised"))
    except (Divergence, SettingsError) as error:
        return [type(error).__name__, str(error)]
    return None


def launch(folder: Path, world: int, timeout: float = 600) -> None:
    """A group of `world` processes of this file, without torchrun; as with it, their store is this process's, so that
    nobody can take its port before they do."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    group = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    group |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}
    processes = []
    for number in range(world):
        (folder / str(number)).mkdir(parents=True)
        env = {**os.environ, **group, "RANK": str(number), "PYTHONPATH": os.pathsep.join(sys.path)}
        processes.append(subprocess.Popen([sys.executable, __file__, str(folder)], env=env))
    try:
        for process in processes:
            assert process.wait(timeout) == 0
    finally:
        for process in processes:
            process.kill()


if __name__ == "__main__":
    rank(Path(sys.argv[1]))
