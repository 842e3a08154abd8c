"""A network as a layered drawing in SVG; two networks side by side with what differs in colour. Measures nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import Protocol


class Part(Protocol):
    """What is drawn of a module, or of several equal ones in a row. Numbers are of all of them together."""

    kind: str
    detail: str
    shape: tuple[int, ...]
    parameters: int
    flops: int
    times: int
    used: bool

    @property
    def parts(self) -> Sequence[Part]:
        """What it is made of."""
        ...

    @property
    def form(self) -> tuple[object, ...]:
        """What must be equal for two parts to be the same."""
        ...


@dataclass(frozen=True)
class Network:
    """A network to draw: its name, the shape of its input, and the whole of it as one part."""

    name: str
    input: tuple[int, ...]
    whole: Part


@dataclass(frozen=True)
class _Row:
    """One line of the drawing on both sides; `state` is `same`, `changed`, `removed` or `added`. A row with `inner` is
    a frame around rows; one with `instead` holds on each side a row that has no counterpart."""

    sides: tuple[Part | None, Part | None]
    state: str
    inner: tuple[_Row, ...] = ()
    instead: tuple[_Row, ...] = ()

    @property
    def height(self) -> int:
        if self.instead:
            return max(row.height for row in self.instead)
        return _LINE if not self.inner else _HEAD + sum(row.height + _GAP for row in self.inner) + _FOOT


_LINE, _GAP, _HEAD, _FOOT, _PAD = 27, 4, 29, 4, 12
_WIDE, _BETWEEN, _TOP, _EDGE_IN = 640, 36, 96, 34
_FILL = {"same": "#f4f6f9", "changed": "#fff2cf", "removed": "#fde3e1", "added": "#dff3e4"}
_EDGE = {"same": "#cfd6e0", "changed": "#d99a00", "removed": "#c8453b", "added": "#2e9150"}
_WORDS = {"same": "the same", "changed": "changed", "removed": "only in the first", "added": "only in the second"}
_INK, _PALE, _BAR = "#1d2733", "#66717f", "#4a7fc1"


def draw(network: Network, against: Network | None = None) -> str:
    """The drawing as SVG text.

    Args:
        network: drawn alone, or on the right.
        against: what it is compared with, on the left.
    """
    first, second = (network, None) if against is None else (against, network)
    rows = list(_rows(first.whole.parts, second.whole.parts if second else None))
    places = [_PAD, _PAD + _WIDE + _BETWEEN] if second else [_PAD]
    body: list[str] = []
    for side, (left, shown) in enumerate(zip(places, (first, second), strict=False)):
        assert shown is not None
        body += _title(shown, left)
        counts = [part.flops for row in _all(rows) if not row.inner and (part := row.sides[side]) is not None]
        y = _TOP
        for row in rows:
            body += _drawn(row, side, left, y, _WIDE, max([1, *counts]))
            y += row.height + _GAP
    bottom = _TOP + sum(row.height + _GAP for row in rows)
    width = places[-1] + _WIDE + _PAD
    repeated = any(part is not None and part.times > 1 for row in _all(rows) for part in row.sides)
    body += _legend(bottom + 14, second is not None, {row.state for row in _all(rows)}, repeated)
    height = bottom + (68 if second else 44)
    font = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{font}" font-size="13" fill="{_INK}">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


# -- what stands beside what ------------------------------------------------------------------------------------------


def _rows(left: Sequence[Part], right: Sequence[Part] | None) -> Iterator[_Row]:
    if right is None:
        for part in left:
            yield _Row((part, None), "same", tuple(_rows(part.parts, None)))
        return
    matcher = SequenceMatcher(None, [part.form for part in left], [part.form for part in right], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            for one, other in zip(left[a:b], right[c:d], strict=True):
                yield _Row((one, other), "same", tuple(_rows(one.parts, other.parts)))
            continue
        yield from _unequal(left[a:b], right[c:d])


def _unequal(left: Sequence[Part], right: Sequence[Part]) -> Iterator[_Row]:
    """Parts of one kind in the same order are the same part, changed; the rest is on one side only."""
    matcher = SequenceMatcher(None, [_kin(part) for part in left], [_kin(part) for part in right], autojunk=False)
    for what, a, b, c, d in matcher.get_opcodes():
        if what == "equal":
            for one, other in zip(left[a:b], right[c:d], strict=True):
                yield _Row((one, other), "changed", tuple(_rows(one.parts, other.parts)))
            continue
        gone, come = list(_alone(left[a:b], 0)), list(_alone(right[c:d], 1))
        both = min(len(gone), len(come))
        for pair in zip(gone[:both], come[:both], strict=True):
            yield _Row((None, None), "changed", instead=pair)
        yield from (*gone[both:], *come[both:])


def _kin(part: Part) -> tuple[str, bool]:
    return part.kind, bool(part.parts)


def _alone(parts: Sequence[Part], side: int) -> Iterator[_Row]:
    for part in parts:
        sides = (None, part) if side else (part, None)
        yield _Row(sides, "added" if side else "removed", tuple(_alone(part.parts, side)))


def _all(rows: Sequence[_Row]) -> Iterator[_Row]:
    for row in rows:
        if not row.instead:
            yield row
        yield from _all((*row.inner, *row.instead))


# -- ink --------------------------------------------------------------------------------------------------------------


def _drawn(row: _Row, side: int, left: int, y: int, width: int, most: int) -> Iterator[str]:
    if row.instead:
        row = row.instead[side]
    part = row.sides[side]
    if part is not None:
        framed = bool(row.inner)
        fill = "#ffffff" if framed and row.state in ("same", "changed") else _FILL[row.state]
        dash = "" if part.used else ' stroke-dasharray="4 3"'
        yield (
            f'<rect x="{left}" y="{y}" width="{width}" height="{row.height}" rx="6" fill="{fill}" '
            f'stroke="{_EDGE[row.state]}"{dash}/>'
        )
        yield from _line(part, left, y, width, most, framed)
    below = y + _HEAD
    for inner in row.inner:
        yield from _drawn(inner, side, left + 10, below, width - 20, most)
        below += inner.height + _GAP


def _line(part: Part, left: int, y: int, width: int, most: int, framed: bool) -> Iterator[str]:
    base, right = y + 18, left + width
    times = f' <tspan fill="{_BAR}" font-weight="700">× {part.times}</tspan>' if part.times > 1 else ""
    weight = "600" if framed else "500"
    said = f" {part.detail}".replace(" x ", " × ").replace(" to ", " → ").strip()
    detail = f' <tspan fill="{_PALE}">{escape(said)}</tspan>' if said else ""
    unused = "" if part.used else f' <tspan fill="{_PALE}" font-style="italic">not used</tspan>'
    name = f'<tspan font-weight="{weight}">{escape(part.kind)}</tspan>'
    yield f'<text x="{left + 12}" y="{base}">{name}{times}{detail}{unused}</text>'
    # Columns stand at fixed distances from the right edge of the drawing, whatever the depth of the frame.
    inset = (_WIDE - width) // 2
    edge = right + inset - _EDGE_IN
    yield _number(edge - 210, base, " × ".join(map(str, part.shape)))
    yield _number(edge - 120, base, _short(part.parameters) if part.parameters else "")
    if not framed and part.flops:
        yield _number(edge - 52, base, _short(part.flops))
        yield (
            f'<rect x="{edge - 44}" y="{y + 9}" width="{max(1.0, 34 * part.flops / most):.1f}" height="8" rx="2" '
            f'fill="{_BAR}" opacity="0.75"/>'
        )
    elif part.flops:
        yield _number(edge - 52, base, _short(part.flops))


def _number(x: int, y: int, text: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="end" fill="{_PALE}">{escape(text)}</text>' if text else ""


def _title(network: Network, left: int) -> Iterator[str]:
    whole, shape = network.whole, " × ".join(map(str, network.input))
    yield f'<text x="{left + 2}" y="32" font-size="19" font-weight="650">{escape(network.name)}</text>'
    totals = f"{whole.parameters:,} parameters · {_short(whole.flops)} operations per example · input {shape}"
    yield f'<text x="{left + 2}" y="54" fill="{_PALE}">{totals}</text>'
    edge = left + _WIDE - _EDGE_IN
    for x, word in ((edge - 210, "output"), (edge - 120, "parameters"), (edge - 52, "operations")):
        yield f'<text x="{x}" y="{_TOP - 9}" text-anchor="end" font-size="11" fill="{_PALE}">{word}</text>'


def _legend(y: int, compared: bool, states: set[str], repeated: bool) -> Iterator[str]:
    x = _PAD + 2
    if compared:
        for state in ("same", "changed", "removed", "added"):
            if state in states:
                look = f'fill="{_FILL[state]}" stroke="{_EDGE[state]}"'
                yield f'<rect x="{x}" y="{y}" width="14" height="14" rx="3" {look}/>'
                yield f'<text x="{x + 20}" y="{y + 11}" font-size="12">{_WORDS[state]}</text>'
                x += 38 + round(5.7 * len(_WORDS[state]))
        x, y = _PAD + 2, y + 24
    says = "Bars: operations of a layer against the largest; a multiplication with its addition counts as two."
    if repeated:
        says += " Numbers beside × n are of all n together."
    yield f'<text x="{x}" y="{y + 11}" font-size="12" fill="{_PALE}">{says}</text>'


def _short(count: int) -> str:
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
