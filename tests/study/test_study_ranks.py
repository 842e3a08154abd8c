"""The worker's side of a group of ranks, against processes that play the ranks and import no torch."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from crucis.engine import admission
from crucis.engine.failures import classify, judge
from crucis.engine.steps import Step
from crucis.errors import CrucisError, Divergence, Refusal, Stopped
from crucis.records import Need, Reason, Result
from crucis.study import ranks
from crucis.study.ranks import RankFailed, bereaved, by_torchrun, check_ranks, error_of, pack_error, pack_result

#: Plays two ranks: `say(rank, message)`, `hear(rank)`, `leave(rank)`.
PLAYER = """
import json, socket, sys, time
from multiprocessing.connection import Connection
folder, pipes = sys.argv[1], []
for rank in (0, 1):
    door = socket.socket(socket.AF_UNIX)
    door.connect(folder + "/s")
    pipes.append(Connection(door.detach()))
def say(place, **message):
    pipes[place].send_bytes(json.dumps(message).encode())
def hear(rank):
    return json.loads(pipes[rank].recv_bytes())
def leave(rank):
    pipes[rank].close()
    time.sleep(0.3)
for rank in (0, 1):
    say(rank, m="hello", rank=rank)
"""
RESULT = Result(values={"accuracy": 0.5, "curve": {"3": 0.25}}, files={"model.safetensors": "model"}, notes={"a": [1]})


class Worker:
    """The engine's side of the step."""

    def __init__(self, folder, stop=False):
        self.inputs, self.out, self.scratch, self.store = {"of": folder}, folder, folder, folder
        self.stop, self.heard, self.beside_mb = stop, [], 0

    def beat(self, **progress):
        self.heard.append(progress)

    def note(self, event, **fields):
        self.heard.append((event, fields))

    def publish(self, key, files, result):
        self.heard.append((key, str(files), result))

    def stopping(self):
        return self.stop


@pytest.fixture
def play(tmp_path, monkeypatch):
    def play(script, stop=False):
        def start(world, folder):
            assert world == 2 and json.loads((folder / "order.json").read_text())["inputs"] == {"of": str(tmp_path)}
            return subprocess.Popen([sys.executable, "-c", PLAYER + script, str(folder)], start_new_session=True)

        monkeypatch.setattr(ranks, "start", start)
        worker = Worker(tmp_path, stop)
        try:
            return ranks.train(Step("k" * 64, {"kind": "train/supervised", "world": 2}), worker), worker
        except CrucisError as error:
            return error, worker

    return play


def test_what_rank_0_says_reaches_the_worker(play):
    data = json.dumps(pack_result(RESULT))
    found, worker = play(f"""
null = None
say(0, m="beat", progress={{"step": 3}})
say(0, m="note", event="checkpoint_damaged", fields={{"text": "x"}})
say(0, m="publish", key="abc", folder="here", result={data})
assert hear(0) == {{"m": "published"}}
say(1, m="end", result={data}, peak_ram_mb=30)
say(0, m="end", result={data}, peak_ram_mb=12)
""")
    assert found == RESULT
    assert worker.heard == [{"step": 3}, ("checkpoint_damaged", {"text": "x"}), ("abc", "here", RESULT)]
    assert worker.beside_mb == 42


def test_a_stop_is_told_to_every_rank_and_comes_back(play):
    found, _ = play(
        """
for rank in (0, 1):
    assert hear(rank) == {"m": "stop"}
    say(rank, m="raised", kind="stopped", text="stopped after optimiser step 7")
""",
        stop=True,
    )
    assert isinstance(found, Stopped) and "step 7" in str(found)


def test_the_first_cause_counts_and_no_consequence(play):
    failed = {"kind": "failed", "type": "ValueError", "class": "deterministic", "code": "value_error", "traceback": "T"}
    lost = {**failed, "type": "RuntimeError", "text": "[gloo/pair.cc:1] Connection closed by peer [127.0.0.1]:9"}
    found, _ = play(f"""
say(0, m="raised", **{lost})
time.sleep(0.2)
say(1, m="raised", text="bad net", **{failed})
sys.exit(1)
""")
    assert isinstance(found, RankFailed) and str(found) == "rank 1: ValueError: bad net"
    assert classify(found) == ("deterministic", "value_error") and "T" in found.__notes__


@pytest.mark.parametrize("code", [0, 1])
def test_a_rank_that_dies_without_a_word_is_bad_luck(play, code):
    lost = {"kind": "failed", "type": "RuntimeError", "class": "deterministic", "code": "x", "traceback": ""}
    found, _ = play(f"""
leave(1)
say(0, m="raised", text="Connection closed by peer", **{lost})
sys.exit({code})
""")
    assert classify(found) == ("transient", "died_rank") and "rank 1 of 2 was killed" in str(found)


