"""Order a study's file: top-level keys as the grammar lists them, comments kept, tabs mended, nothing changed."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..errors import CrucisError, Faults
from . import text
from .merge import KEYS
from .tree import Node, plain

_ORDER = ("grammar", *KEYS)


class NotFormatted(CrucisError):
    """The ordered text could not be proven to say the same; the file is left alone."""


def format_study(words: str, file: str = "the study") -> str:
    """The study's text with its top-level keys in order.

    Comments and blank lines before a key move with it; a comment at the head of the file that an empty line follows
    stays there, as does one at its end. Nothing below the top level is moved.

    Raises:
        StudyError: the text cannot be read, apart from tabs.
        NotFormatted: the result would not be read as the same study.
    """
    mended = _tidy(words)
    before = _read(mended, file)
    lines = mended.split("\n")
    starts = sorted((place.line - 1, key) for key, place in before.keys.items())
    if not starts or any(place.column != 1 for place in before.keys.values()):
        return _proven(mended, before, file)  # written as one flow mapping: there are no lines to order
    head, blocks, tail = _blocks(lines, starts)
    rank = {key: i for i, key in enumerate(_ORDER)}
    ordered = sorted(blocks, key=lambda block: rank.get(block[0], len(rank)))
    out = [*head, *(line for _, block in ordered for line in block), *tail]
    return _proven("\n".join(_single_blanks(out)).strip("\n") + "\n", before, file)


def _read(words: str, file: str) -> Node:
    faults = Faults()
    tree = text.read(words, file, faults)
    faults.stop()
    if tree is None:
        raise NotFormatted(f"{file}: cannot be read.")
    return tree


def _proven(words: str, before: Node, file: str) -> str:
    after = _read(words, file)
    texts = [{key: json.dumps(plain(item)) for key, item in tree.data.items()} for tree in (before, after)]
    if texts[0] != texts[1]:
        raise NotFormatted(f"{file}: ordering it would change what it says, so it was left alone.")
    return words


def _tidy(words: str) -> str:
    """Line ends and tabs; a tab becomes the spaces that it looks like at a width of two."""
    lines = words.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.expandtabs(2) for line in lines).rstrip("\n") + "\n"


def _blocks(
    lines: list[str], starts: list[tuple[int, str]]
) -> tuple[list[str], list[tuple[str, list[str]]], list[str]]:
    """The head of the file, the lines of every key with the comments before it, the comments at the end."""
    begins = []
    floor = 0
    for line, _ in starts:
        begin = line
        while begin > floor and _loose(lines[begin - 1]):
            begin -= 1
        begins.append(begin)
        floor = line + 1
    end = len(lines)
    while end > starts[-1][0] + 1 and _loose(lines[end - 1]):
        end -= 1
    first, key_line = begins[0], starts[0][0]
    blank = next((i for i in range(key_line - 1, first - 1, -1) if not lines[i].strip()), None)
    if blank is not None:  # what stands above the last empty line before the first key belongs to the file
        begins[0] = blank + 1
    elif key_line and lines[0].startswith("# yaml-language-server"):
        begins[0] = max(first, 1)
    bounds = [*begins[1:], end]
    blocks = [(key, lines[a:b]) for (_, key), a, b in zip(starts, begins, bounds, strict=True)]
    return lines[: begins[0]], blocks, lines[end:]


def _loose(line: str) -> bool:
    """A comment or an empty line between entries."""
    return not line.strip() or line.startswith("#")


def _single_blanks(lines: list[str]) -> Iterator[str]:
    blank = False
    for line in lines:
        if line.strip() or not blank:
            yield line
        blank = not line.strip()
