from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.study import expressions
from crucis.study.expressions import COMPARISONS, FUNCTIONS, ExpressionError, parse, reference, references, render
from crucis.study.scalars import label_text
from crucis.study.spec import Binary, Call, Column, Dollar, Number, Ref, Unary

names = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True).filter(
    lambda name: name not in ("and", "or", "not") and name not in FUNCTIONS
)
labels = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+%-]{0,6}", fullmatch=True).map(label_text)
values = st.one_of(st.just("*"), labels, st.builds("{}.{}".format, names, names))
numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.floats(0, 1e6, allow_nan=False).map(repr),
    st.integers(0, 1000).map("{}%".format),
    st.tuples(st.integers(0, 999), st.integers(1, 999)).map(lambda pair: f"{pair[0]}/{pair[1]}"),
    st.sampled_from(["260_000", "1e-3", "5E4", "1_0.5e+2%"]),
)


def refs() -> st.SearchStrategy[Ref]:
    ats = st.lists(st.tuples(names, values), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)
    columns = st.one_of(st.none(), names, st.just("*"))
    return st.builds(Ref, names, columns, ats, st.one_of(st.none(), names))


def grow(parts: st.SearchStrategy) -> st.SearchStrategy:
    operators = ("+", "-", "*", "/", "**", "and", "or", *COMPARISONS)
    return st.one_of(
        st.builds(Call, st.sampled_from(FUNCTIONS), parts),
        st.builds(Unary, st.sampled_from(("-", "not")), parts),
        st.builds(Binary, st.sampled_from(operators), parts, parts),
    )


leaves = st.one_of(numbers.map(parse), refs().map(Column))
trees = st.recursive(leaves, grow, max_leaves=12)


@given(trees)
@settings(max_examples=200, deadline=None)
def test_rendered_trees_read_back_as_themselves(tree):
    assert parse(render(tree)) == tree


@given(st.one_of(st.text(max_size=60), st.text("ab.@=*-+/()<>! 01%e_$,and", max_size=60)))
@settings(max_examples=500, deadline=None)
def test_any_text_is_an_expression_or_a_located_error(text):
    try:
        tree = parse(text)
    except ExpressionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.text
        return
    assert parse(render(tree)) == tree


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b / c", "(a / b) / c"),
        ("a * b ** c", "a * (b ** c)"),
        ("-a ** b", "(-a) ** b"),
        ("a ** -b", "a ** (-b)"),
        ("-a + b", "(-a) + b"),
        ("a + b < c - d", "(a + b) < (c - d)"),
        ("not a < b and c", "(not (a < b)) and c"),
        ("a or b and c", "a or (b and c)"),
        ("a and b or c and d", "(a and b) or (c and d)"),
    ],
)
def test_precedence(text, same):
    assert parse(text) == parse(same)


@pytest.mark.parametrize(
    ("text", "value"),
    [("75%", 0.75), ("8/255", 8 / 255), ("1e-3", 0.001), ("260_000", 260000.0), (3, 3.0), (0.5, 0.5), (1e-5, 1e-5)],
)
def test_numbers(text, value):
    assert parse(text) == Number(value, str(text))


def test_a_negative_plain_number_is_a_negated_one():
    assert parse(-2.5) == Unary("-", Number(2.5, "2.5"))


def test_references_keep_their_order_and_come_once():
    tree = parse("b.x@step=10 - a.y + b.x@step=10 / abs(c)")
    assert [str(ref) for ref in references(tree)] == ["b.x@step=10", "a.y", "c"]


def test_reference_parts():
    assert reference("persist/ripser.h1_total@data=cifar100@step=*") == Ref(
        "ripser", "h1_total", (("data", "cifar100"), ("step", "*")), "persist"
    )
    assert reference("tuned@group=$arm.group@at=$moment").at == (
        ("group", Dollar("arm", "group")),
        ("at", Dollar("moment")),
    )
    assert reference("x.rho@metric=persist/ripser.h1_total").axis("metric") == "persist/ripser.h1_total"
    assert reference("x@arch.family=wrn").at == (("arch.family", "wrn"),)


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("__import__('os')", 12, "a quote is no part of an expression"),
        ("(lambda: 1)()", 8, "no part"),
        ("a.b.c", 4, "between a name and its column"),
        ("open(a)", 1, "no function 'open'"),
        ("medin(a)", 1, "Did you mean 'median'?"),
        ("max(a, b) < 1", 6, "functions take one argument"),
        ("a -b", 3, "put spaces on both sides of '-'"),
        ("2*a", 2, "put spaces"),
        ("a < b < c", 7, "two things at a time"),
        ("a ** b ** c", 8, "parentheses"),
        ("a b", 3, "without an operator"),
        ("(a", 3, "without its ')'"),
        ("a)", 2, "without its '('"),
        ("a = b", 3, "write '=='"),
        ("a + ", 5, "ends where a number"),
        ("$net", 1, "start of a value"),
        ("a@step", 2, "an axis, '=' and a value"),
        ("b + a@s=1@s=2", 5, "twice"),
        ("1/0", 1, "divides by zero"),
        ("1e999", 1, "too large"),
        ("Model.loss", 1, "lower case"),
        ("a if b else c", 3, "without an operator"),
        ("a == [1]", 6, "no part"),
        ("", 1, "no expression"),
    ],
)
def test_errors_say_where_and_why(text, column, part):
    with pytest.raises(ExpressionError, match=re.escape(part)) as caught:
        parse(text)
    assert caught.value.column == column


@pytest.mark.parametrize("text", [True, None, [1], math.nan, math.inf])
def test_what_is_no_text_and_no_number_is_refused(text):
    with pytest.raises(ExpressionError):
        parse(text)


@pytest.mark.parametrize("text", ["(" * 33 + "a" + ")" * 33, " + ".join(["a"] * 300), "a" * 2001])
def test_limits(text):
    with pytest.raises(ExpressionError, match=r"more than|longer than"):
        parse(text)


def test_cut_by_comma():
    assert expressions.cut_by_comma(["max(a", "b) < 1"]) == ("max(a", "b) < 1")
    assert expressions.cut_by_comma(["max(a) < 1", "b < 1"]) is None
