"""The store: what is written is what is read, whatever else happens."""

from __future__ import annotations

import json
import math
import multiprocessing
import time
from pathlib import Path

import pytest
from engine_setup import commit
from engine_toys import step
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crucis.canon import canonical, sha256
from crucis.engine import drafts, gc, machine
from crucis.engine.steps import EngineError, Step
from crucis.engine.store import Store
from crucis.records import Need, Reason, Result


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


numbers = st.one_of(st.integers(-(10**15), 10**15), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
columns = st.dictionaries(st.text("abcdef@_é", min_size=1, max_size=8), numbers, max_size=6)
curves = st.dictionaries(st.text("0123456789", min_size=1, max_size=4), numbers, max_size=4)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=columns, curve=curves, note=st.text(max_size=30), seal=st.text(max_size=5))
def test_a_record_is_read_as_it_was_written(store, values, curve, note, seal):
    this = step("any", values=canonical(values), curve=canonical(curve), note=note, seal=seal)
    result = Result(values={**values, "curve": curve}, notes={"seal": seal, "said": note, "nested": {"seal": "0" * 64}})
    assert commit(store, this, result, files={"a.npz": note.encode()}).state in ("committed", "same")
    record = store.read(this.key, deep=True)
    assert canonical(record.values) == canonical({**values, "curve": curve})
    assert record.spec == json.loads(canonical(this.spec))
    assert record.body["files"]["a.npz"] == {"bytes": len(note.encode()), "sha256": sha256(note), "role": "table"}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_a_record_is_seen(store, data):
    this = step("write", n=data.draw(st.integers(0, 10**9)))
    commit(store, this, Result(values={"x": 0.5, "y": {"1": 2}}), files={"a.txt": b"abc"})
    path = Path(store.folder(this.key)) / "record.json"
    text = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.integers(0, 255).filter(lambda byte: byte != text[at]))
    text[at] = new
    path.write_bytes(text)
    assert store.read(this.key) is None


def test_content_depends_on_results_and_not_on_circumstances(store, tmp_path):
    this = step(x=1.0)
    first = commit(store, this, Result(values={"x": 1.0}, notes={"a": 1}), cost={"wall_s": 1.0}).body["content"]
    other = Store(tmp_path / "other")
    assert commit(other, this, Result(values={"x": 1.0}, notes={"b": 2}), cost={"wall_s": 9.0}).body["content"] == first
    third = Store(tmp_path / "third")
    assert commit(third, this, Result(values={"x": 1.0}), files={"a.txt": b""}).body["content"] != first


def _commit_many(root, keys, barrier, states, number):
    store = Store(root)
    for i, seed in enumerate(keys):
        barrier.wait()
        state = commit(store, step(x=float(seed)), Result(values={"x": 1.0}), files={"a.txt": b"1"}).state
        states[number * len(keys) + i] = {"committed": 1, "same": 2, "differs": 3}[state]


