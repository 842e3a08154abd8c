"""Plain data as the text of a study: one line where an entry is short, a block where it is long."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import scalars

_WIDTH = 118
#: Texts that need no quotes anywhere, also inside `{...}` and `[...]`.
_PLAIN = re.compile(r"[\w$./(+][\w$./(+@%=<>*^~!;&|)'\"`:-]*(?: [\w$./(+@%=<>*^~!;&|)'\"`:-]+)*", re.ASCII)


def dump(value: Mapping[str, Any]) -> str:
    """The text of a study; `text.read` gives the same data back.

    Args:
        value: sections in their order; texts, numbers, booleans, lists and mappings with texts as keys.
    """
    lines: list[str] = []
    for key, item in value.items():
        _entry(_scalar(key), item, "", lines)
    return "\n".join(lines) + "\n"


def _entry(head: str, value: Any, indent: str, lines: list[str]) -> None:
    short = f"{indent}{head}: {_flow(value)}"
    nested = isinstance(value, Mapping) and value and not indent  # a section: one line per entry
    if (len(short) <= _WIDTH and not nested) or not isinstance(value, (Mapping, list)) or not value:
        lines.append(short)
        return
    lines.append(f"{indent}{head}:")
    below = indent + "  "
    if isinstance(value, Mapping):
        for key, item in value.items():
            _entry(_scalar(key), item, below, lines)
    else:
        lines.extend(f"{below}- {_flow(item)}" for item in value)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return value if _is_plain(value) else _quoted(value)


def _is_plain(text: str) -> bool:
    if not _PLAIN.fullmatch(text) or text.endswith(":") or ": " in text or text.startswith("---"):
        return False
    try:
        return isinstance(scalars.resolve(text), str) and scalars.resolve(text) == text
    except scalars.ScalarError:
        return False


def _quoted(text: str) -> str:
    out = []
    for character in text:
        code = ord(character)
        if character in '"\\':
            out.append("\\" + character)
        elif character == "\n":
            out.append("\\n")
        elif character.isprintable():
            out.append(character)
        else:
            out.append(f"\\U{code:08X}" if code > 0xFFFF else f"\\u{code:04X}")
    return '"' + "".join(out) + '"'
