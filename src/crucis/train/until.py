"""`for: plateau`: a training whose length is decided during the run, with a stated maximum. Torch-free.

It ends at the evaluation that finds a plateau which no fall of the rate answers any more: with the schedule `plateau`
the one after its last fall, with a constant rate the end of `patience`. What is not decided by then ends at the
maximum. Everything that is a share of training is one of the maximum, and so is the estimate of its cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .settings import Settings


def maximum(given: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    """The length that counts for `name`, and whether the run itself decides when to end within it.

    Raises:
        Disagreement: a plateau without a maximum, or a maximum that is a plateau itself, whatever the data are.
    """
    from .settings import Disagreement, SettingsError

    if name != "length" or str(given[name]).strip() != "plateau":
        return given[name], False
    most = given.get("at_most")
    if most is None:
        text = "a plateau needs a stated maximum; write at_most: 200 epochs beside it"
        raise Disagreement((SettingsError("length", text),))
    if str(most).strip() == "plateau":
        text = "a maximum is a number of epochs or steps; write at_most: 200 epochs"
        raise Disagreement((SettingsError("at_most", text),))
    return most, True


def check(settings: Settings) -> None:
    """See that a training to a plateau can find one.

    Raises:
        SettingsError: a schedule that spans the training, one that falls without end, or no patience.
    """
    from .settings import SettingsError

    chosen = settings.schedule
    if settings.adapting() is not None:
        if chosen.name == "plateau" and chosen.entry is None and not chosen.params.get("floor"):
            raise SettingsError("schedule", "the rate falls without end, so no plateau is the last; write the least "
                                            "rate: schedule: {plateau: {floor: 0.001}}")  # fmt: skip
        return
    if chosen.name != "constant" or chosen.entry is not None:
        raise SettingsError("schedule", f"{chosen.name} spans a training of known length, and 'for: plateau' has none; "
                                        "write schedule: plateau or constant, or a length")  # fmt: skip
    if settings.patience is None:
        raise SettingsError("patience", "'for: plateau' at a constant rate ends by early stopping; write select: loss "
                                        "and patience: 10 beside it")  # fmt: skip
