"""Why a text is not YAML, in a sentence that says what to write. Knows the parser's words and no study."""

from __future__ import annotations

import re

from ..errors import Faults

ALIAS = "'*{0}' is a YAML alias; aliases are not used here. For the stage write {0}, for a factor ${0}."
_INNER = re.compile(r"(?:^|[\s{,\[])([^\s{},\[\]:][^{},\[\]]*?):\s+([^\s{},\[\]'\"#][^{},\[\]\n]*?):(?=\s|$)\s*(.*)$")


def explain(error: Exception, text: str, file: str, faults: Faults) -> None:
    """One helpful fault for text that is not YAML at all."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    lines = text.split("\n")
    if mark is None:
        faults.add("yaml", _character(error), file=file, line=1, column=1)
        return
    row, column = min(mark.line, len(lines) - 1), mark.column
    start = getattr(error, "context_mark", None)
    scanning = getattr(error, "context", None) or ""
    if start is not None and ("alias" in scanning or "anchor" in scanning):
        word = re.match(r"[*&]?([\w.-]*)", lines[min(start.line, len(lines) - 1)][start.column :])
        name = word[1] if word and word[1] else "name"
        code, body = ("alias", ALIAS.format(name)) if "alias" in scanning else ("anchor", f"'&{name}' starts a YAML "
            "anchor; anchors are not used here. Quote the text if one is meant.")  # fmt: skip
        faults.add(code, body, file=file, line=start.line + 1, column=start.column + 1)
        return
    for at in (row, row - 1):
        inner = _INNER.search(lines[at]) if 0 <= at < len(lines) else None
        if inner:
            _second_colon(inner, lines, at, file, faults)
            return
    problem = getattr(error, "problem", None) or "not readable"
    faults.add(
        "yaml", f"not YAML: {_plainly(problem, scanning)}", path="", file=file, line=row + 1, column=column + 1,
    )  # fmt: skip


def _second_colon(inner: re.Match[str], lines: list[str], row: int, file: str, faults: Faults) -> None:
    key, value, rest = inner[1].strip(), inner[2], inner[3]
    if rest.startswith(("{", "[")):
        whole = _balanced(rest)
        faults.add(
            "inner-mapping", f"'{value}: ' starts a mapping inside a value. Write {{{value}: {whole}}}.",
            file=file, line=row + 1, column=inner.start(2) + 1,
        )  # fmt: skip
        return
    quoted = lines[row][inner.start(2) :].strip().rstrip(",}]")
    faults.add(
        "second-colon",
        f"a second ': ' on one line starts a mapping. Quote the text: {key}: \"{quoted}\"",
        path=_block_path(lines, row, key), file=file, line=row + 1, column=inner.end(2) + 1,
    )  # fmt: skip


def _balanced(text: str) -> str:
    """The text up to the bracket that closes its first one, or all of it."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "{[") - (character in "}]")
        if depth == 0:
            return text[: i + 1]
    return text


def _block_path(lines: list[str], row: int, key: str) -> str:
    """The dotted path of a key, from the indentation of the lines above."""
    indent = len(lines[row]) - len(lines[row].lstrip())
    parts = [key]
    for line in reversed(lines[:row]):
        match = re.match(r"( *)([\w-]+):", line)
        if match and len(match[1]) < indent:
            parts.append(match[2])
            indent = len(match[1])
    return ".".join(reversed(parts))


def _character(error: Exception) -> str:
    code = getattr(error, "character", None)
    shown = f"U+{code:04X}" if isinstance(code, int) else "a control character"
    return f"{shown} cannot stand in a text file. Remove it."


_PLAIN = (
    ("could not find expected ':'", "a key without ': ' behind it. Check the line above and the indentation."),
    ("did not find expected ',' or '}'", "a '{' is not closed, or a ',' is missing before this."),
    ("did not find expected ',' or ']'", "a '[' is not closed, or a ',' is missing before this."),
    ("did not find expected key", "a key is expected here. Check the indentation and the line above."),
    ("mapping values are not allowed", "a ': ' cannot stand here. Quote the text, or check the indentation."),
    ("found unexpected end of stream", "a quote is opened and never closed."),
    ("cannot start any token", "this character cannot begin a word. Quote the text."),
    ("did not find expected '-' indicator", "the entries of a list stand at one indentation, each after '- '."),
    ("did not find expected <document start>", "this stands outside of the study. Check the indentation."),
    (
        "block sequence entries are not allowed",
        "a '- ' cannot stand here. Put the list on lines of its own, or in [...].",
    ),
    ("unknown escape character", 'a backslash in "..." starts an escape. Use single quotes.'),
)


def _plainly(problem: str, context: str) -> str:
    for known, sentence in _PLAIN:
        if known in problem:
            return sentence
    return f"{context + ': ' if context else ''}{problem}."
