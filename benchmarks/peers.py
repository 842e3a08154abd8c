"""CPU seconds of a bootstrap and of a paired comparison: ours against rliable and deep-significance.

    python benchmarks/statistics.py [--rounds 3] [--peers FOLDER]

One thread. Bootstrap: interquartile mean of a 5 x 10 score matrix, 50,000 stratified resamples, percentile interval
(target: at least 50 times faster than rliable 1.2.0). Comparison: two samples of 5; our paired t-test, signed ranks and
almost stochastic order against deep-significance 1.2.8's almost stochastic order (target: at least 100 times). The
sides alternate; ratios are of medians. The peers are needed for this file only: install `rliable==1.2.0 deepsig==1.2.8`
and what they import (arch below 8, absl-py, seaborn, matplotlib, tqdm, dill, psutil, and pandas below 3) with
`pip install --target FOLDER --no-deps`. A peer that is absent is a row that says so. Writes results/statistics.json.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crucis.seeds import rng
from crucis.stats import bootstrap
from crucis.stats.compare import aso, paired_t, wilcoxon
from crucis.stats.table import Pairs

DRAWS = 50_000
Call = Callable[[], Any]


def scores() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((5, 10))


def two_samples() -> tuple[np.ndarray, np.ndarray]:
    made = np.random.default_rng(1)
    seed = made.standard_normal(5)
    return seed + 0.5 + 0.3 * made.standard_normal(5), seed + 0.3 * made.standard_normal(5)


def rliable() -> Call:
    from rliable import library, metrics

    def call() -> list[float]:
        def statistic(x: np.ndarray) -> np.ndarray:
            return np.array([metrics.aggregate_iqm(x)])

        _, found = library.get_interval_estimates(
            {"a": scores()}, statistic, reps=DRAWS, random_state=np.random.RandomState(7)
        )
        return [float(end) for end in found["a"].ravel()]

    return call


def deepsig() -> Call:
    from deepsig import aso as theirs

    a, b = two_samples()
    return lambda: [float(theirs(a, b, seed=1, show_progress=False))]


def interval() -> list[float]:
    found = bootstrap.interval(scores(), bootstrap.iqm, rng(7, "benchmark"), draws=DRAWS)
    return [found.low, found.high]


def ours() -> dict[str, Call]:
    table = Pairs(*two_samples())
    return {
        "paired t": lambda: [paired_t.estimate(table)["p"]],
        "signed ranks": lambda: [wilcoxon.estimate(table)["p"]],
        "almost stochastic order": lambda: [aso.estimate(table, rng(7, "benchmark"))["eps_min"]],
    }


def seconds(call: Call) -> tuple[float, Any]:
    """CPU seconds of one call, of as many as fill a tenth of a second."""
    times, start, value = 0, time.process_time(), None
    while not times or time.process_time() - start < 0.1:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            value = call()
        times += 1
    return (time.process_time() - start) / times, value


def contest(title: str, make: Callable[[], Call], own: dict[str, Call], target: int, rounds: int) -> dict[str, Any]:
    """One peer against our calls, in turns."""
    sides: dict[str, Call] = dict(own)
    out: dict[str, Any] = {"target": target}
    try:
        sides = {title: make(), **own}
    except Exception as error:  # whatever its imports raise
        out["peer"] = f"{title} cannot be imported: {type(error).__name__}: {error}"
        print(out["peer"])
    spent: dict[str, list[float]] = {name: [] for name in sides}
    values: dict[str, list[Any]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, call in sides.items():
            cpu, value = seconds(call)
            spent[name].append(cpu)
            values[name].append(value)
    for name in sides:
        cpu = statistics.median(spent[name])
        ratio = statistics.median(spent[title]) / cpu if title in spent else None
        out[name] = {"cpu_s": cpu, "times_faster": ratio, "values_of_rounds": values[name]}
        print(f"{name:26} {1e3 * cpu:12.3f} ms  {'' if ratio is None else f'{ratio:10.0f} x'}  {values[name]}")
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="folder into which the peers were installed")
    given = parser.parse_args()
    if given.peers:
        sys.path.insert(0, str(given.peers))
    found = {
        "numpy": np.__version__,
        "draws": DRAWS,
        "rounds": given.rounds,
        "bootstrap": contest("rliable 1.2.0", rliable, {"bootstrap": interval}, 50, given.rounds),
        "comparison": contest("deep-significance 1.2.8", deepsig, ours(), 100, given.rounds),
    }
    path = Path(__file__).parent / "results" / "statistics.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
