"""Reading files that a stranger wrote: sizes, headers and records are checked before anything is allocated or believed.

JSON is read with limits of size and depth, each key once and finite numbers only; of arrays and tensors only the
headers are read, and what they announce must be what the file holds. Nothing here unpickles or runs anything.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..canon import sha256, step_key
from ..errors import REASON_CODES
from . import drafts
from .steps import EngineError

MAX_JSON = 1_000_000  # bytes of a JSON text
MAX_DEPTH = 64
MAX_HEADER = 64_000_000  # bytes of a safetensors header
MAX_GROWTH = 200  # expanded bytes per stored byte

_NPY_HEADER = re.compile(
    r"\{'descr': '([<>|=]?)([a-zA-Z])(\d*)', 'fortran_order': (?:True|False), 'shape': \(([0-9, ]*)\), \}\s*"
)
_ARRAY_KINDS = "biufcSU"  # no objects, no structures
_WIDTHS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32,
    "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
}  # fmt: skip
_DIGEST = re.compile(r"[0-9a-f]{64}")
#: What reading a damaged archive raises in the standard library.
ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError,
    OverflowError, KeyError, IndexError,
)  # fmt: skip


class BundleError(EngineError):
    """A bundle, or a file in one, that is refused; the text says which rule it breaks."""


# -- JSON ---------------------------------------------------------------------------------------------------------


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(n for n in names if names.count(n) > 1)!r} stands there twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _depth(value: Any) -> int:
    depth, layer = 0, [value]
    while layer := [item for item in layer if isinstance(item, (dict, list))]:
        depth += 1
        if depth > MAX_DEPTH:
            break
        layer = [inner for item in layer for inner in (item.values() if isinstance(item, dict) else item)]
    return depth


def read_json(data: bytes, name: str, limit: int = MAX_JSON) -> Any:
    """The value of a JSON text.

    Args:
        data: the whole text, UTF-8.
        name: what the text is called in an error.
        limit: most bytes.

    Raises:
        BundleError: too long, too deep, not JSON, a key twice, NaN or an infinity, a lone surrogate.
    """
    if len(data) > limit:
        raise BundleError(f"{name}: {len(data):,} bytes of JSON, at most {limit:,}")
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
        if _depth(value) > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # `\\ud800` is JSON and no text
    except RecursionError:
        raise BundleError(f"{name}: nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise BundleError(f"{name}: {error}") from None
    return value


def read_mapping(data: bytes, name: str, limit: int = MAX_JSON) -> dict[str, Any]:
    """As `read_json`, for a text that must be a mapping."""
    value = read_json(data, name, limit)
    if not isinstance(value, dict):
        raise BundleError(f"{name}: a {type(value).__name__} where a mapping is expected")
    return value


# -- arrays and tensors -------------------------------------------------------------------------------------------


def check_npz(path: Path, name: str) -> None:
    """Hold the headers of an npz file against its sizes: shape times item size is what each array occupies.

    Raises:
        BundleError: a header that announces more or less than is there, an array of objects, an array twice.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if len(set(names)) != len(names):
                raise BundleError(f"{name}: an array stands there twice")
            if sum(entry.file_size for entry in entries) > MAX_GROWTH * path.stat().st_size:
                raise BundleError(f"{name}: its arrays would take more than {MAX_GROWTH} times the file")
            for entry in entries:
                if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise BundleError(f"{name}: {entry.filename} is encrypted, or packed in a way that is not read")
                with archive.open(entry) as file:
                    announced, offset = _npy_size(file.read(1 << 16), f"{name}: {entry.filename}")
                if announced + offset != entry.file_size:
                    raise BundleError(
                        f"{name}: {entry.filename} announces {announced:,} bytes and has {entry.file_size - offset:,}"
                    )
            if (damaged := archive.testzip()) is not None:
                raise BundleError(f"{name}: {damaged} is damaged")
    except ZIP_ERRORS as error:
        raise BundleError(f"{name}: {error}") from None


