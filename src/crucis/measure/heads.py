"""One head per task: the rows of the last layer that belong to a task's classes, and answers among those only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import Refusal

if TYPE_CHECKING:
    from ..data.dataset import Dataset, Split


class Narrowed(nn.Module):
    """A network that answers among some classes only: logits (N, classes) to logits (N, len(kept)).

    Args:
        net: the network, whose parameters are shared and called `net.NAME` here.
        kept: the classes, ascending.
    """

    def __init__(self, net: nn.Module, kept: Sequence[int]) -> None:
        super().__init__()
        self.net, self._kept = net, torch.tensor(sorted(kept), device=next(net.parameters()).device)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (N, ...) to logits of the kept classes, in ascending order."""
        return self.net(x).index_select(1, self._kept)


def classes_of(data: Dataset) -> list[int]:
    """The classes of a task, ascending: those of its training examples."""
    return [int(label) for label in np.unique(data.train.y)]


def declared(data: Dataset) -> Dataset:
    """The task with exactly the classes of its examples as those that its head compares."""
    return replace(data, active=tuple(classes_of(data)))


def renumbered(split: Split, kept: Sequence[int]) -> Split:
    """The split with labels 0 to len(kept) - 1, as `Narrowed` numbers its answers.

    Raises:
        Refusal: `not_applicable`, if an example is of another class.
    """
    order = np.array(sorted(kept))
    y = np.asarray(split.y)
    if not np.isin(y, order).all():
        raise Refusal("not_applicable", "an example is of a class that its task's head does not have")
    return replace(split, y=np.searchsorted(order, y).astype(y.dtype))


def apart(first: Dataset, second: Dataset) -> tuple[list[int], list[int]]:
    """The classes of two tasks that share none.

    Raises:
        Refusal: `not_applicable`, if they share some: a row of the last layer would belong to both heads.
    """
    one, two = classes_of(first), classes_of(second)
    shared = sorted(set(one) & set(two))
    if shared:
        raise Refusal("not_applicable", f"head: per_task needs tasks without common classes; both have {shared}")
    return one, two


class Kept:
    """The first task's head as it was: rows of the layer that makes the logits, to be put back for a while.

    Args:
        model: with the head as it was; copied.
        kept: the classes of the task.
        x: a few inputs, by which the layer is found.

    Raises:
        Refusal: `not_applicable`, if the logits are not the very output of one dense layer.
    """

    def __init__(self, model: nn.Module, kept: Sequence[int], x: Tensor) -> None:
        self._name, layer = _last(model, x)
        self._rows = torch.tensor(sorted(kept), device=layer.weight.device)
        self._then = {name: value.detach()[self._rows].clone() for name, value in layer.named_parameters()}

    @contextmanager
    @torch.no_grad()
    def put_back(self, net: nn.Module) -> Iterator[None]:
        """`net` with that head within the block; afterwards its own bits, also after an exception."""
        live = dict(net.get_submodule(self._name).named_parameters())
        now = {name: live[name][self._rows].clone() for name in self._then}
        try:
            for name, rows in self._then.items():
                live[name][self._rows] = rows
            yield
        finally:
            for name, rows in now.items():
                live[name][self._rows] = rows


def _last(model: nn.Module, x: Tensor) -> tuple[str, nn.Linear]:
    made: dict[int, tuple[str, nn.Linear]] = {}
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            hooks.append(module.register_forward_hook(_remember(made, name)))
    try:
        with torch.no_grad():
            out = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    if id(out) not in made:
        raise Refusal("not_applicable", "head: per_task needs logits that are the output of one dense layer")
    return made[id(out)]


def _remember(made: dict[int, Any], name: str) -> Any:
    def hook(module: nn.Module, _: Any, out: Tensor) -> None:
        made[id(out)] = (name, module)
        made.setdefault(-1, []).append(out)  # holding `out` keeps its id from being used again

    return hook
