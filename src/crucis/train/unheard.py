"""Parameters of a training that an objective in place of cross-entropy does not hear: refused, never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .settings import Settings, SettingsError, defaults

#: Parameter -> why it has no effect where an objective is minimised.
WHY = {
    "accumulate": "it compares the examples of a whole batch",
    "compile": "its step is not compiled",
    "repeats": "it sees its own views of each example, once in an epoch",
    "label_smoothing": "it is shown no labels",
    "head": "it is shown no labels",
    "select": "its last network is what is kept",
    "patience": "its last network is what is kept",
    "ema": "it says itself which network is kept (a teacher may be a running average)",
    "ema_warmup": "it keeps no running average",
    "ema_every": "it keeps no running average",
    "ema_statistics": "it keeps no running average",
}
_VIEWLESS = "it has no views, and sees each example as it is"


def check_heard(settings: Settings, views: Sequence[Any]) -> None:
    """See that nothing was asked for which an objective would pass over.

    Args:
        settings: of the run.
        views: of its objective.

    Raises:
        SettingsError: all parameters that would have no effect, each with the reason.
    """
    usual = defaults()
    found = {name: why for name, why in WHY.items() if settings.params.get(name, usual[name]) != usual[name]}
    if settings.augment and not views:
        found["augment"] = _VIEWLESS
    if found:
        (first, why), *others = found.items()
        more = "".join(f"; {name}: {reason}" for name, reason in others)
        raise SettingsError(first, f"{why}{more}. With an objective of its own a training has no use for "
                                   f"{', '.join(found)}; leave {'them' if others else 'it'} out")  # fmt: skip
