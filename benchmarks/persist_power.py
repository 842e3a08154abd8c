"""False alarms and power of the verdicts of `persist`, on data whose truth is known, against what a plan announces.

    python benchmarks/persist_power.py [--draws 2000] [--write]

False alarms, at the level 0.05:

- `prediction`: size explains half of retention, topology (one column of it as large as the network) nothing; how often
  the permutation of residuals says that topology adds. Networks are left out one by one, 199 permutations each.
- `partial`: the same world; how often any of the eleven metrics is significant with size held constant, Bonferroni,
  and how often the claim about one of them (`|rho| > 0.3` and p < 0.05) holds.

Power: the true coefficient at which a plan announces 80 % is put in, and significant draws are counted; for the gain in
prediction the share that topology explains of what size leaves. Every share stands with its 95 % interval (Clopper and
Pearson 1934). `kept`: the share of false alarms is at most 0.06; the interval of a power reaches to within 5 points of
what was announced. `--write` keeps the table in results/persist_power.json. About five minutes of one core.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.stats import beta

from crucis import seeds
from crucis.stats import foresight, incremental, nested, power, ranks
from crucis.stats.correlate import partial_spearman
from crucis.stats.table import Points

Trial = Callable[[np.random.Generator], bool]
LEVEL, ALARMS, NEAR, PERMUTATIONS = 0.05, 0.06, 0.05, 199
METRICS = 11


def interval(hits: int, draws: int) -> tuple[float, float]:
    """Clopper-Pearson, 95 %."""
    low = float(beta.ppf(0.025, hits, draws - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, draws - hits)) if hits < draws else 1.0
    return low, high


def world(stream: np.random.Generator, n: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sizes, metrics of which the first goes along with size, and a retention that knows only the size."""
    size = stream.standard_normal(n)
    metrics = stream.standard_normal((n, columns))
    metrics[:, 0] = 0.6 * size + 0.8 * metrics[:, 0]
    return size, metrics, math.sqrt(0.5) * size + math.sqrt(0.5) * stream.standard_normal(n)


def prediction_adds(stream: np.random.Generator, n: int, share: float = 0.0) -> bool:
    """Whether topology is said to add; it explains `share` of what size leaves."""
    size, topology, y = world(stream, n, 2)
    if share:
        size, topology, rest = stream.standard_normal(n), stream.standard_normal((n, 2)), stream.standard_normal(n)
        y = size + math.sqrt(share) * topology[:, 0] + math.sqrt(1 - share) * rest
    where = nested.folds(tuple(map(str, range(n))))
    rows, exact = incremental.orders(n, PERMUTATIONS, stream)
    design = np.column_stack([size, topology])
    return incremental.freedman_lane(size[:, None], design, y, where, rows, exact).p <= LEVEL


def partial_p(stream: np.random.Generator, n: int) -> list[tuple[float, float]]:
    """rho and corrected p of every metric."""
    size, metrics, y = world(stream, n, METRICS)
    found = [partial_spearman.estimate(Points(metrics[:, k], y, size[:, None])) for k in range(METRICS)]
    return [(float(one["rho"] or 0.0), min(1.0, METRICS * float(one["p"] or 0.0))) for one in found]


def claimed(stream: np.random.Generator, n: int) -> bool:
    """Whether the claim about the metric that goes along with size holds."""
    rho, p = partial_p(stream, n)[0]
    return abs(rho) > 0.3 and p < LEVEL


def correlated(stream: np.random.Generator, n: int, kind: str, true: float, edge: float) -> bool:
    """Whether a bivariate normal sample with this true coefficient reaches the edge of significance."""
    r = 2 * math.sin(math.pi * true / 6) if kind == "spearman" else math.sin(math.pi * true / 2)
    x, z = stream.standard_normal((2, n))
    y = r * x + math.sqrt(1 - r * r) * z
    if kind == "spearman":
        return abs(ranks.correlation(ranks.midranks(x), ranks.midranks(y))) >= edge - 1e-9
    s, _, _, count = ranks.concordance(x, y)
    return abs(s / count) >= edge - 1e-9


def row(what: str, n: int, hits: int, draws: int, promise: float, alarm: bool) -> dict:
    low, high = interval(hits, draws)
    kept = hits / draws <= promise if alarm else low - NEAR <= promise <= high + NEAR
    return {"what": what, "n": n, "draws": draws, "share": hits / draws, "low": low, "high": high,
            "promise": promise, "kept": kept}  # fmt: skip


def shares(draws: int) -> list[dict]:
    """Every row, printed as it comes."""
    out: list[dict] = []

    def add(
        what: str, n: int, count: int, one: Callable[[np.random.Generator], bool], promise: float, alarm: bool
    ) -> None:
        stream = seeds.rng(0, "benchmarks", "persist_power", what, n)
        found = row(what, n, sum(one(stream) for _ in range(count)), count, promise, alarm)
        out.append(found)
        ends = f"[{found['low']:.4f}, {found['high']:.4f}]"
        print(f"{what:58s} n = {n}: {found['share']:.4f} {ends}, "
              f"{'at most' if alarm else 'announced'} {promise:.2f}{'' if found['kept'] else '  <- missed'}",
              flush=True)  # fmt: skip

    for n in (13, 19):
        add("false alarms: prediction, topology adds", n, draws, lambda r, n=n: prediction_adds(r, n), ALARMS, True)
        add("false alarms: partial, any of eleven", n, draws,
            lambda r, n=n: any(p < LEVEL for _, p in partial_p(r, n)), ALARMS, True)  # fmt: skip
        add(
            "false alarms: the claim topology-adds, one of eleven", n, draws, lambda r, n=n: claimed(r, n), ALARMS, True
        )
        for kind in ("spearman", "kendall"):
            alpha = LEVEL / 12
            true, edge = power.detectable_correlation(n, alpha, kind), power.significant_correlation(n, alpha, kind)
            assert true is not None
            assert edge is not None
            add(f"power: {kind}, twelve metrics, true {true:.2f}", n, draws,
                lambda r, n=n, k=kind, t=true, e=edge: correlated(r, n, k, t, e), 0.8, False)  # fmt: skip
        share = float(foresight.SHARES[int(np.argmax(np.array(foresight.powers((1,) * n, 1, 2, LEVEL)) >= 0.8))])
        announced = foresight.powers((1,) * n, 1, 2, LEVEL)[foresight.SHARES.tolist().index(share)]
        add(f"power: prediction, topology explains {share:.2f} of the rest", n, draws,
            lambda r, n=n, s=share: prediction_adds(r, n, s), announced, False)  # fmt: skip
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    start = time.process_time()
    rows = shares(given.draws)
    missed = sum(not one["kept"] for one in rows)
    print(f"{len(rows)} promises, {missed} missed, {time.process_time() - start:.0f} CPU seconds")
    if given.write:
        path = Path(__file__).parent / "results" / "persist_power.json"
        lines = ",\n".join("  " + json.dumps(one) for one in rows)
        path.write_text(f'{{\n "draws": {given.draws},\n "rows": [\n{lines}\n ]\n}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
