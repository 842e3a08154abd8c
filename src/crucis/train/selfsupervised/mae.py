"""Masked autoencoder: from a few patches of an image, the pixels of all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...data.augmenting import Augmentation
from ...nets._tokens import Block
from ..backbone import Backbone
from ..objectives import Objective, Seen
from ..settings import SettingsError
from .parts import steps_of
from .tokens import Tokens, take, waves

EPSILON = 1e-6

if TYPE_CHECKING:
    from ..run import Job


def random_masks(n: int, count: int, kept: int, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each of `n` images the places of `kept` patches (n, kept) and of the others, both in random order."""
    order = torch.rand(n, count, generator=source).argsort(1)
    return order[:, :kept], order[:, kept:]


def reconstruction(found: Tensor, patches: Tensor, norm_pix: bool) -> Tensor:
    """The mean squared error over patches (B, M, pixels); with `norm_pix` each first gets mean 0 and variance 1:
    (p - mean) / sqrt(variance + 1e-6), the variance over pixels - 1.

    Source: K. He et al., 2022, arXiv:2111.06377, section 3, and code.
    """
    if norm_pix:
        variance, mean = torch.var_mean(patches, dim=2, keepdim=True)
        patches = (patches - mean) / (variance + EPSILON).sqrt()
    return (found - patches).square().mean()


class Decoder(nn.Module):
    """Tokens that were seen, and one trained token for each that was not, to the pixels of the latter."""

    positions: Tensor

    def __init__(self, grid: tuple[int, int], outer: int, shape: tuple[int, int, int], pixels: int) -> None:
        super().__init__()
        width, depth, heads = shape
        self.inward, self.outward = nn.Linear(outer, width), nn.Linear(width, pixels)
        self.mask = nn.Parameter(torch.empty(1, 1, width))
        nn.init.normal_(self.mask, std=0.02)
        self.blocks = nn.Sequential(*[Block(width, heads, 4 * width, 0.0) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self.register_buffer("positions", waves(grid, width), persistent=False)

    def forward(self, tokens: Tensor, shown: Tensor, hidden: Tensor) -> Tensor:
        """(B, K, D), places (B, K) and (B, M) to (B, M, pixels)."""
        seen = self.inward(tokens) + self.positions[shown]
        asked = (self.mask + self.positions[hidden]).to(seen.dtype)
        return self.outward(self.norm(self.blocks(torch.cat([seen, asked], 1)))[:, shown.shape[1] :])


class MAE(Objective):
    """See `protocols/mae.py`."""

    totals = ("patch_std",)

    def __init__(
        self, net: nn.Module, classes: int, shape: tuple[int, ...], augment: tuple[Augmentation, ...], ratio: float,
        norm_pix: bool, decoder: tuple[int, int, int],
    ) -> None:  # fmt: skip
        self.backbone = Backbone(net, classes)
        self.read = Tokens(net, shape)
        self.ratio, self.norm_pix, self.decoder = ratio, norm_pix, decoder
        self.kept_patches = int(self.read.count * (1 - ratio))
        if not 0 < self.kept_patches < self.read.count:
            raise SettingsError(
                "ratio", f"{ratio:g} leaves {self.kept_patches} of {self.read.count} patches to see; take another one "
                "or smaller patches",
            )  # fmt: skip
        self.decode = Decoder(self.read.grid, self.read.width, decoder, self.read.side**2 * shape[0])
        self.student = nn.ModuleDict({"backbone": self.backbone, "decoder": self.decode})
        self.views = (augment,)

    @property
    def kept(self) -> Backbone:
        """The encoder."""
        return self.backbone

    def masks(self, n: int, source: torch.Generator) -> tuple[Tensor, ...]:
        """Places of the patches that are seen and of those that are not."""
        return random_masks(n, self.read.count, self.kept_patches, source)

    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """The error on the patches that were not seen."""
        shown, hidden = seen.masks
        image = seen.views[0]
        with self.cast():
            tokens, before = self.read.embed(image)
            found = self.decode(self.read.encode(take(tokens, shown), before), shown, hidden)
        found = found.float()
        loss = reconstruction(found, take(self.read.patches(image), hidden), self.norm_pix)
        return {"loss": loss, "patch_std": found.detach().std(1).mean()}

    def about(self) -> dict[str, Any]:
        """Mask and decoder."""
        return {
            "name": "mae", "ratio": self.ratio, "patches": self.read.count, "seen": self.kept_patches,
            "norm_pix": self.norm_pix, "decoder": list(self.decoder),
        }  # fmt: skip


def made(net: nn.Module, job: Job) -> MAE:
    """The objective of a job whose settings hold the parameters of the protocol."""
    given = job.resolved.params
    decoder = (given["decoder_width"], given["decoder_depth"], given["decoder_heads"])
    return MAE(
        net, job.data.classes, tuple(job.data.shape), steps_of(given["augment"], "augment"), given["ratio"],
        given["norm_pix"], decoder,
    )  # fmt: skip
