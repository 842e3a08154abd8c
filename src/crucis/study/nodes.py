"""Nodes of a plan: one planned step each, with what later steps need to know of it, and the checkpoints it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..canon import canonical, sha256, step_key
from ..data.open import Info
from .binding import Bound
from .design import Instance, InstanceRef


@dataclass
class Facts:
    """What later steps need to know of a stage that leaves a model."""

    net: dict[str, Any]
    data: dict[str, Any]
    info: Info
    per_epoch: int
    total: int
    select: str | None
    verb: str
    depths: Mapping[str, int]
    training: dict[str, Any]  # spec of the training step that the model comes from


@dataclass
class Node:
    """One planned step with what made it."""

    instance: Instance
    spec: dict[str, Any]
    key: str
    inputs: dict[str, str | list[str]]
    bound: Bound
    origin: Mapping[str, str]
    facts: Facts | None = None
    marks: dict[str, str] = field(default_factory=dict)  # optimiser step or "best" -> checkpoint key
    read: set[str] = field(default_factory=set)  # those of the marks whose columns are read, without a step on them
    models: dict[str, Any] = field(default_factory=dict)  # role -> how to rebuild the model (a list when pooled)
    sealed: bool = False
    group: str | None = None
    waits: str = ""  # the search whose end decides this step; its key is a place holder until then
    lost: str = ""  # why that search has no winner, so that this step will never run

    @property
    def owner(self) -> str:
        """The stage of the study that this step belongs to; a trial belongs to its search."""
        return self.instance.stage.partition(".")[0]

    @property
    def inner(self) -> bool:
        """Whether it is a trial or a proposal inside a search, and no row of the study's table."""
        return "." in self.instance.stage

    @property
    def pending(self) -> bool:
        """Whether it has no key yet."""
        return bool(self.waits or self.lost)

    def waiting(self, waits: str, lost: str) -> Node:
        """This node, without a key if it waits for a search: the place holder is no key that a record could have."""
        if waits or lost:
            place = canonical([self.instance.stage, dict(self.instance.cell), self.instance.seed])
            self.waits, self.lost, self.key = waits, lost, f"after-{sha256(place)[:32]}"
        return self

    @property
    def label(self) -> str:
        """For people: stage, levels, seed."""
        cell = " ".join(self.instance.cell.values())
        seed = "" if self.instance.seed is None else f" seed {self.instance.seed}"
        return f"{self.instance.stage}{' ' + cell if cell else ''}{seed}"


Place = tuple[str, tuple[tuple[str, str], ...], int | None]


def place_of(item: Instance | InstanceRef) -> Place:
    """A hashable name for an instance of a stage."""
    return item.stage, tuple(sorted(item.cell.items())), item.seed


def checkpoint_step(at: str, per_epoch: int, total: int) -> int:
    """The optimiser step that `50%`, `12epochs` or `500steps` names.

    Raises:
        ValueError: beyond the end of the training.
    """
    if at.endswith("%"):
        step = round(float(at[:-1]) / 100 * total)
    elif at.endswith("epochs"):
        step = int(at.removesuffix("epochs")) * per_epoch
    elif at.endswith("steps"):
        step = int(at.removesuffix("steps"))
    else:
        raise ValueError(f"@at={at}: write 0% to 100%, best, last, 12epochs or 500steps")
    if step > total:
        raise ValueError(f"@at={at} is step {step}, but the training has {total} steps")
    return step


def checkpoint(node: Node, at: str) -> tuple[str, bool]:
    """The key of a training step's checkpoint, and whether it is a record; notes on the node that it is wanted.

    Raises:
        ValueError: no such checkpoint.
    """
    facts = node.facts
    if facts is None or at == "last":
        return node.key, True
    mark: int | str = "best" if at == "best" else checkpoint_step(at, facts.per_epoch, facts.total)
    if mark == "best" and facts.select is None:
        stage = node.instance.stage
        raise ValueError(f"'{stage}' has no best checkpoint, because it names no 'select'. Add select: accuracy to it")
    if mark == facts.total:
        return node.key, True
    if mark == 0 and facts.verb == "train" and (source := node.inputs.get("of", node.inputs.get("initial"))):
        if node.spec["params"].get("initial_head") == "new":
            raise ValueError(
                f"@at=0%: '{node.instance.stage}' begins with a trained network and a fresh head, which is no record; "
                "take the network that it begins with"
            )
        return str(source), True  # what a continued training begins with is what it continues from
    key = step_key(checkpoint_spec(node, mark))
    if mark != 0:
        node.marks[str(mark)] = key
    return key, mark != 0


def checkpoint_spec(node: Node, mark: int | str) -> dict[str, Any]:
    """What identifies a checkpoint record: the training and the optimiser step, or `best`."""
    return {"kind": "at", "of": node.key, "at": mark if mark == "best" else int(mark)}
