"""DINO: self-distillation without labels.

A teacher sees two large views; the student sees these and small ones, and is to give for each view the distribution
over prototypes that the teacher gives for another. The teacher's logits are centred (running mean) and sharpened (its
temperature, rising over its warm-up by epoch); it is a running average of the student whose momentum rises to 1 by
half a cosine, and what is kept. The prototypes are not trained at first. Each parameter's gradient is clipped on its
own. Small views of a transformer have fewer patches, whose positions are interpolated.

Source: M. Caron et al., 2021, arXiv:2104.14294. Published at batch 1024 (ViT-S/16): AdamW at rate 5e-4 x batch / 256,
cosine to 1e-6 after 10 epochs, 8 small views of 96 pixels to 2 of 224, hidden 2048, 65,536 prototypes.

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

Temperatures, head and courses:
    student_temperature: of the student.
    teacher_temperature_start: of the teacher, at the start.
    teacher_temperature: of the teacher, after its warm-up.
    temperature_warmup: how long the teacher's temperature rises, in whole epochs.
    momentum: of the teacher, at the start.
    centre_momentum: of the centre.
    hidden: inner width of the head.
    bottleneck: width before the prototypes.
    prototypes: outputs of the head.
    norm_last_layer: prototypes keep the length 1.
    freeze_last_layer: how long the prototypes are not trained.
    clip_each: largest norm of each parameter's gradient.
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
    "small_views": "[0, 100]",
    "small_size": "(0, 1]",
    "student_temperature": "(0, 100]",
    "teacher_temperature_start": "(0, 100]",
    "teacher_temperature": "(0, 100]",
    "momentum": "[0, 1]",
    "centre_momentum": "[0, 1)",
    "hidden": "[1, 100000]",
    "bottleneck": "[1, 100000]",
    "prototypes": "[2, 1000000]",
    "clip_each": "(0, 1000000]",
}
LEAVES = {
    "optimiser": "optimisers",
    "schedule": "schedules",
    "augment": "augment",
    "second": "augment",
    "small": "augment",
}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "100 epochs",
    batch: int = 256,
    lr: float = 0.0005,
    optimiser: Leaf = "adamw",
    weight_decay: float = 0.04,
    weight_decay_end: float | None = 0.4,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "weights",
    schedule: Leaf = {"cosine": {"floor": 0.002}},
    warmup: LengthOrShare = 0.1,
    warmup_from: float | None = None,
    clip: float | None = None,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},
    evaluate_every: Length = "1 epochs",
    augment: list[Leaf] = [
        {"resized_crop": {"smallest": 0.4, "interpolation": "bicubic"}},
        "flip",
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}},
        "grayscale",
        {"blur": {"probability": 1.0}},
    ],
    second: list[Leaf] = [
        {"resized_crop": {"smallest": 0.4, "interpolation": "bicubic"}},
        "flip",
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}},
        "grayscale",
        {"blur": {"probability": 0.1}},
        "solarize",
    ],
    small: list[Leaf] = [
        {"resized_crop": {"smallest": 0.05, "largest": 0.4, "interpolation": "bicubic"}},
        "flip",
        {"color_jitter": {"brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "probability": 0.8}},
        "grayscale",
        "blur",
    ],
    small_views: int = 4,
    small_size: float = 0.5,
    student_temperature: float = 0.1,
    teacher_temperature_start: float = 0.04,
    teacher_temperature: float = 0.07,
    temperature_warmup: LengthOrShare = 0.3,
    momentum: float = 0.996,
    centre_momentum: float = 0.9,
    hidden: int = 512,
    bottleneck: int = 256,
    prototypes: int = 4096,
    norm_last_layer: bool = True,
    freeze_last_layer: LengthOrShare = "1 epochs",
    clip_each: float | None = 3.0,
) -> Result:
    """Train the features of `job.build()` (or `job.initial`) on the images of `job.data`; labels are not used.

    Args:
        augment: augmentations of the first large view.
        second: augmentations of the second large view.
        small: augmentations of the small views.
        small_views: how many of them; 0 for none.
        small_size: their side as a share of the image's, rounded to whole patches.

    Returns:
        Columns as above; files `model.safetensors` (the teacher), `heads.safetensors` (what is beside it), `curve.npz`.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
        BackboneError: a network that it cannot be built on.
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..selfsupervised.dino import made
    from ..selfsupervised.parts import pretrain

    return pretrain(job, ctx, given, made)
