"""TensorBoard: one folder of event files per run. Scalars are kept as float32, which is all that the format has.

`final/...` and `se/...` stand at the run's last step; parameters are in the HPARAMS tab and, with what was used and
the tags, in the TEXT tab. Files are not kept: TensorBoard has no place for them.

Source: the event file format, Abadi et al. 2016, arXiv:1603.04467, section 9.1.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..ledger import Ledger
from ..sink import Ending, Plain, Row, Run

NEEDS = ("tensorboard",)
LIVE = True
ADDRESS = ""
AFTERWARDS = "tensorboard --logdir {place}"


def open_sink(place: str) -> EventFiles:
    """A sink that writes below the folder `place`."""
    return EventFiles(Path(place))


class EventFiles:
    """Writes event files with TensorBoard's own writer; without TensorFlow."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.open: dict[str, tuple[Run, Path, Any]] = {}

    def whole(self, run: Run) -> str:
        """See `Sink`."""
        return self.ledger.mark(run)

    def begin(self, run: Run) -> None:
        """See `Sink`. The folder is `STUDY/NAME-KEY12`, so that TensorBoard groups and filters by name."""
        from tensorboard.plugins.hparams import summary_v2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if run.key in self.open:
            self.open.pop(run.key)[2].close()
        self.ledger.drop(run)
        safe = re.sub(r"[^\w.=-]+", "-", run.name)
        folder = self.ledger.folder / re.sub(r"[^\w.-]+", "-", run.study) / f"{safe}-{run.key[:12]}"
        self.ledger.put(run, folder)
        writer = EventFileWriter(str(folder), flush_secs=5)
        self.open[run.key] = run, folder, writer
        known = {name: "null" if value is None else value for name, value in run.params.items()}
        self._add(run.key, summary_v2.hparams_pb(known, trial_id=run.key), 0)
        self._text(run.key, "parameters", run.params)
        writer.flush()

    def rows(self, key: str, rows: Sequence[Row]) -> None:
        """See `Sink`."""
        for row in rows:
            self._scalars(key, {name: value for name, value in row.items() if name != "step"}, int(row["step"]))
        self.open[key][2].flush()

    def end(self, key: str, ending: Ending, mark: str) -> None:
        """See `Sink`."""
        run, folder, writer = self.open[key]
        self._scalars(key, ending.values, ending.step)
        self._text(key, "used", ending.used)
        self._text(key, "tags", {**run.tags, **ending.tags})
        writer.close()
        del self.open[key]
        self.ledger.put(run, folder, mark)

    def close(self) -> None:
        """See `Sink`."""
        for _, _, writer in self.open.values():
            writer.close()
        self.open.clear()

    def _scalars(self, key: str, values: Row, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        if values:
            entries = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            self._add(key, Summary(value=entries), step)

    def _text(self, key: str, tag: str, values: dict[str, Plain] | Any) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.text import metadata
        from tensorboard.util import tensor_util

        lines = "".join(f"    {name}: {json.dumps(value)}\n" for name, value in values.items())
        entry = Summary.Value(
            tag=tag,
            metadata=metadata.create_summary_metadata(display_name=tag, description=""),
            tensor=tensor_util.make_tensor_proto(lines.encode()),
        )
        self._add(key, Summary(value=[entry]), 0)

    def _add(self, key: str, summary: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        self.open[key][2].add_event(Event(wall_time=time.time(), step=step, summary=summary))
