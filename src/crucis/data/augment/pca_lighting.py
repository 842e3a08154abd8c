"""PCA lighting: a random multiple of the principal colours of ImageNet is added to all pixels of an image.

colour = V (a * w), with V the eigenvectors and w the eigenvalues of the colours of ImageNet on the scale where white
is 1, and a normal with standard deviation `std`, drawn per sample. Neither rounded nor clipped, as in fb.resnet.torch,
from whose `datasets/imagenet.lua` V and w come. The components belong to ImageNet; other data has others.

Source: A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet classification with deep convolutional neural networks,
2012, doi:10.1145/3065386, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augmenting import Augmentation, Light, Params
from ..dataset import DataError

REVISION = 1
RANDOM = True
LIMITS = {"std": "[0, 10]"}
VALUES = (0.2175, 0.0188, 0.0045)
VECTORS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


@dataclass(frozen=True)
class PcaLighting(Light):
    """See the module."""

    std: float

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """`colour`: what is added to red, green and blue, (n, 3)."""
        if shape[0] != 3:
            raise DataError(f"augment: pca_lighting needs images of three channels, the data has {shape[0]}")
        share = torch.randn(n, 3, generator=generator, dtype=torch.float64).mul_(self.std)
        values, vectors = torch.tensor(VALUES, dtype=torch.float64), torch.tensor(VECTORS, dtype=torch.float64)
        return {"colour": ((share * values) @ vectors.T).to(torch.float32)}

    def tint(self, params: Params) -> Tensor:
        """As drawn."""
        return params["colour"]


def augment(*, std: float = 0.1) -> Augmentation:
    """PCA lighting.

    Args:
        std: standard deviation of the multiples.
    """
    return PcaLighting(std)
