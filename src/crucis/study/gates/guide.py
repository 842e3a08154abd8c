"""The commands of a reproduction guide: what stands in its shell blocks, one step per command."""

from __future__ import annotations

import re

_BLOCK = re.compile(r"^```[ \t]*(?:bash|sh|shell|console)[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


def commands_of(text: str) -> tuple[str, ...]:
    r"""The commands of a Markdown text, in order.

    Args:
        text: Markdown; blocks fenced as bash, sh, shell or console are read. A `$ ` in front is dropped, comments and
            empty lines too; in a console block, lines without `$ ` are output. A backslash at the end joins lines.

    Reference case:
        >>> commands_of("x\n```bash\n# why\n$ crucis run a.yaml \\\n  --quiet\nls\n```\n```yaml\nstudy: a\n```\n")
        ('crucis run a.yaml --quiet', 'ls')
    """
    out: list[str] = []
    for block in _BLOCK.finditer(text):
        body = re.sub(r"[ \t]*\\\n[ \t]*", " ", block[1])
        lines = [line.strip() for line in body.splitlines()]
        if any(line.startswith("$ ") for line in lines) and block[0].startswith("```console"):
            lines = [line for line in lines if line.startswith("$ ")]
        out += [line.removeprefix("$ ") for line in lines if line and not line.startswith("#")]
    return tuple(out)


#: Exit code of `crucis run` where nothing failed and steps wait for the seal: the guide's next command opens it.
WAITS = 4


def passes(command: str, code: int) -> bool:
    """Whether a guide goes on after a command that ended with a code."""
    return code == 0 or (code == WAITS and command.startswith("crucis run "))
