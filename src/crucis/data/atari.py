"""What a player sees of Atari games, for networks that are to play them: needs the extra `atari`.

Observations are the last `stack` frames of 84 x 84 pixels of games that are played at random; the classes are the 18
actions of the console, and a label is the action that was drawn. `q_learning` takes from it what a network sees and
answers and plays the games itself. Frames are prepared as `data/arcade/emulators` says, and
networks see levels from 0 to 1, as agents do, not standardised ones.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..seeds import rng
from .arcade.player import ATARI, Player
from .dataset import Raw

REVISION = 2
KIND = "image"
LIMITS = {"n": "[30, 100000]", "stack": "[1, 16]"}


def load(
    root: Path | None,  # noqa: ARG001
    *,
    games: list[str] = ["pong"],  # noqa: B006 - a literal that is read, never changed
    n: int = 300,
    stack: int = 4,
    variant: int = 0,
) -> Raw:
    """Images uint8 (n at most, 84, 84, stack), the newest frame last; factor `game`: its place in `games`.

    Args:
        games: names of the emulator, such as pong or space_invaders.
        n: observations, the same number of each game; equal ones are kept once.
        stack: frames of an observation.
        variant: another draw of the same kind.

    Raises:
        CrucisError: the package is not installed, or has no such game.
    """
    seen, drawn, which = [], [], []
    for number, name in enumerate(games):
        player, draw = Player(ATARI + name, 1, variant, "atari", stack=stack), rng(variant, "atari", "moves", name)
        for _ in range(-(-n // len(games))):
            action = draw.integers(player.actions, size=1)
            seen.append(player.seen[0].copy())
            drawn.append(int(action[0]))
            which.append(number)
            player.step(action)
    x = np.stack(seen)
    first = np.sort(np.unique(x.reshape(len(x), -1), axis=0, return_index=True)[1])
    names = tuple(map(str, range(player.actions)))
    game = np.array(which, np.float32)[first]
    return Raw(x.transpose(0, 2, 3, 1)[first], np.array(drawn, np.int64)[first], names, factors={"game": game},
               standardised=False)  # fmt: skip
