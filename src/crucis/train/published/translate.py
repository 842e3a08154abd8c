"""From facts to the parameters of the trainer: each with its fact, each fact with a parameter, a reason or a refusal.

Without a reference, each key takes its highest-ranking source among paper, cited paper and authors' code;
reimplementations speak only where they are named or alone. A named reference comes first, and what it leaves out is
taken in the same order and said so. Facts that the trainer cannot express are `missing`; those that the network or the
data decide (initialisation, dropout, normalisation) are `outside`. No fact of a training is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import references
from .augmenting import augmentation
from .facts import Fact, Recipe, said, sentence
from .quantities import unit_of
from .scaling import rate_at, rule

#: Sections of keys that say how a training runs; the rest is about results, networks and other stages.
TRAINING = frozenset({"optimizer", "batch_size", "lr", "weight_decay", "schedule", "aug", "reg", "ema", "loss", "mask",
                      "teacher", "student", "target_update"})  # fmt: skip
_NETWORK = ("init.", "bn.", "model.", "reg.dropout", "reg.stochastic_depth", "reg.layer_scale", "head.", "image_size")
_NONE = (0, 0.0, False, "none", None)
_CLAIM_ONLY = ("schedule.total_", "schedule.chosen_on", "schedule.iterations_per_epoch", "lr.scaling_rule",
               "lr.reference_batch_size", "lr.peak_at_", "lr.rule", "schedule.number_of_decreases")  # fmt: skip


@dataclass
class Translation:
    """A recipe as the trainer would run it.

    Attributes:
        params: parameter -> value as a study writes it; origin: parameter -> where it came from, in words.
        facts: parameter -> the facts that it rests on.
        assumed: parameter -> why a value was chosen that no source gives.
        missing: one sentence per part that the trainer cannot express.
        outside: (fact, why the trainer does not decide it).
    """

    recipe: Recipe
    reference: str | None
    params: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    outside: list[tuple[Fact, str]] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)

    def fact(self, key: str) -> Fact | None:
        """The fact of a key that this translation follows; marks the key as handled."""
        self._used.add(key)
        given = [fact for fact in self.recipe.of(key) if fact.role != "derived"]
        if self.reference is not None:
            own = [fact for fact in given if references.matches(fact, self.reference)]
            if own:
                return own[0]
        ranks = references.RANK if only_reimplemented(self.recipe) else references.RANK[:-1]
        ranked = [fact for fact in given if fact.role in ranks]
        return min(ranked, key=lambda fact: ranks.index(fact.role), default=None)

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        found = self.fact(key)
        return default if found is None else found.value

    def put(self, name: str, value: Any, *keys: str, how: str = "") -> None:
        """A parameter that rests on facts."""
        rests = [fact for fact in (self.fact(key) for key in keys) if fact is not None]
        self.params[name], self.facts[name] = value, rests
        stands = "; ".join(dict.fromkeys(f"{fact.reference}: {sentence(fact)}" for fact in rests))
        self.origin[name] = f"recipe: {self.recipe.id}{', ' + how if how else ''} ({stands})"

    def assume(self, name: str, value: Any, why: str) -> None:
        """A parameter that no source gives."""
        self.params[name], self.assumed[name] = value, why
        self.origin[name] = f"recipe: {self.recipe.id}, chosen here: {why}"

    def lack(self, key: str, why: str) -> None:
        """A part that the trainer cannot express."""
        found = self.fact(key)
        self.missing.append(f"{key} {said(found.value, found.unit) if found else ''}: {why}".replace(" :", ":"))


def only_reimplemented(recipe: Recipe) -> bool:
    """Whether no paper and no author's code stands behind a recipe."""
    return all(fact.role in ("reimplementation", "derived") for fact in recipe.facts)


def translate(recipe: Recipe, reference: str | None = None) -> Translation:
    """The parameters that the trainer would need for a recipe, complete or with what is missing."""
    out = Translation(recipe, reference)
    if not recipe.task.startswith("supervised"):
        out.missing.append(f"the task '{recipe.task}' needs a protocol other than supervised")
    for part in (_optimiser, _rate, _decay, _schedule, _regularisation, augmentation):
        part(out)
    for key in recipe.keys:
        fact = out.fact(key) if key not in out._used else None
        if fact is not None and key.startswith((*_NETWORK, "aug.normalise")):
            out.outside.append(
                (fact, "decided by the data set" if key.startswith("aug.") else "decided by the network")
            )
        elif fact is not None and key.partition(".")[0] in TRAINING and not key.startswith(_CLAIM_ONLY):
            _left_over(out, key, fact)
    return out


