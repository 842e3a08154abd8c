"""Bundles: one archive of a study, its records and what they rest on; written with equal bytes for equal content.

A bundle is a zip. `bundle.json` comes first and lists every other entry with its size and SHA-256. Reading trusts
nothing: the directory is judged before any byte is unpacked, every byte is counted while it is written, and only a
whole bundle in which everything holds is handed on. Nothing of a bundle is run here.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from . import disk
from .strangers import MAX_GROWTH, ZIP_ERRORS, BundleError, read_mapping

FORMAT = 1
CONTENTS = "bundle.json"
MAX_ENTRIES = 200_000
MAX_BYTES = 50 * 10**9
MAX_CONTENTS = 64_000_000
_CHUNK = 1 << 20
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the zip format knows no earlier time
#: Errors of the disk that is written to, not of the archive that is read.
_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.EIO)
_TAIL = b"PK\x05\x06"

#: Entries whose names Crucis makes itself, and entries that keep the names that a user or a report gave them.
_OWN = re.compile(r"(records/[0-9a-f]{64}|environments|ledger/(registrations|unsealings))/[a-z0-9][a-z0-9._-]{0,99}")
_GIVEN = re.compile(r"(study|report|code/[0-9a-f]{64})(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){1,8}")
_TOP = (CONTENTS, "lock.txt", "README.txt")
EXTENSIONS = frozenset(
    (
        "json", "safetensors", "npz", "txt", "csv", "yaml", "yml", "py", "html", "svg", "png", "pdf", "tex", "md",
        "cff", "bib",
    )
)  # fmt: skip
#: Names that mean a device where the file system is that of Windows.
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One file of a bundle as `bundle.json` lists it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What a bundle says of itself: `about` is `bundle.json` without the list."""

    about: Mapping[str, Any]
    entries: Mapping[str, Entry]

    def within(self, folder: str) -> Iterator[str]:
        """Names of the entries below a folder, sorted."""
        yield from sorted(name for name in self.entries if name.startswith(f"{folder}/"))


def fits(name: str) -> bool:
    """Whether an entry of a bundle may have this name."""
    if name in _TOP:
        return True
    parts = name.split("/")
    return (
        (_OWN.fullmatch(name) or _GIVEN.fullmatch(name)) is not None
        and parts[-1].rpartition(".")[2].lower() in EXTENSIONS
        and not any(_DEVICES.match(part) or part.endswith(".") for part in parts)
    )


# -- writing ------------------------------------------------------------------------------------------------------


