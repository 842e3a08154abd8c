"""From a net that declares components to the levels of a factor: which arms a study of its parts has."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from ..nets.components import Component, ComponentsError, check_without, declared
from ..source import SourceError
from .leaves import bad_file, find_leaf, no_file, unknown_leaf
from .scalars import bare, show
from .tree import Reading

MAX_LEVELS = 2000
_KEYS = ("generate", "of", "components", "replace", "baseline", "fields")


def is_ablation(name: str) -> bool:
    """Whether a generator varies the components of a net and not its parameters."""
    return shelf.leaf("generators", name).constants.get("VARIES") == "components"


def label(missing: frozenset[str], components: Sequence[str]) -> str:
    """The label of an arm: `full`, `baseline`, `without-NAME`, `only-NAME`, or `with-A-B` in the order of the file."""
    inside = [name for name in components if name not in missing]
    if not missing:
        return "full"
    if not inside:
        return "baseline"
    if len(missing) == 1:
        return f"without-{next(iter(missing))}"
    return f"only-{inside[0]}" if len(inside) == 1 else f"with-{'-'.join(inside)}"


@dataclass(frozen=True)
class Wish:
    """What one generator of a study asks for, checked."""

    name: str  # of the net
    params: Mapping[str, Any]  # of the net, fixed
    components: Mapping[str, Component]  # all that the net declares
    chosen: tuple[str, ...]  # those that are varied
    replace: Mapping[str, str]
    baseline: Any
    fields: Mapping[str, Any]
    options: Mapping[str, Any]  # the generator's own parameters


class Ablation:
    """Reads one generator; faults go to the reading."""

    def __init__(self, item: Mapping[str, Any], path: str, reading: Reading, folder: Path) -> None:
        self.item, self.path, self.reading, self.folder = item, path, reading, folder
        self.leaf = shelf.leaf("generators", item["generate"])

    def levels(self) -> list[tuple[str, dict[str, Any]]]:
        """Label and fields of every arm; empty after a fault."""
        before = len(self.reading.faults.items)
        wish = self._wish()
        if wish is None or len(self.reading.faults.items) > before:
            return []
        try:
            arms = _entry(self.leaf)(wish.chosen, **wish.options)
        except ValueError as error:
            self.reading.fault("bad-generator", self.path, str(error))
            return []
        out = [self._level(wish, missing) for missing in arms]
        everything = frozenset(wish.chosen)
        if wish.baseline is not None and everything not in arms:  # a fraction need not hold it: then it is a control
            out.append(self._level(wish, everything))
        return out

    def _level(self, wish: Wish, missing: frozenset[str]) -> tuple[str, dict[str, Any]]:
        without = {name: wish.replace[name] for name in wish.chosen if name in missing}
        whole = len(wish.chosen) == len(wish.components)
        name = label(missing, wish.chosen) if whole or set(missing) != set(wish.chosen) else "none"
        net: Any = {wish.name: {**wish.params, **({"without": without} if without else {})}}
        if name == "baseline" and wish.baseline is not None:
            net = wish.baseline
        group = "baseline" if name == "baseline" else "method"
        switches = {each: "out" if each in missing else "in" for each in wish.chosen}
        return name, {"net": net, "group": group, "missing": len(missing), **switches, **wish.fields}

    # -- what is asked for ------------------------------------------------------------------------------------

    def _wish(self) -> Wish | None:
        subject = self._net("of")
        if subject is None:
            return None
        name, params, leaf = subject
        try:
            components = declared(leaf)
        except ComponentsError as error:
            self._fault("no-components", "of", str(error))
            return None
        if "without" in params:
            self._fault("bad-generator", "of", "'without' is what this generator varies. Leave it out.")
        chosen = self._chosen(components, name)
        baseline = self._net("baseline") if "baseline" in self.item else None
        if baseline and len(chosen) < len(components):
            rest = ", ".join(each for each in components if each not in chosen)
            self._fault(
                "bad-generator", "baseline", f"with some components only there is no arm of the baseline: {rest} stay "
                "in. Leave 'baseline' or 'components' out.",
            )  # fmt: skip
        return Wish(
            name, params, components, chosen, self._replace(components, chosen, name),
            {baseline[0]: baseline[1]} if baseline else None, self._fields(chosen), self._options(chosen),
        )  # fmt: skip

    def _net(self, key: str) -> tuple[str, dict[str, Any], shelf.Leaf] | None:
        raw = self.item.get(key)
        form = {raw: {}} if isinstance(raw, str) else raw
        if not isinstance(form, Mapping) or len(form) != 1 or not isinstance(next(iter(form.values())), Mapping):
            code = "no-subject" if key == "of" else "not-a-leaf"
            self._fault(code, key, f"expected a net that declares COMPONENTS: write {key}: ./method.py.")
            return None
        name, params = next(iter(form.items()))
        try:
            return name, dict(params), find_leaf("nets", name, self.folder)
        except FileNotFoundError:
            self._fault("no-file", key, no_file(name, self.folder, self.reading.file))
        except SourceError as error:
            self._fault("bad-file", key, bad_file("nets", name, str(error)))
        except KeyError:
            self._fault("unknown-name", key, unknown_leaf("nets", name, ()))
        return None

    def _chosen(self, components: Mapping[str, Component], file: str) -> tuple[str, ...]:
        raw = self.item.get("components", list(components))
        if not isinstance(raw, list) or not raw or not all(isinstance(each, str) for each in raw):
            self._fault("wrong-type", "components", f"expected a list of components, got {show(raw)}.")
            return tuple(components)
        for i, each in enumerate(raw):
            if each not in components:
                hint = did_you_mean(each, components)
                known = f" Components: {', '.join(components)}."
                self._fault("unknown-component", f"components[{i}]", f"{file} has no component '{each}'.{hint}{known}")
            elif each in raw[:i]:
                self._fault("twice", f"components[{i}]", f"'{each}' stands there twice.")
        return tuple(dict.fromkeys(each for each in raw if each in components)) or tuple(components)

    def _replace(self, components: Mapping[str, Component], chosen: tuple[str, ...], file: str) -> dict[str, str]:
        raw = self.item.get("replace", {})
        if not isinstance(raw, (str, Mapping)):
            self._fault("wrong-type", "replace", f"expected remove, identity or baseline, got {show(raw)}.")
            raw = {}
        asked = dict.fromkeys(chosen, raw) if isinstance(raw, str) else dict(raw)
        for each, word in asked.items():
            try:
                check_without(file, components, {each: word})
            except ComponentsError as error:
                code = "unknown-replacement" if each in components else "unknown-component"
                self._fault(code, "replace" if isinstance(raw, str) else f"replace.{each}", str(error))
        return {each: asked.get(each, components[each].replacements[0]) for each in chosen}

    def _fields(self, chosen: tuple[str, ...]) -> dict[str, Any]:
        raw = self.item.get("fields", {})
        if not isinstance(raw, Mapping):
            self._fault("wrong-type", "fields", "expected {field: value}.")
            return {}
        for each in raw:
            if each in ("net", "group", "missing", *chosen):
                self._fault(
                    "twice", f"fields.{each}", f"the levels have a field '{each}' already. Choose another name."
                )
        return dict(raw)

    def _options(self, chosen: tuple[str, ...]) -> dict[str, Any]:
        known = self.leaf.params
        for key in self.item:
            if key not in _KEYS and key not in known:
                names = (*_KEYS[1:], *known)
                hint = did_you_mean(key, names)
                text = f"'{self.leaf.name}' has no '{bare(key)}'.{hint} It has: {', '.join(names)}."
                self.reading.fault("unknown-parameter", f"{self.path}.{key}", text, key=True)
        out = {}
        for key, param in known.items():
            value = self.item.get(key, param.default)
            if param.choices and value not in param.choices:
                hint = did_you_mean(str(value), param.choices)
                self._fault(
                    "not-a-choice",
                    key,
                    f"{key} has no choice {show(value)}.{hint} Choices: {', '.join(param.choices)}.",
                )
            out[key] = value
        if self.leaf.name == "factorial" and 2 ** len(chosen) > MAX_LEVELS:
            self.reading.fault(
                "bad-generator", self.path, f"{2 ** len(chosen)} levels of {len(chosen)} components are too many. "
                "Write generate: fractional, or fewer components.",
            )  # fmt: skip
        return out

    def _fault(self, code: str, sub: str, text: str) -> None:
        self.reading.fault(code, f"{self.path}.{sub}", text)


def _entry(leaf: shelf.Leaf) -> Any:
    return importlib.import_module(f"{leaf.shelf.module}.{leaf.name}").generate
