"""Units and ranges of expressions: what an expression can come out at, known before anything runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from .expressions import COMPARISONS, OVER, render
from .spec import Binary, Call, Column, Expression, Number, Ref, Unary

#: Units that are pure numbers and may be added to one another; "1" goes with everything that has no dimension.
PURE = frozenset({"1", "fraction", "ratio", "probability", "probability of improvement", "sd"})
_SAME = {"loss": "nats", "percent": "fraction"}
_ALWAYS = {"<": lambda a, b: a[1] < b[0], "<=": lambda a, b: a[1] <= b[0]}
_TURNED = {">": "<", ">=": "<=", "<": ">", "<=": ">="}


class QuantityError(ValueError):
    """An expression that cannot be meant: seconds plus bytes, an accuracy above 75. `code` is that of the fault."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True)
class Quantity:
    """A unit (None: a number as written) and a range; `flag` marks a condition, `name` is for messages."""

    unit: str | None = "1"
    low: float = -math.inf
    high: float = math.inf
    flag: bool = False
    name: str = ""

    @property
    def constant(self) -> bool:
        """Whether only one value is possible."""
        return self.low == self.high

    @property
    def family(self) -> str | None:
        """Units of one family may be added and compared."""
        return "1" if self.unit in PURE else self.unit


def infer(e: Expression, look: Callable[[Ref], Quantity]) -> Quantity:
    """The quantity of an expression, given that of every column.

    Raises:
        QuantityError: units that do not go together, a comparison that is always or never true, a condition where a
            number is due or the other way round, an aggregate without `@axis=*`.
    """
    if isinstance(e, Number):
        return Quantity(None, e.value, e.value, name=e.text)
    if isinstance(e, Column):
        return replace(look(e.ref), name=str(e.ref))
    if isinstance(e, Call):
        return _call(e, _number(infer(e.argument, look), e.argument))
    if isinstance(e, Unary):
        inner = infer(e.operand, look)
        if e.operator == "not":
            return replace(_condition(inner, e.operand), name=render(e))
        inner = _number(inner, e.operand)
        return Quantity(inner.unit, -inner.high, -inner.low, name=render(e))
    left, right = infer(e.left, look), infer(e.right, look)
    if e.operator in ("and", "or"):
        _condition(left, e.left), _condition(right, e.right)
        return Quantity("1", 0.0, 1.0, True, render(e))
    left, right = _number(left, e.left), _number(right, e.right)
    if e.operator in COMPARISONS:
        return _comparison(e, left, right)
    return replace(_arithmetic(e, left, right), name=render(e))


def _number(q: Quantity, e: Expression) -> Quantity:
    if q.flag:
        raise QuantityError("not-a-number", f"'{render(e)}' is a condition, where a number is expected.")
    return q


def _condition(q: Quantity, e: Expression) -> Quantity:
    if not q.flag:
        raise QuantityError(
            "not-a-condition", f"'{render(e)}' is a number, where a condition such as a > 0 is expected."
        )
    return q


def together(left: Quantity, right: Quantity) -> str | None:
    """The unit of a sum, or None for two written numbers.

    Raises:
        QuantityError: units of different families.
    """
    one, other = left.unit, right.unit
    if one is None or other is None or one == other:
        return one if one is not None else other
    if _SAME.get(one, one) == _SAME.get(other, other):
        return one
    if one in PURE and other in PURE:
        return "1"
    if "1" in (one, other) and {one, other} & {"nats", "loss"}:
        return other if one == "1" else one
    raise QuantityError(
        "unlike-units", f"{left.name} is in {_in(one)} and {right.name} in {_in(other)}: they do not go together."
    )


def _in(unit: str) -> str:
    return {"1": "pure numbers", "count": "counts", "fraction": "fractions of 1"}.get(unit, unit)


def _comparison(e: Binary, left: Quantity, right: Quantity) -> Quantity:
    together(left, right)
    never, always = _certain(e.operator, left, right)
    if never or always:
        raise QuantityError("impossible-comparison", _impossible(e, left, right, never))
    return Quantity("1", 0.0, 1.0, True, render(e))


def _certain(operator: str, left: Quantity, right: Quantity) -> tuple[bool, bool]:
    """(whether it can never hold, whether it always does), by the ranges alone."""
    a, b = (left.low, left.high), (right.low, right.high)
    apart = a[1] < b[0] or b[1] < a[0]
    if operator in ("==", "!="):
        return (apart, False) if operator == "==" else (False, apart)
    if operator in (">", ">="):
        operator, a, b = _TURNED[operator], b, a
    turned = "<=" if operator == "<" else "<"  # not (a < b) is b <= a
    return _ALWAYS[turned](b, a), _ALWAYS[operator](a, b)


