"""The same command again: nothing is computed twice, the page keeps its bytes, an extension adds and nothing else."""

from __future__ import annotations

import re
import shutil

from lab import clean_error

from crucis.engine.store import Store


def test_a_second_run_computes_nothing_and_writes_the_same_page(lab):
    lab.study()
    first = lab("run")
    assert first.code == 0, first.all
    assert "0 cached, 8 run" in first.out
    assert re.search(r"^(SUPPORTED|REFUTED|INCONCLUSIVE)  which\.effect@net=wide > 0: .*n = 2", first.out, re.M)
    page, files = lab.report(), lab.touched()

    second = lab("run")
    assert second.code == 0
    assert "8 cached, 0 run" in second.out
    assert second.out.splitlines()[1:] == first.out.splitlines()[1:]
    assert lab.report() == page
    assert lab.touched() == files

    shutil.rmtree(lab.folder / "report")
    assert lab("run").code == 0
    assert lab.report() == page
    assert lab("report", "--force").code == 0
    assert lab.report() == page


def test_more_seeds_add_only_their_own_steps(lab):
    lab.study(seeds=2)
    assert lab("run").code == 0
    before, files = lab.contents(), lab.touched()
    more = lab("run", "--set", "seeds=3")
    assert "8 cached, 4 run" in more.out
    after = lab.contents()
    assert len(after) == 12
    assert before.items() <= after.items()
    assert files.items() <= lab.touched().items()
    lines = Store(lab.store).lines("registrations-first")
    assert [line["results"] for line in lines] == [0, 8]
    assert [len(line["seeds"]) for line in lines] == [2, 3]
    assert "extended" in lab.page()


def test_a_new_level_adds_only_its_own_steps_and_a_late_analysis_is_marked(lab):
    lab.study(seeds=2)
    assert lab("run").code == 0
    early = lab.page()
    assert "after the data" not in early
    files = lab.touched()
    lab.edit("    wide: ", "    third: {mlp: {widths: [6]}}\n    wide: ")
    lab.edit("claims:", "  late: {describe: summary, of: model.loss}\nclaims:")
    assert {step["label"] for step in lab.steps().values() if not step["cached"]} == {
        f"{stage} third seed {seed}" for stage in ("model", "scores") for seed in (42, 123)
    }
    answer = lab("run")
    assert answer.code == 0, answer.all
    assert "8 cached, 4 run" in answer.out
    assert files.items() <= lab.touched().items()
    assert "after the data" in lab.page()


def test_nothing_to_compute_for_another_question_about_the_same_records(lab):
    lab.study(seeds=2)
    assert lab("run").code == 0
    lab.write((lab.folder / "study.yaml").read_text().replace("study: first", "study: other"), "other.yaml")
    answer = lab("run", study="other.yaml")
    assert "8 cached, 0 run" in answer.out
    shared = lab("diff", str(lab.folder / "other.yaml"))
    assert "8 steps shared, 0 only in" in shared.out


def test_parts_of_a_plan_judge_no_claim(lab):
    lab.study(seeds=2)
    part = lab("run", "--only", "net=small", "--stages", "model")
    assert part.code == 0
    assert "0 cached, 2 run" in part.out
    assert "no claim is judged" in part.out
    assert "INCONCLUSIVE" not in part.out
    assert not (lab.folder / "report").exists()
    rest = lab("run", "--stages", "scores")
    assert "2 cached, 6 run" in rest.out
    assert "no claim is judged" in rest.out
    whole = lab("run")
    assert "8 cached, 0 run" in whole.out
    assert "which.effect" in whole.out
    clean_error(lab("run", "--stages", "modle"), "model")
    clean_error(lab("run", "--only", "net=smal"), "small")
    clean_error(lab("run", "--only", "nett=small"), "net")
