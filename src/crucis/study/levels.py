"""Factors and their levels, filters, seeds: what is varied and what is repeated."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from .ablation import MAX_LEVELS, Ablation, is_ablation
from .scalars import LABEL, NAME, bare, label_of, label_text, show
from .spec import Factor, Level
from .tree import BAD, Reading, has_bad

RESERVED = ("seed", "at", "split")
LATER = ("equal_volume",)


def check_name(name: str, path: str, reading: Reading) -> bool:
    """Whether a name is one; a fault otherwise."""
    if name == "seed" and path.startswith("factors"):
        return False  # reported with its own sentence
    if name in RESERVED:
        reading.fault("reserved-name", path, f"'{name}' is reserved. Choose another name.", key=True)
        return False
    if not NAME.fullmatch(name):
        reading.fault(
            "bad-name", path, f"'{name}' is no name: small letters, digits, - and _, beginning with a letter.", key=True
        )
        return False
    return True


@dataclass
class Levels:
    """The factors of a study and where each level stands."""

    reading: Reading
    used: frozenset[str]  # `factor.field` wherever the study writes it
    folder: Path = Path()  # where own leaves are looked for
    factors: dict[str, Factor] = field(default_factory=dict)
    paths: dict[tuple[str, str], str] = field(default_factory=dict)  # (factor, label) -> path of the level
    generated: set[str] = field(default_factory=set)
    forms: dict[str, Any] = field(default_factory=dict)  # factor -> its levels for the resolved text

    def read(self, raw: Any) -> None:
        """Read the section `factors`."""
        if raw is BAD or raw is None:
            return
        if not isinstance(raw, Mapping):
            self.reading.fault("wrong-type", "factors", "expected {name: levels}.")
            return
        for name, levels in raw.items():
            path = f"factors.{name}"
            if name == "seed":
                shown = show(levels) if isinstance(levels, list) else "[...]"
                self.reading.fault(
                    "seed-factor",
                    path,
                    f"seeds are replicates, not a factor. Write seeds: {shown} at the top.",
                    key=True,
                )
                self.reading.broken.add(name)
            elif not check_name(name, path, self.reading) or levels is BAD:
                self.reading.broken.add(name)
            else:
                self._factor(name, levels, path)

    def _factor(self, name: str, raw: Any, path: str) -> None:
        before = len(self.reading.faults.items)
        if isinstance(raw, Mapping) and isinstance(raw.get("generate"), str):
            found: list[Level] = []
            self._generate(name, "", raw, path, found)
        elif isinstance(raw, list):
            found = self._listed(name, raw, path)
        elif isinstance(raw, Mapping):
            found = self._labelled(name, raw, path)
        else:
            self.reading.fault(
                "one-value", path,
                f"{show(raw)} is one value. A factor is a list or a mapping of levels; a constant belongs in 'let'.",
            )  # fmt: skip
            found = []
        if len(self.reading.faults.items) > before:
            self.reading.broken.add(name)
        elif not found:
            self.reading.fault("no-levels", path, "no level. A factor has at least one.")
            self.reading.broken.add(name)
        if found:
            self.factors[name] = Factor(name, tuple(found))
            generators = any(self.paths[(name, level.label)] in self.generated for level in found)
            listed = isinstance(raw, list) and not generators
            self.forms[name] = raw if listed else {level.label: level.value for level in found}

    def _add(self, name: str, level: Level, path: str, found: list[Level], hint: str = "") -> None:
        if any(level.label == other.label for other in found):
            self.reading.fault("twice", path, f"second level with the label '{level.label}'.{hint}")
            return
        found.append(level)
        self.paths[(name, level.label)] = path

    def _listed(self, name: str, raw: list[Any], path: str) -> list[Level]:
        found: list[Level] = []
        for i, item in enumerate(raw):
            here = f"{path}[{i}]"
            if item is BAD:
                continue
            if isinstance(item, Mapping) and "generate" in item:
                self._generate(name, "", item, here, found)
                continue
            leaf = next(iter(item)) if isinstance(item, Mapping) and len(item) == 1 else None
            label = label_of(leaf if leaf is not None else item)
            if isinstance(item, Mapping) and leaf is None:
                self.reading.fault(
                    "no-label", here, f"a level with several fields needs a label. "
                    f"Write a mapping: {name}: {{LABEL: {show(item)}}}.",
                )  # fmt: skip
            elif label is None:
                self.reading.fault(
                    "no-label", here, f"{show(item)} cannot label itself. Give labels: {name}: {{LABEL: {bare(item)}}}."
                )
            elif self._free(item, here):
                self._add(name, Level(label, item), here, found, _labels_hint(name, raw))
        return found

    def _labelled(self, name: str, raw: Mapping[str, Any], path: str) -> list[Level]:
        found: list[Level] = []
        for written, item in raw.items():
            here, label = f"{path}.{written}", label_text(written)
            if not LABEL.fullmatch(label):
                self.reading.fault(
                    "bad-label", here, f"'{written}' is no label: letters, digits and _ . + % -, "
                    "beginning with a letter or digit.", key=True,
                )  # fmt: skip
            elif item is BAD or self._misread(name, written, item, here):
                continue
            elif isinstance(item, Mapping) and "generate" in item:
                self._generate(name, label, item, here, found)
            elif self._free(item, here):
                fields = item if isinstance(item, Mapping) and not self._is_leaf(name, item) else None
                self._add(name, Level(label, item, fields), here, found)
        return found

    def _free(self, item: Any, path: str) -> bool:
        """A level holds no `$`: only stages bring values in."""
        for text in _texts(item):
            if text.startswith("$"):
                self.reading.fault(
                    "dollar-here", path, f"{text} stands in a level, and levels do not depend on one another. "
                    "What belongs together stands as fields in one level.",
                )  # fmt: skip
                return False
        return True

    def _is_leaf(self, factor: str, item: Mapping[str, Any]) -> bool:
        """Whether a level that is a mapping with one key is a leaf with parameters and not one field."""
        if len(item) != 1:
            return False
        key, inner = next(iter(item.items()))
        if f"{factor}.{key}" in self.used:
            return False
        known = key.endswith(".py") or ":" in key or any(key in shelf.names(home) for home in shelf.SHELVES)
        return isinstance(inner, Mapping) and known

    def _misread(self, name: str, label: str, item: Any, path: str) -> bool:
        """`net: {mlp: {widths: [64]}}` looks like a leaf with parameters and is read as a level called mlp."""
        if not isinstance(item, Mapping) or not item or any(f"{name}.{key}" in self.used for key in item):
            return False
        for home in ("nets", "data", "optimisers", "schedules"):
            if label in shelf.names(home) and set(item) <= set(shelf.leaf(home, label).params):
                key = next(iter(item))
                self.reading.fault(
                    "misread-level", path, f"read as a level labelled '{label}' whose leaf is '{key}', which is no "
                    f"{shelf.SHELVES[home].noun}. For one level with parameters write a list: "
                    f"[{{{label}: {show(item)}}}].", key=True,
                )  # fmt: skip
                return True
        return False

    # -- generators -------------------------------------------------------------------------------------------

    def _generate(self, name: str, label: str, item: Mapping[str, Any], path: str, found: list[Level]) -> None:
        if has_bad(item) or not self._free(item, path):
            return
        leaf = item["generate"]
        if leaf in LATER:
            self.reading.fault(
                "later", f"{path}.generate", f"the generator '{leaf}' comes with a later version of Crucis."
            )
            return
        if leaf not in shelf.names("generators"):
            hint = did_you_mean(str(leaf), (*shelf.names("generators"), *LATER))
            self.reading.fault("unknown-name", f"{path}.generate", f"no generator '{bare(leaf)}'.{hint}")
            return
        self.generated.add(path)
        self.reading.places.setdefault(path, self.reading.place(path))
        if is_ablation(leaf):
            for arm, fields in Ablation(item, path, self.reading, self.folder).levels():
                self._add(name, Level(f"{label}-{arm}" if label else arm, fields, fields), path, found)
            return
        parts = self._parts(item, path)
        if parts is None:
            return
        base, varied, extra = parts
        try:
            rows = _entry(leaf)(varied)
        except ValueError as error:
            self.reading.fault("bad-generator", path, str(error))
            return
        of = next(iter(base))
        for row in rows:
            tail = "-".join(label_of(value) or "x" for value in row.values())
            head = label or label_of(of) or "level"
            fields = {"net": {of: {**base[of], **row}}, **row, **extra}
            self._add(name, Level(f"{head}-{tail}", fields, fields), path, found)

    def _parts(
        self, item: Mapping[str, Any], path: str
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]] | None:
        """The net with its fixed parameters, the varied ones, the given fields."""
        of, extra = item.get("of"), item.get("fields", {})
        base = {of: {}} if isinstance(of, str) else of
        if not isinstance(base, Mapping) or len(base) != 1 or not isinstance(next(iter(base.values())), Mapping):
            self.reading.fault("no-subject", path, "a generator varies a net: write of: NET.")
            return None
        if not isinstance(extra, Mapping):
            self.reading.fault("wrong-type", f"{path}.fields", "expected {field: value}.")
            return None
        varied = {key: value for key, value in item.items() if key not in ("generate", "of", "fields")}
        size = 1
        for key, value in varied.items():
            if not isinstance(value, list) or not value:
                self.reading.fault("wrong-type", f"{path}.{key}", f"expected a list of values, got {show(value)}.")
                return None
            if any(isinstance(entry, (list, Mapping)) or label_of(entry) is None for entry in value):
                self.reading.fault("no-label", f"{path}.{key}", "only numbers and words can be varied here.")
                return None
            size *= len(value)
        if not varied or size > MAX_LEVELS:
            text = "nothing is varied. Write PARAMETER: [values]." if not varied else f"{size} levels are too many."
            self.reading.fault("bad-generator", path, text)
            return None
        return dict(base), varied, dict(extra)


def _entry(name: str) -> Any:
    return importlib.import_module(f"{shelf.SHELVES['generators'].module}.{name}").generate


def _labels_hint(name: str, raw: list[Any]) -> str:
    if len(raw) > 4:
        return " Give labels: a mapping from label to level."
    parts = ", ".join(f"{label}: {bare(item)}" for label, item in zip("abcd", raw, strict=False))
    return f" Give labels: {name}: {{{parts}}}."


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []
