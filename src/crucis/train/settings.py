"""What one training run is told: hyper-parameters checked against each other and converted to optimiser steps.

Imports no torch, because a plan calls it for every step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import CrucisError, did_you_mean
from ..lengths import Length
from . import courses, until
from .adapting import Adapting
from .watching import Rule, WatchError, rules

METRICS = ("accuracy", "loss")
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
ON_NOT_FINITE = ("stop", "skip", "lower_lr")
DECAY_ON = ("weights", "all", "all_but_norm", "conv")
#: Above this share of the training examples, those that do not fill a last batch are mentioned in the record.
DROPPED_WORTH_SAYING = 0.01


class SettingsError(CrucisError, ValueError):
    """Training parameters that do not fit together. `parameter` names the one to change."""

    def __init__(self, parameter: str, text: str) -> None:
        self.parameter, self.text = parameter, text
        super().__init__(f"{parameter}: {text}")


class Disagreement(SettingsError):
    """Parameters that can be, each by itself, and not together. `all` that disagree; `parameter` is the first."""

    def __init__(self, found: tuple[SettingsError, ...]) -> None:
        super().__init__(found[0].parameter, "; ".join([found[0].text, *map(str, found[1:])]))
        self.all = found


@dataclass(frozen=True)
class Choice:
    """A leaf that a parameter chose: its name, its written parameters, and its function if it is a user's own."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    entry: Callable[..., Any] | None = None

    def load(self, shelf_name: str) -> Callable[..., Any]:
        """The leaf's entry function; imports the leaf."""
        return self.entry or shelf.load(shelf.leaf(shelf_name, self.name))


def choice(value: Any, parameter: str) -> Choice:
    """Any spelling of a leaf: `name`, `{name: {...}}`, an identity `{"leaf": ..., "params": ...}`, or an object with
    `name` and `params` (and perhaps `entry`)."""
    if isinstance(value, Choice):
        return value
    if isinstance(value, str):
        return Choice(value)
    if hasattr(value, "name") and hasattr(value, "params"):
        return Choice(value.name, dict(value.params), getattr(value, "entry", None))
    if isinstance(value, Mapping) and "leaf" in value:
        return Choice(value["leaf"], dict(value.get("params") or {}), value.get("entry"))
    if isinstance(value, Mapping) and callable(value.get("entry")):
        return Choice(value.get("name", "own"), dict(value.get("params") or {}), value["entry"])
    if isinstance(value, Mapping) and len(value) == 1:
        name, params = next(iter(value.items()))
        return Choice(name, dict(params or {}))
    raise SettingsError(parameter, f"expected a name or {{name: {{parameter: value}}}}, got {value!r}")


@dataclass(frozen=True)
class Settings:
    """A resolved training run. Steps are optimiser steps; `batch` examples make one of them.

    Attributes:
        params: the parameters that were resolved, so that a continuation can change some and resolve again.
        n_train: examples of the training split.
        batch: examples of one optimiser step, also when `accumulate` splits it into chunks.
        per_epoch, total_steps, evaluate_every, warmup_steps: optimiser steps.
        repeats: times that an example stands in an epoch's order.
        initial_head: whether the head of the weights to begin with is kept (`keep`) or drawn anew (`new`).
        weight_decay_end: what the strength becomes, or None if it does not change.
        dropped: examples of an epoch's order that fill no batch.
        to_plateau: the run decides when it ends; `total_steps` is then the maximum.
    """

    params: Mapping[str, Any]
    n_train: int
    batch: int
    steps_per_epoch: int
    total_steps: int
    lr: float
    optimiser: Choice
    weight_decay: float
    decay_on: str
    weight_decay_end: float | None
    weight_decay_schedule: str
    schedule: Choice
    warmup_steps: int
    warmup_from: float | None
    warmup_shape: str
    warmup_joins: str
    rate_every: str
    label_smoothing: float
    clip: float | None
    accumulate: int
    ema: float | None
    ema_warmup: bool
    ema_every: int
    ema_statistics: bool
    precision: str
    compile: bool
    augment: tuple[Choice, ...]
    repeats: int
    initial_head: str
    select: str | None
    patience: int | None
    evaluate_every: int
    head: str
    dropped: int
    checkpointing: bool = False
    on_not_finite: str = "stop"
    on_memory: str = "stop"
    watch: tuple[Rule, ...] = ()
    to_plateau: bool = False

    def multipliers(self) -> list[float]:
        """The schedule with its warm-up, as one factor of `lr` per optimiser step. Torch-free."""
        return courses.multipliers(self)

    def decays(self) -> list[float] | None:
        """The strength of weight decay at every optimiser step, or None if it does not change. Torch-free."""
        return courses.decays(self)

    def adapting(self) -> Adapting | None:
        """The part of a schedule that goes on at evaluations (`AT_EVALUATIONS`, `adapt`), new; None if it has none."""
        known = getattr(self.schedule.load("schedules"), "__globals__", {})
        return Adapting(known["adapt"], self.schedule.params) if known.get("AT_EVALUATIONS") else None


