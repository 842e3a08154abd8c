"""What a training did, for the record's notes: options of each group, rates of the steps, augmentations drawn.

Read from the objects that ran, not from the parameters that asked for them. Part of no digest of content.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..data.augmenting import called
from .groups import rules
from .published.rates import Rates
from .run import Run


def account(run: Run) -> dict[str, Any]:
    """JSON values: `optimiser` (class, or its name here), `groups` (options, number of tensors and of weights),
    `not_decayed` and `decay_on` (names of parameters; the choices that would spare these), `not_adapted` (names, where
    tensors have rates of their own), `rates` (see `published.rates`), `decays` (the same of a changing weight decay),
    `updates`, `batch`, `n_train`, `steps_per_epoch`, `augment`, `label_smoothing`, `clip`, `ema` and what belongs to
    it, `precision`; with an objective also `objective` (what it says of itself) and `views`, and
    `ranks` if there were several, `without_update` (steps among `updates` that changed no weight: overflows, skipped
    losses) if there were any, `chunks` of a batch at the end of the run if there were several, `checkpointing`, and
    under fp16 the last `scale` of the loss."""
    names = {id(value): name for name, value in run.params.items()}
    settings = run.settings
    groups: list[dict[str, Any]] = []
    free: list[str] = []
    plain: list[str] = []
    for group in run.optimiser.param_groups:
        options = {k: v for k, v in group.items() if k not in ("params", "lr") and _plain(v)}
        weights = sum(value.numel() for value in group["params"])
        groups.append({"options": options, "tensors": len(group["params"]), "weights": weights})
        mine = [names.get(id(value), "?") for value in group["params"]]
        free += mine if not group.get("decays", group.get("weight_decay", 0.0) != 0.0) else []
        plain += mine if not group.get("adapt", True) else []
    kind = type(run.optimiser)
    out = {
        "optimiser": getattr(kind, "LEAF", kind.__name__), "groups": groups, "not_decayed": sorted(free),
        "decay_on": rules(run.model, frozenset(free)),
        "rates": Rates.of(np.array(run.rates[: run.position], np.float64)).as_dict(), "updates": run.position,
        "batch": settings.batch, "n_train": settings.n_train, "steps_per_epoch": settings.steps_per_epoch,
        "augment": [_step(step) for step in run.feed.pipeline.steps], "repeats": settings.repeats,
        "label_smoothing": settings.label_smoothing,
        "clip": settings.clip, "ema": settings.ema, "precision": settings.precision,
        **({} if run.objective is None else {"objective": run.objective.about(), "views": _views(run)}),
        **({"ranks": run.ranks.world} if run.ranks else {}),
    }  # fmt: skip
    if run.count.missed:
        out["without_update"] = run.count.missed
    if run.guard.chunks > 1:
        out["chunks"] = run.guard.chunks
    if settings.checkpointing:
        out["checkpointing"] = True
    if run.scaling is not None:
        out["scale"] = run.scaling.scaler.get_scale()
    if any("adapt" in group for group in run.optimiser.param_groups):
        out["not_adapted"] = sorted(plain)
    if run.decays is not None:
        out["decays"] = Rates.of(np.array(run.decays[: run.position], np.float64)).as_dict()
    if settings.ema is not None:
        out |= {"ema_warmup": settings.ema_warmup, "ema_every": settings.ema_every,
                "ema_statistics": settings.ema_statistics}  # fmt: skip
    return out


def _views(run: Run) -> list[list[dict[str, Any]]]:
    """The augmentations of each view that an objective sees."""
    return [[_step(step) for step in steps] for steps in run.objective.views] if run.objective is not None else []


def _plain(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _step(step: Any) -> dict[str, Any]:
    """An augmentation by its leaf, with its fields."""
    fields = dataclasses.asdict(step) if dataclasses.is_dataclass(step) and not isinstance(step, type) else {}
    return {"name": called(step), **{k: v for k, v in fields.items() if _plain(v)}}