def _left_over(out: Translation, key: str, fact: Fact) -> None:
    model = key.rpartition(".")[2]
    if key.count(".") == 2 and any(model == name for name in out.recipe.models):
        out.outside.append((fact, f"for {model} only"))
    elif fact.value not in _NONE and not str(fact.value).startswith("none"):
        out.lack(key, "the trainer has no parameter for it")


def _optimiser(out: Translation) -> None:
    name = out.value("optimizer.name")
    momentum, betas, eps = out.value("optimizer.momentum"), out.value("optimizer.betas"), out.value("optimizer.eps")
    made: dict[Any, Callable[[], dict[str, Any]]] = {
        "sgd": lambda: {"momentum": momentum or 0.0, "nesterov": bool(out.value("optimizer.nesterov"))},
        "adam": lambda: _adam(betas, eps),
        "adamw": lambda: _adam(betas, eps),
    }
    if name not in made:
        out.lack("optimizer.name", "the trainer has no such optimiser" if name else "no source names the optimiser")
        out.fact("weight_decay.coupling")  # says nothing without the optimiser
        return
    keys = ("optimizer.name", "optimizer.momentum", "optimizer.nesterov", "optimizer.betas", "optimizer.eps")
    coupling = str(out.value("weight_decay.coupling", "not reported"))
    wanted = "decoupled" if name == "adamw" else "l2"
    if name == "adam" and coupling == "decoupled":
        name = "adamw"
    elif name != "sgd" and coupling != wanted and out.value("weight_decay.value") not in _NONE:
        out.lack("weight_decay.coupling", f"{name} with weight decay needs '{wanted}', the sources say '{coupling}'")
    elif name == "sgd" and coupling not in ("l2", "not reported"):
        out.lack("weight_decay.coupling", "sgd of the trainer adds weight decay to the gradient")
    out.put("optimiser", {name: made[name]()}, *keys)
    if name == "sgd" and out.fact("optimizer.nesterov") is None:
        out.origin["optimiser"] += "; nesterov: false, chosen here: no source that is followed reports it"
        out.assumed["optimiser.nesterov"] = "not reported; plain momentum chosen here"
    if out.value("optimizer.dampening") not in _NONE:
        out.lack("optimizer.dampening", "the trainer's momentum is not dampened")
    clip = out.value("optimizer.grad_clip_norm")
    if isinstance(clip, (int, float)) and clip > 0:
        out.put("clip", float(clip), "optimizer.grad_clip_norm")


def _adam(betas: Any, eps: Any) -> dict[str, Any]:
    given = {"beta1": betas[0], "beta2": betas[1]} if isinstance(betas, list) else {}
    return {**given, **({"eps": eps} if isinstance(eps, float) else {})}


def _rate(out: Translation) -> None:
    batch = out.value("batch_size")
    if not isinstance(batch, int):
        out.missing.append("no source gives a batch size")
        return
    out.put("batch", batch, "batch_size")
    peak, base = out.fact("lr.peak"), out.fact("lr.base")
    if rule(out.recipe) != "none" and base is not None:
        found = rate_at(out.recipe, batch, out.reference)
        if not isinstance(found, str):
            out.put("lr", found.value, "lr.base", "lr.reference_batch_size", how=found.arithmetic)
            return
    stated = base or peak
    if stated is None or not isinstance(stated.value, float):
        out.missing.append("no source gives a learning rate")
    else:
        out.put("lr", stated.value, stated.key)


def _decay(out: Translation) -> None:
    value = out.value("weight_decay.value")
    if not isinstance(value, (int, float)):
        out.missing.append("no source gives one weight decay")
        return
    out.put("weight_decay", float(value), "weight_decay.value")
    key = next((k for k in ("weight_decay.applies_to", "weight_decay.excludes") if out.fact(k)), None)
    if key is None:
        out.assume("decay_on", "all", "no source that is followed says which parameters decay")
        return
    text = str(out.value(key))
    if key.endswith("applies_to") and text.startswith("all"):
        out.put("decay_on", "all", key)
    elif key.endswith("excludes") and text.startswith(("1-D parameters", "biases and norm", "biases and 1-D")):
        out.put("decay_on", "weights", key)
    else:
        out.lack(key, "the trainer decays all parameters, or those of two dimensions and more")


