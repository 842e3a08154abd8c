"""Copies of a generated game side by side, each with its own draws: a copy plays the same among any others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from ...errors import CrucisError, did_you_mean
from ...seeds import rng
from . import bricks, catch, dodge

#: Actions of the generated games, in the order of an agent's outputs, and what each moves in pixels a frame.
ACTIONS = ("stay", "left", "right")
_MOVES = np.array([0, -1, 1])
_GAMES = {"catch": catch, "dodge": dodge, "bricks": bricks}
#: The generated games.
NAMES = tuple(_GAMES)


class Engine(Protocol):
    """What an agent's interface needs of N copies of a game. `best` is the greatest return, None if nobody knows it."""

    shape: tuple[int, int]
    actions: int
    best: float | None

    def reset(self, which: np.ndarray) -> None:
        """New games where `which` (N,) is true."""

    def frame(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame of the games that are `live`: points (N,) and which are over (N,); the others give neither."""
        ...

    def limited(self) -> np.ndarray:
        """Of the games that are over: which (N,) a limit of frames broke off, where the game itself would go on."""
        ...

    def paint(self) -> np.ndarray:
        """Frames uint8 (N, H, W)."""
        ...

    def state(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        ...

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""


class Boards:
    """Copies of a generated game."""

    shape = (catch.SIDE, catch.SIDE)
    actions = len(ACTIONS)

    def __init__(self, name: str, count: int, seed: int, *stream: str | int) -> None:
        if name not in _GAMES:
            raise CrucisError(f"no game '{name}'; there are {', '.join(NAMES)}, and atari/NAME for Atari."
                              f"{did_you_mean(name, NAMES)}")  # fmt: skip
        self.game: Any = _GAMES[name]
        self.best: float | None = self.game.BEST
        self.draws = [rng(seed, *stream, name, i) for i in range(count)]
        first = [self.game.start(draw) for draw in self.draws]
        self.fields = {key: np.array([one[key] for one in first], np.int64) for key in first[0]}

    def reset(self, which: np.ndarray) -> None:
        """New games where `which` (N,) is true."""
        for i in np.flatnonzero(which):
            for key, value in self.game.start(self.draws[i]).items():
                self.fields[key][i] = value

    def frame(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame of the games that are `live`: points (N,) and which are over (N,)."""
        kept = None if live.all() else {key: value.copy() for key, value in self.fields.items()}
        points, over = self.game.advance(self.fields, _MOVES[actions])
        if kept is not None:
            for key, value in self.fields.items():
                np.copyto(value, kept[key], where=~live)
        return np.where(live, points, 0.0), over & live

    def limited(self) -> np.ndarray:
        """Of the games that are over: which (N,) a limit of frames broke off. Games without one have none."""
        if hasattr(self.game, "limited"):
            return np.asarray(self.game.limited(self.fields))
        return np.zeros(len(self.draws), bool)

    def paint(self) -> np.ndarray:
        """Frames uint8 (N, 20, 20)."""
        return self.game.paint(self.fields)

    def expert(self) -> np.ndarray:
        """Actions (N,) of a player that loses nothing."""
        return np.array([1, 0, 2])[self.game.expert(self.fields) + 1]

    def state(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {"fields": {key: value.tolist() for key, value in self.fields.items()},
                "draws": [packed(draw) for draw in self.draws]}  # fmt: skip

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.fields = {key: np.array(value, np.int64) for key, value in state["fields"].items()}
        for draw, told in zip(self.draws, state["draws"], strict=True):
            unpack(draw, told)


def packed(draw: np.random.Generator) -> list[Any]:
    """The state of a PCG64 generator as JSON values; its 128-bit numbers are text."""
    state: Any = draw.bit_generator.state
    return [str(state["state"]["state"]), str(state["state"]["inc"]), state["has_uint32"], state["uinteger"]]


def unpack(draw: np.random.Generator, told: list[Any]) -> None:
    """Put a generator into the state that `packed` told."""
    draw.bit_generator.state = {
        "bit_generator": "PCG64", "state": {"state": int(told[0]), "inc": int(told[1])},
        "has_uint32": told[2], "uinteger": told[3],
    }  # fmt: skip
