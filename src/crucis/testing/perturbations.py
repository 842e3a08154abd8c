"""Conformance of perturbations: the original stays untouched, and nothing done is nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import shelf
from ..records import Result
from . import subjects
from .instruments import declared, sound, unchanged


def specimen(folder: Path, *, seed: int = 0, lr: float = 0.05) -> Any:
    """A network that knows classes 0 to 2, and a second task of classes 3 to 5 with a trainer."""
    from dataclasses import replace

    base = subjects.model_specimen(folder, seed=seed, task=subjects.data((3, 4, 5), name="squares-b"))
    learnt = subjects.trainer(base, lr=0.2)(base.data, steps=40, probe=None, probe_at=()).model
    known = replace(base, model=learnt)
    return replace(known, trainer=subjects.trainer(known, lr=lr), descents=subjects.descents(known))


def check(leaf: shelf.Leaf, folder: Path, *, run: Callable[..., Result] | None = None) -> None:
    """The whole suite for one perturbation.

    Args:
        leaf: as read from its source. `EXAMPLE` (literal) gives it quick parameters; `IDENTITY` (literal,
            {"params": {...}, "values": {...}}) the dose at which it does nothing, and the values that must then come
            out exactly.
        folder: an empty folder.
        run: the entry, if it is not the leaf's own.

    Raises:
        AssertionError: with the sentence that the leaf breaks.
    """
    run = run or shelf.load(leaf)
    params = subjects.example(leaf)
    declared(leaf)
    first, second = specimen(folder / "first"), specimen(folder / "second")
    with unchanged(first.model):
        one = run(first, **params)
    sound(leaf, one)
    two = run(second, **params)
    assert repr(one.values) == repr(two.values), f"{leaf.name}: same streams, other values"
    identity = leaf.constants.get("IDENTITY")
    if identity:
        result = run(specimen(folder / "identity"), **{**params, **identity["params"]})
        for name, value in identity["values"].items():
            got = result.values[name]
            assert got == value, f"{leaf.name}: at dose 0 '{name}' is {got}, and nothing done gives {value}"
