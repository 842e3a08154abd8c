"""Two processes train as one does: the same batches, statistics, sums and stops; and go on bit for bit."""

import json

import numpy as np
import pytest
import torch
from objective_cases import objectives
from ranks_cases import CUT, cases, launch
from safetensors.torch import load_file
from train_cases import Ctx, job, mlp, vectors

from crucis.data.blocks import of_each
from crucis.errors import Divergence
from crucis.train.evaluate import Sheet
from crucis.train.fit import fit
from crucis.train.ranks import Ranks, _buckets
from crucis.train.settings import SettingsError, resolve
from crucis.train.stacked import why_not
from crucis.train.world import check_world

#: Columns that count examples: rounding may turn one over.
SHARES = ("knn_accuracy", "linear_accuracy", "contrast_accuracy", "train_contrast_accuracy")


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    launch(folder, 2)
    return folder


def _left(group, rank, name):
    body = json.loads((group / str(rank) / f"{name}.json").read_text())
    return body, load_file(group / str(rank) / f"{name}.safetensors")


@pytest.mark.parametrize("name", [name for name in cases() if name != "dropout"])
def test_two_ranks_end_where_one_process_ends(tmp_path, group, name):
    alone, ctx = fit(cases()[name], (context := Ctx(tmp_path))), context
    body, weights = _left(group, 0, name)
    for key, value in alone.model.state_dict().items():
        assert torch.allclose(value.double(), weights[key].double(), atol=1e-6, rtol=0), key
    assert body["values"]["steps"] == alone.steps and body["published"] == sorted(ctx.published)
    for column in ("accuracy", "loss", "train_accuracy", "train_loss"):
        assert body["values"][column] == pytest.approx(alone.values[column], abs=1e-6)
    assert body["reactions"] == [[one["step"], one["did"]] for one in alone.reactions]
    assert bool(body["reactions"]) == (name == "watched")
    assert body["trained"].pop("ranks") == 2
    assert body["trained"] == json.loads(json.dumps(alone.notes["trained"]))


@pytest.mark.parametrize("name", objectives())
def test_two_ranks_compare_the_examples_of_the_whole_batch(tmp_path, group, name):
    """Also where a loss is no mean over examples: pairs of all ranks, DINO's centre, batch norm of heads."""
    alone = fit(objectives()[name], Ctx(tmp_path))
    body, weights = _left(group, 0, name)
    for key, value in alone.model.state_dict().items():
        assert torch.allclose(value.double(), weights[key].double(), atol=2e-6, rtol=0), key
    heads = load_file(tmp_path / "out" / "heads.safetensors")
    theirs = load_file(group / "0" / name / "out" / "heads.safetensors")
    assert heads and all(torch.allclose(heads[key].double(), theirs[key].double(), atol=2e-6, rtol=0) for key in heads)
    for column in ("loss", "train_loss", "feature_variance"):
        assert body["values"][column] == pytest.approx(alone.values[column], abs=2e-6)
    with np.load(group / "0" / name / "out" / "curve.npz") as curve:
        assert set(curve.files) == set(alone.curve)
        for column, values in alone.curve.items():
            assert column in SHARES or np.allclose(curve[column], values, atol=2e-6), column
    assert body["reactions"] == [[one["step"], one["did"]] for one in alone.reactions]
    assert body["trained"].pop("ranks") == 2
    assert body["trained"] == json.loads(json.dumps(alone.notes["trained"]))


@pytest.mark.parametrize("name", {**cases(), **objectives()})
def test_all_ranks_hold_the_same_bits(group, name):
    (first, weights), (second, others) = _left(group, 0, name), _left(group, 1, name)
    assert first["values"] == second["values"]
    assert all(torch.equal(weights[key], others[key]) for key in weights)


def test_dropout_differs_between_ranks_and_so_from_one_process(tmp_path, group):
    alone = fit(cases()["dropout"], Ctx(tmp_path))
    assert alone.values["loss"] != _left(group, 0, "dropout")[0]["values"]["loss"]


