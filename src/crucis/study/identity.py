"""What a step's key says about leaves: names, revisions, parameters without defaults, a user's code."""

from __future__ import annotations

import ast
import os
import shutil
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .. import shelf, source
from ..shelf import Leaf
from ..train.watching import altering
from .spec import LeafRef

#: Rooms whose numbers a verb's leaves use; their revisions join that of the leaf.
ROOMS = {"train": ("train", "data"), "measure": ("measure", "numerics", "data")}
ROOMS["search"] = ("search",)
ROOMS["perturb"] = ("measure", "numerics", "train", "data")

ENTRY = "crucis-entry.txt"  # names the leaf's own file inside a folder of digested code


@cache
def room_revision(room: str) -> int:
    """`REVISION` of a room, read from its `__init__.py` without importing it."""
    tree = ast.parse((Path(shelf.__file__).parent / room / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "REVISION":
            return int(ast.literal_eval(node.value))
    raise LookupError(f"the room '{room}' declares no REVISION")


def revision(leaf: Leaf, verb: str | None = None) -> str:
    """`LEAF.ROOM...`: raising any of them gives every step that uses them a new key."""
    rooms = ROOMS.get(verb or "", ())
    return ".".join([leaf.revision, *(str(room_revision(room)) for room in rooms)])


class Code:
    """Users' files as they were when the plan was made: digest -> files. Workers import from these bytes only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, tuple[str, dict[str, bytes]]] = {}
        self.warnings: list[str] = []
        self._digests: dict[str, str] = {}

    def digest(self, name: str) -> str:
        """The identity of the user's file `name` and its local imports.

        Raises:
            SourceError: the file hides imports, is not valid Python, or a declared dependency is missing.
        """
        if name not in self._digests:
            files = source.follow(self.folder / name, self.folder)
            found = source.files_digest(files)
            entry = next(key for key in files if Path(key).name == Path(name).name)
            self.files[found] = (entry, files)
            self._digests[name] = found
            self.warnings += [
                f"{file} reads files or the environment, which its key cannot see; name them in FILES = [...]"
                for file in source.reads_files(files)
            ]
        return self._digests[name]

    def keep(self, folder: Path) -> None:
        """Copy the bytes to `folder/DIGEST/`, once; written aside and renamed, so that a reader sees all or nothing."""
        for digest, (entry, files) in self.files.items():
            target = folder / digest
            if target.exists():
                continue
            aside = folder / f".{uuid.uuid4().hex}"
            for name, data in {**files, ENTRY: entry.encode()}.items():
                (aside / name).parent.mkdir(parents=True, exist_ok=True)
                (aside / name).write_bytes(data)
            try:
                os.rename(aside, target)  # noqa: PTH104 - must fail, not replace, when another process was first
            except OSError:
                shutil.rmtree(aside, ignore_errors=True)


def without_defaults(leaf: Leaf, params: Mapping[str, Any], code: Code) -> dict[str, Any]:
    """Parameters that differ from the leaf's defaults.

    A parameter whose value is itself a leaf always stays, also at its default, because the revision of that leaf is
    part of what determines the result.
    """
    out = {}
    for name, param in leaf.params.items():
        value = params.get(name, param.default)
        if param.shelf and value is not None and value is not ...:
            form = _form(_as_leaf(value, param.shelf), code)
            if form != []:
                out[name] = form
        elif param.type == "Watch":  # rules that only tell decide no result
            if rules := altering(params.get(name)):
                out[name] = rules
        elif name in params and not (type(value) is type(param.default) and value == param.default):
            out[name] = _form(value, code)
    return out


def _as_leaf(value: Any, shelf_name: str) -> Any:
    if isinstance(value, str):
        return LeafRef(shelf_name, value)
    if isinstance(value, Mapping) and len(value) == 1:
        name, params = next(iter(value.items()))
        return LeafRef(shelf_name, name, params or {})
    if isinstance(value, (list, tuple)):
        return [_as_leaf(item, shelf_name) for item in value]
    return value


def _form(value: Any, code: Code) -> Any:
    if isinstance(value, LeafRef):
        return leaf_identity(value, code)
    if isinstance(value, (list, tuple)):
        return [_form(item, code) for item in value]
    if isinstance(value, Mapping):
        return {key: _form(item, code) for key, item in value.items()}
    return value


def find(ref: LeafRef, folder: Path) -> Leaf:
    """The leaf that a reference means: a user's file beside the study, a package's, or one of the shelf."""
    return shelf.own_leaf(ref.shelf, folder, ref.name) if ref.own else shelf.leaf(ref.shelf, ref.name)


def leaf_identity(ref: LeafRef, code: Code, verb: str | None = None) -> dict[str, Any]:
    """`{"leaf", "revision", "params"}`, or `{"source", "params"}` for a user's file."""
    leaf = find(ref, code.folder)
    params = without_defaults(leaf, ref.params, code)
    if ref.own:
        rooms = ".".join(str(room_revision(room)) for room in ROOMS.get(verb or "", ()))
        return {
            "source": code.digest(ref.name),
            "shelf": ref.shelf,
            "params": params,
            **({"rooms": rooms} if rooms else {}),
        }
    return {"leaf": ref.name, "revision": revision(leaf, verb), "params": params}
