"""From a study to its steps: one `Step` per instance of a stage, with its key. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..canon import step_key
from ..data.open import Info, describe
from ..data.view import view_size
from ..engine.steps import Step
from ..engine.store import Store
from ..errors import CrucisError
from ..lengths import Length
from ..records import Need
from ..train import settings
from ..train.watching import telling
from ..train.world import check_world
from .axes import WINNER
from .beginnings import ROLE, beginning
from .binding import Bound, bind
from .design import Instance, InstanceRef, instances
from .expressions import references
from .filling import filled
from .identity import Code, leaf_identity, revision, without_defaults
from .nodes import Facts, Node, Place, checkpoint, checkpoint_spec, place_of
from .spec import LeafRef, Ref, Stage, Study
from .trials import Hunt, hunt, settled

_GRAMMAR_KEYS = ("net", "data", "view", "split", "recipe")
_AT_CHECKPOINTS = ("accuracy", "loss")  # columns of checkpoint records
_FAULTS = 20  # that are told at once of what cannot be planned
_STACKABLE = ("mlp",)  # nets for which stacked seeds are proven bitwise equal to solo runs


class PlanError(CrucisError):
    """A study that reads well but cannot be planned, with the stage and cell in words."""


@dataclass(frozen=True)
class Circumstance:
    """What a plan needs to know and no key contains: where data lies, where steps run, what is unsealed, how many
    ranks train each network (which a key does contain), and whether this process is one of them; whether weights that
    were given up are made again."""

    data_root: Path | None = None
    device: str = "auto"
    determinism: str = "strict"
    unsealed: bool = False
    ranks: int = 1
    together: bool = False
    profile: bool = False
    weights: bool = False


@dataclass
class Plan:
    """A study's steps, ready for the engine."""

    study: Study
    nodes: list[Node]
    excluded: dict[str, int]
    code: Code
    sources: dict[str, dict[str, Any]]
    circumstance: Circumstance
    infos: dict[str, Info]
    hunts: tuple[Hunt, ...] = ()

    @cached_property
    def by_place(self) -> dict[Place, Node]:
        """Instance -> node."""
        return {place_of(node.instance): node for node in self.nodes}

    @cached_property
    def by_key(self) -> dict[str, Node]:
        """Key -> one node with that key (two instances with equal content share a step)."""
        return {node.key: node for node in self.nodes}

    def steps(self, stages: tuple[str, ...] = (), cells: Mapping[str, tuple[str, ...]] | None = None) -> list[Step]:
        """The engine's steps, topological, each key once; `stages` and `cells` restrict to a part of the plan.

        What a chosen step needs is chosen too. Steps that wait for a search are not among them.
        """
        return self.steps_of(self.part(stages, cells))

    def part(self, stages: tuple[str, ...] = (), cells: Mapping[str, tuple[str, ...]] | None = None) -> list[Node]:
        """The nodes of a part of the plan, with those that they need."""
        if not stages and not cells:
            return self.nodes
        return self.with_inputs([n for n in self.nodes if _in_part(n, stages, cells or {})])

    def steps_of(self, nodes: list[Node]) -> list[Step]:
        """The engine's steps of these nodes, each key once."""
        first: dict[str, Node] = {}
        told: dict[str, dict[str, list[Any]]] = {}
        for node in nodes:
            if not node.pending:
                first.setdefault(node.key, node)
                for rule, actions in telling(node.bound.params.get("watch")).items():  # no part of the key: all of them
                    known = told.setdefault(node.key, {}).setdefault(rule, [])
                    known += [action for action in actions if action not in known]
        return [self._step(node, told.get(key)) for key, node in first.items()]

    def with_inputs(self, wanted: list[Node]) -> list[Node]:
        """The nodes and all that they rest on, in the order of the plan."""
        keep = {node.key for node in wanted}
        searches = {node.owner for node in wanted}
        for node in reversed(self.nodes):  # all that a search does belongs together
            if node.owner in searches or node.key in keep:
                searches |= set(self.study.stages[node.owner].winners)
                keep |= {node.key} if self.study.stages[node.owner].verb == "search" else set()
        publisher = {key: node.key for node in self.nodes for key in node.marks.values()}
        for node in reversed(self.nodes):
            if node.key in keep:
                for value in node.inputs.values():
                    for key in [value] if isinstance(value, str) else value:
                        keep.add(publisher.get(key, key))
        return [node for node in self.nodes if node.key in keep]

    def _step(self, node: Node, told: dict[str, list[Any]] | None) -> Step:
        hints: dict[str, Any] = {
            "sources": self.sources,
            "folder": str(self.study.folder),
            "root": str(self.circumstance.data_root) if self.circumstance.data_root else None,
            "device": self.circumstance.device,
        }
        if self.circumstance.profile:
            hints["profile"] = True
        if node.marks:
            hints["publish"] = node.marks
            hints["published"] = {key: checkpoint_spec(node, mark) for mark, key in node.marks.items()}
        if node.read:
            hints["keep"] = {node.marks[mark]: mark for mark in sorted(node.read)}
        if node.models:
            hints["models"] = node.models
        if node.sealed and self.circumstance.unsealed:
            hints["unsealed"] = True
        if told:
            hints["tell"] = told
        if self.circumstance.weights:
            hints["weights"] = True
        if node.spec["kind"].partition("/")[0] == "search":
            hints["values_only"] = True
        return Step(
            key=node.key, spec=node.spec, inputs=dict(node.inputs), group=node.group,
            publishes=tuple(sorted(set(node.marks.values()))), label=node.label, hints=hints,
            sealed=node.sealed and not self.circumstance.unsealed, needs=_needs(node.spec.get("world", 1)),
        )  # fmt: skip


