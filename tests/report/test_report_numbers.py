"""Numbers: the digits that are shown are those that can be believed, and rounding is right; LaTeX is harmless."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.report import content as c
from crucis.report import numbers, tables

T, M = numbers.THIN, numbers.MINUS


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8734, "0.873"), (12.345, "12.3"), (1234.5, "1234"), (0, "0"), (0.0, "0"), (-0.5, f"{M}0.500"), (7, "7"),
        (11_173_962, f"11{T}173{T}962"), (2.34e-7, f"2.34{T}×{T}10⁻⁷"), (6.02e23, f"6.02{T}×{T}10²³"),
        (99_999.4, f"99{T}999"), (math.inf, "∞"), (-math.inf, f"{M}∞"), (math.nan, "not a number"), (True, "yes"),
    ],
)  # fmt: skip
def test_number(value: float, text: str) -> None:
    assert numbers.number(value) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((0.8333, 0.3112, 0.9744), "0.83 [0.31, 0.97]"),
        ((0.2143, -0.5831, 0.8022), f"0.21 [{M}0.58, 0.80]"),
        ((0.0312, 0.0124, 0.05), "0.031 [0.012, 0.050]"),
        ((45.31, 39.12, 51.44), "45.3 [39.1, 51.4]"),
        ((1234.0, 1100.0, 1400.0), "1234 [1100, 1400]"),
        ((0.5, None, None), "0.500"),
        ((0.5, 0.1, math.inf), "0.500 [0.100, ∞]"),
        ((1.0, 1.0, 1.0), "1.000 [1.000, 1.000]"),
        ((-0.0001, -0.01, 0.01), f"0.000 [{M}0.010, 0.010]"),
    ],
)
def test_estimate(parts: tuple[float, ...], text: str) -> None:
    assert numbers.estimate(c.Estimate(*parts)) == text


@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e4), st.floats(1e-3, 1e4))
def test_an_estimate_is_rounded_by_less_than_a_tenth_of_its_interval(value: float, below: float, above: float) -> None:
    item = c.Estimate(value, value - below, value + above)
    plain = numbers.estimate(item).replace(T, "").replace(M, "-")
    shown = [float(part) for part in re.findall(r"-?[\d.]+", plain)]
    for text, exact in zip(shown, (item.value, item.low, item.high), strict=True):
        assert exact is not None and abs(text - exact) <= 0.05 * (below + above)


def test_p_values() -> None:
    assert [numbers.p_value(p) for p in (0.0004, 0.0417, 0.21, 1.0)] == ["< 0.001", "0.042", "0.21", "1.00"]


def test_times_and_sizes() -> None:
    assert [numbers.seconds(s) for s in (0.055, 96, 214.2, 7300, 200_000)] == [
        "0.055 s",
        "96 s",
        "3.6 min",
        "2.0 h",
        "2.3 days",
    ]
    assert [numbers.size(b) for b in (12, 14_200_000)] == ["12 B", "14.2 MB"]


def test_a_column_shares_decimals_where_intervals_are_alike() -> None:
    alike = [c.Estimate(0.1, 0.05, 0.2), c.Estimate(0.5, 0.3, 0.7), c.Estimate(0.9, 0.6, 1.2), c.Absent("missing")]
    assert numbers.common_decimals(alike) == 2
    assert numbers.common_decimals([c.Estimate(0.1, 0.05, 0.2), c.Estimate(500.0, 300.0, 700.0)]) is None
    assert numbers.common_decimals([c.Absent("missing"), "text"]) is None


@given(st.text())
def test_latex_leaves_no_command_behind(text: str) -> None:
    out = tables.latex(text)
    bare = re.sub(r"\\(textbackslash|textasciicircum|textasciitilde|textbar)\{\}|\\[{}$&#%_,]", "", out)
    bare = re.sub(r"\$(\\[a-zA-Z]+|[-<>]|\^\{-?\d+\})\$", "", bare)
    assert not set(bare) & set("\\{}$&#%_^~")


def test_latex_table() -> None:
    table = c.Table(
        (c.Column("net_name"), c.Column("rho", "estimate"), c.Column("p", "p")),
        (c.Row(("a&b", c.Estimate(-0.25, -0.5, 0.1), 0.0001)), c.Row(("c", c.Absent("refused", "tied"), None))),
    )
    text = tables.as_latex(table, "50 % of it", "x")
    assert r"net\_name & rho & p \\" in text
    assert r"a\&b & $-$0.25 [$-$0.50, 0.10] & $<$ 0.001 \\" in text
    assert r"c & refused & -- \\" in text
    assert r"\caption{50 \% of it}" in text and text.count("{") == text.count("}")
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
