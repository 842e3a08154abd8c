"""What the checks work on: a way to build a network with parts left out, a batch, and the baseline it should become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...data.batches import Resident
from ...data.dataset import Dataset
from ...streams import borrowed, generator

Weights = dict[str, Tensor]
NOISE = 0.05  # added to every weight where a start of zeros would hide what a part does


@dataclass(frozen=True)
class Subject:
    """A network that is checked.

    Attributes:
        name: as the study writes it.
        build: what is left out (component -> replacement) to a network; draws from torch's global generator.
        components: name -> replacement, the one that the study takes.
        offered: name -> every replacement that the file declares.
        x, y: a batch as training sees it, float32 (N, ...) and int64 (N,).
        classes: outputs of the head.
        baseline, baseline_name: what everything left out should be; None if nobody says.
        map_weights: from the state of the method, everything left out, to that of the baseline; None: by name or order.
    """

    name: str
    build: Callable[[Mapping[str, str]], nn.Module]
    x: Tensor
    y: Tensor
    classes: int
    components: Mapping[str, str] = field(default_factory=dict)
    offered: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    baseline: Callable[[], nn.Module] | None = None
    baseline_name: str = ""
    map_weights: Callable[[Weights], Weights] | None = None
    seed: int = 42

    def net(self, without: Mapping[str, str] | None = None) -> nn.Module:
        """The network as its initial stream draws it."""
        return drawn(lambda: self.build(without or {}), self.seed)


@dataclass(frozen=True)
class Finding:
    """What one check says of a network or of one of its components; `bad` is a fault, `note` decides nothing."""

    check: str
    subject: str
    outcome: Literal["ok", "bad", "note"]
    says: str
    component: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


def drawn(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A network built on a lent stream of `seed`."""
    with borrowed(seed):
        return build()


def shaken(net: nn.Module, seed: int = 0) -> nn.Module:
    """The network with noise on every weight, in place: a part that starts at zero would seem unused otherwise."""
    draw = generator(seed, "checks")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(NOISE * torch.randn(parameter.shape, generator=draw))
    return net


def loss_of(net: nn.Module, x: Tensor, y: Tensor, seed: int = 7) -> tuple[Tensor, Tensor]:
    """(logits, cross-entropy) on a lent stream, so that dropout draws the same in two networks."""
    with borrowed(seed):
        out = net(x)
    return out, functional.cross_entropy(out, y)


def shared(source: nn.Module, target: nn.Module) -> list[str]:
    """Copy every parameter and buffer of equal name and shape; the names copied."""
    mine, theirs = source.state_dict(), target.state_dict()
    same = [name for name in theirs if name in mine and mine[name].shape == theirs[name].shape]
    target.load_state_dict({**theirs, **{name: mine[name] for name in same}})
    return same


def owners(subject: Subject) -> dict[str, list[str]]:
    """Component -> the parameters that are gone, or have another shape, when it alone is left out."""
    whole = {name: parameter.shape for name, parameter in subject.net().named_parameters()}
    out = {}
    for name, word in subject.components.items():
        left = {key: parameter.shape for key, parameter in subject.net({name: word}).named_parameters()}
        out[name] = [key for key, shape in whole.items() if left.get(key) != shape]
    return out


def batch(data: Dataset, count: int = 64) -> tuple[Tensor, Tensor]:
    """Training examples as training sees them, without augmentation: a fixed draw of at most `count`."""
    index = torch.randperm(len(data.train), generator=generator(0, "checks", "batch"))[:count]
    return Resident.of(data, "train").gather(index)


def noise_like(shape: tuple[int, ...], classes: int, count: int = 64) -> tuple[Tensor, Tensor]:
    """Standard normal inputs (count, *shape) and labels that go round the classes."""
    return torch.randn(count, *shape, generator=generator(0, "checks", "noise")), torch.arange(count) % classes
