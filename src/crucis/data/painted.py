"""Steps that give each picture operations of its own: pictures are grouped by operation, each group is one tensor.

What a picture becomes is decided by its own row of `operation` and `argument`; grouping changes no number.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from .augmenting import Params, Picture, pieces

#: A group of pictures uint8 (G, C, H, W) and one argument per picture (G,) to pictures of the same form.
Operation = Callable[[Tensor, Tensor], Tensor]


class Painted(Picture):
    """A step whose `draw` gives `operation`, uint8 (n, L), and `argument`, float32 (n, L).

    Each of the L places is one operation after the other: 0 is none, k the k-th of `operations`.
    """

    host: ClassVar[frozenset[str]] = frozenset({"operation"})

    @property
    @abstractmethod
    def operations(self) -> Sequence[Operation]:
        """The operations that `draw` counts from 1 on."""

    def repaint(self, x: Tensor, params: Params) -> Tensor:
        """All places, from the first to the last."""
        chosen, argument = params["operation"].numpy(), params["argument"]
        operations = self.operations
        order = np.arange(len(x))  # which sample stands at each place of the batch now
        for place in range(chosen.shape[1]):
            wanted = chosen[order, place]
            if not wanted.any():
                continue
            if (wanted != wanted[0]).any():
                sort = np.argsort(wanted, kind="stable")
                order, wanted = order[sort], wanted[sort]
                x = x.index_select(0, torch.from_numpy(sort).to(x.device))
            here = argument[:, place].index_select(0, torch.from_numpy(order).to(x.device))
            edges = np.flatnonzero(np.diff(wanted, prepend=-1, append=-1))
            lengths = np.diff(edges).tolist()
            for number, group, argued in zip(wanted[edges[:-1]], x.split(lengths), here.split(lengths), strict=True):
                if number:
                    _apply(operations[int(number) - 1], group, argued)
        if (order[1:] < order[:-1]).any():
            x = x.index_select(0, torch.from_numpy(np.argsort(order)).to(x.device))
        return x


def _apply(operation: Operation, group: Tensor, argument: Tensor) -> None:
    """An operation on a group, in place."""
    parts = pieces(len(group), group[0].numel(), group.device)
    if len(parts) == 1:
        group.copy_(operation(group, argument))
        return
    for part in parts:
        group[part] = operation(group[part], argument[part])


def chance(n: int, probability: float, generator: torch.Generator) -> Tensor:
    """Whether each of `n` samples is meant, with one uniform number per sample; bool (n,)."""
    return torch.rand(n, generator=generator, dtype=torch.float64) < probability


def between(low: float, high: float, n: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers, float32 (n,)."""
    return torch.empty(n, dtype=torch.float64).uniform_(low, high, generator=generator).to(torch.float32)
