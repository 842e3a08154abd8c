"""Stages and head of the refined convolutional network. What is left out is never made, so it costs nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class Gate(nn.Module):
    """Squeeze and excitation: channels times a sigmoid of two dense layers on their means (SiLU between them: no unit
    of the few can die)."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        hidden = max(1, channels // squeeze)
        self.down, self.up = nn.Linear(channels, hidden), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        weights = torch.sigmoid(self.up(functional.silu(self.down(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


class Attention(nn.Module):
    """The mean over places with weights softmax(query . x); a query of zero gives the plain mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C)."""
        places = x.flatten(2)
        weights = torch.softmax(torch.einsum("ncp,c->np", places, self.query), 1)
        return torch.einsum("ncp,np->nc", places, weights)


class Stage(nn.Module):
    """Convolution with its additions, and pooling while the image is larger than 2 pixels."""

    def __init__(self, inputs: int, outputs: int, pools: bool, without: Mapping[str, str]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        norm = {"baseline": nn.BatchNorm2d, "remove": nn.Identity}.get(without.get("norm", ""))
        self.norm = norm(outputs) if norm else nn.GroupNorm(math.gcd(outputs, 8), outputs)
        self.branch: nn.Module | None = None
        self.gate: nn.Module | None = None
        self.shortcut, self.pools = "shortcut" not in without, pools

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H', W')."""
        y = self.conv(x)
        if self.branch is not None:
            y = y + self.branch(y)
        y = self.norm(y)
        if self.shortcut:
            more = y.shape[1] - x.shape[1]
            y = y + (functional.pad(x, (0, 0, 0, 0, 0, more)) if more > 0 else x[:, : y.shape[1]])
        y = torch.relu(y)
        if self.gate is not None:
            y = self.gate(y)
        return functional.max_pool2d(y, 2) if self.pools else y


class Refined(nn.Module):
    """Stages, average, dense head; `grow` adds what has weights of its own."""

    def __init__(self, sizes: Sequence[int], side: int, classes: int, without: Mapping[str, str]) -> None:
        super().__init__()
        self.stages, self.without = nn.ModuleList(), dict(without)
        for inputs, outputs in pairwise(sizes):
            self.stages.append(Stage(inputs, outputs, side > 2, without))
            side = side // 2 if side > 2 else side
        self.head = nn.Linear(sizes[-1], classes)
        self.attention: nn.Module | None = None

    def grow(self, kernel: int, squeeze: int) -> None:
        """Draw the weights of branches, gates and the attention, after all others."""
        for stage in self.stages:
            assert isinstance(stage, Stage)
            channels = stage.conv.out_channels
            if "kernel" not in self.without:
                stage.branch = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)
            if "gating" not in self.without:
                stage.gate = Gate(channels, squeeze)
        if "attention" not in self.without:
            self.attention = Attention(self.head.in_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to logits (N, classes)."""
        for stage in self.stages:
            x = stage(x)
        pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1) if self.attention is None else self.attention(x)
        return self.head(pooled)
