"""Units of facts and claims, and the conversions between them: iterations <-> epochs <-> images, % <-> fraction."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .facts import said
from .formulas import rounds_to

#: Written unit -> the unit that facts use.
UNITS = {
    **dict.fromkeys(("iterations", "iteration", "iters", "iter", "its", "steps", "step", "updates"), "iterations"),
    **dict.fromkeys(("epochs", "epoch"), "epochs"),
    **dict.fromkeys(("images", "image", "examples", "samples"), "images"),
    **dict.fromkeys(("%", "percent", "per cent", "percentage points"), "%"),
    **dict.fromkeys(("fraction", "share", "ratio"), "fraction"),
    **dict.fromkeys(("pixels", "pixel", "px"), "pixels"),
    **dict.fromkeys(("per epoch", "an epoch", "/epoch"), "per epoch"),
    **dict.fromkeys(("per iteration", "per step", "per update", "a step", "/step"), "per iteration"),
    **{name: name for name in ("epochs per dataset", "transitions", "frames", "patches", "minibatches", "agent steps",
                               "consecutive increases of validation error")},
}  # fmt: skip
#: Units of time, and what a decay may be claimed per.
TIME = ("iterations", "epochs")
PER = ("per epoch", "per iteration")
#: A computed value may not be rounded by more than this share of it, however few digits a claim has.
COARSEST = 0.05


def unit_of(written: str | None) -> str | None:
    """The unit that facts use; a name that is not known stays as it is."""
    return None if written is None else UNITS.get(written.strip().lower(), written.strip())


@dataclass(frozen=True)
class Reading:
    """A fact's number in another unit: the exact `value`, and the arithmetic in words."""

    value: float
    arithmetic: str
    given: bool = False

    def met_by(self, claimed: float) -> bool:
        """Whether a claimed number is this one: equal to a given value, or the rounding of a computed one.

        A computed value may be written with any number of digits that rounds it by at most 5 % (0.1 is not 0.128);
        whole numbers from 1,000 on that end in zeros may be rounded there, by at most 0.5 %.
        """
        if self.given:
            return math.isclose(self.value, claimed, rel_tol=1e-9, abs_tol=1e-15)
        if rounds_to(self.value, claimed):
            return abs(self.value - claimed) <= COARSEST * abs(self.value)
        whole = float(claimed).is_integer() and abs(claimed) >= 1000
        digits = len(str(int(claimed)).rstrip("0")) if whole else 0
        near = abs(self.value - claimed) <= 0.005 * abs(self.value)
        return whole and near and float(f"{self.value:.{max(digits, 1)}g}") == claimed


def readings(
    number: float, unit: str | None, wanted: str | None, batch: float | None, images: float | None
) -> list[Reading]:
    """What a fact's number is in the wanted unit, at a batch and a number of training images; empty where there is no
    conversion.

    Epochs become iterations with the exact quotient, with the last partial batch dropped, and with it kept: codes
    differ, so that each of the three is a correct reading. Either becomes the number of images that are seen.
    """
    have, want = unit_of(unit), unit_of(wanted)
    if have == want or (have, want) == ("epochs per dataset", "epochs"):
        return [Reading(number, "", given=True)]
    pair = (have, want)
    if pair in (("%", None), ("%", "fraction")):
        return [Reading(number / 100, f"{said(number)} % / 100 = {number / 100:g}", given=True)]
    if pair in ((None, "%"), ("fraction", "%")):
        return [Reading(number * 100, f"{said(number)} x 100 % = {number * 100:g} %", given=True)]
    if pair in ((None, "fraction"), ("fraction", None)):
        return [Reading(number, "", given=True)]
    if have in TIME and want == "images":
        return _seen(number, images if have == "epochs" else batch)
    if have not in TIME or want not in TIME or not batch or not images:
        return []
    if want == "epochs":
        value = number * batch / images
        return [Reading(value, f"{said(number)} x {said(batch)} / {said(int(images))} = {value:,.2f} epochs")]
    return _iterations(number, batch, int(images))


def _seen(number: float, each: float | None) -> list[Reading]:
    """Images, of which an epoch or an iteration has so many."""
    if not each:
        return []
    return [Reading(number * each, f"{said(number)} x {said(int(each))} = {number * each:,.0f} images")]


def _iterations(epochs: float, batch: float, images: int) -> list[Reading]:
    exact = epochs * images / batch
    found = [Reading(exact, f"{said(epochs)} x {said(images)} / {said(batch)} = {exact:,.2f} iterations")]
    for name, per_epoch in (("dropped", math.floor(images / batch)), ("kept", math.ceil(images / batch))):
        value = epochs * per_epoch
        words = f"{said(epochs)} x {said(per_epoch)} = {said(value)} iterations, the last partial batch {name}"
        found.append(Reading(value, words))
    return found
