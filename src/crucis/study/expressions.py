"""Expressions of `derive` and `claims`: text -> typed tree -> text. Nothing is ever given to Python to evaluate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import inf

from ..errors import did_you_mean
from .spec import Binary, Call, Column, Expression, Number, Ref, Unary
from .words import FUNCTIONS, OVER, SCALAR, ExpressionError, Token, number, reference, tokens

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
MAX_LENGTH, MAX_DEPTH, MAX_NODES = 2000, 32, 200


class _Parser:
    """Recursive descent over the grammar; one method per rule."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.at = text, tokens(text), 0
        self.depth, self.nodes = 0, 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, text: str, token: Token | None = None) -> ExpressionError:
        return ExpressionError(text, (token or self.next).start + 1)

    def made(self, node: Expression) -> Expression:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.fail(f"more than {MAX_NODES} terms. Make several columns with 'derive'.")
        return node

    def whole(self) -> Expression:
        tree = self.disjunction()
        if self.next.kind != "end":
            raise self.fail(self.surplus(self.next))
        return tree

    def surplus(self, token: Token) -> str:
        if token.text in COMPARISONS:
            return "a second comparison. Compare two things at a time: a < b and b < c."
        if token.text == "**":
            return "a second '**'. Use parentheses to say which comes first."
        if token.text == ")":
            return "a ')' without its '('."
        return f"'{token.text}' follows without an operator. Operators stand between spaces: a - b."

    def disjunction(self) -> Expression:
        tree = self.conjunction()
        while self.next.text == "or":
            self.take()
            tree = self.made(Binary("or", tree, self.conjunction()))
        return tree

    def conjunction(self) -> Expression:
        tree = self.negation()
        while self.next.text == "and":
            self.take()
            tree = self.made(Binary("and", tree, self.negation()))
        return tree

    def negation(self) -> Expression:
        if self.next.text != "not":
            return self.comparison()
        self.take()
        return self.made(Unary("not", self.comparison()))

    def comparison(self) -> Expression:
        left = self.sum()
        if self.next.text not in COMPARISONS:
            return left
        operator = self.take().text
        return self.made(Binary(operator, left, self.sum()))

    def sum(self) -> Expression:
        tree = self.product()
        while self.operator("+", "-"):
            sign = self.take().text
            tree = self.made(Binary(sign, tree, self.product()))
        return tree

    def product(self) -> Expression:
        tree = self.power()
        while self.operator("*", "/"):
            sign = self.take().text
            tree = self.made(Binary(sign, tree, self.power()))
        return tree

    def power(self) -> Expression:
        base = self.unary()
        if not self.operator("**"):
            return base
        self.take()
        return self.made(Binary("**", base, self.unary()))

    def operator(self, *signs: str) -> bool:
        token = self.next
        if token.text not in signs:
            return False
        before, after = self.text[token.start - 1 : token.start], self.text[token.end : token.end + 1]
        if not (before.isspace() and after.isspace()):
            raise self.fail(f"put spaces on both sides of '{token.text}': a {token.text} b.")
        return True

    def unary(self) -> Expression:
        if self.next.text != "-":
            return self.primary()
        self.take()
        return self.made(Unary("-", self.primary()))

    def primary(self) -> Expression:
        token = self.take()
        if token.kind == "number":
            return self.made(number(token))
        if token.text == "(":
            return self.nested(token)
        if token.kind == "reference" and self.next.text == "(":
            if token.text not in FUNCTIONS:
                hint = did_you_mean(token.text, FUNCTIONS)
                raise self.fail(f"no function '{token.text}'.{hint} Functions: {' '.join(FUNCTIONS)}.", token)
            return self.made(Call(token.text, self.nested(self.take())))
        if token.kind == "reference":
            return self.made(Column(reference(token.text, token.start)))
        if token.kind == "end":
            raise self.fail("the expression ends where a number or a column is expected.", token)
        raise self.fail(f"'{token.text}' stands where a number or a column is expected.", token)

    def nested(self, opening: Token) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"more than {MAX_DEPTH} parentheses inside one another.", opening)
        tree = self.disjunction()
        if self.next.text != ")":
            raise self.fail("a '(' without its ')'." if self.next.kind == "end" else self.surplus(self.next))
        self.take()
        self.depth -= 1
        return tree


