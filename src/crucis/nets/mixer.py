"""A small MLP-Mixer: patches, then blocks that mix over tokens and over channels, mean of the tokens, dense head.

Source: I. Tolstikhin et al., MLP-Mixer: An all-MLP Architecture for Vision, 2021, arXiv:2105.01601.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import blocks

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
EXAMPLES = [{}, {"patch": 8, "width": 10, "depth": 2, "dropout": 0.1, "drop_path": 0.2}]
LIMITS = {"width": "[1, 8192]", "depth": "[1, 200]", "patch": "[1, 1024]", "dropout": "[0, 1)", "drop_path": "[0, 1)"}


def _patches(input: tuple[int, ...], patch: int | None) -> tuple[int, int, int]:
    """Channels, patch side, number of patches."""
    channels, height, width = blocks.image("mixer", input)
    side = blocks.grid_patch(height, width) if patch is None else patch
    if height % side or width % side:
        raise blocks.NetError(f"mixer: patches of {side} do not fill an image of {height} x {width}")
    return channels, side, (height // side) * (width // side)


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    depth: int = 4,
    patch: int | None = None,
    token_mlp: float = 0.5,
    channel_mlp: float = 2.0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        width: channels of a token.
        depth: blocks.
        patch: side of a patch in pixels; by default one that gives about 8 patches a side, at least 2 pixels.
        token_mlp: hidden width of the mixing over tokens, in multiples of `width`.
        channel_mlp: hidden width of the mixing over channels, in multiples of `width`.
        dropout: in both dense parts, 0 to below 1.
        drop_path: stochastic depth: probability with which the last block is left out, falling linearly to the first.
    """
    from ._depth import thin
    from ._tokens import Mixer

    channels, side, tokens = _patches(input, patch)
    hidden = (max(1, round(token_mlp * width)), max(1, round(channel_mlp * width)))
    net = Mixer(channels, side, tokens, classes, width, depth, hidden, dropout)
    if drop_path:
        thin(net.branches(), drop_path)
    return net


def count(
    input: tuple[int, ...],
    classes: int,
    *,
    width: int = 64,
    depth: int = 4,
    patch: int | None = None,
    token_mlp: float = 0.5,
    channel_mlp: float = 2.0,
    dropout: float = 0.0,  # noqa: ARG001
    drop_path: float = 0.0,  # noqa: ARG001
) -> int:
    """Trained parameters."""
    channels, side, tokens = _patches(input, patch)
    across, within = max(1, round(token_mlp * width)), max(1, round(channel_mlp * width))
    block = 4 * width + blocks.linear(tokens, across) + blocks.linear(across, tokens)
    block += blocks.linear(width, within) + blocks.linear(within, width)
    return blocks.conv(channels, width, side, bias=True) + depth * block + 2 * width + blocks.linear(width, classes)
