"""Adversarial images: the worst that is found within eps of each pixel, by one gradient step or by many.

An image withstands an attack if the network is right about it and about every image that the attacker looked at, the
untouched one included: whoever attacks may also leave an image alone. All images stay within 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import Refusal

Logits = Callable[[Tensor], Tensor]


def _gradient(logits: Logits, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of each image's own loss, and which images are classified rightly."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        out = logits(x)
        if not torch.isfinite(out).all():
            raise Refusal("not_finite", "the network's answers are not all finite")
        loss = functional.cross_entropy(out, y, reduction="sum")
        try:
            (slope,) = torch.autograd.grad(loss, x)
        except RuntimeError as error:
            raise Refusal("unsupported", f"the network has no gradient with respect to its input: {error}") from error
    return slope, out.detach().argmax(1) == y


def fgsm(logits: Logits, x: Tensor, y: Tensor, *, eps: float) -> tuple[Tensor, Tensor]:
    """The fast gradient sign method: x + eps sign(gradient of the loss).

    Args:
        x: (B, C, H, W) in [0, 1].
        y: (B,) labels.
        eps: largest change of a pixel.

    Returns:
        The attacked images, and which images withstood, (B,) bool.
    """
    slope, standing = _gradient(logits, x, y)
    moved = (x + eps * slope.sign()).clamp_(0.0, 1.0)
    with torch.no_grad():
        standing &= logits(moved).argmax(1) == y
    return moved, standing


def pgd(
    logits: Logits, x: Tensor, y: Tensor, *, eps: float, steps: int, step: float,
    start: Callable[[], Tensor] | None = None, tick: Callable[[], None] = lambda: None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Projected gradient descent on the box of half-width eps around each image.

    Args:
        x, y, eps: as in `fgsm`.
        steps: gradient steps, at least 1.
        step: how far a pixel moves in one.
        start: draws numbers in [-1, 1] in the shape of x, where in the box to begin; None begins at x.

    Returns:
        The last images, and which images withstood all that were looked at, (B,) bool.
    """
    low, high = (x - eps).clamp_(0.0, 1.0), (x + eps).clamp_(0.0, 1.0)
    at = x if start is None else torch.clamp(x + eps * start(), low, high)
    with torch.no_grad():
        standing = logits(x).argmax(1) == y
    for _ in range(steps):
        slope, still = _gradient(logits, at, y)
        standing &= still
        at = torch.clamp(at + step * slope.sign(), low, high)
        tick()
    with torch.no_grad():
        standing &= logits(at).argmax(1) == y
    return at, standing
