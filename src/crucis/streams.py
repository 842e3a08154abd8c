"""Torch generators derived from seeds, and the one place that may touch torch's global generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .seeds import derive


def generator(seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """A generator of the stream `names` of `seed`."""
    return torch.Generator(device=device).manual_seed(derive(seed, *names))


class Stream:
    """A stream whose state outlives the block that draws from it: what dropout uses during training.

    `state` is the CPU generator state (uint8), `device_state` that of the CUDA device, or None; `others` are those of
    numpy and the standard library once the stream was lent.
    """

    def __init__(self, seed: int, *names: str | int, device: str = "cpu") -> None:
        value = derive(seed, *names)
        self.device = device
        self.state = torch.Generator().manual_seed(value).get_state()
        self.device_state = None
        self.others: tuple[Any, Any] | None = None
        if device.startswith("cuda"):
            self.device_state = torch.Generator(device=device).manual_seed(value).get_state()

    def pack_others(self) -> list[Any] | None:
        """`others` as JSON values."""
        if self.others is None:
            return None
        (kind, keys, *rest), (version, state, gauss) = self.others
        return [[kind, [int(key) for key in keys], *rest], [version, list(state), gauss]]

    def unpack_others(self, packed: list[Any] | None) -> None:
        """Take `others` over from what `pack_others` gave."""
        import numpy as np

        self.others = None
        if packed is not None:
            (kind, keys, *rest), (version, state, gauss) = packed
            self.others = ((kind, np.array(keys, dtype=np.uint32), *rest), (version, tuple(state), gauss))


@contextmanager
def borrowed(stream: Stream | int) -> Iterator[None]:
    """Lend torch's global generators to code that insists on them (initialisers, dropout, timm).

    Saves the global state, sets the stream's, runs the block, keeps the stream's new state in `stream`
    (if it is a `Stream`), and restores the global state, also after an exception. numpy's and the standard
    library's global generators are lent and restored too: some third-party initialisers draw from them.
    """
    import random

    import numpy as np

    lent = stream if isinstance(stream, Stream) else None
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    device_before = None
    if lent is not None and lent.device_state is not None:
        device_before = torch.cuda.get_rng_state(lent.device)
    try:
        if lent is not None:
            torch.set_rng_state(lent.state)
            if lent.device_state is not None:
                torch.cuda.set_rng_state(lent.device_state, lent.device)
        elif isinstance(stream, int):
            torch.default_generator.manual_seed(stream)
        if lent is not None and lent.others is not None:
            np.random.set_state(lent.others[0])  # noqa: NPY002
            random.setstate(lent.others[1])
        else:
            value = int.from_bytes(torch.get_rng_state()[:64].numpy().tobytes(), "big") % 2**32
            np.random.seed(value)  # noqa: NPY002
            random.seed(value)
        yield
    finally:
        if lent is not None:
            lent.others = np.random.get_state(), random.getstate()  # noqa: NPY002
            lent.state = torch.get_rng_state()
            if lent.device_state is not None:
                lent.device_state = torch.cuda.get_rng_state(lent.device)
        torch.set_rng_state(before[0])
        if device_before is not None and lent is not None:
            torch.cuda.set_rng_state(device_before, lent.device)
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
