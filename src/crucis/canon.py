"""One canonical text for every value that identifies something, and the digests made of it."""

from __future__ import annotations

import hashlib
import json
import math
import unicodedata
from collections.abc import Mapping
from typing import Any

STEP = "crucis-step-1"


def _text(value: str, path: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{path or 'value'}: a lone surrogate cannot be written as UTF-8") from None
    return unicodedata.normalize("NFC", value)


def _mapping(value: Mapping[Any, Any], path: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, item in value.items():
        if not isinstance(name, str):
            raise TypeError(f"{path or 'value'}: the key {name!r} is no text")
        plain = _text(name, path)
        if plain in out:
            raise ValueError(f"{path or 'value'}: two keys become equal after normalisation: {plain!r}")
        out[plain] = plainly(item, f"{path}.{plain}" if path else plain)
    return out


def plainly(value: Any, path: str = "") -> Any:
    """The value as JSON types, or an error that names the path of what has no canonical form.

    Raises:
        TypeError: bytes, sets, dates, paths, arrays, low-precision numpy scalars, arbitrary objects.
        ValueError: NaN, infinities, lone surrogates, keys that meet after NFC.
    """
    kind = type(value)
    if kind is bool or kind is int or value is None:
        return value
    if kind is str:
        return _text(value, path) if not value.isascii() else value
    if kind is float:
        if not math.isfinite(value):
            raise ValueError(f"{path or 'value'}: {value} has no canonical form")
        return 0.0 if value == 0.0 else value
    if isinstance(value, Mapping):
        return _mapping(value, path)
    if isinstance(value, (list, tuple)):
        return [plainly(item, f"{path}[{i}]") for i, item in enumerate(value)]
    return _numpy(value, path)


def _numpy(value: Any, path: str) -> Any:
    name = type(value).__name__
    if type(value).__module__ == "numpy":
        if name in ("bool", "bool_"):
            return bool(value)
        if name.startswith(("int", "uint")) and not hasattr(value, "__len__"):
            return int(value)
        if name == "float64":
            return plainly(float(value), path)
        if name in ("float32", "float16"):
            raise TypeError(f"{path or 'value'}: {name} has no exact decimal form; write float(x)")
    if isinstance(value, str):
        return _text(str(value), path)
    raise TypeError(f"{path or 'value'}: {name} has no canonical form")


def canonical(value: Any) -> str:
    """UTF-8 JSON, keys sorted by code point, no spaces, floats by shortest round trip."""
    return json.dumps(plainly(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def sha256(data: bytes | str) -> str:
    """64 lower-case hexadecimal digits."""
    return hashlib.sha256(data.encode("utf-8") if isinstance(data, str) else data).hexdigest()


def digest(value: Any) -> str:
    """SHA-256 of the canonical text."""
    return sha256(canonical(value))


def step_key(spec: Mapping[str, Any]) -> str:
    """The identity of a step: SHA-256 of a format line and the canonical text of its spec."""
    return sha256(f"{STEP}\n{canonical(spec)}")
