"""What a training did, for the record's notes: options of each group, rates of the steps, augmentations drawn.

Read from the objects that ran, not from the parameters that asked for them. Part of no digest of content.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .published.rates import Rates
from .run import Run


def account(run: Run) -> dict[str, Any]:
    """JSON values: `optimiser` (class), `groups` (options, number of tensors and of weights), `not_decayed` (names),
    `rates` (see `published.rates`), `updates`, `batch`, `n_train`, `steps_per_epoch`, `augment`, `label_smoothing`,
    `clip`, `ema`, `precision`, and `ranks` if there were several."""
    names = {id(value): name for name, value in run.params.items()}
    settings = run.settings
    groups: list[dict[str, Any]] = []
    free: list[str] = []
    for group in run.optimiser.param_groups:
        options = {k: v for k, v in group.items() if k not in ("params", "lr") and _plain(v)}
        weights = sum(value.numel() for value in group["params"])
        groups.append({"options": options, "tensors": len(group["params"]), "weights": weights})
        if group.get("weight_decay", 0.0) == 0.0:
            free += [names.get(id(value), "?") for value in group["params"]]
    return {
        "optimiser": type(run.optimiser).__name__, "groups": groups, "not_decayed": sorted(free),
        "rates": Rates.of(np.array(run.rates[: run.position], np.float64)).as_dict(), "updates": run.position,
        "batch": settings.batch, "n_train": settings.n_train, "steps_per_epoch": settings.steps_per_epoch,
        "augment": [_step(step) for step in run.feed.pipeline.steps], "label_smoothing": settings.label_smoothing,
        "clip": settings.clip, "ema": settings.ema, "precision": settings.precision,
        **({"ranks": run.ranks.world} if run.ranks else {}),
    }  # fmt: skip


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _step(step: Any) -> dict[str, Any]:
    """An augmentation by its class, with its fields."""
    fields = dataclasses.asdict(step) if dataclasses.is_dataclass(step) and not isinstance(step, type) else {}
    return {"name": type(step).__name__.lower(), **{k: v for k, v in fields.items() if _plain(v)}}
