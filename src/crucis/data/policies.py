"""What the searched and the random policies have in common: fourteen operations and what their levels mean.

A *scale* says for each operation which argument a share of the greatest magnitude means (0 to 1), perhaps with a random
sign. Three are in use. `increasing` is timm's with `inc1`: all operations do more with more magnitude; `original` is
timm's without, which is TensorFlow's of EfficientNet: a posterisation keeps more bits (0 is black), a solarisation
inverts less, and an enhancement runs from 0.1 to 1.9; `torchvision` is torchvision's, which is the paper's of
RandAugment.

Source: E. Cubuk et al., AutoAugment: Learning Augmentation Strategies from Data, 2019, arXiv:1805.09501; E. Cubuk et
al., RandAugment: Practical automated data augmentation with a reduced search space, 2020, arXiv:1909.13719; the ranges
of R. Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861, and of torchvision, doi:10.1145/1873951.1874254.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import painting, warping
from .augmenting import Params
from .painted import Operation, Painted

#: Operations by name, in the order in which `operation` of a policy counts them from 1 on; 0 is none.
MOVES = ("shear_x", "shear_y", "shift_x", "shift_y", "rotate")
PAINTS: Mapping[str, Operation] = {
    "auto_contrast": painting.auto_contrast, "equalize": painting.equalize, "invert": painting.invert,
    "posterize": painting.posterize, "solarize": painting.solarize, "solarize_add": painting.solarize_add,
    "color": painting.saturation, "contrast": painting.contrast, "brightness": painting.brightness,
    "sharpness": painting.sharpness,
}  # fmt: skip
NAMES = ("identity", *MOVES, *PAINTS)
NUMBER = {name: place for place, name in enumerate(NAMES)}

#: An argument of a share of the greatest magnitude (n,), float64, of a sign (n,), -1 or 1, and of the image's shape.
Scale = Callable[[Tensor, Tensor, Sequence[int]], Tensor]


def none(share: Tensor, sign: Tensor, shape: Sequence[int]) -> Tensor:  # noqa: ARG001
    """Of operations that take no argument."""
    return torch.zeros_like(share)


def signed(greatest: float) -> Scale:
    """-greatest to greatest."""
    return lambda share, sign, shape: share * sign * greatest  # noqa: ARG005


def sided(greatest: float, axis: int, *, whole: bool = False) -> Scale:
    """A share of the image's side along `axis`, either way; in whole pixels, cut off, if `whole`."""

    def scale(share: Tensor, sign: Tensor, shape: Sequence[int]) -> Tensor:
        pixels = share * greatest * shape[axis] * sign
        return pixels.trunc() if whole else pixels

    return scale


def signed_whole(greatest: float) -> Scale:
    """-greatest to greatest in whole numbers, cut off."""
    return lambda share, sign, shape: (share * sign * greatest).trunc()  # noqa: ARG005


def _enhance(share: Tensor, sign: Tensor, shape: Sequence[int]) -> Tensor:  # noqa: ARG001
    return share * 1.8 + 0.1


def around(greatest: float, *, single: bool = False) -> Scale:
    """1 - greatest to 1 + greatest; `single`: the change in 32 bits, which decides whether 0.01 x 100 is 1."""

    def scale(share: Tensor, sign: Tensor, shape: Sequence[int]) -> Tensor:  # noqa: ARG001
        change = share * sign * greatest
        return 1 + (change.float().double() if single else change)

    return scale


def whole(function: Callable[[Tensor], Tensor]) -> Scale:
    """A whole number of a share, without a sign."""
    return lambda share, sign, shape: function(share)  # noqa: ARG005


def _timm(colours: Scale, bits: Scale, threshold: Scale) -> dict[str, Scale]:
    return {
        "auto_contrast": none, "equalize": none, "invert": none, "rotate": signed(30.0), "posterize": bits,
        "solarize": threshold, "solarize_add": whole(lambda share: (share * 110).trunc().clamp(max=128)),
        "color": colours, "contrast": colours, "brightness": colours, "sharpness": colours, "shear_x": signed(0.3),
        "shear_y": signed(0.3), "shift_x": sided(0.45, 2), "shift_y": sided(0.45, 1),
    }  # fmt: skip


