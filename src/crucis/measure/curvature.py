"""The Hessian of a network's loss as something that multiplies vectors. Never formed, never stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import Refusal
from .evaluate import Batch, evaluating

#: Numbers that the vectors of one block may hold together.
_BLOCK = 1 << 26


def trained(model: nn.Module) -> dict[str, nn.Parameter]:
    """Name -> parameter that training moves; a tied one once.

    Raises:
        Refusal: `not_applicable`, if there is none.
    """
    out = {name: value for name, value in model.named_parameters() if value.requires_grad}
    if not out:
        raise Refusal("not_applicable", "the network has no parameter that training moves")
    return out


def cross_entropy(logits: Tensor, y: Tensor, reduction: str = "sum") -> Tensor:
    """Cross-entropy in nats, in float32 or, for a float64 network, in float64."""
    return functional.cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), y, reduction=reduction)


@contextmanager
def differentiating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode with gradients, and attention in the form that can be differentiated twice.

    Raises:
        Refusal: `unsupported`, if an operation of the network has no derivative of the order that is asked for.
    """
    try:
        with evaluating(model), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            yield
    except RuntimeError as error:
        text = str(error).splitlines()[0]
        if "derivative" not in text and "differentiable" not in text:
            raise
        raise Refusal("unsupported", f"the network cannot be differentiated often enough: {text}") from error


class Hessian:
    """H of the mean cross-entropy over fixed examples, batch normalisation frozen, at the network's own weights.

    Products are float32 (as the network), by differentiating the gradient once more, batch by batch. The network is
    not written, and its gradients are not touched.

    Args:
        model: the network.
        parts: the examples in batches, on the network's device.
        tick: called after each batch; says that work goes on, or raises to stop it.

    Attributes:
        n: order of H, the number of trained parameters.
        products_made: matrix-vector products so far.
    """

    def __init__(self, model: nn.Module, parts: Sequence[Batch], tick: Callable[[], None] = lambda: None) -> None:
        self._model, self._parts, self._tick = model, parts, tick
        self._params = list(trained(model).values())
        self._sizes = [param.numel() for param in self._params]
        self.n, self._count = sum(self._sizes), sum(len(y) for _, y in parts)
        self.products_made = 0

    @property
    def block(self) -> int:
        """Vectors to multiply at once, so that each batch's gradient is set up once for all of them."""
        return max(1, min(16, _BLOCK // self.n))

    def products(self, vectors: Sequence[Tensor]) -> list[Tensor]:
        """H v for each v (n,), in the order of `trained`.

        Raises:
            Refusal: `unsupported`, `not_finite`.
        """
        split = [self._split(vector) for vector in vectors]
        totals = [torch.zeros_like(vector) for vector in vectors]
        with differentiating(self._model):
            for x, y in self._parts:
                loss = cross_entropy(self._model(x), y) / self._count
                gradients = torch.autograd.grad(loss, self._params, create_graph=True, materialize_grads=True)
                live = [k for k, gradient in enumerate(gradients) if gradient.requires_grad]
                for index, (pieces, total) in enumerate(zip(split, totals, strict=True)):
                    if live:
                        seconds = torch.autograd.grad(
                            [gradients[k] for k in live], self._params, [pieces[k] for k in live],
                            retain_graph=index + 1 < len(split), materialize_grads=True,
                        )  # fmt: skip
                        total += torch.cat([second.reshape(-1) for second in seconds])
                self._tick()
        self.products_made += len(vectors)
        for total in totals:
            if not bool(torch.isfinite(total).all()):
                raise Refusal("not_finite", "the curvature of the loss is not finite at these weights")
        return totals

    def __call__(self, vector: Tensor) -> Tensor:
        """H v."""
        return self.products([vector])[0]

    def _split(self, vector: Tensor) -> list[Tensor]:
        parts = vector.split(self._sizes)
        return [part.view(param.shape) for part, param in zip(parts, self._params, strict=True)]


def inner(first: Tensor, second: Tensor) -> float:
    """The inner product, summed in float64."""
    return float(first.double() @ second.double())
