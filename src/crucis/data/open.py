"""Opening data sets: the leaf is called once, its splits are fixed, and what it gave is remembered on disk."""

from __future__ import annotations

import importlib.util
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import shelf, source
from ..canon import digest
from . import memory, split
from .dataset import DataError, Dataset, Info, Raw, info_of

#: Data sets that take longer than this to load are kept decoded on disk, shared by all processes of the machine.
KEEP_SECONDS = 0.5

_open: dict[str, tuple[tuple[tuple[str, int, int], ...], Dataset]] = {}


class _Opened:
    """A reference resolved: leaf, parameters with absolute paths, and the text that identifies the request."""

    def __init__(self, ref: Any, folder: Path, root: Path | None) -> None:
        self.name, self.folder, self.root = ref.name, Path(folder), None if root is None else Path(root)
        self.leaf = _leaf(ref.name, self.folder) if ref.own else _shelved(ref.name)
        self.params = dict(ref.params)
        unknown = sorted(set(self.params) - set(self.leaf.params))
        if unknown:
            known = ", ".join(self.leaf.params) or "none"
            raise DataError(f"{self.name} has no parameter '{unknown[0]}'; it has: {known}")
        written = self.params.get("path")
        if isinstance(written, str):
            self.params["path"] = str(_place(Path(written).expanduser(), self.folder, self.root))
        code: Any = f"{self.name} {self.leaf.revision}"
        self.opaque = False
        if ref.own:
            files = source.follow(self.leaf.path, self.folder)
            code = [str(self.leaf.path), source.files_digest(files)]
            self.opaque = bool(source.reads_files(files))
        self.request = digest(["crucis-data", code, self.params, str(self.root) if self.root else None])

    def call(self) -> Dataset:
        """Run the leaf and fix the splits. Costs what the data costs to read."""
        entry = _entry(self.leaf.path, self.folder) if self.leaf.own else shelf.load(self.leaf)
        raw = entry(self.root, **self.params)
        if not isinstance(raw, Raw):
            raise DataError(f"{self.name}: load must return a crucis.data.dataset.Raw, not {type(raw).__name__}")
        self.files = memory.stamps(raw.files)
        self.cacheable = not self.opaque or bool(raw.files)
        return split.make(raw, self.name)


def _place(written: Path, folder: Path, root: Path | None) -> Path:
    """A path as meant from the study's folder, else from the folder of data sets."""
    if root is not None and not (folder / written).exists() and (root / written).exists():
        return root / written
    return folder / written


def _shelved(name: str) -> shelf.Leaf:
    try:
        return shelf.leaf("data", name)
    except KeyError:
        from ..errors import did_you_mean

        raise DataError(f"no data set '{name}'.{did_you_mean(name, shelf.names('data'))}") from None


def _leaf(name: str, folder: Path) -> shelf.Leaf:
    if not (folder / name).is_file():
        raise DataError(f"no file {name} beside the study")
    return shelf.own_leaf("data", folder, name)


def _entry(path: Path, folder: Path) -> Any:
    """The `load` of a user's file, imported under a private name with its folder on the path meanwhile."""
    spec = importlib.util.spec_from_file_location(f"_crucis_data_{digest(str(path))[:12]}", path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module.load


def open_data(ref: Any, *, folder: Path, root: Path | None, unsealed: bool = False) -> Dataset:
    """The data set of a leaf reference, read once per process and file state; its arrays are read-only.

    Args:
        ref: `LeafRef`: name on the shelf (or `./file.py`) and parameters.
        folder: the study's folder; own files and a relative `path` are meant from there.
        root: the folder of data sets (`CRUCIS_DATA`), or None.
        unsealed: whether `Dataset.split("test")` answers.

    Raises:
        DataError: missing, damaged or ill-fitting files, or unknown parameters.
    """
    opened = _Opened(ref, folder, root)
    known = _open.get(opened.request)
    if known and memory.unchanged(known[0]):
        return replace(known[1], unsealed=unsealed)
    data = None if opened.opaque else memory.recall_arrays(opened.request)
    if data is None:
        begun = time.process_time()
        data = opened.call()
        if opened.cacheable:
            memory.keep(opened.request, opened.files, info_of(data))
            if time.process_time() - begun > KEEP_SECONDS:
                memory.keep_arrays(opened.request, data)
        files = opened.files
    else:
        files = memory.files_of(opened.request)
    _open[opened.request] = (files, data)
    return replace(data, unsealed=unsealed)


def read(ref: Any, *, folder: Path, root: Path | None) -> Dataset:
    """The data set read anew from its files, whatever is remembered. Else as `open_data`."""
    return _Opened(ref, folder, root).call()


def describe(ref: Any, *, folder: Path, root: Path | None) -> Info:
    """Facts of a data set for a plan: digest, shape, classes, sizes. Reads one small file when they are known.

    The answer is kept in the user's cache folder and holds as long as every file that the leaf read has the same
    size and modification time. Imports no torch.

    Raises:
        DataError: as `open_data`.
    """
    opened = _Opened(ref, folder, root)
    if not opened.opaque:
        known = memory.recall(opened.request)
        if known is not None:
            return known
    return info_of(open_data(ref, folder=folder, root=root))


def forget() -> None:
    """Drop the data sets that this process holds open."""
    _open.clear()