def _npy_size(head: bytes, name: str) -> tuple[int, int]:
    """Bytes that the header of an npy text announces, and where they begin."""
    if head[:6] != b"\x93NUMPY" or head[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise BundleError(f"{name} is no array")
    wide = 2 if head[6] == 1 else 4
    start = 8 + wide
    length = int.from_bytes(head[8:start], "little")
    text = head[start : start + length]
    match = _NPY_HEADER.fullmatch(text.decode("latin-1")) if len(text) == length else None
    if match is None or match[2] not in _ARRAY_KINDS:
        raise BundleError(f"{name} is no array of plain numbers or texts")
    item = int(match[3] or 0) * (4 if match[2] == "U" else 1)
    count = math.prod(int(part) for part in match[4].replace(" ", "").split(",") if part)
    return count * item, start + length


def check_safetensors(path: Path, name: str) -> None:
    """Hold the header of a safetensors file against its size: offsets without gap or overlap, each tensor as long as
    its shape and type say.

    Raises:
        BundleError: a header that does not describe exactly the bytes that follow it.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0] if size >= 8 else size
        if length > min(size - 8, MAX_HEADER):
            raise BundleError(f"{name}: the header announces {length:,} bytes, the file has {size:,}")
        header = read_mapping(file.read(length), f"{name}: header", MAX_HEADER)
    extents = []
    for tensor, about in header.items():
        if tensor == "__metadata__":
            if not isinstance(about, dict) or not all(isinstance(text, str) for text in about.values()):
                raise BundleError(f"{name}: the metadata are no texts")
            continue
        extents.append(_extent(about, f"{name}: {tensor}"))
    reached = 0
    for begin, end in sorted(extents):
        if begin != reached:
            raise BundleError(f"{name}: its tensors overlap or leave a gap at byte {reached:,}")
        reached = end
    if reached != size - 8 - length:
        raise BundleError(f"{name}: its tensors take {reached:,} bytes, the file has {size - 8 - length:,} for them")


def _extent(about: Any, name: str) -> tuple[int, int]:
    shape = about.get("shape") if isinstance(about, dict) else None
    offsets = about.get("data_offsets") if isinstance(about, dict) else None
    width = _WIDTHS.get(str(about.get("dtype"))) if isinstance(about, dict) else None
    if not (isinstance(shape, list) and isinstance(offsets, list) and _counts(shape) and _counts(offsets)):
        raise BundleError(f"{name} has no shape and place")
    if width is None or len(offsets) != 2:
        raise BundleError(f"{name} has no known type, or no place")
    begin, end = offsets
    if (end - begin) * 8 != math.prod(shape) * width:
        raise BundleError(f"{name} has {end - begin:,} bytes, which its shape {shape} does not fill exactly")
    return begin, end


def _counts(value: list[Any]) -> bool:
    return all(type(item) is int and 0 <= item < 1 << 48 for item in value)


# -- records ------------------------------------------------------------------------------------------------------


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _reason(value: Any) -> bool:
    return value is None or (
        isinstance(value, dict)
        and value.keys() == {"code", "text", "where"}
        and all(map(_text, value.values()))
        and value["code"] in REASON_CODES
    )


def _cost(value: Any) -> bool:
    seconds = value.get("wall_s") if isinstance(value, dict) else None
    return isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds >= 0


def _files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        drafts.FILE_NAME.fullmatch(name) and name != drafts.RECORD and isinstance(about, dict)
        and type(about.get("bytes")) is int and about["bytes"] >= 0 and _text(about.get("role"))
        and isinstance(about.get("sha256"), str) and _DIGEST.fullmatch(about["sha256"])
        for name, about in value.items()
    )  # fmt: skip


_SHAPE: Mapping[str, Callable[[Any], bool]] = {
    "format": lambda value: value == drafts.FORMAT,
    "key": _text,
    "spec": lambda value: isinstance(value, dict) and isinstance(value.get("kind"), str),
    "outcome": lambda value: value in drafts.OUTCOMES,
    "reason": _reason,
    "values": _mapping,
    "uncertainty": _mapping,
    "files": _files,
    "attempt": _mapping,
    "numerics": _mapping,
    "environment": _text,
    "notes": _mapping,
    "cost": _cost,
    "time": lambda value: isinstance(value, dict) and all(map(_text, value.values())),
    "content": _text,
    "seal": _text,
}


def check_record(data: bytes, key: str) -> dict[str, Any]:
    """The body of a record that a stranger sent: seal, key, digests and the shape of every part hold.

    Says that the key asks the question of the spec; not that the answer is true.

    Raises:
        BundleError: what does not fit.
    """
    name = f"record {key[:12]}"
    body = read_mapping(data, name, drafts.MAX_RECORD)
    if body.keys() != _SHAPE.keys():
        odd = sorted(body.keys() ^ _SHAPE.keys())
        raise BundleError(f"{name}: {odd[0]!r} is {'missing' if odd[0] in _SHAPE else 'no part of a record'}")
    for part, fits in _SHAPE.items():
        # A checkpoint has no cost of its own: that of its training holds it.
        if not fits(body[part]) and not (part == "cost" and body[part] == {} and body["spec"].get("kind") == "at"):
            raise BundleError(f"{name}: '{part}' has another form than in a record")
    try:
        drafts.unsealed(data.decode("utf-8"))
        inner = {part: value for part, value in body.items() if part != "seal"}
        if drafts.sealed_text(inner) != data:
            raise ValueError("the text is not in its canonical form")
        if body["key"] != key or step_key(body["spec"]) != key:
            raise ValueError("the key does not belong to the spec")
        if drafts.content_digest(body) != body["content"]:
            raise ValueError("the content has another digest than the record says")
        if drafts.numerics_block(body["numerics"], body["spec"])["hash"] != body["numerics"].get("hash"):
            raise ValueError("the numerics have another digest than the record says")
    except (ValueError, TypeError) as error:
        raise BundleError(f"{name}: {error}") from None
    return body


def check_named(data: bytes, digest: str, name: str) -> None:
    """Whether a text has the digest that names it.

    Raises:
        BundleError: if not.
    """
    if sha256(data) != digest:
        raise BundleError(f"{name}: its content has another digest than its name")


CHECKS: Mapping[str, Callable[[Path, str], None]] = {"npz": check_npz, "safetensors": check_safetensors}
