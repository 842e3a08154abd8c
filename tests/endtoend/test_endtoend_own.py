"""Leaves of the user's own, by path: used like built-in ones, and identified by what their code means."""

from __future__ import annotations

import json
import time

from lab import clean_error

NET = '''\
"""A small network of my own."""
from torch import nn

from width import FACTOR


def build(input, classes, *, width: int = 4):
    """Two dense layers."""
    # the middle is narrow
    inner = FACTOR * width
    return nn.Sequential(nn.Flatten(), nn.Linear(input[0], inner), nn.ReLU(), nn.Linear(inner, classes))
'''
DATA = '''\
"""Two clouds."""
import numpy as np

from crucis.data.dataset import Raw


def load(root, *, n: int = 200, shift: float = 3.0):
    """Vectors of two features."""
    draw = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = draw.standard_normal((n, 2)) + shift * y[:, None]
    return Raw(x.astype(np.float32), y.astype(np.int64), ("a", "b"))
'''
PROBE = '''\
"""The norm of all weights."""
from crucis.records import Result

COLUMNS = {"norm": {"unit": "1", "range": [0, None], "axes": [], "headline": True}}
SCALE = 1.0


def measure(specimen, *, power: int = 2):
    """Sum of absolute weights to a power."""
    return Result(values={"norm": SCALE * sum(float((p.abs() ** power).sum()) for p in specimen.model.parameters())})
'''
FIT = '''\
"""Supervised training with half the learning rate."""
from dataclasses import replace

from crucis.train.fit import fit, result
from crucis.train.settings import resolve

COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "loss": {"unit": "nats", "range": [0, None], "axes": []},
}


def train(job, ctx, *, length: str = "3 epochs", batch: int = 32, lr: float = 0.1):
    """As `supervised`, at half the rate."""
    given = {"length": length, "batch": batch, "lr": lr / 2}
    return result(fit(replace(job, settings=resolve(given, len(job.data.train))), ctx))
'''
ESTIMATE = '''\
"""Range of a sample."""
COLUMNS = {"range": {"unit": "same", "range": [0, None], "axes": [], "headline": True, "exact": True}}


def estimate(table, *, factor: float = 1.0):
    """Largest minus smallest."""
    (values,) = table.columns.values()
    return {"range": factor * float(values.max() - values.min())}
'''
STUDY = """\
study: own
seeds: 2
factors:
  net: [./net.py, {mlp: {widths: [4]}}]
stages:
  model: {train: supervised, net: $net, data: ./data.py, batch: 32, for: 2 epochs, lr: 0.02}
  norm: {measure: ./probe.py, of: model}
analysis:
  spread: {estimate: ./estimate.py, of: norm.norm, each: net}
claims:
  small-spread:
    holds_if: spread.range < 1000
    each: net
"""


def files(lab):
    for name, text in {"net": NET, "data": DATA, "probe": PROBE, "estimate": ESTIMATE, "fit": FIT}.items():
        lab.write(text, f"{name}.py")
    lab.write("FACTOR = 2\n", "width.py")
    lab.write(STUDY)


def changed(before, after):
    assert before.keys() == after.keys()
    return {label for label in before if before[label] != after[label]}


def test_own_leaves_run_and_their_code_is_their_identity(lab):
    files(lab)
    answer = lab("run")
    assert answer.code == 0, answer.all
    assert "SUPPORTED" in answer.out
    assert len(lab.bodies()) == 8
    before = lab.keys()
    own = {label for label in before if "mlp" not in label}
    every = set(before)
    norms = {label for label in before if label.startswith("norm")}

    # Layout, comments and docstrings mean nothing.
    lab.edit("# the middle is narrow", "# the middle is really narrow\n", "net.py")
    lab.edit('"""Two dense layers."""', '"""Two layers,\n\n    written differently.\n    """', "net.py")
    lab.edit("nn.Flatten(), nn.Linear(input[0],", "nn.Flatten(),\n        nn.Linear(input[0],", "net.py")
    lab.edit('"""The norm of all weights."""\n', "", "probe.py")
    lab.edit("FACTOR = 2", "# why two?\nFACTOR = 2  # so", "width.py")
    assert lab.keys() == before

    # A constant of the net means its trainings and what rests on them, and the plan says why.
    lab.edit("width: int = 4", "width: int = 5", "net.py")
    steps = lab.steps()
    assert changed(before, {label: step["key"] for label, step in steps.items()}) == own
    assert steps["model net seed 42"]["why"] == "the code of net changed"
    assert steps["norm net seed 42"]["why"] == "its input 'of' changed"
    assert "the code of net changed" in lab("plan").out
    lab.edit("width: int = 5", "width: int = 4", "net.py")

    # So does a constant in a file that the net imports.
    lab.edit("FACTOR = 2", "FACTOR = 3", "width.py")
    assert changed(before, lab.keys()) == own
    lab.edit("FACTOR = 3", "FACTOR = 2", "width.py")

    # A constant of the instrument means its steps alone.
    lab.edit("SCALE = 1.0", "SCALE = 2.0", "probe.py")
    steps = lab.steps()
    assert changed(before, {label: step["key"] for label, step in steps.items()}) == norms
    assert steps["norm mlp seed 42"]["why"] == "the code of the leaf changed"
    lab.edit("SCALE = 2.0", "SCALE = 1.0", "probe.py")

    # Data are known by their content: another shift is other data, another way to write the same is not.
    lab.edit("shift * y[:, None]", "(shift * y)[:, None]", "data.py")
    assert lab.keys() == before
    lab.edit("shift: float = 3.0", "shift: float = 2.0", "data.py")
    steps = lab.steps()
    assert changed(before, {label: step["key"] for label, step in steps.items()}) == every
    assert "data.digest" in steps["model mlp seed 42"]["why"]
    lab.edit("shift: float = 2.0", "shift: float = 3.0", "data.py")

    # An estimate is no step.
    lab.edit("values.min())", "values.min() + 0.0)", "estimate.py")
    assert lab.keys() == before
    again = lab("run")
    assert again.code == 0
    assert "8 cached, 0 run" in again.out


