"""Searches in a plan: which trials are known, what they say so far, and what follows when a winner is found.

Trials are ordinary training steps. What a search tries next stands in the record of a small step of its own (kind
`propose/LEAF`), made while the study runs, so that planning reads records and computes no proposal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..canon import step_key
from ..engine.failures import judge
from ..lengths import Length
from ..search.searches.threshold import bracket, others, sizes, won
from ..search.space import Ask, Space, Told, Values, best_first, lattice, scores, started
from .axes import WINNER, trial_seeds
from .binding import Bound
from .design import Instance, InstanceRef
from .distributions import by_path, chosen_value, examples, fill, parameters, picked, replaced
from .identity import without_defaults
from .nodes import Node, place_of
from .scalars import number
from .spec import Stage
from .success import criterion, reached
from .tree import BAD

if TYPE_CHECKING:
    from .plan import Planner

FIRST_RUNG = 4  # the short training before median pruning is one part in so many of the whole


@dataclass
class Hunt:
    """One search in a plan.

    Attributes:
        told: the finished evaluations, in the order in which they were proposed.
        asked: every evaluation that is known, with its training steps.
        planned: trials that the search will begin.
        waiting: the proposal that is to be made next; None if some trial is not finished, or nothing is left.
        sample: a training like those that are not known yet, to predict their cost.
        winner: values of the best trial; None before the end, or if every trial failed.
    """

    stage: str
    instance: Instance
    found: tuple[Any, ...]
    planned: int = 0
    seeds: int = 1
    told: list[Told] = field(default_factory=list)
    asked: list[tuple[Ask, list[Node]]] = field(default_factory=list)
    waiting: Node | None = None
    sample: Node | None = None
    winner: Values | None = None
    lost: str = ""
    over: bool = False
    failed: list[str] = field(default_factory=list)  # keys of trainings that crashed for good

    @property
    def begun(self) -> int:
        """Trials that are known."""
        return len({ask.trial for ask, _ in self.asked})

    @property
    def done(self) -> int:
        """Trials that need nothing more at their present length."""
        return len(started(self.told))

    @property
    def unknown(self) -> int:
        """Trainings that will follow, counting one per seed and trial that has not begun."""
        return 0 if self.over or self.lost else max(0, self.planned - self.begun) * self.seeds


# --- what a winner gives ---------------------------------------------------------------------------------------


def settled(planner: Planner, stage: Stage, instance: Instance) -> tuple[Stage, Mapping[str, str], str, str]:
    """The stage with chosen values in place, the cell of the search, the search it waits for, why there is none.

    While a search goes on, an example stands for what it will choose: good enough to predict a cost.
    """
    if not stage.winners:
        return stage, {}, "", ""
    waits = lost = ""
    cell: Mapping[str, str] = {}
    chosen: dict[str, Mapping[str, float | int]] = {}
    for name in stage.winners:
        ref = instance.inputs[f"{WINNER}{name}"]
        if isinstance(ref, list):
            raise ValueError(f"'{name}' has a winner per seed, and this stage pools them; write pool: seed in '{name}'")
        known = planner.hunts[place_of(ref)]
        cell = ref.cell
        if known.winner is not None:
            chosen[name] = by_path(known.found, known.winner)
        else:
            chosen[name] = examples(known.found)[0]
            waits, lost = waits or name, lost or known.lost
    sure = not waits and not lost

    def one(item: Any) -> Any:
        value = chosen_value(planner.study, item, chosen[item.search])
        if value is BAD and sure:
            raise ValueError(f"{item.written}: the winner of '{item.search}' has no such value; another choice won")
        return None if value is BAD else value

    params = {key: value for key, value in replaced(dict(stage.params), one).items() if value is not None}
    trial = stage.trial
    if trial is not None and any(True for _ in picked(trial.params)):
        trial = replace(trial, params=_inside(trial.params, one))
    return replace(stage, params=params, leaf=replaced(stage.leaf, one), trial=trial), cell, waits, lost


def _inside(params: Mapping[str, Any], one: Any) -> dict[str, Any]:
    return {key: replaced(value, one) for key, value in params.items()}


# --- the search itself -----------------------------------------------------------------------------------------


def hunt(
    planner: Planner, instance: Instance, stage: Stage, bound: Bound, parents: Any, before: tuple[str, str]
) -> Node:
    """The step of a search; its proposals and trials, as far as they are known, become nodes of their own."""
    assert stage.trial is not None
    found = parameters(stage.trial.params)
    seeds = trial_seeds(planner.study, stage) if "seed" in stage.pool else (instance.seed or 0,)
    one = Hunt(stage.name, instance, found, seeds=len(seeds))
    planner.hunts[place_of(instance)] = one
    made = _Making(planner, instance, stage, bound, one, seeds)
    one.sample = made.training(Ask(-1, made.rungs - 1, made.example), seeds[0], parents, keep=False)
    one.planned = made.planned()
    if any(before):
        one.lost = before[1]
        return made.node().waiting(*before)
    proposals = made.follow(parents)
    if not one.over:
        return made.node().waiting(stage.name, "")
    best = winner(stage.objective[0], one.told, made.rungs, made.space, made.base["params"])
    if best is not None:
        one.winner = started(one.told)[best]
    else:
        what = "reached its criterion" if stage.objective[0] == "success" else "ended with a number"
        one.lost = f"none of the {one.begun} trials of '{stage.name}' {what}"
    return made.node(proposals)


class _Making:
    """Makes the nodes of one search."""

    def __init__(
        self, planner: Planner, instance: Instance, stage: Stage, bound: Bound, one: Hunt, seeds: tuple[int, ...]
    ) -> None:
        assert stage.trial is not None
        self.planner, self.instance, self.stage, self.bound = planner, instance, stage, bound
        self.trial, self.hunt, self.seeds = stage.trial, one, seeds
        self.space = [parameter.dimension for parameter in one.found]
        paths = examples(one.found)[0]
        self.example = {i: paths[parameter.path] for i, parameter in enumerate(one.found)}
        self.lengths = self._rungs()
        self.rungs = len(self.lengths)
        leaf = bound.leaf
        self.base = {
            "revision": planner.leaf(bound, "search")["revision"],
            **({"source": planner.leaf(bound, "search")["source"]} if leaf.own else {}),
            "params": self._params(leaf),
            "space": [dimension.pack() for dimension in self.space], "rungs": self.rungs,
            "seed": 0 if "seed" in stage.pool else instance.seed or 0,
        }  # fmt: skip
        self.name = "file" if leaf.own else leaf.name
        direction, column = stage.objective
        self.column = criterion(column)[0] if direction == "success" else column

    def _params(self, leaf: Any) -> dict[str, Any]:
        params = without_defaults(leaf, self.bound.params, self.planner.code)
        if self.stage.objective[0] == "success":  # by its place: a search knows no names
            paths = [parameter.path for parameter in self.hunt.found]
            params["find"] = paths.index(self.bound.params["find"])
        return params

    def param(self, name: str) -> Any:
        """A parameter of the search's leaf."""
        about = self.bound.leaf.params.get(name)
        return self.bound.params.get(name, about.default if about else None)

    def planned(self) -> int:
        """How many trials there will be."""
        trials = self.param("trials")
        if self.stage.objective[0] == "success":
            find = self.base["params"]["find"]
            return sizes(self.space[find], float(self.param("tolerance"))) * len(others(self.space, find))
        return int(trials) if isinstance(trials, int) else len(lattice(self.space)) if self.name == "grid" else 0

    def _rungs(self) -> list[Length | None]:
        """Lengths of training, the shortest first; None is the trial's own, whatever that is."""
        reduction, prune = self.param("reduction"), self.param("prune")
        if reduction is None and prune in (None, "none"):
            return [None]
        full = self.planner.length(self._bound(self.example, None)[0])
        if full.unit == "plateau":
            raise ValueError("trials that train to a plateau have no shorter length; write a length, or prune: none")
        if reduction is None:
            short = full.count // FIRST_RUNG
            return [Length(short, full.unit), None] if short else [None]
        least = Length.parse(str(self.param("minimum")))
        if least.unit != full.unit:
            raise ValueError(f"minimum: {least} and for: {full} are in different units; write both in {full.unit}")
        out: list[Length | None] = [None]
        count = full.count // int(reduction)
        while count >= max(1, least.count):
            out.insert(0, Length(count, full.unit))
            count //= int(reduction)
        return out

    def _bound(self, values: Values, length: Length | None) -> tuple[Bound, Any]:
        params = fill(dict(self.trial.params), by_path(self.hunt.found, values))
        if length is not None:
            params["for"] = str(length)
        return self.planner.bound(replace(self.trial, params=params), self.instance.cell)

    def training(self, ask: Ask, seed: int, parents: Any, *, keep: bool = True) -> Node:
        """The training step of one evaluation with one seed."""
        length = self.lengths[ask.rung]
        bound, memo = self._bound(ask.values, length)
        cell = {
            **self.instance.cell,
            "trial": str(ask.trial),
            **({"rung": str(length or "full")} if self.rungs > 1 else {}),
        }
        mine = {
            role: [pair for pair in group if pair[0].instance.seed in (None, seed)] for role, group in parents.items()
        }
        inputs: dict[str, InstanceRef | list[InstanceRef]] = {role: group[0][1] for role, group in mine.items()}
        instance = Instance(self.trial.name, cell, seed, inputs)
        node = self.planner.train(instance, self.trial, bound, mine, memo)
        if keep:
            self.planner.nodes[place_of(instance)] = node
        return node

    def follow(self, parents: Any) -> list[Node]:
        """Proposals and trials, generation by generation, as far as the store knows the results."""
        one, store = self.hunt, self.planner.store
        proposals: list[Node] = []
        while True:
            proposal = self._proposal(len(proposals))
            record = store.read(proposal.key) if store is not None else None
            if record is None:
                one.waiting = proposal
                return proposals
            self.planner.nodes[place_of(proposal.instance)] = proposal
            proposals.append(proposal)
            asks = [Ask.unpack(item) for item in record.values["asks"]]
            if not asks:
                one.over = True
                return proposals
            for ask in asks:
                one.asked.append((ask, [self.training(ask, seed, parents) for seed in self.seeds]))
            ends = [self._end(ask, nodes) for ask, nodes in one.asked[-len(asks) :]]
            one.told += [end for end in ends if end is not None]
            if None in ends:
                return proposals

    def _proposal(self, generation: int) -> Node:
        told = [end.pack() for end in self.hunt.told]
        spec = {"kind": f"propose/{self.name}", **self.base, "told": told, "inputs": {}}
        instance = Instance(f"{self.stage.name}.proposal", {**self.instance.cell, "generation": str(generation)},
                            self.instance.seed)  # fmt: skip
        return Node(instance, spec, step_key(spec), {}, self.bound, {})

    def _end(self, ask: Ask, nodes: list[Node]) -> Told | None:
        """What one evaluation says; None while a seed of it is not finished. A seed without a number loses it all."""
        direction, column = self.stage.objective
        store = self.planner.store
        found: list[float | None] = []
        for node in nodes:
            record = store.read(node.key) if store is not None else None
            if record is not None:
                found.append(objective(record.outcome, record.values, self.column))
            elif store is not None and judge(store.failures(node.key)).final:
                self.hunt.failed.append(node.key)
                found.append(None)
            else:
                return None
        return ended(direction, column, ask, found)

    def node(self, proposals: list[Node] | None = None) -> Node:
        """The step that says which trial won."""
        spec: dict[str, Any] = {"kind": f"search/{self.name}", **self.base, "objective": list(self.stage.objective)}
        gone = set(self.hunt.failed)
        keys = [node.key for _, nodes in self.hunt.asked for node in nodes if node.key not in gone]
        spec["trials"] = [
            [*ask.pack(), [node.key not in gone for node in nodes]] for ask, nodes in self.hunt.asked
        ]  # fmt: skip
        if self.stage.objective[0] == "success":
            spec["column"], spec["classes"] = self.column, self._classes()
        spec["parameters"] = [[one.name, one.path, _numbers(one.distribution.choices)] for one in self.hunt.found]
        inputs: dict[str, str | list[str]] = {"trials": keys, "proposals": [node.key for node in proposals or ()]}
        spec["inputs"] = inputs
        origin = dict.fromkeys(self.bound.params, "written")
        return Node(self.instance, spec, step_key(spec), dict(inputs), self.bound, origin)

    def _classes(self) -> int | None:
        """How many labels there are, where the size that is looked for is that of randomly labelled data."""
        view = self.trial.params.get("view", {})
        sought = self.hunt.found[self.base["params"]["find"]].path
        sample = self.hunt.sample
        if sought != "view.n" or view.get("labels") != "random" or sample is None or sample.facts is None:
            return None
        return sample.facts.info.classes


