"""Which learning rates a network stands, with the optimiser, batch and augmentation of its training.

The rate rises exponentially from `start` to `end`, one optimiser step per rate, until the smoothed loss is `factor`
times its best or not finite (Smith's range test). Since a ramp passes the limit before the loss shows it, the limit is
then bracketed by trials: descents of `hold` steps at a fixed rate from the same weights with fresh optimiser state and
without warm-up, each judged stable or not (`numerics/rate_range`). `largest` is the geometric middle of the bracket,
`tenth` and `third` are a tenth and a third of it: the usual range for the peak rate of a schedule. `steepest` is the
rate at which the loss of the ramp falls fastest per factor of the rate.

Before training: `of: model@at=0%`, which trains nothing else. With small batches the limit is that of descent with
their noise, which lies below that of the full gradient. A network whose loss never rises (one that normalises what
comes out of every layer may be such) has no largest rate below `end`; the columns then stay out and the record says
why.

Columns are left out, with the reason in `notes.left_out`, where there is no number: `steepest` if the loss does not
fall, the others if even `end` is stable. `notes.largest` says between which rates the limit lies, and `notes.trials`
what was tried.

Cost: `steps` optimiser steps, and 6 to 12 trials of `hold` steps (up to four times as many where the first answer is
in doubt), of which those at unstable rates end early.
Source: L. N. Smith, 2017, section 3.3 (arXiv:1506.01186); the bracket and the robust slope are ours.
Reference case: gradient descent with momentum m on a quadratic with largest curvature L: 2 (1 + m) / L.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import CrucisError, Refusal
from ...numerics.rate_range import Range, Unstable, find
from ...records import Result
from ..specimen import Specimen

REVISION = 1
RANDOM = True
TRAINS = False
COLUMNS = {
    "largest": {"unit": "1", "range": [0, None], "axes": [], "headline": True},
    "third": {"unit": "1", "range": [0, None], "axes": [], "headline": True},
    "tenth": {"unit": "1", "range": [0, None], "axes": [], "headline": True},
    "steepest": {"unit": "1", "range": [0, None], "axes": [], "headline": True},
    "trials": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
    "steps_made": {"unit": "count", "range": [0, None], "axes": [], "headline": False},
}
#: Columns that may be left out, with the reason in `notes.left_out`.
OPTIONAL = ["largest", "third", "tenth", "steepest"]
EXAMPLE = {"steps": 60, "hold": 20, "start": 1e-5}
LIMITS = {
    "start": "(0, 1000]", "end": "(0, 100000]", "steps": "[20, 100000]", "hold": "[20, 100000]",
    "factor": "(1, 1000]", "tolerance": "(0, 1]",
}  # fmt: skip
FILE = "lr_range.npz"


def perturb(
    specimen: Specimen,
    *,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 200,
    hold: int = 100,
    factor: float = 4.0,
    tolerance: float = 0.05,
) -> Result:
    """Raise the learning rate until training breaks, then find the limit.

    Args:
        start: first rate of the ramp.
        end: last rate, if nothing breaks before.
        steps: of the ramp.
        hold: optimiser steps of a trial at a fixed rate; more of them see slower growth.
        factor: a ramp whose smoothed loss is above that many times its best is given up.
        tolerance: the bracket around the largest stable rate is narrowed to this share.

    Returns:
        Columns as declared; the uncertainty of a rate is half the bracket on a logarithmic scale, for one seed: the
        spread over seeds is seen in several records. `lr_range.npz`: `rate`, `loss`, `smoothed` of the ramp, and
        `trial_rate`, `trial_stable`, `trial_steps`, `trial_loss`.

    Raises:
        Refusal: `not_applicable` for what cannot be trained, `out_of_range` if the loss rises at `start` already.
        CrucisError: `start` is not below `end`.
        Stopped: asked to; finished descents are kept.
    """
    if not start < end:
        raise CrucisError(f"start must lie below end, got {start:g} and {end:g}")
    specimen.network()
    if specimen.descents is None:
        raise Refusal("not_applicable", "rates are tried with the training of a network by the protocol supervised")
    options = {"start": start, "end": end, "steps": steps, "hold": hold, "factor": factor, "tolerance": tolerance}
    try:
        found = find(specimen.descents, **options)  # type: ignore[arg-type]
    except Unstable as error:
        raise Refusal("out_of_range", f"{error}; below {start:g} was not looked") from None
    values: dict[str, Any] = {"trials": len(found.trials)}
    values["steps_made"] = len(found.losses) + sum(trial.steps for trial in found.trials)
    uncertainty, left = {}, {}
    if found.largest is None:
        why = f"no instability up to {end:g}, where the ramp ends"
        left = dict.fromkeys(("largest", "third", "tenth"), why)
    else:
        half = float(np.log(found.high / found.low) / 2)
        for name, share in (("largest", 1.0), ("third", 1 / 3), ("tenth", 0.1)):
            values[name] = share * found.largest
            uncertainty[name] = {"se": values[name] * half / 3**0.5, "n": 1, "kind": "bracket"}
    if found.steepest is None:
        left["steepest"] = "the loss does not fall below its noise along the ramp"
    else:
        values["steepest"] = found.steepest
    return Result(
        values=values, uncertainty=uncertainty, files=specimen.save(FILE, _arrays(found)), notes=_notes(found, left)
    )


def _arrays(found: Range) -> dict[str, np.ndarray]:
    trials = found.trials
    return {
        "rate": found.rates, "loss": found.losses, "smoothed": found.smoothed,
        "trial_rate": np.array([trial.rate for trial in trials], np.float64),
        "trial_stable": np.array([trial.stable for trial in trials], bool),
        "trial_steps": np.array([trial.steps for trial in trials], np.int64),
        "trial_loss": np.array([trial.loss for trial in trials], np.float64),
    }  # fmt: skip


def _notes(found: Range, left: dict[str, str]) -> dict[str, Any]:
    notes: dict[str, Any] = {
        "trials": [f"{trial.rate:.4g}: {'stable' if trial.stable else 'unstable'}" for trial in found.trials]
    }
    if found.largest is not None:
        notes["largest"] = f"between {found.low:.4g} (stable) and {found.high:.4g} (unstable)"
    if found.diverged is not None:
        notes["ramp"] = f"given up at {found.diverged:.4g}"
    return {**notes, **({"left_out": left} if left else {})}
