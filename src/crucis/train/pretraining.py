"""Marks and end of a run with an objective: its rows, what is published, values and files."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..data.batches import Resident
from ..errors import Divergence
from ..nets.weights import save_weights
from . import monitor
from .evaluate import evaluation_mode
from .modes import autocast
from .readings import after_row
from .seeing import Seeing

if TYPE_CHECKING:
    from .run import Run

#: Columns of an evaluation, in order.
EVALUATED = ("loss", "knn_accuracy", "linear_accuracy", "feature_variance", "feature_std", "effective_rank")


@dataclass(frozen=True)
class Found:
    """An evaluation: column -> value, for `n` validation examples."""

    columns: dict[str, float]
    n: int

    @property
    def loss(self) -> float:
        """On the validation split."""
        return self.columns["loss"]

    @property
    def accuracy(self) -> float:
        """Of the nearest neighbours: what a schedule that looks at accuracies looks at."""
        return self.columns["knn_accuracy"]

    def published(self) -> dict[str, float]:
        """What the record of a checkpoint holds beside its step."""
        return self.columns


def evaluate(run: Run) -> Found:
    """The loss on the validation split, in batches of the training's size with draws that never change, and what the
    frozen features of the kept network are worth."""
    before = time.perf_counter()
    objective, job = run.objective, run.job
    assert objective is not None
    split = run.validation.split
    held = Seeing(split, run.settings, job.streams, objective)
    total, count = torch.zeros((), dtype=torch.float64), 0
    both = nn.ModuleList(part for part in (objective.student, objective.teacher) if part is not None)
    with evaluation_mode(both), torch.no_grad(), objective.alone():
        for seen in held.fixed("validation"):
            total += objective.loss(seen)["loss"].double().cpu()
            count += 1
            run.tick()
    columns = {"loss": float(total) / count, **_worth(run, split)}
    if run.ranks:  # each computed them whole; schedules and rules decide on one and the same number
        columns = json.loads(run.ranks.share(json.dumps(columns).encode()))
    run.spent["evaluation_s"] += time.perf_counter() - before
    return Found({name: columns[name] for name in EVALUATED}, split.n)


def _worth(run: Run, split: Resident) -> dict[str, float]:
    objective, classes = run.objective, run.job.data.classes
    assert objective is not None
    kept = objective.kept

    def context() -> Any:
        return autocast(run.settings.precision, run.job.device)

    bank, known = monitor.features(kept, run.training, monitor.BANK, context, run.tick)
    x, y = monitor.features(kept, split, None, context, run.tick)
    if not bool(torch.isfinite(x).all() & torch.isfinite(bank).all()):
        raise Divergence("the features are not finite", run.position)
    return {
        "knn_accuracy": monitor.neighbours(bank, known, x, y, classes),
        "linear_accuracy": monitor.linear(bank, known, x, y, classes), **monitor.collapse(x),
    }  # fmt: skip


def row(run: Run, step: int) -> None:
    """The row of the curve that is due at `step`.

    Raises:
        Divergence: the loss on the validation split is not finite.
    """
    assert run.objective is not None
    with run.aside("evaluate", step):
        found = evaluate(run)
    if not np.isfinite(found.columns["loss"]):
        raise Divergence("the validation loss is not finite", step, run.last_loss)
    run.found = found
    whole = np.concatenate(run.folded, axis=1)
    losses, *totals = whole[:-1] if run.wants_norm else whole
    run.folded = []
    if not losses.size:
        raise Divergence("every step since the evaluation before was skipped", step)
    run.rows.append({
        "step": step, "epoch": step / run.settings.steps_per_epoch, "train_loss": float(losses.mean()),
        **{f"train_{name}": float(values.mean()) for name, values in zip(run.objective.totals, totals, strict=True)},
        **found.columns, "lr": run.rates[step - 1],
    })  # fmt: skip
    after_row(run, whole, found)


@dataclass(frozen=True)
class Finished:
    """What a run with an objective leaves: see `fit.Fitted`."""

    values: dict[str, Any]
    uncertainty: dict[str, Any]
    curve: dict[str, np.ndarray]
    files: dict[str, str]


def finish(run: Run, label: str) -> Finished:
    """Values, uncertainty, curve and files of a run that reached its end."""
    assert run.objective is not None
    tail = f"-{label}" if label else ""
    out = run.ctx.out
    curve = {name: np.array([row[name] for row in run.rows], np.float64) for name in run.rows[-1]}
    curve["step"] = curve["step"].astype(np.int64)
    files = {f"model{tail}.safetensors": "model", f"curve{tail}.npz": "table", f"heads{tail}.safetensors": "model"}
    save_weights(out / f"model{tail}.safetensors", run.network)
    save_weights(out / f"heads{tail}.safetensors", beside(run))
    with (out / f"curve{tail}.npz").open("wb") as file:
        np.savez(file, **curve)  # type: ignore[arg-type]
    last = run.rows[-1]
    values: dict[str, Any] = {name: last[name] for name in (*EVALUATED, "train_loss")}
    values |= {
        "parameters": sum(value.numel() for value in run.network.parameters()),
        "trained_parameters": sum(value.numel() for value in run.params.values()), "steps": run.position,
        "curve": {str(row["step"]): row["knn_accuracy"] for row in run.rows},
    }  # fmt: skip
    n = run.validation.n
    uncertainty = {
        name: {"se": float(np.sqrt(values[name] * (1 - values[name]) / n)), "n": n, "kind": "binomial"}
        for name in ("knn_accuracy", "linear_accuracy")
    }
    return Finished(values, uncertainty, curve, files)


def beside(run: Run) -> dict[str, Tensor]:
    """What was trained with the kept network and is no part of it: heads, the other of student and teacher."""
    assert run.objective is not None
    inside = {value.data_ptr() for value in run.network.state_dict(keep_vars=True).values() if value.numel()}
    student = {f"student/{name}": value for name, value in run.objective.student.state_dict(keep_vars=True).items()}
    every = {**student, **run.objective.extra_state()}
    return {name: value.detach() for name, value in every.items() if value.data_ptr() not in inside}
