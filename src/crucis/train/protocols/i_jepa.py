"""I-JEPA: the representation of hidden blocks of an image from that of the rest.

A teacher sees the whole image; its tokens in some blocks, each normalised, are predicted by a narrow transformer from
the student's tokens of a context that contains no target. The teacher is a running average of the student whose
momentum rises to 1 in a straight line, and what is kept. Needs a vision transformer, best one that averages its
tokens: `vit`. The masks are those of the paper without the published code's defects on small grids: see
`selfsupervised/blocks.py`.

Source: M. Assran et al., 2023, arXiv:2301.08243. Published at batch 2048 (ViT-H/14): AdamW at rate 1e-3, cosine to
1e-6, decay rising from 0.04 to 0.4, a predictor of width 384 and depth 12, smooth L1 in the code and squared distance
in the paper, at least 10 patches of context.

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
    "targets": "[1, 100]",
    "target_scale": "(0, 1]",
    "target_aspect": "(0, 100]",
    "context_scale": "(0, 1]",
    "context_tokens": "[0, 1]",
    "min_keep": "[1, 100000]",
    "momentum": "[0, 1]",
    "predictor_width": "[4, 8192]",
    "predictor_depth": "[1, 100]",
    "predictor_heads": "[1, 128]",
}
LEAVES = {"optimiser": "optimisers", "schedule": "schedules", "augment": "augment"}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "100 epochs",
    batch: int = 256,
    lr: float = 0.0005,
    optimiser: Leaf = "adamw",
    weight_decay: float = 0.04,
    weight_decay_end: float | None = None,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "weights",
    schedule: Leaf = {"cosine": {"floor": 0.001}},
    warmup: LengthOrShare = 0.13,
    warmup_from: float | None = None,
    clip: float | None = None,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},
    evaluate_every: Length = "1 epochs",
    augment: list[Leaf] = [{"resized_crop": {"smallest": 0.3}}],
    targets: int = 4,
    target_scale: list[float] = [0.15, 0.2],
    target_aspect: list[float] = [0.75, 1.5],
    context_scale: list[float] = [0.85, 1.0],
    context_tokens: float = 0.25,
    min_keep: int = 4,
    loss: Literal["smooth_l1", "l2"] = "smooth_l1",
    momentum: float = 0.996,
    momentum_schedule: Literal["linear", "cosine", "constant"] = "linear",
    predictor_width: int = 96,
    predictor_depth: int = 3,
    predictor_heads: int = 4,
) -> Result:
    """Train the features of `job.build()` (or `job.initial`) on the images of `job.data`; labels are not used.

    Args:
        augment: augmentations of the image.
        targets: blocks to predict.
        target_scale: least and greatest share of the grid that a target takes.
        target_aspect: least and greatest height of a target over its width.
        context_scale: least and greatest share of the grid of the context's block.
        context_tokens: share of the grid that the context keeps, the same for every image.
        min_keep: patches that the context keeps at least.
        loss: distance of tokens.
        momentum: of the teacher, at the start.
        momentum_schedule: how it rises to 1.
        predictor_width: channels of its tokens; a multiple of 4 and of `predictor_heads`.
        predictor_depth: its blocks.
        predictor_heads: its attention heads.

    Returns:
        Values of the columns above; files `model.safetensors` (the teacher),
        `heads.safetensors` (what was trained beside it) and `curve.npz`.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
        BackboneError: a network that it cannot be built on.
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..selfsupervised.i_jepa import made
    from ..selfsupervised.parts import pretrain

    return pretrain(job, ctx, given, made)
