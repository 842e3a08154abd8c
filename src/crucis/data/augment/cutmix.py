"""CutMix: a box of each image is taken from another image of its batch; labels are shared by area.

The box has the area 1 - l with l from Beta(alpha, alpha), the image's aspect and a uniform centre; what hangs over is
cut off, and the label's weight is the exact share of the image that is left. Partners are a random permutation of the
batch. The paper draws one box per batch, with probability 0.5 on CIFAR and 1 on ImageNet.

Source: S. Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, 2019,
arXiv:1905.04899, doi:10.1109/ICCV.2019.00612.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .. import mixing
from ..augmenting import Augmentation, Mix, Params, Shape

REVISION = 1
RANDOM = True
LIMITS = {"alpha": "(0, 100]", "probability": "[0, 1]"}


@dataclass(frozen=True)
class Cutmix(Mix):
    """See the module."""

    alpha: float
    probability: float
    per: str

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`weight` of the own label (n,), `box` (n, 4), `rank` whose order within a batch gives the partners (n,)."""
        weight = mixing.beta(self.alpha, n, generator)
        rank = torch.rand(n, generator=generator, dtype=torch.float64)
        weight = torch.where(mixing.chance(n, self.probability, generator), weight, 1.0)
        box, weight = mixing.boxes(weight, shape, "cutmix", generator)
        return {"weight": weight, "box": box, "rank": rank}

    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """The permutation that sorts `rank`, and the weights."""
        weight = params["weight"] if self.per == "example" else mixing.first(params["weight"])
        return torch.argsort(params["rank"], stable=True), weight

    def blend(self, plain: Tensor, other: Tensor, weight: Tensor, shape: Shape, params: Params) -> None:  # noqa: ARG002
        """The boxes of the partners, pasted."""
        if self.per == "example":
            mixing.paste(plain, other, None, params["box"], shape)
        else:
            mixing.paste_first(plain, other, params["box"], shape)


def augment(
    *, alpha: float = 1.0, probability: float = 1.0, per: Literal["example", "batch"] = "batch"
) -> Augmentation:
    """A CutMix.

    Args:
        alpha: both parameters of the beta distribution; 1 is uniform, towards 0 boxes are almost all or nothing.
        probability: share of batches (or examples) that are mixed, 0 to 1.
        per: whether all examples of a batch share one box, or each has its own.
    """
    return Cutmix(alpha, probability, per)
