"""What is remembered of data sets on disk: descriptions for plans, and decoded arrays for all processes alike."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..canon import canonical
from . import REVISION
from .dataset import SPLITS, Dataset, Info, Split
from .files import cache_folder
from .split import content_digest

Stamps = tuple[tuple[str, int, int], ...]


def _folder() -> Path:
    return cache_folder() / f"data-{REVISION}"


def stamps(files: Iterable[Any]) -> Stamps:
    """(path, size, modification time in ns) of each file; folders count with their time, so additions show."""
    out = []
    for path in files:
        stat = Path(path).stat()
        out.append((str(Path(path).absolute()), 0 if Path(path).is_dir() else stat.st_size, stat.st_mtime_ns))
    return tuple(out)


def unchanged(known: Stamps) -> bool:
    """Whether every file is as it was."""
    try:
        return stamps(path for path, _, _ in known) == known
    except OSError:
        return False


def _read(request: str) -> dict[str, Any] | None:
    try:
        body = json.loads((_folder() / f"{request}.json").read_text(encoding="utf-8"))
        body["files"] = tuple((path, size, time) for path, size, time in body["files"])
        return body
    except (OSError, ValueError, KeyError, TypeError):
        return None


def recall(request: str) -> Info | None:
    """The kept description of a request, if its files are unchanged."""
    body = _read(request)
    if body is None or not unchanged(body["files"]):
        return None
    try:
        info = dict(body["info"])
        for name in ("shape", "class_names", "coarse", "coarse_names"):
            info[name] = tuple(info[name])
        info["class_counts"] = {split: tuple(info["class_counts"][split]) for split in SPLITS}
        return Info(**info)
    except (KeyError, TypeError, ValueError):
        return None


def files_of(request: str) -> Stamps:
    """The files behind a kept description."""
    body = _read(request)
    return body["files"] if body else ()


def keep(request: str, files: Stamps, info: Info) -> None:
    """Write a description. A cache folder that cannot be written is no error: the next plan reads the data again."""
    target = _folder() / f"{request}.json"
    part = target.with_name(f"{request}.{os.getpid()}.part")
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(canonical({"files": files, "info": asdict(info)}), encoding="utf-8")
        part.replace(target)


def keep_arrays(request: str, data: Dataset) -> None:
    """Keep decoded splits as plain arrays, so that later processes map them instead of decoding again."""
    target = _folder() / request
    part = _folder() / f"{request}.{os.getpid()}.part"
    with contextlib.suppress(OSError):
        part.mkdir(parents=True, exist_ok=True)
        for name in SPLITS:
            split: Split = getattr(data, name)
            np.save(part / f"{name}-x.npy", split.x)
            np.save(part / f"{name}-y.npy", split.y)
            for key, value in split.factors.items():
                np.save(part / f"{name}-factor-{key}.npy", value)
        head = {"name": data.name, "kind": data.kind, "mean": data.mean, "std": data.std}
        (part / "head.json").write_text(canonical(head), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    shutil.rmtree(part, ignore_errors=True)


def _split(folder: Path, name: str) -> Split:
    x, y = (np.load(folder / f"{name}-{part}.npy", mmap_mode="r", allow_pickle=False) for part in "xy")
    factors = {}
    for path in sorted(folder.glob(f"{name}-factor-*.npy")):
        factors[path.stem.removeprefix(f"{name}-factor-")] = np.load(path, mmap_mode="r", allow_pickle=False)
    return Split(x, y, factors)


def recall_arrays(request: str) -> Dataset | None:
    """The kept splits, mapped read-only, if the files they came from are unchanged and the content is intact.

    The content digest is recomputed (about a second per GB), so a damaged cache is never trained on.
    """
    info, folder = recall(request), _folder() / request
    if info is None or not folder.is_dir():
        return None
    try:
        head = json.loads((folder / "head.json").read_text(encoding="utf-8"))
        splits = {name: _split(folder, name) for name in SPLITS}
        if content_digest(splits, info.class_names, info.coarse) != info.digest:
            raise ValueError("other content than described")
        return Dataset(
            name=head["name"], kind=head["kind"], classes=info.classes, class_names=info.class_names,
            train=splits["train"], validation=splits["validation"], test=splits["test"],
            mean=tuple(head["mean"]), std=tuple(head["std"]), digest=info.digest, coarse=info.coarse,
            coarse_names=info.coarse_names, duplicates_removed=info.duplicates_removed,
            active=tuple(range(info.classes)),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
