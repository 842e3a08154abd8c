"""What a landscape looks along: for every slice a way to read the loss at places of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from .. import streams
from ..errors import Refusal
from .directions import cosine, draw, moved, norm
from .evaluate import Batch
from .planes import Direction, eigenvectors, random_pairs
from .solutions import Through
from .specimen import Specimen
from .surface import BatchNorm, Precision, Surface


@dataclass(frozen=True)
class Look:
    """One slice.

    Attributes:
        along: places (a, b) -> the mean cross-entropy (nats) there.
        norms: lengths of the two directions; the second is 0 on a line.
        cosine: of the angle between them; 0 on a line.
        folded: layers whose normalisation is folded.
        path: which forward pass runs, in words.
        eigenvalues: of the directions, if they are eigenvectors.
        exact: (a, b) -> the loss in float32, where `loss` is in less.
    """

    along: Callable[[Sequence[tuple[float, float]]], list[float]]
    norms: tuple[float, float]
    cosine: float
    folded: int = 0
    path: str = "plain"
    eigenvalues: tuple[float, ...] = ()
    exact: Callable[[float, float], float] | None = None


def one_by_one(
    place: Callable[[float, float], None], loss: Callable[[], float], points: Sequence[tuple[float, float]]
) -> list[float]:
    """The losses at places, of a network that is moved to each of them."""
    out = []
    for a, b in points:
        place(a, b)
        out.append(loss())
    return out


Looks = tuple[float, float, Iterator[Look]]


def around(
    specimen: Specimen,
    parts: Sequence[Batch],
    rule: Any,
    slices: int,
    dimensions: int,
    batch_norm: BatchNorm,
    precision: Precision,
) -> Looks:
    """Slices around one network.

    Returns:
        the loss of the network, the norm of the weights that move, and the slices, each prepared when its turn comes.

    Raises:
        Refusal: `degenerate`, if all weights are zero and directions would be normalised by them.
    """
    model, _ = specimen.network()
    surface = Surface(model, parts, batch_norm=batch_norm, precision=precision)
    if rule != "raw" and norm(surface.theta) == 0.0:
        raise Refusal("degenerate", "all weights are zero, so no normalised direction has a length")
    exact = Surface(model, parts, batch_norm=batch_norm) if precision != "fp32" else None
    return surface.loss(), norm(surface.theta), _around(specimen, parts, surface, exact, rule, slices, dimensions)


def _around(
    specimen: Specimen,
    parts: Sequence[Batch],
    surface: Surface,
    exact: Surface | None,
    rule: Any,
    slices: int,
    dimensions: int,
) -> Iterator[Look]:
    values: list[float] = []
    if rule == "hessian":
        model, _ = specimen.network()
        found, values = eigenvectors(model, surface.theta, parts, specimen, slices * dimensions)
        pairs: Iterator[tuple[Direction, Direction]] = iter(
            [(found[dimensions * s], found[dimensions * s + dimensions - 1]) for s in range(slices)]
        )
    else:
        pairs = random_pairs(surface.theta, rule, lambda s, axis: _stream(specimen, s, axis), slices)
    for s, (first, second) in enumerate(pairs):
        plane = surface.plane(first, second)
        yield Look(
            partial(surface.along, plane),
            (norm(first), norm(second) if dimensions == 2 else 0.0),
            cosine(first, second) if dimensions == 2 else 0.0,
            surface.folded,
            surface.path,
            tuple(values[dimensions * s : dimensions * (s + 1)]),
            _exactly(exact, first, second) if exact is not None else None,
        )


def _exactly(surface: Surface, first: Direction, second: Direction) -> Callable[[float, float], float]:
    plane = surface.plane(first, second)

    def loss(a: float, b: float) -> float:
        plane.place(a, b)
        return surface.loss()

    return loss


def _stream(specimen: Specimen, s: int, axis: int) -> torch.Generator:
    return streams.generator(specimen.seed, "measure", specimen.depth, "landscape", s, axis)


def through(
    specimen: Specimen,
    parts: Sequence[Batch],
    slices: int,
    dimensions: int,
    batch_norm: BatchNorm,
    precision: Precision,
) -> Looks:
    """Slices through the networks `start`, `end` and, if it is there, `third`.

    Raises:
        Refusal: `not_applicable` if they are not named, differ in shape, or a line or plane that they fix is asked for
            more than once; `unsupported` for another precision than float32.
    """
    roles = specimen.models
    if "start" not in roles or "end" not in roles:
        raise Refusal("not_applicable", "a plane through networks needs of: {start: ..., end: ...}")
    if precision != "fp32":
        raise Refusal("unsupported", "planes through networks are computed in fp32 only")
    if slices > 1 and (dimensions == 1 or "third" in roles):
        what = "the line through two networks" if dimensions == 1 else "the plane through three networks"
        raise Refusal("not_applicable", f"{what} is one slice, {slices} were asked for; write slices: 1")
    start, end = roles["start"], roles["end"]
    if isinstance(start, list) or isinstance(end, list):
        raise Refusal("not_applicable", "'start' and 'end' are one network each, not a pool")
    named = {name: weight.detach() for name, weight in moved(start).items()}
    line = Through(start, end, None, parts, batch_norm=batch_norm)
    line.place(0.0, 0.0)
    return line.loss(), norm(named), _through(specimen, parts, start, end, named, slices, dimensions, batch_norm)


def _through(
    specimen: Specimen,
    parts: Sequence[Batch],
    start: nn.Module,
    end: nn.Module,
    theta: Direction,
    slices: int,
    dimensions: int,
    batch_norm: BatchNorm,
) -> Iterator[Look]:
    for s in range(slices):
        third: Any = None
        if dimensions == 2:
            third = specimen.models.get("third")
            third = draw(theta, _stream(specimen, s, 1), "filter") if third is None else third
        plane = Through(start, end, third, parts, batch_norm=batch_norm)
        yield Look(partial(one_by_one, plane.place, plane.loss), plane.norms, plane.cosine)
