"""Shelves: folders whose files are leaves. Read by syntax tree; nothing is imported until a leaf runs."""

from __future__ import annotations

import ast
import contextlib
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from .source import SourceError

_ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Shelf:
    """A kind of leaf: where its files lie, what its entry is called, and the words of error texts."""

    name: str
    folder: str
    entry: str
    noun: str
    plural: str
    group: str

    @property
    def path(self) -> Path:
        """The folder in the package."""
        return _ROOT / self.folder

    @property
    def module(self) -> str:
        """The dotted package name."""
        return "crucis." + self.folder.replace("/", ".")


SHELVES: dict[str, Shelf] = {
    shelf.name: shelf
    for shelf in (
        Shelf("nets", "nets", "build", "architecture", "nets", "crucis.nets"),
        Shelf("data", "data", "load", "data set", "data", "crucis.data"),
        Shelf("train", "train/protocols", "train", "training protocol", "protocols", "crucis.train"),
        Shelf("measure", "measure/instruments", "measure", "instrument", "instruments", "crucis.measure"),
        Shelf("perturb", "measure/perturbations", "perturb", "perturbation", "perturbations", "crucis.perturb"),
        Shelf("search", "search/searches", "propose", "search", "searches", "crucis.search"),
        Shelf("optimisers", "train/optimisers", "optimiser", "optimiser", "optimisers", "crucis.optimisers"),
        Shelf("schedules", "train/schedules", "schedule", "schedule", "schedules", "crucis.schedules"),
        Shelf("augment", "data/augment", "augment", "augmentation", "augmentations", "crucis.augment"),
        Shelf("generators", "study/generators", "generate", "generator", "generators", "crucis.generators"),
        Shelf("describe", "stats/describe", "estimate", "description", "descriptions", "crucis.describe"),
        Shelf("compare", "stats/compare", "estimate", "comparison", "comparisons", "crucis.compare"),
        Shelf("correlate", "stats/correlate", "estimate", "correlation", "correlations", "crucis.correlate"),
        Shelf("estimate", "stats/estimate", "estimate", "estimate", "estimates", "crucis.estimate"),
    )
}


@dataclass(frozen=True)
class Param:
    """A parameter of a leaf. `type` is the annotation's source text; `default` is a literal, or `...` if required."""

    name: str
    type: str
    default: Any = ...
    limits: str | None = None  # an interval such as "(0, 2]"
    choices: tuple[str, ...] = ()
    shelf: str | None = None  # for parameters whose value is a leaf
    doc: str = ""

    @property
    def required(self) -> bool:
        """Whether the study must give it."""
        return self.default is ...


@dataclass(frozen=True)
class Leaf:
    """What a leaf's source says about it, without importing it."""

    name: str
    shelf: Shelf
    path: Path
    entry: str
    params: Mapping[str, Param]
    doc: str
    revision: str
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    own: bool = False

    @property
    def random(self) -> bool:
        """Whether it draws random numbers."""
        return bool(self.constants.get("RANDOM", self.shelf.name in ("train", "perturb")))

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.doc.strip().split("\n")[0]


def _constants(tree: ast.Module) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id.isupper():
            with contextlib.suppress(ValueError):  # not a literal: not part of what a leaf declares
                out[target.id] = ast.literal_eval(value)
    return out


def _choices(annotation: str) -> tuple[str, ...]:
    match = re.search(r"Literal\[(.*?)\]", annotation)
    return tuple(ast.literal_eval(f"[{match[1]}]")) if match else ()


def _documented(doc: str, name: str) -> str:
    match = re.search(rf"^\s*{re.escape(name)}\s*:\s*(.+(?:\n\s{{8,}}.+)*)", doc, re.MULTILINE)
    return " ".join(match[1].split()) if match else ""


def _params(function: ast.FunctionDef, constants: Mapping[str, Any], doc: str, where: str) -> dict[str, Param]:
    limits, leaves = constants.get("LIMITS", {}), constants.get("LEAVES", {})
    out = {}
    for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        annotation = ast.unparse(argument.annotation) if argument.annotation else "Any"
        try:
            value = ... if default is None else ast.literal_eval(default)
        except ValueError:
            raise SourceError(f"{where}: the default of '{argument.arg}' is no literal, so it cannot be read") from None
        out[argument.arg] = Param(
            argument.arg, annotation, value, limits.get(argument.arg), _choices(annotation),
            leaves.get(argument.arg), _documented(doc, argument.arg),
        )  # fmt: skip
    return out