def resolve(params: Mapping[str, Any], n_train: int) -> Settings:
    """The settings that the parameters of `supervised` mean for a training split of `n_train` examples.

    Parameters that are not given take the protocol's defaults; names it does not know are left to the protocol that
    has them.

    Raises:
        SettingsError: values that are out of range or exclude each other, with the parameter and a way out.
    """
    given = {**defaults(), **params}
    if n_train < 1:
        raise SettingsError("data", "the training split is empty")
    written = whole(given, "batch", 1)
    batch = min(written, n_train)
    per_epoch = n_train // batch
    length, to_plateau = until.maximum(given, "length")
    total = _steps({"length": length}, "length", per_epoch)
    accumulate = whole(given, "accumulate", 1)
    schedule = _known(choice(given["schedule"], "schedule"), "schedules", "schedule")
    settings = Settings(
        params=dict(given), n_train=n_train, batch=batch, steps_per_epoch=per_epoch, total_steps=total,
        lr=_real(given, "lr", 0.0), weight_decay=_real(given, "weight_decay", 0.0),
        optimiser=_known(choice(given["optimiser"], "optimiser"), "optimisers", "optimiser"),
        decay_on=_one_of(given, "decay_on", DECAY_ON), schedule=schedule,
        weight_decay_end=_maybe(given, "weight_decay_end", 0.0),
        weight_decay_schedule=_one_of(given, "weight_decay_schedule", courses.DECAYS),
        warmup_steps=_warmup(given["warmup"], per_epoch, total), accumulate=accumulate,
        warmup_from=_maybe(given, "warmup_from", 0.0), warmup_shape=_one_of(given, "warmup_shape", courses.SHAPES),
        warmup_joins=_one_of(given, "warmup_joins", courses.JOINS),
        rate_every=_one_of(given, "rate_every", courses.GRAINS),
        label_smoothing=_real(given, "label_smoothing", 0.0, below=1.0),
        clip=None if given["clip"] is None else _real(given, "clip", 0.0, above=True),
        ema=None if given["ema"] is None else _real(given, "ema", 0.0, below=1.0),
        ema_warmup=bool(given["ema_warmup"]), ema_every=whole(given, "ema_every", 1),
        ema_statistics=bool(given["ema_statistics"]),
        precision=_one_of(given, "precision", PRECISIONS), compile=bool(given["compile"]),
        augment=tuple(_known(choice(item, "augment"), "augment", "augment") for item in given["augment"] or ()),
        repeats=whole(given, "repeats", 1),
        initial_head=_one_of(given, "initial_head", ("keep", "new")),
        select=None if given["select"] is None else _one_of(given, "select", METRICS),
        patience=None if given["patience"] is None else whole(given, "patience", 1),
        evaluate_every=max(1, _steps(given, "evaluate_every", per_epoch)),
        head=_one_of(given, "head", ("shared", "per_task")), dropped=n_train - per_epoch * batch,
        checkpointing=_flag(given, "checkpointing"),
        on_not_finite=_one_of(given, "on_not_finite", ON_NOT_FINITE),
        on_memory=_one_of(given, "on_memory", ("stop", "halve_batch")), watch=_rules(given["watch"]),
        to_plateau=to_plateau,
    )  # fmt: skip
    wrong = tuple(_disagreements(settings))
    if wrong:
        raise Disagreement(wrong)
    return settings


def contradictions(params: Mapping[str, Any]) -> tuple[SettingsError, ...]:
    """Which parameters cannot be together whatever the data are: with the fewest steps of an epoch, and with many.

    Raises:
        SettingsError: one that cannot be by itself.
    """
    few, many = ({error.parameter: error for error in _disagreeing(params, count)} for count in (1, 10**9))
    return tuple(error for name, error in many.items() if name in few)


def _disagreeing(params: Mapping[str, Any], n_train: int) -> tuple[SettingsError, ...]:
    try:
        resolve(params, n_train)
    except Disagreement as error:
        return error.all
    return ()


def defaults() -> dict[str, Any]:
    """The defaults of the protocol `supervised`, read from its source."""
    return {name: param.default for name, param in shelf.leaf("train", "supervised").params.items()}


def _rules(watch: Any) -> tuple[Rule, ...]:
    try:
        return rules(watch)
    except WatchError as error:
        raise SettingsError("watch", str(error)) from None


def _flag(given: Mapping[str, Any], name: str) -> bool:
    if not isinstance(given[name], bool):
        raise SettingsError(name, f"expected true or false, got {given[name]!r}")
    return given[name]


