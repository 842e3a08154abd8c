"""Reading files of public data sets: found, complete and undamaged, or an error that names the file."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .dataset import DataError


class Remote(NamedTuple):
    """A file of a public data set: where it is published and the SHA-256 (or MD5) of its bytes."""

    url: str
    checksum: str


def cache_folder() -> Path:
    """The user's cache folder of Crucis; `XDG_CACHE_HOME` moves it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "crucis"


def bases(root: Path | None, path: str | None, *names: str) -> list[Path]:
    """Folders in which a data set may lie, most specific first: the written `path`, else `root`; each also with
    one of `names` as a subfolder, then the download folder."""
    start = [Path(path)] if path else [root] if root else []
    found = [folder for base in start for folder in (base, *(base / name for name in names))]
    return found if path else [*found, *(cache_folder() / "downloads" / name for name in names[:1])]


def find(folders: Iterable[Path], names: Iterable[str]) -> Path | None:
    """The first of `names` in the first of `folders` that has it."""
    wanted = list(names)
    for folder in folders:
        for name in wanted:
            if (folder / name).is_file():
                return folder / name
    return None


def missing(name: str, wanted: str, looked: Iterable[Path], download: bool | None) -> DataError:
    """The error for files that are nowhere."""
    places = ", ".join(dict.fromkeys(map(str, looked))) or "no folder is set: give path, or set CRUCIS_DATA"
    offer = f"; or write {{{name}: {{download: true}}}}" if download is False else ""
    return DataError(f"{name}: no {wanted} (looked in: {places}); give its folder with --data DIR{offer}")


def read_gzip(path: Path) -> bytes:
    """The content of a file, unpacked if it ends in `.gz`.

    Raises:
        DataError: truncated or damaged.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged: {error}") from None


def read_idx(path: Path) -> np.ndarray:
    """An idx file of unsigned bytes (plain or gzip) as uint8 of its own shape.

    Raises:
        DataError: not an idx file, another element type, or a length that the header contradicts.
    """
    data = read_gzip(path)
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != 8:
        raise DataError(f"{path}: no idx file of unsigned bytes (it starts with {data[:4].hex() or 'nothing'})")
    axes = data[3]
    start = 4 + 4 * axes
    shape = tuple(int.from_bytes(data[i : i + 4], "big") for i in range(4, start, 4))
    expected = start + prod(shape)
    if len(data) != expected:
        raise DataError(f"{path}: the header announces {expected} bytes {shape}, the file has {len(data)}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def checksum(path: Path, kind: str) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def download(files: Mapping[str, Remote], folder: Path) -> None:
    """Fetch the files that `folder` lacks. Each is checked before it gets its name.

    Raises:
        DataError: not reachable, or other bytes than published; nothing wrong is left behind.
    """
    from urllib.error import URLError
    from urllib.request import urlopen

    folder.mkdir(parents=True, exist_ok=True)
    for name, remote in files.items():
        target = folder / name
        if target.is_file():
            continue
        part = target.with_name(f"{name}.{os.getpid()}.part")
        try:
            with urlopen(remote.url, timeout=60) as answer, part.open("wb") as file:
                while block := answer.read(1 << 20):
                    file.write(block)
            kind = "md5" if len(remote.checksum) == 32 else "sha256"
            got = checksum(part, kind)
            if got != remote.checksum:
                raise DataError(f"{remote.url}: {kind} {got} in place of {remote.checksum}; nothing was kept")
            part.replace(target)
        except (URLError, OSError) as error:
            raise DataError(f"{remote.url}: could not be fetched: {error}") from None
        finally:
            part.unlink(missing_ok=True)
