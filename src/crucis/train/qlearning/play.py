"""Actions of a network, and what they bring on average."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...data.arcade.player import Player
from ...seeds import rng
from .learning import seen


@dataclass(frozen=True)
class Returns:
    """Points of whole games: their mean, its standard error, and how many games."""

    mean: float
    se: float
    n: int


def greedy(net: nn.Module, frames: np.ndarray, device: str = "cpu") -> np.ndarray:
    """The action of greatest value for each observation (N, stack, H, W); the first of equal ones."""
    with torch.no_grad():
        return net(seen(torch.from_numpy(frames), device)).argmax(1).cpu().numpy()


def choose(
    net: nn.Module, frames: np.ndarray, epsilon: float, draw: np.random.Generator, actions: int, device: str = "cpu"
) -> np.ndarray:
    """Greedy actions, each replaced by an even draw with probability `epsilon`."""
    count = len(frames)
    at_random, drawn = draw.random(count) < epsilon, draw.integers(actions, size=count)
    return drawn if at_random.all() else np.where(at_random, drawn, greedy(net, frames, device))


def evaluate(
    net: nn.Module, name: str, episodes: int, epsilon: float, seed: int, *stream: str | int, repeat: int = 4,
    stack: int = 4, device: str = "cpu", tick: Callable[[], None] = lambda: None,
) -> Returns:  # fmt: skip
    """The undiscounted, unclipped points of `episodes` (2 or more) whole games, played side by side.

    The same stream gives the same first states. With `epsilon: 1` the network is not asked: random play.
    """
    player = Player(name, episodes, seed, *stream, repeat=repeat, stack=stack)
    draw, live, total = rng(seed, *stream, name, "moves"), np.ones(episodes, bool), np.zeros(episodes)
    while live.any():
        points, over = player.step(choose(net, player.seen, epsilon, draw, player.actions, device))
        total += points * live
        live &= ~over
        tick()
    spread = float(total.std(ddof=1)) / math.sqrt(episodes)
    return Returns(float(total.mean()), spread, episodes)
