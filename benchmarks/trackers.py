"""What trackers cost the training process, per metric.

    python benchmarks/trackers.py [--pairs 60]

A training hands each evaluation row to its journal; a tracker's process reads there. So the cost in the training
process is that of the line, and what a follower takes away from it by being there. Both are measured in this process as
CPU time of handing over blocks of rows: to a journal that a tracker follows live, and to one that nobody follows, in
alternating order. Figures are medians over the pairs of blocks; for the difference with the quartiles. Trackers that
are not installed say so. Writes benchmarks/results/trackers.json and .txt.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import argparse
import importlib.util
import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from crucis.engine.journal import Journal
from crucis.study import session as sessions
from crucis.study.tracked import runs_of
from crucis.study.tracking import Trackers
from crucis.trackers import targets

RESULTS = Path(__file__).parent / "results"
LIMIT_US = 10.0
BLOCK = 50  # rows
COLUMNS = ("epoch", "train_loss", "train_accuracy", "loss", "accuracy", "lr")
STUDY = """\
study: cost
seeds: [1]
stages:
  model: {train: supervised, net: mlp, data: digits}
"""


class Bench:
    """A journal with the rows of one training; `next` hands over a block: CPU microseconds per metric."""

    def __init__(self, folder: str, key: str) -> None:
        self.time = 0.0
        self.journal, self.key, self.step = Journal(folder, clock=self.clock), key, 0
        self.journal.write("begin", key, label="model seed 1")
        self.journal.flush()

    def clock(self) -> float:
        """A second per look, so that no line is above the journal's limit per second and dropped."""
        self.time += 1.0
        return self.time

    def next(self) -> float:
        rows = []
        for _ in range(BLOCK):
            self.step += 1
            rows.append({"step": self.step, **{name: (self.step + n) / 3 for n, name in enumerate(COLUMNS)}})
        begun = time.process_time()
        for row in rows:
            self.journal.write("eval", self.key, **row)
        self.journal.flush()
        spent = time.process_time() - begun
        assert self.journal.dropped == 0
        return spent / BLOCK / len(COLUMNS) * 1e6


def measure(tracker: str, pairs: int) -> dict[str, Any]:
    """Microseconds per metric without and with the tracker following, and what it had at the end."""
    if any(importlib.util.find_spec(need) is None for need in targets.literal(tracker, "NEEDS")):
        return {"tracker": tracker, "skipped": f"crucis[{tracker}] is not installed"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
        (folder / "alone").mkdir()
        session = sessions.open_session(folder / "study.yaml", store=folder / "store")
        session.store.check_writable()
        (run,) = runs_of(session.plan)
        with Trackers(targets.parse([tracker], folder, "--track"), session) as trackers:
            trackers.planned(session.plan)
            time.sleep(5.0)  # its library is imported
            followed, alone = (Bench(str(at), run.key) for at in (session.store.path / "journal", folder / "alone"))
            costs: dict[str, list[float]] = {"with": [], "without": []}
            for pair in range(pairs):
                for side in ("without", "with") if pair % 2 else ("with", "without"):
                    costs[side].append((followed if side == "with" else alone).next())
                time.sleep(0.05)
        (report,) = trackers.reports
        assert not report.trouble, report.trouble
    differences = [a - b for a, b in zip(costs["with"], costs["without"], strict=True)]
    low, middle, high = statistics.quantiles(differences, n=4)
    return {
        "tracker": tracker, "without_us": statistics.median(costs["without"]), "pairs": pairs,
        "with_us": statistics.median(costs["with"]), "difference_us": middle, "quartiles_us": [low, high],
        "metrics": pairs * BLOCK * len(COLUMNS),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=60)
    pairs = parser.parse_args().pairs
    found = [measure(tracker, pairs) for tracker in targets.names()]
    lines = []
    for item in found:
        if "skipped" in item:
            lines.append(f"{item['tracker']:<12} {item['skipped']}")
            continue
        low, high = item["quartiles_us"]
        lines.append(
            f"{item['tracker']:<12} {item['with_us']:5.2f} us per metric (<= {LIMIT_US:g}); not followed "
            f"{item['without_us']:.2f}, difference {item['difference_us']:+.2f} ({low:+.2f} to {high:+.2f})"
        )
    lines.append(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}")
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    body = {"limit_us": LIMIT_US, "trackers": found, "load": os.getloadavg()[0]}
    (RESULTS / "trackers.json").write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
    (RESULTS / "trackers.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