def _length(out: Translation, key: str) -> str | None:
    fact = out.fact(key)
    unit = unit_of(fact.unit) if fact else None
    if fact is None or not isinstance(fact.value, (int, float)) or float(fact.value) != int(fact.value):
        return None
    return f"{int(fact.value)} {'steps' if unit == 'iterations' else 'epochs'}"


def _schedule(out: Translation) -> None:
    kind, gamma = str(out.value("schedule.kind", "")), out.value("schedule.gamma")
    total = _length(out, "schedule.total")
    if total is None:
        out.missing.append("no source that is followed gives the length of the training")
    else:
        out.put("length", total, "schedule.total")
    if kind.startswith("step"):
        fact = out.fact("schedule.milestones")
        if fact is None or not isinstance(fact.value, list):
            out.lack("schedule.milestones", "no source that is followed gives them")
        else:
            unit = "steps" if unit_of(fact.unit) == "iterations" else "epochs"
            at = [f"{moment} {unit}" for moment in fact.value]
            out.put("schedule", {"multi_step": {"at": at, "gamma": gamma}}, "schedule.kind", "schedule.milestones",
                    "schedule.gamma")  # fmt: skip
    elif kind.startswith("cosine"):
        low, rate = out.value("schedule.min_lr") or 0.0, out.params.get("lr")
        share = low / rate if rate else 0.0
        how = f"floor {said(low)} / {said(rate)} = {share:.6g}" if low and rate else ""
        out.put("schedule", {"cosine": {"floor": share}} if share else "cosine", "schedule.kind", "schedule.min_lr",
                how=how)  # fmt: skip
        out.fact("schedule.cosine_starts_after_warmup")
    elif kind.startswith("exponential") and (every := _length(out, "schedule.decay_every")):
        stairs = bool(out.value("schedule.staircase", True))
        out.put("schedule", {"exponential": {"gamma": gamma, "every": every, "stairs": stairs}}, "schedule.kind",
                "schedule.gamma", "schedule.decay_every", "schedule.staircase")  # fmt: skip
    elif kind.startswith("exponential"):
        out.lack("schedule.decay_every", "the trainer decays at whole numbers of epochs or steps")
        out.fact("schedule.staircase")
    else:
        out.lack("schedule.kind", "the trainer has no such schedule" if kind else "no source names the schedule")
    _warmup(out)


def _warmup(out: Translation) -> None:
    length, kind = _length(out, "schedule.warmup"), str(out.value("schedule.warmup_kind", "linear"))
    if length is None or length.startswith("0 "):
        if out.value("schedule.warmup") not in _NONE:
            out.lack("schedule.warmup", "the trainer warms up over whole steps or epochs")
        out.assume("warmup", "0 steps", "no source that is followed reports a warm-up") if length is None else out.put(
            "warmup", "0 steps", "schedule.warmup"
        )
        return
    out.put("warmup", length, "schedule.warmup", "schedule.warmup_kind")
    if not kind.startswith("linear"):
        out.lack("schedule.warmup_kind", "the trainer's warm-up is linear")
    for key in ("schedule.warmup_start_lr", "schedule.warmup_start_factor"):
        if out.value(key) not in _NONE:
            out.lack(key, "the trainer's warm-up starts at 1/W of the rate, with W its steps")
    if out.value("schedule.step_granularity") == "epoch":
        out.lack("schedule.step_granularity", "the trainer changes the rate at every step")


def _regularisation(out: Translation) -> None:
    smoothing = next((k for k in ("reg.label_smoothing", "loss.label_smoothing") if out.fact(k)), None)
    if smoothing and isinstance(out.value(smoothing), (int, float)):
        out.put("label_smoothing", float(out.value(smoothing)), smoothing)
    ema = out.value("ema.decay")
    if isinstance(ema, float) and ema > 0:
        out.put("ema", ema, "ema.decay")
    elif isinstance(ema, str) and "off" in ema:
        out.outside.append((out.recipe.of("ema.decay")[0], "no running average is kept"))
