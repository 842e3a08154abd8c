"""What each tracker holds, read with the tracker's own reader: one plain form for all of them.

    python readers.py TRACKER FOLDER

A process of its own, because these libraries leave threads and hooks behind.
"""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any


@dataclass
class Held:
    """A run as a tracker gives it back. `rows`: column -> {step: value}."""

    rows: dict[str, dict[int, float]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)


def tensorboard(folder: Path, entry: dict[str, str]) -> Held:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    events = EventAccumulator(str(folder / entry["at"]), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    held = Held()
    for tag in events.Tags()["scalars"]:
        found = [(event.step, event.value) for event in events.Scalars(tag)]
        if tag.partition("/")[0] in ("final", "se", "cost"):
            ((_, held.values[tag]),) = found
        else:
            assert len({step for step, _ in found}) == len(found), "a step is there twice"
            held.rows[tag] = dict(found)
    stored = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    for name, value in metadata.parse_session_start_info_plugin_data(stored).hparams.items():
        held.params[name] = getattr(value, value.WhichOneof("kind"))
    text = events.Tensors("tags")[0].tensor_proto.string_val[0].decode()
    held.tags = {name.strip(): json.loads(value) for name, _, value in (x.partition(": ") for x in text.splitlines())}
    return held


def mlflow(folder: Path) -> dict[str, Held]:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("watched")
    out = {}
    for run in client.search_runs([experiment.experiment_id]):
        assert run.info.status == "FINISHED"
        held = Held(params=dict(run.data.params), tags=dict(run.data.tags))
        for name in run.data.metrics:
            history = [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, name)]
            if name.partition("/")[0] in ("final", "se", "cost"):
                ((_, held.values[name]),) = history
            else:
                assert len(dict(history)) == len(history), "a step is there twice"
                held.rows[name] = dict(history)
        held.files = {item.path for item in client.list_artifacts(run.info.run_id)}
        key = held.tags["crucis.key"]
        assert key not in out, "a run is there twice"
        out[key] = held
    out.pop("report")
    return out


def wandb(folder: Path, entry: dict[str, str]) -> Held:
    """With the library's own reader of its offline files."""
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    (path,) = (folder / entry["at"]).glob("*.wandb")
    store = DataStore()
    store.open_for_scan(str(path))
    held, config = Held(), {}
    while (data := store.scan_data()) is not None:
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "history":
            row = {"/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for name in row.keys() - {"step"}:
                if not name.startswith("_"):
                    assert int(row["step"]) not in held.rows.setdefault(name, {}), "a step is there twice"
                    held.rows[name][int(row["step"])] = row[name]
        elif kind == "summary":
            for item in record.summary.update:
                name = item.key or "/".join(item.nested_key)
                if name.partition("/")[0] in ("final", "se", "cost"):
                    held.values[name] = json.loads(item.value_json)
        elif kind in ("run", "config"):
            for item in (record.run.config if kind == "run" else record.config).update:
                name = item.key or "/".join(item.nested_key)
                config[name] = json.loads(item.value_json)
        elif kind == "files":
            held.files |= {item.path for item in record.files.files}
    held.tags = config.pop("tag")
    held.params = {name: value for name, value in config.items() if name != "_wandb"}
    return held


def clearml(folder: Path, entry: dict[str, str]) -> Held:
    """With the library's own import of offline sessions; what it would send is kept instead."""
    from clearml.backend_interface.metrics import Metrics

    sent: list[dict[str, Any]] = []
    keep = SimpleNamespace(send=lambda batch: sent.extend(request for request in batch.requests))
    session = folder / entry["at"]
    task = json.loads((session / "task.json").read_text(encoding="utf-8"))
    to = SimpleNamespace(id="imported", session=keep, _get_default_report_storage_uri=lambda: "nowhere")
    assert Metrics.report_offline_session(to, str(session), only_with_id=task["id"], session=keep)
    assert zipfile.ZipFile(f"{session}.zip").testzip() is None
    held = Held()
    for event in sent:
        if event["metric"] == "Summary":
            held.values[event["variant"]] = event["value"]
        else:
            column = held.rows.setdefault(event["metric"], {})
            assert event["iter"] not in column, "a step is there twice"
            column[event["iter"]] = event["value"]
    sections = task["hyperparams"]
    held.params = {name: item["value"] for part in ("General", "used") for name, item in sections.get(part, {}).items()}
    held.tags = {name: item["value"] for name, item in sections["properties"].items()}
    held.files = {artifact["key"] for artifact in task["execution"]["artifacts"]}
    return held


def main(tracker: str, folder: Path) -> None:
    """Print every run of a tracker as JSON: key -> what is held."""
    if tracker == "mlflow":
        found = mlflow(folder)
    else:
        body = json.loads((folder / "crucis.json").read_text(encoding="utf-8"))
        entries = {name.partition("/")[2]: entry for name, entry in body.items() if not name.endswith("/report")}
        assert all(entry["mark"] for entry in entries.values()), "an unfinished run"
        read = {"tensorboard": tensorboard, "wandb": wandb, "clearml": clearml}[tracker]
        found = {key: read(folder, entry) for key, entry in entries.items()}
    print("HELD " + json.dumps({key: {**vars(held), "files": sorted(held.files)} for key, held in found.items()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
