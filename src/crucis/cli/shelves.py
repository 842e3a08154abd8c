"""`crucis list`, `show`, `schema` and `revise`: what is on the shelves, and what one thing looks like inside."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import CrucisError, did_you_mean

_SYNONYMS = {
    "protocols": "train",
    "instruments": "measure",
    "perturbations": "perturb",
    "searches": "search",
    "studies": "study",
}


def _protocols() -> dict[str, Path]:
    folder = Path(shelf.__file__).parent / "protocols"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def list_shelf(a: argparse.Namespace) -> int:
    """Names and first lines of one shelf, or of all."""
    from ..train import recipes

    wanted = _SYNONYMS.get(a.shelf, a.shelf) if a.shelf else None
    known = [*shelf.SHELVES, "recipes", "study"]
    if wanted is not None and wanted not in known:
        raise CrucisError(f"no shelf '{a.shelf}'.{did_you_mean(a.shelf, known)} Shelves: {', '.join(known)}.")
    for name in [wanted] if wanted else known:
        print(f"{name}:")
        if name == "recipes":
            _print([(recipe, recipes.line(recipe)) for recipe in recipes.names()])
        elif name == "study":
            _print([(stem, _question(path)) for stem, path in _protocols().items()])
        else:
            leaves = [*shelf.names(name), *sorted(shelf.packaged(name))]
            _print([(leaf, shelf.leaf(name, leaf).summary) for leaf in leaves])
    return 0


def _question(path: Path) -> str:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("question:"):
            return line.partition(":")[2].strip().strip('"')
    return ""


def _print(rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        print(f"  {name:<{width}}  {text}")


def show(a: argparse.Namespace) -> int:
    """A leaf's page, a study's resolved text, or a record."""
    leaves = [(name, a.what) for name in shelf.SHELVES if a.what in shelf.names(name)]
    if leaves:
        for name, leaf in leaves:
            _leaf_page(shelf.leaf(name, leaf))
        return 0
    if a.what in _protocols() or Path(a.what).suffix in (".yaml", ".yml"):
        from ..study.load import load_study
        from ..study.text import dump

        print(dump(load_study(a.what, preset=a.preset, sets=a.sets, yes=True).resolved), end="")
        return 0
    if len(a.what) >= 4 and set(a.what) <= set("0123456789abcdef"):
        from ..api import find_record, find_root
        from ..engine.store import Store

        store = Store(find_root(a.store))
        if _failed(store, a.what):
            return 0
        record = find_record(store, a.what)
        print(json.dumps(record.body, indent=2, sort_keys=True, ensure_ascii=False))
        return 0
    known = [leaf for name in shelf.SHELVES for leaf in shelf.names(name)] + list(_protocols())
    raise CrucisError(f"'{a.what}' is no leaf, study file or record.{did_you_mean(a.what, known)}")


def _failed(store: Any, beginning: str) -> bool:
    """Print the failures of a step that has no record; whether there were any."""
    found = sorted(path.name for path in (store.path / "failures").glob(f"{beginning}*"))
    if len(found) != 1 or store.has(found[0]):
        return False
    for number, note in enumerate(store.failures(found[0]), 1):
        print(f"try {number}: {note.get('class')}, {note.get('code')}: {note.get('text')}")
        print(note.get("traceback") or "")
    return True


def _leaf_page(leaf: shelf.Leaf) -> None:
    print(f"{leaf.name}: {leaf.shelf.noun} (revision {leaf.revision})\n")
    print(leaf.doc.strip())
    if leaf.params:
        print("\nParameters:")
        _print([(_signature(param), param.doc) for param in leaf.params.values()])
    if leaf.columns:
        print("\nColumns:")
        _print([(name, _column(about)) for name, about in leaf.columns.items()])
    print()


def _signature(param: shelf.Param) -> str:
    default = "" if param.required else f" = {json.dumps(param.default)}"
    limits = f" in {param.limits}" if param.limits else ""
    return f"{param.name}: {param.type}{limits}{default}"


def _column(about: Any) -> str:
    axes = f", over {' x '.join(about['axes'])}" if about.get("axes") else ""
    return f"{about.get('unit', '1')}{axes}{', headline' if about.get('headline') else ''}"


def schema(a: argparse.Namespace) -> int:
    """Write the JSON Schema of studies."""
    from ..study.schema import study_schema

    text = json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n"
    if a.output:
        Path(a.output).write_text(text, encoding="utf-8")
        print(f"Wrote {a.output}. First line of a study: # yaml-language-server: $schema={a.output}")
    else:
        sys.stdout.write(text)
    return 0


def revise(a: argparse.Namespace) -> int:
    """Note in the ledger of revisions that built-in code changed."""
    from ..study.revisions import revise as note

    print(note(a.name, same_numbers=a.same_numbers))
    return 0
