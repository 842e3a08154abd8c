"""Bricks: a ball is kept in play by a paddle and breaks bricks, in the manner of Breakout.

Frames of 20 x 20; 5 bricks of 4 x 2 pixels fill rows 3 and 4, the paddle is 5 pixels of the lowest row. The ball moves
one pixel a frame along a diagonal and bounces off walls, bricks and the paddle; a paddle hit left or right of its
centre sends it to that side. A broken brick is worth 1 point. The game ends when all are broken (return 5, the best),
when the ball is lost, or after 400 frames; that limit is no end of the game itself, and `limited` tells it apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SIDE = 20
BEST = 5.0
REACH, BRICKS, WIDTH = 2, 5, 4
ROWS = (3, 4)
FRAMES = 400


def start(draw: np.random.Generator) -> dict[str, Any]:
    """The state of a new game: column `x`, row `y` and direction `dx`, `dy` of the ball, centre `p` of the paddle,
    bricks `b` that stand, as bits, and frames `t` played."""
    column, right = int(draw.integers(2, SIDE - 2)), int(draw.integers(2))
    return {"x": column, "y": 10, "dx": 2 * right - 1, "dy": 1, "p": SIDE // 2, "b": (1 << BRICKS) - 1, "t": 0}


def advance(s: Mapping[str, np.ndarray], move: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One frame of N games, in place: `move` is -1, 0 or 1 pixel. Returns points (N,) and which games are over (N,)."""
    s["p"][:] = np.clip(s["p"] + move, REACH, SIDE - 1 - REACH)
    s["t"][:] += 1
    s["dx"][:] = np.where((s["x"] + s["dx"] < 0) | (s["x"] + s["dx"] >= SIDE), -s["dx"], s["dx"])
    s["dy"][:] = np.where(s["y"] + s["dy"] < 0, 1, s["dy"])
    x, y = s["x"] + s["dx"], s["y"] + s["dy"]
    bit = 1 << (x // WIDTH)
    broken = ((y == ROWS[0]) | (y == ROWS[1])) & (s["b"] & bit > 0)
    s["b"][:] = np.where(broken, s["b"] & ~bit, s["b"])
    low = y >= SIDE - 1
    held = low & (np.abs(x - s["p"]) <= REACH)
    s["dx"][:] = np.where(held & (x != s["p"]), np.sign(x - s["p"]), s["dx"])
    turned = broken | held
    s["x"][:] = x
    s["y"][:] = np.where(turned, s["y"], y)
    s["dy"][:] = np.where(turned, -s["dy"], s["dy"])
    over = (low & ~held) | (s["b"] == 0) | (s["t"] >= FRAMES)
    return broken.astype(np.float64), over


def limited(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which games (N,) the limit of frames ends and nothing else: bricks stand and the ball is in play."""
    return (s["t"] >= FRAMES) & (s["b"] > 0) & (s["y"] < SIDE - 1)


def paint(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Frames uint8 (N, 20, 20)."""
    frames = np.zeros((len(s["x"]), SIDE, SIDE), np.uint8)
    each = np.arange(len(frames))
    for brick in range(BRICKS):
        standing = (s["b"] >> brick & 1).astype(np.uint8) * 110
        frames[:, ROWS[0] : ROWS[1] + 1, brick * WIDTH : (brick + 1) * WIDTH] = standing[:, None, None]
    for shift in range(-REACH, REACH + 1):
        frames[each, SIDE - 1, s["p"] + shift] = 200
    frames[each, s["y"], s["x"]] = 255
    return frames


def expert(s: Mapping[str, np.ndarray]) -> np.ndarray:
    """Moves that never lose the ball: to where it will come down, and to the middle while it rises."""
    end = SIDE - 1
    far = np.abs(s["x"] + s["dx"] * (end - s["y"])) % (2 * end)  # along a line that walls fold
    goal = np.where(s["dy"] > 0, np.minimum(far, 2 * end - far), SIDE // 2)
    return np.where(np.abs(goal - s["p"]) > REACH, np.sign(goal - s["p"]), 0)
