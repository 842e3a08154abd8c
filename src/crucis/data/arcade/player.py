"""A game as an agent meets it: each action is repeated, and it sees the last few frames that followed its actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .boards import Boards, Engine

#: Before the name of an Atari game.
ATARI = "atari/"


class Player:
    """N games of one kind, played at once; a game that is over starts anew by itself.

    Attributes:
        name: such as `catch`, or `atari/pong`; repeat: frames of an action; shape: (stack, H, W) of an observation.
        age: agent steps since each game began, (N,).
        limited: which games (N,) a limit of frames broke off in the last step; ends: the last frames (N, H, W) of
            those, None where there are none.
    """

    def __init__(self, name: str, count: int, seed: int, *stream: str | int, repeat: int = 4, stack: int = 4) -> None:
        self.name, self.repeat = name, repeat
        self.engine = engine(name, count, seed, *stream)
        self.seen = np.zeros((count, stack, *self.engine.shape), np.uint8)
        self.seen[:, -1] = self.engine.paint()
        self.age = np.zeros(count, np.int64)
        self.limited = np.zeros(count, bool)
        self.ends: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(stack, H, W)."""
        return self.seen.shape[1:]

    @property
    def actions(self) -> int:
        """How many actions there are."""
        return self.engine.actions

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Repeat the actions (N,): points (N,) and which games ended (N,), of which `limited` tells those that a limit
        broke off. Frames before a game's first are black."""
        points, over = np.zeros(len(actions)), np.zeros(len(actions), bool)
        for _ in range(self.repeat):
            more, ended = self.engine.frame(actions, ~over)
            points, over = points + more, over | ended
        self.seen[:, :-1] = self.seen[:, 1:]
        self.age += 1
        self.limited = over & self.engine.limited() if over.any() else np.zeros(len(over), bool)
        self.ends = self.engine.paint() if self.limited.any() else None
        if over.any():
            self.engine.reset(over)
            self.seen[over] = 0
            self.age[over] = 0
        self.seen[:, -1] = self.engine.paint()
        return points, over

    def state(self) -> dict[str, Any]:
        """All of it but what is seen, as JSON values; `seen` is kept beside it."""
        return {"engine": self.engine.state(), "age": self.age.tolist()}

    def take(self, state: Mapping[str, Any], seen: np.ndarray) -> None:
        """Go on from a state."""
        self.engine.take(state["engine"])
        self.age[:] = state["age"]
        self.seen[:] = seen


def engine(name: str, count: int, seed: int, *stream: str | int) -> Engine:
    """Copies of a game.

    Raises:
        CrucisError: no such game, or its package is not installed.
    """
    if name.startswith(ATARI):
        from .emulators import Emulators

        return Emulators(name.removeprefix(ATARI), count, seed, *stream)
    return Boards(name, count, seed, *stream)
