"""Masked autoencoder: the pixels of most patches from the few that are seen.

A share of the patches of each image is hidden, drawn anew for each batch; the network sees the others only, and a
small transformer reconstructs the pixels of those hidden, normalised patch by patch (`norm_pix`). The loss is the
mean squared error on hidden patches. Needs a vision transformer: `vit`, or one of timm.

Source: K. He et al., 2022, arXiv:2111.06377. Published at batch 4096 (ViT-B/16): AdamW (0.9, 0.95) at rate 1.5e-4 x
batch / 256, decay 0.05, 40 of 800 epochs of warm-up, a decoder of width 512, depth 8 and 16 heads.

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
    "ratio": "(0, 1)",
    "decoder_width": "[4, 8192]",
    "decoder_depth": "[1, 100]",
    "decoder_heads": "[1, 128]",
}
LEAVES = {"optimiser": "optimisers", "schedule": "schedules", "augment": "augment"}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "100 epochs",
    batch: int = 256,
    lr: float = 0.00015,
    optimiser: Leaf = {"adamw": {"beta2": 0.95}},
    weight_decay: float = 0.05,
    weight_decay_end: float | None = None,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "weights",
    schedule: Leaf = "cosine",
    warmup: LengthOrShare = 0.05,
    warmup_from: float | None = None,
    clip: float | None = None,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},
    evaluate_every: Length = "1 epochs",
    augment: list[Leaf] = [{"resized_crop": {"smallest": 0.2, "interpolation": "bicubic"}}, "flip"],
    ratio: float = 0.75,
    norm_pix: bool = True,
    decoder_width: int = 128,
    decoder_depth: int = 2,
    decoder_heads: int = 4,
) -> Result:
    """Train the features of `job.build()` (or `job.initial`) on the images of `job.data`; labels are not used.

    Args:
        augment: augmentations of the image.
        ratio: share of the patches that are hidden.
        norm_pix: each patch to be reconstructed has mean 0 and variance 1.
        decoder_width: channels of its tokens; a multiple of 4 and of `decoder_heads`.
        decoder_depth: its blocks.
        decoder_heads: its attention heads.

    Returns:
        Values of the columns above; files `model.safetensors` (the encoder, its head as it was),
        `heads.safetensors` (what was trained beside it) and `curve.npz`.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
        BackboneError: a network that it cannot be built on.
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..selfsupervised.mae import made
    from ..selfsupervised.parts import pretrain

    return pretrain(job, ctx, given, made)
