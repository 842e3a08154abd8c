"""SimCLR: two views of an image should have nearer features than any two of different images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...data.augmenting import Augmentation
from ..backbone import Backbone
from ..objectives import Objective, Seen
from .parts import perceptron, steps_of, unit

if TYPE_CHECKING:
    from ..run import Job


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The normalised, temperature-scaled cross-entropy of N pairs, and the logits' right answers as a share.

    With z the 2N rows scaled to length 1, the loss of row i with partner j is
    -log(exp(z_i z_j / T) / sum over k other than i of exp(z_i z_k / T)); the result is the mean over all 2N rows.

    Args:
        first, second: features (N, D) of the two views, row by row of the same image.

    Source: T. Chen et al., 2020, arXiv:2002.05709, equation 1. Equal features everywhere give log(2N - 1).
    """
    z = torch.cat([unit(first), unit(second)])
    n = len(first)
    logits = z @ z.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool, device=z.device), -torch.inf)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return functional.cross_entropy(logits, partner), (logits.detach().argmax(1) == partner).float().mean()


class SimCLR(Objective):
    """See `protocols/simclr.py`."""

    totals = ("positive_cosine", "contrast_accuracy")

    def __init__(
        self, net: nn.Module, classes: int, augment: tuple[Augmentation, ...], temperature: float, layers: int,
        hidden: int | None, out: int,
    ) -> None:  # fmt: skip
        self.backbone = Backbone(net, classes)
        width = self.backbone.width
        sizes = [width, *[hidden or width] * (layers - 1), out]
        self.head = perceptron(sizes, last_norm="scale")
        self.student = nn.ModuleDict({"backbone": self.backbone, "projector": self.head})
        self.views, self.temperature, self.sizes = (augment, augment), temperature, sizes

    @property
    def kept(self) -> Backbone:
        """The student's backbone."""
        return self.backbone

    def loss(self, seen: Seen) -> Mapping[str, Tensor]:
        """NT-Xent over both views, which go through the network as one batch."""
        with self.cast():
            found = self.head(self.backbone(torch.cat(seen.views)))
        first, second = (self.everywhere(view) for view in found.float().chunk(2))
        loss, right = nt_xent(first, second, self.temperature)
        cosine = functional.cosine_similarity(first.detach(), second.detach()).mean()
        return {"loss": loss, "positive_cosine": cosine, "contrast_accuracy": right}

    def about(self) -> dict[str, Any]:
        """Temperature and widths of the head."""
        return {"name": "simclr", "temperature": self.temperature, "projector": self.sizes}


def made(net: nn.Module, job: Job) -> SimCLR:
    """The objective of a job whose settings hold the parameters of the protocol."""
    given = job.resolved.params
    return SimCLR(
        net, job.data.classes, steps_of(given["augment"], "augment"), given["temperature"], given["layers"],
        given["hidden"], given["out"],
    )  # fmt: skip
