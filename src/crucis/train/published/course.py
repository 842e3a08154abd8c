"""From facts to the length, the schedule, the warm-up and the running average of the trainer."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from . import references
from .facts import Fact, said
from .optimisation import NONE
from .quantities import unit_of

if TYPE_CHECKING:
    from .translate import Translation

#: Evaluations without improvement that a plateau bears where no source says how many.
PATIENCE = 10


def length(out: Translation, key: str) -> str | None:
    """A fact of time as the trainer writes it, or None: whole steps, or epochs with decimals.

    Iterations that a source counts at a batch other than the one that is taken are epochs first: as the same source
    gives them, else by arithmetic. 218,949 iterations at batch 2048 are 350 epochs, at any batch.
    """
    fact = out.fact(key)
    if fact is not None and unit_of(fact.unit) == "iterations" and _foreign(out, fact):
        same = [one for one in out.recipe.of(key) if one.role == fact.role and unit_of(one.unit) == "epochs"]
        if not same:
            return _in_epochs(out, fact)
        fact = out.prefer(same[0])
    unit = unit_of(fact.unit) if fact else None
    if fact is None or isinstance(fact.value, bool) or not isinstance(fact.value, (int, float)):
        return None
    exact = Fraction(repr(fact.value))
    count = exact.numerator if exact.denominator == 1 else fact.value
    if unit == "iterations":
        return f"{count} steps" if exact.denominator == 1 else None
    return f"{count} epochs"


def _foreign(out: Translation, fact: Fact) -> bool:
    own, taken = references.batch(out.recipe, fact.role), out.params.get("batch")
    return own is not None and taken is not None and own != taken


def _in_epochs(out: Translation, fact: Fact) -> str | None:
    own, images = references.batch(out.recipe, fact.role), out.recipe.images
    if not isinstance(fact.value, (int, float)) or own is None or images is None:
        return None
    return f"{fact.value * own / images:.6f} epochs"


def schedule(out: Translation) -> None:
    """The length, and the course of the rate over it."""
    total = length(out, "schedule.total")
    if total is None:
        out.ask("length", "no source that is followed gives the length of the training")
    else:
        out.put("length", total, "schedule.total")
    kind = str(out.value("schedule.kind", ""))
    if kind.startswith("step"):
        _steps(out)
    elif kind.startswith(("cosine", "linear")):
        _smooth(out, "cosine" if kind.startswith("cosine") else "linear")
    elif kind.startswith("exponential") or (not kind and out.fact("schedule.decay_every")):
        _exponential(out, kind)
    elif kind.startswith("plateau"):
        _plateau(out)
    elif kind:
        out.lack("schedule.kind", "the trainer has no such schedule")
        out.fact("schedule.gamma")
    else:
        out.ask("schedule", "no source names the schedule")
    _cooldown(out)
    _warmup(out)


def _steps(out: Translation) -> None:
    fact = out.fact("schedule.milestones")
    if fact is None or not isinstance(fact.value, list):
        out.ask("schedule", "no source that is followed gives the moments at which the rate falls")
        return
    unit = "steps" if unit_of(fact.unit) == "iterations" else "epochs"
    at = [f"{moment} {unit}" for moment in fact.value]
    gamma = out.value("schedule.gamma")
    out.put("schedule", {"multi_step": {"at": at, "gamma": gamma}}, "schedule.kind", "schedule.milestones",
            "schedule.gamma")  # fmt: skip


def _smooth(out: Translation, name: str) -> None:
    low, rate = out.value("schedule.min_lr") or 0.0, out.params.get("lr")
    share = low / rate if rate else 0.0
    how = f"floor {said(low)} / {said(rate)} = {share:.6g}" if low and rate else ""
    out.put("schedule", {name: {"floor": share}} if share else name, "schedule.kind", "schedule.min_lr", how=how)


def _exponential(out: Translation, kind: str) -> None:
    every, gamma = length(out, "schedule.decay_every"), out.value("schedule.gamma")
    if every is None or gamma is None:
        out.ask("schedule", "no source that is followed gives both the factor and the interval of the decay")
        return
    stairs = bool(out.value("schedule.staircase", True))
    how = "" if kind else "a factor per interval is an exponential decay; in stairs, chosen here"
    out.fact("schedule.decay_as_printed")
    out.put("schedule", {"exponential": {"gamma": gamma, "every": every, "stairs": stairs}}, "schedule.kind",
            "schedule.gamma", "schedule.decay_every", "schedule.staircase",
            "schedule.decay_as_printed", how=how)  # fmt: skip


def _plateau(out: Translation) -> None:
    gamma, falls = out.value("schedule.gamma"), out.value("schedule.number_of_decreases")
    patience = out.value("schedule.plateau_patience")
    if not isinstance(gamma, float):
        out.ask("schedule", "no source that is followed gives the factor by which the rate falls")
        return
    params: dict[str, Any] = {"metric": "accuracy", "factor": gamma}
    how = []
    if isinstance(falls, int):
        params["floor"] = gamma**falls
        how.append(f"floor {said(gamma)} ** {falls} = {gamma**falls:.6g}")
    if isinstance(patience, int):
        params["patience"] = patience
    else:
        params["patience"] = PATIENCE
        how.append(f"patience {PATIENCE} evaluations, chosen here: no source that is followed reports one")
        out.assumed["schedule.patience"] = f"not reported; {PATIENCE} evaluations chosen here, the default of torch"
    out.put("schedule", {"plateau": params}, "schedule.kind", "schedule.gamma", "schedule.number_of_decreases",
            "schedule.plateau_patience", how="; ".join(how))  # fmt: skip


def _cooldown(out: Translation) -> None:
    fact = out.fact("schedule.cooldown")
    if fact is None:
        return
    if "return value discarded" in str(fact.value):
        out.outside.append((fact, "has no effect on what runs"))
        return
    rest, chosen = length(out, "schedule.cooldown"), out.params.get("schedule")
    name, params = (chosen, {}) if isinstance(chosen, str) else next(iter((chosen or {"": {}}).items()))
    if rest is None or name not in ("cosine", "linear", "polynomial"):
        out.lack("schedule.cooldown", "the trainer cools down after a smooth schedule only")
    else:
        out.params["schedule"] = {name: {**params, "cooldown": rest}}


def _warmup(out: Translation) -> None:
    span, kind = length(out, "schedule.warmup"), str(out.value("schedule.warmup_kind", "linear"))
    if out.value("schedule.step_granularity") == "epoch":
        late = length(out, "schedule.rate_lag") == "1 epochs"
        if out.fact("schedule.rate_lag") is not None and not late:
            out.lack("schedule.rate_lag", "the trainer's rates are at most one epoch late")
        keys = ("schedule.step_granularity", "schedule.rate_lag")
        out.put("rate_every", "epoch_late" if late else "epoch", *keys[: 1 + late])
    if span is None or span.startswith("0 "):
        out.fact("schedule.cosine_starts_after_warmup")
        if out.value("schedule.warmup") not in NONE:
            out.lack("schedule.warmup", "the trainer warms up over whole steps or epochs")
        out.assume("warmup", "0 steps", "no source that is followed reports a warm-up") if span is None else out.put(
            "warmup", "0 steps", "schedule.warmup"
        )
        return
    out.put("warmup", span, "schedule.warmup", "schedule.warmup_kind")
    if kind.startswith("constant"):
        out.put("warmup_shape", "constant", "schedule.warmup_kind")
    elif not kind.startswith("linear"):
        out.lack("schedule.warmup_kind", "the trainer's warm-up is a straight line or constant")
    _start(out, kind)
    _joins(out)


def _start(out: Translation, kind: str) -> None:
    """The share of the rate at the first step."""
    low, factor = out.value("schedule.warmup_start_lr"), out.value("schedule.warmup_start_factor")
    rate = out.params.get("lr")
    if isinstance(factor, (int, float)):
        out.put("warmup_from", float(factor), "schedule.warmup_start_factor")
    elif isinstance(low, (int, float)) and rate:
        how = f"{said(low)} / {said(rate)} = {low / rate:.6g}"
        out.put("warmup_from", low / rate, "schedule.warmup_start_lr", how=how)
    elif kind == "linear from 0":
        out.put("warmup_from", 0.0, "schedule.warmup_kind")


def _joins(out: Translation) -> None:
    """Where the schedule counts from."""
    after, chosen = out.value("schedule.cosine_starts_after_warmup"), out.params.get("schedule")
    smooth = chosen == "cosine" or (isinstance(chosen, dict) and "cosine" in chosen)
    if after is not None:
        out.put("warmup_joins", "before" if after else "replaces", "schedule.cosine_starts_after_warmup")
    elif smooth and out.fact("schedule.warmup_start_factor"):
        out.assume("warmup_joins", "multiplies", "no source that is followed says what the factor multiplies; the "
                   "schedule's own rate, which counts from the first epoch, chosen here")  # fmt: skip
    elif smooth and out.params.get("rate_every") in ("epoch", "epoch_late"):
        out.assume("warmup_joins", "replaces", "no source that is followed says where the cosine begins; with the "
                   "first epoch, as the scheduler of timm 0.3.2 has it, chosen here")  # fmt: skip


def regularisation(out: Translation) -> None:
    """Label smoothing, and the running average of the weights."""
    smoothing = next((k for k in ("reg.label_smoothing", "loss.label_smoothing") if out.fact(k)), None)
    if smoothing and isinstance(out.value(smoothing), (int, float)):
        out.put("label_smoothing", float(out.value(smoothing)), smoothing)
    fact = out.fact("ema.decay")
    value: Any = fact.value if fact else None
    if fact is not None and isinstance(value, float) and value > 0:
        out.put("ema", value, "ema.decay")
        if "num_updates" in fact.source:
            out.put("ema_warmup", True, "ema.decay", how="min(decay, (1 + updates) / (10 + updates))")
        if "tf" in str(out.value("optimizer.implementation", "")).lower():
            out.assume("ema_statistics", True, "no fact says what is averaged; TensorFlow evaluates averages of the "
                       "moving statistics too")  # fmt: skip
    elif fact is not None and isinstance(value, str) and "off" in value:
        out.outside.append((fact, "no running average is kept"))
