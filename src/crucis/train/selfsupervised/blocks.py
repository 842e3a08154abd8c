"""Multi-block masks: some blocks of patches to predict, and a large block to predict them from.

Differs from the published collator where that is defective on small grids: every position of a block is possible, also
at the last row and column; area and aspect are drawn apart; the context has a number of patches that is fixed
beforehand, chosen at random among those it may have, so that the objective does not depend on the batch; and nothing is
drawn without end. Sizes are drawn per batch, places per image.

Source: M. Assran et al., 2023, arXiv:2301.08243, section 3 and appendix A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..settings import SettingsError

#: How often places are drawn anew for the images whose context would be too small.
TRIES = 20


@dataclass(frozen=True)
class Blocks:
    """Which masks are drawn.

    Attributes:
        grid: patches down and across; targets: blocks to predict.
        scale, aspect: of a target: share of the grid, and height over width, lowest and highest.
        context_scale: of the context's block, whose aspect is 1.
        context: patches of the context that are kept.

    Raises:
        SettingsError: a context of so many patches is not always there.
    """

    grid: tuple[int, int]
    targets: int
    scale: tuple[float, float]
    aspect: tuple[float, float]
    context_scale: tuple[float, float]
    context: int

    def __post_init__(self) -> None:
        largest = max(h * w for h, w in self.sizes())
        least = min(h * w for h, w in (self._size(self.context_scale[0], 1.0), self._size(self.context_scale[1], 1.0)))
        if self.context > least - largest:
            raise SettingsError(
                "context_tokens", f"a context of {self.context} patches cannot be kept: its block has {least}, of "
                f"which a target takes {largest}; take a smaller context (min_keep, too) or smaller patches",
            )  # fmt: skip

    def _size(self, scale: float, aspect: float) -> tuple[int, int]:
        """Rows and columns of a block."""
        area = scale * self.grid[0] * self.grid[1]
        high = min(max(round(math.sqrt(area * aspect)), 1), self.grid[0])
        wide = min(max(round(math.sqrt(area / aspect)), 1), self.grid[1])
        return high, wide

    def sizes(self) -> list[tuple[int, int]]:
        """Sizes that a target may have (on a lattice of scales and aspects that holds every one)."""
        steps = [k / 64 for k in range(65)]
        low, high = self.aspect
        return sorted({
            self._size(self.scale[0] + (self.scale[1] - self.scale[0]) * s, low * (high / low) ** a)
            for s in steps for a in steps
        })  # fmt: skip

    def draw(self, n: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
        """Places of the context (n, `context`) and of the targets (n, `targets`, size): int64, row by row.

        Cost: a few operations on (n, T) arrays, and again for the images that are drawn anew.
        """
        dice = torch.rand(3, generator=source, dtype=torch.float64).tolist()
        low, high = self.aspect
        size = self._size(self.scale[0] + (self.scale[1] - self.scale[0]) * dice[0], low * (high / low) ** dice[1])
        around = self._size(self.context_scale[0] + (self.context_scale[1] - self.context_scale[0]) * dice[2], 1.0)
        targets, allowed = self._place(n, size, around, source)
        for _ in range(TRIES):
            short = (allowed.sum(1) < self.context).nonzero()[:, 0]
            if not len(short):
                break
            targets[short], allowed[short] = self._place(len(short), size, around, source)
        short = (allowed.sum(1) < self.context).nonzero()[:, 0]
        if len(short):  # all targets in one place leave the most
            targets[short], allowed[short] = self._place(len(short), size, around, source, one=True)
        keys = torch.rand(n, allowed.shape[1], generator=source).masked_fill_(~allowed, 2.0)
        return keys.argsort(1)[:, : self.context], targets

    def _place(
        self, n: int, size: tuple[int, int], around: tuple[int, int], source: torch.Generator, *, one: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Targets (n, targets, size) and the patches that the context may have, bool (n, T)."""
        corners = self._corners(n, 1 if one else self.targets, size, source)
        targets = corners.expand(n, self.targets)[:, :, None] + self._within(size)
        allowed = torch.zeros(n, self.grid[0] * self.grid[1], dtype=torch.bool)
        allowed.scatter_(1, self._corners(n, 1, around, source) + self._within(around), True)
        return targets, allowed.scatter_(1, targets.flatten(1), False)

    def _corners(self, n: int, count: int, size: tuple[int, int], source: torch.Generator) -> Tensor:
        """First patches of blocks, every position equally likely, (n, count)."""
        rows = torch.randint(self.grid[0] - size[0] + 1, (n, count), generator=source)
        return rows * self.grid[1] + torch.randint(self.grid[1] - size[1] + 1, (n, count), generator=source)

    def _within(self, size: tuple[int, int]) -> Tensor:
        """Places of a block's patches behind its first."""
        return (torch.arange(size[0])[:, None] * self.grid[1] + torch.arange(size[1])).flatten()
