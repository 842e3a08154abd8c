"""The notation that reads results: `[use/]name[.column][@axis=value]...`. Only its form; what it means comes later."""

from __future__ import annotations

import re

from .scalars import label_text, show
from .spec import Dollar, Ref

_NAME = r"[a-z][a-z0-9_-]*"
_HEAD = re.compile(rf"(?:({_NAME})/)?({_NAME})(?:\.([A-Za-z][A-Za-z0-9_-]*|\*))?")
_AXIS = re.compile(rf"{_NAME}(?:\.{_NAME})?")
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+%/*-]*|\*")
DOLLAR = re.compile(rf"\$({_NAME})(?:\.({_NAME}))?")


def parse_dollar(text: str) -> Dollar:
    """Read `$name` or `$name.field`.

    Raises:
        ValueError: with a sentence.
    """
    match = DOLLAR.fullmatch(text)
    if not match:
        raise ValueError(f"{show(text)} brings nothing in: write $name or $name.field, in small letters and alone.")
    return Dollar(match[1], match[2])


def parse_ref(text: str) -> Ref:
    """Read a reference; labels that are numbers are kept by value (`@lr=1e-3` is `@lr=0.001`).

    Raises:
        ValueError: with a sentence that says what a reference looks like.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a reference such as model.accuracy@at=50%, got {show(text)}.")
    head, *parts = text.split("@")
    match = _HEAD.fullmatch(head)
    if not match:
        raise ValueError(_form(text, head))
    at: list[tuple[str, str | Dollar]] = []
    for part in parts:
        axis, equals, value = part.partition("=")
        if not equals or not _AXIS.fullmatch(axis):
            raise ValueError(f"'@{part}' in {show(text)} selects nothing: write @axis=value.")
        if any(axis == other for other, _ in at):
            raise ValueError(f"{show(text)} fixes the axis '{axis}' twice.")
        at.append((axis, _value(value, text)))
    return Ref(match[2], match[3], tuple(at), match[1])


def _value(value: str, text: str) -> str | Dollar:
    if value.startswith("$"):
        return parse_dollar(value)
    if not _VALUE.fullmatch(value):
        raise ValueError(f"'{value}' in {show(text)} is no label: letters, digits and _ . + % -, or *.")
    return label_text(value)


def _form(text: str, head: str) -> str:
    if head.startswith("$"):
        return (
            f"{show(text)}: no constant of that name, and columns are written without '$'. "
            f"Write {text[1:]}, or add it to 'let'."
        )
    if " " in head.strip():
        return f"{show(text)} is an expression; a reference is one word. Give it a name in 'derive' and use that."
    return f"{show(text)} is no reference; write name, name.column or name.column@axis=value."
