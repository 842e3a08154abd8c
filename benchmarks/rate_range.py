"""The range test of learning rates on problems whose limit is known, and which no test uses: ratio of found to known.

    python benchmarks/rate_range.py [--draws 10] [--first 0]

Every problem is drawn anew from a seed; `--first` is the number of the first draw, so that a changed rule can be judged
on draws that nobody has seen. The rule runs as `crucis lr` runs it (ramp 1e-7 to 10 in 200 steps, trials of 100).

    quadratic         spectrum of A'A / n of Gaussian A, 30 to 300 weights; heavy ball m: limit 2 (1 + m) / L
    heavy tail        log-normal curvatures, 50 to 400 weights, condition about 1e2 to 1e8; the same limit
    nesterov          the same spectra, momentum as PyTorch has it: 2 (1 + m) / ((1 + 2 m) L)
    preconditioned    momentum as a mean (beta) under a fixed diagonal P, as Adam once its second moments stand still:
                      2 (1 + beta) / ((1 - beta) L), L of P^-1 H (38 / L at 0.9). Adam itself has no limit in closed
                      form, because its P follows the rate
    noisy quadratic   gradient and loss seen with Gaussian noise of known size s (covariance s^2 H): 2 / L. The noise
                      holds the loss up, and the rule calls unstable what ends above where it began, so there is a
                      second known rate: where the mean loss stays at its first value f,
                      sum over j of s^2 r l_j / (2 (2 - r l_j)) = f
    least squares     fresh Gaussian batches and label noise; limit of the mean square, sum over j of
                      r l_j / (b (2 - r l_j (1 + 1/b))) = 1 with curvatures l and batches of b; a single descent can
                      stay below in the typical case for somewhat larger rates
    linear net        two layers, whole data. From random weights: 2 / L with L of the Hessian at the start; descent may
                      rise and settle where it is flatter, in wide nets up to 4 / L (Lewkowycz et al., 2020,
                      arXiv:2003.02218). Second known rate: the last on a grid of 5 % below the first at which 2,000
                      steps do not come down
    at its minimum    the same near the balanced minimum, L of the Hessian there; heavy ball too

One thread, some minutes. Writes results/rate_range.json and results/rate_range.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.sparse.linalg import LinearOperator, eigsh

from crucis.numerics.rate_range import Descent, Unstable, Watch, find
from crucis.seeds import rng

Array = npt.NDArray[np.float64]
#: (weights, step) -> (loss seen, gradient)
Seen = Callable[[Array, int], tuple[float, Array]]
WITHIN = 0.2


@dataclass(frozen=True)
class Problem:
    """A descent, the limit of its rate, and what it is called."""

    family: str
    detail: str
    limit: float
    descend: Descent
    second: float | None = None  # another known rate, told beside the limit


def descent(seen: Seen, start: Array, momentum: float = 0.0, *, form: str = "heavy ball") -> Descent:
    """Descent with momentum in one of three forms, always from the same start."""

    def descend(rates: Sequence[float], watch: Watch) -> list[float]:
        weights, velocity, losses = start.copy(), np.zeros_like(start), []
        with np.errstate(all="ignore"):
            for k, rate in enumerate(rates):
                loss, gradient = seen(weights, k)
                losses.append(float(loss))
                if watch(losses):
                    break
                new = (1 - momentum) * gradient if form == "mean" else gradient
                velocity = momentum * velocity + new
                weights = weights - rate * (gradient + momentum * velocity if form == "nesterov" else velocity)
        return losses

    return descend


def quadratic(curvatures: Array, noise: float = 0.0, seed: int = 0) -> Seen:
    """0.5 sum c w^2 in its own basis (descent knows no basis), with noise of the gradient and of the loss if asked."""

    def seen(weights: Array, k: int) -> tuple[float, Array]:
        loss, gradient = 0.5 * float(curvatures @ weights**2), curvatures * weights
        if noise:
            draw = rng(seed, "benchmark", "rate_range", "noise", k)
            size = noise * np.sqrt(curvatures)
            loss += noise * float(draw.standard_normal())
            gradient = gradient + size * draw.standard_normal(len(weights))
        return loss, gradient

    return seen


def quadratics(draw: int) -> Iterator[Problem]:
    """All that have one Hessian."""
    stream = rng(draw, "benchmark", "rate_range", "quadratics")
    top = float(np.exp(stream.uniform(np.log(3), np.log(1000))))
    size = int(stream.integers(30, 301))
    rows = stream.standard_normal((int(size * stream.uniform(0.7, 4)), size))
    bulk = np.abs(np.linalg.eigvalsh(rows.T @ rows / len(rows)))
    tail = np.exp(stream.uniform(1, 3) * stream.standard_normal(int(stream.integers(50, 401))))
    for family, raw in (("quadratic", bulk), ("heavy tail", tail)):
        curvatures = raw * top / raw.max()
        start = stream.standard_normal(len(raw))
        for momentum in (0.0, 0.8, 0.97):
            limit = 2 * (1 + momentum) / top
            yield Problem(family, f"momentum {momentum:g}", limit, descent(quadratic(curvatures), start, momentum))
    curvatures = tail * top / tail.max()
    start = stream.standard_normal(len(tail))
    for momentum in (0.5, 0.9):
        limit = 2 * (1 + momentum) / ((1 + 2 * momentum) * top)
        yield Problem("nesterov", f"momentum {momentum:g}", limit,
                      descent(quadratic(curvatures), start, momentum, form="nesterov"))  # fmt: skip
    scale = np.exp(stream.standard_normal(len(tail)))
    inner = quadratic(curvatures)

    def scaled(weights: Array, k: int) -> tuple[float, Array]:
        loss, gradient = inner(weights, k)
        return loss, gradient / scale

    sharpest = float((curvatures / scale).max())
    for beta in (0.9,):
        limit = 2 * (1 + beta) / ((1 - beta) * sharpest)
        yield Problem("preconditioned", f"beta {beta:g}", limit, descent(scaled, start, beta, form="mean"))
    for noise in (0.1, 1.0):
        start = stream.standard_normal(len(bulk))
        curvatures = bulk * top / bulk.max()
        first = 0.5 * float(curvatures @ start**2)
        size = noise * np.sqrt(first)

        def above(rate: float, size: float = size, first: float = first, curvatures: Array = curvatures) -> float:
            return float((size**2 * rate * curvatures / (2 * (2 - rate * curvatures))).sum()) - first

        held = float(brentq(above, 1e-9 / top, (2 - 1e-9) / top))
        seen = quadratic(curvatures, size, draw)
        yield Problem("noisy quadratic", f"noise {noise:g}", 2 / top, descent(seen, start), held)


def least_squares(draw: int) -> Iterator[Problem]:
    """Fresh batches of Gaussian inputs at every step, the same ones in every descent."""
    stream = rng(draw, "benchmark", "rate_range", "least squares")
    size = int(stream.integers(10, 61))
    curvatures = np.exp(stream.uniform(0.3, 1.5) * stream.standard_normal(size))
    truth = stream.standard_normal(size)
    for batch in (size // 2, 4 * size, 32 * size):

        def seen(weights: Array, k: int, batch: int = batch) -> tuple[float, Array]:
            fresh = rng(draw, "benchmark", "rate_range", "batch", batch, k)
            x = fresh.standard_normal((batch, size)) * np.sqrt(curvatures)
            error = x @ (weights - truth) + 0.3 * fresh.standard_normal(batch)
            return 0.5 * float(error @ error) / batch, x.T @ error / batch

        def excess(rate: float, batch: int = batch) -> float:
            below = 2 - rate * curvatures * (1 + 1 / batch)
            return float((rate * curvatures / below).sum()) / batch - 1

        most = 2 / (float(curvatures.max()) * (1 + 1 / batch))
        limit = float(brentq(excess, 1e-9 * most, most * (1 - 1e-12)))
        yield Problem("least squares", f"batch {'n/2' if batch < size else f'{batch // size} n'}", limit,
                      descent(seen, np.zeros(size)))  # fmt: skip


def linear_nets(draw: int) -> Iterator[Problem]:
    """W2 W1 x against a noisy linear teacher, whole data; L by Lanczos on exact Hessian-vector products."""
    stream = rng(draw, "benchmark", "rate_range", "nets")
    n, inputs, hidden, outputs = (
        150,
        int(stream.integers(8, 25)),
        int(stream.integers(10, 41)),
        int(stream.integers(2, 7)),
    )
    x = stream.standard_normal((inputs, n)) * np.exp(0.4 * stream.standard_normal((inputs, 1)))
    y = stream.standard_normal((outputs, inputs)) @ x / np.sqrt(inputs) + 0.1 * stream.standard_normal((outputs, n))

    def parts(flat: Array) -> tuple[Array, Array]:
        return flat[: hidden * inputs].reshape(hidden, inputs), flat[hidden * inputs :].reshape(outputs, hidden)

    def seen(flat: Array, _: int) -> tuple[float, Array]:
        first, second = parts(flat)
        middle = first @ x
        rest = second @ middle - y
        return 0.5 * float((rest**2).sum()) / n, np.r_[(second.T @ rest @ x.T).ravel(), (rest @ middle.T).ravel()] / n

    def sharpness(flat: Array) -> float:
        first, second = parts(flat)
        middle = first @ x
        rest = second @ middle - y

        def product(direction: Array) -> Array:
            d1, d2 = parts(direction.ravel())
            change = d2 @ middle + second @ d1 @ x
            top = (d2.T @ rest + second.T @ change) @ x.T
            return np.r_[top.ravel(), (change @ middle.T + rest @ (d1 @ x).T).ravel()] / n

        operator = LinearOperator((len(flat), len(flat)), matvec=product, dtype=np.float64)
        return float(eigsh(operator, 1, which="LA", return_eigenvectors=False, v0=np.ones(len(flat)))[0])

    def by_long(begin: Array, limit: float, momentum: float = 0.0) -> float:
        descend, grid = descent(seen, begin, momentum), limit * 1.05 ** np.arange(-10, 40)
        for rate, following in pairwise(grid):
            losses = descend([float(following)] * 2000, lambda found: not found[-1] < 1e6 * found[0])
            if len(losses) < 2000 or not losses[-1] <= 1.01 * losses[0]:
                return float(rate)
        return float(grid[-1])

    drawn = stream.standard_normal(hidden * (inputs + outputs))
    start = np.r_[drawn[: hidden * inputs] / np.sqrt(inputs), drawn[hidden * inputs :] / np.sqrt(hidden)]
    limit = 2 / sharpness(start)
    yield Problem("linear net", "from random weights", limit, descent(seen, start), by_long(start, limit))
    left, values, right = np.linalg.svd(y @ x.T @ np.linalg.inv(x @ x.T), full_matrices=False)
    first, second = np.zeros((hidden, inputs)), np.zeros((outputs, hidden))
    rank = min(len(values), hidden)
    first[:rank] = np.sqrt(values[:rank, None]) * right[:rank]
    second[:, :rank] = left[:, :rank] * np.sqrt(values[:rank])
    minimum = np.r_[first.ravel(), second.ravel()]
    near = minimum + 0.02 * stream.standard_normal(len(minimum))
    for momentum in (0.0, 0.9):
        limit = 2 * (1 + momentum) / sharpness(minimum)
        yield Problem("at its minimum", f"momentum {momentum:g}", limit, descent(seen, near, momentum),
                      by_long(near, limit, momentum))  # fmt: skip


def judged(draw: int) -> Iterator[dict[str, Any]]:
    """Every problem of one draw with what was found."""
    for source in (quadratics, least_squares, linear_nets):
        for one in source(draw):
            row: dict[str, Any] = {"draw": draw, "family": one.family, "detail": one.detail, "limit": one.limit,
                                   "second": one.second, "found": None}  # fmt: skip
            try:
                row["found"] = find(one.descend).largest
            except Unstable as error:
                row["says"] = str(error)
            yield row


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Family by family: how many, ratios of found to known, and the share within 20 %."""
    out = [f"{'problem':<16} {'':<20} {'against':<7} {'n':>4} {'median':>7} {'least':>7} {'most':>7}  within 20 %"]
    groups: dict[tuple[str, str, str], list[float | None]] = {}
    for row in rows:
        for known in ("limit", "second"):
            if row[known] is not None:
                ratio = None if row["found"] is None else row["found"] / row[known]
                groups.setdefault((row["family"], row["detail"], known), []).append(ratio)
    for (family, detail, known), found in groups.items():
        there = np.array([one for one in found if one is not None])
        figures = [f"{value:7.3f}" for value in (np.median(there), there.min(), there.max())] if len(there) else ["-"]
        share = f"{_inside(found)} of {len(found)}"
        out.append(f"{family:<16} {detail:<20} {known:<7} {len(found):>4} {' '.join(figures)}  {share}")
    whole = [one for (*_, known), found in groups.items() if known == "limit" for one in found]
    share = f"{_inside(whole)} of {len(whole)} ({_inside(whole) / len(whole):.0%})"
    return [*out, f"{'all':<16} {'':<20} {'limit':<7} {len(whole):>4} {'':>23}  {share}"]


def _inside(found: list[float | None]) -> int:
    return sum(one is not None and abs(one - 1) <= WITHIN for one in found)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args()
    began = time.process_time()
    rows = [row for draw in range(given.first, given.first + given.draws) for row in judged(draw)]
    lines = table(rows)
    print("\n".join(lines))
    spent = time.process_time() - began
    results = Path(__file__).parent / "results"
    found = {"numpy": np.__version__, "draws": given.draws, "first": given.first, "cpu_s": spent, "rows": rows}
    (results / "rate_range.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (results / "rate_range.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
