"""What a second task can do against forgetting: further terms of its loss. Each names the network it protects."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .specimen import Term

if TYPE_CHECKING:
    from ..data.dataset import Split

Forward = Callable[[Tensor], Tensor]
TermFor = Callable[[nn.Module], Term]


def elastic(anchor: nn.Module, diagonal: Mapping[str, Tensor], weight: float) -> TermFor:
    """weight / 2 x sum of F (theta - theta*)^2: elastic weight consolidation.

    Args:
        anchor: holds theta*, which is copied.
        diagonal: parameter name -> F.
        weight: lambda.

    Source: J. Kirkpatrick et al., 2017 (doi:10.1073/pnas.1611835114).
    """
    kept = {name: value.detach().clone() for name, value in anchor.named_parameters() if name in diagonal}

    def made(live: nn.Module) -> Term:
        # Laid out in memory like the parameters they meet, which may be channels-last.
        rows = [
            (value, torch.empty_like(value, requires_grad=False).copy_(kept[name]),
             torch.empty_like(value, requires_grad=False).copy_(diagonal[name]))
            for name, value in live.named_parameters() if name in kept
        ]  # fmt: skip

        def term(forward: Forward, x: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG001
            parts = []
            for value, star, stiffness in rows:
                moved = value - star
                parts.append((stiffness * moved * moved).sum())
            return 0.5 * weight * torch.stack(parts).sum()

        return term

    return made


def distilled(anchor: nn.Module, classes: Sequence[int], weight: float, temperature: float) -> TermFor:
    """weight x cross-entropy of the old network's softened answers to the new task's inputs, over the old classes.

    Learning without forgetting; scaled by the squared temperature, so that gradients do not depend on it.

    Args:
        anchor: the old network, copied and frozen in evaluation mode.
        classes: of the old task.
        weight: of the term; the new task's own loss has 1.
        temperature: by which logits are divided, above 0.

    Source: Z. Li, D. Hoiem, 2016 (arXiv:1606.09282); scaling: G. Hinton, O. Vinyals, J. Dean, 2015 (arXiv:1503.02531).
    """
    old = copy.deepcopy(anchor).eval().requires_grad_(False)

    def made(live: nn.Module) -> Term:
        index = torch.tensor(sorted(classes), device=next(live.parameters()).device)

        def term(forward: Forward, x: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG001
            with torch.no_grad():
                wanted = (old(x).float().index_select(1, index) / temperature).softmax(1)
            now = logits.float().index_select(1, index) / temperature
            return weight * temperature**2 * functional.cross_entropy(now, wanted)

        return term

    return made


def replayed(x: Tensor, y: Tensor, weight: float, among: Sequence[int] | None = None) -> TermFor:
    """weight x mean cross-entropy of as many remembered examples as the batch has, drawn anew at every step.

    Args:
        x, y: the memory, on the network's device.
        weight: of the term; the new task's own loss has 1.
        among: classes that the remembered task's head has; all if left out.

    Source: rehearsal, A. Robins, 1995 (doi:10.1080/09540099550039318).
    """

    kept = None if among is None else torch.tensor(sorted(among), device=y.device)
    wanted = y if kept is None else torch.searchsorted(kept, y)

    def made(live: nn.Module) -> Term:  # noqa: ARG001
        def term(forward: Forward, batch: Tensor, logits: Tensor) -> Tensor:  # noqa: ARG001
            index = torch.randint(len(y), (len(batch),), device=y.device)
            out = forward(x.index_select(0, index)).float()
            out = out if kept is None else out.index_select(1, kept)
            return weight * functional.cross_entropy(out, wanted.index_select(0, index))

        return term

    return made


def memory(split: Split, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `size` random examples with classes as even as they can be, ascending; all if there are fewer."""
    order = rng.permutation(len(split))
    labels = np.asarray(split.y)[order]
    rank = np.zeros(len(order), dtype=np.int64)  # how many of its class come earlier
    for label in np.unique(labels):
        mine = labels == label
        rank[mine] = np.arange(mine.sum())
    return np.sort(order[np.argsort(rank, kind="stable")][:size])
