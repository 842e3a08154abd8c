"""From facts of recipes that learn games to the parameters of `q_learning`, and the values that an audit compares.

What no fact gives and a training cannot do without, a study writes: which games, how long, how much is explored, which
form of RMSprop, the loss of an error, and whose squared gradients the Fisher information is of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..settings import Choice, choice
from .facts import Fact, said

if TYPE_CHECKING:
    from .translate import Translation

PROTOCOL = "q_learning"
#: Lines of a fact: key, parameter, the recipe's value, the training's value, the fact.
Line = tuple[str, str, Any, Any, Fact | None]

#: Key of a fact -> parameter of the same value.
_SAME = {"lr.max": "lr_max", "optimizer.grad_clip_value": "clip_value", "replay.size": "replay",
         "replay.period": "period", "target_update": "target_every", "discount": "discount",
         "action_repeat": "action_repeat", "ewc.lambda": "ewc_lambda",
         "ewc.fisher_samples": "ewc_minibatches"}  # fmt: skip
_REALS = ("lr_max", "clip_value", "discount", "ewc_lambda")
#: What a source says -> the choice of the protocol.
_WORDS = {"ewc.fisher_recomputed": ("ewc_recomputed", {"at each task switch": "switch"}),
          "ewc.penalties": ("ewc_penalties", {"one per task, anchored at its parameters": "per_game"})}  # fmt: skip
#: Parameters that a study writes -> why, and the name of their line in an audit.
OPEN = {
    "games": ("no fact says which games, or in which order", "games"),
    "length": ("no fact says how long each game is played", "schedule.total"),
    "epsilon": ("no fact says how many actions are drawn at random", "exploration"),
    "learn_after": ("no fact says how many steps come before learning", "replay.start"),
    "loss": ("no fact says how an error counts beyond the bounds of the gradient", "loss"),
    "double": ("no fact says which network chooses the action of a target", "double"),
    "clip_rewards": ("no fact says whether points are clipped", "rewards"),
    "ewc_fisher": ("no fact says whose squared gradients the Fisher information is of", "ewc.fisher"),
}
FORM = "no fact says how large eps is, where it stands, or whether the gradient's mean is taken off"


def played(out: Translation) -> None:
    """Put the parameters of the protocol into a translation, beside the optimiser's, the batch and the rate."""
    for key, name in _SAME.items():
        value = out.value(key)
        if value is not None:
            out.put(name, float(value) if name in _REALS else value, key)
    for key, (name, words) in _WORDS.items():
        fact = out.fact(key)
        if fact is not None and fact.value in words:
            out.put(name, words[fact.value], key)
        elif fact is not None:
            out.lack(key, "the protocol has no such choice")
    start, repeat = out.fact("ewc.start"), out.value("action_repeat")
    if start is not None:
        out.put("ewc_start", int(start.value) // int(repeat), "ewc.start", "action_repeat",
                how=f"{said(start.value, 'frames')} / {said(repeat)} frames of an action")  # fmt: skip
    for name, (why, _) in OPEN.items():
        out.ask(name, why)
    out.ask("optimiser", FORM, "optimizer.name")
    for name in ("optimiser.smoothing", "optimiser.eps"):
        out.assumed.pop(name, None)  # asked for as a whole


def values(made: Translation, params: Mapping[str, Any], ran: Mapping[str, Any]) -> Iterator[Line]:
    """Every fact beside what the training did, and what the facts leave open.

    Args:
        params: the training's parameters, with its protocol's defaults; ran: the notes of what ran.
    """
    ours = {**params, **ran, **(ran.get("q_learning") or {})}
    batch = ours.get("batch")
    yield from _optimiser(made, ours)
    yield "batch_size", "batch", made.params["batch"], batch, None
    yield "lr.base", "lr", made.params["lr"], ours.get("lr"), None
    yield "optimizer.grad_clip_norm", "clip", made.params["clip"], ours.get("clip"), None
    for key, name in (*_SAME.items(), *((key, name) for key, (name, _) in _WORDS.items())):
        if name in made.params:
            yield key, name, made.params[name], ours.get(name, "none"), None
    for fact in made.recipe.of("ewc.fisher_samples"):
        if fact.role == "derived":
            theirs, used = made.params["ewc_minibatches"], ours.get("ewc_minibatches", 0)
            told = f"{theirs} x {batch} transitions", f"{used} x {batch} transitions"
            yield "ewc.fisher_samples", "ewc_minibatches", told[0], told[1], fact
    for fact in made.recipe.of("ewc.start"):
        times = 1 if fact.role == "derived" else int(ours.get("action_repeat", made.params["action_repeat"]))
        used = ours.get("ewc_start")
        yield "ewc.start", "ewc_start", fact.value, used if used is None else used * times, fact
    for name, (_, key) in OPEN.items():
        shown = f"{ours.get('updates', 'as many as written')} updates" if name == "length" else ours.get(name, "none")
        yield key, name, None, shown, None


def _optimiser(made: Translation, ours: Mapping[str, Any]) -> Iterator[Line]:
    """The rule and its options; the form that no fact gives is told as the study's."""
    asked, wanted = choice(ours["optimiser"], "optimiser"), choice(made.params["optimiser"], "optimiser")
    planned = Choice(asked.name.lower(), asked.params)
    options = dict(planned.params)
    group = (ours.get("groups") or [{}])[0].get("options", {})
    if group:
        options = {**group, "smoothing": group.get("alpha", group.get("smoothing")),
                   "centred": group.get("centered", group.get("centred"))}  # fmt: skip
    yield "optimizer.name", "optimizer", wanted.name, planned.name.removesuffix("_tf"), made.fact("optimizer.name")
    for key, name in (("optimizer.momentum", "momentum"), ("optimizer.alpha", "smoothing")):
        yield key, "optimizer", wanted.params.get(name), options.get(name, "none"), made.fact(key)
    form = "inside the root" if planned.name.endswith("_tf") else "beside the root"
    said_of_it = f"eps {said(options.get('eps', 'as by default'))} {form}, " + (
        "the mean taken off" if options.get("centred") else "the mean left in"
    )
    yield "optimizer.form", "optimiser", None, said_of_it, None


def games(params: Mapping[str, Any], ran: Mapping[str, Any]) -> list[str]:
    """The games that were played or will be, each once."""
    found = (ran.get("q_learning") or {}).get("games", params.get("games")) or []
    return list(dict.fromkeys(map(str, found)))
