"""Common corruptions of images in five severities, after the small-image set CIFAR-10-C, on images of any size.

Every corruption takes images (N, C, H, W) in [0, 1], a severity from 1 to 5 and a generator on the CPU, and is followed
by clipping to [0, 1] and rounding to 256 levels, as the original images were stored. Strengths are those of the
published CIFAR-10-C. What has a length in pixels there (blur, pixelation) is scaled with the smaller side over 32, so
that it takes the same share of the picture; the blur integrates its Gaussian over each pixel, which keeps narrow ones
honest. Grey images are brightened directly instead of through their value in HSV, which for grey is the same.

Source: D. Hendrycks, T. Dietterich, 2019 (arXiv:1903.12261). Left out are corruptions that need an image codec or
pictures of their own (JPEG, frost, snow, fog, spatter) and those that move pixels (motion, zoom, elastic).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

Corruption = Callable[[Tensor, int, torch.Generator], Tensor]
#: The side of the images for which strengths in pixels were published.
_SIDE = 32


def _normal(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(x.shape, generator=generator).to(x.device)


def _gaussian_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    return x + (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1] * _normal(x, generator)


def _speckle_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    return x + (0.06, 0.10, 0.12, 0.16, 0.20)[severity - 1] * x * _normal(x, generator)


def _shot_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    photons = (500, 250, 100, 75, 50)[severity - 1]
    return (torch.poisson(x.cpu() * photons, generator=generator) / photons).to(x.device)


def _impulse_noise(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    draw = torch.rand(x.shape, generator=generator).to(x.device)
    return torch.where(draw < share / 2, 0.0, torch.where(draw > 1 - share / 2, 1.0, x))


def _gaussian_blur(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    del generator
    sigma = (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1] * min(x.shape[2:]) / _SIDE
    reach = max(1, math.ceil(4 * sigma))
    edges = (torch.arange(2 * reach + 2, dtype=torch.float64) - reach - 0.5) / (sigma * math.sqrt(2))
    weights = torch.special.erf(edges).diff() / 2
    kernel = (weights / weights.sum()).to(x)
    # Edge pixels are repeated outwards: a mirror needs images larger than the kernel.
    flat = functional.pad(x, (reach, reach, reach, reach), mode="replicate").flatten(0, 1)[:, None]
    flat = functional.conv2d(functional.conv2d(flat, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return flat.view(x.shape)


def _brightness(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    del generator
    value = x.amax(1, keepdim=True)
    raised = (value + (0.05, 0.10, 0.15, 0.20, 0.30)[severity - 1]).clamp(max=1.0)
    return torch.where(value > 0, x * raised / value.clamp(min=1e-12), raised)


def _contrast(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    del generator
    mean = x.mean((2, 3), keepdim=True)
    return (x - mean) * (0.75, 0.50, 0.40, 0.30, 0.15)[severity - 1] + mean


def _pixelate(x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    del generator
    share = (0.95, 0.90, 0.85, 0.75, 0.65)[severity - 1]
    small = [max(1, math.floor(side * share)) for side in x.shape[2:]]
    return functional.interpolate(functional.interpolate(x, size=small, mode="area"), size=x.shape[2:], mode="nearest")


#: Name -> corruption, in the order of reports.
CORRUPTIONS: Mapping[str, Corruption] = {
    "gaussian_noise": _gaussian_noise, "shot_noise": _shot_noise, "impulse_noise": _impulse_noise,
    "speckle_noise": _speckle_noise, "gaussian_blur": _gaussian_blur, "brightness": _brightness,
    "contrast": _contrast, "pixelate": _pixelate,
}  # fmt: skip


def corrupted(name: str, x: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Images with a corruption; severity 0 leaves them as they are."""
    if severity == 0:
        return x
    return (CORRUPTIONS[name](x, severity, generator).clamp(0.0, 1.0) * 255).round() / 255
