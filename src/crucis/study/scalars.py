"""What a word means: numbers, percentages, fractions, times, names and labels, as strict YAML 1.2 core reads them."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from typing import Any

NAME = re.compile(r"[a-z][a-z0-9_-]*")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+%-]*")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*(?:_[0-9]+)*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")
_NOTHING = {"", "~", "null", "Null", "NULL"}
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_PERCENT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9]+)?%")
_FRACTION = re.compile(r"[-+]?[0-9]+/[0-9]+")
_TIME = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|days?)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}
_LIMIT = 2**63


class ScalarError(ValueError):
    """A plain word that YAML would read in a way that surprises; `code` is that of the fault."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


def resolve(text: str) -> Any:
    """The value of a plain (unquoted) scalar: bool, int, float or text.

    Raises:
        ScalarError: nothing, not a finite number, a leading zero, a number too large.
    """
    if text in ("true", "false"):
        return text == "true"
    if text in _NOTHING:
        raise ScalarError("no-value", "no value. Write one, or leave the key out for the default.")
    if _NOT_FINITE.fullmatch(text):
        raise ScalarError("not-finite", f"{text} is no number to work with. Leave the key out, or write 'none'.")
    if _LEADING_ZERO.fullmatch(text):
        raise ScalarError(
            "leading-zero",
            f"{text} begins with a zero: one YAML reads it in base 8, another in base 10. "
            f"Write {text.lstrip('0_') or 0}, or quote it if a text is meant.",
        )
    if _BASED.fullmatch(text):
        return _bounded(int(text, 0), text)
    if _INTEGER.fullmatch(text):
        return _bounded(int(text.replace("_", "")) if len(text) < 40 else _LIMIT, text)
    if _FLOAT.fullmatch(text):
        value = float(text.replace("_", ""))
        if not math.isfinite(value):
            raise ScalarError("too-large", f"{text} is larger than any number a computer adds. Write a smaller one.")
        return value
    return text


def _bounded(value: int, text: str) -> int:
    if abs(value) >= _LIMIT:
        shown = text if len(text) < 30 else text[:12] + "..."
        raise ScalarError("too-large", f"{shown} has no place in 64 bits. Write a smaller number.")
    return value


def number(value: Any) -> float | int | None:
    """The number that a value stands for where one is due (`50%` is 0.5, `8/255` the fraction), or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        if _PERCENT.fullmatch(value):
            exact = Fraction(value[:-1].replace("_", "")) / 100
            return float(exact)
        if _FRACTION.fullmatch(value) and len(value) < 60:
            top, bottom = value.split("/")
            return float(Fraction(int(top), int(bottom))) if int(bottom) else None
    return None


def looks_like_number(text: str) -> bool:
    """Whether a text, unquoted, would be a number."""
    return bool(_INTEGER.fullmatch(text) or _FLOAT.fullmatch(text))


def seconds(value: Any) -> float:
    """The seconds of `90 s`, `45 min`, `8 h`, `2 days`.

    Raises:
        ValueError: with a sentence.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise ValueError(
            f"{show(value)} is a number; a time has a unit. Write '{show(value)} h' or '{show(value)} min'."
        )
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"expected a time such as '45 min' or '8 h', got {show(value)}.")
    return float(match[1]) * _SECONDS[match[2]]


def label_of(value: Any) -> str | None:
    """The label that a scalar gives itself, or None if it cannot: numbers by value, spaces `-`, slashes `_`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        value = label_text(value)
        if value.endswith(".py"):
            value = value.rpartition("/")[2][:-3]
        text = value.replace(" ", "-").replace("/", "_").replace(":", "_")
    elif isinstance(value, (int, float)):
        text = str(value)
    else:
        return None
    return text if LABEL.fullmatch(text) else None


def label_text(text: str) -> str:
    """A label as it is kept: one that reads as a number is written by value, so that `1e-3` and `0.001` are one."""
    if looks_like_number(text) and not _LEADING_ZERO.fullmatch(text):
        try:
            return str(resolve(text))
        except ScalarError:
            return text
    return text


def show(value: Any) -> str:
    """A value for an error text, on one line and not long."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = f"'{value}'"
    elif isinstance(value, dict):
        text = "{" + ", ".join(f"{key}: {bare(item)}" for key, item in value.items()) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(bare(item) for item in value) + "]"
    else:
        text = str(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


def bare(value: Any) -> str:
    """As `show`, but texts without quotes, as one would write them in the file."""
    return value if isinstance(value, str) and len(value) <= 60 else show(value)
