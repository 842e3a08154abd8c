"""Coverage of every interval and false alarms of every test on the shelves, on data whose truth is known.

    python benchmarks/simulate.py [--draws 2000] [--workers 2] [--only LEAF]

Every leaf of `describe`, `compare` and `correlate` with an interval or a p, on normal, exponential, heavy-tailed,
discrete and (for differences of pairs) skewed data, with 3, 5 and 10 rows or the fewest that it takes; nominal 95 % and
5 %. Prints a line per promise, marks what misses its nominal share by more than 2 points and two standard errors, and
writes results/simulate.json. What is marked here stands in the docstring of its leaf. About 5 minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from crucis import shelf
from crucis.testing import simulation

SIZES = (3, 5, 10)
Job = tuple[str, str, str, int, int]


def one(job: Job) -> list[simulation.Measured]:
    return simulation.measure(*job)


def jobs(draws: int, only: str | None) -> list[Job]:
    return [
        (home, name, shape, n, draws)
        for home in ("describe", "compare", "correlate")
        for name in shelf.names(home)
        if only in (None, name) and (case := simulation.case_of(home, name)) is not None
        for shape in case.shapes
        for n in sorted({max(n, case.least) for n in SIZES})
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="one leaf; nothing is written then")
    given = parser.parse_args()
    start = time.monotonic()
    rows = []
    with multiprocessing.Pool(given.workers) as pool:
        for found in pool.imap(one, jobs(given.draws, given.only)):
            for measured in found:
                print(f"{measured}{'' if measured.kept else '  <- missed'}", flush=True)
                rows.append({
                    "shelf": measured.home, "leaf": measured.leaf, "what": measured.what, "shape": measured.shape,
                    "n": measured.n, "share": round(measured.share, 5), "se": round(measured.se, 5),
                    "nominal": measured.nominal, "kept": measured.kept,
                })  # fmt: skip
    missed = sum(not row["kept"] for row in rows)
    print(f"{len(rows)} promises, {missed} missed, {given.draws} draws each, {time.monotonic() - start:.0f} s")
    if given.only is None:
        path = Path(__file__).parent / "results" / "simulate.json"
        lines = ",\n".join("  " + json.dumps(row) for row in rows)
        path.write_text(f'{{\n "draws": {given.draws},\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
