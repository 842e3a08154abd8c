"""One thing to say about a study: how grave it is, what was seen, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

#: From what must be mended to what is good to know.
GRADES = ("serious", "advice", "note")


@dataclass(frozen=True)
class Finding:
    """A finding of one rule.

    rule: its stable name; grade: one of `GRADES`; says: one sentence with the numbers; action: the next step, a command
    or a change of the study; evidence: further lines of numbers; keys: the records behind it.
    """

    rule: str
    grade: str
    says: str
    action: str
    evidence: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


def some(items: list[str] | tuple[str, ...], most: int = 3) -> str:
    """The first items in words, and how many there are beside them."""
    head = ", ".join(items[:most])
    return f"{head} and {len(items) - most} more" if len(items) > most else head


def points(value: float) -> str:
    """A share of one in percentage points."""
    return f"{100 * value:.2g}" if abs(value) < 0.1 else f"{100 * value:.1f}"
