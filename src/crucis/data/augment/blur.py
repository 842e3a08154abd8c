"""Random Gaussian blur: the standard deviation is drawn per sample, as torchvision's `GaussianBlur`.

Kernel: exp(-d^2 / (2 sigma^2)) at the whole distances d up to (kernel - 1) / 2, summing to 1, along both axes; the
picture is mirrored at its border without repeating it; rounded to whole levels. SimCLR (T. Chen et al., 2020,
arXiv:2002.05709) uses a kernel of a tenth of the image's side and sigma in [0.1, 2] at 224 pixels; MoCo v3 and DINO
blur by Pillow's approximation with boxes, which this replaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..augmenting import Augmentation
from ..dataset import DataError
from ..painted import Operation, Painted, between, chance

REVISION = 1
RANDOM = True
LIMITS = {"probability": "[0, 1]", "lowest": "(0, 100]", "highest": "(0, 100]", "kernel": "[1, 1023]"}


def blurred(x: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Pictures uint8 (G, C, H, W), each blurred by its own `sigma` (G,) with an odd `kernel`."""
    half = kernel // 2
    distance = torch.arange(-half, half + 1, dtype=torch.float32, device=x.device)
    weight = (distance / sigma[:, None]).square_().mul_(-0.5).exp_()
    weight /= weight.sum(1, keepdim=True)
    axes = []
    for size in x.shape[2:]:
        place = torch.arange(size, device=x.device)[:, None] + torch.arange(-half, half + 1, device=x.device)
        place = place.abs()
        place = torch.where(place >= size, 2 * (size - 1) - place, place)
        hits = torch.nn.functional.one_hot(place, size).to(torch.float32)  # (size, kernel, size)
        axes.append(torch.einsum("gk,rks->grs", weight, hits))
    count, channels, height, width = x.shape
    wide = torch.bmm(x.to(torch.float32).view(count, channels * height, width), axes[1].transpose(1, 2))
    out = torch.matmul(axes[0][:, None], wide.view(count, channels, height, width))
    return out.round_().clamp_(0.0, 255.0).to(torch.uint8)


@dataclass(frozen=True)
class Blur(Painted):
    """See the module."""

    probability: float
    lowest: float
    highest: float
    kernel: int | None

    @property
    def operations(self) -> Sequence[Operation]:
        """The one."""

        def operation(x: Tensor, sigma: Tensor) -> Tensor:
            return blurred(x, sigma, self._kernel(x.shape[1:]))

        return (operation,)

    def _kernel(self, shape: Sequence[int]) -> int:
        side = min(shape[1:])
        kernel = (side // 10) | 1 if self.kernel is None else self.kernel
        if kernel // 2 >= side:
            raise DataError(f"augment: blur with a kernel of {kernel} needs images of more than {kernel // 2} pixels")
        return kernel

    def draw(self, n: int, shape: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """Whether the sample is blurred, and its standard deviation in pixels."""
        self._kernel(shape)
        meant = chance(n, self.probability, generator)[:, None]
        sigma = between(self.lowest, self.highest, n, generator)[:, None]
        return {"operation": meant.to(torch.uint8), "argument": sigma}


def augment(
    *, probability: float = 0.5, lowest: float = 0.1, highest: float = 2.0, kernel: int | None = None
) -> Augmentation:
    """A blur.

    Args:
        probability: share of samples that are blurred, 0 to 1.
        lowest: least standard deviation in pixels.
        highest: greatest standard deviation in pixels.
        kernel: pixels of the kernel along each axis, odd; left out, a tenth of the image's side, made odd.
    """
    if lowest > highest:
        raise DataError(f"augment: blur: lowest {lowest:g} is above highest {highest:g}")
    if kernel is not None and kernel % 2 == 0:
        raise DataError(f"augment: blur: the kernel needs a middle, so an odd number of pixels; got {kernel}")
    return Blur(probability, lowest, highest, kernel)
