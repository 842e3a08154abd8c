"""Published seed values and the derivation of named streams from them. Draws nothing itself."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from .canon import canonical

if TYPE_CHECKING:
    import numpy as np

_HEAD = (42, 123, 456)
_TAIL = 1003
_FRESH = 900_001


def sequence(count: int) -> list[int]:
    """The first `count` of 42, 123, 456, 1003, 1004, ...: growing keeps the earlier ones."""
    return [_HEAD[i] if i < 3 else _TAIL + i - 3 for i in range(count)]


def fresh(count: int) -> list[int]:
    """The first `count` of 900001, 900002, ...: seeds that no selection has seen."""
    return [_FRESH + i for i in range(count)]


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit integer that depends on the seed and on every name, in order.

    Equal arguments give equal integers on every machine; adding a stream changes no other.
    """
    text = canonical([seed, *names])
    return int.from_bytes(hashlib.sha256(f"crucis-stream-1\n{text}".encode()).digest()[:8], "big") >> 1


def rng(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator (PCG64) of the stream `names`; its draws do not depend on any other stream."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(derive(seed, *names)))