def _needs(world: int) -> Need:
    return Need(cpu=world, world=world)


def _in_part(node: Node, stages: tuple[str, ...], cells: Mapping[str, tuple[str, ...]]) -> bool:
    if stages and node.owner not in stages:
        return False
    return all(node.instance.cell.get(name, labels[0]) in labels for name, labels in cells.items())


class Planner:
    """Builds nodes one instance at a time; remembers what seeds share."""

    def __init__(self, study: Study, circumstance: Circumstance, store: Store | None) -> None:
        self.study, self.circumstance, self.store = study, circumstance, store
        self.hunts: dict[Place, Hunt] = {}
        self.code = Code(study.folder)
        self.sources: dict[str, dict[str, Any]] = {}
        self.infos: dict[str, Info] = {}
        self.nodes: dict[Place, Node] = {}
        self._described: dict[str, dict[str, Any]] = {}
        self._shared: dict[Any, Any] = {}

    def build(self) -> Plan:
        """The whole plan."""
        found, excluded = instances(self.study)
        failed: set[Place] = set()
        wrong: dict[str, tuple[str, Exception]] = {}
        for instance in found:
            if failed and not failed.isdisjoint(_inputs(instance)):
                failed.add(place_of(instance))  # of what rests on it nothing can be said
                continue
            try:
                self.nodes[place_of(instance)] = self.node(instance)
            except (ValueError, LookupError, OSError) as error:
                if isinstance(error, KeyError):
                    raise
                failed.add(place_of(instance))
                text = f"stages.{instance.stage}: {_where(instance)}{error}"
                wrong.setdefault(f"{instance.stage} {error}", (text, error))
        if wrong:
            raise PlanError("\n".join(_some([text for text, _ in wrong.values()]))) from next(iter(wrong.values()))[1]
        self._read_checkpoints()
        return Plan(
            self.study,
            list(self.nodes.values()),
            dict(excluded),
            self.code,
            self.sources,
            self.circumstance,
            self.infos,
            tuple(self.hunts.values()),
        )

    def _read_checkpoints(self) -> None:
        """Columns of checkpoints that `derive`, analyses or claims read (`model.accuracy@at=50%`) must be kept too."""
        wanted: dict[str, set[str]] = {}
        for ref in all_references(self.study):
            at = ref.axis("at")
            if isinstance(at, str) and ref.name in self.study.stages:
                self._check_column(ref, at)
                wanted.setdefault(ref.name, set()).add(at)
        for node in self.nodes.values():
            for at in wanted.get(node.instance.stage, ()):
                if node.spec["kind"].startswith("train/"):
                    key, stored = checkpoint(node, at)
                    if stored and key != node.key:
                        node.read.add(next(mark for mark, made in node.marks.items() if made == key))

    def _check_column(self, ref: Ref, at: str) -> None:
        """Checkpoints hold accuracy and loss; everything else about one has to be measured."""
        untrained = re.fullmatch(r"0+(\.0*)?%|0+(epochs|steps)", at) is not None
        if self.study.stages[ref.name].verb != "train" or at == "last":
            return
        if untrained or ref.column not in _AT_CHECKPOINTS:
            why = "nothing is recorded before training" if untrained else "a checkpoint records accuracy and loss only"
            raise PlanError(
                f"{ref.name}.{ref.column}@at={at}: {why}. Add a stage that measures it, for instance "
                f"{{measure: classification, of: {ref.name}@at={at}}}, and read its column"
            )

    # -- data -------------------------------------------------------------------------------------------------

    def _data(self, ref: LeafRef, view: Mapping[str, Any]) -> dict[str, Any]:
        """`{"digest", "view"}` of a data set; remembers where it can be found."""
        memo = repr((ref.name, sorted(ref.params.items(), key=str)))
        if memo not in self._described:
            info = self._info(ref)
            self.infos[info.digest] = info
            self.sources[info.digest] = {"name": ref.name, "params": dict(ref.params)}
            self._described[memo] = {"digest": info.digest}
        return {**self._described[memo], **({"view": dict(view)} if view else {})}

    def _info(self, ref: LeafRef) -> Info:
        try:
            return describe(ref, folder=self.study.folder, root=self.circumstance.data_root)
        except Exception as error:  # a user's file may raise anything; its plan has no traceback for that
            if not ref.own or isinstance(error, CrucisError):
                raise
            raise ValueError(f"{ref.name}: {type(error).__name__}: {error}") from error

    # -- one instance -----------------------------------------------------------------------------------------

    def node(self, instance: Instance) -> Node:
        """The planned step of an instance of a stage."""
        stage = self.study.stages[instance.stage]
        stage, cell, waits, lost = settled(self, stage, instance)
        reads = {role: value for role, value in instance.inputs.items() if not role.startswith(WINNER)}
        instance = replace(instance, inputs=reads)
        bound, memo = self.bound(stage, instance.cell, cell)
        parents = self.parents(reads)
        for node in [node for group in parents.values() for node, _ in group]:
            waits, lost = waits or node.waits, lost or node.lost
        if stage.verb == "search":
            return hunt(self, instance, stage, bound, parents, (waits, lost))
        if stage.verb == "train":
            made = self.train(instance, stage, bound, parents, memo)
        else:
            made = self._measure(instance, stage, bound, parents)
        return made.waiting(waits, lost)

    def length(self, bound: Bound) -> Length:
        """How long a training is, from what is written, its recipe, or its leaf."""
        return Length.parse(str(filled(bound)[2]["length"]))

    def bound(
        self, stage: Stage, cell: Mapping[str, str], winners: Mapping[str, str] | None = None
    ) -> tuple[Bound, Any]:
        """The stage bound in a cell, and what its seeds share is remembered by."""
        chosen = repr((stage.params, stage.leaf)) if stage.winners or stage.name not in self.study.stages else ""
        memo = (stage.name, tuple(sorted(cell.items())), chosen)
        if memo not in self._shared:
            self._shared[memo] = bind(self.study, stage, cell, winners)
        return self._shared[memo], memo

    def parents(self, inputs: Mapping[str, Any]) -> dict[str, list[tuple[Node, InstanceRef]]]:
        """Role -> the nodes that an instance works on, each with the reference to it."""
        return {
            role: [(self.nodes[place_of(ref)], ref) for ref in (value if isinstance(value, list) else [value])]
            for role, value in inputs.items()
        }

    def train(self, instance: Instance, stage: Stage, bound: Bound, parents: Any, memo: Any) -> Node:
        """The step of a training."""
        parent: Facts | None = parents["of"][0][0].facts if "of" in parents else None
        memo = (*memo, "train", parent and (parent.net, parent.data, dict(parent.depths)).__repr__())
        if memo not in self._shared:
            self._shared[memo] = self._training(stage, bound, parent)
        facts, origin, base = self._shared[memo]
        spec = {**base, "seed": instance.seed}
        begins = beginning(base["params"].get(ROLE), self.store)
        if begins is not None:
            if "of" in parents:
                raise ValueError("'initial' and 'of' both say where the weights come from; leave one out")
            spec |= {"params": {**base["params"], ROLE: f"sha256:{begins.weights}"}, "depth": begins.depth}
            facts = replace(facts, depths={**facts.depths, "train": begins.depth + 1})
        node = self._finish(instance, spec, bound, parents, origin, {ROLE: begins.key} if begins is not None else {})
        node.facts = replace(facts, training=node.spec)
        node.group = self._group(spec)
        return node

    def _training(
        self, stage: Stage, bound: Bound, parent: Facts | None
    ) -> tuple[Facts, Mapping[str, str], dict[str, Any]]:
        given = bound.params
        net = leaf_identity(given["net"], self.code) if "net" in given else (parent.net if parent else None)
        if net is None:
            raise ValueError("a training stage needs 'net', or 'of' with a model to continue from")
        view = given.get("view", {})
        data = self._data(given["data"], view) if "data" in given else (parent.data if parent else None)
        if data is None:
            raise ValueError("a training stage needs 'data'")
        info = self.infos[data["digest"]]
        params, origin, full = filled(bound)
        resolved = settings.resolve(full, view_size(info, data.get("view", {})))
        depths = dict(parent.depths) if parent else {}
        depth = depths.get("train", 0)
        base = {
            "kind": f"train/{'file' if bound.leaf.own else bound.leaf.name}",
            **self.leaf(bound, stage.verb), "params": without_defaults(bound.leaf, params, self.code),
            "net": net, "data": data, "depth": depth, "determinism": self.circumstance.determinism, "inputs": {},
        }  # fmt: skip
        base |= self._world(bound, resolved)
        depths["train"] = depth + 1
        facts = Facts(
            net, data, info, resolved.steps_per_epoch, resolved.total_steps, params.get("select"), "train", depths, {}
        )
        return facts, origin, base

    def _world(self, bound: Bound, resolved: settings.Settings) -> dict[str, int]:
        """What a training's spec says of its ranks: nothing if there is one."""
        count = self.circumstance.ranks
        if count == 1:
            return {}
        if not bound.leaf.constants.get("RANKS", False):
            raise ValueError(f"--ranks {count}: the protocol '{bound.leaf.name}' trains on one rank; leave out --ranks")
        check_world(resolved, count)
        return {"world": count}

    def leaf(self, bound: Bound, verb: str) -> dict[str, Any]:
        """What a spec says of a stage's leaf."""
        if not bound.leaf.own:
            return {"revision": revision(bound.leaf, verb)}
        return {"source": self.code.digest(bound.leaf.name), "revision": revision(bound.leaf, verb)}

    def _measure(self, instance: Instance, stage: Stage, bound: Bound, parents: Any) -> Node:
        given = bound.params
        params = {name: value for name, value in given.items() if name not in _GRAMMAR_KEYS}
        parent: Facts | None = next((p[0][0].facts for p in parents.values() if p[0][0].facts), None)
        spec: dict[str, Any] = {
            "kind": f"{stage.verb}/{'file' if bound.leaf.own else bound.leaf.name}",
            **self.leaf(bound, stage.verb),
            "params": without_defaults(bound.leaf, params, self.code),
            "inputs": {},
        }
        if "net" in given:
            spec["net"] = leaf_identity(given["net"], self.code)
        if "data" in given:
            spec["data"] = self._data(given["data"], given.get("view", {}))
        elif "view" in given:
            raise ValueError("'view' needs 'data' beside it here")
        split = given.get("split", "validation")
        if split != "validation":
            spec["split"] = split
        depths = dict(parent.depths) if parent else {}
        if bound.leaf.random or "net" in given or spec.get("data", {}).get("view"):
            # Initialisation and views draw too. A pooled step has no seed of its own: its inputs name theirs.
            spec["seed"] = 0 if instance.seed is None else instance.seed
            spec["depth"] = depths.get(stage.verb, 0)
        if stage.verb == "perturb":
            spec["determinism"] = self.circumstance.determinism
        node = self._finish(instance, spec, bound, parents, dict.fromkeys(params, "written"))
        node.sealed = split == "test"
        if stage.verb == "perturb" and parent is not None:
            depths["perturb"] = depths.get("perturb", 0) + 1
            data = spec.get("data", parent.data)
            node.facts = replace(parent, data=data, info=self.infos[data["digest"]], verb="perturb", depths=depths)
        return node

    def _finish(
        self, instance: Instance, spec: dict[str, Any], bound: Bound, parents: Any, origin: Any,
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> Node:  # fmt: skip
        keys: dict[str, str | list[str]] = {**given}
        real: dict[str, str | list[str]] = {**given}
        models: dict[str, Any] = {}
        for role, group in parents.items():
            pooled = isinstance(instance.inputs[role], list)
            found = [self._input(node, ref) for node, ref in group]
            keys[role] = [key for key, _ in found] if pooled else found[0][0]
            kept = [key for key, trained in found if trained]
            if kept:
                real[role] = kept if pooled else kept[0]
            rebuilt = [
                {"training": node.facts.training, "data": node.facts.data, "trained": trained}
                for (node, _), (_, trained) in zip(group, found, strict=True)
                if node.facts is not None
            ]
            if rebuilt:
                models[role] = rebuilt if pooled else rebuilt[0]
        spec["inputs"] = keys
        return Node(instance, spec, step_key(spec), real, bound, origin, models=models)

    def _input(self, node: Node, ref: InstanceRef) -> tuple[str, bool]:
        """Key of the input at its checkpoint, and whether that is a record (untrained models are built)."""
        if ref.at is None or ref.at == "last" or node.facts is None:
            return node.key, True
        if node.facts.verb == "perturb":
            raise ValueError(f"'{ref.stage}' is a perturbation, which keeps its last model only; use @at=last")
        return checkpoint(node, ref.at)

    def _group(self, spec: Mapping[str, Any]) -> str | None:
        """Seeds of a dense fp32 net may train stacked as one computation; everything else trains alone."""
        if (
            spec["net"].get("leaf") not in _STACKABLE
            or spec["inputs"]
            or spec["kind"] != "train/supervised"
            or "world" in spec
        ):
            return None
        return step_key({name: value for name, value in spec.items() if name != "seed"})


def _inputs(instance: Instance) -> Iterator[Place]:
    """The places of all that an instance works on or waits for."""
    for value in instance.inputs.values():
        yield from map(place_of, value if isinstance(value, list) else [value])


def _some(texts: list[str]) -> list[str]:
    return texts[:_FAULTS] + [f"and {len(texts) - _FAULTS} more"] * (len(texts) > _FAULTS)


def _where(instance: Instance) -> str:
    return f"cell {', '.join(f'{k}={v}' for k, v in instance.cell.items())}: " if instance.cell else ""


def all_references(study: Study) -> list[Ref]:
    """Every reference to a column that `derive`, the analyses and the claims make."""
    out: list[Ref] = []
    for expression in study.derive.values():
        out += references(expression)
    for analysis in study.analysis.values():
        out += analysis.refs
    for claim in study.claims.values():
        for criterion in (*claim.holds_if, *([claim.refuted_if] if claim.refuted_if else [])):
            out += references(criterion)
    return out


def make_plan(study: Study, circumstance: Circumstance | None = None, store: Store | None = None) -> Plan:
    """All steps of a study with their keys. Linear in the number of instances; loads no data that is described already.

    With searches the plan is a function of the study and of what the store holds: their trials become known generation
    by generation, and what works on a winner gets its key when the search has one. Without a store nothing is done yet.

    Raises:
        PlanError: a cell that cannot be planned (a data set that is not there, a checkpoint beyond the end ...).
    """
    return Planner(study, circumstance or Circumstance(), store).build()


__all__ = ["Circumstance", "Plan", "PlanError", "make_plan"]
