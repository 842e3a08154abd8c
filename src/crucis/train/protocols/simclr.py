"""SimCLR: contrastive learning without labels.

Two views of each image are drawn. Their features, through a projector, are pulled together and pushed away from those
of the 2N - 2 other views of the batch (`nt_xent` in `selfsupervised/simclr.py` has the formula). The projector is
dense, batch norm and ReLU, `layers` in all, the last with batch norm without shift.

Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton, 2020, arXiv:2002.05709. Published at batch 4096: LARS at rate
0.3 x batch / 256, decay 1e-6, cosine after 10 of 100 epochs of warm-up, temperature 0.1 (0.5 on CIFAR-10, without
blur).

Columns: `loss` on the validation split with views that never change; `train_loss`, the mean since the evaluation
before. Of the frozen features of the network: `knn_accuracy` (20 neighbours by cosine among at most 5,000 training
images), `linear_accuracy` (ridge regression on the same), `feature_variance`, `feature_std`, `effective_rank` (signs
of collapse, see `monitor.collapse`). `curve` is `knn_accuracy` at each evaluation. Labels serve these columns alone.

What it shares with other trainings:
    length: how long, in epochs or optimiser steps (written `for` in a study).
    batch: images per optimiser step.
    lr: peak learning rate.
    optimiser: the update rule.
    weight_decay: its strength.
    weight_decay_end: strength after the last step; it goes there from `weight_decay`, if given.
    weight_decay_schedule: by half a cosine or in a straight line.
    decay_on: which parameters decay, as in `supervised`.
    schedule: the course of the learning rate.
    warmup: rise of the rate at the start, as a share of training or a length.
    warmup_from: share of the rate at the first step, as in `supervised`.
    clip: largest Euclidean norm of the whole gradient.
    precision: of the arithmetic; losses are computed in fp32.
    on_not_finite: what a NaN or infinite loss does, as in `supervised`.
    watch: rules `{condition: action}` over the running training; see docs/training.md.
    evaluate_every: distance of evaluations.
"""

# ruff: noqa: B006 - defaults are literals that are read and never changed

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...types import Leaf, Length, LengthOrShare, Watch

if TYPE_CHECKING:
    from ...records import Context, Result
    from ..fit import Job

REVISION = 1
RANDOM = True
RANKS = True
COLUMNS = {
    "loss": {"unit": "1", "range": [None, None], "axes": [], "headline": True},
    "train_loss": {"unit": "1", "range": [None, None], "axes": []},
    "knn_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "linear_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "feature_variance": {"unit": "1", "range": [0, None], "axes": []},
    "feature_std": {"unit": "1", "range": [0, None], "axes": []},
    "effective_rank": {"unit": "fraction", "range": [0, 1], "axes": []},
    "parameters": {"unit": "count", "range": [0, None], "axes": []},
    "trained_parameters": {"unit": "count", "range": [0, None], "axes": []},
    "steps": {"unit": "count", "range": [0, None], "axes": []},
    "seconds": {"unit": "seconds", "range": [0, None], "axes": [], "cost": True},
    "memory": {"unit": "bytes", "range": [0, None], "axes": [], "cost": True},
    "curve": {"unit": "fraction", "range": [0, 1], "axes": ["step"]},
}
LIMITS = {
    "batch": "[2, 1000000]",
    "lr": "(0, 100]",
    "weight_decay": "[0, 10]",
    "weight_decay_end": "[0, 10]",
    "clip": "(0, 1000000]",
    "temperature": "(0, 100]",
    "layers": "[1, 10]",
    "hidden": "[1, 100000]",
    "out": "[1, 100000]",
}
LEAVES = {"optimiser": "optimisers", "schedule": "schedules", "augment": "augment"}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "100 epochs",
    batch: int = 256,
    lr: float = 0.3,
    optimiser: Leaf = "lars",
    weight_decay: float = 1e-06,
    weight_decay_end: float | None = None,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "weights",
    schedule: Leaf = "cosine",
    warmup: LengthOrShare = 0.1,
    warmup_from: float | None = None,
    clip: float | None = None,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},
    evaluate_every: Length = "1 epochs",
    augment: list[Leaf] = [
        "resized_crop",
        "flip",
        {"color_jitter": {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2, "probability": 0.8}},
        "grayscale",
    ],
    temperature: float = 0.1,
    layers: int = 2,
    hidden: int | None = None,
    out: int = 128,
) -> Result:
    """Train the features of `job.build()` (or `job.initial`) on the images of `job.data`; labels are not used.

    Args:
        augment: augmentations of each of the two views.
        temperature: T of the loss.
        layers: dense layers of the projector.
        hidden: its inner width; by default the number of features.
        out: features that the loss compares.

    Returns:
        Values of the columns above; files `model.safetensors` (the network, its head as it was),
        `heads.safetensors` (what was trained beside it) and `curve.npz`.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
        BackboneError: a network that it cannot be built on.
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..selfsupervised.parts import pretrain
    from ..selfsupervised.simclr import made

    return pretrain(job, ctx, given, made)
