"""Weights & Biases, offline: one run folder per step, to be uploaded with `wandb sync` when and if its owner likes.

The project is the study, the group its cell; rows are on the axis `step`; closing values are the run's summary. Nothing
of the machine or the code is gathered by the library itself.

Source: the library's offline mode, https://docs.wandb.ai (run with `mode="offline"`, `wandb sync`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ledger import Ledger
from ..sink import Ending, Row, Run

NEEDS = ("wandb",)
LIVE = True
ADDRESS = ""
AFTERWARDS = "wandb sync {place}/wandb/offline-run-* (uploads)"


def open_sink(place: str) -> OfflineRuns:
    """A sink that writes below the folder `place`."""
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    return OfflineRuns(Path(place))


class OfflineRuns:
    """Writes offline runs; several may be open at once."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.open: dict[str, tuple[Run, Any]] = {}

    def whole(self, run: Run) -> str:
        """See `Sink`."""
        return self.ledger.mark(run)

    def begin(self, run: Run) -> None:
        """See `Sink`."""
        import wandb

        if run.key in self.open:
            self.open.pop(run.key)[1].finish(exit_code=1)
        self.ledger.drop(run)
        settings = wandb.Settings(
            console="off", silent=True, disable_git=True, disable_code=True, x_disable_stats=True,
            x_disable_machine_info=True, x_disable_meta=True, x_save_requirements=False,
        )  # fmt: skip
        made = wandb.init(
            project=run.study, id=run.key[:32], name=run.name, group=run.group, mode="offline",
            dir=str(self.ledger.folder), reinit="create_new", settings=settings, force=False,
            config={**run.params, "tag": dict(run.tags)},
            tags=[f"{name}:{value}"[:64] for name, value in run.tags.items() if name in ("study", "stage", "seed")],
        )  # fmt: skip
        made.define_metric("step")
        made.define_metric("*", step_metric="step")
        self.open[run.key] = run, made
        self.ledger.put(run, Path(made.dir).parent.resolve())

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """See `Sink`."""
        for row in rows:
            self.open[key][1].log(dict(row))

    def end(self, key: str, ending: Ending, mark: str) -> None:
        """See `Sink`. Files are copied into the run's folder."""
        run, made = self.open.pop(key)
        made.config.update({**ending.used, "tag": {**run.tags, **ending.tags}}, allow_val_change=True)
        made.summary.update(dict(ending.values))
        for name, path in ending.files.items():
            target = Path(made.dir) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            made.save(str(target), base_path=made.dir, policy="end")
        folder = Path(made.dir).parent.resolve()
        made.finish(exit_code=0 if ending.ok else 1)
        self.ledger.put(run, folder, mark)

    def close(self) -> None:
        """See `Sink`."""
        for _, made in self.open.values():
            made.finish(exit_code=1)
        self.open.clear()
