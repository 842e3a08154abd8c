"""What goes along with the optimiser steps: the strength of weight decay, and running averages of the weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .groups import trained

if TYPE_CHECKING:
    from .run import Run

Act = Callable[[], Any]


class Count:
    """Optimiser steps: `at`, the place of the coming one in the courses; `made`, those that updated the weights. Both
    are kept only where something depends on them. `missed`: steps of the run that made no update, known since they were
    last read."""

    def __init__(self) -> None:
        self.at = self.made = self.missed = 0


def follow(run: Run) -> tuple[list[Tensor] | None, list[Act], list[Act]]:
    """The weights of an average that moves by the same share at every step (the tail does that), or None; what to do
    before and behind the tail. Nothing that was not asked for.

    A step that makes no update (an overflow under fp16, a loss that a rule skips) takes its place in the courses of
    rate and weight decay, as with the schedulers of timm and of torch, which follow the iterations. An average does not
    move in it, and it does not count for `ema_warmup` and `ema_every`: there is no new weight to average."""
    before: list[Act] = []
    behind: list[Act] = []
    settings, count = run.settings, run.count

    def counted() -> None:
        count.made += 1

    plain = settings.ema_every == 1 and not settings.ema_warmup and not settings.ema_statistics
    own = run.average is not None and not plain
    if own:
        behind.append(counted)
    if run.decays is not None:
        before.append(_strength(run.optimiser, run.decays, count))
    if run.average is not None and own:
        average = _average(run.model, run.average, settings.ema_statistics)
        behind.append(_seldom(average, settings.ema or 0.0, settings.ema_warmup, settings.ema_every, count))
    if run.average is None or own:
        return None, before, behind
    return [value.detach() for value in trained(run.average).values()], before, behind


def _strength(optimiser: torch.optim.Optimizer, decays: list[float], count: Count) -> Act:
    """Give the groups that decay the strength of the coming step."""
    groups = [group for group in optimiser.param_groups if group["decays"]]

    def act() -> None:
        strength = decays[count.at]
        count.at += 1
        for group in groups:
            group["weight_decay"] = strength

    return act


def _seldom(average: Callable[[float], None], memory: float, warm: bool, every: int, count: Count) -> Act:
    """An average whose memory rises with the steps made (tf.train.ExponentialMovingAverage with num_updates), or that
    is updated once in `every` steps."""

    def act() -> None:
        k = count.made
        if k % every == 0:
            average(1 - (min(memory, (1 + k) / (10 + k)) if warm else memory))

    return act


def _average(model: nn.Module, average: nn.Module, statistics: bool) -> Callable[[float], None]:
    """Move the averaged weights by a share of their distance to the trained ones; with `statistics`, buffers too."""
    mine = [value.detach() for value in trained(average).values()]
    live = [value.detach() for value in trained(model).values()]

    def weights(share: float) -> None:
        torch._foreach_lerp_(mine, live, share)

    pairs = list(zip(average.modules(), model.modules(), strict=True))

    def both(share: float) -> None:
        torch._foreach_lerp_(mine, live, share)
        for ours, theirs in pairs:  # by name: layers may put new tensors in place of their buffers
            for name, value in theirs._buffers.items():
                kept = ours._buffers[name]
                if value is not None and kept is not None:
                    kept.lerp_(value, share) if _floating(kept) else kept.copy_(value)

    return both if statistics else weights


def _floating(value: Tensor) -> bool:
    """Whether a buffer is averaged; counts are taken over as they are."""
    return value.is_floating_point()
