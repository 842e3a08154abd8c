"""Memory: which steps may run beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from . import machine
from .steps import Step


class Admission:
    """Which steps fit into memory together, by the peaks of their kin. One step always fits.

    Args:
        workers: what is unknown is taken to need memory / workers.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.budget_mb = machine.memory_budget_mb()
        self.load: dict[str, float] = {}
        self._peaks: dict[str, float] = {}

    @staticmethod
    def _families(step: Step) -> list[str]:
        names = [f"group {step.group}"] if step.group else []
        return [*names, f"kind {step.spec.get('kind')} data {step.spec.get('data')}"]

    def predicted(self, step: Step) -> float:
        """MiB at the peak: 1.2 x the largest of its group in this run, then of its kind and data, then as declared."""
        for name in self._families(step):
            if name in self._peaks:
                return 1.2 * self._peaks[name]
        return step.needs.ram_mb or (self.budget_mb or 0) / max(1, self.workers)

    def fits(self, step: Step) -> bool:
        """Whether the step may run beside those that run."""
        if self.budget_mb is None or not self.load:
            return True
        return sum(self.load.values()) + self.predicted(step) <= self.budget_mb

    def begin(self, step: Step) -> None:
        """The step runs."""
        self.load[step.key] = self.predicted(step)

    def end(self, step: Step, peak_mb: float = 0.0) -> None:
        """The step ended; its peak teaches about its kin."""
        self.load.pop(step.key, None)
        if peak_mb:
            for name in self._families(step):
                self._peaks[name] = max(peak_mb, self._peaks.get(name, 0))


def crowded(step: Step, busy: Sequence[int], slots: int) -> bool:
    """Whether too many processes run already for one more step.

    A step of several ranks takes as many slots; one that needs more than there are runs with nothing beside it. On
    GPUs it takes all of them, so two such steps never run together.

    Args:
        step: the step.
        busy: ranks of each step that runs.
        slots: processes that may run at a time.
    """
    if not busy or max(step.needs.world, *busy) == 1:
        return False
    both_wide = min(step.needs.world, max(busy)) > 1
    return sum(busy) + step.needs.world > slots or (both_wide and machine.has_gpus())
