"""The whole method, the method without each of its components, and the baseline: what does each part still add?

Source: Meyes, Lu, de Puiseaux, Meisen (2019), Ablation studies in artificial neural networks, arXiv:1901.08644.
"""

from __future__ import annotations

from collections.abc import Sequence

REVISION = 1
VARIES = "components"


def generate(components: Sequence[str]) -> list[frozenset[str]]:
    """The components that are missing in each arm.

    Args:
        components: names in the order of the file, n of them.

    Returns:
        n + 2 sets: nothing, each component alone, everything (n + 1 if n is 1, where two of them are one).
    """
    arms = [frozenset[str](), *(frozenset({name}) for name in components), frozenset(components)]
    return list(dict.fromkeys(arms))
