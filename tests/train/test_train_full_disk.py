"""A disk that fills up while a training saves: named, no try counted, and with room again nothing is lost."""

import resource
from contextlib import contextmanager

import pytest
from train_cases import Ctx, Quirky, Ticker, contents, images, job, run

from crucis.engine.failures import classify, judge, note_of
from crucis.errors import Stopped
from crucis.train import checkpoint
from crucis.train.cadence import Cadence
from crucis.train.fit import fit


@contextmanager
def room_for(size):
    """No file of this process may grow beyond `size` bytes: writing on fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _made(**extra):
    return job(images(), Quirky, optimiser="adam", ema=0.9, **extra)


@pytest.mark.parametrize("size", [0, 1000, 12000])
@pytest.mark.parametrize("stop", [2, 7])
def test_a_save_that_finds_no_room_leaves_the_one_before(tmp_path, size, stop):
    whole = run(tmp_path / "whole", _made())
    with pytest.raises(Stopped):
        fit(_made(), Ctx(tmp_path / "cut", stop_after=stop))
    before = checkpoint.load(tmp_path / "cut" / "scratch")[1]["position"]
    with room_for(size), pytest.raises(OSError) as error:
        fit(_made(), Ctx(tmp_path / "cut"), cadence=Cadence(Ticker(1.0), save_every=2.0))
    note = note_of(error.value)
    assert classify(error.value)[0] == note["class"] == "place" and not judge([note] * 9).final
    assert checkpoint.load(tmp_path / "cut" / "scratch")[1]["position"] == before
    ctx = Ctx(tmp_path / "cut")
    again = fit(_made(), ctx)
    assert again.notes["resumed_at"][-1] == before
    assert again.values == whole[0].values and contents(ctx) == contents(whole[1])


def test_no_room_for_the_files_at_the_end(tmp_path):
    whole = run(tmp_path / "whole", _made())
    with room_for(500), pytest.raises(OSError) as error:
        fit(_made(), Ctx(tmp_path / "cut"))
    assert classify(error.value)[0] == "place"
    ctx = Ctx(tmp_path / "cut")
    again = fit(_made(), ctx)
    assert again.values == whole[0].values and contents(ctx) == contents(whole[1])


def test_the_older_checkpoint_may_be_removed_and_the_newest_stays(tmp_path):
    made = _made(watch={"disk_free < 200%": ["checkpoint", "delete_checkpoints"]})
    ctx = Ctx(tmp_path)
    fit(made, ctx, cadence=Cadence(Ticker(1.0), save_every=2.0))
    slots = {"a", "b"} & {path.name for path in ctx.scratch.iterdir()}
    assert slots
    checkpoint.spare(ctx.scratch)
    left = [path.name for path in ctx.scratch.iterdir()]
    assert len(left) == 1 and checkpoint.load(ctx.scratch) is not None
    checkpoint.spare(tmp_path / "nothing")
