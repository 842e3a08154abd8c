"""What a training by `q_learning` is told, checked against each other. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...data.arcade import emulators
from ...data.arcade.boards import NAMES
from ...data.arcade.player import ATARI
from ...errors import did_you_mean
from ...lengths import Length
from ..settings import Choice, SettingsError, choice, whole

LOSSES = ("huber", "squared")
FISHERS = ("td_error", "value")
PENALTIES = ("per_game", "latest")
RECOMPUTED = ("switch", "once")
VIEWLESS = "no example of the data set is learned from, so a view would be passed over; leave it out"


@dataclass(frozen=True)
class QSettings:
    """A resolved training. `updates`, `evaluate_every`: optimiser steps of each game; `replay`: transitions; `period`,
    `target_every`, `learn_after`, `ewc_start`: agent steps; `epsilon`: share of random actions at first, at last, and
    the agent steps of a game between."""

    games: tuple[str, ...]
    updates: int
    batch: int
    lr: float
    lr_max: float | None
    optimiser: Choice
    clip_value: float | None
    clip: float | None
    loss: str
    double: bool
    discount: float
    replay: int
    period: int
    target_every: int
    learn_after: int
    epsilon: tuple[float, float, int]
    action_repeat: int
    clip_rewards: bool
    ewc_lambda: float
    ewc_fisher: str
    ewc_minibatches: int
    ewc_start: int
    ewc_penalties: str
    ewc_recomputed: str
    evaluate_every: int
    episodes: int
    evaluation_epsilon: float

    @property
    def agent_steps(self) -> int:
        """Agent steps of each game: those before learning, and `period` for each update."""
        return self.learn_after + self.period * self.updates

    @property
    def total_updates(self) -> int:
        """Of all games."""
        return self.updates * len(self.games)

    def explores(self, step: int) -> float:
        """Share of random actions at an agent step of a game, counted from 0."""
        first, last, length = self.epsilon
        return last if step >= length else first + (last - first) * step / length


def resolve(given: Mapping[str, Any]) -> QSettings:
    """The settings of complete parameters of the protocol.

    Raises:
        SettingsError: values that are out of range or exclude each other, with the parameter and a way out.
    """
    games = given["games"]
    if not isinstance(games, list) or not games or not all(isinstance(name, str) for name in games):
        raise SettingsError("games", f"expected the names of games in the order of play, such as [catch, dodge], got "
                                     f"{games!r}")  # fmt: skip
    settings = QSettings(
        games=tuple(games), updates=_steps(given, "length"), batch=whole(given, "batch"),
        lr=_real(given, "lr", 0.0, above=True), lr_max=_maybe(given, "lr_max"),
        optimiser=choice(given["optimiser"], "optimiser"), clip_value=_maybe(given, "clip_value"),
        clip=_maybe(given, "clip"), loss=_one_of(given, "loss", LOSSES), double=_flag(given, "double"),
        discount=_real(given, "discount", 0.0, most=1.0), replay=whole(given, "replay", 2),
        period=whole(given, "period"), target_every=whole(given, "target_every"),
        learn_after=whole(given, "learn_after"), epsilon=_epsilon(given["epsilon"]),
        action_repeat=whole(given, "action_repeat"), clip_rewards=_flag(given, "clip_rewards"),
        ewc_lambda=_real(given, "ewc_lambda", 0.0), ewc_fisher=_one_of(given, "ewc_fisher", FISHERS),
        ewc_minibatches=whole(given, "ewc_minibatches"), ewc_start=whole(given, "ewc_start", 0),
        ewc_penalties=_one_of(given, "ewc_penalties", PENALTIES),
        ewc_recomputed=_one_of(given, "ewc_recomputed", RECOMPUTED),
        evaluate_every=_steps(given, "evaluate_every"), episodes=whole(given, "episodes", 2),
        evaluation_epsilon=_real(given, "evaluation_epsilon", 0.0, most=1.0),
    )  # fmt: skip
    if settings.lr_max is not None and settings.lr > settings.lr_max:
        raise SettingsError("lr", f"{settings.lr:g} is more than lr_max, {settings.lr_max:g}")
    if settings.ewc_penalties == "latest" and settings.ewc_recomputed == "once":
        raise SettingsError("ewc_recomputed", "with ewc_penalties: latest no earlier penalty is left to stay; write "
                                              "ewc_recomputed: switch, or ewc_penalties: per_game")  # fmt: skip
    return settings


class Unchecked(SettingsError):
    """What cannot be known on this machine before it runs; it stops nothing."""


def contradictions(
    given: Mapping[str, Any], data: str | None, view: Any, shown: Sequence[str] = ()
) -> tuple[SettingsError, ...]:
    """What a training could never begin with, known before anything runs: a value, games, or a data set of others.

    Args:
        given: complete parameters.
        data: name of the data set, None for one that is the user's own; view: of it, as written.
        shown: games of the data set `atari`, where they are written.
    """
    try:
        settings = resolve(given)
    except SettingsError as error:
        return (error,)
    played = list(dict.fromkeys(settings.games))
    atari = emulators.names()
    places = {name: f"games[{settings.games.index(name)}]" for name in played}
    wrong = [SettingsError(places[name], text) for name in played if (text := _unknown(name, atari))]
    wrong += [SettingsError("data", text) for name in shown if (text := _unknown(f"{ATARI}{name}", atari))]
    if wrong:
        return tuple(wrong)
    for name in played:
        wanted = "atari" if name.startswith(ATARI) else "games"
        if data is not None and data != wanted:
            return (SettingsError("games", f"{name} is seen through another data set than {data}; write data: "
                                           f"{wanted}"),)  # fmt: skip
    needless = (SettingsError("view", VIEWLESS),) if view else ()
    blind = [name for name in played if name.startswith(ATARI)] if atari is None else []
    if blind:
        text = f"whether the emulator has {', '.join(blind)} cannot be checked: no ale-py here; {emulators.INSTALL}"
        return (Unchecked("games", text), *needless)
    return needless


def _unknown(name: str, atari: tuple[str, ...] | None) -> str | None:
    """Why there is no such game, in a sentence; None if there is, or nobody knows."""
    known = [*NAMES, *(ATARI + other for other in atari or ())]
    if name in known or (name.startswith(ATARI) and atari is None):
        return None
    asked = f" Did you mean '{ATARI}{name}'?" if ATARI + name in known else did_you_mean(name, known)
    which = f"no game '{name}'; there are {', '.join(NAMES)}, and atari/NAME for Atari"
    if name.startswith(ATARI):
        which = f"the emulator has no game '{name}'"
    return f"{which}.{asked}" if asked else which


def _steps(given: Mapping[str, Any], name: str) -> int:
    try:
        length = Length.parse(str(given[name]))
    except ValueError as error:
        raise SettingsError(name, str(error)) from None
    if length.unit != "steps":
        raise SettingsError(name, f"games have no epochs; write optimiser steps of each game, such as 5000 steps, "
                                  f"instead of {given[name]}")  # fmt: skip
    if length.steps(1) < 1:
        raise SettingsError(name, f"expected at least 1 optimiser step, got {given[name]}")
    return length.steps(1)


def _epsilon(value: Any) -> tuple[float, float, int]:
    fits = isinstance(value, list) and len(value) == 3 and all(
        isinstance(one, (int, float)) and not isinstance(one, bool) for one in value
    )  # fmt: skip
    if not fits or not (0 <= value[0] <= 1 and 0 <= value[1] <= 1) or value[2] < 1 or value[2] != int(value[2]):
        raise SettingsError("epsilon", f"expected the first and the last share of random actions and the agent steps "
                                       f"between, such as [1.0, 0.1, 10000], got {value!r}")  # fmt: skip
    return float(value[0]), float(value[1]), int(value[2])


def _real(given: Mapping[str, Any], name: str, least: float, *, most: float = math.inf, above: bool = False) -> float:
    value = given[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most or not math.isfinite(value) or (above and value == least):
        bound = "" if most == math.inf else f" and at most {most:g}"
        raise SettingsError(
            name, f"expected a number {'above' if above else 'of at least'} {least:g}{bound}, got {value!r}"
        )
    return float(value)


def _maybe(given: Mapping[str, Any], name: str) -> float | None:
    return None if given[name] is None else _real(given, name, 0.0, above=True)


def _flag(given: Mapping[str, Any], name: str) -> bool:
    if not isinstance(given[name], bool):
        raise SettingsError(name, f"expected true or false, got {given[name]!r}")
    return given[name]


def _one_of(given: Mapping[str, Any], name: str, known: tuple[str, ...]) -> str:
    if given[name] not in known:
        raise SettingsError(name, f"expected {' or '.join(known)}, got {given[name]!r}")
    return str(given[name])
