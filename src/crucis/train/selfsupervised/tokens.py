"""Vision transformers read token by token: patches with their positions in, tokens of the last block out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..backbone import BackboneError


class Tokens:
    """A vision transformer by its parts; its parameters stay the network's own.

    Attributes:
        side: of a patch in pixels; grid: patches down and across; width: channels of a token.

    Raises:
        BackboneError: the network has no such parts.
    """

    def __init__(self, net: nn.Module, shape: tuple[int, ...]) -> None:
        ours = all(hasattr(net, name) for name in ("patches", "positions", "blocks", "norm"))
        theirs = all(hasattr(net, name) for name in ("patch_embed", "_pos_embed", "blocks", "norm"))
        if not ours and not theirs:
            raise BackboneError(f"{type(net).__name__} has no patches with positions that could be masked; take vit, "
                                "or a vision transformer of timm")  # fmt: skip
        self.net, self.ours = net, ours
        stem = net.patches if ours else net.patch_embed.proj  # type: ignore[union-attr]
        assert isinstance(stem, nn.Conv2d)
        self.side = int(stem.kernel_size[0])
        self.grid = (shape[1] // self.side, shape[2] // self.side)
        self.width = stem.out_channels
        self.prefix = 0 if ours else int(net.num_prefix_tokens)  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        """Patches of an image, T."""
        return self.grid[0] * self.grid[1]

    def embed(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (B, C, H, W) to tokens with positions (B, T, D) and what stands before them (B, P, D)."""
        net = self.net
        if self.ours:
            tokens = net.tokens(x) + net.positions  # type: ignore[operator]
            return tokens, tokens[:, :0]
        whole = net.norm_pre(net._pos_embed(net.patch_embed(x)))  # type: ignore[operator]
        return whole[:, self.prefix :], whole[:, : self.prefix]

    def encode(self, tokens: Tensor, before: Tensor) -> Tensor:
        """Any tokens (B, K, D) of an image through blocks and norm, to (B, K, D)."""
        net = self.net
        found = net.blocks(torch.cat([before, tokens], 1) if self.prefix else tokens)  # type: ignore[operator]
        norm = net.norm
        if not self.ours and isinstance(norm, nn.Identity):
            norm = net.fc_norm  # timm norms behind the mean where it pools by the mean
        return norm(found)[:, self.prefix :]  # type: ignore[operator]

    def patches(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) as pixels of their patches (B, T, side * side * C)."""
        down, across = self.grid
        found = x.reshape(len(x), x.shape[1], down, self.side, across, self.side)
        return found.permute(0, 2, 4, 3, 5, 1).reshape(len(x), down * across, -1)


def take(tokens: Tensor, index: Tensor) -> Tensor:
    """The tokens (B, T, D) at `index` (B, K): (B, K, D)."""
    return tokens.gather(1, index[:, :, None].expand(-1, -1, tokens.shape[2]))


def waves(grid: tuple[int, int], width: int) -> Tensor:
    """Fixed positions (T, width): sines and cosines of row and column, half of the width each.

    Source: as in K. He et al., 2022, arXiv:2111.06377, code. `width` is a multiple of 4.
    """
    quarter = width // 4
    rates = torch.pow(10000.0, -torch.arange(quarter, dtype=torch.float64) / quarter)
    down, across = (torch.arange(size, dtype=torch.float64) for size in grid)
    parts = []
    for place in (across[None, :].expand(grid), down[:, None].expand(grid)):
        angle = place.reshape(-1)[:, None] * rates
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, 1).float()
