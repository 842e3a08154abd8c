"""The words of expressions: references, numbers, operators, each with its position in the text."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .references import parse_ref
from .spec import Number, Ref

#: Functions of one number.
SCALAR = ("log", "log2", "log10", "exp", "sqrt", "abs")
#: Functions over the values that a `@axis=*` spreads; `spread` is the sample standard deviation.
OVER = ("mean", "median", "min", "max", "sum", "spread")
FUNCTIONS = SCALAR + OVER

_ALLOWED = f"Allowed: numbers, columns, + - * / **, comparisons, and or not, {' '.join(FUNCTIONS)}."
_NAME = r"[a-z][a-z0-9_-]*"
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_COLUMN = r"[A-Za-z][A-Za-z0-9_-]*"
_LABEL = r"[A-Za-z0-9][A-Za-z0-9_.+%-]*"
_VALUE = rf"(?:\*|\${_NAME}(?:\.{_NAME})?|{_LABEL}(?:/{_LABEL})?)"
_AT = rf"@{_NAME}(?:\.{_NAME})?={_VALUE}"
_REFERENCE = rf"(?:{_NAME}/)?{_NAME}(?:\.(?:\*|{_COLUMN}))?(?:{_AT})*"
_TOKEN = re.compile(
    rf"(?P<number>{_DIGITS}/{_DIGITS}(?![0-9_])|{_DIGITS}(?:\.{_DIGITS})?(?:[eE][+-]?[0-9]+)?%?)"
    rf"|(?P<reference>{_REFERENCE})"
    r"|(?P<operator>\*\*|<=|>=|==|!=|[<>+\-*/()])"
)
_WORDS = ("and", "or", "not")


class ExpressionError(ValueError):
    """A text that is no expression. `text` is the sentence, `column` the position in the expression, from 1."""

    def __init__(self, text: str, column: int) -> None:
        self.text, self.column = text, column
        super().__init__(f"column {column}: {text}")


@dataclass(frozen=True)
class Token:
    """One word of an expression."""

    kind: str  # number, reference, word, operator, end
    text: str
    start: int
    end: int


def reference(text: str, start: int = 0) -> Ref:
    """Read `[use/]name[.column][@axis=value]...`; a value is a label, `*`, `$factor` or `$factor.field`.

    `start` is where the text begins in a longer one; it moves the column of errors.

    Raises:
        ExpressionError: anything else, or an axis fixed twice.
    """
    if not re.fullmatch(_REFERENCE, text):
        good = re.match(_REFERENCE, text)
        end = good.end() if good else 0
        raise ExpressionError(_unexpected(text, end), start + end + 1)
    try:
        return parse_ref(text)
    except ValueError as error:
        raise ExpressionError(str(error), start + 1) from None


def _unexpected(text: str, at: int) -> str:
    """Why the character at this position cannot stand there."""
    if at >= len(text):
        return "the expression ends too early."
    char = text[at]
    if char == ",":
        return "a comma is no part of an expression: functions take one argument. " + _ALLOWED
    if char == "$":
        return "'$' stands at the start of a value, not inside an expression; write the column's own name."
    if char == "@":
        return "after '@' an axis, '=' and a value are expected, such as @step=100 or @seed=*."
    if char == ".":
        dash = "-" in re.split(r"[\s()]", text[:at])[-1]
        hint = " '-' is part of a name; for a difference put spaces: a.x - b.y." if dash else ""
        return f"a '.' stands between a name and its column, such as model.accuracy.{hint}"
    if char == "%" and text[:at].endswith(" "):
        return "'%' stands right behind its number, without a space: 5%."
    if char == "=":
        return "'=' alone compares nothing; write '=='."
    if char.isupper():
        return f"'{char}': names are written in lower case."
    return f"{char!r} is no part of an expression. {_ALLOWED}"


def tokens(text: str) -> list[Token]:
    """The words of a text, closed by one of the kind `end`.

    Raises:
        ExpressionError: a character that no expression has.
    """
    quote = re.search(r"['\"`]", text)
    if quote:  # said first: whoever quotes means a string, and there are none
        raise ExpressionError(f"a quote is no part of an expression. {_ALLOWED}", quote.start() + 1)
    out, position = [], 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if not match:
            raise ExpressionError(_unexpected(text, position), position + 1)
        kind = "number" if match["number"] else "reference" if match["reference"] else "operator"
        if match[0] in _WORDS:
            kind = "word"
        out.append(Token(kind, match[0], position, match.end()))
        position = match.end()
    return [*out, Token("end", "", len(text), len(text))]


def number(token: Token) -> Number:
    """The value of a number: `75%`, `8/255`, `1e-3`, `260_000`.

    Raises:
        ExpressionError: a division by zero, or beyond the finite numbers.
    """
    plain = token.text.replace("_", "")
    top, slash, bottom = plain.partition("/")
    if slash:
        if int(bottom) == 0:
            raise ExpressionError(f"{token.text} divides by zero.", token.start + 1)
        try:
            value = int(top) / int(bottom)
        except OverflowError:
            value = math.inf
    else:
        value = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    if not math.isfinite(value):
        raise ExpressionError(f"{token.text} is too large a number.", token.start + 1)
    return Number(value, token.text)