def read_leaf(shelf: Shelf, path: Path, name: str, *, own: bool = False) -> Leaf:
    """Read a leaf from its source.

    Raises:
        SourceError: not valid Python, no entry function, or a default that is no literal.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise SourceError(f"{name}: not valid Python: {error}") from None
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    if shelf.entry not in functions:
        found = [node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        raise SourceError(
            f"{name} has no function '{shelf.entry}', which a {shelf.noun} file needs. "
            f"Found: {', '.join(found) or 'nothing'}."
        )
    constants = _constants(tree)
    function = functions[shelf.entry]
    doc = "\n".join(filter(None, (ast.get_docstring(tree), ast.get_docstring(function))))
    columns = constants.get("COLUMNS", {})
    if not isinstance(columns, dict) or not all(isinstance(about, dict) for about in columns.values()):
        raise SourceError(
            f'{name}: COLUMNS must be a mapping such as {{"slope": {{"unit": "1", "range": [None, None]}}}}'
        )
    return Leaf(
        name, shelf, path, shelf.entry, _params(function, constants, doc, name), doc,
        str(constants.get("REVISION", 0)), constants.get("COLUMNS", {}), constants, own,
    )  # fmt: skip


@cache
def names(shelf: str) -> tuple[str, ...]:
    """Names of the built-in leaves on a shelf, sorted. Leaves of installed packages: `packaged`."""
    home = SHELVES[shelf]
    marker = re.compile(rf"^def {home.entry}\(", re.MULTILINE)
    return tuple(
        path.stem
        for path in sorted(home.path.glob("*.py"))
        if not path.stem.startswith("_") and marker.search(path.read_text(encoding="utf-8"))
    )


@cache
def _entry_points() -> dict[str, dict[str, str]]:
    # One pass over the installed distributions (tens of milliseconds), made only when a `package:name` is asked for.
    from importlib.metadata import distributions

    out: dict[str, dict[str, str]] = {}
    for distribution in distributions():
        for point in distribution.entry_points:
            if point.group.startswith("crucis."):
                out.setdefault(point.group, {})[f"{distribution.name}:{point.name}"] = point.value
    return out


def packaged(shelf: str) -> dict[str, str]:
    """Leaves that installed packages offer for a shelf: `package:name` -> `module:function`."""
    return _entry_points().get(SHELVES[shelf].group, {})


def _module_path(module: str) -> Path:
    """The file of a module of an installed package, found without importing any of its parents."""
    import sys

    parts = module.split(".")
    for base in map(Path, sys.path):
        for candidate in (base.joinpath(*parts).with_suffix(".py"), base.joinpath(*parts, "__init__.py")):
            if candidate.is_file():
                return candidate
    raise SourceError(f"{module} is not a plain Python file on the path")


@cache
def leaf(shelf: str, name: str) -> Leaf:
    """The leaf `name` of a shelf (built in or `package:name`).

    Raises:
        KeyError: no such leaf.
        SourceError: the leaf's source cannot be read.
    """
    home = SHELVES[shelf]
    if ":" in name:
        return read_leaf(home, _module_path(packaged(shelf)[name].split(":")[0]), name)
    if name not in names(shelf):
        raise KeyError(name)
    return read_leaf(home, home.path / f"{name}.py", name)


def own_leaf(shelf: str, folder: Path, name: str) -> Leaf:
    """A user's file as a leaf. `name` is relative to `folder`, the folder of the study."""
    return read_leaf(SHELVES[shelf], folder / name, name, own=True)


def load(leaf: Leaf) -> Any:
    """Import a built-in or packaged leaf and return its entry function."""
    if ":" in leaf.name:
        module, _, attribute = packaged(leaf.shelf.name)[leaf.name].partition(":")
        return getattr(importlib.import_module(module), attribute or leaf.entry)
    return getattr(importlib.import_module(f"{leaf.shelf.module}.{leaf.name}"), leaf.entry)