def torchvision(shear: float, shift: Sequence[Scale], turn: float, colours: float, bits: float) -> dict[str, Scale]:
    """Ranges of torchvision's form: greatest shear, shifts, rotation, change of colours and lost bits."""
    enhance = around(colours, single=True)
    return {
        "identity": none, "shear_x": signed(shear), "shear_y": signed(shear), "shift_x": shift[0],
        "shift_y": shift[1], "rotate": signed(turn), "brightness": enhance, "color": enhance, "contrast": enhance,
        "sharpness": enhance, "posterize": whole(lambda share: 8 - (share * bits).round()),
        "solarize": whole(lambda share: 255 * (1 - share)), "auto_contrast": none, "equalize": none,
    }  # fmt: skip


SCALES: Mapping[str, Mapping[str, Scale]] = {
    "increasing": _timm(
        around(0.9),
        whole(lambda share: 4 - (share * 4).trunc()),
        whole(lambda share: 256 - (share * 256).trunc()),
    ),
    "original": _timm(
        _enhance,
        whole(lambda share: (share * 4).trunc()),
        whole(lambda share: (share * 256).trunc()),
    ),
    "torchvision": torchvision(0.3, (sided(150 / 331, 2, whole=True), sided(150 / 331, 1, whole=True)), 30.0, 0.9, 4.0),
}


@dataclass(frozen=True)
class Policy(Painted):
    """A step that draws operations by name; `interpolation` and `fill` are those of shears, shifts and rotations."""

    interpolation: str
    fill: int

    @property
    def operations(self) -> Sequence[Operation]:
        """In the order of `NAMES`, without the identity; arguments are (G, 2), see `repaint`."""
        kind, fill = self.interpolation, self.fill

        def move_x(x: Tensor, amount: Tensor) -> Tensor:
            return warping.move_x(x, amount[:, 0], amount[:, 1], kind, fill)

        def move_y(x: Tensor, amount: Tensor) -> Tensor:
            return warping.move_y(x, amount[:, 0], amount[:, 1], kind, fill)

        def rotate(x: Tensor, amount: Tensor) -> Tensor:
            return warping.rotate(x, amount[:, 0], kind, fill)

        return [move_x, move_y, move_x, move_y, rotate, *map(_first, PAINTS.values())]

    def repaint(self, x: Tensor, params: Params) -> Tensor:
        """Shears and shifts along an axis are one group: their arguments become a slope and an offset."""
        chosen, argument = params["operation"], params["argument"]
        shift = (chosen == NUMBER["shift_x"]) | (chosen == NUMBER["shift_y"])
        merged = chosen - 2 * shift.to(torch.uint8)  # a shift counts two after the shear along its axis
        offset = shift.to(argument.device, argument.dtype) * argument
        both = torch.stack([argument - offset, offset], 2)
        return super().repaint(x, {"operation": merged, "argument": both})


def _first(operation: Operation) -> Operation:
    return lambda x, argument: operation(x, argument[:, 0])


def arguments(chosen: Tensor, share: Tensor, sign: Tensor, scales: Mapping[str, Scale], shape: Sequence[int]) -> Tensor:
    """The arguments of drawn operations.

    Args:
        chosen: numbers of operations (n, L); share: of the greatest magnitude, float64 (n, L); sign: -1 or 1 (n, L).
        scales: by name of operation.
        shape: (C, H, W).

    Returns:
        float32 (n, L).
    """
    out = torch.zeros(chosen.shape)
    for name, scale in scales.items():
        hit = (chosen == NUMBER[name]).nonzero(as_tuple=True)
        out[hit] = scale(share[hit], sign[hit], shape).float()
    return out


def signs(n: int, layers: int, generator: torch.Generator) -> Tensor:
    """-1 or 1 with equal chances, float64 (n, layers)."""
    return torch.randint(0, 2, (n, layers), generator=generator).double().mul_(2).sub_(1)
