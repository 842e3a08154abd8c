"""What a training changes on its way, as tables of one number per optimiser step, made before the loop. Torch-free."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .settings import Settings

DECAYS = ("cosine", "linear")
SHAPES = ("linear", "constant")
JOINS = ("auto", "before", "replaces", "multiplies")
GRAINS = ("step", "epoch", "epoch_late")


def multipliers(settings: Settings) -> list[float]:
    """The factor of `lr` at every step: the schedule, with a warm-up over its first W steps.

    The warm-up is a factor of what it leads to: (k + 1) / W, or from the share f on f + (1 - f) k / W, or f itself. It
    leads to the value that the schedule starts with, or (`multiplies`) to the schedule's own value at each step. A
    schedule whose leaf declares `AFTER_WARMUP = True` spans the steps that are left; any other counts from the first
    step, so that its milestones stay where they are written; `warmup_joins` may say otherwise. With `rate_every:
    epoch` a step has the factor of its epoch's first one, with `epoch_late` that of the first one of the epoch before
    (the first two epochs share theirs), as where a scheduler is told after each epoch which one has ended.
    """
    leaf = settings.schedule.load("schedules")
    joins = settings.warmup_joins
    if joins == "auto":
        joins = "before" if getattr(leaf, "__globals__", {}).get("AFTER_WARMUP", False) else "replaces"
    total, per_epoch = settings.total_steps, settings.steps_per_epoch
    warm = min(settings.warmup_steps, total)
    before = joins == "before"
    body = [float(x) for x in leaf(total - warm if before else total, per_epoch, **settings.schedule.params)]
    body = ([body[0] if body else 1.0] * warm + body) if before else body
    if len(body) != total:
        from .settings import SettingsError

        raise SettingsError("schedule", f"{settings.schedule.name} gave {len(body)} values for {total} steps")
    rise = [_rise(settings, k, warm) for k in range(warm)]
    goal = body[:warm] if joins == "multiplies" else body[:1] * warm
    table = [factor * end for factor, end in zip(rise, goal, strict=True)] + body[warm:]
    if settings.rate_every == "step":
        return table
    late = per_epoch if settings.rate_every == "epoch_late" else 0
    return [table[max(0, k - k % per_epoch - late)] for k in range(total)]


def _rise(settings: Settings, k: int, warm: int) -> float:
    start = settings.warmup_from
    if start is None:
        return (k + 1) / warm
    return start if settings.warmup_shape == "constant" else start + (1 - start) * (k / warm)


def decays(settings: Settings) -> list[float] | None:
    """The strength of weight decay at every step k of n, from start to end, or None if it does not change.

    start + (end - start) (1 - cos(pi k / n)) / 2 or start + (end - start) k / n; the end itself is reached at k = n.
    """
    start, end, total = settings.weight_decay, settings.weight_decay_end, settings.total_steps
    if end is None:
        return None
    if settings.weight_decay_schedule == "linear":
        return [start + (end - start) * k / total for k in range(total)]
    return [start + (end - start) * (1 - math.cos(math.pi * k / total)) / 2 for k in range(total)]
