"""Rules that only tell: what they look at, and their actions. They change no number of a run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from ..records import Context
from .sending import Sender
from .watching import MACHINE, TELLING, Rule

#: Seconds between looks at the machine.
EVERY = 10.0


class Alerts:
    """The telling rules of one run. `save` asks for a checkpoint, `spare` for the removal of the older one."""

    def __init__(
        self, rules: tuple[Rule, ...], ctx: Context, device: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rules = tuple(rule for rule in rules if any(action.name in TELLING for action in rule.actions))
        self.ctx, self.device, self.clock = ctx, device, clock
        self.sender = Sender()
        self.save = self.spare = False
        self._holding: set[str] = set()
        self._machine = tuple(rule for rule in self.rules if all(name in MACHINE for name in rule.metrics))
        self._next = -float("inf")
        if any("gpu_memory" in rule.metrics for rule in self.rules) and not device.startswith("cuda"):
            ctx.note("warn", text=f"gpu_memory: this run is on {device}; no rule on it will hold")

    def machine(self) -> dict[str, float]:
        """The metrics of the machine that rules ask for, as shares."""
        asked = {name for rule in self.rules for name in rule.metrics}
        out = {}
        if "disk_free" in asked:
            usage = shutil.disk_usage(self.ctx.scratch)
            out["disk_free"] = usage.free / usage.total
        if "gpu_memory" in asked and self.device.startswith("cuda"):
            free, total = torch.cuda.mem_get_info(self.device)
            out["gpu_memory"] = 1 - free / total
        return out

    def look(self, step: int, values: Mapping[str, Any]) -> None:
        """At an evaluation: every rule, with the values known there."""
        if self.rules:
            self._judge(self.rules, step, {**values, **self.machine()})

    def glance(self, step: int) -> None:
        """Between evaluations: the rules over the machine alone, now and then; and what could not be sent."""
        if self._machine and self.clock() >= self._next:
            self._next = self.clock() + EVERY
            self._judge(self._machine, step, self.machine())
        self._complain()

    def close(self) -> None:
        """At the end of the run: wait a little for messages on their way."""
        self.sender.close()
        self._complain()

    def _complain(self) -> None:
        for address, why in self.sender.failures():
            self.ctx.note("warn", text=f"an alert did not reach {address}: {why}")

    def _judge(self, rules: tuple[Rule, ...], step: int, values: Mapping[str, Any]) -> None:
        for rule in rules:
            if not np.any(rule.holds(values)):
                self._holding.discard(rule.text)
            elif rule.text not in self._holding:
                self._holding.add(rule.text)
                self._act(rule, step, {name: _shown(values[name]) for name in rule.metrics if name in values})

    def _act(self, rule: Rule, step: int, found: Mapping[str, float]) -> None:
        said = ", ".join(f"{name} = {value:.6g}" for name, value in found.items())
        label = getattr(getattr(self.ctx, "step", None), "label", "")
        text = f"{rule.text} ({said}) at step {step}"
        subject = f"{label + ': ' if label else ''}{text}"
        self.ctx.note("alert", rule=rule.text, step=step, values=dict(found), text=text)
        for action in rule.actions:
            if action.name in ("webhook", "mail"):
                facts = {"rule": rule.text, "step": step, "label": label, **found}
                self.sender.send(action.name, None if action.value is None else str(action.value), subject, facts)
            self.save |= action.name == "checkpoint"
            self.spare |= action.name == "delete_checkpoints"


def _shown(value: Any) -> float:
    """A metric's value, or of the steps since the evaluation before the largest."""
    return float(np.max(value))
