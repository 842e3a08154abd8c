"""Where the directions of a landscape come from: chance, or the curvature of the loss.

A direction is a mapping name -> tensor over the weights that move (see `directions.moved`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import streams
from ..errors import Refusal
from .curvature import Hessian, trained
from .directions import draw, norm
from .evaluate import Batch
from .pulse import pulse
from .specimen import Specimen

Direction = Mapping[str, Tensor]
#: Lanczos stops at this residual, as a share of the eigenvalue; a picture needs no more.
_TOLERANCE = 1e-3


def random_pairs(
    theta: Direction, rule: Any, generator: Callable[[int, int], torch.Generator], slices: int
) -> Iterator[tuple[Direction, Direction]]:
    """Two fresh Gaussian directions per slice; more slices keep the earlier ones."""
    for s in range(slices):
        yield draw(theta, generator(s, 0), rule), draw(theta, generator(s, 1), rule)


def eigenvectors(
    model: nn.Module, theta: Direction, parts: Sequence[Batch], specimen: Specimen, count: int
) -> tuple[list[Direction], list[float]]:
    """The `count` directions of largest curvature among those that move, largest first, and their curvature.

    Eigenvectors of the Hessian of the mean cross-entropy over `parts`, restricted to the weights that move; each is
    scaled to the norm of the weights (so 1 on an axis means what it means for a filter-normalised direction) and its
    entry of largest magnitude is positive.

    Returns:
        the directions, and the eigenvalues (nats per squared unit of weight) of the unscaled unit vectors.

    Raises:
        Refusal: `too_few` weights for so many directions; `inconsistent` if Lanczos does not converge.

    Cost: a few dozen products with the Hessian for each direction.
    Source: implicitly restarted Lanczos, R. B. Lehoucq, D. C. Sorensen, C. Yang, 1998 (ARPACK; through SciPy).
    """
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    still = pulse(specimen.ctx, lambda: {"products": hessian.products_made})
    hessian = Hessian(model, parts, still)
    names = list(trained(model))
    wanted = set(theta)
    sizes = {name: parameter.numel() for name, parameter in trained(model).items()}
    if not wanted <= set(names):
        raise Refusal("not_applicable", "weights that training does not move have no curvature here")
    n = sum(sizes[name] for name in wanted)
    if count >= n:
        raise Refusal("too_few", f"{n} weights move, and {count} directions were asked for")
    device = next(model.parameters()).device

    def times(vector: np.ndarray) -> np.ndarray:
        given = torch.from_numpy(np.ascontiguousarray(vector.reshape(-1), dtype=np.float32)).to(device)
        full, at = [], 0
        for name in names:
            piece = given[at : at + sizes[name]] if name in wanted else torch.zeros(sizes[name], device=device)
            at += sizes[name] if name in wanted else 0
            full.append(piece)
        out = hessian(torch.cat(full)).split([sizes[name] for name in names])
        return torch.cat([o for name, o in zip(names, out, strict=True) if name in wanted]).cpu().numpy()

    start = torch.randn(n, generator=streams.generator(specimen.seed, "measure", specimen.depth, "landscape", "eigen"))
    operator = LinearOperator((n, n), matvec=times, dtype=np.float32)
    try:
        values, vectors = eigsh(operator, k=count, which="LA", v0=start.numpy(), tol=_TOLERANCE)
    except ArpackNoConvergence as error:
        raise Refusal("inconsistent", f"the directions of largest curvature were not found: {error}") from error
    order = np.argsort(values)[::-1]
    length = norm(theta)
    out: list[Direction] = []
    for index in order:
        vector = vectors[:, index].astype(np.float64)
        vector *= np.sign(vector[np.argmax(np.abs(vector))]) * length / np.linalg.norm(vector)
        pieces, at = {}, 0
        for name in (name for name in names if name in wanted):
            piece = torch.from_numpy(vector[at : at + sizes[name]].astype(np.float32))
            pieces[name] = torch.empty_like(theta[name]).copy_(piece.reshape(theta[name].shape))
            at += sizes[name]
        out.append({name: pieces[name] for name in theta})
    return out, [float(values[index]) for index in order]