def _numbers(choices: tuple[Any, ...]) -> list[float | None]:
    """The choices that are numbers, by their place."""
    return [None if (value := number(choice)) is None else float(value) for choice in choices]


def objective(outcome: str, values: Mapping[str, Any], column: str) -> float | None:
    """The objective of one training; None if it is refused, diverged, or has no finite number."""
    value = values.get(column) if outcome == "ok" else None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def score(direction: str, found: list[float | None]) -> float | None:
    """The mean over seeds, higher being better; None if a seed lacks its number: nothing is averaged over survivors."""
    kept = [value for value in found if value is not None]
    if not kept or len(kept) < len(found):
        return None
    mean = math.fsum(kept) / len(kept)
    return mean if direction == "maximise" else -mean


def ended(direction: str, column: str, ask: Ask, found: list[float | None]) -> Told:
    """What an evaluation says to its search."""
    if direction != "success":
        return Told(ask, score(direction, found))
    parts = tuple(reached(column, value) for value in found)
    return Told(ask, math.fsum(parts) / len(parts), parts)


def winner(direction: str, told: list[Told], rungs: int, space: Space, params: Mapping[str, Any]) -> int | None:
    """The trial that won; None if no trial did. Ties go to the earlier trial."""
    if direction == "success":
        low, _, _ = bracket(space, told, params["find"], params.get("level", 0.5), params.get("tolerance", 0.05))
        return None if low is None else won(told, params["find"], low)
    best = best_first(scores(told, rungs - 1))
    return best[0] if best else None