def test_what_was_said_is_heard_when_all_have_ended_before_the_first_look(tmp_path, monkeypatch):
    """As on a busy machine: a rank ends in an error, another is ended for it, and the worker looks only then."""
    data = {"kind": "failed", "type": "ValueError", "class": "deterministic", "code": "value_error", "traceback": ""}

    def start(world, folder):
        process = subprocess.Popen(
            [sys.executable, "-c", f"{PLAYER}say(1, m='raised', text='bad net', **{data})", folder]
        )
        process.wait()
        return process

    monkeypatch.setattr(ranks, "start", start)
    with pytest.raises(RankFailed, match="rank 1: ValueError: bad net"):
        ranks.train(Step("k" * 64, {"world": 2}), Worker(tmp_path))


def test_a_rank_that_the_kernel_killed_for_memory(play, monkeypatch):
    counts = iter([3, 4])
    monkeypatch.setattr(ranks.machine, "oom_kills", lambda: next(counts))
    found, _ = play("leave(0); sys.exit(1)")
    assert classify(found) == ("memory", "out_of_memory")


def test_a_group_that_never_begins(tmp_path, monkeypatch):
    def start(world, folder):
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(9)"], start_new_session=True)

    monkeypatch.setattr(ranks, "start", start)
    with pytest.raises(RankFailed, match="ended with status 9 before") as failed:
        ranks.train(Step("k" * 64, {"world": 2}), Worker(tmp_path))
    assert classify(failed.value)[0] == "transient"
    assert judge([{"class": "transient", "code": "died_rank"}] * 2).alone  # as a worker that was killed twice


@pytest.mark.parametrize(
    "error", [Stopped("now"), Divergence("not finite", 7, 0.5), Refusal("unsupported", "no such operator", "net")]
)
def test_what_ranks_agree_on_crosses_the_socket(error):
    again = error_of(1, json.loads(json.dumps(pack_error(error))))
    assert type(again) is type(error) and vars(again) == vars(error) and str(again) == str(error)
    assert not bereaved(again)


def test_a_failure_keeps_its_class():
    memory = pack_error(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"))
    again = error_of(1, memory)
    assert classify(again) == ("memory", "out_of_memory") and str(again).startswith("rank 1: RuntimeError: Default")


def test_results_cross_the_socket():
    refused = Result("refused", reason=Reason("too_few", "one", "here"), reactions=({"at": 3},))
    for result in (RESULT, refused):
        assert ranks.result_of(json.loads(json.dumps(pack_result(result)))) == result


def test_more_ranks_than_gpus(monkeypatch):
    from crucis.study import steps

    for found, device, words in (
        (("", 1), "auto", "1 GPU visible here and each rank takes one. Write --ranks 1, or --device cpu"),
        (("gloo", None), "cpu", "built without gloo"),
        (("NCCL", 8), "cuda", "built without NCCL"),
    ):
        monkeypatch.setattr(steps, "capacity", lambda _, found=found: found)
        with pytest.raises(CrucisError, match=words):
            check_ranks(4, device)
    monkeypatch.setattr(steps, "capacity", lambda _: ("", 4))
    check_ranks(4, "cuda")
    with pytest.raises(CrucisError, match="cuda:1 names one GPU"):
        check_ranks(2, "cuda:1")
    check_ranks(1, "cuda:1")


def test_who_was_started_by_torchrun():
    several = {"TORCHELASTIC_RUN_ID": "none", "RANK": "1", "WORLD_SIZE": "2"}
    assert by_torchrun(several) == 1
    assert by_torchrun({**several, "WORLD_SIZE": "1"}) is None
    assert by_torchrun({"RANK": "0", "WORLD_SIZE": "2"}) is None
    assert ranks.world_of(several, None) == ranks.world_of(several, 2) == 2
    with pytest.raises(CrucisError, match="torchrun started 2 processes"):
        ranks.world_of(several, 4)


def test_a_step_of_several_ranks_takes_as_many_slots(monkeypatch):
    wide, one = (SimpleNamespace(needs=Need(world=world)) for world in (3, 1))
    monkeypatch.setattr(admission.machine, "has_gpus", lambda: False)
    assert not admission.crowded(wide, [], 2)  # too wide for the machine: alone
    assert admission.crowded(wide, [1], 3) and not admission.crowded(wide, [1], 4)
    assert admission.crowded(one, [3], 3) and not admission.crowded(one, [3], 4)
    assert not admission.crowded(one, [1] * 9, 1)  # ordinary steps are counted by their workers
    assert not admission.crowded(wide, [3], 6)
    monkeypatch.setattr(admission.machine, "has_gpus", lambda: True)
    assert admission.crowded(wide, [3], 6) and not admission.crowded(wide, [1], 6)
