from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_texts import FIRST, PERSIST, read

from crucis.study.columns import SemanticError, book_of, column, expand
from crucis.study.expressions import parse, reference
from crucis.study.quantities import Quantity, QuantityError, infer

ARCHS = ("small", "big", "cnn", "deep")
DATA = ("digits", "shapes")


@pytest.fixture(scope="module")
def persist():
    return read(PERSIST)


def info(study, text):
    return column(study, reference(text))


def test_a_column_of_a_stage(persist):
    found = info(persist, "task_a.accuracy")
    assert (found.unit, found.range, found.source, found.headline) == ("fraction", (0, 1), "stage", True)
    assert found.axes == ("arch", "data") and found.labels == {"arch": ARCHS, "data": DATA}
    assert found.seeded and not found.sealed and found.kind == "exact"


def test_every_training_has_the_columns_of_the_grammar(persist):
    names = (
        "accuracy",
        "loss",
        "train_accuracy",
        "train_loss",
        "parameters",
        "steps",
        "seconds",
        "memory",
        "curve",
        "reach",
    )
    found = {name: info(persist, f"task_a.{name}") for name in names}
    assert found["curve"].axes == ("arch", "data", "step") and found["reach"].axes == ("arch", "data", "share")
    assert (found["seconds"].unit, found["memory"].unit, found["parameters"].unit) == ("seconds", "bytes", "count")
    assert info(persist, "task_a.reach@share=90%").axes == ("arch", "data")


def test_own_axes_take_their_labels_from_parameters(persist):
    assert info(persist, "task_b.retention").labels["step"] == ("10", "25", "50")
    assert info(persist, "task_b.retention@step=25").axes == ("arch", "data")
    spread = info(persist, "task_b.retention@step=*")
    assert spread.axes == ("arch", "data", "step")


def test_parts_of_a_mean_are_read_by_its_inner_axis(persist):
    assert info(persist, "ripser.h1_total").within == "slice" and "slice" not in info(persist, "ripser.h1_total").axes
    assert info(persist, "ripser.h1_total@slice=*").labels["slice"] == ("0", "1", "2")
    with pytest.raises(SemanticError, match="no slice 3"):
        info(persist, "ripser.h1_total@slice=3")


def test_fields_and_levels_narrow(persist):
    assert info(persist, "task_a.accuracy@arch=big@data=digits").axes == ()
    assert info(persist, "task_a.accuracy@arch.family=cnn").axes == ("data",)
    assert info(persist, "task_a.accuracy@arch.family=mlp").labels["arch"] == ("small", "big", "deep")
    assert not info(persist, "task_a.accuracy@seed=42").seeded
    assert info(persist, "arch.depth").range == (1, 4)


def test_derived_columns_join_their_parts(persist):
    assert (
        info(persist, "gap").range == (-1, 1)
        and info(persist, "gap").sealed
        and info(persist, "gap").unit == "fraction"
    )
    assert info(persist, "ret").axes == ("arch", "data") and info(persist, "ret").source == "derive"
    assert info(persist, "log_params").unit == "1"
    book = book_of(persist)
    assert book.expression(parse("mean(task_a.accuracy@seed=*)")).seeded is False
    assert book.expression(parse("max(task_b.retention@step=*) - ret")).axes == ("arch", "data")


def test_columns_of_analyses(persist):
    effect = info(persist, "which.effect")
    assert effect.unit == "fraction" and effect.range == (-1, 1) and effect.kind == "estimate"
    assert effect.labels["arch"] == ("big", "cnn", "deep") and effect.open == ("data", "arch")
    assert info(persist, "which.p@arch=cnn@data=digits").kind == "p"
    assert info(persist, "which.p@arch.family=cnn").axes == ("metric", "data", "against")
    assert info(persist, "which.p@arch.family=mlp").labels["arch"] == ("big", "deep")
    rho = info(persist, "association.rho@metric=ripser.h1_total@data=digits")
    assert rho.open == () and rho.labels["method"] == ("spearman",)
    assert info(persist, "association.p").labels["method"] == ("spearman", "kendall")
    assert info(persist, "association.p").labels["metric"][-1] == "arch.depth"
    assert info(persist, "partial.rho").labels["step"] == ("10", "25", "50")
    assert info(persist, "many.mean@metric=ret").open == ("arch", "data")
    assert info(persist, "many.mean@metric=task_a.accuracy").range == (0, 1)


