"""Permuted and rotated inputs: whole-set changes that make a new task of an old one."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, sin

import numpy as np

from .dataset import Dataset, Split
from .split import order


def permuted(data: Dataset, which: int) -> Dataset:
    """Every example with its pixels (or features) in one fixed random order; 0 leaves them as they are.

    The order depends on `which` and on the number of pixels only: the same for every split, seed and data set of that
    size. The channels of a pixel stay together. Vectors keep each feature's mean and deviation with the feature.
    """
    if which == 0:
        return data
    shape = data.train.x.shape[1:]
    places = int(np.prod(shape[:2])) if data.kind == "image" else shape[0]
    index = order(places, which, "view", "permute")

    def change(part: Split) -> Split:
        if data.kind == "vector":
            return replace(part, x=part.x[:, index])
        return replace(part, x=part.x.reshape(len(part), places, -1)[:, index].reshape(part.x.shape))

    shown = data.mapped(change)
    if data.kind == "vector":
        mean, std = (tuple(np.array(values)[index].tolist()) for values in (data.mean, data.std))
        return replace(shown, mean=mean, std=std)
    return shown


def rotated(data: Dataset, degrees: float) -> Dataset:
    """Every image turned counter-clockwise about its centre; what comes from outside is 0.

    Bilinear, rounded to uint8; quarter turns of square images are exact.
    """
    return data.mapped(lambda part: replace(part, x=rotate_images(part.x, degrees)))


def rotate_images(x: np.ndarray, degrees: float) -> np.ndarray:
    """Images uint8 (N, H, W, C) turned counter-clockwise by `degrees`."""
    height, width = x.shape[1:3]
    quarters = degrees / 90
    if quarters == int(quarters) and (height == width or int(quarters) % 2 == 0):
        return np.ascontiguousarray(np.rot90(x, int(quarters) % 4, axes=(1, 2)))
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    rows, columns = rows - (height - 1) / 2, columns - (width - 1) / 2
    c, s = cos(radians(degrees)), sin(radians(degrees))
    # The source of a target pixel is that pixel turned back. Rows run downwards, hence the signs.
    source_rows = rows * c + columns * s + (height - 1) / 2
    source_columns = columns * c - rows * s + (width - 1) / 2
    out = np.empty_like(x)
    for start in range(0, len(x), 1024):
        out[start : start + 1024] = _bilinear(x[start : start + 1024], source_rows, source_columns)
    return out


def _bilinear(x: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    height, width = x.shape[1:3]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    total = np.zeros(x.shape, dtype=np.float32)
    for dr in (0, 1):
        for dc in (0, 1):
            r, c = top + dr, left + dc
            weight = (down if dr else 1 - down) * (right if dc else 1 - right)
            weight = np.where((r >= 0) & (r < height) & (c >= 0) & (c < width), weight, 0)[None, :, :, None]
            total += weight * x[:, r.clip(0, height - 1), c.clip(0, width - 1)]
    return np.rint(total).clip(0, 255).astype(np.uint8)
