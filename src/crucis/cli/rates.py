"""`crucis lr`: which learning rates the networks of a study stand, over its seeds."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import CrucisError
from ..study import ranging, rates
from ..study.session import Session
from .live import Live
from .running import explain_failure, opened, part

OPTIONS = ("start", "end", "steps", "hold", "factor")
SUFFIXES = (".svg", ".png", ".pdf")
_NOTHING = 3  # exit code: no network has a result


def lr(a: argparse.Namespace) -> int:
    """Run the range tests, say what they found, draw them if asked to."""
    out = Path(a.out) if a.out else None
    if out is not None and out.suffix not in SUFFIXES:
        raise CrucisError(f"--out {a.out}: a picture ends in {', '.join(SUFFIXES)}; write {out.stem}.svg")
    start, end = (1e-7 if a.start is None else a.start), (10.0 if a.end is None else a.end)
    if not 0 < start < end:
        raise CrucisError(f"--start {start:g} --end {end:g}: a ramp rises; write a start above 0 and below the end")
    base = opened(a)
    options = {name: getattr(a, name) for name in OPTIONS if getattr(a, name) is not None}
    session = Session(ranging.ranging(base.study, a.stage, options), base.store, base.circumstance)
    a.stages = ""
    _, cells = part(a, session)
    with Live(session.plan, quiet=a.quiet) as live:
        tested, outcome = ranging.run(session, workers=a.workers, progress=live.event, cells=cells)
    if a.format == "json":
        print(json.dumps([_body(one) for one in tested], indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(tested)))
    for key in outcome.failed[:5]:
        explain_failure(session, key)
    if outcome.stopped:
        print("Stopped. What is finished is kept; the same command goes on.", file=sys.stderr)
        return int(outcome.exit_code)
    found = any(one.records for one in tested)
    if out is not None and (found or not outcome.exit_code):
        _draw(tested, out)
        if a.format != "json":
            print(f"Picture: {out}")
    return int(outcome.exit_code) or (0 if found else _NOTHING)


def _lines(tested: Sequence[ranging.Tested]) -> Iterator[str]:
    for one in tested:
        told = one.advice
        seeds = f"{len(one.records)} seed{'s' * (len(one.records) != 1)}"
        yield f"{one.label} ({seeds}{', ' + str(len(one.lost)) + ' without a result' if one.lost else ''})"
        if told is not None and told.largest is not None and told.advised is not None and told.spread is not None:
            low, high = told.spread
            over = f"; seeds from {_rate(low)} to {_rate(high)}" if told.n > 1 else ""
            yield f"  largest stable rate   {_estimate(told.largest)}{over}"
            yield f"  a tenth to a third    {_rate(told.advised[0])} to {_rate(told.advised[1])}"
        elif told is not None:
            yield f"  largest stable rate   none: {len(told.without)} of {told.n} seeds: {'; '.join(set(told.without))}"
        if told is not None:
            fall = _estimate(told.steepest) if told.steepest is not None else "none: the loss of a seed does not fall"
            yield f"  steepest fall at      {fall}"
        yield from (f"  seed {seed}: {why}" for seed, why in one.lost.items())
    if any(len(one.records) > 1 for one in tested):
        yield "Geometric means over seeds; in brackets their 95 % interval (Student's t of the logarithms)."
    elif any(one.records for one in tested):
        yield "One seed says nothing of how far seeds differ; write --set seeds=3."


def _rate(value: float) -> str:
    return f"{value:.3g}"


def _estimate(value: Any) -> str:
    interval = f" [{_rate(value.low)}, {_rate(value.high)}]" if value.low is not None else ""
    return f"{_rate(value.value)}{interval}"


def _body(one: ranging.Tested) -> dict[str, Any]:
    told = one.advice
    seeds = {
        str(seed): {**record.values, "key": record.key, "notes": record.body["notes"]}
        for seed, record in one.records.items()
    }
    lost = {str(seed): why for seed, why in one.lost.items()}
    body: dict[str, Any] = {"cell": one.label, "seeds": seeds, "lost": lost}
    for name in ("largest", "steepest"):
        found = getattr(told, name, None)
        body[name] = None if found is None else {"mean": found.value, "low": found.low, "high": found.high}
    body["advised"] = list(told.advised) if told is not None and told.advised is not None else None
    return body


def _draw(tested: Sequence[ranging.Tested], out: Path) -> None:
    from ..report.draw.save import write

    groups = {one.label: list(one.records.values()) for one in tested if one.records}
    for figure in rates.ramps(ranging.STAGE, groups):
        write(figure.data, out)
        return
    raise CrucisError(f"--out {out}: there is nothing to draw, no range test has a result")