def test_columns_may_be_derived_from_results():
    text = PERSIST.replace("derive:", "derive:\n  gain: which.effect@data=digits * 100")
    study = read(
        text.replace(
            "many: {describe: summary, of: [", "many: {describe: summary, unit: arch, each: data, of: [gain, "
        ),
    )
    assert info(study, "gain").labels["arch"] == ("big", "cnn", "deep") and info(study, "gain").range == (-100, 100)
    assert info(study, "gain@arch=cnn").open == () and info(study, "gain@arch.family=cnn").open == ()
    with pytest.raises(SemanticError, match="no arch 'small'"):
        info(study, "gain@arch=small")


def test_two_levels_make_one_contrast_that_reads_either_way():
    study = read(FIRST)
    assert info(study, "which.effect").open == ("net",)
    for label in ("mlp", "convnet"):
        assert info(study, f"which.effect@net={label}").open == ()


def test_wildcards_are_the_headline_columns_in_the_order_of_the_leaf(persist):
    found = [ref.column for ref in expand(persist, reference("ripser.*"))]
    assert found[:4] == ["h0_total", "h1_total", "h0_max", "h1_max"] and "euler_residual" not in found
    assert expand(persist, reference("ret")) == [reference("ret")]


def test_filters_of_stages_narrow_the_labels():
    study = read(
        PERSIST.replace("split: test}", "split: test, only: {arch: [big, cnn]}, except: {arch: cnn, data: shapes}}")
    )
    assert info(study, "test.accuracy").labels == {"arch": ("big", "cnn"), "data": DATA}
    assert info(study, "test.accuracy@arch=cnn").labels == {"data": ("digits",)}
    assert info(study, "gap").labels["arch"] == ("big", "cnn")
    with pytest.raises(SemanticError, match="no row with arch=small"):
        info(study, "test.accuracy@arch=small")


def test_labels_may_differ_by_level():
    text = PERSIST.replace("record_at: [10, 25, 50]", "record_at: $arch.steps").replace(
        "depth: 1", "depth: 1, steps: [1, 50]"
    )
    for depth in (2, 3, 4):
        text = text.replace(f"depth: {depth}", f"depth: {depth}, steps: [50, {depth}00]")
    study = read(text)
    assert info(study, "task_b.retention").labels["step"] == ("1", "50", "200", "300", "400")
    assert info(study, "task_b.retention@step=50").axes == ("arch", "data")


def test_a_user_file_declares_columns(tmp_path):
    (tmp_path / "mine.py").write_text(
        'AXES = {"eps": "strengths", "kind": ["a", "b"], "draw": "draws"}\n'
        'COLUMNS = {"drop": {"unit": "ratio", "range": [0, 1], "axes": ["eps", "kind", "draw"], "headline": True}}\n'
        "def measure(specimen, *, strengths: list[float] = [0.1, 0.2], draws: int = 2):\n    pass\n"
    )
    study = read(
        FIRST.replace("analysis:", "  mine: {measure: ./mine.py, of: model, strengths: [0.5]}\nanalysis:"), tmp_path
    )
    assert dict(info(study, "mine.drop").labels) == {
        "net": ("mlp", "convnet"), "eps": ("0.5",), "kind": ("a", "b"), "draw": ("0", "1"),
    }  # fmt: skip


def test_circles_are_named():
    study = read(FIRST.replace("analysis:", "derive: {a: model.loss, b: a + 1, c: b}\nanalysis:"))
    study.derive["a"] = parse("c * 2")  # no text with this circle can be read
    with pytest.raises(SemanticError, match="a circle: a -> c -> b -> a") as caught:
        column(study, reference("a"))
    assert caught.value.names == ("a", "c", "b", "a")


# --- units and ranges ------------------------------------------------------------------------------------------

