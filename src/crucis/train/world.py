"""What a training over several ranks asks of its settings. Imports no torch, because a plan asks for every step."""

from __future__ import annotations

from .settings import Settings, SettingsError


def check_world(settings: Settings, world: int) -> None:
    """See that `world` ranks can train with these settings as one process would.

    Raises:
        SettingsError: a batch, or a chunk of it, that the ranks cannot share evenly; a compiled network, whose
            statistics over the ranks the compiler does not see.
    """
    chunk = settings.batch // settings.accumulate
    if chunk % world:
        what = f"a batch of {settings.batch} examples"
        if settings.accumulate > 1:
            what = f"a chunk of {chunk} examples (batch {settings.batch} in {settings.accumulate} chunks)"
        near = max(world, round(settings.batch / (world * settings.accumulate)) * world * settings.accumulate)
        text = f"{world} ranks cannot share {what} evenly; write batch: {near}, or change --ranks"
        raise SettingsError("batch", text)
    if settings.compile:
        raise SettingsError("compile", "compiled networks train on one rank; leave out compile, or --ranks")
    if settings.on_memory == "halve_batch":
        raise SettingsError(
            "on_memory", "ranks run out of memory one by one; write on_memory: stop, or leave out --ranks"
        )
