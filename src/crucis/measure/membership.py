"""Whether a network's losses betray which examples it was trained on.

Source: S. Yeom, I. Giacomelli, M. Fredrikson, S. Jha, 2018 (arXiv:1709.01604), adversary 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import Refusal
from ..numerics.separation import area
from .adversary import picked
from .evaluate import answers
from .specimen import Specimen

BATCH = 256


@dataclass(frozen=True)
class Betrayal:
    """`auc` with its standard error `se`; `advantage`: true minus false positive rate of the guess "member if the loss
    is at most the mean loss of members"; `members`, `others`: losses in nats."""

    auc: float
    se: float
    advantage: float
    members: np.ndarray
    others: np.ndarray


def betrayal(specimen: Specimen, images: int) -> Betrayal:
    """Compare losses on the training split with those on the split that was asked for, at most `images` of each.

    Raises:
        Refusal: `not_applicable` if the split is the training split, `too_few` with fewer than 2 examples of a kind,
            `not_finite`, `sealed`.
    """
    model, data = specimen.network()
    if specimen.split == "train":
        raise Refusal("not_applicable", "membership is told from examples outside the training split; ask for another")
    losses = []
    for split in (data.train, specimen.asked()):
        if len(split) < 2:
            raise Refusal("too_few", "membership needs at least two examples inside and outside the training split")
        shown = split.take(picked(len(split), images))
        found = answers(model, shown, data.mean, data.std, batch=BATCH, device=specimen.device).losses
        if not np.isfinite(found).all():
            raise Refusal("not_finite", "a loss is not finite")
        losses.append(found)
    members, others = losses
    auc, se = area(-members, -others)
    threshold = members.mean() * (1 + 1e-12)  # equal losses are at most their mean, whatever its last bit
    advantage = float((members <= threshold).mean() - (others <= threshold).mean())
    return Betrayal(auc, se, advantage, members, others)
