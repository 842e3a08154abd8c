"""Elastic weight consolidation between games: what holds the parameters where earlier games left them.

When a game is left, its penalty is lambda / 2 x sum of F (theta - theta*)^2, with theta* the parameters at that moment
and F the diagonal of a Fisher information, the mean over transitions drawn from the game's own memory of squared
gradients: of each transition's loss (`td_error`, the empirical Fisher information), or of the values of all actions,
each in turn and summed (`value`, the Fisher information of a network whose outputs are means of unit normal
distributions). While a game is played, the penalties of the others are added to the loss.

Source: J. Kirkpatrick et al., 2017, doi:10.1073/pnas.1611835114, which does not say which of the two F is.
Cost: one backward pass per transition, and one per action more with `value`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from .learning import loss_of, seen, td_errors
from .memory import Batch, Memory
from .settings import QSettings


class Elastic:
    """The penalties of games that were left.

    Attributes:
        held: game -> parameter -> (F, theta*); told: game -> what is noted of it.
    """

    def __init__(self, net: nn.Module, settings: QSettings) -> None:
        self.net, self.settings = net, settings
        self.held: dict[str, dict[str, tuple[Tensor, Tensor]]] = {}
        self.told: dict[str, dict[str, Any]] = {}

    def leave(self, game: str, found: Mapping[str, Tensor], **told: Any) -> None:
        """Hold the parameters as they are, by a Fisher information."""
        if self.settings.ewc_penalties == "latest":
            self.held, self.told = {}, {}
        self.held[game] = {name: (found[name].detach().clone(), value.detach().clone())
                           for name, value in self.net.named_parameters()}  # fmt: skip
        self.told[game] = {"trace": float(sum(float(part.sum()) for part in found.values())), **told}

    def stale(self, game: str) -> bool:
        """Whether a game that is left now needs its penalty computed."""
        return self.settings.ewc_recomputed == "switch" or game not in self.held

    def others(self, game: str) -> list[dict[str, tuple[Tensor, Tensor]]]:
        """The penalties that hold while a game is played."""
        return [parts for name, parts in self.held.items() if name != game]

    def pull(self, game: str) -> None:
        """Add the gradient of the penalties to that of the parameters: lambda F (theta - theta*)."""
        weight = self.settings.ewc_lambda
        for parts in self.others(game):
            for name, value in self.net.named_parameters():
                fisher, anchor = parts[name]
                if value.grad is not None:
                    value.grad.add_(fisher * (value.detach() - anchor), alpha=weight)

    def value(self, game: str) -> float:
        """The penalty itself while a game is played."""
        weight = self.settings.ewc_lambda
        params = dict(self.net.named_parameters())
        total = sum(float((fisher * (params[name].detach() - anchor).square()).sum())
                    for parts in self.others(game) for name, (fisher, anchor) in parts.items())  # fmt: skip
        return weight / 2 * total

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All of it: tensors, and JSON values."""
        tensors: dict[str, Tensor] = {}
        for number, parts in enumerate(self.held.values()):
            for name, (fisher, anchor) in parts.items():
                tensors |= {f"{number}/fisher/{name}": fisher, f"{number}/anchor/{name}": anchor}
        return tensors, {"games": list(self.held), "told": self.told}

    def take(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go on from a state."""
        device = next(self.net.parameters()).device
        names = [name for name, _ in self.net.named_parameters()]
        self.held = {
            game: {name: (tensors[f"{number}/fisher/{name}"].clone().to(device),
                          tensors[f"{number}/anchor/{name}"].clone().to(device)) for name in names}
            for number, game in enumerate(plain["games"])
        }  # fmt: skip
        self.told = {game: dict(told) for game, told in plain["told"].items()}


def fisher(
    net: nn.Module, target: nn.Module, memory: Memory, settings: QSettings, draw: np.random.Generator,
    device: str = "cpu",
) -> dict[str, Tensor]:  # fmt: skip
    """Parameter -> diagonal of the Fisher information, from `ewc_minibatches` batches of a memory."""
    total = {name: torch.zeros_like(value) for name, value in net.named_parameters()}
    for _ in range(settings.ewc_minibatches):
        for name, part in squares(net, target, memory.draw(settings.batch, draw), settings, device).items():
            total[name] += part
    count = settings.ewc_minibatches * settings.batch
    return {name: part / count for name, part in total.items()}


def squares(
    net: nn.Module, target: nn.Module, batch: Batch, settings: QSettings, device: str = "cpu"
) -> dict[str, Tensor]:
    """Parameter -> sum over the batch of squared gradients of each transition by itself."""
    params = {name: value.detach() for name, value in net.named_parameters()}
    before = seen(batch.before, device)
    if settings.ewc_fisher == "td_error":
        with torch.no_grad():
            reached = net(before).gather(1, batch.actions.to(device)[:, None])[:, 0]
            goals = reached + td_errors(net, target, batch, settings, device)

        def loss(values: dict[str, Tensor], x: Tensor, action: Tensor, goal: Tensor) -> Tensor:
            out = functional_call(net, values, (x[None],))[0]
            return loss_of((goal - out.gather(0, action[None]))[:1], settings)

        each = vmap(grad(loss), in_dims=(None, 0, 0, 0))(params, before, batch.actions.to(device), goals)
        return {name: part.square().sum(0) for name, part in each.items()}

    def output(values: dict[str, Tensor], x: Tensor, unit: Tensor) -> Tensor:
        return (functional_call(net, values, (x[None],))[0] * unit).sum()

    total = {name: torch.zeros_like(value) for name, value in params.items()}
    with torch.no_grad():
        actions = net(before[:1]).shape[1]
    for unit in torch.eye(actions, device=device):
        each = vmap(grad(output), in_dims=(None, 0, None))(params, before, unit)
        for name, part in each.items():
            total[name] += part.square().sum(0)
    return total
