"""Every combination of components: effects, interactions and Shapley values are all estimable.

Source: Yates (1937), The design and analysis of factorial experiments, Imperial Bureau of Soil Science.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

REVISION = 1
VARIES = "components"


def generate(components: Sequence[str]) -> list[frozenset[str]]:
    """The components that are missing in each arm.

    Args:
        components: names in the order of the file, n of them.

    Returns:
        2^n sets, from the whole method to the baseline by the number of missing components.
    """
    return [frozenset(some) for size in range(len(components) + 1) for some in combinations(components, size)]