QUANTITIES = {
    "acc": Quantity("fraction", 0, 1),
    "time": Quantity("seconds", 0),
    "room": Quantity("bytes", 0),
    "n": Quantity("count", 0),
    "loss": Quantity("nats", 0),
    "flag": Quantity("1", 0, 1, True),
    "rho": Quantity("1", -1, 1),
}


def look(ref):
    return QUANTITIES[ref.name]


@pytest.mark.parametrize(
    ("text", "unit", "low", "high"),
    [
        ("acc - acc", "fraction", -1, 1),
        ("1 - acc", "fraction", 0, 1),
        ("2 * acc + 1", "fraction", 1, 3),
        ("time / time", "ratio", float("-inf"), float("inf")),
        ("time / n", "seconds / count", float("-inf"), float("inf")),
        ("time * acc", "seconds", 0, float("inf")),
        ("abs(rho)", "1", 0, 1),
        ("-abs(rho)", "1", -1, 0),
        ("rho ** 2", "1", float("-inf"), float("inf")),
        ("acc ** 2", "1", 0, 1),
        ("sqrt(acc)", "1", 0, 1),
        ("exp(rho)", "1", pytest.approx(1 / 2.718281828, rel=1e-6), pytest.approx(2.718281828)),
        ("log(n)", "1", float("-inf"), float("inf")),
        ("spread(acc@seed=*)", "fraction", 0, 1),
        ("sum(acc@seed=*)", "fraction", 0, float("inf")),
        ("loss + rho", "nats", -1, float("inf")),
    ],
)
def test_units_and_ranges(text, unit, low, high):
    found = infer(parse(text), look)
    assert (found.unit, found.low, found.high) == (unit, low, high)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("time + room", "unlike-units"),
        ("time > acc", "unlike-units"),
        ("acc + n", "unlike-units"),
        ("acc ** time", "unlike-units"),
        ("acc > 75", "impossible-comparison"),
        ("acc > 1", "impossible-comparison"),
        ("75 < acc", "impossible-comparison"),
        ("acc >= 0", "impossible-comparison"),
        ("acc == 2", "impossible-comparison"),
        ("mean(acc@seed=*) < 0", "impossible-comparison"),
        ("acc and flag", "not-a-condition"),
        ("not acc", "not-a-condition"),
        ("flag + 1", "not-a-number"),
        ("flag < 1", "not-a-number"),
        ("acc / 0", "division-by-zero"),
        ("log(-n - 1)", "out-of-range"),
    ],
)
def test_what_cannot_be_meant(text, code):
    with pytest.raises(QuantityError) as caught:
        infer(parse(text), look)
    assert caught.value.code == code


@pytest.mark.parametrize("text", ["acc >= 1", "acc > 0", "acc < 100%", "time > 5", "rho < -0.5 or flag", "acc != 0.5"])
def test_what_can_be_meant(text):
    assert infer(parse(text), look).flag


VALUES = st.fixed_dictionaries({"a": st.floats(-4, 4), "b": st.floats(0, 3), "c": st.floats(1, 2)})
RANGES = {"a": Quantity("1", -4, 4), "b": Quantity("1", 0, 3), "c": Quantity("1", 1, 2)}
LEAVES = st.sampled_from(["a", "b", "c", "2", "0.5"])
TREES = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from(["+", "-", "*", "/"]), part),
        st.builds("{}({})".format, st.sampled_from(["abs", "exp", "sqrt"]), part),
        st.builds("({} ** 2)".format, part),
        st.builds("(-{})".format, part),
    ),
    max_leaves=6,
)


@given(TREES, VALUES)
@settings(max_examples=300, deadline=None)
def test_every_value_lies_in_the_inferred_range(text, values):
    try:
        q = infer(parse(text), lambda ref: RANGES[ref.name])
        exact = eval(text, {"abs": abs, "exp": math.exp, "sqrt": math.sqrt}, values)
    except (QuantityError, ZeroDivisionError, ValueError, OverflowError):
        return
    slack = 1e-9 * max(1.0, abs(exact))
    assert q.low - slack <= exact <= q.high + slack
