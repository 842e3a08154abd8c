"""A stage in one cell: its leaf, and its written parameters with `$` replaced and values of the declared types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import shelf
from .leaves import find_leaf
from .scalars import show
from .spec import Dollar, Factor, LeafRef, Stage, Study
from .values import Converter

#: Keys of a stage that belong to the grammar and reach the leaf's runner under their own names.
GRAMMAR = ("net", "data", "view", "split", "recipe")
SPLITS = ("train", "validation", "test")


class BindingError(ValueError):
    """A stage that cannot be bound in a cell; `code` is that of the fault, `sub` continues the path of the value."""

    def __init__(self, text: str, code: str = "not-bound", sub: str = "") -> None:
        self.code, self.sub = code, sub
        super().__init__(text)


@dataclass(frozen=True)
class Bound:
    """A leaf and the parameters that the study writes, converted to their declared types.

    Values that are leaves are `LeafRef` with converted parameters. `net` and `data` (LeafRef), `view` (mapping),
    `split` and `recipe` (text) stand among the parameters; `for` is called `length`.
    """

    leaf: shelf.Leaf
    params: dict[str, Any]


def leaf_of(study: Study, ref: LeafRef) -> shelf.Leaf:
    """The leaf that a reference means: a user's file beside the study, a package's, or one of the shelf.

    Raises:
        KeyError: no leaf of this name. FileNotFoundError: no such file. SourceError: a file that is no such leaf.
    """
    return find_leaf(ref.shelf, ref.name, study.folder)


def convert(param: shelf.Param, raw: Any, study_folder: Path) -> Any:
    """One written value as its parameter declares it.

    Raises:
        BindingError: with the sentence that `crucis check` prints.
    """
    converter = Converter(study_folder)
    value = converter.value(param, raw)
    _stop(converter)
    return value


def _stop(converter: Converter) -> None:
    if converter.issues:
        issue = converter.issues[0]
        raise BindingError(issue.text, issue.code, issue.sub)


def level_value(factor: Factor, label: str, field: str | None) -> Any:
    """What `$factor` or `$factor.field` brings in at a level.

    Raises:
        BindingError: the level lacks the field, or has fields where a value is due.
        KeyError: no such level.
    """
    level = factor.level(label)
    if field is None:
        if level.fields is not None:
            some = next(iter(level.fields), "field")
            raise BindingError(
                f"the levels of '{factor.name}' have fields ({', '.join(level.fields)}); write ${factor.name}.{some}.",
                "has-fields",
            )
        return level.value
    if level.fields is None or field not in level.fields:
        raise BindingError(f"${factor.name}.{field} is missing in the level {label}.", "no-field")
    return level.fields[field]


def substitute(value: Any, lookup: Callable[[Dollar], Any]) -> Any:
    """A value with every `$` inside it replaced."""
    if isinstance(value, Dollar):
        return lookup(value)
    if isinstance(value, Mapping):
        return {key: substitute(item, lookup) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [substitute(item, lookup) for item in value]
    if isinstance(value, LeafRef):
        return LeafRef(value.shelf, value.name, substitute(value.params, lookup))
    return value


def grammar_value(converter: Converter, key: str, raw: Any, sub: str) -> Any:
    """Convert one of the keys that belong to the grammar."""
    if key in ("net", "data") and isinstance(raw, list):
        return converter.list_for_one(key, raw, sub)
    if key in ("net", "data"):
        return converter.leaf_ref("nets" if key == "net" else "data", raw, sub)
    if key == "view":
        return converter.view(raw, sub)
    if key == "split":
        param = shelf.Param("split", f"Literal{list(SPLITS)!r}")
    else:
        return converter.recipe(raw, sub)
    return converter.value(param, raw, sub)


def bind(study: Study, stage: Stage, cell: Mapping[str, str], winners: Mapping[str, str] | None = None) -> Bound:
    """The stage's leaf and parameters in a cell, which names a level at least for every factor that it mentions.

    `winners` is the cell of the search that a stage takes over from, where that fixes a level by itself.

    Raises:
        BindingError: a `$` that cannot be replaced in this cell, or a value of the wrong type.
    """

    def lookup(dollar: Dollar) -> Any:
        factor, labels = study.factors.get(dollar.name), (winners or {}) if dollar.winners else cell
        if factor is None or dollar.name not in labels:
            raise BindingError(f"nothing is called '{dollar.name}' here.", "unknown-name")
        return level_value(factor, labels[dollar.name], dollar.field)

    converter = Converter(study.folder, study.file)
    ref = stage.leaf
    if isinstance(ref, Dollar):
        raw = lookup(ref)
        name, inner = next(iter(raw.items())) if isinstance(raw, Mapping) and len(raw) == 1 else (raw, {})
        if not isinstance(name, str) or not isinstance(inner, Mapping):
            raise BindingError(f"{ref} brings in {show(raw)}, which names no leaf.", "not-a-leaf")
        ref = LeafRef(stage.verb, name, inner)
    leaf = converter.leaf(ref.shelf, ref.name)
    _stop(converter)
    assert leaf is not None
    written = substitute({**ref.params, **stage.params}, lookup)
    own = {key: value for key, value in written.items() if key not in GRAMMAR or key in leaf.params}
    params = converter.params(leaf, own, "")
    for key in GRAMMAR:
        if key in written and key not in leaf.params:
            params[key] = grammar_value(converter, key, written[key], f".{key}")
    _stop(converter)
    return Bound(leaf, params)
