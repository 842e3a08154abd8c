"""A network as a backbone: the features that its last dense layer reads."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import CrucisError


class BackboneError(CrucisError, ValueError):
    """A network that an objective cannot be built on, with the reason."""


def head_of(net: nn.Module, classes: int) -> nn.Linear:
    """The dense layer that makes the logits.

    Raises:
        BackboneError: there is none.
    """
    own = getattr(net, "get_classifier", None)
    found = own() if callable(own) else None
    if isinstance(found, nn.Linear):
        return found
    layers = [part for part in net.modules() if isinstance(part, nn.Linear) and part.out_features == classes]
    if not layers:
        raise BackboneError(f"{type(net).__name__} ends in no dense layer with {classes} outputs whose input could be "
                            "taken as features; take a net with a dense head")  # fmt: skip
    return layers[-1]


def patch_layer(net: nn.Module) -> nn.Module | None:
    """The layer that makes tokens of patches, or None: of this house's `vit` and `mixer`, or of timm."""
    for name in ("patches", "patch_embed"):
        found = getattr(net, name, None)
        if isinstance(found, nn.Module):
            return found
    return None


def resized_positions(positions: Tensor, prefix: int, grid: tuple[int, int]) -> Tensor:
    """Learned positions (1, P + T, D) of a square grid, interpolated (bicubic) for another grid.

    A product with fixed weights, because the gradient of an interpolation has no deterministic form on GPUs.
    """
    before, held = positions[:, :prefix], positions[:, prefix:]
    side = math.isqrt(held.shape[1])
    if side * side != held.shape[1]:
        raise BackboneError("views of several sizes need a square grid of patches")
    units = torch.eye(side * side, device=positions.device).view(-1, 1, side, side)
    weights = functional.interpolate(units, size=grid, mode="bicubic", align_corners=False).flatten(1).T
    return torch.cat([before, weights @ held], 1)


class Backbone(nn.Module):
    """A network read at the input of its last dense layer, which itself gets no gradient and stays as it is.

    Args:
        net: images (B, C, H, W) to logits (B, `classes`).
        classes: outputs of the dense layer.

    Raises:
        BackboneError: no such layer.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes
        for value in head_of(net, classes).parameters():
            value.requires_grad_(False)

    @property
    def width(self) -> int:
        """The number of features, D."""
        return head_of(self.net, self.classes).in_features

    def no_weight_decay(self) -> set[str]:
        """Names that the network takes out of weight decay."""
        own = getattr(self.net, "no_weight_decay", None)
        return {f"net.{name}" for name in own()} if callable(own) else set()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to features (B, D).

        Raises:
            BackboneError: the head reads something else than one vector per example.
        """
        caught: list[Tensor] = []
        handle = head_of(self.net, self.classes).register_forward_pre_hook(lambda _, given: caught.append(given[0]))
        try:
            torch.func.functional_call(self.net, self._positions(x), (x,))
        finally:
            handle.remove()
        if len(caught) != 1 or caught[0].ndim != 2:
            raise BackboneError(f"{type(self.net).__name__}: its head does not read one vector per example")
        return caught[0]

    def _positions(self, x: Tensor) -> dict[str, Tensor]:
        """Learned positions of a transformer for views of another size than it was built for; else nothing."""
        stem = patch_layer(self.net)
        name = next((name for name in ("positions", "pos_embed") if hasattr(self.net, name)), "")
        held = getattr(self.net, name, None)
        conv = getattr(stem, "proj", stem)
        itself = bool(getattr(self.net, "dynamic_img_size", False))
        if itself or not isinstance(held, Tensor) or not isinstance(conv, nn.Conv2d):
            return {}
        side, prefix = conv.kernel_size[0], int(getattr(self.net, "num_prefix_tokens", 0))
        if getattr(self.net, "no_embed_class", False):
            prefix = 0
        grid = (x.shape[2] // side, x.shape[3] // side)
        if grid[0] * grid[1] == held.shape[1] - prefix:
            return {}
        if stem is not None and hasattr(stem, "strict_img_size"):
            stem.strict_img_size = False  # type: ignore[assignment]
        return {name: resized_positions(held, prefix, grid)}
