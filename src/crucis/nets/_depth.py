"""Stochastic depth: in training, the residual branch of a block is left out for some of the examples.

Block l of L leaves its branches out with probability (l / L) p for each example of its own (the linear rule), and
divides what it keeps by the probability of keeping it, so that evaluation changes nothing: Huang et al. multiply in
evaluation instead, with the same expectation. Source: G. Huang, Y. Sun, Z. Liu, D. Sedra, K. Weinberger, Deep Networks
with Stochastic Depth, 2016, arXiv:1603.09382, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero for an example with `probability`, else the input divided by 1 - `probability`; in training only."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, ...)."""
        if not self.training:
            return x
        keep = 1 - self.probability
        mask = x.new_empty((len(x),) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (mask / keep)

    def extra_repr(self) -> str:
        """The probability."""
        return f"{self.probability:.4g}"


def rates(blocks: int, last: float) -> list[float]:
    """The probability of each block, the last one's being `last`."""
    return [last * (place + 1) / blocks for place in range(blocks)]


def thin(blocks: Sequence[Sequence[nn.Sequential]], last: float) -> None:
    """Put `DropPath` behind the branches of each block, in order; nothing if `last` is 0. Weights keep their names."""
    if last:
        for branches, probability in zip(blocks, rates(len(blocks), last), strict=True):
            for branch in branches:
                branch.append(DropPath(probability))
