"""The writer of a tracker: rows while a step trains, settled by the record, nothing twice or of other attempts."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
from dataclasses import dataclass, field, replace

import pytest

from crucis.engine.journal import Journal, Tail
from crucis.engine.store import Store
from crucis.study import session as sessions
from crucis.study import tracked as telling
from crucis.study.following import Follower, follow
from crucis.study.tracking import Trackers, Writer
from crucis.trackers.ledger import Ledger
from crucis.trackers.sink import Ending, Run
from crucis.trackers.targets import Target


@dataclass
class Memory:
    """A tracker in memory that refuses what a sink must never be told."""

    log: list[str] = field(default_factory=list)
    rows_of: dict[str, dict[int, float]] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    endings: dict[str, Ending] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)

    def whole(self, run):
        return self.marks.get(run.key, "")

    def begin(self, run):
        self.log.append("begin")
        self.open.add(run.key)
        self.rows_of[run.key] = {}
        self.marks.pop(run.key, None)

    def rows(self, key, rows):
        assert key in self.open
        for row in rows:
            assert row["step"] not in self.rows_of[key], "told twice"
            self.rows_of[key][int(row["step"])] = row["loss"]
        self.log.append(f"rows {len(rows)}")

    def end(self, key, ending, mark):
        self.open.remove(key)
        self.log.append("end")
        self.marks[key], self.endings[key] = mark, ending

    def close(self):
        self.log.append("close")


@pytest.fixture
def parts(tracked):
    """One training of the tracked study: its run, its record, its true rows by step."""
    session = sessions.open_session(tracked.folder / "study.yaml", store=tracked.store)
    run = next(run for run in telling.runs_of(session.plan) if run.tags["stage"] == "model")
    record = session.store.read(run.key)
    rows = {int(row["step"]): row for row in telling.curve_of(record)}
    assert len(rows) == 4
    return run, record, rows


class Shelf:
    """A store in which a record appears when the test says so."""

    def __init__(self, store: Store) -> None:
        self.store, self.path, self.there = store, store.path, False
        self.record = None

    def has(self, _key):
        return self.there

    def read(self, key):
        return (self.record or self.store.read(key)) if self.there else None


def follower(tracked, sink, since=0.0):
    return Follower(sink, Shelf(Store(tracked.store)), False, since, lambda **_: None)


def line(event, key, **fields):
    return {"v": 1, "t": 1.0, "m": 1.0, "e": event, "k": key[:12], "file": "x", **fields}


def test_rows_come_while_it_trains_and_the_record_adds_what_the_journal_lost(tracked, parts):
    run, _, rows = parts
    sink = Memory()
    one = follower(tracked, sink)
    one.take([run])
    steps = sorted(rows)
    one.hear([line("begin", run.key, label="x")])
    one.hear([line("eval", run.key, **rows[steps[0]])])
    assert sink.rows_of[run.key] == {steps[0]: rows[steps[0]]["loss"]} and sink.open
    one.hear([line("eval", run.key, **rows[steps[2]])])
    one.store.there = True
    one.hear([line("end", run.key, outcome="ok")])
    assert sink.rows_of[run.key] == {step: row["loss"] for step, row in rows.items()}
    assert sink.log == ["begin", "rows 1", "rows 1", "rows 2", "end"]
    one.hear([line("eval", run.key, **rows[steps[0]])])  # a replay says nothing new
    one.settle(run.key)
    assert sink.log[-1] == "end" and sink.log.count("end") == 1


def test_rows_of_an_attempt_that_was_begun_anew_do_not_stay(tracked, parts):
    """Another machine's rows of the same steps differ in their last digits: the run is written from the start."""
    run, _, rows = parts
    sink = Memory()
    one = follower(tracked, sink)
    one.take([run])
    first = min(rows)
    one.hear([line("eval", run.key, **{**rows[first], "loss": rows[first]["loss"] + 1e-15})])
    one.store.there = True
    one.hear([line("end", run.key, outcome="ok")])
    assert sink.rows_of[run.key] == {step: row["loss"] for step, row in rows.items()}
    assert sink.log == ["begin", "rows 1", "begin", "rows 4", "end"]


def test_a_resumed_training_continues_its_run(tracked, parts):
    """Rows of the interrupted attempt are in an older journal; the one that goes on brings only the later ones."""
    run, _, rows = parts
    sink = Memory()
    one = follower(tracked, sink, since=10.0)
    one.take([run])
    steps = sorted(rows)
    one.hear(line("eval", run.key, **rows[step]) for step in steps[:2])
    assert sink.log == [], "an old line does not open a run"
    one.hear([{**line("begin", run.key), "t": 11.0}])
    assert list(sink.rows_of[run.key]) == steps[:2]
    one.hear([{**line("eval", run.key, **rows[steps[1]]), "t": 12.0}])  # made again after the checkpoint: equal
    one.hear([{**line("eval", run.key, **rows[steps[2]]), "t": 12.0}])
    assert list(sink.rows_of[run.key]) == steps[:3]


