"""Atari 2600 games, played by the Arcade Learning Environment of the package `ale-py`, which only this file imports.

Source: M. Bellemare et al., 2013, doi:10.1613/jair.3912. Frames as V. Mnih et al., 2015 (doi:10.1038/nature14236)
prepare them: grey, the larger of the last two (some sprites are drawn in every second frame only), 84 x 84. Here the
size is reached by averages over areas. A game begins with up to 30 frames without action, as there. Actions are all 18
of the console, so that games share a network's outputs; they are never repeated at random; the loss of a life ends
nothing. Half an hour of play breaks a game off, which is no end of the game itself.
"""

from __future__ import annotations

import base64
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CrucisError, did_you_mean
from ...seeds import derive, rng
from .boards import packed, unpack

SIDE = 84
ACTIONS = 18
NOTHING = 30  # most frames without action at the start
INSTALL = "pip install 'crucis[atari]'"
LIMIT = 108_000  # frames of a game, half an hour of play


class Emulators:
    """Copies of an Atari game.

    Raises:
        CrucisError: `ale-py` is not installed, or it has no such game.
    """

    shape = (SIDE, SIDE)
    actions = ACTIONS
    best: float | None = None

    def __init__(self, name: str, count: int, seed: int, *stream: str | int) -> None:
        self.machines = [_machine(name, derive(seed, *stream, name, i, "console") % 2**31) for i in range(count)]
        self.legal = self.machines[0].getLegalActionSet()
        self.draws = [rng(seed, *stream, name, i) for i in range(count)]
        height, width = self.machines[0].getScreenDims()
        self.rows, self.columns = _areas(height, SIDE), _areas(width, SIDE)
        self.last = np.zeros((count, 2, height, width), np.uint8)
        self.reset(np.ones(count, bool))

    def reset(self, which: np.ndarray) -> None:
        """New games where `which` (N,) is true."""
        for i in np.flatnonzero(which):
            machine = self.machines[i]
            machine.reset_game()
            for _ in range(int(self.draws[i].integers(NOTHING + 1))):
                machine.act(self.legal[0])
                if machine.game_over():
                    machine.reset_game()
            self.last[i] = machine.getScreenGrayscale()[None]

    def frame(self, actions: np.ndarray, live: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame of the games that are `live`: points (N,) and which are over (N,)."""
        points, over = np.zeros(len(self.machines)), np.zeros(len(self.machines), bool)
        for i in np.flatnonzero(live):
            machine = self.machines[i]
            points[i] = machine.act(self.legal[int(actions[i])])
            over[i] = machine.game_over() or machine.getEpisodeFrameNumber() >= LIMIT
            self.last[i, 0] = self.last[i, 1]
            machine.getScreenGrayscale(self.last[i, 1])
        return points, over

    def limited(self) -> np.ndarray:
        """Of the games that are over: which (N,) half an hour of play broke off."""
        return np.array([not machine.game_over() for machine in self.machines])

    def paint(self) -> np.ndarray:
        """Frames uint8 (N, 84, 84)."""
        seen = self.last.max(1).astype(np.float32)
        return np.rint(self.rows @ seen @ self.columns.T).astype(np.uint8)

    def state(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        told = [base64.b64encode(machine.cloneState(include_rng=True).__getstate__()).decode()
                for machine in self.machines]  # fmt: skip
        return {"machines": told, "last": base64.b64encode(self.last.tobytes()).decode(),
                "draws": [packed(draw) for draw in self.draws]}  # fmt: skip

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        kind: Any = type(self.machines[0].cloneState(include_rng=True))
        for machine, told in zip(self.machines, state["machines"], strict=True):
            found = kind.__new__(kind)
            found.__setstate__(base64.b64decode(told))
            machine.restoreState(found)
        self.last[:] = np.frombuffer(base64.b64decode(state["last"]), np.uint8).reshape(self.last.shape)
        for draw, told in zip(self.draws, state["draws"], strict=True):
            unpack(draw, told)


@cache
def _areas(before: int, after: int) -> np.ndarray:
    """Weights float32 (after, before) of averages over equal pieces of a line of pixels."""
    edges = np.linspace(0, before, after + 1)
    low, high = np.maximum(edges[:-1, None], np.arange(before)), np.minimum(edges[1:, None], np.arange(before) + 1)
    return (np.maximum(high - low, 0) * after / before).astype(np.float32)


def names() -> tuple[str, ...] | None:
    """The games of the emulator, read from its list without importing it; None if it is not installed or has none."""
    spec = importlib.util.find_spec("ale_py")
    try:
        text = (Path((spec.submodule_search_locations or [""])[0]) / "roms" / "md5.json").read_text() if spec else "{}"
        return tuple(sorted(file.partition(".")[0] for file in json.loads(text))) or None
    except (OSError, ValueError):
        return None


def _machine(name: str, seed: int) -> Any:
    try:
        import ale_py
        from ale_py import roms
    except ImportError as error:
        raise CrucisError(f"Atari games need the package ale-py: {INSTALL}") from error
    known = roms.get_all_rom_ids()
    if name not in known:
        raise CrucisError(f"ale-py has no game '{name}'.{did_you_mean(name, known)}")
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    machine: Any = ale_py.ALEInterface()
    machine.setInt("random_seed", seed)
    machine.setFloat("repeat_action_probability", 0.0)
    machine.loadROM(roms.get_rom_path(name))
    return machine
