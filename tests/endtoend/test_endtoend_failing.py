"""A cell that fails: the others finish, the contrast is visibly incomplete, a repair runs what it must."""

from __future__ import annotations

from lab import STUDY

NET = """\
\"\"\"A linear network that can be made to fail.\"\"\"
from torch import nn

BROKEN = True


def build(input, classes, *, width: int = 8):
    \"\"\"Two layers of `width` units.\"\"\"
    if BROKEN:
        raise RuntimeError("the own network is broken")
    size = 1
    for side in input:
        size *= side
    return nn.Sequential(nn.Flatten(), nn.Linear(size, width), nn.ReLU(), nn.Linear(width, classes))
"""


def broken(lab):
    lab.write(NET, "net.py")
    lab.write(STUDY.format(seeds=2).replace("wide: {mlp: {widths: [12]}}", "wide: ./net.py"))


def test_one_failing_level_leaves_the_rest_whole_and_the_claim_open(lab):
    broken(lab)
    answer = lab("run")
    assert answer.code == 3, answer.all
    assert "4 run" in answer.out
    assert "2 failed" in answer.out
    assert "2 blocked" in answer.out
    assert "the own network is broken" in answer.err
    assert "INCONCLUSIVE" in answer.out
    assert "--again failed" in answer.out
    assert "Traceback" not in answer.all
    assert len(lab.bodies()) == 4
    page = lab.page()
    assert "incomplete" in page.lower()
    assert "the own network is broken" in page

    status = lab("status")
    assert status.code == 0
    assert status.out.count("the own network is broken") == 2
    assert "failed: model wide seed 42" in status.out
    assert "blocked" in status.out or "missing" in status.out

    # A deterministic failure is not tried again by itself.
    notes = sorted((lab.store / "failures").glob("*/1.json"))
    assert lab("run").code == 3
    assert sorted((lab.store / "failures").glob("*/*.json")) == notes

    # The repaired file is another network: its steps have new keys, the finished ones stay.
    files = lab.touched()
    lab.edit("BROKEN = True", "BROKEN = False", "net.py")
    steps = lab.steps()
    assert {label for label, step in steps.items() if not step["cached"]} == {
        f"{stage} wide seed {seed}" for stage in ("model", "scores") for seed in (42, 123)
    }
    repaired = lab("run")
    assert repaired.code == 0, repaired.all
    assert "4 cached, 4 run" in repaired.out
    assert files.items() <= lab.touched().items()
    assert "incomplete" not in repaired.out


def test_again_failed_retries_and_the_record_tells_of_it(lab):
    """A failure whose cause lies outside the code (here: a file that was not there) is repaired without a new key."""
    flag = lab.folder / "ready"
    lab.write(NET.replace("if BROKEN:", f"import pathlib\n    if not pathlib.Path({str(flag)!r}).exists():"), "net.py")
    lab.write(STUDY.format(seeds=1).replace("wide: {mlp: {widths: [12]}}", "wide: ./net.py"))
    assert lab("run").code == 3
    flag.write_text("now")
    assert lab("run").code == 3  # the failure stands until somebody says so
    again = lab("run", "--again", "failed")
    assert again.code == 0, again.all
    assert "2 cached, 2 run" in again.out
    body = next(body for body in lab.of_kind("train/supervised").values() if "source" in body["spec"]["net"])
    assert body["attempt"]["number"] == 2, body["attempt"]
    assert [note["code"] for note in body["attempt"]["failures"]] == ["runtime_error"]


def test_again_with_a_key_that_nothing_has_is_an_error(lab):
    lab.study(seeds=1)
    answer = lab("run", "--again", "abcdef")
    assert answer.code == 2, answer.all
    assert "abcdef" in answer.err
