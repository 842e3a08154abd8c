"""Loss scaling for fp16: small gradients are kept from vanishing by a factor that the update takes out again.

Semantics of `torch.amp.GradScaler` at its defaults: the scale begins at 2 ** 16; a step whose gradients hold an
infinity or a NaN is not made and halves the scale; 2,000 steps in a row without one double it. Source: P. Micikevicius
et al., Mixed Precision Training, 2018, arXiv:1710.03740, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Scaling:
    """The scaler of a run. `scales`: per step since it was last read, the new scale after an overflow, or None;
    `made`: whether the last step was."""

    def __init__(self, device: str) -> None:
        self._kind = torch.device(device).type
        self.scaler = torch.amp.GradScaler(self._kind)
        self.scales: list[float | None] = []
        self.made = True

    def backward(self, loss: Tensor) -> None:
        """The gradient of the scaled loss."""
        self.scaler.scale(loss).backward()

    def update(self, optimiser: Optimizer) -> None:
        """Make the step unless the gradient overflowed; adapt the scale."""
        # Left to a fused optimiser, a step not made would still have begun: its momentum would be memory never set.
        optimiser._step_supports_amp_scaling = False  # type: ignore[attr-defined]
        before = self.scaler.get_scale()
        self.scaler.step(optimiser)
        self.scaler.update()
        after = self.scaler.get_scale()
        self.made = not after < before
        self.scales.append(None if self.made else after)

    def only_made(self, act: Callable[[], Any]) -> Callable[[], None]:
        """An act behind the update that belongs to it: left out where the update was."""

        def acted() -> None:
            if self.made:
                act()

        return acted

    def state(self) -> dict[str, Any]:
        """The scale and its counter, as JSON values."""
        return dict(self.scaler.state_dict())

    def take(self, state: dict[str, Any]) -> None:
        """Go on from a state. A new scaler, because a step that was broken off leaves its mark on the old one."""
        self.scaler = torch.amp.GradScaler(self._kind)
        self.scaler.load_state_dict(state)
