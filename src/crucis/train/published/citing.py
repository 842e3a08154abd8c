"""Sources of many lines, each written out once: a line has a number and the place."""

from __future__ import annotations

from collections.abc import Iterable

from .facts import sources


def numbered(cited: Iterable[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Citations, as `facts.sentence` writes them, in short, and the works that they are of, in order of appearance.

    `[1] Sec 3.4` stands for `He, Zhang, ...: Deep Residual Learning ..., Sec 3.4`; what is of no known work
    (arithmetic) stays as it is.
    """
    refs = sorted((str(about["ref"]) for about in sources().values()), key=len, reverse=True)
    works: dict[str, int] = {}
    short: dict[str, str] = {}
    for text in cited:
        ref = next((one for one in refs if text.startswith(one)), None)
        if ref is None:
            short[text] = text
            continue
        revision, comma, place = text[len(ref) :].partition(", ")
        number = works.setdefault(ref + revision, len(works) + 1)
        short[text] = f"[{number}]{' ' + place if comma else ''}"
    return short, tuple(f"[{number}] {work}" for work, number in works.items())
