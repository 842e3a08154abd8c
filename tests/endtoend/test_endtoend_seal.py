"""The test split: sealed until everything else stands, opened by a command that is written down and counted."""

from __future__ import annotations

from lab import STUDY, clean_error

from crucis.engine.store import Store

SEALED = STUDY.replace("analysis:", "  final: {{measure: classification, of: model, split: test}}\nanalysis:").replace(
    "claims:", "  held-out: {{compare: paired_t, of: final.accuracy, between: net, against: small}}\nclaims:"
)


def test_the_seal_holds_until_it_is_broken_and_every_breaking_is_counted(lab):
    lab.write(SEALED.format(seeds=2))
    clean_error(lab("unseal"), "not registered")
    part = lab("run", "--stages", "model")
    assert part.code == 0, part.all
    clean_error(lab("unseal"), "still missing")
    answer = lab("run")
    assert answer.code == 4, answer.all
    assert "4 sealed" in answer.out
    assert "crucis unseal" in answer.out
    assert "sealed" in lab("status").out
    assert not [b for b in lab.bodies().values() if b["spec"].get("split") == "test"]
    assert "4 sealed" in lab("plan").out

    opened = lab("unseal")
    assert opened.code == 0, opened.all
    assert "for the first time" in opened.out
    assert "8 cached, 4 run" in opened.out
    finals = [b for b in lab.bodies().values() if b["spec"].get("split") == "test"]
    assert len(finals) == 4
    assert all(b["values"]["examples"] > 0 for b in finals)
    assert len(Store(lab.store).lines("unsealings")) == 1

    # Again without change: nothing to do, nothing counted.
    assert lab("run").code == 0
    assert lab("unseal").code == 0
    assert len(Store(lab.store).lines("unsealings")) == 1

    # More seeds amend the registration: the new steps are sealed again, and the second opening is the second.
    more = lab("run", "--set", "seeds=3")
    assert more.code == 4, more.all
    second = lab("unseal", "--set", "seeds=3")
    assert second.code == 0, second.all
    assert "after 1 earlier unsealing" in second.out
    lines = Store(lab.store).lines("unsealings")
    assert [list(line["before"].values()) for line in lines] == [[0], [1]]
    assert "opened 2 times" in lab.page()


def test_an_instrument_that_reaches_past_the_seal_is_refused(lab):
    lab.write(
        "from crucis.records import Result\n"
        'COLUMNS = {"n": {"unit": "count", "range": [0, None], "axes": [], "headline": True}}\n\n\n'
        "def measure(specimen):\n"
        '    """Counts what it may not see."""\n'
        '    return Result(values={"n": len(specimen.data.split("test"))})\n',
        "peek.py",
    )
    lab.write(STUDY.format(seeds=1).replace("measure: classification", "measure: ./peek.py"))
    answer = lab("run")
    assert "Traceback" not in answer.all
    bodies = [b for b in lab.bodies().values() if b["spec"]["kind"] == "measure/file"]
    assert [b["outcome"] for b in bodies] == ["refused", "refused"]
    assert all(b["reason"]["code"] == "sealed" for b in bodies)
    assert "sealed" in lab("status").out


def test_nothing_to_unseal(lab):
    lab.study(seeds=1)
    clean_error(lab("unseal"), "nothing to unseal")


def test_an_exploratory_analysis_does_not_seal_again(lab):
    """It is not registered, so the registration that was unsealed stays in force."""
    lab.write(SEALED.format(seeds=1))
    assert lab("run").code == 4
    assert lab("unseal").code == 0
    lab.edit("claims:", "  look: {describe: summary, of: final.loss, exploratory: true}\nclaims:")
    answer = lab("run")
    assert answer.code == 0, answer.all
