"""The one training loop: from a job to a trained network, its curve and its values."""

from __future__ import annotations

import math
import time
from bisect import bisect_right
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import nn

from .. import streams
from ..errors import Divergence, Stopped
from ..nets.weights import save_weights
from ..records import Context, Reason, Result
from . import checkpoint, pretraining
from .account import account
from .cadence import BEAT, Cadence
from .compose import Step
from .evaluate import Sheet
from .modes import modes
from .profiling import Profile
from .ranks import Pace, shared_state
from .reacting import Return, is_full
from .recomputing import recomputed
from .run import Job, Run, untrained
from .settings import DROPPED_WORTH_SAYING

__all__ = ["Fitted", "Job", "fit", "result", "untrained"]

#: Columns of `curve.npz`. No times: equal content must give equal bytes.
CURVE = ("step", "epoch", "train_loss", "train_accuracy", "loss", "accuracy", "lr")
SHARES = {"50%": 0.5, "75%": 0.75, "90%": 0.9, "95%": 0.95, "99%": 0.99}


@dataclass
class Fitted:
    """A finished run.

    Attributes:
        model: the kept network in evaluation mode; None if the run diverged.
        values, uncertainty: columns of the protocol `supervised`.
        curve: column name -> array, one row per evaluation.
        probes: step -> what the probe returned.
        steps: optimiser steps made.
        best_step: of the selected checkpoint, or None without `select`.
        files: files left in `ctx.out`, name -> role.
        notes: circumstances: seconds, examples dropped, steps at which the run was resumed, what was done (`trained`).
        diverged: why there is no model.
        reactions: what was done about what went wrong, in order.
    """

    model: nn.Module | None
    values: dict[str, Any] = field(default_factory=dict)
    uncertainty: dict[str, Any] = field(default_factory=dict)
    curve: dict[str, np.ndarray] = field(default_factory=dict)
    probes: dict[int, dict[str, float]] = field(default_factory=dict)
    steps: int = 0
    best_step: int | None = None
    files: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    diverged: Divergence | None = None
    reactions: tuple[dict[str, Any], ...] = ()


def result(fitted: Fitted) -> Result:
    """The record's side of a run; a divergence is an outcome."""
    if fitted.diverged is not None:
        why = fitted.diverged
        notes = {**fitted.notes, "diverged_at": why.step, "last_good": why.last_good}
        reason = Reason("loss_not_finite", str(why))
        return Result("diverged", reason=reason, notes=notes, reactions=why.reactions)
    return Result(
        values=fitted.values, uncertainty=fitted.uncertainty, files=fitted.files, notes=fitted.notes,
        reactions=fitted.reactions,
    )  # fmt: skip


def fit(
    job: Job,
    ctx: Context,
    *,
    label: str = "",
    cadence: Cadence | None = None,
    fault: checkpoint.Fault = checkpoint.ignore,
) -> Fitted:
    """Train; continue from a checkpoint in `ctx.scratch` if there is one, bit for bit.

    Args:
        job: what to train.
        ctx: the engine's side.
        label: told apart in file names (`model-LABEL.safetensors`) if one step trains several networks.
        cadence: when to beat and save.
        fault: called at each point of a checkpoint save (tests).

    Raises:
        Divergence: names the first step whose loss was not finite.
        Stopped: asked to stop; the checkpoint is saved.
        Refusal: an operator or precision that the device does not have.
    """
    begun, cadence = time.perf_counter(), cadence or Cadence()
    with modes(job.determinism, job.resolved.precision, job.device):
        run = Run(job, ctx, lambda: _beat(run, cadence))
        keeper = Keeper(run, cadence, label, fault)
        keeper.resume()
        try:
            with recomputed(run.model) if job.resolved.checkpointing else nullcontext():
                _train(run, keeper)
            fitted = finish(run, label, begun, keeper.resumed)
        except Divergence as error:
            error.reactions = run.guard.listed
            raise
        finally:
            run.alerts.close()
        fitted.reactions = run.guard.listed
        return fitted


def _train(run: Run, keeper: Keeper) -> None:
    """From where the run stands to its end."""
    run.profile = Profile(run) if run.job.profile else None
    step = _step(run)
    if run.position == 0:
        with streams.borrowed(run.stream):
            run.mark()
        run.guard.keep()
    while run.position < run.end:
        with streams.borrowed(run.stream):
            _drive(run, step, keeper.due)
        if run.guard.settle():
            step = _step(run)
        if run.position < run.end:
            keeper.look_up()
    run.guard.flush()


