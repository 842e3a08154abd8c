"""CPU seconds of nested leave-one-architecture-out ridge with 1,000 permutations: ours against scikit-learn.

    python benchmarks/loao.py [--rounds 5] [--peer-rounds 3]

One thread. 19 units, 5 columns, 13 penalties, 1,000 permuted targets. scikit-learn: `GridSearchCV` of
`make_pipeline(StandardScaler(), Ridge())` inside each of 19 outer folds, inner leave-one-out; timed on `--peer-rounds`
permutations and multiplied by 1,000, since all of them would take hours. The predictions of both on those permutations
must agree to 1e-10. Target: at least 100,000 times. Writes results/loao.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import sklearn
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneOut
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crucis.seeds import rng
from crucis.stats import nested

UNITS, COLUMNS, PERMUTATIONS, TARGET = 19, 5, 1000, 100_000


def pipeline(design: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Left-out predictions by scikit-learn."""
    out = np.empty(len(y))
    for seen, left in LeaveOneOut().split(design):
        model = make_pipeline(StandardScaler(), Ridge())
        grid = {"ridge__alpha": nested.PENALTIES}
        search = GridSearchCV(model, grid, cv=LeaveOneOut(), scoring="neg_mean_squared_error")
        out[left] = search.fit(design[seen], y[seen]).predict(design[left])
    return out


def ours(design: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Left-out predictions of every target, folds and decompositions included."""
    where = nested.folds(tuple(map(str, range(len(design)))))
    return nested.predictions(nested.operators(design, where), where, ys)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-rounds", type=int, default=3)
    given = parser.parse_args()
    stream = rng(0, "benchmark", "loao")
    design = stream.standard_normal((UNITS, COLUMNS))
    y = design[:, 0] + stream.standard_normal(UNITS)
    ys = np.stack([stream.permutation(y) for _ in range(PERMUTATIONS)])
    spent = []
    for _ in range(given.rounds):
        start = time.process_time()
        told = ours(design, ys)
        spent.append(time.process_time() - start)
    peer, apart = [], 0.0
    for k in range(given.peer_rounds):
        start = time.process_time()
        expected = pipeline(design, ys[k])
        peer.append(time.process_time() - start)
        apart = max(apart, float(np.abs(expected - told[k]).max()))
    one, whole = statistics.median(peer), statistics.median(spent)
    found = {
        "numpy": np.__version__, "scikit-learn": sklearn.__version__, "units": UNITS, "columns": COLUMNS,
        "penalties": len(nested.PENALTIES), "permutations": PERMUTATIONS, "target": TARGET,
        "crucis_cpu_s": {"median": whole, "rounds": spent},
        "sklearn_cpu_s_per_permutation": {"median": one, "rounds": peer},
        "sklearn_cpu_s_extrapolated": one * PERMUTATIONS,
        "times_faster": one * PERMUTATIONS / whole, "largest_difference": apart,
    }  # fmt: skip
    path = Path(__file__).parent / "results" / "loao.json"
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"crucis       {1e3 * whole:12.1f} ms for {PERMUTATIONS} permutations")
    print(f"scikit-learn {one * PERMUTATIONS:12.0f} s, extrapolated from {given.peer_rounds}")
    print(f"{one * PERMUTATIONS / whole:,.0f} times faster (target {TARGET:,}); largest difference {apart:.1e}")


if __name__ == "__main__":
    main()