def test_a_divergence_keeps_its_rows(tracked, parts):
    run, record, rows = parts
    sink = Memory()
    one = follower(tracked, sink)
    one.take([run])
    first = min(rows)
    one.hear([line("eval", run.key, **rows[first])])
    reason = {"code": "loss_not_finite", "text": "not finite", "where": ""}
    body = {**record.body, "outcome": "diverged", "reason": reason, "values": {}, "uncertainty": {}, "files": {}}
    one.store.record, one.store.there = replace(record, body=body), True
    one.hear([line("end", run.key, outcome="diverged")])
    assert list(sink.rows_of[run.key]) == [first]
    ending = sink.endings[run.key]
    assert not ending.ok and ending.tags["outcome"] == "diverged" and "not finite" in ending.tags["reason"]


def test_settling_twice_writes_once_and_another_name_or_content_writes_again(tracked, parts):
    run, record, _ = parts
    sink = Memory()
    for expected, this, content in ((1, run, None), (1, run, None), (2, replace(run, name="other"), None),
                                    (3, replace(run, name="other"), "f" * 64)):  # fmt: skip
        one = follower(tracked, sink)
        one.store.there = True
        if content:
            one.store.record = replace(record, body={**record.body, "content": content})
        one.take([this])
        assert sink.log.count("end") == expected


def test_the_journal_of_a_training_holds_the_rows_of_its_record(tracked):
    """Exactly: what is written while it trains is what the record says in the end."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for said in Tail(str(tracked.store / "journal")).poll():
        if said["e"] == "eval":
            row = {name: value for name, value in said.items() if name not in ("v", "t", "m", "e", "k", "file")}
            found.setdefault(said["k"], {})[int(row["step"])] = row
    store = Store(tracked.store)
    keys = list(tracked.of_kind("train/supervised"))
    assert found.keys() == {key[:12] for key in keys}
    for key in keys:
        assert found[key[:12]] == {int(row["step"]): row for row in telling.curve_of(store.read(key))}


def test_the_loop_reads_what_a_journal_gets_and_ends_with_its_messages(tracked, parts, tmp_path):
    run, _, rows = parts
    sink, messages = Memory(), queue.SimpleQueue()
    one = follower(tracked, sink)
    journal = Journal(str(tmp_path))
    journal.write("begin", run.key, label="x")
    for row in rows.values():
        journal.write("eval", run.key, **row)
    journal.flush()
    messages.put({"runs": [run.pack()]})
    messages.put(None)
    follow(one, messages, Tail(str(tmp_path)))
    assert len(sink.rows_of[run.key]) == len(rows) and sink.log[-1] == "close" and run.key in sink.open


def test_a_writer_that_hangs_is_given_up():
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(100)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    writer = Writer(Target("mlflow", "/x"), process, None)
    writer.start()
    writer.out.put("x" * 1_000_000)  # more than a pipe holds: whoever tells it something does not wait
    report = writer.end(patience=0.3)
    assert "nothing was written for 0.3 s" in report.trouble and process.returncode != 0


def test_a_writer_that_dies_is_noticed():
    process = subprocess.Popen(
        [sys.executable, "-c", "raise SystemExit(7)"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    writer = Writer(Target("mlflow", "/x"), process, "the.log")
    writer.start()
    assert "ended with 7 (see the.log)" in writer.end(patience=30.0).trouble


def test_a_ledger_forgets_with_its_folder_and_removes_nothing_else(tmp_path):
    run = Run("a" * 64, "n", "s", "g")
    ledger = Ledger(tmp_path / "t")
    at = tmp_path / "t" / "one"
    at.mkdir()
    ledger.put(run, at, "mark")
    assert Ledger(tmp_path / "t").mark(run) == "mark"
    at.rmdir()
    assert Ledger(tmp_path / "t").mark(run) == "", "what was deleted is not there"
    (tmp_path / "precious").mkdir()
    body = {f"s/{run.key}": {"at": "../precious", "mark": ""}}
    (tmp_path / "t" / "crucis.json").write_text(json.dumps(body))
    Ledger(tmp_path / "t").drop(run)
    assert (tmp_path / "precious").is_dir()


def test_no_tracker_costs_no_process(tracked):
    session = sessions.open_session(tracked.folder / "study.yaml", store=tracked.store)
    with Trackers([], session) as trackers:
        trackers.planned(session.plan)
    assert trackers.reports == [] and trackers.told == set()
