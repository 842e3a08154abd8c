"""The baseline, the baseline with each component alone, and the whole method: what does each part add by itself?"""

from __future__ import annotations

from collections.abc import Sequence

REVISION = 1
VARIES = "components"


def generate(components: Sequence[str]) -> list[frozenset[str]]:
    """The components that are missing in each arm.

    Args:
        components: names in the order of the file, n of them.

    Returns:
        n + 2 sets: everything, everything but each component, nothing (n + 1 if n is 1, where two of them are one).
    """
    whole = frozenset(components)
    return list(dict.fromkeys([whole, *(whole - {name} for name in components), frozenset[str]()]))
