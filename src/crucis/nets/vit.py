"""A small vision transformer: patches, learned positions, pre-norm blocks, mean of the tokens, dense head.

Source: A. Dosovitskiy et al., An Image is Worth 16x16 Words, 2021, arXiv:2010.11929; global average in place of a class
token as in X. Zhai et al., 2022, arXiv:2106.04560.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{}, {"patch": 4, "heads": 2, "width": 20, "depth": 2, "dropout": 0.1, "drop_path": 0.2}]
LIMITS = {
    "width": "[1, 8192]", "depth": "[1, 200]", "heads": "[1, 128]", "patch": "[1, 1024]", "mlp": "(0, 16]",
    "dropout": "[0, 1)", "drop_path": "[0, 1)",
}  # fmt: skip


def _patches(input: tuple[int, ...], patch: int | None) -> tuple[int, int, int]:
    """Channels, patch side, number of patches."""
    channels, height, width = blocks.image("vit", input)
    side = blocks.grid_patch(height, width) if patch is None else patch
    if height % side or width % side:
        raise blocks.NetError(f"vit: patches of {side} do not fill an image of {height} x {width}")
    return channels, side, (height // side) * (width // side)


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,
    patch: int | None = None,
    mlp: float = 2.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        width: channels of a token; a multiple of `heads`.
        depth: blocks.
        heads: attention heads.
        patch: side of a patch in pixels; by default one that gives about 8 patches a side, at least 2 pixels.
        mlp: hidden width of a block's dense part, in multiples of `width`.
        dropout: after attention and in the dense part, 0 to below 1.
        drop_path: stochastic depth: probability with which the last block is left out, falling linearly to the first.
    """
    from ._depth import thin
    from ._tokens import Transformer

    channels, side, tokens = _patches(input, patch)
    if width % heads:
        raise blocks.NetError(f"vit: {heads} heads do not share a width of {width}")
    net = Transformer(channels, side, tokens, classes, width, depth, heads, round(mlp * width), dropout)
    if drop_path:
        thin(net.branches(), drop_path)
    return net


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    depth: int = 4,
    heads: int = 4,  # noqa: ARG001
    patch: int | None = None,
    mlp: float = 2.0,
    dropout: float = 0.0,  # noqa: ARG001
    drop_path: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    channels, side, tokens = _patches(input, patch)
    hidden = round(mlp * width)
    block = 4 * width + blocks.linear(width, 3 * width) + blocks.linear(width, width)
    block += blocks.linear(width, hidden) + blocks.linear(hidden, width)
    stem = blocks.conv(channels, width, side, bias=True) + tokens * width
    return stem + depth * block + 2 * width + blocks.linear(width, classes)