def test_an_own_training_protocol(lab):
    files(lab)
    lab.write(STUDY.replace("train: supervised", "train: ./fit.py"))
    answer = lab("run")
    assert answer.code == 0, answer.all
    bodies = lab.of_kind("train/file")
    assert len(bodies) == 4
    assert "lr" in next(iter(bodies.values()))["spec"]["params"]
    before = lab.keys()
    lab.edit("lr / 2", "lr / 4", "fit.py")
    after = lab.steps()
    assert all(after[label]["key"] != key for label, key in before.items())
    assert after["model mlp seed 42"]["why"] == "the code of the leaf changed"


def test_an_edit_during_a_run_does_not_reach_it(lab):
    """Row 26 of the failure table: the plan's copy is what runs, and the edited file gets its own keys next time."""
    files(lab)
    waiting = lab.folder / "waiting"
    probe = PROBE.replace(
        '    """Sum of absolute',
        f"    import pathlib, time\n    here = pathlib.Path({str(waiting)!r})\n    here.touch()\n"
        "    for _ in range(600):\n        if not here.exists():\n            break\n        time.sleep(0.1)\n"
        '    """Sum of absolute',
    )
    lab.write(probe, "probe.py")
    lab.write(STUDY.replace("[./net.py, {mlp: {widths: [4]}}]", "[./net.py]").replace("seeds: 2", "seeds: 1")
              .split("analysis:")[0])  # fmt: skip
    before = lab.keys()
    running = lab.process("run", "study.yaml", "--quiet", "--workers", "1")
    while not waiting.exists():
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    lab.edit("SCALE = 1.0", "SCALE = 1000.0", "probe.py")
    lab.edit("width: int = 4", "width: int = 9", "net.py")
    waiting.unlink()
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    assert set(lab.bodies()) == set(before.values())
    (norm,) = lab.of_kind("measure/file").values()
    assert norm["values"]["norm"] < 500
    (model,) = lab.of_kind("train/supervised").values()
    assert model["values"]["parameters"] == 2 * 8 + 8 + 8 * 2 + 2
    assert not {step["cached"] for step in lab.steps().values()} - {False}


def test_own_files_that_cannot_be_used_are_refused_with_their_name(lab):
    files(lab)
    lab.write("def built(input, classes):\n    return None\n", "net.py")
    clean_error(lab("plan"), "net.py", "build")
    lab.write("def build(input, classes)\n    return None\n", "net.py")
    clean_error(lab("plan"), "net.py", "not valid Python")
    lab.write(NET, "net.py")
    (lab.folder / "probe.py").unlink()
    clean_error(lab("run"), "probe.py")
    lab.write(PROBE, "probe.py")
    lab.write("def load(root):\n    raise RuntimeError('no such table')\n", "data.py")
    clean_error(lab("plan"), "data.py", "no such table")


def test_parameters_of_own_leaves_at_their_default_change_no_key(lab):
    files(lab)
    before = lab.keys()
    lab.edit("[./net.py, {mlp", "[{./net.py: {width: 4}}, {mlp")
    lab.edit("measure: ./probe.py, of: model", "measure: ./probe.py, power: 2, of: model")
    assert sorted(lab.keys().values()) == sorted(before.values())
    lab.edit("power: 2", "power: 1")
    assert len(set(before.values()) & set(lab.keys().values())) == 4
    shown = lab("show", study="study.yaml")
    assert json.dumps("power") in shown.out or "power: 1" in shown.out
