"""MoCo v3: contrastive learning without labels, with a slow teacher and without a queue.

The student's prediction of one view is compared with the teacher's features of the other view of every image of the
batch, both ways round: 2T times the cross-entropy at temperature T. The teacher is a running average of the student,
its momentum rising to 1; of a vision transformer, the layer that makes patches is not trained. Projector and
predictor are dense, batch norm and ReLU: 3 and 2 layers on transformers, 2 and 2 on others, whose predictor ends
without norm.

Source: X. Chen, S. Xie, K. He, 2021, arXiv:2104.02057. Published at batch 4096 (ViT): AdamW at rate 1.5e-4 x batch /
256, decay 0.1 on all parameters, 40 of 300 epochs of warm-up, hidden 4096.

Columns: as those of `simclr`.

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

REVISION = 2
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
    "momentum": "[0, 1]",
    "hidden": "[1, 100000]",
    "out": "[1, 100000]",
}
LEAVES = {"optimiser": "optimisers", "schedule": "schedules", "augment": "augment", "second": "augment"}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "100 epochs",
    batch: int = 256,
    lr: float = 0.00015,
    optimiser: Leaf = "adamw",
    weight_decay: float = 0.1,
    weight_decay_end: float | None = None,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "all",
    schedule: Leaf = "cosine",
    warmup: LengthOrShare = 0.13,
    warmup_from: float | None = None,
    clip: float | None = None,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},
    evaluate_every: Length = "1 epochs",
    augment: list[Leaf] = [
        "resized_crop",
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}},
        "grayscale",
        {"blur": {"probability": 1.0}},
        "flip",
    ],
    second: list[Leaf] = [
        "resized_crop",
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}},
        "grayscale",
        {"blur": {"probability": 0.1}},
        "solarize",
        "flip",
    ],
    temperature: float = 0.2,
    momentum: float = 0.99,
    momentum_schedule: Literal["cosine", "linear", "constant"] = "cosine",
    hidden: int = 512,
    out: int = 256,
    freeze_patches: bool = True,
) -> Result:
    """Train the features of `job.build()` (or `job.initial`) on the images of `job.data`; labels are not used.

    Args:
        augment: augmentations of the first view.
        second: augmentations of the second view.
        temperature: T of the loss.
        momentum: of the teacher, at the start.
        momentum_schedule: how it rises to 1.
        hidden: inner width of projector and predictor.
        out: features that the loss compares.
        freeze_patches: leave the layer that makes patches as it is drawn; other networks have none.

    Returns:
        Values of the columns above; files `model.safetensors` (the student),
        `heads.safetensors` (what was trained beside it) and `curve.npz`.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
        BackboneError: a network that it cannot be built on.
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..selfsupervised.moco_v3 import made
    from ..selfsupervised.parts import pretrain

    return pretrain(job, ctx, given, made)
