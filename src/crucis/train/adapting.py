"""A schedule that goes on at evaluations: what it knows, and the rates that it cut. Imports no torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Scored(Protocol):
    """What an evaluation found."""

    @property
    def loss(self) -> float:
        """In nats."""
        ...

    @property
    def accuracy(self) -> float:
        """A share."""
        ...


class Adapting:
    """A schedule's `adapt(state, scores, **params)`, called after each evaluation.

    `cuts` are (step, factor of the rate from there on), in the order in which they were made.
    """

    def __init__(self, adapt: Callable[..., dict[str, Any]], params: Mapping[str, Any]) -> None:
        self._adapt, self._params = adapt, dict(params)
        self._known: dict[str, Any] = {}
        self.cuts: list[list[float]] = []

    def look(self, step: int, scores: Scored) -> bool:
        """After the evaluation at `step`; whether rates changed."""
        before = self._known.get("level", 1.0)
        found = {"loss": scores.loss, "accuracy": scores.accuracy}
        self._known = self._adapt(self._known, found, **self._params)
        after = self._known["level"]
        if after == before:
            return False
        self.cuts.append([step, after / before])
        return True

    @property
    def done(self) -> bool:
        """Whether the last evaluation found a plateau that no fall of the rate answers any more."""
        return bool(self._known.get("done"))

    def state(self) -> dict[str, Any]:
        """JSON values."""
        return copy.deepcopy({"known": self._known, "cuts": self.cuts})

    def take(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._known, self.cuts = copy.deepcopy(dict(state["known"])), copy.deepcopy(list(state["cuts"]))
