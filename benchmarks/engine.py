"""What the engine costs: hit checks, keys, commits, leases, empty steps with two workers, start of a worker.

Run `python benchmarks/engine.py`; it prints a table and writes `benchmarks/results/engine.json` and `.txt`.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crucis.canon import step_key
from crucis.engine.frontier import Frontier
from crucis.engine.journal import Journal, Tail
from crucis.engine.lease import Leases
from crucis.engine.pool import Pool
from crucis.engine.steps import Step
from crucis.engine.store import Store
from crucis.engine.supervisor import run

RESULTS = Path(__file__).parent / "results"
WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def a_spec(i: int) -> dict[str, Any]:
    """A spec of about 570 bytes, as a training step has."""
    params = {f"parameter_{j}": 0.1 * j for j in range(16)}
    return {
        "kind": "train/supervised",
        "revision": "3.2",
        "params": params,
        "inputs": {"of": f"{i:064x}"},
        "data": "sha256:" + "a" * 64,
        "seed": i,
        "determinism": "strict",
    }


def processor() -> float:
    """Seconds of processor time of this process and of all that it has waited for."""
    return sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHO)


def steps_of(count: int) -> list[Step]:
    """Independent steps."""
    specs = [{**a_spec(i), "inputs": {}} for i in range(count)]
    return [Step(step_key(spec), spec) for spec in specs]


def per(count: int, action: Callable[[], object]) -> float:
    """Seconds per item."""
    begun = time.perf_counter()
    action()
    return (time.perf_counter() - begun) / count


def measure(folder: Path, count: int) -> list[tuple[str, float, str, float | None]]:
    """Name, figure, unit and limit of everything."""
    store = Store(folder / "store")
    here = "benchmark_engine_runner:empty"
    rows: list[tuple[str, float, str, float | None]] = []
    keying = per(10_000, lambda: [step_key(a_spec(i)) for i in range(10_000)])
    rows.append(("keys of 10,000 steps", 10_000 * keying, "s", 2.0))
    steps = steps_of(count)
    used = processor()
    best = min(
        per(count, lambda n=n: run(steps, Store(folder / f"s{n}"), runner=here, workers=2, environment={}))
        for n in range(3)
    )
    rows.append((f"empty step, 2 workers, mean of {count} (best of 3 runs)", 1e3 * best, "ms", 1.0))
    rows.append(("  processor time of all processes for it", 1e3 * (processor() - used) / (3 * count), "ms", None))
    store = Store(folder / "s0")
    again = per(count, lambda: run(steps, store, runner=here, workers=2, environment={}))
    rows.append(("whole second run, all hits, per step", 1e3 * again, "ms", None))
    some = [step.key for step in steps] + [f"{i:064x}" for i in range(count)]
    rows.append(("hit check, half of them hits", 1e3 * per(len(some), lambda: store.hits(some)), "ms", 0.05))
    rows.append(
        ("read and check one record", 1e3 * per(count, lambda: [store.read(step.key) for step in steps]), "ms", None)
    )
    many = steps_of(10_000)
    rows.append(("plan file of 10,000 steps", per(1, lambda: store.write_plan(many)), "s", None))
    rows.append(
        ("frontier of 10,000 steps", per(1, lambda: Frontier(many, store.has, store.read)), "s", None),
    )
    leases = Leases(store.root)
    held = [leases.claim(step.key) for step in many[:2000]]
    rows.append(("lease: beat", 1e6 * per(2000, lambda: [lease.beat() for lease in held if lease]), "us", None))
    rows.append(("lease: drop", 1e6 * per(2000, lambda: [lease.drop() for lease in held if lease]), "us", None))
    rows.append(("lease: claim", 1e6 * per(2000, lambda: [leases.claim(s.key) for s in many[:2000]]), "us", None))
    rows.append(("lease: refused", 1e6 * per(2000, lambda: [leases.claim(s.key) for s in many[:2000]]), "us", None))
    rows += journals(folder)
    rows += starts(store, here)
    return rows


def journals(folder: Path) -> list[tuple[str, float, str, float | None]]:
    """The live view of 64 workers when nothing happens."""
    place = folder / "journal"
    place.mkdir()
    for number in range(64):
        journal = Journal(str(place))
        journal.stem = f"host.boot.{number}"
        journal.write("up")
        journal.close()
    tail = Tail(str(place))
    tail.poll()
    return [("journal: idle look at 64 workers", 1e3 * per(50, lambda: [tail.poll() for _ in range(50)]), "ms", 5.0)]


def starts(store: Store, runner: str) -> list[tuple[str, float, str, float | None]]:
    """From asking the fork server to the worker's first message, with torch preloaded if it is there."""
    try:
        import importlib.util

        preload = ["torch"] if importlib.util.find_spec("torch") else []
    except ImportError:
        preload = []
    config = {"store": store.root, "runner": runner, "environment": ""}
    pool = Pool(config, [*preload, runner.partition(":")[0]], f"{store.root}/journal/bench.server.log")
    begun = time.perf_counter()
    pool.start()
    server = time.perf_counter() - begun
    times = []
    for _ in range(20):
        begun = time.perf_counter()
        hand = pool.fork()
        while not any(kind == "message" and who is hand for kind, who, _ in pool.poll(1.0)):
            pass
        times.append(time.perf_counter() - begun)
    pool.close()
    name = f"fork server with {'torch' if preload else 'nothing'}"
    return [(f"{name}: start", server, "s", None), ("worker: start to ready, median", sorted(times)[10], "s", 0.05)]


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "benchmark_engine_runner.py"
        module.write_text(
            "from crucis.records import Result\n\n\n"
            "def empty(steps, contexts):\n    return [Result(values={'x': 1.0}) for _ in steps]\n"
        )
        sys.path.insert(0, folder)
        rows = measure(Path(folder), arguments.steps)
    lines = [f"{'what':<58}{'measured':>12}  {'limit':>8}"]
    for name, figure, unit, limit in rows:
        mark = "" if limit is None else f"{limit:g} {unit}" + ("" if figure <= limit else "  MISSED")
        lines.append(f"{name:<58}{figure:>9.4g} {unit:<3} {mark:>8}")
    text = "\n".join(lines)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "engine.txt").write_text(text + "\n", encoding="utf-8")
    body = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "rows": [{"what": n, "value": f, "unit": u, "limit": li} for n, f, u, li in rows],
    }
    (RESULTS / "engine.json").write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return 0 if all(limit is None or figure <= limit for _, figure, _, limit in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
