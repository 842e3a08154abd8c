"""Catch: a ball falls straight down one pixel a frame, and the paddle must be under it.

Frames of 20 x 20; the ball is one pixel, the paddle 5 pixels of the lowest row. The first column of the ball and the
first place of the paddle are drawn evenly. After 19 frames the game ends with 1 point if the ball is caught and -1 if
not, so the best return is 1: the paddle needs 15 pixels at most and has 19 frames. Source of the game: V. Mnih et al.,
Recurrent models of visual attention (2014), arXiv:1406.6247, section 4.3, there on 24 x 24 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SIDE = 20
BEST = 1.0
REACH = 2  # pixels of the paddle on each side of its centre


def start(draw: np.random.Generator) -> dict[str, Any]:
    """The state of a new game: column `x` and row `y` of the ball, centre `p` of the paddle."""
    return {"x": int(draw.integers(SIDE)), "y": 0, "p": int(draw.integers(REACH, SIDE - REACH))}


def advance(s: Mapping[str, np.ndarray], move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame of N games, in place: `move` is -1, 0 or 1 pixel. Returns points (N,) and which games are over (N,)."""
    s["p"][:] = np.clip(s["p"] + move, REACH, SIDE - 1 - REACH)
    s["y"][:] += 1
    over = s["y"] >= SIDE - 1
    caught = np.abs(s["x"] - s["p"]) <= REACH
    return np.where(over, np.where(caught, 1.0, -1.0), 0.0), over


def paint(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frames uint8 (N, 20, 20)."""
    frames = np.zeros((len(s["x"]), SIDE, SIDE), np.uint8)
    each = np.arange(len(frames))
    frames[each, s["y"], s["x"]] = 255
    for shift in range(-REACH, REACH + 1):
        frames[each, SIDE - 1, s["p"] + shift] = 255
    return frames


def expert(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Moves that always win: towards the ball."""
    return np.sign(s["x"] - s["p"])
