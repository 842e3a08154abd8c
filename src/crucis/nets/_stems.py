"""Fitting nets made for 224-pixel images to small ones: a stem that keeps the image's size, fewer poolings."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .blocks import NetError

#: Images smaller than this get the small stem unless told otherwise.
SMALL = 64

#: Poolings that belong to a stem, by their names in timm and torchvision.
_STEM_POOLS = ("maxpool", "features.pool0", "features.conv1_pool", "patch_embed.backbone.pool")


def wants_small(stem: str, shape: tuple[int, ...]) -> bool:
    """Whether to change the stem: `small`, `own`, or `auto` (below 64 pixels)."""
    return stem == "small" or (stem == "auto" and min(shape[1:]) < SMALL)


def first_convolution(net: nn.Module) -> str:
    """Name of the first 2-D convolution in module order.

    Raises:
        NetError: there is none.
    """
    for name, part in net.named_modules():
        if isinstance(part, nn.Conv2d):
            return name
    raise NetError("the net has no convolution to put a small stem in place of")


def _replace(net: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(net.get_submodule(parent), last, part)


def _thin(old: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A 3x3 convolution of stride 1 (He-normal) in place of a larger or coarser one."""
    new = nn.Conv2d(channels, old.out_channels, 3, 1, 1, bias=old.bias is not None)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    if new.bias is not None:
        nn.init.zeros_(new.bias)
    return new


def shrink_stem(net: nn.Module) -> None:
    """Let the first convolution keep the image's size, and drop the pooling of the stem.

    A 3x3 convolution only loses its stride; any other kernel becomes a new 3x3 one.
    """
    name = first_convolution(net)
    old = net.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    if old.kernel_size == (3, 3):
        # Some stems (RepVGG, MobileOne) have parallel branches on the image, which must keep the same size.
        for part in net.get_submodule(name.split(".")[0]).modules():
            if part is old or (isinstance(part, nn.Conv2d) and part.in_channels == old.in_channels <= 4):
                part.stride = (1, 1)
    else:
        _replace(net, name, _thin(old, old.in_channels))
    for pool in _STEM_POOLS:
        try:
            net.get_submodule(pool)
        except AttributeError:
            continue
        _replace(net, pool, nn.Identity())


def set_patch(net: nn.Module, shape: tuple[int, ...], patch: int) -> None:
    """Give a net on patches another patch, when its constructor does not offer one: a new first convolution."""
    name = first_convolution(net)
    old = net.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    new = nn.Conv2d(old.in_channels, old.out_channels, patch, patch, bias=old.bias is not None)
    _replace(net, name, new)
    embedding: Any = net.get_submodule(name.rpartition(".")[0])
    if hasattr(embedding, "img_size"):
        embedding.img_size, embedding.patch_size = tuple(shape[1:]), (patch, patch)


def set_channels(net: nn.Module, channels: int) -> None:
    """Let the first convolution take `channels`; a new one is drawn if it took another number."""
    name = first_convolution(net)
    old = net.get_submodule(name)
    assert isinstance(old, nn.Conv2d)
    if old.in_channels == channels:
        return
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)  # type: ignore[arg-type]
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    _replace(net, name, new)


def plain_attention(net: nn.Module) -> None:
    """Let timm's attention layers multiply matrices themselves.

    Fused attention has no second derivative on the CPU and no deterministic form on every GPU; over few tokens it is no
    faster.
    """
    for part in net.modules():
        if isinstance(getattr(part, "fused_attn", None), bool):
            part.fused_attn = False  # type: ignore[assignment]


def drop_late_pools(net: nn.Module, side: int, prefix: str = "features.") -> None:
    """Of 2x2 max poolings in a row of layers, keep as many as leave 2 pixels of `side`."""
    for name, part in list(net.named_modules()):
        if isinstance(part, nn.MaxPool2d) and name.startswith(prefix):
            if side < 4:
                _replace(net, name, nn.Identity())
            side //= 2


def checked(net: nn.Module, shape: tuple[int, ...], classes: int, name: str) -> nn.Module:
    """The net, if it takes a batch of such images and gives logits. One forward pass of two black images.

    Raises:
        NetError: it does not.
    """
    net.eval()
    try:
        with torch.no_grad():
            out = net(torch.zeros(2, *shape))
    except (RuntimeError, AssertionError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        text = " ".join(str(error).split())[:160]
        raise NetError(f"{name} cannot take images {'x'.join(map(str, shape))}: {text}") from None
    if not isinstance(out, torch.Tensor) or tuple(out.shape) != (2, classes):
        raise NetError(f"{name} gives {tuple(getattr(out, 'shape', ()))} for two images, not (2, {classes})")
    return net.train()
