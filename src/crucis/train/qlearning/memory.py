"""The replay memory: the last transitions of one game, each frame kept once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_PARTS = ("frames", "actions", "ages", "rewards", "over", "cut")


@dataclass(frozen=True)
class Batch:
    """Transitions: observations before and after (n, stack, H, W) uint8, actions (n,), points (n,) and ends (n,)."""

    before: Tensor
    after: Tensor
    actions: Tensor
    rewards: Tensor
    over: Tensor


class Memory:
    """At most `size` transitions, drawn evenly. Cost: `size` frames of memory, in bytes their pixels.

    Rows stand in a ring in the order of play. A row is the newest frame of an observation, the action that followed,
    what it brought, and how many frames of its game came before (up to `stack` - 1). Where a limit of frames broke a
    game off, its last frame takes a row by itself, which no action followed; where play was left in the midst of a
    game, nobody saw what followed. Neither is ever drawn as a transition.
    """

    def __init__(self, size: int, stack: int, frame: tuple[int, int]) -> None:
        self.size, self.stack = size, stack
        self.rows = size + stack  # the oldest rows lack their history, and the newest what followed
        self.frames = np.zeros((self.rows, *frame), np.uint8)
        self.actions, self.ages = np.zeros(self.rows, np.int64), np.zeros(self.rows, np.int64)
        self.rewards, self.over = np.zeros(self.rows, np.float32), np.zeros(self.rows, bool)
        self.cut = np.zeros(self.rows, bool)
        self.made = 0

    def add(self, frame: np.ndarray, age: int, action: int, reward: float, over: bool) -> None:
        """One agent step: the newest frame before it, agent steps since the game began, and what it brought."""
        at = self.made % self.rows
        self.frames[at], self.ages[at] = frame, min(age, self.stack - 1)
        self.actions[at], self.rewards[at], self.over[at] = action, reward, over
        self.cut[at] = False
        self.made += 1

    def close(self, frame: np.ndarray, age: int) -> None:
        """A limit of frames broke the game off: what was seen last, after as many agent steps."""
        self.add(frame, age, 0, 0.0, False)
        self.cut[(self.made - 1) % self.rows] = True

    def leave(self) -> None:
        """Play is broken off: the next row is of another game, and does not follow this one."""
        newest = (self.made - 1) % self.rows
        self.cut[newest] = not self.over[newest]

    def __len__(self) -> int:
        """Transitions that can be drawn."""
        return max(0, min(self.made - 1, self.size))

    def draw(self, n: int, draw: np.random.Generator) -> Batch:
        """`n` transitions, each with the same chance, with replacement."""
        first = self.made - 1 - len(self)
        which = first + draw.integers(len(self), size=n)
        while (lost := self.cut[which % self.rows]).any():
            which[lost] = first + draw.integers(len(self), size=int(lost.sum()))
        return self.at(which)

    def at(self, which: np.ndarray) -> Batch:
        """The transitions at these numbers, counted from the first one ever added."""
        rows = which % self.rows
        return Batch(
            self._observed(which), self._observed(which + 1), torch.from_numpy(self.actions[rows]),
            torch.from_numpy(self.rewards[rows]), torch.from_numpy(self.over[rows]),
        )  # fmt: skip

    def _observed(self, which: np.ndarray) -> Tensor:
        """Observations whose newest frames these are; frames before a game's first are black."""
        back = np.arange(self.stack - 1, -1, -1)
        seen = self.frames[(which[:, None] - back) % self.rows]
        seen[back > self.ages[which % self.rows][:, None]] = 0
        return torch.from_numpy(seen)

    def state(self) -> dict[str, Tensor]:
        """All of it, as tensors, without the rows that were never filled."""
        filled = min(self.made, self.rows)
        found = {name: torch.from_numpy(getattr(self, name)[:filled].copy())
                 for name in _PARTS}  # fmt: skip
        return {**found, "made": torch.tensor(self.made)}

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state."""
        self.made = int(state["made"])
        for name in _PARTS:
            filled = state[name].numpy()
            getattr(self, name)[: len(filled)] = filled
