"""A regular two-level fraction of all combinations of components, of a stated resolution.

Resolution III keeps main effects apart from one another, IV also from interactions of two components, V also
interactions of two from one another. `full` is always a run: every word of the defining relation has the sign +.

Source: the minimum-aberration generators of Box, Hunter, Hunter (2005), Statistics for Experimenters, 2nd edition,
table 6.22, and Montgomery (2017), Design and Analysis of Experiments, 9th edition, table 8.14; Fries, Hunter (1980),
Minimum aberration 2^(k-p) designs, doi:10.1080/00401706.1980.10486206.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from typing import Literal

REVISION = 1
VARIES = "components"
LETTERS = "ABCDEFGHJKL"  # without I, which is the identity of the defining relation
RESOLUTIONS = ("III", "IV", "V")
_ROMAN = {"III": 3, "IV": 4, "V": 5}

#: factors -> fractions from the smallest: the word that each further factor is the product of.
TABLE: dict[int, tuple[tuple[str, ...], ...]] = {
    3: (("AB",),),
    4: (("ABC",),),
    5: (("AB", "AC"), ("ABCD",)),
    6: (("AB", "AC", "BC"), ("ABC", "BCD"), ("ABCDE",)),
    7: (("AB", "AC", "BC", "ABC"), ("ABC", "BCD", "ACD"), ("ABCD", "ABDE"), ("ABCDEF",)),
    8: (("BCD", "ACD", "ABC", "ABD"), ("ABC", "ABD", "BCDE"), ("ABCD", "ABEF")),
    9: (
        ("ABC", "BCD", "ACD", "ABD", "ABCD"), ("BCDE", "ACDE", "ABDE", "ABCE"), ("ABCD", "ACEF", "CDEF"),
        ("ACDFG", "BCEFG"),
    ),
    10: (
        ("ABC", "BCD", "ACD", "ABD", "ABCD", "AB"), ("ABCD", "ABCE", "ABDE", "ACDE", "BCDE"),
        ("BCDF", "ACDF", "ABDE", "ABCE"), ("ABCG", "BCDE", "ACDF"),
    ),
    11: (
        ("ABC", "BCD", "ACD", "ABD", "ABCD", "AB", "AC"), ("ABC", "BCD", "CDE", "ACD", "ADE", "BDE"),
        ("CDE", "ABCD", "ABF", "BDEF", "ADEF"), ("ABCG", "BCDE", "ACDF", "ABCDEFG"),
    ),
}  # fmt: skip


def generate(components: Sequence[str], *, resolution: Literal["III", "IV", "V"] = "IV") -> list[frozenset[str]]:
    """The components that are missing in each run.

    Args:
        components: names in the order of the file, 3 to 11 of them; the first ones make the base design.
        resolution: at least this; the smallest fraction that reaches it is taken.

    Returns:
        2^(n - p) sets, the whole method among them.

    Raises:
        ValueError: fewer than 3 or more than 11 components, or no proper fraction of that resolution.
    """
    words = words_for(components, resolution)
    base = len(components) - len(words)
    runs = []
    for signs in product((1, -1), repeat=base):
        sign = dict(zip(LETTERS, signs, strict=False))
        made = [_sign(word, sign) for word in words]
        runs.append(frozenset(name for name, s in zip(components, (*signs, *made), strict=True) if s < 0))
    return sorted(runs, key=len)


def words_for(components: Sequence[str], resolution: str) -> tuple[str, ...]:
    """The generating words of the smallest fraction with at least this resolution.

    Raises:
        ValueError: as `generate`.
    """
    count = len(components)
    if count not in TABLE:
        raise ValueError(f"fractions are known for 3 to 11 components, not for {count}. Write generate: factorial.")
    for words in TABLE[count]:
        if min(map(len, relation(count, words))) >= _ROMAN[resolution]:
            return words
    best = max(min(map(len, relation(count, words))) for words in TABLE[count])
    highest = next(name for name, length in _ROMAN.items() if length == best)
    raise ValueError(
        f"no fraction of {count} components has resolution {resolution}. The highest is {highest}. "
        "Write a lower one, or generate: factorial."
    )


def relation(count: int, words: Sequence[str]) -> list[str]:
    """The defining relation: every product of the generators, shortest first; each equals I.

    Reference case: D = AB and E = AC give ABD, ACE and their product BCDE.

        >>> relation(5, ["AB", "AC"])
        ['ABD', 'ACE', 'BCDE']
    """
    added = LETTERS[count - len(words) : count]
    whole = [frozenset(word) | {letter} for word, letter in zip(words, added, strict=True)]
    out = []
    for size in range(1, len(whole) + 1):
        for some in combinations(whole, size):
            letters: frozenset[str] = frozenset()
            for word in some:
                letters ^= word
            out.append("".join(sorted(letters)))
    return sorted(out, key=lambda word: (len(word), word))


def _sign(word: str, sign: dict[str, int]) -> int:
    out = 1
    for letter in word:
        out *= sign[letter]
    return out
