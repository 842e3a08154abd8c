"""Times and limits of a run, as plain values that tests shorten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import machine
from .lease import Owner


@dataclass(frozen=True)
class Tuning:
    """Times and limits of a run; seconds and bytes. The defaults are those of the specification.

    `walltime_s`: a clean stop begins 120 s before it. `owner`: who this supervisor says it is. `oom_kills`: the
    kernel's counter. `place_*`: how a full disk is waited for.
    """

    backoff: tuple[float, ...] = (2.0, 8.0, 32.0)
    ttl_s: float = 120.0
    beat_s: float = 15.0
    grace_s: float = 30.0
    look_again_s: tuple[float, float] = (0.2, 15.0)
    place_free: int = 2_000_000_000
    place_poll_s: float = 2.0
    place_wait_s: float = 600.0
    walltime_s: float | None = None
    most_stacked: int = 16
    owner: Owner | None = None
    oom_kills: Callable[[], int] = machine.oom_kills
