"""MLflow: one experiment per study, one run per step; a SQLite file in a folder, or any tracking address.

Numbers are float64 in MLflow too. Names keep the letters, digits and `_ - . / : space` that MLflow allows; `%` becomes
` percent`, any other character `:` and its code (`@` is `:40`). A parameter longer than MLflow takes is in the artifact
`parameters.json`, with all the others.

Source: the MLflow tracking interface, Zaharia et al. 2018, IEEE Data Eng. Bull. 41(4).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..sink import Ending, Plain, Row, Run

NEEDS = ("mlflow", "sqlalchemy", "alembic")
LIVE = True
ADDRESS = "mlflow ui --backend-store-uri {place}"
AFTERWARDS = "mlflow ui --backend-store-uri sqlite:///{place}/mlflow.db"
_KEY, _MARK = "crucis.key", "crucis.mark"
_SQLITE = "sqlite:///"
_LONGEST = 500  # characters of a parameter, which every kind of MLflow store takes
_BATCH, _PARAMS = 500, 100  # entries of one request; the interface allows 1000 metrics and 100 parameters


def open_sink(place: str) -> Experiments:
    """A sink that writes to a tracking address, or to `mlflow.db` and `artifacts` in a folder."""
    # A server that is away should be noticed in seconds; by default the library tries for a quarter of an hour.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    file = Path(place.removeprefix(_SQLITE)) if place.startswith(_SQLITE) else Path(place) / "mlflow.db"
    if ":/" in place and not place.startswith(_SQLITE):
        return Experiments(place, None)
    file.parent.mkdir(parents=True, exist_ok=True)
    return Experiments(f"{_SQLITE}{file}", file.parent.resolve() / "artifacts")


class Experiments:
    """Writes through MLflow's client; never touches its global state."""

    def __init__(self, address: str, artifacts: Path | None) -> None:
        from mlflow.tracking import MlflowClient

        self.client, self.artifacts = MlflowClient(tracking_uri=address), artifacts
        self.experiments: dict[str, str] = {}
        self.here: dict[tuple[str, str], tuple[str, str]] = {}  # study and key -> run, mark
        self.open: dict[str, tuple[Run, str]] = {}

    def whole(self, run: Run) -> str:
        """See `Sink`. What is there is asked once per study."""
        self._experiment(run.study)
        return self.here.get((run.study, run.key), ("", ""))[1]

    def begin(self, run: Run) -> None:
        """See `Sink`. An earlier attempt goes to MLflow's trash."""
        experiment = self._experiment(run.study)
        before = self.here.pop((run.study, run.key), None)
        if before is not None:
            self.client.delete_run(before[0])
        tags = {**run.tags, "group": run.group, _KEY: run.key}
        made = self.client.create_run(experiment, run_name=run.name, tags={safe(k): v for k, v in tags.items()})
        self.open[run.key] = run, made.info.run_id
        self.here[run.study, run.key] = made.info.run_id, ""
        self._params(made.info.run_id, run.params, "parameters.json")

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """See `Sink`."""
        found = [(name, row[name], int(row["step"])) for row in rows for name in row if name != "step"]
        self._metrics(self.open[key][1], found)

    def end(self, key: str, ending: Ending, mark: str) -> None:
        """See `Sink`."""
        run, made = self.open.pop(key)
        self._metrics(made, [(name, value, ending.step) for name, value in ending.values.items()])
        if ending.used:
            self._params(made, ending.used, "used.json")
        for name, text in ending.tags.items():
            self.client.set_tag(made, safe(name), text)
        for name, path in ending.files.items():
            parent = PurePosixPath(name).parent.as_posix()
            self.client.log_artifact(made, str(path), None if parent == "." else parent)
        self.client.set_terminated(made, "FINISHED" if ending.ok else "FAILED")
        self.client.set_tag(made, _MARK, mark)  # last: what has the mark is whole
        self.here[run.study, key] = made, mark

    def close(self) -> None:
        """See `Sink`."""
        for _, made in self.open.values():
            self.client.set_terminated(made, "KILLED")
        self.open.clear()

    def _experiment(self, study: str) -> str:
        if study not in self.experiments:
            found = self.client.get_experiment_by_name(study)
            if found is None:
                place = None if self.artifacts is None else (self.artifacts / safe(study)).as_uri()
                self.experiments[study] = self.client.create_experiment(study, artifact_location=place)
            else:
                self.experiments[study] = found.experiment_id
                for item in self._runs(found.experiment_id):
                    tags = item.data.tags
                    if _KEY in tags:
                        self.here.setdefault((study, tags[_KEY]), (item.info.run_id, tags.get(_MARK, "")))
        return self.experiments[study]

    def _runs(self, experiment: str) -> Iterable[Any]:
        token = None
        while True:
            page = self.client.search_runs([experiment], max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _params(self, made: str, values: Mapping[str, Plain], file: str) -> None:
        from mlflow.entities import Param

        texts = {safe(name): text(value) for name, value in values.items()}
        short = [Param(name, value) for name, value in texts.items() if len(value) <= _LONGEST]
        for start in range(0, len(short), _PARAMS):
            self.client.log_batch(made, params=short[start : start + _PARAMS])
        self.client.log_dict(made, dict(values), file)

    def _metrics(self, made: str, found: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for start in range(0, len(found), _BATCH):
            part = [Metric(safe(name), value, now, step) for name, value, step in found[start : start + _BATCH]]
            self.client.log_batch(made, metrics=part)


def text(value: Plain) -> str:
    """A parameter as MLflow keeps it: `true`, `null`, numbers by their shortest exact text, texts as they are."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return value if isinstance(value, str) else repr(value)


def safe(name: str) -> str:
    """A name as MLflow takes it."""
    return re.sub(r"[^\w\-./: ]", lambda m: " percent" if m[0] == "%" else f":{ord(m[0]):x}", name, flags=re.ASCII)
