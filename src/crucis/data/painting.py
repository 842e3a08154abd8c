"""Operations on the levels of pictures, each for a group of pictures with one argument per picture.

A picture batch is uint8 (G, C, H, W); the result too. Every operation computes what Pillow computes, level for level
(`ImageEnhance`, `ImageOps`, `Image.point`, `Image.convert`; the hue as torchvision turns it with Pillow), since that is
what the published trainings used. Grey pictures (C = 1) have neither saturation nor hue: `saturation`, `hue` and `grey`
leave them as they are.

Source: A. Clark and contributors, Pillow, doi:10.5281/zenodo.7641106.
"""

from __future__ import annotations

import torch
from torch import Tensor


def _each(argument: Tensor) -> Tensor:
    """One number per picture, to be used on all its pixels."""
    return argument.view(-1, 1, 1, 1)


def _luma(x: Tensor) -> Tensor:
    """The grey level of each pixel, float32 (G, 1, H, W) with whole values: exact, since all sums are below 2**24."""
    if x.shape[1] != 3:
        return x.to(torch.float32)
    out = x[:, 0:1].to(torch.float32).mul_(19595.0)
    out.add_(x[:, 1:2].to(torch.float32), alpha=38470.0).add_(x[:, 2:3].to(torch.float32), alpha=7471.0)
    return out.add_(32768.0).mul_(1 / 65536).floor_()


def _blended(x: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    """`other` at factor 0, `x` at factor 1, and on beyond both; float32, cut to 0..255, then towards zero."""
    return x.to(torch.float32).sub_(other).mul_(_each(factor)).add_(other).clamp_(0.0, 255.0).to(torch.uint8)


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Black at 0, unchanged at 1."""
    return x.to(torch.float32).mul_(_each(factor)).clamp_(0.0, 255.0).to(torch.uint8)


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """The mean grey level at 0, unchanged at 1."""
    grey = _luma(x)
    mean = grey.sum((1, 2, 3), dtype=torch.float64).div_(grey[0].numel()).add_(0.5).floor_()
    return _blended(x, _each(mean.to(torch.float32)), factor)


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Grey at 0, unchanged at 1."""
    return x if x.shape[1] != 3 else _blended(x, _luma(x), factor)


def grey(x: Tensor, argument: Tensor) -> Tensor:  # noqa: ARG001
    """All channels equal."""
    return x if x.shape[1] != 3 else _luma(x).to(torch.uint8).expand_as(x)


def hue(x: Tensor, turn: Tensor) -> Tensor:
    """The hue turned by `turn` (-0.5..0.5) of a circle; hue and saturation are whole levels on the way."""
    if x.shape[1] != 3:
        return x
    red, green, blue = x.to(torch.float32).unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    spread = high - torch.minimum(torch.minimum(red, green), blue)
    some = spread.clamp(min=1.0)  # of grey pixels all differences are 0
    away = [((high - level) / some).double() for level in (red, green, blue)]
    top = red == high
    angle = (away[2] - away[1]).mul_(top)
    second = (green == high) & ~top
    angle.add_((away[0] - away[2]).add_(2.0).mul_(second)).add_((away[1] - away[0]).add_(4.0).mul_(~(top | second)))
    angle = angle.float().double().div_(6.0).add_(1.0)
    angle = angle.sub_(angle.floor()).float().double().mul_(255.0).floor_()
    depth = (spread / high.clamp(min=1.0)).double().mul_(255.0).floor_().div_(255.0).float()
    shift = (turn.to(torch.float64) * 255).trunc().view(-1, 1, 1)
    angle.add_(shift).sub_(angle.div(256.0).floor_().mul_(256.0))
    sixth = angle.mul_(6.0).div_(255.0).float()
    out = torch.empty_like(x)
    for channel, begin in enumerate((5.0, 3.0, 1.0)):
        place = sixth + begin
        place.sub_(place.div(6.0).floor_().mul_(6.0))
        part = torch.minimum(place, 4.0 - place).clamp_(0.0, 1.0)
        out[:, channel] = part.mul_(depth).neg_().add_(1.0).mul_(high).add_(0.5).to(torch.uint8)
    return out


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Smoothed at 0 (the mean of nine pixels, the middle counting five times), unchanged at 1; borders stay."""
    if min(x.shape[2:]) < 3:
        return x
    plain = x.to(torch.float32)
    rows = plain[:, :, :-2] + plain[:, :, 1:-1] + plain[:, :, 2:]
    near = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    inner = plain[:, :, 1:-1, 1:-1]
    smooth = near.add_(inner, alpha=4.0).div_(13.0).add_(0.5).floor_()
    out = x.clone()
    out[:, :, 1:-1, 1:-1] = _blended(x[:, :, 1:-1, 1:-1], smooth, factor)
    return out


def auto_contrast(x: Tensor, argument: Tensor) -> Tensor:  # noqa: ARG001
    """Each channel stretched so that its least level is 0 and its greatest 255."""
    low, high = x.amin((2, 3), keepdim=True).double(), x.amax((2, 3), keepdim=True).double()
    scale = torch.full_like(low, 255.0).div_(high - low)  # `255.0 / ...` is a reciprocal, and rounds twice
    out = x.double().mul_(scale).add_(-low * scale).clamp_(0.0, 255.0)
    flat = (high <= low).to(torch.uint8)
    return out.to(torch.uint8).mul_(1 - flat).add_(x * flat)


def equalize(x: Tensor, argument: Tensor) -> Tensor:  # noqa: ARG001
    """Each channel mapped so that its levels are as frequent as possible alike."""
    planes = x.flatten(2).flatten(0, 1).long()  # (G * C, H * W)
    count, pixels = planes.shape
    place = planes + torch.arange(0, 256 * count, 256, device=x.device)[:, None]
    found = torch.bincount(place.view(-1), minlength=256 * count).view(count, 256)
    last = found.gather(1, planes.amax(1, keepdim=True))
    step = (pixels - last) // 255
    table = ((step // 2 + found.cumsum(1) - found) // step.clamp(min=1)).clamp_(max=255)
    table = torch.where(step > 0, table, torch.arange(256, device=x.device))
    return table.to(torch.uint8).gather(1, planes).view(x.shape)


def invert(x: Tensor, argument: Tensor) -> Tensor:  # noqa: ARG001
    """Each level taken from 255."""
    return 255 - x


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Only the highest `bits` (0..8) of each level are kept."""
    kept = 256 - torch.pow(2.0, 8 - bits.to(torch.float32))
    return x & _each(kept.to(torch.uint8))


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Levels from `threshold` (0..256) on are inverted."""
    return x ^ (x >= _each(threshold)).to(torch.uint8).mul_(255)


def solarize_add(x: Tensor, add: Tensor) -> Tensor:
    """`add` (0..128, whole) more for levels below 128."""
    return (x < 128).to(torch.uint8).mul_(_each(add.to(torch.uint8))).add_(x)