def _impossible(e: Binary, left: Quantity, right: Quantity, never: bool) -> str:
    column, number = (right, left) if left.unit is None else (left, right)
    name = column.name.rpartition(".")[2].partition("@")[0] if "." in column.name else column.name
    head = f"{name} lies in [{_end(column.low)}, {_end(column.high)}]"
    if not number.constant:
        return f"{head}, so '{render(e)}' is {'never' if never else 'always'} true."
    text = number.name or f"{number.low:g}"
    if not never:
        return f"{head}, so '{render(e)}' is always true and says nothing."
    share = number.low / 100
    hint = f" Write {text}% or {share:g}." if column.low <= share <= column.high and text.isdigit() else ""
    return f"{head}; {text} can never be reached.{hint}"


def _end(value: float) -> str:
    return ("-inf" if value < 0 else "inf") if math.isinf(value) else f"{value:g}"


def _arithmetic(e: Binary, left: Quantity, right: Quantity) -> Quantity:
    if e.operator == "+":
        return Quantity(together(left, right), left.low + right.low, left.high + right.high)
    if e.operator == "-":
        return Quantity(together(left, right), left.low - right.high, left.high - right.low)
    if e.operator == "*":
        return Quantity(_product(left.unit, right.unit), *_ends(_times, left, right))
    if e.operator == "/":
        if right.constant and right.low == 0:
            raise QuantityError("division-by-zero", f"'{render(e)}' divides by zero.")
        spans = right.low <= 0 <= right.high
        ends = (-math.inf, math.inf) if spans else _ends(_over, left, right)
        return Quantity(_quotient(left, right), *ends)
    return _power(left, right)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _over(a: float, b: float) -> float:
    return 0.0 if math.isinf(b) else a / b


def _ends(rule: Callable[[float, float], float], left: Quantity, right: Quantity) -> tuple[float, float]:
    corners = [rule(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return min(corners), max(corners)


def _product(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one if one is not None else other
    if one in PURE or other in PURE:
        return ("1" if other in PURE else other) if one in PURE else one
    return " * ".join(sorted((one, other)))


def _quotient(left: Quantity, right: Quantity) -> str | None:
    if right.unit is None:
        return left.unit
    if left.unit is not None and left.family == right.family:
        return "ratio"
    if right.unit in PURE:
        return left.unit if left.unit is not None else "1"
    return f"{left.unit or '1'} / {right.unit}"


def _power(left: Quantity, right: Quantity) -> Quantity:
    if right.unit is not None and right.unit not in PURE:
        raise QuantityError("unlike-units", f"an exponent is a pure number, and {right.name} is in {_in(right.unit)}.")
    unit = left.unit if left.unit is None else "1" if left.unit in PURE else f"{left.unit} ** {right.name}"
    if left.low >= 0 and right.constant and right.low >= 0:
        try:
            return Quantity(unit, left.low**right.low, left.high**right.low)
        except OverflowError:
            return Quantity(unit, 0.0)
    return Quantity(unit)


def _call(e: Call, q: Quantity) -> Quantity:
    name = render(e)
    if e.function in OVER:
        if e.function == "spread":
            return Quantity(q.unit, 0.0, q.high - q.low, name=name)
        if e.function == "sum":
            low, high = q.low if q.low >= 0 else -math.inf, q.high if q.high <= 0 else math.inf
            return Quantity(q.unit, low, high, name=name)
        return replace(q, name=name)
    if e.function == "abs":
        least = 0.0 if q.low <= 0 <= q.high else min(abs(q.low), abs(q.high))
        return Quantity(q.unit, least, max(abs(q.low), abs(q.high)), name=name)
    if q.high < 0 and e.function != "exp":
        raise QuantityError("out-of-range", f"{name}: {q.name} is always below 0.")
    unit = f"sqrt({q.unit})" if e.function == "sqrt" and q.unit is not None and q.unit not in PURE else "1"
    return Quantity(None if q.unit is None else unit, _image(e.function, q.low), _image(e.function, q.high), name=name)


def _image(function: str, x: float) -> float:
    """A monotonic function at an end of a range."""
    if function == "exp":
        return math.exp(x) if x < 700 else math.inf
    if function == "sqrt":
        return math.sqrt(max(x, 0.0))
    if x <= 0:
        return -math.inf
    return math.inf if math.isinf(x) else float(getattr(math, function)(x))