def write(path: Path, about: Mapping[str, Any], files: Mapping[str, bytes | Path]) -> str:
    """Write a bundle and return its SHA-256. Equal arguments give equal bytes on every machine: the entries are
    sorted, stored unpacked (packers differ between versions) and carry no time.

    Args:
        path: the archive; replaced whole if it exists.
        about: what the bundle says of itself, JSON values.
        files: name of the entry -> its bytes, or the file that has them.

    Raises:
        BundleError: a name that no bundle may hold.
        OSError: the disk.
    """
    for name in files:
        if not fits(name) or name == CONTENTS:
            raise BundleError(f"'{name}' cannot be an entry of a bundle")
    _no_twins(files)
    listed = [
        {"name": name, "bytes": _size(source), "sha256": _digest(source)} for name, source in sorted(files.items())
    ]
    contents = json.dumps({**about, "format": FORMAT, "files": listed}, sort_keys=True, indent=1, ensure_ascii=False)
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with zipfile.ZipFile(draft, "x", allowZip64=True) as archive:
            archive.writestr(_info(CONTENTS), contents.encode("utf-8"))
            for name, source in sorted(files.items()):
                if isinstance(source, bytes):
                    archive.writestr(_info(name), source)
                else:
                    info = _info(name)
                    info.file_size = source.stat().st_size  # so that the header is final from the beginning
                    with source.open("rb") as reader, archive.open(info, "w") as writer:
                        while chunk := reader.read(_CHUNK):
                            writer.write(chunk)
        digest = disk.file_sha256(str(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return digest


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    return info


def _size(source: bytes | Path) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _digest(source: bytes | Path) -> str:
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else disk.file_sha256(str(source))


def _no_twins(names: Any) -> None:
    """Names that a file system without case, or one that wants a file and a folder in one place, cannot tell apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise BundleError(f"'{name}' and '{other}' differ in upper and lower case only")
    for name in seen:
        parts = name.split("/")
        for count in range(1, len(parts)):
            if "/".join(parts[:count]) in seen:
                raise BundleError(f"'{name}' lies in a folder that is also a file")


# -- reading ------------------------------------------------------------------------------------------------------


def survey(path: Path) -> Contents:
    """Judge a bundle by its directory and its list of contents, before anything of it is unpacked.

    Raises:
        BundleError: too many or too large entries, names that leave the folder, are there twice or differ in case
            only, links, encryption, a list that does not fit the entries.
        OSError: the file cannot be read.
    """
    if not path.is_file():
        raise BundleError(f"no bundle {path}")
    try:
        _count_first(path)
        with zipfile.ZipFile(path) as archive:
            found = archive.infolist()
            _judge(found)
            if not found or found[0].filename != CONTENTS or found[0].file_size > MAX_CONTENTS:
                raise BundleError(f"its first entry is no {CONTENTS} of at most {MAX_CONTENTS:,} bytes")
            with archive.open(found[0]) as file:
                body = read_mapping(_bounded(file, found[0].file_size, CONTENTS), CONTENTS, MAX_CONTENTS)
        entries = _listed(body)
        there = {entry.filename: entry.file_size for entry in found[1:]}
        if there != {entry.name: entry.bytes for entry in entries.values()}:
            odd = sorted(there.keys() ^ entries.keys()) or [n for n in there if there[n] != entries[n].bytes]
            raise BundleError(f"'{odd[0]}' is not as {CONTENTS} lists it")
    except BundleError as error:
        raise BundleError(f"{path.name} is refused: {error}") from None
    except ZIP_ERRORS as error:
        raise BundleError(f"{path.name} is no readable bundle: {error}") from None
    return Contents({name: value for name, value in body.items() if name != "files"}, entries)


def _count_first(path: Path) -> None:
    """Refuse a directory that is too long before it is read into memory."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - (1 << 16) - 22))
        tail = file.read()
    at = tail.rfind(_TAIL)
    if at < 0 or len(tail) < at + 22:
        raise BundleError("it is no zip archive, or not all of it is there")
    # Each entry of the directory takes at least 46 bytes; bundles of more than 65,535 entries state ZIP64 numbers.
    length = int.from_bytes(tail[at + 12 : at + 16], "little")
    count = int.from_bytes(tail[at + 10 : at + 12], "little")
    if count == 0xFFFF or length == 0xFFFFFFFF:
        wide = tail.rfind(b"PK\x06\x06", 0, at)
        if wide < 0 or len(tail) < wide + 56:
            raise BundleError("its directory has no end")
        count = int.from_bytes(tail[wide + 32 : wide + 40], "little")
        length = int.from_bytes(tail[wide + 40 : wide + 48], "little")
    if count > MAX_ENTRIES or length > MAX_ENTRIES * 1000:
        raise BundleError(f"it has {count:,} entries, at most {MAX_ENTRIES:,} are taken")


def _judge(found: list[zipfile.ZipInfo]) -> None:
    if len(found) > MAX_ENTRIES:
        raise BundleError(f"it has {len(found):,} entries, at most {MAX_ENTRIES:,} are taken")
    if sum(entry.file_size for entry in found) > MAX_BYTES:
        raise BundleError(f"it would take more than {MAX_BYTES:,} bytes")
    names = [entry.filename for entry in found]
    for entry in found:
        name = entry.filename
        if name != entry.orig_filename or not fits(name):
            raise BundleError(f"{entry.orig_filename[:200]!r} is no name that a bundle holds")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG) or entry.external_attr & 0x10 or entry.is_dir():
            raise BundleError(f"'{name}' is no plain file")
        if entry.flag_bits & 0x2041:
            raise BundleError(f"'{name}' is encrypted")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(f"'{name}' is packed in a way that is not read")
        if entry.file_size > MAX_GROWTH * max(entry.compress_size, 1):
            raise BundleError(f"'{name}' would grow to more than {MAX_GROWTH} times its size")
    if len(set(names)) != len(names):
        raise BundleError(f"'{next(n for n in names if names.count(n) > 1)}' stands there twice")
    _no_twins(names)


def _listed(body: Mapping[str, Any]) -> dict[str, Entry]:
    if body.get("format") != FORMAT:
        raise BundleError(f"it has format {body.get('format')!r}, this program reads {FORMAT}")
    files = body.get("files")
    if not isinstance(files, list):
        raise BundleError(f"{CONTENTS} lists no files")
    out: dict[str, Entry] = {}
    for item in files:
        shape = item.keys() == {"name", "bytes", "sha256"} if isinstance(item, dict) else False
        if not shape or not isinstance(item["name"], str) or type(item["bytes"]) is not int:
            raise BundleError(f"{CONTENTS}: a line of the list has another form than name, bytes, sha256")
        if not isinstance(item["sha256"], str) or item["name"] in out:
            raise BundleError(f"{CONTENTS} lists '{item['name'][:200]}' twice or without a digest")
        out[item["name"]] = Entry(item["name"], item["bytes"], item["sha256"])
    return out


def _bounded(file: IO[bytes], size: int, name: str) -> bytes:
    data = file.read(size + 1)
    if len(data) != size:
        raise BundleError(f"'{name}' has another size than its entry says")
    return data


def unpack(path: Path, contents: Contents, folder: Path) -> None:
    """Write every entry below `folder`, counting; sizes and digests must be those of the list.

    Args:
        path: the archive that `contents` was read from.
        contents: what `survey` returned.
        folder: an empty folder.

    Raises:
        BundleError: an entry with other bytes than the list says.
        OSError: the disk is full or not writable.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in contents.entries.values():
                target = folder / entry.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry.name) as file:
                    _unpack_one(file, entry, target)
    except BundleError as error:
        raise BundleError(f"{path.name} is refused: {error}") from None
    except OSError as error:
        if error.errno in _OURS:
            raise
        raise BundleError(f"{path.name} is no readable bundle: {error}") from None
    except ZIP_ERRORS as error:
        raise BundleError(f"{path.name} is no readable bundle: {error}") from None


def _unpack_one(file: IO[bytes], entry: Entry, target: Path) -> None:
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    seen, count = hashlib.sha256(), 0
    with os.fdopen(handle, "wb") as out:
        while chunk := file.read(_CHUNK):
            count += len(chunk)
            if count > entry.bytes:
                break
            seen.update(chunk)
            out.write(chunk)
    if count != entry.bytes:
        raise BundleError(f"'{entry.name}' has another size than the list says")
    if seen.hexdigest() != entry.sha256:
        raise BundleError(f"'{entry.name}' has other content than the list says")
