"""What the engine runs: steps, the events it tells while running, and the outcome of a run. Plain frozen values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CrucisError
from ..records import Need


class EngineError(CrucisError):
    """The engine cannot start or go on: an unusable store, a broken runner, a plan that cannot be ordered."""


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    `spec` is exactly what was hashed into `key`. `inputs` maps a role to the key or keys of records that must exist
    before the step can run; a key that another step of the plan lists in `publishes` counts as that step's output.
    `group` is shared by steps that differ only in their seed. `label` and `hints` are for people and for the runner:
    JSON values, never hashed. `hints["quiet_s"]` replaces the run's `stall_s` for this step;
    `hints["published"]` may map published keys to their specs; `hints["keep"]` names published keys that must be there
    after the run although no step needs them (a finished step that lacks one is replayed); `hints["weights"]`: files
    of its record that were given up are made again; `hints["values_only"]`: it opens no file of its inputs. A `sealed`
    step is never ready.
    """

    key: str
    spec: dict[str, Any]
    inputs: dict[str, str | list[str]] = field(default_factory=dict)
    needs: Need = field(default_factory=Need)
    group: str | None = None
    publishes: tuple[str, ...] = ()
    label: str = ""
    hints: dict[str, Any] = field(default_factory=dict)
    sealed: bool = False

    def input_keys(self) -> Iterator[str]:
        """Every key that must have a record, in the order of the roles."""
        for value in self.inputs.values():
            if isinstance(value, str):
                yield value
            else:
                yield from value

    def pack(self) -> dict[str, Any]:
        """The step as JSON values."""
        return {
            "key": self.key,
            "spec": self.spec,
            "inputs": self.inputs,
            "needs": dict(vars(self.needs)),
            "group": self.group,
            "publishes": list(self.publishes),
            "label": self.label,
            "hints": self.hints,
            "sealed": self.sealed,
        }

    @staticmethod
    def unpack(data: Mapping[str, Any]) -> Step:
        """The inverse of `pack`."""
        return Step(**{**data, "needs": Need(**data["needs"]), "publishes": tuple(data["publishes"])})


@dataclass(frozen=True)
class Event:
    """Something that happened during a run, with the counts so far.

    `kind`: plan, begin, beat, published, done, cached, failed, retry, blocked, stopping, paused, resumed, warn, alert,
    reaction. `data` holds what the kind brings: the runner's progress (beat), outcome and seconds (done), code and text
    (failed), text (warn, alert, reaction).
    """

    kind: str
    key: str = ""
    label: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    cached: int = 0
    failed: int = 0
    blocked: int = 0
    running: int = 0


@dataclass
class Outcome:
    """How a run ended. `done` counts records made here (also refused and diverged ones), `cached` those found."""

    done: int = 0
    cached: int = 0
    failed: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    stopped: bool = False
    left: list[str] = field(default_factory=list)
    refused: int = 0
    diverged: int = 0

    @property
    def exit_code(self) -> int:
        """0 all done, 3 some failed, 4 blocked or sealed only, 130 stopped."""
        if self.stopped:
            return 130
        if self.failed:
            return 3
        return 4 if self.blocked or self.sealed else 0
