"""The libraries against which augmentations are held, and a few pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch


def transforms():
    """`torchvision.transforms.v2`, or the test is skipped where the extra is not installed."""
    pytest.importorskip("PIL")
    from crucis.nets._torchvision import torchvision

    torchvision()
    from torchvision.transforms import v2

    return v2


def policies():
    """`timm.data`, or the test is skipped where the extra is not installed."""
    from crucis.nets._torchvision import timm

    transforms()
    timm()
    import timm.data as data

    return data


def pictures(count: int, height: int = 32, width: int = 32, channels: int = 3, seed: int = 0) -> torch.Tensor:
    """Smooth shapes, noise, flat images and few levels in turn, so that histograms differ; uint8 (N, C, H, W)."""
    draw = np.random.default_rng(seed)
    x = draw.integers(0, 256, (count, channels, height, width)).astype(np.float64)
    down, right = np.mgrid[:height, :width]
    for i in range(count):
        kind = i % 4
        if kind == 1:
            wave = np.sin(down / draw.uniform(2, 9))[None] + np.cos(right / draw.uniform(2, 9))[None]
            x[i] = 128 + 50 * wave * draw.uniform(0.2, 1.2, (channels, 1, 1)) + draw.uniform(-60, 60)
        elif kind == 2:
            x[i] = x[i] * draw.uniform(0.1, 0.6) + draw.uniform(0, 100)
        elif kind == 3:
            x[i] = draw.integers(0, 256, (channels, 1, 1)) if i % 8 == 7 else np.floor(x[i] / 64) * 50
    return torch.from_numpy(x.clip(0, 255).astype(np.uint8))


def photo(x: torch.Tensor):
    """One image (C, H, W) as Pillow holds it."""
    from PIL import Image

    return Image.fromarray(x.permute(1, 2, 0).numpy().squeeze())


def levels(picture) -> torch.Tensor:
    """A Pillow image as (C, H, W)."""
    pixels = np.asarray(picture)
    return torch.from_numpy(np.array(pixels if pixels.ndim == 3 else pixels[..., None])).permute(2, 0, 1)