def completed(kind: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a step of a kind such as `train/simclr`, with the defaults of its protocol. Those of `supervised`
    are left to `resolve`, and those of users' own protocols to whoever has their files."""
    name = kind.rpartition("/")[2]
    if name == "supervised" or name not in shelf.names("train"):
        return dict(params)
    return {**{key: param.default for key, param in shelf.leaf("train", name).params.items()}, **params}


def _disagreements(settings: Settings) -> Iterator[SettingsError]:
    """Parameters that exclude each other, or need each other: all of them, so that they are told together."""
    if settings.batch % settings.accumulate:
        text = f"{settings.accumulate} chunks do not divide a batch of {settings.batch} examples"
        yield SettingsError("accumulate", text)
    if settings.patience is not None and settings.select is None:
        yield SettingsError("patience", "early stopping needs to know the metric; write select: accuracy or loss")
    if settings.warmup_steps and settings.schedule.name == "one_cycle":
        yield SettingsError("warmup", "one_cycle has its own rise (its parameter 'rise'); write warmup: 0 beside it")
    if settings.checkpointing and settings.compile:
        yield SettingsError("checkpointing", "a compiled network decides itself what it computes twice; leave out one")
    if settings.warmup_shape == "constant" and settings.warmup_from is None:
        yield SettingsError("warmup_shape", "a constant warm-up needs its share of the rate; write warmup_from: 0.1")
    if settings.ema is None and (settings.ema_warmup or settings.ema_statistics or settings.ema_every != 1):
        yield SettingsError("ema", "there are ema_... parameters but no running average; write ema: 0.9999, or leave "
                                   "them out")  # fmt: skip
    if settings.to_plateau:
        try:
            until.check(settings)
        except SettingsError as error:
            yield error
    yield from _momentum(settings.optimiser)
    yield from _interval(settings)


def _momentum(chosen: Choice) -> Iterator[SettingsError]:
    """Parameters of sgd that exclude each other."""
    written = chosen.params
    if chosen.name == "sgd" and chosen.entry is None and written.get("dampening"):
        if written.get("form") == "caffe":
            yield SettingsError("optimiser", "sgd with form: caffe has no dampening; leave one of them out")
        elif written.get("nesterov", True):
            yield SettingsError("optimiser", "sgd dampens plain momentum only; write nesterov: false beside dampening")


def _interval(settings: Settings) -> Iterator[SettingsError]:
    """An interval of the schedule that is shorter than a step: asked of the schedule itself, for one step."""
    chosen = settings.schedule
    if chosen.entry is None and not _own(chosen.name) and "every" in chosen.params:
        try:
            chosen.load("schedules")(1, settings.steps_per_epoch, **chosen.params)
        except ValueError as error:
            yield SettingsError("schedule", str(error))


def _known(chosen: Choice, shelf_name: str, parameter: str) -> Choice:
    names = shelf.names(shelf_name)
    if chosen.entry is None and not _own(chosen.name) and chosen.name not in names:
        known = ", ".join(names) or "none"
        raise SettingsError(parameter, f"no '{chosen.name}'; there are {known}.{did_you_mean(chosen.name, names)}")
    return chosen


def _own(name: str) -> bool:
    return ":" in name or Path(name).suffix == ".py"


def _steps(given: Mapping[str, Any], name: str, per_epoch: int) -> int:
    try:
        length = Length.parse(str(given[name]))
    except ValueError as error:
        raise SettingsError(name, str(error)) from None
    if length.unit == "plateau":
        raise SettingsError(name, "a plateau may end a training ('for: plateau'), and is no other length; write "
                                  "'1 epochs' or '500 steps'")  # fmt: skip
    return length.steps(per_epoch)


def _warmup(value: Any, per_epoch: int, total: int) -> int:
    """Steps of a share (`0.05`, `"5%"`) or a length; a share is rounded to the nearest step."""
    share = None
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip()[:-1]) / 100
        except ValueError:
            raise SettingsError("warmup", f"{value!r} is no share; write 5% or '3 epochs'") from None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        share = float(value)
    if share is not None:
        if not 0 <= share <= 1:
            raise SettingsError("warmup", f"a share lies between 0 and 1, got {value}; lengths are written '3 epochs'")
        return math.floor(share * total + 0.5)
    return min(total, _steps({"warmup": value}, "warmup", per_epoch))


def steps_in(value: Any, per_epoch: int, total: int) -> int:
    """Optimiser steps that a share of training or a length means, at most `total`."""
    return _warmup(value, per_epoch, total)


def whole(given: Mapping[str, Any], name: str, least: int = 1) -> int:
    """A parameter that is a whole number of at least `least`.

    Raises:
        SettingsError: it is none.
    """
    value = given[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingsError(name, f"expected a whole number of at least {least}, got {value!r}")
    return value


def _real(given: Mapping[str, Any], name: str, least: float, *, below: float = math.inf, above: bool = False) -> float:
    value = given[name]
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < below
    if not fits or (above and value == least):
        upper = f" and below {below:g}" if below < math.inf else ""
        raise SettingsError(
            name, f"expected a number {'above' if above else 'of at least'} {least:g}{upper}, got {value!r}"
        )
    return float(value)


def _maybe(given: Mapping[str, Any], name: str, least: float) -> float | None:
    return None if given[name] is None else _real(given, name, least)


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    value = given[name]
    if value not in known:
        raise SettingsError(name, f"expected {', '.join(known)}, got {value!r}.{did_you_mean(str(value), known)}")
    return str(value)
