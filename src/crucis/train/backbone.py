"""A network as a backbone: the features that its last dense layer reads."""

from __future__ import annotations

from torch import Tensor, nn

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
            self.net(x)
        finally:
            handle.remove()
        if len(caught) != 1 or caught[0].ndim != 2:
            raise BackboneError(f"{type(self.net).__name__}: its head does not read one vector per example")
        return caught[0]
