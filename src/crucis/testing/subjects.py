"""Small subjects for the conformance suites of instruments and perturbations: a network that could go wrong in every
way that suites look for (batch normalisation, dropout, a tied weight would show), data, a second task, a trainer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import seeds, shelf
from ..records import Record, Result
from .contexts import PlainContext

#: What conformance runs with instead of the defaults; a leaf says it as the literal `EXAMPLE`.
EXAMPLE = "EXAMPLE"


def data(classes: tuple[int, ...] = (0, 1, 2), *, name: str = "squares", size: int = 48) -> Any:
    """Images 1 x 6 x 6 with a bright square whose place is the class modulo 3, so that tasks of the classes 0 to 2 and
    3 to 5 contradict each other; of six classes, `classes` exist in the splits."""
    from ..data.dataset import Dataset, Split

    def split(part: str) -> Split:
        draw = seeds.rng(0, "testing", name, part)
        y = np.resize(np.array(classes, dtype=np.int64), size)
        x = draw.integers(0, 80, (size, 6, 6, 1), dtype=np.uint8)
        for image, label in zip(x, y, strict=True):
            column = int(label) % 3
            image[2:4, 2 * column : 2 * column + 2] += 150
        return Split(x, y)

    return Dataset(
        name, "image", 6, tuple("abcdef"), split("train"), split("validation"), split("test"), (0.25,), (0.2,), name
    )


def network(seed: int = 0) -> Any:
    """A convolutional network with batch normalisation and dropout, in evaluation mode, its statistics not the initial
    ones."""
    import torch
    from torch import nn

    from ..streams import borrowed

    with borrowed(seeds.derive(seed, "testing", "network")), torch.no_grad():
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(72, 6),
        )  # fmt: skip
        for _ in range(3):
            net(torch.randn(32, 1, 6, 6))
    return net.eval()


def model_specimen(folder: Path, *, seed: int = 0, **changes: Any) -> Any:
    """A specimen whose subject is `network(seed)` with `data()`."""
    from ..measure.specimen import Specimen

    fields = {"model": network(seed), "data": data(), "seed": seed, "ctx": PlainContext(folder), **changes}
    return Specimen(**fields)


def pair(folder: Path, roles: list[str], *, seed: int = 0, **changes: Any) -> Any:
    """A specimen with one network per role; that of the first role is also its `model`."""
    from dataclasses import replace

    base = model_specimen(folder, seed=seed, **changes)
    others = {role: network(1000 + k) for k, role in enumerate(roles[1:])}
    return replace(base, models={roles[0]: base.model, **others})


def record_of(result: Result, ctx: PlainContext, key: str = "0" * 64) -> Record:
    """The record that an engine would have made of a result."""
    body = {"outcome": result.outcome, "values": result.values, "uncertainty": result.uncertainty, "spec": {}}
    return Record(key, ctx.out, body)


def specimen(leaf: shelf.Leaf, folder: Path, *, seed: int = 0, **changes: Any) -> Any:
    """What `leaf` works on: a network, the networks of the roles that its literal `MODELS` lists, or the record of the
    instrument that its literal `SUBJECT` names."""
    subject = leaf.constants.get("SUBJECT")
    if "MODELS" in leaf.constants:
        return pair(folder, leaf.constants["MODELS"], seed=seed, **changes)
    if subject is None:
        return model_specimen(folder, seed=seed, **changes)
    below = shelf.leaf("measure", subject)
    source = specimen(below, folder / subject, seed=seed)
    result = shelf.load(below)(source, **example(below))
    from ..measure.specimen import Specimen

    return Specimen(
        inputs={"of": record_of(result, source.ctx)}, ctx=PlainContext(folder / leaf.name), seed=seed, **changes
    )


def example(leaf: shelf.Leaf) -> dict[str, Any]:
    """Parameters for a quick run: the leaf's `EXAMPLE`, and for what is still required the first allowed value."""
    declared: Mapping[str, Any] = leaf.constants.get(EXAMPLE, {})
    required = {name: param.choices[0] for name, param in leaf.params.items() if param.required and param.choices}
    return {**required, **declared}


@dataclass(frozen=True)
class PlainTrained:
    """A `measure.specimen.Trained`."""

    model: Any
    probes: Mapping[int, Mapping[str, float]]
    files: Mapping[str, str] = field(default_factory=dict)


def trainer(specimen: Any, *, lr: float = 0.05, batch: int = 16) -> Any:
    """A `measure.specimen.Trainer` of the plainest kind: gradient descent on mini-batches, dropout and all."""
    import copy

    import torch
    from torch.nn import functional

    from ..streams import Stream, borrowed

    def train(data: Any, *, steps: int, probe: Any, probe_at: tuple[int, ...], **changes: Any) -> PlainTrained:
        if changes:
            raise TypeError(f"the plain trainer changes nothing, got {sorted(changes)}")
        from ..measure.evaluate import batches

        ((x, y),) = batches(data.train, data.mean, data.std, batch=len(data.train), device="cpu")
        model, stream = copy.deepcopy(specimen.model), Stream(specimen.seed, "testing", "trainer")
        optimiser = torch.optim.SGD(model.parameters(), lr=lr)
        probes = {}
        with borrowed(stream):  # around everything, so that a probe that draws disturbs order and dropout
            for step in range(steps + 1):
                if probe is not None and step in probe_at:
                    probes[step] = probe(model.eval())
                if step == steps:
                    break
                index = torch.randperm(len(y))[:batch]
                loss = functional.cross_entropy(model.train()(x[index]), y[index])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return PlainTrained(model.eval(), probes)

    return train


def descents(specimen: Any) -> Any:
    """`measure.specimen.Descents` of the plainest kind: gradient descent on the whole training split."""
    import copy

    import torch
    from torch.nn import functional

    from ..measure.evaluate import batches

    data = specimen.data
    ((x, y),) = batches(data.train, data.mean, data.std, batch=len(data.train), device="cpu")

    def descend(rates: Any, watch: Any) -> list[float]:
        model, losses = copy.deepcopy(specimen.model), list[float]()
        for rate in rates:
            loss = functional.cross_entropy(model(x), y)
            losses.append(float(loss.detach()))
            if watch(losses):
                break
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter.sub_(rate * gradient)
        return losses

    return descend
