"""What each tracker holds, read back with its own reader, equals what the store holds."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lab import Lab, environment

from crucis.trackers import targets

ALL = targets.names()


@cache
def read(tracker: str, folder: Path):
    """Key -> what the tracker's reader finds."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "readers.py"), tracker, str(folder)],
        capture_output=True, text=True, env={**environment(), "CLEARML_OFFLINE_MODE": "1"}, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("HELD "))
    return json.loads(line.removeprefix("HELD "))


@pytest.fixture(params=ALL)
def held(request, tracked: Lab):
    """A tracker's name and its runs; skipped where its library is not installed."""
    for need in targets.literal(request.param, "NEEDS"):
        if importlib.util.find_spec(need) is None:
            pytest.skip(f"crucis[{request.param}] is not installed")
    return request.param, read(request.param, tracked.folder / "tracking" / request.param)


def seen(tracker: str, value: float) -> float:
    """A float64 as the tracker keeps it: TensorBoard has float32 only, the others are exact."""
    return float(np.float32(value)) if tracker == "tensorboard" else value


def named(tracker: str, name: str) -> str:
    return name.replace("%", " percent") if tracker == "mlflow" else name


def expected_values(body) -> dict[str, float]:
    """By hand from a record: columns, columns with one own axis, the axes of `reach`; standard errors; cost."""
    out = {}
    for head, part in (("final", body["values"]), ("se", body["uncertainty"])):
        for column, value in part.items():
            name, _, axis = column.partition("@")
            if column == "curve":
                continue
            if isinstance(value, dict) and "kind" not in value:
                for label, item in value.items():
                    path = f"{head}/{name}/{axis}/{label}" if axis else f"{head}/{name}/{label}"
                    out[path] = float(item["se"] if head == "se" else item)
            else:
                out[f"{head}/{name}"] = float(value["se"] if head == "se" else value)
    return out | {f"cost/{name}": float(value) for name, value in body["cost"].items()}


def test_every_step_is_one_run(held, tracked):
    _, runs = held
    assert runs.keys() == tracked.bodies().keys() and len(runs) == 8


def test_rows_are_those_of_the_curve(held, tracked):
    tracker, runs = held
    for key in tracked.of_kind("train/supervised"):
        with np.load(tracked.store / "steps" / key[:2] / key / "curve.npz") as curve:
            steps = [int(step) for step in curve["step"]]
            columns = set(curve.files) - {"step"}
            assert len(steps) == 4 and runs[key]["rows"].keys() == columns
            for column in columns:
                want = {str(i): seen(tracker, float(v)) for i, v in zip(steps, curve[column], strict=True)}
                assert runs[key]["rows"][column] == want, column
    for key in tracked.of_kind("measure/classification"):
        assert runs[key]["rows"] == {}


def test_closing_values_and_their_errors_are_the_records(held, tracked):
    tracker, runs = held
    for key, body in tracked.bodies().items():
        want = {named(tracker, name): seen(tracker, value) for name, value in expected_values(body).items()}
        assert runs[key]["values"] == want
    assert any("final/recall/class/3" in run["values"] for run in runs.values())
    assert any(named(tracker, "final/reach/50%") in run["values"] for run in runs.values())


def test_parameters_are_resolved_and_what_was_used(held, tracked):
    """`lr`, `decay_on`, `beta1` are written nowhere in the study; `batch`, `n_train` and rates are what really ran."""
    tracker, runs = held
    for key, body in tracked.of_kind("train/supervised").items():
        params, used = runs[key]["params"], body["notes"]["trained"]
        seed, net = body["spec"]["seed"], body["notes"]["label"].split()[1]
        want = {
            "batch": used["batch"], "n_train": used["n_train"], "steps_per_epoch": used["steps_per_epoch"],
            "total_steps": used["updates"], "evaluate_every": used["steps_per_epoch"], "seed": seed, "lr": 0.1,
            "optimiser.beta1": used["groups"][0]["options"]["betas"][0], "optimiser.beta2": 0.98,
            "net.dropout": {"small": 0.0, "wide": 0.1}[net], "compile": False, "optimiser": "adamw",
            "schedule": "cosine", "data": "digits", "net": "mlp", "net.widths": {"small": "[8]", "wide": "[12]"}[net],
            "clip": None, "decay_on": "weights", "data.digest": body["spec"]["data"]["digest"],
        }  # fmt: skip
        for name, value in want.items():
            assert params[name] == _spelled(tracker, value), name
        if tracker != "tensorboard":
            assert params["used.optimiser"] == "AdamW"
            assert params["used.rates.digest"] == used["rates"]["digest"]


def _spelled(tracker: str, value):
    """A parameter as the tracker's reader gives it: MLflow and ClearML keep text, TensorBoard numbers as float64."""
    if tracker == "mlflow":
        return {None: "null", False: "false"}[value] if value is None or value is False else str(value)
    if tracker == "clearml":
        return "" if value is None else str(value)
    if tracker == "tensorboard" and value is None:
        return "null"
    return value


def test_tags_say_where_a_run_belongs(held, tracked):
    tracker, runs = held
    for key, body in tracked.of_kind("train/supervised").items():
        tags = runs[key]["tags"]
        assert tags["study"] == "watched" and tags["stage"] == "model" and tags["seed"] == str(body["spec"]["seed"])
        assert tags["cell_net" if tracker == "clearml" else "cell.net"] == body["notes"]["label"].split()[1]
        assert tags["outcome"] == "ok"


def test_files_are_kept_and_models_only_when_asked(held, tracked):
    tracker, runs = held
    if tracker == "tensorboard":
        assert all(run["files"] == [] for run in runs.values())
        return
    for key, body in tracked.bodies().items():
        names = set(runs[key]["files"])
        wanted = {"record.json", *(name for name, about in body["files"].items() if about["role"] != "model")}
        assert wanted <= names and "model.safetensors" not in names


def test_twice_is_once(tracked):
    """Writing again adds nothing, in no file that counts."""
    installed = [name for name in ALL if f"{name}:" in tracked.said.out]
    before = {name: _written(tracked, name) for name in installed}
    answer = tracked("track", *(word for name in installed for word in ("--to", name)))
    assert answer.code == 0, answer.all
    assert {name: _written(tracked, name) for name in installed} == before
    assert all(f"{name}: 8 runs" in answer.out for name in installed)


def _written(lab: Lab, tracker: str):
    folder = lab.folder / "tracking" / tracker
    if tracker == "mlflow":
        import sqlite3

        with sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True) as base:
            return {table: base.execute(f"select * from {table} order by 1, 2").fetchall()
                    for table in ("runs", "metrics", "params", "tags")}  # fmt: skip
    names = ("crucis.json", "*.wandb", "events.*", "metrics.jsonl", "task.json", "*.zip")
    return {str(path): path.read_bytes() for name in names for path in folder.rglob(name)}


def test_the_page_is_kept(tracked):
    """Where a tracker has a place for files."""
    page = (tracked.folder / "report" / "watched" / "index.html").read_bytes()
    for name in ("mlflow", "wandb", "clearml"):
        if f"{name}:" in tracked.said.out:
            found = [path for path in (tracked.folder / "tracking" / name).rglob("index.html") if path.is_file()]
            assert [path.read_bytes() for path in found] == [page], name


def test_trackers_are_circumstance(tracked):
    """No key knows of them: the same study without trackers has the same steps, all of them there."""
    steps = tracked.steps()
    assert {step["key"] for step in steps.values()} == tracked.bodies().keys()
    assert all(step["cached"] for step in steps.values())