def parse(text: str | int | float) -> Expression:
    """Read an expression.

    `-a ** b` is `(-a) ** b`: the minus belongs to its operand. Chains of comparisons or powers are refused.

    Raises:
        ExpressionError: not of the grammar, longer than 2000 characters, nested deeper than 32, or over 200 terms.
    """
    if isinstance(text, bool) or not isinstance(text, (str, int, float)) or text != text or text in (inf, -inf):
        raise ExpressionError(f"expected an expression, got {text!r}.", 1)
    text = text if isinstance(text, str) else repr(text)
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"longer than {MAX_LENGTH} characters. Make several columns with 'derive'.", MAX_LENGTH)
    if not text.strip():
        raise ExpressionError("no expression.", 1)
    return _Parser(text).whole()


_BINDS = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6, "**": 7} | dict.fromkeys(COMPARISONS, 4)
_UNARY = {"not": 3, "-": 8}
_PRIMARY = 9


def _rank(e: Expression) -> int:
    if isinstance(e, Binary):
        return _BINDS[e.operator]
    return _UNARY[e.operator] if isinstance(e, Unary) else _PRIMARY


def _within(e: Expression, least: int) -> str:
    return render(e) if _rank(e) >= least else f"({render(e)})"


def render(e: Expression) -> str:
    """The shortest text that reads back as the same tree."""
    if isinstance(e, Number):
        return e.text
    if isinstance(e, Column):
        return str(e.ref)
    if isinstance(e, Call):
        return f"{e.function}({render(e.argument)})"
    if isinstance(e, Unary):
        return f"not {_within(e.operand, 4)}" if e.operator == "not" else f"-{_within(e.operand, _PRIMARY)}"
    rank = _BINDS[e.operator]
    chains = e.operator not in COMPARISONS and e.operator != "**"
    return f"{_within(e.left, rank if chains else rank + 1)} {e.operator} {_within(e.right, rank + 1)}"


def nodes(e: Expression) -> Iterator[Expression]:
    """The tree's nodes, each before its parts, from left to right."""
    yield e
    for part in children(e):
        yield from nodes(part)


def children(e: Expression) -> tuple[Expression, ...]:
    """The direct parts of a node."""
    if isinstance(e, Binary):
        return e.left, e.right
    if isinstance(e, Unary):
        return (e.operand,)
    return (e.argument,) if isinstance(e, Call) else ()


def references(e: Expression) -> list[Ref]:
    """Every reference of an expression once, in the order of the text."""
    return list(dict.fromkeys(node.ref for node in nodes(e) if isinstance(node, Column)))


def starred(e: Expression) -> list[str]:
    """Axes that `@axis=*` spreads in an expression and that no aggregate inside it has closed."""
    if isinstance(e, Column):
        return [axis for axis, value in e.ref.at if value == "*"]
    if isinstance(e, Call) and e.function in OVER:
        return []
    return list(dict.fromkeys(axis for part in children(e) for axis in starred(part)))


def closed(e: Expression) -> set[str]:
    """Axes that aggregates anywhere inside an expression take away."""
    own = set(starred(e.argument)) if isinstance(e, Call) and e.function in OVER else set()
    return own.union(*(closed(part) for part in children(e)))


def cut_by_comma(texts: Sequence[str]) -> tuple[str, str] | None:
    """The first two neighbours of a list that one comma has cut: `[max(a, b) < 1]` is `max(a` and `b) < 1`."""
    for first, second in pairwise(texts):
        if first.count("(") > first.count(")") and second.count(")") > second.count("("):
            return first, second
    return None


__all__ = [
    "COMPARISONS", "FUNCTIONS", "OVER", "SCALAR", "ExpressionError", "children", "closed", "cut_by_comma", "nodes",
    "parse", "reference", "references", "render", "starred",
]  # fmt: skip
