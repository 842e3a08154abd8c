"""What a plan costs: 10,000 steps planned in a fresh process, the look for hits, and the start of `crucis --help`.

    python benchmarks/plan.py

Every figure is the smallest of several runs (other work on the machine only ever adds). Bounds: plan <= 2 s and no
torch; a hit check <= 0.05 ms per step; `crucis --help` within 0.10 s of `python -c pass`. Writes
`benchmarks/results/plan.json` and `.txt`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from crucis.engine.store import Store
from crucis.study.load import load_study
from crucis.study.plan import make_plan

RESULTS = Path(__file__).parent / "results"
RUNS = 7
GUARDED = """
import sys
from crucis.cli import main
main(sys.argv[1:])
heavy = {"torch", "pandas", "matplotlib", "sklearn", "timm", "torchvision"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
HELP = "import sys; from crucis.cli import main; sys.exit(main(['--help']))"


def many() -> str:
    """250 nets x 20 seeds x 2 stages."""
    levels = "\n".join(f"    w{n}: {{mlp: {{widths: [{n}]}}}}" for n in range(1, 251))
    return (
        f"study: many\nseeds: 20\nfactors:\n  net:\n{levels}\nstages:\n"
        "  model: {train: supervised, net: $net, data: digits, for: 2 epochs}\n"
        "  scores: {measure: classification, of: model}\n"
    )


def process(*words: str) -> tuple[float, float]:
    """Least wall and CPU seconds of a process."""
    wall, cpu = [], []
    for _ in range(RUNS):
        before, began = os.times(), time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        after = os.times()
        wall.append(time.perf_counter() - began)
        cpu.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return min(wall), min(cpu)


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "many.yaml"
        study.write_text(many(), encoding="utf-8")
        plan_wall, plan_cpu = process("-c", GUARDED, "plan", str(study))
        plan = make_plan(load_study(study))
        keys = [node.key for node in plan.nodes]
        store = Store(Path(folder) / "store")
        hits = []
        for _ in range(RUNS):
            began = time.perf_counter()
            store.hits(keys)
            hits.append((time.perf_counter() - began) / len(keys))
    bare_wall, bare_cpu = process("-c", "pass")
    help_wall, help_cpu = process("-c", HELP)
    figures = {
        "steps": len(keys), "plan_wall_s": plan_wall, "plan_cpu_s": plan_cpu, "hit_ms_per_step": min(hits) * 1e3,
        "python_pass_wall_s": bare_wall, "help_wall_s": help_wall, "help_minus_pass_wall_s": help_wall - bare_wall,
        "help_minus_pass_cpu_s": help_cpu - bare_cpu,
    }  # fmt: skip
    bounds = {"plan_wall_s": 2.0, "hit_ms_per_step": 0.05, "help_minus_pass_wall_s": 0.10}
    text = "\n".join(
        f"{name:<24} {value:10.4f}" + (f"   bound {bounds[name]:g}: {'met' if value <= bounds[name] else 'MISSED'}"
                                       if name in bounds else "")
        for name, value in figures.items()
    )  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "plan.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "plan.txt").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
