"""Three-valued judgement of numbers that are known within an interval. Nothing here knows a study."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

TRUE, FALSE, UNKNOWN = "true", "false", "unknown"
_INF = math.inf


@dataclass(frozen=True)
class Known:
    """A number: an `estimate` within [low, high], a p-value (`p`), or `exact`. `origin` names where it comes from."""

    value: float
    low: float
    high: float
    kind: str = "exact"
    n: int | None = None
    origin: str = ""

    @property
    def certain(self) -> bool:
        """Whether there is no interval to respect."""
        return self.kind == "exact"


@dataclass(frozen=True)
class Unknown:
    """A number that cannot be known, with the reason in words."""

    because: str


Value = Known | Unknown


def exact(value: float, n: int | None = None) -> Known:
    """A number without uncertainty."""
    return Known(value, value, value, "exact", n)


# --- arithmetic ----------------------------------------------------------------------------------------------


def combine(operator: str, left: Value, right: Value) -> Value:
    """`+ - * / **` on intervals.

    For two estimates of one analysis the ends combine in the least favourable way, which covers at least as often as
    each interval does, whatever their correlation.
    """
    if isinstance(left, Unknown):
        return left
    if isinstance(right, Unknown):
        return right
    why = _apart(left, right)
    if why:
        return Unknown(why)
    if "p" in (left.kind, right.kind):
        return _scaled_p(operator, left, right)
    try:
        value = _ARITHMETIC[operator](left.value, right.value)
        low, high = _corners(operator, left, right)
    except (ValueError, ZeroDivisionError, OverflowError):
        return Unknown(f"'{operator}' has no finite result for {_between(left)} and {_between(right)}")
    kind = "exact" if left.certain and right.certain else "estimate"
    return Known(value, low, high, kind, _n(left, right), left.origin or right.origin)


def _apart(left: Known, right: Known) -> str:
    if left.certain or right.certain or left.origin == right.origin:
        return ""
    return (
        f"{left.origin} and {right.origin} are estimates whose joint distribution is unknown; compare them in one "
        "analysis, or against a number"
    )


def _scaled_p(operator: str, left: Known, right: Known) -> Value:
    p, factor = (left, right) if left.kind == "p" else (right, left)
    if factor.certain and factor.value > 0 and (operator == "*" or (operator == "/" and p is left)):
        value = p.value * factor.value if operator == "*" else p.value / factor.value
        return replace(p, value=value, low=value, high=value)
    return Unknown("a p-value may only be compared with a number, or multiplied by one")


_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: 0.0 if 0.0 in (a, b) else a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


def _corners(operator: str, left: Known, right: Known) -> tuple[float, float]:
    if operator == "/" and right.low <= 0 <= right.high:
        raise ZeroDivisionError
    if operator == "**":
        if not right.certain:
            raise ValueError
        if left.low < 0 < left.high and right.value % 2 == 0:
            return 0.0, max(left.low**right.value, left.high**right.value)
        if left.low < 0 and right.value != int(right.value):
            raise ValueError
    ends = [_ARITHMETIC[operator](a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    if any(isinstance(end, complex) or math.isnan(end) for end in ends):
        raise ValueError
    return min(ends), max(ends)


def apply(function: str, value: Value) -> Value:
    """`log log2 log10 exp sqrt abs` and `-` on an interval."""
    if isinstance(value, Unknown):
        return value
    if value.kind == "p" and function not in ("log", "log2", "log10"):
        return Unknown("a p-value may only be compared with a number, or multiplied by one")
    try:
        if function == "-":
            return replace(value, value=-value.value, low=-value.high, high=-value.low)
        if function == "abs":
            ends = sorted((abs(value.low), abs(value.high)))
            low = 0.0 if value.low <= 0 <= value.high else ends[0]
            return replace(value, value=abs(value.value), low=low, high=ends[1])
        monotone = _MONOTONE[function]
        return replace(
            value, value=monotone(value.value), low=_end(monotone, value.low), high=_end(monotone, value.high)
        )
    except (ValueError, OverflowError):
        return Unknown(f"'{function}' has no finite result for {_between(value)}")


def _end(function: Callable[[float], float], end: float) -> float:
    return function(end) if math.isfinite(end) or function is math.exp else end


_MONOTONE: Mapping[str, Callable[[float], float]] = {
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "exp": math.exp,
    "sqrt": math.sqrt,
}


def over(function: str, values: Sequence[Value]) -> Value:
    """`mean min max sum` over several estimates of one analysis; `median` and `spread` of exact numbers only."""
    for value in values:
        if isinstance(value, Unknown):
            return value
    known = [value for value in values if isinstance(value, Known)]
    if not known:
        return Unknown("there is no value to take")
    if any(value.kind == "p" for value in known) and function not in ("min", "max"):
        return Unknown("p-values cannot be averaged")
    if function in ("median", "spread") and not all(value.certain for value in known):
        return Unknown(f"'{function}' of estimates has no interval; describe them in an analysis")
    reductions: dict[str, Callable[[Sequence[float]], float]] = {
        "mean": _mean, "sum": math.fsum, "min": min, "max": max, "median": _median, "spread": _sd,
    }  # fmt: skip
    reduce = reductions[function]
    if function == "spread" and len(known) < 2:
        return Unknown("one value has no spread")
    kinds = {value.kind for value in known}
    kind = "exact" if kinds == {"exact"} else "p" if kinds == {"p"} else "estimate"
    middle, low, high = (reduce([getattr(one, name) for one in known]) for name in ("value", "low", "high"))
    smallest = min((one.n for one in known if one.n is not None), default=None)
    return Known(middle, low, high, kind, smallest, known[0].origin)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return 0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


def _sd(values: Sequence[float]) -> float:
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _n(left: Known, right: Known) -> int | None:
    return min((n for n in (left.n, right.n) if n is not None), default=None)


# --- comparison ----------------------------------------------------------------------------------------------


def compare(operator: str, left: Known, right: Known) -> tuple[str, str]:
    """(`true`, `false` or `unknown`, why) of a comparison by the table of GRAMMAR section 7."""
    if "p" in (left.kind, right.kind):
        return _compare_p(operator, left, right)
    why = _apart(left, right)
    if why:
        return UNKNOWN, why
    outcome = _decide(operator, left, right)
    target = f"{operator} {number(right.value)}" if right.certain else f"{operator} {_between(right)}"
    if left.certain and right.certain:
        words = {TRUE: f"which satisfies {target}", FALSE: f"which violates {target}"}
        return outcome, words[outcome]
    words = {
        TRUE: f"all of the interval satisfies {target}",
        FALSE: f"all of the interval violates {target}",
        UNKNOWN: f"the interval decides neither for nor against {target}",
    }
    return outcome, words[outcome]


def _decide(operator: str, left: Known, right: Known) -> str:
    a, b, c, d = left.low, left.high, right.low, right.high
    if operator == "<":
        return TRUE if b < c else FALSE if a >= d else UNKNOWN
    if operator == "<=":
        return TRUE if b <= c else FALSE if a > d else UNKNOWN
    if operator in (">", ">="):
        return _decide("<" if operator == ">" else "<=", right, left)
    apart = b < c or d < a
    same = a == b and c == d and math.isclose(a, c, rel_tol=1e-12)  # exact, up to the rounding of arithmetic
    apart = apart and not same
    equal = TRUE if same else FALSE if apart else UNKNOWN
    return equal if operator == "==" else negate(equal)


def _compare_p(operator: str, left: Known, right: Known) -> tuple[str, str]:
    if left.kind != "p":
        mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
        return _compare_p(mirrored[operator], right, left) if operator in mirrored else (UNKNOWN, "p is no point")
    if not right.certain or operator in ("==", "!="):
        return UNKNOWN, "a p-value can only be held against a level, with < or >"
    below = left.value < right.value or (operator in ("<=", ">") and left.value == right.value)
    level = number(right.value)
    if below:
        return (TRUE if operator in ("<", "<=") else FALSE), f"below {level}"
    return UNKNOWN, f"not below {level}, and absence of significance refutes nothing"


def negate(outcome: str) -> str:
    """Kleene's `not`."""
    return {TRUE: FALSE, FALSE: TRUE}.get(outcome, UNKNOWN)


def both(outcomes: Sequence[str]) -> str:
    """Kleene's `and`."""
    return FALSE if FALSE in outcomes else UNKNOWN if UNKNOWN in outcomes else TRUE


def either(outcomes: Sequence[str]) -> str:
    """Kleene's `or`."""
    return TRUE if TRUE in outcomes else UNKNOWN if UNKNOWN in outcomes else FALSE


# --- words ---------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Four significant digits, whole numbers in full."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e12 else f"{value:.4g}"


def _between(value: Known) -> str:
    if value.certain or value.kind == "p":
        return number(value.value)
    low = "no lower bound" if value.low == -_INF else number(value.low)
    high = "no upper bound" if value.high == _INF else number(value.high)
    return f"{low} to {high}"


def words(value: Known, confidence: float) -> str:
    """The number with its interval and n, as a sentence has it."""
    text = number(value.value)
    inside = []
    if value.kind == "estimate":
        inside.append(f"{number(100 * confidence)} % interval {_between(value)}")
    if value.n is not None:
        inside.append(f"n = {value.n}")
    return f"{text} ({', '.join(inside)})" if inside else text
