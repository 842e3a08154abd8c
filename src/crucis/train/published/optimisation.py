"""From facts to the optimiser, the rate and the decay of the trainer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .scaling import rate_at, rule

if TYPE_CHECKING:
    from .translate import Translation

NONE = (0, 0.0, False, "none", None)
#: What each optimiser of the trainer does with weight decay.
COUPLING = {"sgd": "l2", "adam": "l2", "rmsprop": "l2", "rmsprop_tf": "l2", "lars": "l2", "adamw": "decoupled",
            "lamb": "decoupled"}  # fmt: skip
_KEYS = tuple(f"optimizer.{name}" for name in (
    "name", "implementation", "tf_semantics", "momentum", "momentum_form", "nesterov", "dampening", "betas", "eps",
    "alpha", "trust_coefficient"))  # fmt: skip
#: Beginnings of what sources say -> the choice of `decay_on`.
_APPLIES = {"all": "all", "conv2d weights only": "conv"}
_EXCLUDES = {"batch-norm variables; biases are decayed": "all_but_norm", "1-D parameters": "weights",
             "biases and norm": "weights", "biases and 1-D": "weights", "batch-norm, biases": "weights"}  # fmt: skip


def optimiser(out: Translation) -> None:
    """The update rule, and the bound of the gradient."""
    said = out.value("optimizer.name")
    made: dict[Any, Callable[[Translation], dict[str, Any]]] = {
        "sgd": _sgd, "adam": _adam, "adamw": _adam, "lamb": _adam, "rmsprop": _rmsprop, "lars": _lars,
    }  # fmt: skip
    if said not in made:
        out.fact("weight_decay.coupling")  # says nothing without the optimiser
        if said is None:
            out.ask("optimiser", "no source names the optimiser")
        else:
            out.lack("optimizer.name", "the trainer has no such optimiser")
        return
    params = made[said](out)
    name = "rmsprop_tf" if said == "rmsprop" and _tensorflow(out) else str(said)
    name, how = _coupled(out, name)
    out.put("optimiser", {name: params} if params else name, *_KEYS, how=how)
    clip = out.value("optimizer.grad_clip_norm")
    if isinstance(clip, (int, float)) and clip > 0:
        out.put("clip", float(clip), "optimizer.grad_clip_norm")


def _coupled(out: Translation, name: str) -> tuple[str, str]:
    """The optimiser that decays as the sources say, and how it was chosen."""
    coupling = str(out.value("weight_decay.coupling", "not reported"))
    decays = any(out.value(f"weight_decay.{key}") not in NONE for key in ("value", "start"))
    if name == "adam" and coupling.startswith("decoupled"):
        return "adamw", "adam with decoupled decay"
    if name == "adam" and coupling == "not reported" and decays:
        why = "not reported; decoupled chosen here, since Adam would divide added decay by the size of the gradient"
        out.assumed["optimiser.coupling"] = why
        return "adamw", "adam; how weight decay enters is not reported, decoupled chosen here"
    if coupling != "not reported" and decays and not coupling.startswith(COUPLING[name]):
        out.lack("weight_decay.coupling", f"{name} of the trainer decays by '{COUPLING[name]}'")
    return name, ""


def _tensorflow(out: Translation) -> bool:
    return "tf" in str(out.value("optimizer.implementation", "")).lower()


def _sgd(out: Translation) -> dict[str, Any]:
    params: dict[str, Any] = {"momentum": out.value("optimizer.momentum") or 0.0,
                              "nesterov": bool(out.value("optimizer.nesterov"))}  # fmt: skip
    if out.fact("optimizer.nesterov") is None:
        out.assumed["optimiser.nesterov"] = "not reported; plain momentum chosen here"
    form = str(out.value("optimizer.momentum_form", ""))
    if form.startswith("v=m*v+lr*g"):
        params["form"] = "caffe"
    elif form:
        out.lack("optimizer.momentum_form", "the trainer has the rate outside the momentum, or inside it")
    if out.value("optimizer.dampening") not in NONE:
        params["dampening"] = float(out.value("optimizer.dampening"))
    return params


def _adam(out: Translation) -> dict[str, Any]:
    betas, eps = out.value("optimizer.betas"), out.value("optimizer.eps")
    given = {"beta1": betas[0], "beta2": betas[1]} if isinstance(betas, list) else {}
    return {**given, **({"eps": eps} if isinstance(eps, float) else {})}


def _rmsprop(out: Translation) -> dict[str, Any]:
    """TensorFlow's variant has the defaults of tf.train.RMSPropOptimizer where the sources are silent."""
    pairs = {"optimizer.alpha": "smoothing", "optimizer.momentum": "momentum", "optimizer.eps": "eps"}
    params: dict[str, Any] = {}
    for key, name in pairs.items():
        value = out.value(key)
        if isinstance(value, (int, float)):
            params[name] = float(value)
        elif name != "momentum":
            out.assumed[f"optimiser.{name}"] = "not reported; the default of the implementation chosen here"
    return params


def _lars(out: Translation) -> dict[str, Any]:
    params = {"momentum": float(out.value("optimizer.momentum") or 0.0)}
    trust = out.value("optimizer.trust_coefficient")
    if isinstance(trust, float):
        params["trust_coefficient"] = trust
    if out.value("optimizer.nesterov"):
        params["nesterov"] = True
    return params


def rate(out: Translation) -> None:
    """The batch, and the rate at it."""
    batch = out.value("batch_size")
    if isinstance(batch, int):
        out.put("batch", batch, "batch_size")
    else:
        out.ask("batch", "no source gives a batch size")
    peak, base = out.fact("lr.peak"), out.fact("lr.base")
    if rule(out.recipe) != "none" and base is not None and isinstance(batch, int):
        found = rate_at(out.recipe, batch, out.reference)
        if not isinstance(found, str):
            out.put("lr", found.value, "lr.base", "lr.reference_batch_size", how=found.arithmetic)
            return
    stated = base or peak
    if stated is None or not isinstance(stated.value, float):
        out.ask("lr", "no source gives one learning rate")
    else:
        out.put("lr", stated.value, stated.key)


def decay(out: Translation) -> None:
    """The strength of weight decay, its course, and what decays."""
    value, start = out.value("weight_decay.value"), out.value("weight_decay.start")
    end, course = out.value("weight_decay.end"), str(out.value("weight_decay.schedule", "cosine"))
    if isinstance(value, (int, float)):
        out.put("weight_decay", float(value), "weight_decay.value")
    elif isinstance(start, float) and isinstance(end, float):
        out.put("weight_decay", start, "weight_decay.start")
        out.put("weight_decay_end", end, "weight_decay.end")
        if course in ("cosine", "linear"):
            out.put("weight_decay_schedule", course, "weight_decay.schedule")
        else:
            out.lack("weight_decay.schedule", "the trainer changes weight decay by a cosine or in a straight line")
    else:
        out.ask("weight_decay", "no source gives one weight decay")
    key = next((k for k in ("weight_decay.applies_to", "weight_decay.excludes") if out.fact(k)), None)
    if key is None:
        if "weight_decay" in out.params:
            out.assume("decay_on", "all", "no source that is followed says which parameters decay")
        return
    text, known = str(out.value(key)), _APPLIES if key.endswith("applies_to") else _EXCLUDES
    found = next((choice for beginning, choice in known.items() if text.startswith(beginning)), None)
    if found is None:
        out.lack(key, "the trainer has no such choice of what decays")
    else:
        out.put("decay_on", found, key)
