"""From a job to a network that has learned games: the loop, its checkpoints, and the values of its record."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ...errors import Stopped
from ...nets.weights import save_weights
from ...records import Context, Result
from .. import checkpoint
from ..cadence import Cadence
from ..modes import modes
from ..run import Job
from ..settings import SettingsError
from .account import account
from .play import Returns, evaluate
from .run import QRun
from .settings import QSettings

#: Columns of `returns.npz`, one row per evaluation of a game.
ROWS = ("step", "agent_steps", "playing", "game", "mean", "se", "loss")


def learn(job: Job, ctx: Context, settings: QSettings, cadence: Cadence | None = None) -> Result:
    """Play and learn; continue from a checkpoint in `ctx.scratch` if there is one, bit for bit.

    Raises:
        SettingsError: games that do not fit the data set, checkpoints that were asked for, batch norm.
        Divergence: names the first update whose loss was not finite.
        Stopped: asked to stop; the checkpoint is saved.
    """
    begun, cadence = time.perf_counter(), cadence or Cadence()
    if job.publish:
        raise SettingsError("at", "q_learning keeps the last weights only; leave out @at=")
    with modes(job.determinism, "fp32", job.device):
        run = QRun(job, ctx, settings, lambda: _beat(run, cadence))
        resumed = _resume(run)
        while not run.finished:
            run.advance()
            stop = ctx.stopping()
            if stop or cadence.clock() > cadence.due:
                _tend(run, cadence, stop, resumed)
        return _result(run, begun, resumed)


def _beat(run: QRun, cadence: Cadence) -> None:
    if cadence.clock() > cadence.due:
        run.ctx.beat(**run.progress())
        cadence.beaten()


def _resume(run: QRun) -> list[int]:
    """Take the newest whole checkpoint over, if it is of this job; returns the updates at which the run was resumed."""
    found = checkpoint.load(run.ctx.scratch, lambda text: run.ctx.note("checkpoint_damaged", text=text))
    if found is not None and found[1]["identity"] != run.identity:
        run.ctx.note("checkpoint_foreign", text="the checkpoint is of other settings or hardware; starting again")
        found = None
    if found is None:
        return []
    run.take(*found)
    return [*found[1].get("resumed", []), run.updates]


def _tend(run: QRun, cadence: Cadence, stop: bool, resumed: list[int]) -> None:
    """Beat; save if it is time or the run must stop."""
    run.ctx.beat(**run.progress())
    if not stop and not cadence.wants_save():
        cadence.beaten()
        return
    before = time.perf_counter()
    tensors, plain = run.state()
    checkpoint.save(run.ctx.scratch, tensors, {**plain, "resumed": resumed})
    cadence.saved(time.perf_counter() - before)
    if stop and not run.finished:
        raise Stopped(f"stopped after update {run.updates} of {run.settings.total_updates}; saved")


def _result(run: QRun, begun: float, resumed: list[int]) -> Result:
    """Values, standard errors, files and notes of a run that reached its end."""
    settings, out = run.settings, run.ctx.out
    names = list(dict.fromkeys(settings.games))
    by_chance = {
        name: evaluate(run.net, name, settings.episodes, 1.0, *run.job.streams, "chance",
                       repeat=settings.action_repeat, stack=run.stack, tick=run.tick)
        for name in names
    }  # fmt: skip
    last = {name: [row for row in run.rows if row["game"] == name][-1] for name in names}
    own = {name: [row for row in run.rows if row["game"] == name and settings.games[row["playing"]] == name][-1]
           for name in names}  # fmt: skip
    final = {name: row["mean"] for name, row in last.items()}
    learned = {name: row["mean"] for name, row in own.items()}
    values: dict[str, Any] = {
        "final_return": final, "learned_return": learned,
        "random_return": {name: found.mean for name, found in by_chance.items()},
        "forgetting": {name: learned[name] - final[name] for name in names},
        "mean_return": float(np.mean(list(final.values()))), "loss": run.rows[-1]["loss"],
        "returns": {name: {str(row["step"]): row["mean"] for row in run.rows if row["game"] == name}
                    for name in names},
        "parameters": sum(value.numel() for value in run.net.parameters()), "steps": run.updates,
        "agent_steps": run.steps, "frames": run.steps * settings.action_repeat,
    }  # fmt: skip
    scores, left_out = _scores(run, by_chance, final, learned)
    notes = {"seconds": {"total": time.perf_counter() - begun}, "resumed_at": resumed, "trained": account(run)}
    if left_out:
        notes["left_out"] = left_out
    save_weights(out / "model.safetensors", run.net)
    _save_rows(run)
    uncertainty = {
        "final_return": {name: _normal(row["se"], settings.episodes) for name, row in last.items()},
        "learned_return": {name: _normal(row["se"], settings.episodes) for name, row in own.items()},
        "random_return": {name: _normal(found.se, found.n) for name, found in by_chance.items()},
    }  # fmt: skip
    return Result(values=values | scores, uncertainty=uncertainty, notes=notes,
                  files={"model.safetensors": "model", "returns.npz": "table"})  # fmt: skip


def _scores(
    run: QRun, by_chance: dict[str, Returns], final: dict[str, float], learned: dict[str, float]
) -> tuple[dict[str, float], dict[str, str]]:
    """Shares of the way from random play to the best return, and why one is left out: nobody knows the best, or no game
    came before the last."""
    best = {name: run.best(name) for name in final}
    lost = [name for name, value in best.items() if value is None]
    if lost:
        return {}, dict.fromkeys(("score", "forgotten"), f"nobody knows the best return of {', '.join(lost)}")
    done = [name for name, value in best.items() if value == by_chance[name].mean]
    if done:
        return {}, dict.fromkeys(("score", "forgotten"), f"random play has the best return of {', '.join(done)}")
    span = {name: float(value or 0.0) - by_chance[name].mean for name, value in best.items()}
    score = {name: (final[name] - by_chance[name].mean) / span[name] for name in final}
    earlier = [name for name in final if name != run.settings.games[-1]]
    gone = [(learned[name] - final[name]) / span[name] for name in earlier]
    shares = {"score": float(np.mean(list(score.values())))}
    if not gone:
        return shares, {"forgotten": "no game came before the last"}
    return shares | {"forgotten": float(np.mean(gone))}, {}


def _normal(se: float, n: int) -> dict[str, Any]:
    return {"se": se, "n": n, "kind": "normal"}


def _save_rows(run: QRun) -> None:
    """The evaluations as arrays: `game` is the place of the game's first turn."""
    places = {name: run.settings.games.index(name) for name in run.settings.games}
    rows = [{**row, "game": places[row["game"]]} for row in run.rows]
    table = {name: np.array([row[name] for row in rows]) for name in ROWS}
    with (run.ctx.out / "returns.npz").open("wb") as file:
        np.savez(file, **table)  # type: ignore[arg-type]
