"""Fisher information of a network from gradients of single examples."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from ..errors import Refusal
from .curvature import cross_entropy, differentiating, trained
from .evaluate import Batch

Kind = Literal["model", "empirical"]
#: Numbers that the gradients of the examples at hand may hold together.
_ROOM = 1 << 26

Gradients = Callable[[Tensor, Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Fisher:
    """The diagonal of the Fisher information, and what its trace is made of.

    Attributes:
        diagonal: parameter name -> float64 tensor of its shape.
        squares: (N,) float64, squared gradient norm of each example; their mean is the trace.
        vectorised: whether gradients of several examples were taken at once.
    """

    diagonal: Mapping[str, Tensor]
    squares: np.ndarray
    vectorised: bool

    @property
    def trace(self) -> float:
        """Sum of the diagonal."""
        return float(self.squares.mean())


def fisher(
    model: nn.Module,
    parts: Sequence[Batch],
    *,
    kind: Kind = "model",
    draws: int = 1,
    generator: torch.Generator | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Fisher:
    """Mean over examples of the squared gradient of log p(label | example), entry by entry.

    Gradients are of single examples, in evaluation mode: the square of a batch's mean gradient is another quantity
    that depends on the batch size, and normalisation in training mode changes it by orders of magnitude and moves the
    running statistics. With `model` (the true Fisher information) labels are the model's, each counted
    with its probability: the likeliest one, and `draws` drawn from the others; with `draws` 0 all of them (the exact
    expectation, at the cost of one pass per class). With `empirical` they are those of the data; away from a perfect
    fit that is no Fisher information.

    Args:
        model: untouched: weights, buffers, gradients.
        parts: examples in batches; their cut changes nothing beyond rounding.
        kind: see above.
        draws: labels drawn per example besides the likeliest; unbiased for any number.
        generator: on the CPU; needed for drawing.
        tick: called after each batch.

    Raises:
        Refusal: `not_finite`, `not_applicable`.

    Cost: one backward pass per example and label (1 + `draws`, or the number of classes).
    """
    params = {name: value.detach() for name, value in trained(model).items()}
    diagonal = {name: torch.zeros_like(value, dtype=torch.float64) for name, value in params.items()}
    at_once = max(1, _ROOM // sum(value.numel() for value in params.values()))
    take = _Taker(model, params)
    squares = []
    with differentiating(model):
        for x, y in parts:
            rows = torch.zeros(len(y), dtype=torch.float64, device=y.device)
            for labels, weights in _labels(model, x, y, kind, draws, generator):
                for first in range(0, len(y), at_once):
                    part = slice(first, first + at_once)
                    for name, found in take(x[part], labels[part]).items():
                        square = found.double().square() * weights[part].view(-1, *[1] * (found.dim() - 1))
                        diagonal[name] += square.sum(0)
                        rows[part] += square.flatten(1).sum(1)
            squares.append(rows)
            tick()
    norms = torch.cat(squares).cpu().numpy()
    if not np.isfinite(norms).all():
        raise Refusal("not_finite", "the gradient of an example is not finite")
    return Fisher({name: value / len(norms) for name, value in diagonal.items()}, norms, take.vectorised)


def _labels(
    model: nn.Module, x: Tensor, y: Tensor, kind: Kind, draws: int, generator: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Labels (B,) for one pass over a batch, and their weights (B,) float64; weights of an example sum to 1."""
    if kind == "empirical":
        yield y, torch.ones(len(y), dtype=torch.float64, device=y.device)
        return
    with torch.no_grad():
        odds = model(x).double().softmax(1)
    if not bool(torch.isfinite(odds).all()):
        raise Refusal("not_finite", "the network gives no finite probabilities from which labels could be drawn")
    if draws == 0:
        for label in range(odds.shape[1]):
            yield torch.full_like(y, label), odds[:, label]
        return
    # The likeliest label is not drawn but counted with its probability, and the draws are among the others: of a sure
    # network they would nearly all be that label, and the few others, which make most of the trace, would be left out.
    likeliest = odds.argmax(1, keepdim=True)
    yield likeliest[:, 0], odds.gather(1, likeliest)[:, 0]
    others = odds.scatter(1, likeliest, 0.0)
    rest = others.sum(1)
    # One uniform number per example and draw, in the order of the examples: their cut into batches does not matter.
    places = torch.rand((len(y), draws), generator=generator, dtype=torch.float64).to(y.device) * rest[:, None]
    drawn = torch.searchsorted(others.cumsum(1), places, right=True).clamp_(max=odds.shape[1] - 1)
    for column in drawn.unbind(1):
        yield column, rest / draws


class _Taker:
    """Gradients of single examples: all at once where the network allows it, else one after the other."""

    def __init__(self, model: nn.Module, params: Mapping[str, Tensor]) -> None:
        self._model, self._params, self.vectorised = model, dict(params), True

        def loss(values: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            return cross_entropy(functional_call(model, values, (x[None],)), y[None])

        self._many = vmap(grad(loss), in_dims=(None, 0, 0))

    def __call__(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Parameter name -> (B, *shape)."""
        if self.vectorised:
            try:
                with warnings.catch_warnings():  # some operations are vectorised by a loop, and torch says so each time
                    warnings.filterwarnings("ignore", message="There is a performance drop")
                    return self._many(self._params, x, y)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, NotImplementedError, ValueError):
                self.vectorised = False  # an operation that cannot be vectorised, or that looks at values
        return self._one_by_one(x, y)

    def _one_by_one(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        live = list(trained(self._model).values())
        rows = []
        for k in range(len(y)):
            loss = cross_entropy(self._model(x[k : k + 1]), y[k : k + 1])
            rows.append(torch.autograd.grad(loss, live, materialize_grads=True))
        return {name: torch.stack(column) for name, column in zip(self._params, zip(*rows, strict=True), strict=True)}
