"""Dodge: blocks fall onto the place where the player stands, and the player must get out of the way.

Frames of 20 x 20; the player is 3 pixels of the lowest row, a block 7 pixels wide and falls one pixel a frame. It is
aimed at the player when it starts. A block that misses is worth 1 point and the next one starts; one that hits ends
the game with -1. The game ends after 3 blocks, so the best return is 3: getting out of the way takes 5 pixels, or 9
from the edge past which the block cannot be aimed, and there are 19 frames. A player that stands still is always hit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SIDE = 20
BEST = 3.0
PLAYER, BLOCK = 1, 3  # pixels on each side of the centre
WAVES = 3


def start(draw: np.random.Generator) -> dict[str, Any]:
    """The state of a new game: centre `x` and row `y` of the block, centre `p` of the player, blocks `w` outlived."""
    place = int(draw.integers(PLAYER, SIDE - PLAYER))
    return {"x": int(_aimed(np.array(place))), "y": 0, "p": place, "w": 0}


def advance(s: Mapping[str, np.ndarray], move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame of N games, in place: `move` is -1, 0 or 1 pixel. Returns points (N,) and which games are over (N,)."""
    s["p"][:] = np.clip(s["p"] + move, PLAYER, SIDE - 1 - PLAYER)
    s["y"][:] += 1
    down = s["y"] >= SIDE - 1
    hit = down & (np.abs(s["x"] - s["p"]) <= PLAYER + BLOCK)
    missed = down & ~hit
    s["w"][:] += missed
    over = hit | (s["w"] >= WAVES)
    again = missed & ~over
    s["x"][:] = np.where(again, _aimed(s["p"]), s["x"])
    s["y"][:] = np.where(again, 0, s["y"])
    return missed.astype(np.float64) - hit, over


def _aimed(place: np.ndarray) -> np.ndarray:
    """The centre of a block over the player, inside the frame."""
    return np.clip(place, BLOCK, SIDE - 1 - BLOCK)


def paint(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frames uint8 (N, 20, 20)."""
    frames = np.zeros((len(s["x"]), SIDE, SIDE), np.uint8)
    each = np.arange(len(frames))
    for shift in range(-BLOCK, BLOCK + 1):
        frames[each, s["y"], s["x"] + shift] = 160
    for shift in range(-PLAYER, PLAYER + 1):
        frames[each, SIDE - 1, s["p"] + shift] = 255
    return frames


def expert(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Moves that always win: to the wider side, and away from the block."""
    side = np.where(s["x"] == s["p"], np.where(s["p"] < SIDE / 2, 1, -1), np.sign(s["p"] - s["x"]))
    inside = np.where(s["x"] + BLOCK + 2 * PLAYER >= SIDE - 1, -1, np.where(s["x"] - BLOCK - 2 * PLAYER <= 0, 1, side))
    return np.where(np.abs(s["x"] - s["p"]) <= PLAYER + BLOCK, inside, 0)
