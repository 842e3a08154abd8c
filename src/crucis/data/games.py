"""Small generated games: what a player sees of them, with the action that a player takes who loses nothing.

Observations are the last `stack` frames of 20 x 20 pixels; the classes are the actions stay, left and right. Each
action lasts 4 frames. Half of the actions on the way are drawn at random, so that situations of all kinds come up;
those that come up twice are kept once. Networks see levels from 0 to 1, as agents do, not standardised ones.
`q_learning` takes from it what a network sees and answers and plays the games itself; as a data set it serves the
imitation of a player. Games: catch, dodge, bricks (`data/arcade`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..seeds import rng
from .arcade.boards import ACTIONS, NAMES, Boards
from .arcade.player import Player
from .dataset import Raw

REVISION = 2
KIND = "image"
LIMITS = {"n": "[30, 1000000]", "stack": "[1, 16]"}
_AT_ONCE = 32


def load(
    root: Path | None,  # noqa: ARG001
    *,
    n: int = 600,
    stack: int = 4,
    variant: int = 0,
) -> Raw:
    """Images uint8 (n at most, 20, 20, stack), the newest frame last; factor `game`: 0 catch, 1 dodge, 2 bricks.

    Args:
        n: observations that are taken, the same number of each game; equal ones are then kept once.
        stack: frames of an observation.
        variant: another draw of the same kind.
    """
    seen, best, which = [], [], []
    for number, name in enumerate(NAMES):
        player, draw = Player(name, _AT_ONCE, variant, "games", stack=stack), rng(variant, "games", "moves", name)
        assert isinstance(player.engine, Boards)
        left = -(-n // len(NAMES))
        while left > 0:
            count, right = min(left, _AT_ONCE), player.engine.expert()
            seen.append(player.seen[:count].copy())
            best.append(right[:count])
            which.append(np.full(count, number))
            player.step(np.where(draw.random(_AT_ONCE) < 0.5, right, draw.integers(len(ACTIONS), size=_AT_ONCE)))
            left -= count
    x, y, game = (np.concatenate(parts) for parts in (seen, best, which))
    first = np.sort(np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1])
    images = x.transpose(0, 2, 3, 1)[first]
    return Raw(images, y[first].astype(np.int64), ACTIONS, factors={"game": game[first].astype(np.float32)},
               standardised=False)  # fmt: skip
