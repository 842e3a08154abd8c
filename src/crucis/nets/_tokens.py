"""Nets on patches: transformer and mixer. Attention and both dense parts are residual and pre-norm."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def dense(inputs: int, hidden: int, dropout: float) -> nn.Sequential:
    """Two dense layers with GELU between, back to `inputs`."""
    drop = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), *drop, nn.Linear(hidden, inputs), *drop)


def _initialise(net: nn.Module) -> None:
    """Dense layers Xavier-uniform with zero bias, as the original nets; positions stay as drawn."""
    for part in net.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)


class Attention(nn.Module):
    """Multi-head self-attention over tokens (N, T, D); query, key and value from one dense layer."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.inward, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.drop: nn.Module = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, T, D)."""
        count, tokens, width = x.shape
        split = self.inward(x).view(count, tokens, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        # Written out: fused attention has no second derivative on the CPU and no deterministic form on every GPU.
        weights = (query @ key.transpose(-2, -1) * (width // self.heads) ** -0.5).softmax(-1)
        mixed = weights @ value
        return self.drop(self.outward(mixed.transpose(1, 2).reshape(count, tokens, width)))


class Block(nn.Module):
    """Attention, then a dense part."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_dense = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.dense = Attention(width, heads, dropout), dense(width, hidden, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, T, D)."""
        x = x + self.attention(self.norm_attention(x))
        return x + self.dense(self.norm_dense(x))

    def branches(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The ends of both residual branches, to put something behind."""
        self.attention.drop = nn.Sequential(self.attention.drop)
        return self.attention.drop, self.dense


class MixerBlock(nn.Module):
    """A dense part over tokens, then one over channels."""

    def __init__(self, tokens: int, width: int, hidden: tuple[int, int], dropout: float) -> None:
        super().__init__()
        self.norm_tokens, self.norm_channels = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens, self.channels = dense(tokens, hidden[0], dropout), dense(width, hidden[1], dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, D) to (N, T, D)."""
        x = x + self.tokens(self.norm_tokens(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm_channels(x))

    def branches(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The ends of both residual branches, to put something behind."""
        return self.tokens, self.channels


class _Patched(nn.Module):
    """Patches to tokens, blocks, norm, mean, head."""

    def __init__(self, channels: int, side: int, width: int, classes: int, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, width, side, side)
        self.blocks, self.norm = nn.Sequential(*blocks), nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def branches(self) -> list[tuple[nn.Sequential, nn.Sequential]]:
        """The ends of the residual branches of each block."""
        blocks: list[Any] = list(self.blocks)
        return [block.branches() for block in blocks]

    def tokens(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, T, D)."""
        return self.patches(x).flatten(2).transpose(1, 2)

    def logits(self, tokens: Tensor) -> Tensor:
        """(N, T, D) to (N, classes)."""
        return self.head(self.norm(self.blocks(tokens)).mean(1))


class Transformer(_Patched):
    """See `nets/vit.py`."""

    def __init__(
        self, channels: int, side: int, tokens: int, classes: int, width: int, depth: int, heads: int, hidden: int,
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__(channels, side, width, classes, [Block(width, heads, hidden, dropout) for _ in range(depth)])
        self.positions = nn.Parameter(torch.empty(1, tokens, width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes)."""
        return self.logits(self.tokens(x) + self.positions)


class Mixer(_Patched):
    """See `nets/mixer.py`."""

    def __init__(
        self, channels: int, side: int, tokens: int, classes: int, width: int, depth: int, hidden: tuple[int, int],
        dropout: float,
    ) -> None:  # fmt: skip
        super().__init__(
            channels, side, width, classes, [MixerBlock(tokens, width, hidden, dropout) for _ in range(depth)]
        )
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, classes)."""
        return self.logits(self.tokens(x))