@pytest.mark.parametrize("name", CUT)
def test_a_stopped_group_goes_on_bit_for_bit(group, name):
    (whole, weights), (parts, again) = _left(group, 0, name), _left(group, 0, f"{name}-cut")
    assert parts["resumed"] == [3, 6] and whole["values"] == parts["values"]
    assert all(torch.equal(weights[key], again[key]) for key in weights)
    for rank, slots in ((0, ["a", "b"]), (1, [])):  # only rank 0 is asked to stop, and only it writes
        assert json.loads((group / str(rank) / "said.json").read_text())[name] == [[3, 3], slots]


def test_the_ranks_agree_on_what_goes_wrong(tmp_path, group):
    first, second = (json.loads((group / str(rank) / "said.json").read_text()) for rank in (0, 1))
    with pytest.raises(Divergence) as alone:
        fit(job(vectors(), mlp(), lr=1e30, schedule="constant"), Ctx(tmp_path))
    assert first["diverged"] == second["diverged"] == ["Divergence", str(alone.value)]
    assert first["uneven"][1] == "batch: 2 ranks cannot share a batch of 15 examples evenly; write batch: 16, or " \
        "change --ranks"  # fmt: skip
    assert "a chunk of 3 examples" in first["chunks"][1] and first["chunks"] == second["chunks"]
    assert "out of memory one by one" in first["memory"][1]
    assert first["bytes"] == second["bytes"] == ["r", "rr"]


def test_who_has_left_keeps_no_thread_of_the_exchange(group):
    """A thread that is still there while Python ends may abort a process that has finished its work."""
    for rank in (0, 1):
        assert json.loads((group / str(rank) / "said.json").read_text())["left"] == [True, []]


def test_rows_of_a_batch_are_shared_out():
    values = torch.arange(14)
    parts = [of_each(values, 6, Ranks(rank, 3, "cpu").rows) for rank in range(3)]
    assert [part.tolist() for part in parts] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    assert of_each(values, 6, slice(None)) is values


def test_chunks_of_the_ranks_are_those_of_one_process():
    rows = of_each(torch.arange(12), 12, Ranks(1, 2, "cpu").rows)
    assert rows.tolist() == [1, 3, 5, 7, 9, 11]  # of the three chunks 0-3, 4-7, 8-11 two each


def test_buckets_keep_every_parameter_once_and_types_apart(monkeypatch):
    monkeypatch.setattr("crucis.train.ranks.BUCKET", 40)
    sizes = ((4, torch.float32), (8, torch.float32), (2, torch.float64), (9, torch.float64), (1, torch.float64))
    params = [torch.nn.Parameter(torch.zeros(n, dtype=kind)) for n, kind in sizes]
    place = {id(param): i for i, param in enumerate(params)}
    found = [[place[id(param)] for param in bucket] for bucket in _buckets(params)]
    assert found == [[4, 3], [2], [1, 0]]


def test_settings_that_several_ranks_cannot_share_are_refused():
    check_world(resolve({"batch": 12, "accumulate": 3}, 100), 4)
    with pytest.raises(SettingsError, match="one rank"):
        check_world(resolve({"batch": 12, "compile": True}, 100), 2)
    with pytest.raises(SettingsError, match="batch of 10 examples"):
        check_world(resolve({"batch": 64}, 10), 4)


def test_ranks_are_not_stacked():
    from dataclasses import replace

    jobs = [replace(job(vectors(), mlp(), seed=seed), ranks=Ranks(0, 2, "cpu")) for seed in (1, 2)]
    assert why_not(jobs) == "several ranks train one seed at a time"


def test_an_evaluation_can_be_shared(tmp_path):
    from crucis.data.batches import Resident

    data = vectors(n=50)
    sheet = Sheet(Resident(data.train, data.mean, data.std))
    sheet.count, sheet.size, sheet._kept = 4, 8, None
    assert [k for k, *_ in sheet.batches(slice(1, None, 2))] == [1, 3]
    assert [count for *_, count in sheet.batches()] == [8, 8, 8, 6]
