"""ClearML, offline: one session (a folder and its zip) per step, to be uploaded with ClearML's own import.

The library holds one task at a time, so a session is written when its step has ended, not while it trains. Closing
values are ClearML's single values; parameters stand in the section `General`, what was used in `used`.

Source: the library's offline mode, https://clear.ml/docs (`Task.set_offline`, `Task.import_offline_session`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..ledger import Ledger
from ..sink import Ending, Row, Run

NEEDS = ("clearml",)
LIVE = False
ADDRESS = ""
AFTERWARDS = (
    "python -c \"from clearml import Task; Task.import_offline_session('{place}/offline/SESSION.zip')\" (uploads)"
)
#: Reports by a thread instead of a forked process: closing a task takes 0.1 s instead of 10 s. Looks for a
#: repository before the task is filled: done beside it, it may write an older state of the task over a newer one.
_SETTINGS = """sdk { development {
  report_use_subprocess: false, vcs_repo_detect_async: false
  store_uncommitted_code_diff: false, store_code_diff_from_remote: false
  worker { report_period_sec: 1, log_stdout: false }
} }
"""


def open_sink(place: str) -> OfflineSessions:
    """A sink that writes below the folder `place`."""
    folder = Path(place)
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / "clearml.conf"
    settings.write_text(_SETTINGS, encoding="utf-8")
    os.environ.update(
        CLEARML_OFFLINE_MODE="1", CLEARML_CACHE_DIR=str(folder), CLEARML_CONFIG_FILE=str(settings),
        CLEARML_LOG_LEVEL="ERROR",
    )  # fmt: skip
    return OfflineSessions(folder)


class OfflineSessions:
    """Gathers the rows of a run and writes the session when it ends."""

    def __init__(self, folder: Path) -> None:
        from clearml import Task

        Task.set_offline(offline_mode=True)
        self.ledger = Ledger(folder)
        self.open: dict[str, tuple[Run, list[Row]]] = {}

    def whole(self, run: Run) -> str:
        """See `Sink`."""
        return self.ledger.mark(run)

    def begin(self, run: Run) -> None:
        """See `Sink`."""
        self.open[run.key] = run, []

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """See `Sink`."""
        self.open[key][1].extend(rows)

    def end(self, key: str, ending: Ending, mark: str) -> None:
        """See `Sink`."""
        from clearml import Task

        run, rows = self.open.pop(key)
        self._drop(run)
        task = Task.init(
            project_name=run.group, task_name=run.name, reuse_last_task_id=False, output_uri=None,
            auto_connect_arg_parser=False, auto_connect_frameworks=False, auto_resource_monitoring=False,
            auto_connect_streams=False,
        )  # fmt: skip
        folder = Path(task.get_offline_mode_folder())
        self.ledger.put(run, folder)
        task.connect(dict(run.params), name="General")
        if ending.used:
            task.connect(dict(ending.used), name="used")
        tags = {**run.tags, **ending.tags, "key": run.key}
        task.add_tags([f"{name}:{value}" for name, value in tags.items() if name in ("study", "stage", "seed")])
        task.set_user_properties(**{name.replace(".", "_"): value for name, value in tags.items()})
        log = task.get_logger()
        for row in rows:
            for name in row:
                if name != "step":
                    log.report_scalar(name, name, row[name], int(row["step"]))
        for name, value in ending.values.items():
            log.report_single_value(name, value)
        for name, path in ending.files.items():
            task.upload_artifact(name.replace("/", "."), str(path))
        task.close()
        written = json.loads((folder / "task.json").read_text(encoding="utf-8"))["hyperparams"]
        if not {"properties", *(["General"] * bool(run.params)), *(["used"] * bool(ending.used))} <= written.keys():
            raise OSError(f"the session {folder.name} of {run.name} is incomplete")  # the library hides its errors
        self.ledger.put(run, folder, mark)

    def close(self) -> None:
        """See `Sink`."""
        self.open.clear()

    def _drop(self, run: Run) -> None:
        before = self.ledger.entries.get(f"{run.study}/{run.key}")
        self.ledger.drop(run)
        if before is not None:
            (self.ledger.folder / f"{before['at']}.zip").unlink(missing_ok=True)
