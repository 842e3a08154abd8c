"""Mixup or CutMix, decided anew for each batch: the mix of timm, which DeiT, Swin and ConvNeXt were trained with.

With probability `probability` a batch is mixed; it is cut with probability `switch` and blended otherwise. Example i of
B is mixed with example B - 1 - i. A label has the weight of its image; with `label_smoothing` in the training the
targets are timm's, since smoothing a mixed label is mixing smoothed ones.

Source: R. Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861, `timm/data/mixup.py`; see `mixup` and `cutmix`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from .. import mixing
from ..augmenting import Augmentation, Mix, Params, Shape

REVISION = 1
RANDOM = True
LIMITS = {
    "mixup_alpha": "(0, 100]", "cutmix_alpha": "(0, 100]", "probability": "[0, 1]", "switch": "[0, 1]",
}  # fmt: skip


@dataclass(frozen=True)
class Switched(Mix):
    """See the module."""

    mixup_alpha: float
    cutmix_alpha: float
    probability: float
    switch: float
    per: str
    host: ClassVar[frozenset[str]] = frozenset({"cut"})

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`cut`: whether to cut (n,); `weight` of the own label (n,); `own` weight of the pixels outside of the `box`
        (n,) and (n, 4)."""
        cut = mixing.chance(n, self.switch, generator)
        blended = mixing.beta(self.mixup_alpha, n, generator)
        weight = torch.where(cut, mixing.beta(self.cutmix_alpha, n, generator), blended)
        weight = torch.where(mixing.chance(n, self.probability, generator), weight, 1.0)
        box, left = mixing.boxes(torch.where(cut, weight, 1.0), shape, "mix", generator)
        return {"cut": cut, "weight": torch.where(cut, left, weight), "own": torch.where(cut, 1.0, weight), "box": box}

    def partners(self, params: Params) -> tuple[Tensor, Tensor]:
        """The batch from its end, and the weights."""
        weight = params["weight"] if self.per == "example" else mixing.first(params["weight"])
        return torch.arange(len(weight) - 1, -1, -1, device=weight.device), weight

    def blend(self, plain: Tensor, other: Tensor, weight: Tensor, shape: Shape, params: Params) -> None:
        """Cut or blended, per batch or per example."""
        if self.per == "example":
            mixing.paste(plain, other, params["own"], params["box"], shape)
        elif bool(params["cut"][0]):
            mixing.paste_first(plain, other, params["box"], shape)
        else:
            super().blend(plain, other, weight, shape, params)


def augment(
    *,
    mixup_alpha: float = 0.8,
    cutmix_alpha: float = 1.0,
    probability: float = 1.0,
    switch: float = 0.5,
    per: Literal["example", "batch"] = "batch",
) -> Augmentation:
    """A mix.

    Args:
        mixup_alpha: both parameters of the beta distribution of blending.
        cutmix_alpha: both parameters of the beta distribution of cutting.
        probability: share of batches (or examples) that are mixed, 0 to 1.
        switch: share of cutting among the mixed.
        per: whether a batch is mixed in one way, or each example in its own.
    """
    return Switched(mixup_alpha, cutmix_alpha, probability, switch, per)
