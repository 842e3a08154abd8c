"""Whether every stage fits: its leaf, its keys, and its parameters at every level that a `$` may bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .. import shelf
from ..shelf import Leaf
from ..train import recipes
from ..train.qlearning.settings import Unchecked
from .axes import dollars
from .binding import GRAMMAR, BindingError, bind, grammar_value, level_value, substitute
from .coverage import Cell, Coverage
from .distributions import chosen_value, examples, fill, parameters, picked, replaced
from .entries import report, unknown_key
from .filling import contradictions, passed_over
from .leaves import WRITTEN
from .levels import Levels
from .scalars import show
from .spec import Dollar, LeafRef, Picked, Stage, Study
from .stages import RESERVED
from .tree import BAD, Reading, has_bad
from .values import Converter


@dataclass
class Fitting:
    """Checks the stages of a study whose parts could be read."""

    study: Study
    levels: Levels
    reading: Reading
    coverage: Coverage
    leaves: dict[str, list[tuple[shelf.Leaf, Cell]]] = field(default_factory=dict)  # stage -> its leaves

    def check(self) -> None:
        """All stages."""
        for stage in self.study.stages.values():
            for one in self._shown(stage):
                self._leaf(one)
                self._subject(one)
                self._params(one)
                self._kinds(one)
                self._together(one)

    def _shown(self, stage: Stage) -> list[Stage]:
        """A stage, or stages that stand for it: with every choice and both ends of what a search may put there."""
        out = []
        if stage.trial is not None:
            out.append(stage)
            stage = stage.trial
        spaces = {name: parameters(body.params) for name in {one.search for one in picked((stage.leaf, stage.params))}
                  if (body := self.study.stages[name].trial) is not None}  # fmt: skip
        rows = {name: examples(found) for name, found in spaces.items()}
        own = examples(parameters(stage.params))
        for i in range(max([len(own), *map(len, rows.values())]) if rows or out else 1):
            known = {name: found[min(i, len(found) - 1)] for name, found in rows.items()}
            params = replaced(stage.params, partial(_example, self.study, known))
            out.append(replace(stage, params=fill(params, own[min(i, len(own) - 1)])))
        return out

    # -- the leaf ---------------------------------------------------------------------------------------------

    def _converter(self) -> Converter:
        return Converter(self.study.folder, self.study.file, tuple(self.study.factors))

    def _leaf(self, stage: Stage) -> None:
        """Find the leaf, or each leaf that a `$` brings in."""
        path = f"stages.{stage.name}.{stage.verb}"
        found: list[tuple[shelf.Leaf, Cell]] = []
        if isinstance(stage.leaf, LeafRef):
            converter = self._converter()
            leaf = converter.leaf(stage.leaf.shelf, stage.leaf.name)
            report(converter, path, self.reading)
            if leaf:
                found.append((leaf, {}))
        else:
            for cell in self.coverage.cells(stage, (stage.leaf.name,)):
                value = self._lookup(stage.leaf, cell, path, stage)
                name = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else value
                if value is BAD:
                    continue
                where = self._level_path(stage.leaf, cell)
                if not isinstance(name, str):
                    self.reading.fault("not-a-leaf", where, f"{show(value)} names no {shelf.SHELVES[stage.verb].noun}.")
                    continue
                converter = self._converter()
                leaf = converter.leaf(stage.verb, name)
                report(converter, where, self.reading)
                if leaf:
                    found.append((leaf, cell))
        self.leaves[stage.name] = found

    def _level_path(self, dollar: Dollar, cell: Cell) -> str:
        """The path of the value that a `$` brings in."""
        base = self.levels.paths.get((dollar.name, cell[dollar.name]), f"factors.{dollar.name}")
        return f"{base}.{dollar.field}" if dollar.field else base

    def _lookup(self, dollar: Dollar, cell: Cell, path: str, stage: Stage) -> Any:
        factor = self.study.factors[dollar.name]
        try:
            value = level_value(factor, cell[dollar.name], dollar.field)
        except BindingError as error:
            if error.code == "has-fields":
                self.reading.fault(error.code, path, str(error))
            else:
                self._missing_field(dollar, path, stage)
            return BAD
        return BAD if has_bad(value) else value

    def _missing_field(self, dollar: Dollar, path: str, stage: Stage) -> None:
        factor = self.study.factors[dollar.name]
        covered = {cell[dollar.name] for cell in self.coverage.cells(stage, (dollar.name,))}
        lacking = [lv.label for lv in factor.levels if lv.label in covered and dollar.field not in (lv.fields or {})]
        names = f"{', '.join(lacking[:-1])} and {lacking[-1]}" if len(lacking) > 1 else lacking[0]
        self.reading.fault(
            "no-field", path, f"{dollar} is missing in the level{'s' * (len(lacking) > 1)} {names}, "
            "which this stage covers. Add it, or give the stage 'only'.",
        )  # fmt: skip

    # -- what a verb takes ------------------------------------------------------------------------------------

    def _subject(self, stage: Stage) -> None:
        path, has = f"stages.{stage.name}", stage.params
        say = self.reading.fault
        if stage.verb == "search":
            return
        if "view" in has and "data" not in has and stage.of:
            say("no-data", f"{path}.view", "a view is of a data set. Write data: DATA SET beside it.", key=True)
        if stage.verb == "train":
            if "net" not in has and not stage.of:
                say("no-subject", path, "trains nothing. Write net: NET, or of: STAGE to continue from a model.")
            if "net" in has and stage.of:
                say(
                    "two-subjects",
                    f"{path}.net",
                    "'net' starts a new network and 'of' continues one. Remove one.",
                    key=True,
                )
            if "data" not in has and not stage.of:
                say("no-data", path, "no data. Write data: DATA SET.")
            if "split" in has:
                say("no-meaning", f"{path}.split", "a training always uses the training split. Remove it.", key=True)
            return
        if "recipe" in has:
            say("no-meaning", f"{path}.recipe", f"a recipe is for training; '{stage.verb}' has none.", key=True)
        if "net" in has and (stage.of or stage.verb == "perturb"):
            text = (
                "'of' already says what is worked on."
                if stage.of
                else "a perturbation works on a trained model: of: STAGE."
            )
            say("two-subjects", f"{path}.net", f"{text} Remove 'net'.", key=True)
        elif not stage.of and "net" not in has:
            also = ", or net: and data: for an untrained network" if stage.verb == "measure" else ""
            say("no-subject", path, f"works on nothing. Write of: STAGE{also}.")
        elif "net" in has and "data" not in has:
            say("no-data", path, "an untrained network needs data as well. Write data: DATA SET.")

    # -- parameters -------------------------------------------------------------------------------------------

    def _params(self, stage: Stage) -> None:
        for leaf, cell in self.leaves[stage.name]:
            written = dict(stage.params)
            if isinstance(stage.leaf, LeafRef):
                written = {**stage.leaf.params, **written}
            elif isinstance(value := self._lookup(stage.leaf, cell, "", stage), Mapping):
                inner = next(iter(value.values()))
                written = {**(inner if isinstance(inner, Mapping) else {}), **written}
            for key, raw in written.items():
                self._param(stage, leaf, key, raw, cell)
            self._missing(stage, leaf, written)

    def _missing(self, stage: Stage, leaf: shelf.Leaf, written: Mapping[str, Any]) -> None:
        for name, param in leaf.params.items():
            key = WRITTEN.get(name, name)
            if param.required and key not in written:
                about = f" ({param.doc})" if param.doc else ""
                self.reading.fault("missing-parameter", f"stages.{stage.name}", f"'{leaf.name}' needs '{key}'{about}.")

    @staticmethod
    def _names(stage: Stage) -> list[str]:
        """The parameters that a stage writes, as its leaf calls them."""
        inner = {outer: name for name, outer in WRITTEN.items()}
        return [inner.get(key, key) for key in stage.params]

    def _param(self, stage: Stage, leaf: shelf.Leaf, key: str, raw: Any, at: Cell) -> None:
        inside = isinstance(stage.leaf, LeafRef) and key in stage.leaf.params
        path = f"stages.{stage.name}.{key}"
        if inside and isinstance(stage.leaf, LeafRef):
            path = f"stages.{stage.name}.{stage.verb}.{stage.leaf.name}.{key}"
        name = next((inner for inner, outer in WRITTEN.items() if outer == key), key)
        grammar = key in GRAMMAR and key not in leaf.params and stage.verb != "search"
        if not grammar and (name not in leaf.params or key in WRITTEN):
            known = (
                [*RESERVED, *GRAMMAR] if stage.verb == "train" else [*RESERVED, *(k for k in GRAMMAR if k != "recipe")]
            )
            text = unknown_key(leaf, key, raw, tuple(known))
            self.reading.fault("unknown-parameter", path, text, key=True)
            return
        found = list(dollars(raw))
        for cell in self.coverage.cells(stage, tuple(dict.fromkeys(d.name for d in found))) if found else [{}]:
            if any(cell.get(factor, label) != label for factor, label in at.items()):
                continue
            value = substitute(raw, partial(self._lookup, cell=cell, path=path, stage=stage))
            if has_bad(value):
                continue
            converter = self._converter()
            if grammar:
                value = grammar_value(converter, key, value, "")
                asked = recipes.asked(value, self._names(stage)) if key == "recipe" and value is not BAD else None
                if key == "recipe" and value is not BAD and (other := self._misplaced(value, leaf)):
                    self.reading.fault("not-a-choice", path, other)
                elif asked:
                    self.reading.fault("missing-parameter", path, f"{asked}.")
                elif key == "recipe" and value is not BAD and (lost := passed_over(leaf, value, {})):
                    self.reading.fault("unknown-parameter", path, f"{lost}.")
            else:
                made = converter.value(leaf.params[name], value)
                if name == "watch":
                    converter.pointless(leaf, made)
            where = self._level_path(raw, cell) if isinstance(raw, Dollar) else path
            if (
                isinstance(raw, Dollar)
                and (base := self.levels.paths.get((raw.name, cell[raw.name]))) in self.levels.generated
            ):
                for issue in converter.issues:  # the parts of a generated level are written in its generator
                    last = issue.sub.rpartition(".")[2] or raw.field or ""
                    self.reading.fault(issue.code, f"{base}.{last}", issue.text, key=issue.key)
                continue
            report(converter, where, self.reading)

    def _together(self, stage: Stage) -> None:
        """Parameters of a training that contradict each other, in every cell that its own `$` tell apart."""
        if stage.verb != "train":
            return
        played = isinstance(stage.leaf, LeafRef) and stage.leaf.name == "q_learning"
        kept = ("recipe", "data", "view") if played else ("recipe",)  # only games must fit their data set
        stage = replace(stage, params={k: v for k, v in stage.params.items() if k in kept or k not in GRAMMAR})
        if has_bad((stage.params, stage.leaf)):
            return
        found = tuple(dict.fromkeys(d.name for d in dollars((stage.leaf, stage.params))))
        for cell in self.coverage.cells(stage, found) if found else [{}]:
            try:
                bound = bind(self.study, stage, cell)
            except (BindingError, KeyError):
                continue  # told above
            for error in contradictions(bound):
                key = WRITTEN.get(error.parameter, error.parameter)
                text = error.text if error.text.endswith("?") else f"{error.text}."
                place, written = f"stages.{stage.name}.{key}", key in stage.params
                if isinstance(error, Unchecked):
                    self.reading.fault("unchecked", place, text, key=written, note=True)
                else:
                    self.reading.fault("contradiction", place, text, key=written)

    @staticmethod
    def _misplaced(recipe: str, leaf: Leaf) -> str | None:
        """A recipe of another protocol than the stage's; a user's own protocol takes those of `supervised`."""
        found = recipes.misplaced(recipe, "supervised" if leaf.own or ":" in leaf.name else leaf.name)
        made = recipes.translated(recipe)
        return None if found is None or made is None else f"{found}. Write train: {made.protocol}, or another recipe."

    # -- nets and data ----------------------------------------------------------------------------------------

    def _kinds(self, stage: Stage) -> None:
        """A net that takes vectors beside a data set of images."""
        net, data = stage.params.get("net"), stage.params.get("data")
        if net is None or data is None:
            return
        found = tuple(dict.fromkeys(d.name for d in dollars((net, data))))
        for cell in self.coverage.cells(stage, found) if found else [{}]:
            pair = []
            for home, raw in (("nets", net), ("data", data)):
                value = substitute(raw, partial(self._quiet, cell=cell))
                if has_bad(value):
                    break
                converter = self._converter()
                ref = converter.leaf_ref(home, value)
                leaf = converter.leaf(home, ref.name) if isinstance(ref, LeafRef) else None
                if leaf is None or converter.issues:
                    break
                pair.append(leaf)
            if len(pair) == 2:
                self._pair(stage, pair[0], pair[1], cell)

    def _quiet(self, dollar: Dollar, cell: Cell) -> Any:
        try:
            return level_value(self.study.factors[dollar.name], cell[dollar.name], dollar.field)
        except BindingError:
            return BAD

    def _pair(self, stage: Stage, net: shelf.Leaf, data: shelf.Leaf, cell: Cell) -> None:
        takes, gives = net.constants.get("INPUTS"), data.constants.get("KIND")
        if not takes or not gives or gives in takes:
            return
        where = f"cell {', '.join(f'{k}={v}' for k, v in cell.items())}: " if cell else ""
        way = (
            f"Exclude it (except: [{{{', '.join(f'{k}: {v}' for k, v in cell.items())}}}]) or pair" if cell else "Pair"
        )
        self.reading.fault(
            "kinds", f"stages.{stage.name}", f"{where}'{net.name}' takes {' or '.join(f'{kind}s' for kind in takes)}, "
            f"'{data.name}' gives {gives}s. {way} net and data as fields of one factor.", key=True,
        )  # fmt: skip


def _example(study: Study, known: Mapping[str, Mapping[str, float | int]], one: Picked) -> Any:
    return chosen_value(study, one, known[one.search])
