"""Pictures: nothing overlaps or leaves the paper in either width, labels keep apart, files are the same every time."""

from __future__ import annotations

import math
import re
from itertools import combinations, pairwise

import numpy as np
import pytest
import report_example
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.report import content as c
from crucis.report.draw import PAINTERS, labels, lines, painter, style
from crucis.report.draw.save import _manners, inline, render
from crucis.report.draw.style import NARROW, WIDE

EXAMPLE = {figure.name: figure.data for figure in report_example.page().figures}


def _crowd(count: int) -> c.Scatter:
    rng = np.random.default_rng(count)
    points = tuple(
        c.Dot(f"network-number-{i}", float(rng.normal()), float(rng.normal()), group="ab"[i % 2]) for i in range(count)
    )
    return c.Scatter((c.ScatterPanel("A crowd", points, c.Axis("x"), c.Axis("y"), says="n = many"),))


def _odd_slice() -> c.Contour:
    loss = np.full((5, 5), 2.0)
    loss[0, 0] = math.inf
    loss[1, 1] = math.nan
    loss[2, 2] = -1.0
    return c.Contour((c.Slice("has holes", np.arange(5.0), np.arange(5.0), loss, (2.0, 2.0)),))


LONG = "a-network-with-a-name-that-is-far-too-long-for-any-panel"
STRESS: dict[str, c.FigureData] = {
    "crowd": _crowd(19),
    "throng": _crowd(60),
    "one-point": _crowd(1),
    "holes": _odd_slice(),
    "flat": c.Contour((c.Slice("flat", (-1.0, 1.0), (-1.0, 1.0), ((1.0, 1.0), (1.0, 1.0))),)),
    "far-diagram": c.Diagram(tuple(c.Bars(f"net {i}", ((0.054957, 0.055031),)) for i in range(8))),
    "empty-diagram": c.Diagram((c.Bars("nothing", (), ()), c.Bars("one", ((0.5, math.inf),)))),
    "long-names": c.Forest(
        tuple(c.Effect(f"{LONG} {i}", c.Estimate(i * 1e6, -1e7, 2e7), LONG, LONG) for i in range(3)), c.Axis("effect")
    ),
    "wide-heat": c.Heat(
        tuple(f"{LONG[:20]} {i}" for i in range(12)), tuple(f"step={i}, strategy=naive" for i in range(24)),
        [[math.sin(i * j) for j in range(24)] for i in range(12)], [[0.04 + 0.01 * j for j in range(24)]] * 12, 0.05,
    ),
    "one-cell": c.Heat(("x",), ("y",), ((None,),), ((None,),), 0.05),
    "one-value": c.Histogram((c.HistogramPanel("flat", (0.0,) * 20, 0.0, LONG),), c.Axis("gain")),
    "no-interval": c.Forest((c.Effect("x", c.Estimate(0.2)), c.Effect("y", c.Absent("sealed"))), c.Axis("effect")),
    "narrow-margin": c.Forest((c.Effect("x", c.Estimate(0.2, 0.1, 0.3)),), c.Axis("effect", "nats"), 0.0, 0.05),
    "same-ends": c.Retention(
        tuple(c.Line(f"arm {i}", (0, 10, 5000), (1.0, 0.5, 0.1 + i * 1e-4)) for i in range(4))
    ),
    "nineteen": c.Retention(tuple(c.Line(f"{LONG[:18]}-{i}", (0, 10, 5000), (1.0, 0.5, 0.1)) for i in range(19))),
    "panels-of-arms": c.Retention(
        panels=tuple(
            c.LinePanel(f"{LONG[:30]} {i}", tuple(c.Line(arm, (0, 10, 5000), (1.0, 0.5, 0.1 * i)) for arm in "abcdef"))
            for i in range(13)
        ),
        summary=("AURC 0.51, 0.33, 0.12, 0.99, 0.25, 0.10",) * 13,
    ),
    "long-tail": c.Histogram(
        (c.HistogramPanel("t", (*(0.01 * i for i in range(-40, 41)), -2e5, -600.0), 0.1, "observed 0.1"),),
        c.Axis("gain"),
    ),
    "large-steps": c.Curves(
        (c.LinePanel("p", (c.Line("loss", (0, 5e5, 1.2e6), (3e-7, 2e-7, 1e-7)),)),),
        c.Axis("step"),
        c.Axis("loss", "nats", "log"),
    ),
    "many-profiles": c.Curves(
        (
            c.LinePanel("p", tuple(c.Line(f"{LONG[:16]} {i}", (0, 0.5 + i / 9, 2), (1.0, 0.4, 0.0)) for i in range(9))),
        ),
        c.Axis("score"),
        c.Axis("share of runs above", "fraction", low=0, high=1.02),
        True,
    ),
    "many-ranks": c.Ranks(
        (
            c.RankPanel("first", tuple((f"{LONG} {i}", 1 + i / 3) for i in range(9)), 2.2, 5, ((1, 3), (2, 4))),
            c.RankPanel("second, alone", (("a", 1.0), ("b", 2.0)), 3.0, 2, ((1.0, 2.0),)),
        )
    ),
    "ramps": c.Ramps(
        (
            c.RampPanel(LONG, (c.RampLine((1e-7, 1e-3, 2.0), (2.3, 0.5, 1e9)),), c.Estimate(1.0, 0.5, 2.0),
                        c.Estimate(1e-3), (0.1, 0.33)),
            c.RampPanel("no limit", (c.RampLine((1e-7, 1.0), (2.3, 2.3)), c.RampLine((1e-7, 1.0), (2.2, 2.1)))),
        )
    ),
    "text": c.Dots((c.Cloud("$a_b$ <&> \x07 日本", (1.0, 2.0), c.Estimate(1.5, 1.0, 2.0)),), c.Axis("$x$")),
}  # fmt: skip
ALL = {**EXAMPLE, **STRESS}


