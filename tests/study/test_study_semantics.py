from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_texts import FIRST, PERSIST, faults_of, read

from crucis.study import attainable, semantics
from crucis.study.expressions import parse, reference
from crucis.study.spec import Claim

# one mistake per line; `(nothing)` takes a part away
MISTAKES = [
    line.split(" | ") for line in Path(__file__).with_name("mistakes.txt").read_text().splitlines() if line[0] != "#"
]


@pytest.mark.parametrize(
    ("path", "code", "old", "new", "part"), MISTAKES, ids=[f"{row[1]}: {row[3][:40]}" for row in MISTAKES]
)
def test_each_mistake_has_its_answer_and_no_consequence(path, code, old, new, part):
    found = faults_of(old, "" if new == "(nothing)" else new.replace("\\n", "\n"))
    assert [(fault.code, fault.path) for fault in found] == [(code, path)], "\n".join(map(str, found))
    assert part in found[0].text
    assert found[0].line > 0 and found[0].column > 0 and found[0].file == "s.yaml"


def test_a_sound_study_has_only_the_note_on_its_sealed_stage():
    found = semantics.faults(read(PERSIST))
    assert [(fault.code, fault.path, fault.note) for fault in found] == [("sealed", "stages.test", True)]
    assert "24 steps wait; everything else runs." in found[0].text and str(found[0]).startswith("note: s.yaml:")
    assert semantics.faults(read(FIRST)) == []


def test_faults_of_several_parts_come_together():
    text = PERSIST.replace("step=50", "step=51").replace("between: arch", "between: seed").replace("> 0.3]", "> 3]")
    found = faults_of("gap: ", "gap: 2 * ", base=text)
    assert {fault.code for fault in found} == {"unknown-level", "seed-between"}  # claim a rests on the broken ret


def test_several_open_axes_are_named_together():
    base = PERSIST.replace("second-half}, record", "second-half}, length: $w, record")
    base = base.replace("  data: [digits, shapes]", "  data: [digits, shapes]\n  w: [10 steps, 20 steps]")
    base = base.replace("length: $w", "batch: $w").replace("[10 steps, 20 steps]", "[16, 32]")
    found = faults_of("with: [task_b.retention@step=*]", "with: [task_b.retention]", base=base)
    text = "task_b.retention varies over step (3) and w (2). Choose for each: fix (@step=10), spread (@w=*)"
    assert any(text in fault.text for fault in found), "\n".join(map(str, found))


def test_what_no_text_can_say_is_checked_as_well():
    study = read(PERSIST)
    wrong = replace(study.stages["landscape"], of={"of": reference("modle")})
    found = semantics.faults(replace(study, stages={**study.stages, "landscape": wrong}))
    assert found[0].code == "unknown-name" and "no stage 'modle'." in found[0].text
    back = replace(study.stages["task_a"], of={"of": reference("task_b")})
    found = semantics.faults(replace(study, stages={**study.stages, "task_a": back}))
    assert [fault.code for fault in found] == ["circle"]
    assert found[0].text == "a circle: task_a -> task_b -> task_a. A stage cannot work on its own result."


def test_a_test_that_no_seed_number_can_satisfy_is_out_of_reach():
    claim = "claims: {c: which.p@net=convnet < 0.05}\n"
    few = (FIRST + claim).replace("paired_t", "permutation")
    found = faults_of("data: digits}", "data: digits}\n", base=few.replace("study: first", "study: first\nseeds: 5"))
    assert [fault.text for fault in found] == [
        "two-sided permutation on 5 seeds has no p below 0.0625, so the claim 'c' (p < 0.05) cannot be supported. "
        "Use 6 seeds or paired_t."
    ]
    assert found[0].path == "analysis.which"
    assert faults_of("study: first", "study: first\nseeds: 6", base=few) == []
    assert faults_of("study: first", "study: first\nseeds: 2", base=FIRST + claim) == []


def test_correction_raises_the_smallest_p():
    three = FIRST.replace("[mlp, convnet]", "[mlp, convnet, vit]").replace("paired_t", "permutation")
    text = three + "claims: {c: which.p@net=vit@against=mlp < 0.05}\n"
    assert faults_of("study: first", "study: first\nseeds: 7", base=text) == []  # 3 / 64 = 0.047
    found = faults_of("study: first", "study: first\nseeds: 6", base=text)  # 3 / 32 = 0.094
    assert "0.09375 after correction for 3 tests" in found[0].text and "Use 7 seeds" in found[0].text
    assert faults_of("study: first", "study: first\nseeds: 6", base=text.replace("net}", "net, correction: bh}")) == []
    assert faults_of("study: first", "study: first\nseeds: 6", base=text.replace("which.p@", "which.p_raw@")) == []