def _step(run: Run) -> Step:
    """The composed step, with clocks around it if a profile was asked for."""
    made = run.step()
    return made if run.profile is None else run.profile.over(made)


def _drive(run: Run, step: Step, due: Callable[[int], bool]) -> None:
    """Steps and marks until the end, or until it is time to look up."""
    rates, per_epoch = run.rates, run.settings.steps_per_epoch
    while run.position < run.end:
        i = run.position
        batch, first = run.feed.epoch(i // per_epoch), i - i % per_epoch
        until, up = run.marks[bisect_right(run.marks, i)], False
        try:
            while i < until and not up:
                step(*batch(i - first), rates[i])
                i += 1
                up = due(i)
        except (RuntimeError, MemoryError) as error:  # torch's own error of exhausted memory is a RuntimeError
            if not is_full(error):
                raise
            run.guard.trouble = _before(run, i) or error
            return
        run.position = i
        try:
            run.fold()
            if i == until:
                run.mark()
        except (Divergence, Return) as error:
            run.guard.trouble = error
            return
        if up or run.guard.due:
            return


def _before(run: Run, position: int) -> Divergence | None:
    """A step broke off behind the step `position`: forget what it left, and read the steps before it. What went wrong
    in one of them came first."""
    made, run.position = position - run.position, position
    scales = [] if run.scaling is None else run.scaling.scales
    for values in (run.losses, run.hits, run.norms, scales):
        del values[made:]
    if run.ranks:  # the others are elsewhere
        return None
    try:
        run.fold()
    except Divergence as error:
        return error
    except (RuntimeError, MemoryError) as error:
        if not is_full(error):
            raise
    return None


def _beat(run: Run, cadence: Cadence) -> None:
    if cadence.clock() > cadence.due:
        run.ctx.beat(**run.progress())
        cadence.beaten()


class Keeper:
    """Resumes a run, and between steps beats, saves and stops it."""

    def __init__(self, run: Run, cadence: Cadence, label: str, fault: checkpoint.Fault) -> None:
        self.run, self.cadence, self.fault = run, cadence, fault
        self.folder = run.ctx.scratch / label if label else run.ctx.scratch
        self.resumed: list[int] = []
        self.pace = Pace(run.ranks, cadence.clock, BEAT) if run.ranks else None
        self.due: Callable[[int], bool] = self.pace.due if self.pace else self._due

    def _due(self, _: int) -> bool:
        return self.run.ctx.stopping() or self.cadence.clock() > self.cadence.due

    def resume(self) -> None:
        """Take the newest whole checkpoint over, if it is of this job and this machine's numerics."""
        run = self.run
        if getattr(run.ctx, "replay", False):
            return  # what a replay publishes is committed at its end only, so it must pass every mark
        found = None
        if run.ranks is None or run.ranks.first:
            found = checkpoint.load(self.folder, lambda text: run.ctx.note("checkpoint_damaged", text=text))
        if found is not None and found[1]["identity"] != run.identity:
            run.ctx.note("checkpoint_foreign", text="the checkpoint is of other settings or hardware; starting again")
            found = None
        if run.ranks:  # whether it fits is decided once: the hardware of the ranks may differ
            found = shared_state(run.ranks, found)
        if found is None:
            return
        run.take(*found)
        self.resumed = [*found[1].get("resumed", []), run.position]

    def look_up(self) -> None:
        """Beat; save if it is time or the run must stop.

        Raises:
            Stopped: after the save.
        """
        run, stop, save = self.run, self.run.ctx.stopping(), self.cadence.wants_save()
        run.alerts.glance(run.position)
        save = save or run.alerts.save
        if self.pace:
            stop, save = self.pace.agree(run.position, stop, save)
        self.tend(stop or save)
        run.alerts.save = False
        if run.alerts.spare:
            checkpoint.spare(self.folder)
            run.alerts.spare = False
        if stop:
            raise Stopped(f"stopped after optimiser step {run.position} of {run.settings.total_steps}; saved")

    def tend(self, save: bool) -> None:
        """Beat, and save if asked to."""
        run = self.run
        run.ctx.beat(**run.progress())
        if not save:
            self.cadence.beaten()
            return
        before = time.perf_counter()
        tensors, plain = run.state()
        if run.ranks is None or run.ranks.first:
            checkpoint.save(self.folder, tensors, {**plain, "resumed": self.resumed}, self.fault)
        cost = time.perf_counter() - before
        run.spent["checkpoint_s"] += cost
        self.cadence.saved(cost)


def finish(run: Run, label: str, begun: float, resumed: list[int]) -> Fitted:
    """Last evaluations, files and values of a run that reached its end."""
    model = run.network.eval()
    if run.objective is not None:
        made = pretraining.finish(run, label)
        return Fitted(model, made.values, made.uncertainty, made.curve, run.probes, run.position, None, made.files,
                      _notes(run, begun, resumed))  # fmt: skip
    with run.aside("final", run.position):
        training = run.scores(Sheet(run.training))
        validation = run.last or run.scores(run.validation)
    if not math.isfinite(training.loss + validation.loss):
        raise Divergence("the loss of the final weights is not finite", run.position)
    run.publish_best()
    curve = {name: np.array([row[name] for row in run.rows], np.float64) for name in CURVE}
    curve["step"] = curve["step"].astype(np.int64)
    tail = f"-{label}" if label else ""
    files = {f"model{tail}.safetensors": "model", f"curve{tail}.npz": "table"}
    save_weights(run.ctx.out / f"model{tail}.safetensors", model)
    with (run.ctx.out / f"curve{tail}.npz").open("wb") as file:
        np.savez(file, **curve)  # type: ignore[arg-type]
    values: dict[str, Any] = {
        "accuracy": validation.accuracy, "loss": validation.loss,
        "train_accuracy": training.accuracy, "train_loss": training.loss,
        "parameters": sum(value.numel() for value in run.params.values()), "steps": run.position,
        "curve": {str(row["step"]): row["accuracy"] for row in run.rows}, "reach": _reach(run.rows),
    }  # fmt: skip
    if run.best["value"] is not None:
        accuracy, loss = run.best["scores"]
        values |= {"best_step": run.best["step"], "best_accuracy": accuracy, "best_loss": loss}
    uncertainty = {
        "accuracy": _share(validation.accuracy, validation.n), "train_accuracy": _share(training.accuracy, training.n),
        "loss": {"se": validation.loss_se, "n": validation.n, "kind": "normal"},
        "train_loss": {"se": training.loss_se, "n": training.n, "kind": "normal"},
    }  # fmt: skip
    best = run.best["step"] if run.best["value"] is not None else None
    notes = _notes(run, begun, resumed)
    return Fitted(model, values, uncertainty, curve, run.probes, run.position, best, files, notes)


def _notes(run: Run, begun: float, resumed: list[int]) -> dict[str, Any]:
    """Circumstances of a run: seconds, what was done, examples dropped, published steps that were not reached."""
    settings = run.settings
    notes: dict[str, Any] = {"seconds": {"total": time.perf_counter() - begun, **run.spent}, "resumed_at": resumed}
    notes["trained"] = account(run)
    if run.taken is not None:
        notes["initial"] = {"loaded": list(run.taken.loaded), "fresh": list(run.taken.fresh)}
    if run.profile is not None:
        notes["profile"] = run.profile.told()
    if run.guard.listed:
        notes["reactions"] = list(run.guard.listed)
    if settings.dropped > DROPPED_WORTH_SAYING * settings.n_train:
        notes["dropped"] = f"{settings.dropped} of {settings.n_train} examples of each epoch's order fill no batch"
    missed = sorted(step for step in run.job.publish if isinstance(step, int) and step > run.position)
    if missed:
        notes["not_reached"] = missed
    return notes


def _share(value: float, n: int) -> dict[str, Any]:
    return {"se": math.sqrt(value * (1 - value) / n), "n": n, "kind": "binomial"}


def _reach(rows: list[dict[str, float]]) -> dict[str, int]:
    """First evaluated step with at least that share of the final accuracy."""
    if not rows or rows[-1]["accuracy"] == 0.0:
        return {}
    final = rows[-1]["accuracy"]
    return {
        label: int(next(row["step"] for row in rows if row["accuracy"] >= share * final))
        for label, share in SHARES.items()
    }