def _texts(data: c.FigureData, layout: style.Layout) -> tuple[list[tuple[str, object]], tuple[float, float]]:
    from matplotlib.text import Text

    with _manners("test"):
        fig = painter(data)(data, layout)
        fig.set_dpi(288)
        fig.canvas.draw()
        renderer = fig.canvas.get_renderer()
        shown = [t for t in fig.findobj(Text) if t.get_visible() and t.get_text().strip() and _reached(t)]
        boxes = [(text.get_text(), Text.get_window_extent(text, renderer).padded(-2.0)) for text in shown]
        return boxes, (fig.bbox.width, fig.bbox.height)


def _reached(text: object) -> bool:
    """A tick outside its axis' view is not drawn, and says so by having no figure coordinates inside."""
    axes = getattr(text, "axes", None)
    if axes is None:
        return True
    for axis in (axes.xaxis, axes.yaxis):
        for tick in axis.get_major_ticks():
            if text in (tick.label1, tick.label2):
                low, high = sorted(axis.get_view_interval())
                return (tick.label1 is text and tick.label1.get_visible()) and low <= tick.get_loc() <= high
    return True


@pytest.mark.parametrize("layout", [WIDE, NARROW], ids=lambda layout: layout.name)
@pytest.mark.parametrize("name", sorted(ALL))
def test_no_text_overlaps_another_or_leaves_the_paper(name: str, layout: style.Layout) -> None:
    boxes, (width, height) = _texts(ALL[name], layout)
    assert boxes
    for (one, a), (other, b) in combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} overlaps {other!r}"
    for text, box in boxes:
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1, f"{text!r} leaves the paper"


def test_every_kind_of_picture_is_in_the_example() -> None:
    assert {type(data) for data in EXAMPLE.values()} == set(PAINTERS)


def test_scatter_names_all_points_or_says_how_many_not() -> None:
    for count in (8, 60):
        boxes, _ = _texts(_crowd(count), WIDE)
        named = sum(text.startswith("network-number-") for text, _ in boxes)
        says = " ".join(text for text, _ in boxes)
        missing = re.search(r"no room for (\d+) names?", says)
        assert named + (int(missing.group(1)) if missing else 0) == count
    assert not re.search("no room", " ".join(text for text, _ in _texts(EXAMPLE["association"], WIDE)[0]))


@given(st.lists(st.tuples(st.floats(0, 300), st.floats(0, 200)), min_size=1, max_size=25))
@settings(max_examples=40, deadline=None)
def test_placed_labels_never_touch_each_other_or_a_point(points: list[tuple[float, float]]) -> None:
    frame = (-10.0, -10.0, 310.0, 210.0)
    placed = [box for box in labels.place(points, [(40.0, 9.0)] * len(points), frame) if box is not None]
    for one, other in combinations(placed, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for box in placed:
        assert all(not (box[0] < x < box[2] and box[1] < y < box[3]) for x, y in points)
        assert box[0] >= frame[0] and box[3] <= frame[3]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9), st.floats(0.01, 3))
