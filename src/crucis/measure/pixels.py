"""Images on the scale on which people speak of them, 0 to 1, and a network that takes them so.

Networks are trained on normalised images. What is done to a picture (an attack within 8/255, noise of 0.1) is said on
the scale of its pixels, so the normalisation becomes part of the network here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..errors import Refusal
from ..seeds import derive
from ..streams import borrowed
from .specimen import Specimen

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Pictures:
    """A network with images.

    Attributes:
        x: (N, C, H, W) float32 in [0, 1], on the device.
        y: (N,) int64, on the device.
        logits: images of that form to logits (B, classes) float32; can be differentiated.
    """

    x: Tensor
    y: Tensor
    logits: Callable[[Tensor], Tensor]

    def parts(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        """Images and labels, at most `batch` at a time, in order, sizes differing by at most one."""
        count = -(-len(self.y) // batch)
        return list(zip(self.x.tensor_split(count), self.y.tensor_split(count), strict=True))


def pictures(specimen: Specimen, index: np.ndarray | None = None) -> Pictures:
    """The images of the split that was asked for (those at `index`, or all), and the specimen's network on them.

    Raises:
        Refusal: `not_applicable` for data that are no images; `sealed`, `too_few`.
    """
    model, data = specimen.network()
    if data.kind != "image":
        raise Refusal("not_applicable", f"speaks of pixels, and {data.name} holds vectors")
    split = specimen.asked() if index is None else specimen.asked().take(index)
    x = torch.tensor(split.x).permute(0, 3, 1, 2).to(specimen.device, torch.float32).contiguous() / 255
    mean, std = (torch.tensor(v, device=specimen.device).float().view(1, -1, 1, 1) for v in (data.mean, data.std))

    def logits(images: Tensor) -> Tensor:
        return model((images - mean) / std).float()

    return Pictures(x, torch.tensor(split.y).to(specimen.device), logits)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients allowed; modes and random state come back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with borrowed(derive(0, "measure", "pixels")):
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def right(shown: Callable[[Tensor], Tensor], parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Which images are classified rightly, (N,) bool.

    Raises:
        Refusal: `not_finite`, if a logit is NaN or infinite.
    """
    with torch.no_grad():
        return torch.cat([_right(shown(x), y) for x, y in parts])


def _right(logits: Tensor, y: Tensor) -> Tensor:
    if not torch.isfinite(logits).all():
        raise Refusal("not_finite", "the network's answers are not all finite")
    return logits.argmax(1) == y
