"""Self-supervised trainings without dropout, for tests that compare one process with several. By plain steps: an
adaptive optimiser makes whole steps of the rounding in gradients that are zero (of a bias before batch norm)."""

from __future__ import annotations

import torch
from torch import nn
from train_cases import images

from crucis import shelf
from crucis.nets import vit
from crucis.train.fit import Job
from crucis.train.selfsupervised import dino, i_jepa, mae, moco_v3, simclr
from crucis.train.settings import resolve

DATA = images(n=68, size=8, classes=3)
CROP = [{"resized_crop": {"smallest": 0.5}}, "flip"]
MADE = {"simclr": simclr.made, "moco_v3": moco_v3.made, "dino": dino.made, "mae": mae.made, "i_jepa": i_jepa.made}
SMALL = {
    "simclr": {"augment": CROP, "hidden": 12, "out": 6},
    "moco_v3": {"augment": CROP, "second": ["flip"], "hidden": 12, "out": 6},
    "dino": {"augment": CROP, "second": CROP, "small": CROP, "small_views": 2, "hidden": 12, "bottleneck": 6,
             "prototypes": 10, "temperature_warmup": "3 epochs", "clip_each": 0.05},
    "mae": {"augment": CROP, "decoder_width": 12, "decoder_depth": 1, "decoder_heads": 2},
    "i_jepa": {"augment": CROP, "predictor_width": 12, "predictor_depth": 1, "predictor_heads": 2},
}  # fmt: skip


class Convolved(nn.Module):
    """Convolution and batch norm, so that the statistics of all ranks matter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def attending():
    """A small vision transformer."""
    return vit.build(DATA.shape, 3, patch=2, width=12, depth=2, heads=2)


def training(name, build, seed=3, **more) -> Job:
    """A job of the self-supervised protocol `name`."""
    base = {"batch": 16, "length": "3 epochs", "lr": 0.02, "optimiser": "sgd", "evaluate_every": "1 epochs"}
    defaults = {key: param.default for key, param in shelf.leaf("train", name).params.items()}
    params = {**defaults, **SMALL[name], **base, **more}
    return Job(build, DATA, resolve(params, len(DATA.train)), seed=seed, objective=MADE[name])


def objectives():
    """Name -> job: every protocol, on a network with batch norm where it can be trained on one."""
    return {
        "simclr": training("simclr", Convolved, seed=4, lr=0.0005, temperature=0.5),
        "simclr tokens": training("simclr", attending, lr=0.0005),
        "moco_v3": training("moco_v3", Convolved, clip=1.0),
        "moco_v3 tokens": training("moco_v3", attending, lr=0.002, watch={"grad_norm > 20": "skip"}),
        "dino": training("dino", Convolved),
        "dino tokens": training("dino", attending, weight_decay_end=0.2),
        "mae": training("mae", attending, on_not_finite="skip"),
        "i_jepa": training("i_jepa", attending),
    }
