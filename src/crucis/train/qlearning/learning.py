"""One update of the network from a batch of transitions.

With d = r + discount (1 - end) v - Q(s, a), the loss is the mean over the batch of d^2 / 2, or of Huber's function,
which is |d| - 1/2 where |d| > 1 (so that the error's share of the gradient is clipped to 1). v is the largest value of
the target network at s', or with `double` the target network's value of the action that the network itself would take.
`end` is 1 where the game itself ended; where a limit of frames broke it off, what would have followed counts. The
gradient of loss and penalty together is clipped number by number, and then as a whole to a largest norm.

Source: V. Mnih et al., 2015, doi:10.1038/nature14236; double: H. van Hasselt et al., 2016, arXiv:1509.06461;
limits: F. Pardo et al., 2018, arXiv:1712.00378.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .memory import Batch
from .settings import QSettings

Penalty = Callable[[], None]


def seen(frames: Tensor, device: str) -> Tensor:
    """Observations as the network takes them: float32, 0 to 1."""
    return frames.to(device).to(torch.float32).div_(255)


def td_errors(net: nn.Module, target: nn.Module, batch: Batch, settings: QSettings, device: str = "cpu") -> Tensor:
    """d of every transition (n,); the gradient reaches Q(s, a) only."""
    after = seen(batch.after, device)
    with torch.no_grad():
        values = target(after)
        best = net(after).argmax(1) if settings.double else values.argmax(1)
        following = values.gather(1, best[:, None])[:, 0]
        goal = batch.rewards.to(device) + settings.discount * following * ~batch.over.to(device)
    return goal - net(seen(batch.before, device)).gather(1, batch.actions.to(device)[:, None])[:, 0]


def loss_of(errors: Tensor, settings: QSettings) -> Tensor:
    """The mean loss of a batch."""
    if settings.loss == "squared":
        return errors.square().mean() / 2
    return functional.huber_loss(errors, torch.zeros_like(errors))


def update(
    net: nn.Module, target: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, settings: QSettings,
    *, penalty: Penalty | None = None, device: str = "cpu",
) -> Tensor:  # fmt: skip
    """One optimiser step; returns the loss without the penalty (a detached scalar).

    Args:
        penalty: adds the penalty's gradient to that of the parameters.
    """
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of(td_errors(net, target, batch, settings, device), settings)
    loss.backward()
    if penalty is not None:
        penalty()
    clip(net, settings)
    optimiser.step()
    return loss.detach()


def clip(net: nn.Module, settings: QSettings) -> None:
    """Bound every number of the gradient, and then its Euclidean norm."""
    params = list(net.parameters())
    if settings.clip_value is not None:
        nn.utils.clip_grad_value_(params, settings.clip_value)
    if settings.clip is not None:
        nn.utils.clip_grad_norm_(params, settings.clip)
