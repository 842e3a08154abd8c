"""Numbers as people read them: sensible digits, true minus signs, thin spaces between groups of three."""

from __future__ import annotations

import math
from collections.abc import Iterable

from crucis.report.content import Absent, Cell, Estimate

MINUS, THIN, DASH = "\u2212", "\u202f", "\u2013"
_SUPER = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def grouped(text: str) -> str:
    """`1234567.8` with thin spaces before every three digits of the whole part, from 10,000 on."""
    whole, point, rest = text.partition(".")
    if len(whole) > 4:
        head = len(whole) % 3 or 3
        whole = THIN.join([whole[:head], *(whole[i : i + 3] for i in range(head, len(whole), 3))])
    return whole + point + rest


def _signed(value: float, text: str) -> str:
    return MINUS + text if value < 0 and any(digit in text for digit in "123456789") else text


def fixed(value: float, decimals: int) -> str:
    """A number with that many decimals."""
    return _signed(value, grouped(f"{abs(value):.{max(decimals, 0)}f}"))


def power_of_ten(power: int) -> str:
    """10 with that exponent raised."""
    return "10" + str(power).translate(_SUPER)


def number(value: float, digits: int = 3) -> str:
    """A number with that many significant digits; whole numbers in full; very large and small ones as powers of ten."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _signed(value, grouped(str(abs(value))))
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else (MINUS if value < 0 else "") + "∞"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    if power < -4 or power > 6:
        head = f"{abs(value) / 10.0**power:.{digits - 1}f}"
        return _signed(value, f"{head}{THIN}×{THIN}{power_of_ten(power)}")
    return fixed(value, digits - 1 - power)


def decimals_for(low: float, high: float) -> int:
    """Decimals that an interval of that width can carry: its half-width keeps one to two significant digits."""
    width = abs(high - low)
    if not math.isfinite(width) or width == 0:
        return 3
    return min(max(math.ceil(1.2 - math.log10(width)), 0), 8)


def _extreme(item: Estimate) -> bool:
    """Whether the estimate is better written with powers of ten."""
    ends = [abs(end) for end in (item.value, item.low, item.high) if end is not None and math.isfinite(end)]
    return bool(ends) and (max(ends) >= 1e7 or 0 < max(ends) < 1e-4)


def common_decimals(cells: Iterable[Cell]) -> int | None:
    """One number of decimals for a column of estimates, where their intervals are of like width; else None."""
    places = [
        decimals_for(item.low, item.high)
        for item in cells
        if isinstance(item, Estimate) and item.low is not None and item.high is not None and not _extreme(item)
    ]
    if not places or max(places) - min(places) > 1:
        return None
    return max(set(places), key=lambda place: (places.count(place), place))


def estimate(item: Estimate, decimals: int | None = None) -> str:
    """`0.61 [0.12, 0.88]`, rounded to what the interval can carry or to that many decimals."""
    if item.low is None or item.high is None:
        return number(item.value)
    if _extreme(item):
        return f"{number(item.value)} [{number(item.low)}, {number(item.high)}]"
    places = decimals_for(item.low, item.high) if decimals is None else decimals
    value, low, high = (
        fixed(end, places) if math.isfinite(end) else number(end) for end in (item.value, item.low, item.high)
    )
    return f"{value} [{low}, {high}]"


def p_value(value: float) -> str:
    """`0.034`, `0.21`, `< 0.001`."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}"


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    for size, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{number(value / size, 2 if value < 10 * size else 3)} {unit}"
    return f"{number(float(value), 2)} s"


def size(value: int) -> str:
    """A number of bytes in the unit that suits it."""
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if value >= 1000**power:
            return f"{number(value / 1000**power)} {unit}"
    return f"{value} B"


def cell(value: Cell, kind: str = "text", decimals: int | None = None) -> str:
    """What stands in a table for a value of a column of that kind."""
    if value is None:
        return DASH
    if isinstance(value, Absent):
        return value.state
    if isinstance(value, Estimate):
        return estimate(value, decimals)
    if isinstance(value, str):
        return value
    if kind == "p":
        return p_value(float(value))
    if kind == "n" and float(value).is_integer():
        return number(int(value))
    return number(value)
