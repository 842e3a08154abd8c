"""The loss as a function of a point in a plane of weight space: prepared once, evaluated at many points."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import CrucisError
from ..seeds import derive
from ..streams import borrowed
from .directions import Plane, moved
from .evaluate import Batch, losses
from .folding import Folded, fold
from .fusing import Fusion, fuse
from .stacking import Stack, wanted

BatchNorm = Literal["frozen", "batch", "recalibrated"]
Precision = Literal["fp32", "bf16"]


class Surface:
    """Works on a copy, so the network itself is never written, whatever happens.

    Args:
        model: the trained network.
        parts: the evaluation set in batches, on the network's device.
        batch_norm: `frozen` uses the stored statistics; `batch` those of each batch, and stores nothing;
            `recalibrated` estimates them anew at every point from all batches (their plain average).
        folding: whether frozen normalisation may be folded; off it is only slower.
        fusing: whether convolutions may take along what follows them (see `fusing`); off it is only slower.
        precision: of the forward pass. Points are written in float32 whatever it is, and rounded once for `bf16`.
        stacking: whether several points go through the network at once (see `stacking`), where statistics are frozen;
            unless said, on a GPU.

    Attributes:
        theta: name -> weight of every parameter that moves, at the trained point.
        folded: how many layers are folded.
        path: which forward pass runs, in words for a record.
        network: what runs.
        runs: the batches with which it runs.
    """

    def __init__(
        self,
        model: nn.Module,
        parts: Sequence[Batch],
        *,
        batch_norm: BatchNorm = "frozen",
        folding: bool = True,
        fusing: bool = True,
        precision: Precision = "fp32",
        stacking: bool | None = None,
    ) -> None:
        self._parts, self._policy = parts, batch_norm
        net = copied(model)
        if parts[0][0].dim() == 4:
            net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.eval().requires_grad_(False)
        weights = moved(net)
        self.theta = {name: weight.detach().clone() for name, weight in weights.items()}
        self._norms = [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        done = Folded()
        if batch_norm == "frozen" and folding and self._norms:
            with borrowed(derive(0, "measure", "surface")):
                net, done = fold(net, parts[0][0], list(weights))
        elif batch_norm == "batch":
            for norm in self._norms:
                norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
        self._net, self._scale, self.folded = net, done.scale, len(done.scale)
        named = dict(net.named_parameters())
        self._targets: dict[str, Tensor] = {name: named[name] for name in self.theta}
        self._low: list[tuple[Tensor, Tensor]] = []
        if precision == "bf16":
            self._parts = [(x.bfloat16() if x.is_floating_point() else x, y) for x, y in parts]
            exact = {name: target.detach().clone() for name, target in self._targets.items()}
            net.to(torch.bfloat16)
            self._low = [(target, exact[name]) for name, target in self._targets.items()]
            self._targets = exact
        self._fusion = Fusion(net)
        if fusing and batch_norm == "frozen" and precision == "fp32":
            self._fusion = fuse(net, [x for x, _ in self._parts], self._targets)
        self.path, self.network = self._fusion.told, self._fusion.net
        self.runs = [(self._fusion.inputs(x), y) for x, y in self._parts]
        self._stack: Stack | None = None
        if (wanted(parts[0][0].device) if stacking is None else stacking) and batch_norm == "frozen":
            stack = Stack(net, self._parts, list(self.theta))
            self._stack = None if stack.hindrance else stack
            self.path += f", {stack.most} points at once" if self._stack else f", one by one: {stack.hindrance}"

    def plane(self, first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Plane:
        """The plane theta + a first + b second."""
        return Plane(self._targets, self.theta, first, second, self._scale)

    def along(self, plane: Plane, points: Sequence[tuple[float, float]]) -> list[float]:
        """The losses at places of one of its planes, in their order; several at once if they are stacked.

        The trained point is always evaluated by itself, so it is `loss` bit for bit, and so is a single place. The same
        places in the same order give the same bits.
        """
        out: dict[int, float] = {}
        stack = self._stack if len(points) > 1 else None
        for index, place in enumerate(points):
            if stack is None or place == (0.0, 0.0):
                plane.place(*place)
                out[index] = self.loss()
        if stack is not None:
            rest, named = (
                [index for index in range(len(points)) if index not in out],
                dict(self._net.named_parameters()),
            )
            for start in range(0, len(rest), stack.most):
                some = rest[start : start + stack.most]
                stacked = plane.stack([points[index] for index in some], named)
                out |= dict(zip(some, stack.losses(stacked), strict=True))
        return [out[index] for index in range(len(points))]

    @torch.no_grad()
    def loss(self) -> float:
        """Mean cross-entropy (nats) at the place where the network stands; NaN and infinity are values.

        The same place gives the same bits, whatever was evaluated before: the network's random state, if it uses one,
        is the same at every call.
        """
        for rounded, exact in self._low:
            rounded.copy_(exact)
        self._fusion.pack()
        with borrowed(derive(0, "measure", "surface")):
            if self._policy == "recalibrated":
                self._recalibrate()
            value = losses(self._fusion.net, self.runs)[0]
            if self._fusion.parts and not math.isfinite(value):
                with borrowed(derive(0, "measure", "surface")):
                    value = losses(self._net, self._parts)[0]
            return value

    def _recalibrate(self) -> None:
        with estimating(self._norms):
            for x, _ in self._parts:
                self._net(x)


@contextmanager
def estimating(norms: Sequence[nn.modules.batchnorm._BatchNorm]) -> Iterator[None]:
    """Normalisation layers collect fresh statistics, as the average over what passes, while the rest only evaluates."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # asks torch for the plain average
        norm.training = True
    try:
        yield
    finally:
        for norm in norms:
            norm.training = False


def copied(model: nn.Module) -> nn.Module:
    """A deep copy.

    Raises:
        CrucisError: the network cannot be copied.
    """
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise CrucisError(
            f"a landscape works on a copy, and {type(model).__name__} cannot be copied: {error}"
        ) from error


@torch.no_grad()
def centre_loss(model: nn.Module, parts: Sequence[Batch], *, batch_norm: BatchNorm = "frozen") -> float:
    """The declared evaluation function: the loss of the network as it is, on the path that a landscape takes.

    Bit for bit the middle of every slice of a landscape with an odd grid. Differs from `evaluate.accuracy_and_loss` by
    rounding only where normalisation is folded (below 1e-5 relative in practice), and not at all where none is.
    """
    return Surface(model, parts, batch_norm=batch_norm).loss()
