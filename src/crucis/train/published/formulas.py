"""Arithmetic over facts: formulas of derived values recomputed, and how close a written number must come.

A formula has numbers, `+ - * / **`, parentheses and `floor(...)`; nothing else is evaluated.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from decimal import Decimal

_TWO: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: pow,
}  # fmt: skip


def evaluate(formula: str) -> float:
    """The value of a formula: `evaluate("600000*256/1281167")` is 119.889...

    Raises:
        ValueError: anything but numbers, the five operations, parentheses and `floor`.
    """
    return _value(ast.parse(formula, mode="eval").body, formula)


def _value(node: ast.expr, formula: str) -> float:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _TWO:
            return _TWO[type(op)](_value(left, formula), _value(right, formula))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, formula)
        case ast.Call(func=ast.Name(id="floor"), args=[argument], keywords=[]):
            return math.floor(_value(argument, formula))
    raise ValueError(f"{formula!r} is no arithmetic of numbers, + - * / ** and floor()")


def last_digit(value: float) -> float:
    """What one unit of the last written digit is worth: 0.01 for 119.89, 1 for 120 and for 450410.

    A whole number is taken to be written to its last digit; `1e-05` to its one digit.
    """
    number = Decimal(repr(value))
    if number == number.to_integral_value():
        return 1.0
    exponent = number.as_tuple().exponent
    return float(Decimal(1).scaleb(int(exponent)))


def rounds_to(exact: float, written: float) -> bool:
    """Whether `written` is `exact` rounded to the digits that it has: 119.889 rounds to 119.89, 119.9 and 120."""
    return abs(exact - written) <= last_digit(written) / 2 * (1 + 1e-9)
