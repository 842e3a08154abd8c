"""What a parameter's annotation allows: the alternatives of a type, read from its text, and their names in words."""

from __future__ import annotations

import ast
from functools import cache
from typing import Any

from .. import shelf

_WORDS = {
    "int": "an integer", "float": "a number", "bool": "true or false", "str": "a text", "Length": "a length such as "
    "'30 epochs'", "LengthOrShare": "a share such as 5% or a length such as '3 epochs'", "View": "a view",
    "Watch": "rules such as {grad_norm > 10: log}",
}  # fmt: skip


@cache
def kinds_of(annotation: str) -> tuple[Any, ...]:
    """Alternatives of an annotation: names, `("list", alternatives)` or `("literal", values)`; `any` if unknown."""
    try:
        return _kinds(ast.parse(annotation, mode="eval").body)
    except SyntaxError:
        return ("any",)


def _kinds(node: ast.expr) -> tuple[Any, ...]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return (*_kinds(node.left), *_kinds(node.right))
    if isinstance(node, ast.Constant):
        return ("none",) if node.value is None else kinds_of(str(node.value))
    if isinstance(node, ast.Subscript):
        head = _kinds(node.value)[0]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if head == "Literal":
            return (("literal", tuple(item.value for item in inner if isinstance(item, ast.Constant))),)
        if head in ("list", "tuple", "Sequence"):
            return (("list", _kinds(inner[0])),)
        if head == "Optional":
            return (*_kinds(inner[0]), "none")
        return ("View",) if head == "View" else ("any",)
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        return (node.attr,)
    return ("any",)


def in_words(kinds: tuple[Any, ...], home: str | None = None) -> str:
    """What is expected, with its article."""
    out = []
    for kind in kinds:
        if isinstance(kind, tuple) and kind[0] == "list":
            short = "/".join(str(item) if isinstance(item, str) else "list" for item in kind[1])
            out.append(f"a list of {shelf.SHELVES[home].plural if short == 'Leaf' and home else short}")
        elif isinstance(kind, tuple):
            out.append(f"one of {', '.join(map(str, kind[1]))}")
        elif kind == "Leaf":
            noun = shelf.SHELVES[home].noun if home else "leaf"
            out.append(f"an {noun}" if noun[0] in "aeiou" else f"a {noun}")
        elif kind == "none":
            out.append("none")
        else:
            out.append(_WORDS.get(kind, kind))
    return " or ".join(out)


def short(kind: Any) -> str:
    """One alternative, as briefly as it can be said."""
    if isinstance(kind, tuple):
        return " or ".join(map(str, kind[1])) if kind[0] == "literal" else f"list of {'/'.join(map(str, kind[1]))}"
    return {"str": "text", "float": "number", "Length": "length", "Leaf": "leaf"}.get(kind, str(kind))
