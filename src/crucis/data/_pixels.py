"""Encoded images to one uint8 array. Needs Pillow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np

from .dataset import DataError

#: Modes that hold one channel.
_GREY = {"1", "L", "I", "I;16", "LA"}


def pillow() -> Any:
    """The module PIL.Image.

    Raises:
        DataError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise DataError("reading encoded images needs Pillow: pip install 'crucis[images]'") from None
    return Image


def decode(items: Iterable[tuple[str, bytes]], *, size: int | None, colour: str) -> np.ndarray:
    """Images uint8 (N, H, W, C).

    Args:
        items: name (for messages) and encoded bytes of each image.
        size: None keeps the size, which must then be the same everywhere; otherwise the largest centred square is
            scaled to size x size (bilinear with antialiasing).
        colour: `rgb`, `grey`, or `auto` (grey if the first image is).

    Raises:
        DataError: an image that cannot be decoded (named), or images of different sizes.
    """
    image, mode = pillow(), {"rgb": "RGB", "grey": "L"}.get(colour)
    out: list[np.ndarray] = []
    for name, data in items:
        try:
            with image.open(io.BytesIO(data)) as file:
                mode = mode or ("L" if file.mode in _GREY else "RGB")
                picture = file.convert(mode)
        except (OSError, ValueError, SyntaxError, TypeError) as error:
            raise DataError(f"{name}: no readable image: {error}") from None
        pixels = np.asarray(picture if size is None else _fitted(picture, size, image))
        if out and pixels.shape != out[0].shape:
            raise DataError(
                f"{name}: {pixels.shape[1]} x {pixels.shape[0]} pixels, others have {out[0].shape[1]} x "
                f"{out[0].shape[0]}; give size to scale them"
            )
        out.append(pixels)
    if not out:
        raise DataError("no images")
    stacked = np.stack(out)
    return stacked[..., None] if stacked.ndim == 3 else stacked


def _fitted(picture: Any, size: int, image: Any) -> Any:
    side = min(picture.size)
    left, top = (picture.size[0] - side) // 2, (picture.size[1] - side) // 2
    return picture.resize((size, size), image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
