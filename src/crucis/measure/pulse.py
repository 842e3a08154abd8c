"""The sign of life of a long measurement, and its ear for the wish to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import Stopped
from ..records import Context


def pulse(ctx: Context | None, progress: Callable[[], dict[str, Any]] = dict) -> Callable[[], None]:
    """What a measurement calls between its parts: it reports `progress`, and raises `Stopped` if that is wanted."""

    def tick() -> None:
        if ctx is None:
            return
        if ctx.stopping():
            raise Stopped("the measurement stops between two batches; it starts again next time")
        ctx.beat(**progress())

    return tick
