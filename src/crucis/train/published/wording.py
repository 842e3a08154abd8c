"""Numbers and truth values in facts that are sentences: `0, or 0.3 for the variant`, `uniform [256, 480]`, `none`."""

from __future__ import annotations

import re
from typing import Any

_NUMBER = r"\d+(?:\.\d+)?(?:e[-+]?\d+)?"
#: A number that stands for itself: alone, or one of several that a comma or an `or` parts; `S = 256` too.
_ALTERNATIVE = re.compile(rf"(?:\w+ = )?({_NUMBER})(?: for .*)?")
_SIZE = re.compile(rf"(?:random|random-resized crop|inception crop) ({_NUMBER})(?![\w.])")
_RANGE = re.compile(rf"\[({_NUMBER}), ({_NUMBER})\]")
_YES, _NO = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})


def numbers(text: str) -> list[float | list[float]]:
    """The numbers that a text gives as values: of alternatives each, of a range both ends, of a crop its side.

    `numbers("0, or 0.3 for the -dropout variant")` is `[0.0, 0.3]`; `numbers("S = 256, or uniform [256, 512]")` is
    `[[256.0, 512.0], 256.0]`; `numbers("2.5 / NUM_GPUS")` is empty, since that is no number.
    """
    found: list[float | list[float]] = [[float(low), float(high)] for low, high in _RANGE.findall(text)]
    side = _SIZE.match(text)
    pieces = re.split(r",? or |, ", _RANGE.sub("", text))
    return found + [float(one[1]) for one in [side, *map(_ALTERNATIVE.fullmatch, pieces)] if one]


def truth(value: Any) -> bool | None:
    """What a value says of whether: true and false themselves, and the words for them; `none` is no. Else None."""
    if isinstance(value, bool):
        return value
    word = value.strip().casefold() if isinstance(value, str) else ""
    return True if word in _YES else False if word in _NO | {"none"} else None
