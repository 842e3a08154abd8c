"""What an instrument or a perturbation is given: a trained network, its data, its inputs, and where to write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import CrucisError, Refusal
from ..records import Context, Record

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.dataset import Dataset, Split

Probe = Callable[["nn.Module"], Mapping[str, float]]
#: A further term of a loss: from the forward pass as a function, inputs (B, ...) and logits (B, classes) to a scalar.
Term = Callable[[Callable[["Tensor"], "Tensor"], "Tensor", "Tensor"], "Tensor"]
#: Losses of optimiser steps with the given rates from the specimen's weights, until a watch on them says stop.
Descents = Callable[[Sequence[float], Callable[[Sequence[float]], bool]], Sequence[float]]


class Trained(Protocol):
    """What a `Trainer` returns."""

    @property
    def model(self) -> nn.Module:
        """The network after training, in evaluation mode."""

    @property
    def probes(self) -> Mapping[int, Mapping[str, float]]:
        """Optimiser step -> what the probe returned there; step 0 is before the first update."""

    @property
    def files(self) -> Mapping[str, str]:
        """Files that training left in `Context.out`, name -> role."""


class Trainer(Protocol):
    """Trains on from the specimen's weights; handed in from above, because this room knows no training loop.

    It leaves the specimen's own model untouched and uses the optimiser, learning rate, batch and weight decay of that
    model's training with fresh optimiser state and a constant rate, unless `changes` says otherwise.
    """

    def __call__(
        self, data: Dataset, *, steps: int, probe: Probe | None, probe_at: tuple[int, ...], **changes: Any
    ) -> Trained:
        """Train for `steps` optimiser steps; call `probe` in evaluation mode after the steps of `probe_at`.

        Among `changes`, `term` (network -> `Term`) makes a further term of the loss for the network that is trained;
        what it draws from torch's global generator is part of the run. The others are parameters of the training.
        """


@dataclass(frozen=True)
class Specimen:
    """The subject of a measurement.

    Attributes:
        model: the network in evaluation mode with its weights, on `device`; None if the subject is a record.
        data: the data set with the view of the model's own training.
        seed, depth: from which streams are derived (`depth` = stages of this verb upstream).
        inputs: role (`of`, `start`, `end` ...) -> record, or list of records of a pooled input.
        models: role -> network in evaluation mode, or list of networks of a pooled input, for what works on several;
            built when asked for, so what asks for none pays nothing.
        split: the split that this step was asked for.
        ctx: the engine's side of the step: folders, heartbeat, the wish to stop.
        task: data of a perturbation's own, such as a second task.
        settings: settings of the model's own training, opaque here.
        trainer: for perturbations that train.
        descents: for perturbations that try learning rates; always from the specimen's weights, which stay untouched.
    """

    model: nn.Module | None = None
    data: Dataset | None = None
    seed: int = 0
    depth: int = 0
    device: str = "cpu"
    inputs: Mapping[str, Record | list[Record]] = field(default_factory=dict)
    models: Mapping[str, nn.Module | list[nn.Module]] = field(default_factory=dict)
    split: str = "validation"
    ctx: Context | None = None
    task: Dataset | None = None
    settings: Any = None
    trainer: Trainer | None = None
    descents: Descents | None = None

    def network(self) -> tuple[nn.Module, Dataset]:
        """The model and its data.

        Raises:
            Refusal: `not_applicable`, if the subject is no model with data.
        """
        if self.model is None or self.data is None:
            raise Refusal("not_applicable", "works on a network with its data; 'of' names something else")
        return self.model, self.data

    def several(self) -> tuple[list[nn.Module], Dataset]:
        """The networks that a comparison is between: `start` and `end`, or those of a pooled `of`; and their data.

        Raises:
            Refusal: `not_applicable`, if the subject is something else; `too_few`, if it is one network.
        """
        if "start" in self.models and "end" in self.models:
            found = [self.models["start"], self.models["end"]]
        else:
            pooled = self.models.get("of")
            found = list(pooled) if isinstance(pooled, list) else []
        if self.data is None or not found or any(isinstance(each, list) for each in found):
            raise Refusal("not_applicable", "works on networks 'start' and 'end', or on the networks of a pooled 'of'")
        if len(found) < 2:
            raise Refusal("too_few", "a comparison needs at least two networks, and the pool has one")
        return found, self.data  # type: ignore[return-value]

    def asked(self) -> Split:
        """The split that was asked for, through the seal.

        Raises:
            Refusal: `sealed`, `not_applicable`, or `too_few` if the split is empty.
        """
        _, data = self.network()
        split = data.split(self.split)
        if len(split) == 0:
            raise Refusal("too_few", f"the split {self.split} of {data.name} is empty")
        return split

    def record(self, role: str = "of") -> Record:
        """The record in `role`.

        Raises:
            Refusal: `not_applicable`, if there is none or a list; `input_refused`, if that record is not ok.
        """
        found = self.inputs.get(role)
        if not isinstance(found, Record):
            raise Refusal("not_applicable", f"works on the record of one stage; '{role}' names something else")
        if found.outcome != "ok":
            raise Refusal("input_refused", f"its input is {found.outcome}")
        return found

    def folder(self) -> Path:
        """Where files of this step go.

        Raises:
            CrucisError: the specimen has no context.
        """
        if self.ctx is None:
            raise CrucisError("this leaf writes files, so its specimen needs a context with the folder 'out'")
        return self.ctx.out

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
        """Write an npz file into the step's folder, its bytes a function of the arrays; returns name -> role."""
        with (self.folder() / name).open("wb") as file:
            np.savez(file, **dict(sorted(arrays.items())))  # type: ignore[arg-type]
        return {name: "array"}
