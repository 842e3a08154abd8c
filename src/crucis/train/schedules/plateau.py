"""The learning rate divided when a validation metric has stopped improving.

After each evaluation: an improvement is a loss below best * (1 - threshold), or an accuracy above best *
(1 + threshold) (with `absolute`, best -+ threshold). After more than `patience` evaluations in a row without one, the
rate is multiplied by `factor`, down to `floor`; then `cooldown` evaluations are not counted. These are the rules of
`torch.optim.lr_scheduler.ReduceLROnPlateau`, with `evaluate_every` as its step.
Source: K. He et al., 2016, arXiv:1512.03385, section 3.4 ("divided by 10 when the error plateaus").
Reference case: losses 1, 1, 1 with patience 1 and factor 0.1 give the rates 1, 1, 0.1 of what follows each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

REVISION = 1
AT_EVALUATIONS = True
LIMITS = {
    "factor": "(0, 1)", "patience": "[0, 100000]", "threshold": "[0, 1]", "cooldown": "[0, 100000]", "floor": "[0, 1]",
}  # fmt: skip


def schedule(
    total_steps: int,
    steps_per_epoch: int,  # noqa: ARG001
    *,
    metric: Literal["loss", "accuracy"] = "loss",  # noqa: ARG001
    factor: float = 0.1,  # noqa: ARG001
    patience: int = 10,  # noqa: ARG001
    threshold: float = 0.0001,  # noqa: ARG001
    absolute: bool = False,  # noqa: ARG001
    cooldown: int = 0,  # noqa: ARG001
    floor: float = 0.0,  # noqa: ARG001
) -> list[float]:
    """One multiplier per optimiser step, before anything is known of the run: 1.

    Args:
        metric: of the validation split.
        factor: what the rate is multiplied with, above 0 and below 1.
        patience: evaluations without improvement that are borne.
        threshold: least improvement, as a share of the best value (or absolute).
        absolute: whether `threshold` is a difference.
        cooldown: evaluations after a reduction that are not counted.
        floor: least rate, as a share of the written one.
    """
    return [1.0] * total_steps


def adapt(
    state: Mapping[str, Any],
    scores: Mapping[str, float],
    *,
    metric: str = "loss",
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 0.0001,
    absolute: bool = False,
    cooldown: int = 0,
    floor: float = 0.0,
) -> dict[str, Any]:
    """The state after one more evaluation; `level` is the multiplier of the rate from here on, and `done` says that
    it would fall below `floor`: what ends a training `for: plateau`.

    Args:
        state: what the last call gave; empty at the first evaluation.
        scores: `loss` and `accuracy` on the validation split.
    """
    best, bad, rest = state.get("best"), state.get("bad", 0), state.get("rest", 0)
    level, value = state.get("level", 1.0), scores[metric]
    sign, done = (-1.0 if metric == "loss" else 1.0), False
    least = None if best is None else best + sign * threshold if absolute else best * (1 + sign * threshold)
    if least is None or sign * value > sign * least:
        best, bad = value, 0
    else:
        bad += 1
    if rest > 0:
        rest, bad = rest - 1, 0
    if bad > patience:
        done = level <= floor * (1 + 1e-9)  # 0.1 * 0.1 is a little more than 0.01
        level, rest, bad = max(level * factor, floor), cooldown, 0
    return {"best": best, "bad": bad, "rest": rest, "level": level} | ({"done": True} if done else {})
