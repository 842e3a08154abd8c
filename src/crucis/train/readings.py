"""The metrics that rules over a running training look at, at an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import Refusal
from .evaluate import evaluation_mode
from .watching import EVALUATED

if TYPE_CHECKING:
    from .run import Run


class Scored(Protocol):
    """What an evaluation found."""

    @property
    def loss(self) -> float:
        """On the validation split."""
        ...

    @property
    def accuracy(self) -> float:
        """A share."""
        ...


def after_row(run: Run, whole: np.ndarray, scores: Scored) -> None:
    """Rules, alerts and an adapting schedule, once the row of an evaluation stands.

    Args:
        whole: losses first, and norms last if rules ask for them, of the steps since the evaluation before.
        scores: of this evaluation.
    """
    step, values = run.position, {}
    if run.guard.rules or run.alerts.rules:
        values = readings(run, whole[0], whole[-1] if run.wants_norm else None)
        run.alerts.look(step, values)
    run.guard.look(step, values)
    if run.adapting is not None and run.adapting.look(step, scores):
        run.retime()
    if run.settings.to_plateau and run.adapting is not None and run.adapting.done:
        run.end = step


def readings(run: Run, losses: np.ndarray, norms: np.ndarray | None) -> dict[str, Any]:
    """Metric -> value, or one value per step since the evaluation before; what has no value yet is left out.

    Args:
        run: its last row is that of this evaluation.
        losses: of the steps since the evaluation before, float64 (k,).
        norms: of the gradients in these steps, float64 (k,), if a rule asks for them.

    Raises:
        Refusal: `not_applicable`, where a rule asks for features of a network without a dense layer.
    """
    row, before = run.rows[-1], run.rows[:-1]
    values: dict[str, Any] = {name: row[name] for name in EVALUATED if name in row}
    if norms is not None and run.scaling is not None:  # steps whose gradient overflowed were not made
        losses, norms = losses[np.isfinite(norms)], norms[np.isfinite(norms)]
    values |= {"batch_loss": losses} | ({} if norms is None else {"grad_norm": norms})
    now = row["train_loss"]
    if before:
        last, least = before[-1]["train_loss"], min(old["train_loss"] for old in before)
        if last > 0:
            values["loss_increase"] = (now - last) / last
        if least > 0:
            values["loss_rise"] = (now - least) / least
    classes = run.job.data.classes if run.head.classes is None else len(run.head.classes)
    if classes > 1 and run.objective is None:
        values["loss_chance"] = now / math.log(classes)
    if "feature_variance" not in values and any(
        "feature_variance" in rule.metrics for rule in (*run.guard.rules, *run.alerts.rules)
    ):
        with run.aside("features", run.position):
            values["feature_variance"] = _feature_variance(run)
    if run.ranks and any("feature_variance" in rule.metrics for rule in run.guard.rules):  # one number decides
        values["feature_variance"] = float(run.ranks.share(repr(values["feature_variance"]).encode()))
    return values


def _feature_variance(run: Run) -> float:
    """Variance over the examples of a validation batch of what the last dense layer is given, mean over features."""
    dense = [part for part in run.network.modules() if isinstance(part, nn.Linear)]
    if not dense:
        raise Refusal("not_applicable", "feature_variance looks at what the last dense layer is given; there is none")
    seen: list[Tensor] = []
    hook = dense[-1].register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    try:
        _, x, _, count = next(run.validation.batches())
        with evaluation_mode(run.network), torch.no_grad():
            run.network(x)
    finally:
        hook.remove()
    features = seen[-1][:count].float()
    features = features.flatten(1, -2).mean(1) if features.ndim > 2 else features
    return float(features.var(0, correction=0).mean())
