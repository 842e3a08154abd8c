"""Small data, networks and contexts for the tests of training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from crucis.data.dataset import Dataset, Split
from crucis.train.fit import Job, fit
from crucis.train.settings import resolve

torch.set_num_threads(1)


class Ctx:
    """The engine's side of a step, in a folder; stops after `stop_after` looks at the flag."""

    def __init__(self, folder: Path, stop_after: int | None = None) -> None:
        self.inputs: dict = {}
        self.out, self.scratch = folder / "out", folder / "scratch"
        self.out.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(exist_ok=True)
        self.stop_after, self.looks = stop_after, 0
        self.beats, self.notes, self.published = [], [], {}

    def beat(self, **progress):
        self.beats.append(progress)

    def stopping(self) -> bool:
        self.looks += 1
        return self.stop_after is not None and self.looks >= self.stop_after

    def publish(self, key, files, result):
        self.published[key] = (result, (files / "model.safetensors").read_bytes())

    def note(self, event, **fields):
        self.notes.append((event, fields))


class Ticker:
    """A clock that advances at every look."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def images(n=70, size=6, channels=3, classes=3, seed=0) -> Dataset:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.integers(0, 120, (n, size, size, channels)).astype(np.uint8)
    x[:, :2] += (y * 40).astype(np.uint8)[:, None, None, None]
    return _dataset(x, y, "image", classes, (0.3,) * channels, (0.2,) * channels)


def vectors(n=90, d=5, classes=3, seed=0) -> Dataset:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = (rng.normal(size=(n, d)) + 2 * rng.normal(size=(classes, d))[y]).astype(np.float32)
    return _dataset(x, y, "vector", classes, (0.0,) * d, (1.0,) * d)


def _dataset(x, y, kind, classes, mean, std) -> Dataset:
    y, cut = y.astype(np.int64), len(y) - 20
    part = Split(x[cut:], y[cut:])
    names = tuple(map(str, range(classes)))
    return Dataset("toy", kind, classes, names, Split(x[:cut], y[:cut]), part, part, mean, std, f"digest-{len(y)}")


def mlp(d=5, classes=3, dropout=0.0):
    def build():
        layers = [nn.Flatten(), nn.Linear(d, 16), nn.ReLU(), nn.Linear(16, 9), nn.Tanh()]
        return nn.Sequential(*layers, *([nn.Dropout(dropout)] if dropout else []), nn.Linear(9, classes))

    return build


class Quirky(nn.Module):
    """Convolutions, batch norm, dropout, a tied layer, a 0-d parameter and a buffer that state_dict leaves out."""

    def __init__(self, channels=3, classes=3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 5, 3, padding=1)
        self.conv2 = nn.Conv2d(5, 6, 3, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.mix = nn.Linear(6, 6)
        self.again = self.mix
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(6, classes)
        self.register_buffer("seen", torch.zeros((), dtype=torch.float32), persistent=False)

    def forward(self, x):
        if self.training:
            self.seen += 0.01
        h = torch.relu(self.norm(self.conv2(torch.relu(self.conv1(x))))).mean((2, 3))
        return self.head(self.drop(self.again(torch.relu(self.mix(h)))) * (self.scale + self.seen))


def job(data, build, seed=1, *, extra=None, **params) -> Job:
    settings = resolve({"length": "4 epochs", "batch": 16, "lr": 0.05, **params}, len(data.train))
    return Job(build, data, settings, seed=seed, **(extra or {}))


def run(folder: Path, made: Job, **options):
    ctx = Ctx(folder)
    return fit(made, ctx, **options), ctx


def contents(ctx: Ctx) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(ctx.out.iterdir())}
