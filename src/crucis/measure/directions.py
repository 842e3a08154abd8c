"""Random directions in weight space, and points of the plane that two of them span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ..errors import Refusal

_NORMALISATION = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def moved(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters along which a direction is not zero: no biases, no vectors, nothing of a normalisation layer.

    Raises:
        Refusal: `not_applicable`, if there is none.
    """
    still = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, _NORMALISATION) or "Norm" in type(module).__name__
        for parameter in module.parameters(recurse=False)
    }
    out = {
        name: parameter
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1
        and parameter.is_floating_point()
        and id(parameter) not in still
        and name.rpartition(".")[2] != "bias"
    }
    if not out:
        raise Refusal("not_applicable", "the network has no weight matrix or filter along which to look")
    return out


def draw(
    weights: Mapping[str, Tensor], generator: torch.Generator, rule: Literal["filter", "raw"]
) -> dict[str, Tensor]:
    """A Gaussian direction for each weight.

    With `filter`, each filter (slice along the first dimension) of the direction has the norm of the same filter of the
    weights; a filter of zeros gives zeros. With `raw` the entries stay standard normal.

    Args:
        weights: name -> (filters, ...), in the order in which they are drawn.
        generator: on the CPU, so that the direction does not depend on the device.
        rule: see above.

    Returns:
        Name -> tensor with shape, strides, type and device of the weight.

    Source: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, Visualizing the loss landscape of neural nets, 2018
    (arXiv:1712.09913).
    """
    out = {}
    for name, weight in weights.items():
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float32)
        if rule == "filter":
            rows = noise.flatten(1).double()
            target = weight.detach().cpu().flatten(1).double().norm(dim=1)
            noise = (rows * (target / rows.norm(dim=1))[:, None]).to(noise.dtype).reshape(weight.shape)
        out[name] = torch.empty_like(weight, requires_grad=False).copy_(noise)
    return out


def norm(direction: Mapping[str, Tensor]) -> float:
    """Euclidean norm over all tensors, in float64."""
    return float(sum(float(part.double().square().sum()) for part in direction.values())) ** 0.5


def cosine(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """Cosine of the angle between two directions of non-zero norm."""
    inner = sum(float((first[name].double() * second[name].double()).sum()) for name in first)
    return inner / (norm(first) * norm(second))


class Plane:
    """Writes theta + a d1 + b d2 into the weights of a network, each time from theta itself.

    Args:
        targets: name -> the tensor to write; its present value is theta.
        first, second: directions d1, d2 with the same names.
        scale: name -> factor per filter, multiplied onto the written point (see `folding`); absent means 1.
        theta: name -> weights, where the targets hold something else (a scaled copy).
    """

    def __init__(
        self,
        targets: Mapping[str, Tensor],
        theta: Mapping[str, Tensor],
        first: Mapping[str, Tensor],
        second: Mapping[str, Tensor],
        scale: Mapping[str, Tensor],
    ) -> None:
        self._names = list(theta)
        self._rows = [(targets[name], theta[name], first[name], second[name], scale.get(name)) for name in theta]

    @torch.no_grad()
    def place(self, a: float, b: float) -> None:
        """Move the network to (a, b). At (0, 0) the weights are those of theta bit for bit."""
        for target, theta, first, second, scale in self._rows:
            if a == 0.0 and b == 0.0:
                target.copy_(theta)
            else:
                torch.add(theta, first, alpha=a, out=target)
                target.add_(second, alpha=b)
            if scale is not None:
                target.mul_(scale)

    @torch.no_grad()
    def stack(self, points: Sequence[tuple[float, float]], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights (points, ...) at several places, rounded once to the type of the tensors in `like`."""
        out = {}
        for name, (_, theta, first, second, scale) in zip(self._names, self._rows, strict=True):
            across = (-1, *[1] * theta.dim())
            along = [
                torch.tensor(side, dtype=theta.dtype, device=theta.device).view(across)
                for side in zip(*points, strict=True)
            ]
            found = theta + along[0] * first
            found += along[1] * second
            out[name] = (found if scale is None else found.mul_(scale)).to(like[name].dtype)
        return out