def test_two_processes_commit_one_key(store):
    fork = multiprocessing.get_context("fork")
    count = 100
    barrier, states = fork.Barrier(2), fork.Array("i", 2 * count)
    both = [fork.Process(target=_commit_many, args=(store.path, range(count), barrier, states, n)) for n in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    pairs = [{states[i], states[count + i]} for i in range(count)]
    assert pairs == [{1, 2}] * count
    assert not list((store.path / "tmp").iterdir())


def test_not_finite_values_are_refused_by_name():
    for value in (math.nan, math.inf, -math.inf):
        result = drafts.checked(Result(values={"a": 1.0, "b": {"10": value}}))
        assert result.outcome == "refused" and result.reason.where == "b.10"
    result = drafts.checked(Result(values={"a": 1.0}, uncertainty={"a": {"se": math.nan}}))
    assert result.reason.where == "uncertainty.a.se"


def test_a_refusal_keeps_no_files(store):
    this = step(x=1.0)
    refused = Result("refused", reason=Reason("too_few", "two are needed"), files={"a.txt": "table"})
    commit(store, this, refused, files={"a.txt": b"x"})
    assert store.read(this.key).body["files"] == {}
    assert [path.name for path in Path(store.folder(this.key)).iterdir()] == ["record.json"]


@pytest.mark.parametrize("name", ["A.txt", "a b", "record.json", ".hidden", "x" * 101])
def test_names_of_files(store, name):
    this = step(x=1.0)
    with pytest.raises((ValueError, OSError)):
        commit(store, this, files={name: b""})
    assert not store.has(this.key)


def test_folders_links_and_missing_files_are_refused(store):
    this = step(x=1.0)
    for make in (lambda out: (out / "d").mkdir(), lambda out: (out / "l").symlink_to("/etc/passwd")):
        out = store.workfolder(this.key)
        make(Path(out))
        with pytest.raises(ValueError, match="plain file"):
            store.commit(drafts.Draft(this.key, this.spec, Result(), out))
    with pytest.raises(ValueError, match="did not leave"):
        commit(store, this, Result(files={"model.safetensors": "model"}))


def test_unknown_outcomes_and_missing_reasons():
    with pytest.raises(ValueError, match="none of"):
        drafts.checked(Result("fine"))
    with pytest.raises(ValueError, match="needs a reason"):
        drafts.checked(Result("refused"))


def test_numerics_are_hashed_with_the_determinism_of_the_spec():
    block = drafts.numerics_block({"device": "cpu"}, {"determinism": "strict"})
    assert block["determinism"] == "strict"
    assert block["hash"] != drafts.numerics_block({"device": "cpu"}, {"determinism": "fast"})["hash"]
    assert block["hash"] == drafts.numerics_block({"device": "cpu", "hash": "old"}, {"determinism": "strict"})["hash"]


def test_opening_again_and_another_format(store):
    assert Store(store.path).identity == store.identity
    assert (store.path / ".gitignore").read_text() == "*\n"
    (store.path / "store.json").write_text('{"format": 2, "store": "x"}')
    with pytest.raises(EngineError, match="format 2"):
        Store(store.path)


def test_plans(store):
    steps = [
        step(x=1.0, publishes=("a" * 64,), group="g", hints={"h": [1]}),
        step("add", {"of": ["b" * 64]}, needs=Need(gpu=0.5), sealed=True),
    ]
    path = store.write_plan(steps)
    assert store.read_plan(path) == store.read_plan(path.stem[:8]) == steps
    assert store.write_plan(steps) == path
    with pytest.raises(EngineError, match="no plan"):
        store.read_plan("0000")


def test_ledger_lines_keep_their_order(store):
    assert store.lines("unseal") == []
    assert [store.append_line("unseal", {"i": i}) for i in range(12)] == list(range(1, 13))
    assert [line["i"] for line in store.lines("unseal")] == list(range(12))
    with pytest.raises(EngineError):
        store.append_line("../x", {})


def test_forgotten_failures_stay_readable(store):
    for code in ("a", "b"):
        store.fail("ab" * 32, {"class": "transient", "code": code, "text": ""})
    store.forget_failures("ab" * 32)
    store.fail("ab" * 32, {"class": "transient", "code": "c", "text": ""})
    assert [note["code"] for note in store.failures("ab" * 32)] == ["c"]
    assert [note["n"] for note in store.failures("ab" * 32, forgiven=True)] == [1, 2, 3]


def test_pins_keep_what_they_rest_on(store):
    base = step(x=1.0)
    top = step("add", {"of": base.key}, x=2.0)
    loose = step(x=3.0)
    for each in (base, top, loose):
        commit(store, each)
    store.pin("report", [top.key])
    later = time.time() + 100 * gc.DAY
    found = gc.survey(store, now=later)
    assert found.records == [loose.key] and found.kept == 2
    swept = gc.collect(store, now=later)
    assert swept.kept == 2  # the lease of the collection is no record
    assert swept.records == [loose.key] and store.has(base.key) and store.has(top.key)
    assert gc.survey(store, now=later).trash == []
    gc.collect(store, now=later + 8 * gc.DAY)
    assert gc.survey(store, now=time.time()).records == []


def test_young_records_and_live_leases_are_kept(store):
    from crucis.engine.lease import Leases

    loose, busy = step(x=1.0), step(x=2.0)
    commit(store, loose)
    commit(store, busy)
    assert gc.survey(store).records == [] and gc.survey(store).kept == 2  # younger than a week
    lease = Leases(store.root).claim(busy.key)
    assert gc.survey(store, now=time.time() + 8 * gc.DAY).records == [loose.key]
    lease.release()
    assert len(gc.survey(store, now=time.time() + 8 * gc.DAY).records) == 2


def test_environment_and_numerics_are_named_by_content(store):
    first = store.environment({"python": "3.11"})
    assert first == store.environment({"python": "3.11"}) != store.environment({"python": "3.12"})
    assert json.loads((store.path / "environments" / f"{first}.json").read_text()) == {"python": "3.11"}
    found = machine.environment()
    assert found["packages"]["numpy"] and canonical(found)


def test_step_goes_through_json():
    this = Step(
        "a" * 64, {"kind": "x"}, {"of": ["b" * 64, "c" * 64]}, Need(cpu=2), "g", ("d" * 64,), "l", {"q": 1}, True
    )
    assert Step.unpack(json.loads(json.dumps(this.pack()))) == this
    assert list(this.input_keys()) == ["b" * 64, "c" * 64]
