"""The pre-activation block of wide residual networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Wide(nn.Module):
    """Norm, ReLU, 3x3, norm, ReLU, dropout, 3x3; a 1x1 shortcut after the first ReLU where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            *([nn.Dropout(dropout)] if dropout else []),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        )  # fmt: skip
        plain = inputs == outputs and stride == 1
        self.shortcut = None if plain else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        active = torch.relu(self.norm(x))
        return self.body(active) + (x if self.shortcut is None else self.shortcut(active))