@settings(max_examples=100, deadline=None)
def test_spread_keeps_order_gap_and_ends(wanted: list[float], gap: float) -> None:
    placed = lines.spread(wanted, gap, 0.0, 10.0)
    gap = min(gap, 10.0 / max(len(wanted) - 1, 1))
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    heights = [placed[index] for index in order]
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(heights))
    assert min(placed) >= -1e-9 and max(placed) <= 10 + 1e-9


def test_spread_moves_nothing_that_is_free() -> None:
    assert lines.spread([1.0, 5.0, 9.0], 1.0, 0.0, 10.0) == [1.0, 5.0, 9.0]
    assert lines.spread([5.0, 5.0], 2.0, 0.0, 10.0) == [4.0, 6.0]


def test_steps_are_stretched_evenly_by_decade() -> None:
    zero, one, ten, hundred = lines._stretch([0, 1, 10, 100], 1.0)
    assert zero == 0.0 and math.isclose(ten - one, 1.0) and math.isclose(hundred - ten, 1.0)


def test_ticks_read_well() -> None:
    ticks = {0: "0", 0.25: "0.25", -1: "−1", 100_000: "100\u202f000", 2e-7: "2·10⁻⁷", 1e9: "10⁹", -1e9: "−10⁹"}
    for value, text in ticks.items():
        assert style.tick(value) == text


@given(st.floats(-1e6, 1e6), st.floats(1e-2, 1e6), st.integers(2, 7))
@settings(max_examples=100, deadline=None)
def test_marks_lie_within_the_ends_and_are_few(low: float, span: float, wanted: int) -> None:
    marks = style.marks(low, low + span, wanted, False)
    assert len(marks) <= wanted + 1
    assert all(low - 1e-6 * span <= mark <= low + span * (1 + 1e-6) + 1e-9 * abs(low) for mark in marks)


def test_pictures_are_the_same_every_time_and_leave_the_settings_alone() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    for name in ("landscape", "association"):
        assert render(EXAMPLE[name], name, (WIDE, NARROW)) == render(EXAMPLE[name], name, (WIDE, NARROW))
    assert dict(matplotlib.rcParams) == before


def test_the_users_own_matplotlib_settings_do_not_reach_the_picture() -> None:
    import matplotlib

    first = render(EXAMPLE["effects"], "effects", (WIDE,))
    with matplotlib.rc_context({"font.size": 31, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert render(EXAMPLE["effects"], "effects", (WIDE,)) == first


def test_a_dollar_sign_in_a_name_stays_a_dollar_sign() -> None:
    texts, _ = render(STRESS["text"], "text", (WIDE,))
    assert "$a_b$ &lt;&amp;&gt;" in texts["wide"] and "\x07" not in texts["wide"]


def test_an_inline_picture_names_no_address() -> None:
    texts, _ = render(EXAMPLE["surfaces"], "surfaces", (WIDE,))
    assert "http" not in inline(texts["wide"], "x", WIDE)


def test_a_pdf_carries_no_date_and_no_path() -> None:
    _, pdf = render(EXAMPLE["effects"], "effects", (WIDE,))
    assert b"CreationDate" not in pdf and b"/home" not in pdf and b"site-packages" not in pdf


def test_tails_do_not_stretch_an_axis_and_are_counted() -> None:
    from crucis.report.draw import distribution

    rng = np.random.default_rng(0)
    bulk = rng.normal(0, 0.1, 900)
    values = np.concatenate([bulk, -np.geomspace(10, 2e5, 100)])
    low, high = distribution.reach(values, 0.05)
    assert -3 < low < bulk.min() + 0.5
    assert high == values.max()
    assert distribution._beyond(values, (low, high)) == "; 100 lie left of the axis, the farthest at -2e+05"
    assert distribution.reach(values, -50.0)[0] == -50.0  # what was observed is always shown
    assert distribution.reach(bulk, 0.0) == (bulk.min(), bulk.max())
    assert distribution._beyond(bulk, (bulk.min(), bulk.max())) == ""
    assert distribution.reach(np.zeros(5), 0.0) == (0.0, 0.0)