@pytest.mark.parametrize("n", range(2, 9))
def test_smallest_p_is_that_of_the_tests(n):
    from crucis.stats import power

    assert attainable.smallest_p("permutation", n) == power.attainable_flip(n)
    assert attainable.smallest_p("spearman", n) == power.attainable_correlation(n)
    assert attainable.smallest_p("paired_t", n) == 0.0


# --- whatever is written, there is an answer and no traceback ----------------------------------------------------

WORDS = st.sampled_from(
    ["task_a", "task_b", "ripser", "ret", "gap", "which", "many", "partial", "arch", "data", "nope", "association"]
)
COLUMNS = st.sampled_from(
    ["", ".accuracy", ".retention", ".h1_total", ".*", ".effect", ".p", ".rho", ".mean", ".depth", ".x"]
)
ATS = st.lists(
    st.sampled_from(
        ["@step=10", "@step=*", "@data=digits", "@data=*", "@arch=big", "@seed=42", "@seed=*", "@arch.family=mlp",
         "@metric=ret", "@method=kendall", "@at=best", "@slice=*", "@no=1", "@with=ret"]
    ), max_size=3, unique_by=lambda text: text.partition("=")[0],
)  # fmt: skip
REFS = st.builds("{}{}{}".format, WORDS, COLUMNS, ATS.map("".join))
NUMBERS = st.one_of(REFS, st.sampled_from(["0.5", "75", "1%"]))
EXPRESSIONS = st.recursive(
    NUMBERS,
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from(["+", "-", "*", "/", "<", ">", "and", "or", "=="]), part),
        st.builds("{}({})".format, st.sampled_from(["mean", "log", "abs", "spread"]), part),
    ),
    max_leaves=4,
)
AXES = st.sampled_from([None, "data", "arch", "arch.family", "step", "seed", "metric", "nope", "method"])


@given(
    derived=EXPRESSIONS,
    of=st.lists(REFS, min_size=1, max_size=2),
    targets=st.lists(REFS, max_size=2),
    claim=EXPRESSIONS,
    between=AXES,
    unit=AXES,
    each=AXES,
    verb=st.sampled_from(["which", "partial", "many"]),
)
@settings(max_examples=150, deadline=None)
def test_any_references_are_answered(derived, of, targets, claim, between, unit, each, verb):
    study = _BASE
    one = replace(
        study.analysis[verb], of=tuple(map(reference, of)), targets=tuple(map(reference, targets)),
        between=between, unit=unit, each=(each,) if each else (),
    )  # fmt: skip
    made = replace(
        study, derive={**study.derive, "gap": parse(derived)}, analysis={**study.analysis, verb: one},
        claims={"c": Claim("c", (parse(claim),), each=each)},
    )  # fmt: skip
    for fault in semantics.faults(made):
        assert fault.text.endswith((".", "?")) and fault.line > 0


_BASE = read(PERSIST)


def test_checking_imports_nothing_heavy():
    code = (
        "import sys; from crucis.study import semantics, columns, design, expressions; "
        "print([m for m in ('torch', 'pandas', 'matplotlib', 'scipy', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_work_grows_with_the_study_and_not_faster():
    def calls(levels):
        listed = ", ".join(str(i + 1) for i in range(levels))
        text = PERSIST.replace("data: [digits, shapes]", f"data: [digits, shapes]\n  w: [{listed}]")
        text = text.replace("grid: 5", "grid: 5, span: $w").replace("each: data", "each: [data, w]")
        text = text.replace("each: [data, w]}\n  b:", "each: data}\n  b:").replace("h1_total >", "h1_total@w=2 >")
        study = read(text.replace("against: small, each: [data, w]", "against: small, each: data"))
        study = replace(study, name=str(levels))  # another value, so that nothing is remembered
        count = 0

        def tracer(frame, event, argument):
            nonlocal count
            count += event == "call"

        sys.setprofile(tracer)
        try:
            assert len(semantics.faults(study)) == 1
        finally:
            sys.setprofile(None)
        return count

    assert calls(80) <= 2.2 * calls(40)
