"""A published recipe at another length, batch or rate: what keeps its share, what keeps its value, each said.

Moments, intervals and warm-ups keep their shares of the training. A learning rate that the sources give as it is (the
end of a schedule, the start of a warm-up) keeps its value when the peak changes, unless the recipe's rule scales it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ..lengths import Length
from .published import scaling
from .published.facts import said
from .published.translate import Translation

RULES = {"linear": 1.0, "square_root": 0.5}
#: Moments and intervals by schedule and parameter.
TIMES = {"multi_step": "at", "exponential": "every", "step": "every", "cosine": "cooldown", "linear": "cooldown",
          "polynomial": "cooldown"}  # fmt: skip


def fitted(made: Translation, written: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The parameters of a published recipe beside what is written, and where each came from."""
    name = made.recipe.id + (f"@{made.reference}" if made.reference else "")
    params, origin = replaced(name, made.params, made.origin, written, made.open)
    fit(made, params, origin, written)
    scale(made.params, scaling.rule(made.recipe).replace(" ", "_"), params, origin, written)
    fit_rate(made, params, origin, written)
    return params, origin


def replaced(
    name: str, base: Mapping[str, Any], said: Mapping[str, str], written: Mapping[str, Any], asked: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a recipe gives, replaced by what is written, and where each came from; what is asked for adapts nothing."""
    params, origin = {**base, **written}, dict(said)
    for key, value in written.items():
        differs = key in base and base[key] != value and key not in asked
        origin[key] = f"adapted from {base[key]} (recipe: {name})" if differs else "written"
    return params, origin


def scale(
    base: Mapping[str, Any], rule: str, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]
) -> None:
    """The rate at a batch that is not the recipe's, by the recipe's rule: its exponent of the ratio, or unchanged."""
    batch, own = params.get("batch"), base.get("batch", params.get("batch"))
    if "lr" in written or "lr" not in base or batch == own:
        return
    if rule in RULES:
        params["lr"] = base["lr"] * (params["batch"] / base["batch"]) ** RULES[rule]
        origin["lr"] = f"scaled from {base['lr']} at batch {own} ({rule.replace('_', ' ')} rule)"
    else:
        origin["lr"] += f"; unchanged at batch {batch}, since the recipe gives no rule for it"


def fit(made: Translation, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]) -> None:
    """Change `params` and `origin` of a recipe to what is written beside it."""
    if written.get("ema", ...) is None:
        for name in ("ema_warmup", "ema_every", "ema_statistics"):
            if name in params and name not in written:
                del params[name], origin[name]
    _fit_length(made, params, origin, written)
    _fit_batch(made, params, origin, written)
    changed = [key for key in ("length", "batch") if key in made.params and params[key] != made.params[key]]
    if changed and made.params.get("ema") is not None and "ema" not in written:
        origin["ema"] += f"; unchanged per step at another {' and '.join(changed)}, since no source gives a rule for it"


def _fit_length(made: Translation, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]) -> None:
    own = made.params.get("length")
    if own is None or "length" not in written or str(written["length"]) == own:
        return
    new = written["length"]
    schedule = made.params.get("schedule")
    if "schedule" not in written and isinstance(schedule, Mapping):
        name, inner = next(iter(schedule.items()))
        option = TIMES.get(name, "")
        if option in inner:
            moments = inner[option] if isinstance(inner[option], list) else [inner[option]]
            shares = [_share(moment, own, made) for moment in moments]
            if all(shares):
                value = shares if isinstance(inner[option], list) else shares[0]
                params["schedule"] = {name: {**inner, option: value}}
                origin["schedule"] = f"adapted from {', '.join(moments)} of {own}: the same shares of {new}"
            else:
                origin["schedule"] += f"; unchanged under a length of {new}"
    warmup = str(made.params.get("warmup", "0 steps"))
    if "warmup" not in written and not warmup.startswith("0 "):
        share = _share(warmup, own, made)
        if share:
            params["warmup"] = share
            origin["warmup"] = f"adapted from {warmup} of {own}: the same share of {new}"
        else:
            origin["warmup"] += f"; unchanged under a length of {new}"


def _fit_batch(made: Translation, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]) -> None:
    """At another batch, epochs stay epochs and steps stay steps; a warm-up in steps of a length in epochs keeps its
    share, and a length in steps is said to see other numbers of examples."""
    own, total = made.params.get("batch"), made.params.get("length")
    if own is None or total is None or "length" in written or params["batch"] == own:
        return
    warmup = str(made.params.get("warmup", "0 steps"))
    if total.endswith("steps"):
        times = params["batch"] / own
        origin["length"] += f"; unchanged in steps at batch {params['batch']}, which see {times:g} times the examples"
    elif "warmup" not in written and warmup.endswith("steps") and not warmup.startswith("0 "):
        share = _share(warmup, total, made)
        if share:
            params["warmup"] = share
            origin["warmup"] = f"adapted from {warmup} of {total} at batch {own}: the same share at {params['batch']}"


def fit_rate(made: Translation, params: dict[str, Any], origin: dict[str, str], written: Mapping[str, Any]) -> None:
    """Shares of the peak that stand for rates of the sources, under another peak."""
    own, peak = made.params.get("lr"), params.get("lr")
    rule = scaling.pick(made.recipe, "lr.scaling_rule", None)
    if own is None or peak in (None, own) or (rule is not None and "minimum lr" in str(rule.value)):
        return
    low = next((fact for fact in made.facts.get("schedule", []) if fact.key == "schedule.min_lr"), None)
    schedule = params.get("schedule")
    if low is not None and low.value and "schedule" not in written and isinstance(schedule, Mapping):
        name, inner = next(iter(schedule.items()))
        if "floor" in inner and low.value <= peak:
            params["schedule"] = {name: {**inner, "floor": low.value / peak}}
            origin["schedule"] += f"; floor adapted: {said(low.value)} is {low.value / peak:.6g} of {peak:.6g}"
    first = next((f for f in made.facts.get("warmup_from", []) if f.key == "schedule.warmup_start_lr"), None)
    if first is not None and "warmup_from" not in written and first.value <= peak:
        params["warmup_from"] = first.value / peak
        origin["warmup_from"] = (
            f"adapted from {made.params['warmup_from']:.6g}: the first rate stays {said(first.value)}, "
            f"{first.value / peak:.6g} of {peak:.6g}"
        )


def _share(moment: str, whole: str, made: Translation) -> str | None:
    """`32000 steps` of `64000 steps` is `50%`; between steps and epochs by the recipe's images and batch."""
    part, full = Length.parse(moment), Length.parse(whole)
    ratio = float(part.count) / float(full.count)
    if part.unit != full.unit:
        images, batch = made.recipe.images, made.params.get("batch")
        if not images or not batch:
            return None
        epochs_of_a_step = batch / images
        ratio *= epochs_of_a_step if part.unit == "steps" else 1 / epochs_of_a_step
    return f"{100 * ratio:.10g}%"
