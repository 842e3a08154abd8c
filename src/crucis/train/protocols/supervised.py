"""Supervised training of a classifier with cross-entropy.

The loss of a batch is the mean over its examples of -log softmax(logits)[label], with label smoothing s against the
target (1 - s) one-hot + s / K. Batches are consecutive pieces of a fresh permutation per epoch; examples that fill no
last batch wait for another epoch. Weights are kept in fp32. Evaluations use the weights that the record will hold:
the running average where `ema` is set.

Columns: `accuracy` and `loss` on the validation split, `train_accuracy` and `train_loss` on the training split, both
without augmentation, with the final weights in evaluation mode; `curve` is the validation accuracy at each evaluation;
`reach` is the first evaluated step with at least that share of the final accuracy. The file `curve.npz` has one row
per evaluation: step, epoch, train_loss and train_accuracy (running means since the row before, in training mode),
loss, accuracy (validation), lr.

How long, if the run decides (`for: plateau`): until the schedule `plateau` finds one at its `floor`, or at a constant
rate until `patience` ends.
    at_most: the longest that it may last; says nothing beside another length.

What changes on the way, and which parameters it reaches:
    weight_decay_end: strength after the last step; it goes there from `weight_decay`, if given.
    weight_decay_schedule: by half a cosine or in a straight line.
    decay_on: `weights`: parameters with two or more dimensions that the network does not exempt; `all`;
        `all_but_norm`: all but those of normalising layers; `conv`: weights of dense layers and of convolutions
        that are not depthwise.
    rate_every: the rate changes at every step, or is that of its epoch's first step, or (`epoch_late`) that of the
        first step of the epoch before: a schedule that is one epoch late.
    warmup_from: share f of the rate at the first step: f + (1 - f) k / W at step k; without it (k + 1) / W.
    warmup_shape: a straight line, or `warmup_from` throughout and then a jump.
    warmup_joins: `before`: the schedule spans the steps after the warm-up; `replaces`: it counts from the first
        step, and the warm-up stands in its place; `multiplies`: it counts from the first step and the warm-up is a
        factor of it; `auto`: the first for cosine, linear and polynomial, the second for the others.
    ema_warmup: memory of at most (1 + k) / (10 + k) after k steps.
    ema_every: steps between updates of the average.
    ema_statistics: average the running statistics of normalising layers too (floating-point buffers), instead of
        taking those of the trained network.

What it sees:
    repeats: times that an example stands in an epoch, one after the other, each with its own augmentation; an
        epoch keeps its length and holds that fraction of the examples (repeated augmentation).

Where it begins:
    initial: key of a record (or its first eight characters or more) whose weights training begins with.
    initial_head: with `initial` or `of`: the last dense layer comes from there as well, or is drawn anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ...types import Leaf, Length, LengthOrShare, Watch
from ..settings import resolve

if TYPE_CHECKING:
    from ...records import Context, Result
    from ..fit import Job

REVISION = 2
RANDOM = True
RANKS = True  # several ranks may train one network
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "loss": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "train_accuracy": {"unit": "fraction", "range": [0, 1], "axes": []},
    "train_loss": {"unit": "nats", "range": [0, None], "axes": []},
    "parameters": {"unit": "count", "range": [0, None], "axes": []},
    "steps": {"unit": "count", "range": [0, None], "axes": []},
    "best_step": {"unit": "count", "range": [0, None], "axes": []},
    "best_accuracy": {"unit": "fraction", "range": [0, 1], "axes": []},
    "best_loss": {"unit": "nats", "range": [0, None], "axes": []},
    "seconds": {"unit": "seconds", "range": [0, None], "axes": [], "cost": True},
    "memory": {"unit": "bytes", "range": [0, None], "axes": [], "cost": True},
    "curve": {"unit": "fraction", "range": [0, 1], "axes": ["step"]},
    "reach": {"unit": "count", "range": [0, None], "axes": ["share"]},
}
AXES = {"share": ["50%", "75%", "90%", "95%", "99%"]}
LIMITS = {
    "batch": "[1, 1000000]",
    "lr": "(0, 100]",
    "weight_decay": "[0, 10]",
    "weight_decay_end": "[0, 10]",
    "warmup_from": "[0, 1]",
    "label_smoothing": "[0, 1)",
    "clip": "(0, 1000000]",
    "accumulate": "[1, 10000]",
    "repeats": "[1, 100]",
    "ema": "[0, 1)",
    "ema_every": "[1, 1000000]",
    "patience": "[1, 100000]",
}
LEAVES = {"optimiser": "optimisers", "schedule": "schedules", "augment": "augment"}


def train(
    job: Job,
    ctx: Context,
    *,
    length: Length = "20 epochs",
    at_most: Length | None = None,
    batch: int = 128,
    lr: float = 0.1,
    optimiser: Leaf = "sgd",
    weight_decay: float = 0.0005,
    weight_decay_end: float | None = None,
    weight_decay_schedule: Literal["cosine", "linear"] = "cosine",
    decay_on: Literal["weights", "all", "all_but_norm", "conv"] = "weights",
    schedule: Leaf = "cosine",
    rate_every: Literal["step", "epoch", "epoch_late"] = "step",
    warmup: LengthOrShare = 0.05,
    warmup_from: float | None = None,
    warmup_shape: Literal["linear", "constant"] = "linear",
    warmup_joins: Literal["auto", "before", "replaces", "multiplies"] = "auto",
    label_smoothing: float = 0.0,
    clip: float | None = None,
    accumulate: int = 1,
    ema: float | None = None,
    ema_warmup: bool = False,
    ema_every: int = 1,
    ema_statistics: bool = False,
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32",
    compile: bool = False,
    augment: list[Leaf] = [],  # noqa: B006 - a literal that is read, never changed
    repeats: int = 1,
    select: Literal["accuracy", "loss"] | None = None,
    patience: int | None = None,
    evaluate_every: Length = "1 epochs",
    head: Literal["shared", "per_task"] = "shared",
    on_memory: Literal["stop", "halve_batch"] = "stop",
    on_not_finite: Literal["stop", "skip", "lower_lr"] = "stop",
    watch: Watch = {},  # noqa: B006 - a literal that is read, never changed
    checkpointing: bool = False,
    initial: str | None = None,
    initial_head: Literal["keep", "new"] = "keep",
) -> Result:
    """Train `job.build()` (or `job.initial`) on `job.data`; the defaults are the house recipe `sgd-cosine`.

    Args:
        length: how long, in epochs or optimiser steps, or `plateau` (written `for` in a study).
        batch: examples per optimiser step; a smaller training split is one batch.
        lr: peak learning rate.
        optimiser: the update rule.
        weight_decay: its strength.
        schedule: the course of the learning rate.
        warmup: rise at the start, as a share of training or a length of W steps.
        label_smoothing: share of the target spread over all classes, 0 to below 1.
        clip: largest Euclidean norm of the whole gradient.
        accumulate: chunks that a batch is computed in; batch norm sees the chunks.
        ema: memory of the running average of the weights, per update; the average is what is evaluated and kept.
        precision: of the arithmetic; fp16 scales the loss.
        compile: compile the network (worth it for long runs only).
        augment: augmentations of the training images, applied in this order.
        select: validation metric that decides which checkpoint is `best`.
        patience: evaluations without improvement of `select` after which training ends.
        evaluate_every: distance of evaluations on the validation split.
        head: `per_task` compares only the classes that the view keeps.
        on_memory: what exhausted device memory does: a failure, or chunks of half the size (batch norm sees them).
        on_not_finite: what a NaN or infinite loss does: end the training, leave the step out, or (`lower_lr`) go back
            to the last good evaluation with half the rate, three times at most.
        watch: rules `{condition: action}` over the running training; see docs/training.md.
        checkpointing: keep only the inputs of the network's blocks and compute the rest again: less memory, same bits.

    Returns:
        Values of the columns above; files `model.safetensors` (the last weights) and `curve.npz`.

    Raises:
        Divergence: the loss of a step was not finite; names the first such step.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..fit import fit, result

    return result(fit(replace(job, settings=resolve(given, len(job.data.train))), ctx))
