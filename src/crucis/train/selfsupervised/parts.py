"""What the self-supervised protocols share: how a leaf starts a run, heads, teachers, courses of a momentum."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...data.augmenting import Augmentation
from ..objectives import Maker
from ..settings import SettingsError, choice, resolve

if TYPE_CHECKING:
    from ...records import Context, Result
    from ..fit import Job


def pretrain(job: Job, ctx: Context, given: Mapping[str, Any], make: Maker) -> Result:
    """Run a job with an objective; `given` are the parameters of its leaf.

    Raises:
        SettingsError: parameters that do not fit together, or data that are no images.
    """
    from ..fit import fit, result

    if len(job.data.shape) != 3:
        raise SettingsError("data", "views and masks are made of images; these data are vectors")
    if str(given["length"]).strip() == "plateau":
        raise SettingsError("length", "features without labels are trained for a written length; write for: 100 epochs")
    return result(fit(replace(job, settings=resolve(given, len(job.data.train)), objective=make), ctx))


def steps_of(chosen: Sequence[Any], parameter: str) -> tuple[Augmentation, ...]:
    """The augmentations that a parameter lists."""
    found = [choice(item, parameter) for item in chosen]
    return tuple(one.load("augment")(**one.params) for one in found)


def pair(values: Sequence[float], parameter: str) -> tuple[float, float]:
    """Lowest and highest of a range.

    Raises:
        SettingsError: not two numbers in order.
    """
    if len(values) != 2 or not 0 < values[0] <= values[1]:
        raise SettingsError(parameter, f"expected two numbers, lowest and highest, got {list(values)}")
    return float(values[0]), float(values[1])


def perceptron(
    sizes: Sequence[int], *, norm: bool = True, last_norm: str = "none", activation: Callable[[], nn.Module] = nn.ReLU
) -> nn.Sequential:
    """Dense layers over the widths `sizes`, each but the last followed by batch norm (if `norm`) and the activation.

    Args:
        norm: batch norm between the layers; they then have no bias.
        last_norm: after the last layer: `none` (the layer keeps its bias without `norm`), `plain` (no parameters) or
            `scale` (a trained scale, no shift).
        activation: makes the layer between.
    """
    layers: list[nn.Module] = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        last = place == len(sizes) - 2
        layers.append(nn.Linear(inputs, outputs, bias=not norm))
        if not last:
            layers += [nn.BatchNorm1d(outputs)] if norm else []
            layers.append(activation())
        elif last_norm != "none":
            layers.append(nn.BatchNorm1d(outputs, affine=last_norm == "scale"))
            if last_norm == "scale":
                layers[-1].bias.requires_grad_(False)
    return nn.Sequential(*layers)


def copied(module: nn.Module) -> nn.Module:
    """A teacher: an equal module that receives no gradient and drops nothing; batch norm uses the batch, as in the
    student."""
    teacher = copy.deepcopy(module).requires_grad_(False).train()
    for part in teacher.modules():
        if "drop" in type(part).__name__.lower():
            part.eval()
    return teacher


def cosine_to_one(start: float, done: float, total: int) -> float:
    """1 - (1 - start) (1 + cos(pi done / total)) / 2."""
    return 1 - (1 - start) * (1 + math.cos(math.pi * done / total)) / 2


def linear_to_one(start: float, done: float, total: int) -> float:
    """start + (1 - start) done / total."""
    return start + (1 - start) * done / total


COURSES: Mapping[str, Callable[[float, float, int], float]] = {
    "cosine": cosine_to_one, "linear": linear_to_one, "constant": lambda start, _, __: start,
}  # fmt: skip


class Following:
    """A teacher's weights after the student's: teacher = m teacher + (1 - m) student. Buffers are the teacher's own."""

    def __init__(self, teacher: nn.Module, student: nn.Module) -> None:
        self.pairs = list(zip(teacher.parameters(), student.parameters(), strict=True))

    def __call__(self, momentum: float) -> None:
        """One update."""
        slow, live = [one.detach() for one, _ in self.pairs], [other.detach() for _, other in self.pairs]
        torch._foreach_lerp_(slow, live, 1 - momentum)


def unit(x: Tensor) -> Tensor:
    """Rows of length 1, in fp32."""
    return nn.functional.normalize(x.float(), dim=1)
