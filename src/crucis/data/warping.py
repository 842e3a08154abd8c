"""Shears, shifts and rotations of a group of pictures, each by its own amount, as Pillow's `Image.transform` does them.

A pixel of the result at (column + 1/2, row + 1/2) is looked up at the place that the inverse map gives. Places outside
of the picture get the fill; inside, pixels beyond the border are those of the border. Interpolated values are cut to
0..255 and then towards zero, as Pillow does; a result is another level than Pillow's where rounding differs, one level
in a few pixels of 10,000.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

KINDS = ("nearest", "bilinear", "bicubic")
#: Added before cutting off, so that sums of weights that come to 1 - 1e-7 lose no level.
_SLACK = 2.0**-12


def _taps(place: Tensor, size: int, kind: str) -> tuple[Tensor, Tensor | None]:
    """Pixels (..., T) and their weights, float32, along an axis for the places (...), float64; of one tap no weight."""
    if kind == "nearest":
        return place.floor().int().clamp_(0, size - 1).unsqueeze(-1), None
    shifted = place - 0.5
    begin = shifted.floor()
    d = shifted.sub_(begin).float()
    e = 1 - d
    if kind == "bilinear":
        first, weights = 0, [e, d]
    else:  # the cubic of R. Keys with a = -1
        both = d * e
        first, weights = -1, [-both * e, (both * d).neg_().add_(both).add_(e), (both * e).neg_().add_(both).add_(d),
                              -both * d]  # fmt: skip
    offset = torch.arange(first, first + len(weights), dtype=torch.int32, device=place.device)
    return (begin.int().unsqueeze(-1) + offset).clamp_(0, size - 1), torch.stack(weights, -1)


def _axis(places: Tensor | None, axis: int, x: Tensor, kind: str) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Pixels and weights along an axis, and where they are outside; without places every pixel is its own."""
    size = x.shape[axis]
    if places is not None:
        return *_taps(places, size, kind), (places < 0).logical_or_(places >= size)
    own = torch.arange(size, dtype=torch.int32, device=x.device)
    return own.view(1, *((-1, 1) if axis == 2 else (1, -1)), 1), None, None


def _looked_up(x: Tensor, down: Tensor | None, right: Tensor | None, kind: str, fill: int) -> Tensor:
    """The pictures at the rows `down` and columns `right`, float64 (G, H, W), or None for those of the pixels."""
    count, channels, height, width = x.shape
    (rows, over, above), (columns, along, beside) = _axis(down, 2, x, kind), _axis(right, 3, x, kind)
    beyond = beside if above is None else above if beside is None else above.logical_or_(beside)
    assert beyond is not None
    outside = beyond.to(torch.uint8)
    place = (rows * width).unsqueeze(-1) + columns.unsqueeze(-2)  # (G, H, W, taps down, taps right)
    if over is None and along is None:
        place = place.expand(count, height, width, 1, 1).reshape(count, 1, -1).long()
        out = x.view(count, channels, -1).gather(2, place.expand(-1, channels, -1)).view(x.shape)
    else:
        if over is None or along is None:
            weight = along if over is None else over
        else:
            weight = over.unsqueeze(-1) * along.unsqueeze(-2)
        assert weight is not None
        first = torch.arange(0, count * height * width, height * width, dtype=torch.int32, device=x.device)
        place = (place + first.view(-1, 1, 1, 1, 1)).view(count * height * width, -1)
        # One weighted sum of rows of a table per pixel of the result: what bags of embeddings are.
        table = x.permute(0, 2, 3, 1).to(torch.float32, memory_format=torch.contiguous_format).view(-1, channels)
        found = torch.nn.functional.embedding_bag(place, table, per_sample_weights=weight.view(place.shape), mode="sum")
        found = found.add_(_SLACK).clamp_(0.0, 255.0).view(count, height, width, channels).permute(0, 3, 1, 2)
        out = found.to(torch.uint8, memory_format=torch.contiguous_format)
    # Outside the fill, by arithmetic, since a choice per pixel costs more.
    return out.mul_((1 - outside)[:, None]).add_(outside.mul_(fill)[:, None])


def _place(x: Tensor, across: Tensor, along: Tensor, begin: Tensor, kind: str) -> Tensor:
    """`across` x (column + 1/2) + `along` x (row + 1/2) + `begin` of every pixel, float64 (G, H, W)."""
    height, width = x.shape[2:]
    down = torch.arange(height, dtype=torch.float64, device=x.device).view(1, -1, 1)
    right = torch.arange(width, dtype=torch.float64, device=x.device).view(1, 1, -1)
    begin = begin + (across + along) * 0.5
    if kind == "nearest":  # Pillow counts in 65536ths here, which decides ties
        across, along, begin = ((part * 65536.0).add(0.5).floor().div(65536.0) for part in (across, along, begin))
    return begin + along * down + across * right


def move_x(x: Tensor, along: Tensor, begin: Tensor, kind: str, fill: int) -> Tensor:
    """Row r is looked up `along` x (r + 1/2) + `begin` pixels further to the right: shears and shifts in one."""
    one = torch.ones(len(x), 1, 1, dtype=torch.float64, device=x.device)
    place = _place(x, one, along.double().view(-1, 1, 1), begin.double().view(-1, 1, 1), kind)
    return _looked_up(x, None, place, kind, fill)


def move_y(x: Tensor, along: Tensor, begin: Tensor, kind: str, fill: int) -> Tensor:
    """Column c is looked up `along` x (c + 1/2) + `begin` pixels further down."""
    one = torch.ones(len(x), 1, 1, dtype=torch.float64, device=x.device)
    place = _place(x, along.double().view(-1, 1, 1), one, begin.double().view(-1, 1, 1), kind)
    return _looked_up(x, place, None, kind, fill)


def rotate(x: Tensor, degrees: Tensor, kind: str, fill: int) -> Tensor:
    """Rotated counter-clockwise about the middle."""
    middle = x.shape[2] / 2, x.shape[3] / 2
    angle = (degrees.double() * (-math.pi / 180)).view(-1, 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    right = _place(x, cosine, sine, middle[1] - cosine * middle[1] - sine * middle[0], kind)
    down = _place(x, -sine, cosine, middle[0] + sine * middle[1] - cosine * middle[0], kind)
    return _looked_up(x, down, right, kind, fill)
