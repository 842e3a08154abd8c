"""What the predictions of a study could find, as the plan prints it: simulated, for they have no closed form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..stats import foresight
from .analyse import tasks_of
from .rows import Task
from .spec import Analysis, Study
from .table import Source


@dataclass(frozen=True)
class Addition:
    """What one prediction could find; `detectable` is the share of what the base leaves, None if no share is enough.

    `n` units in `groups` groups, `alpha` the level of one test in the worst case of the correction.
    """

    n: int
    groups: int
    tests: int
    alpha: float
    detectable: float | None
    text: str


def addition(study: Study, source: Source, analysis: Analysis, size: int) -> Iterator[Addition]:
    """One sentence per analysis, for the model that adds most columns at the level of `each` with the fewest units.

    Cost: up to 1 s per analysis; nothing is simulated above `stats.foresight.MOST` units.
    """
    tested = [task for task in tasks_of(study, source, analysis) if task.tested and task.n_planned]
    if not tested:
        return
    least = min(tested, key=lambda task: task.n_planned)
    groups = tuple(sorted(Counter(least.data["groups"]).values()))
    alpha = round(1.0 - analysis.confidence, 12) / (1 if analysis.correction == "none" else size)
    base = set(analysis.models.get(analysis.base or "", ()))
    sizes = {name: (len(set(refs) & base), len(set(refs) - base)) for name, refs in analysis.models.items()}
    model, (shared, added) = max(
        ((name, pair) for name, pair in sizes.items() if name != analysis.base), key=lambda item: sum(item[1])
    )
    where = f"{analysis.name} (ridge): {_tests(len(tested), size, analysis.correction)}, {_units(least, groups)}: "
    found, simulated = None, least.n_planned <= foresight.MOST and _enough(groups)
    if simulated:
        found = foresight.detectable(groups, shared, added, alpha)
    yield Addition(
        least.n_planned, len(groups), size, alpha, found,
        where + _found(found, simulated, model, analysis.base, alpha),
    )  # fmt: skip


def _enough(groups: tuple[int, ...]) -> bool:
    return len(groups) >= 3 and sum(groups) >= 5 and sum(groups) - sum(groups[-2:]) >= 2


def _tests(own: int, size: int, correction: str) -> str:
    if size == 1:
        return "one test"
    family = f" of a family of {size}" if size != own else ""
    return f"{own} test{'s' * (own != 1)}{family} ({'uncorrected' if correction == 'none' else correction})"


def _units(task: Task, groups: tuple[int, ...]) -> str:
    text = f"n = {task.n_planned} units"
    return text if len(groups) == task.n_planned else f"{text} in {len(groups)} groups"


def _found(found: float | None, simulated: bool, model: str, base: str | None, alpha: float) -> str:
    if not simulated:
        return "power is not worked out before the run for so few or so many units."
    left = f"what {base} leaves" if base else "y"
    if found is None:
        return (
            f"no addition of model {model} is found with 80 % power (level {alpha:.3g}), however much of {left} it "
            "explains; add units."
        )
    return (
        f"80 % power if model {model} explains {found:.0%} of {left} (simulated, level {alpha:.3g}); "
        "a whole interval of the gain above 0 needs more."
    )
