"""A small honest bundle, and archives made by hand: every entry as a hostile hand would write it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np

from crucis.canon import canonical, digest, sha256, step_key
from crucis.engine import drafts
from crucis.engine.store import Store
from crucis.records import Result

STUDY = b"study: small\nfactors: {net: [mlp]}\nstages:\n  model: {train: supervised, net: $net, data: digits}\n"
ABOUT = {
    "crucis": {"version": "0.1.0", "source": "0" * 64},
    "study": {"name": "small", "preset": None, "file": "small.yaml", "sets": []},
    "planned": 2,
    "records": 2,
    "needs": [],
    "python": "3.11.0",
}


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def tensors(header: dict | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def good_tensors() -> bytes:
    header = {
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BOOL", "shape": [], "data_offsets": [24, 25]},
        "empty": {"dtype": "F64", "shape": [0, 4], "data_offsets": [25, 25]},
    }
    return tensors(header, bytes(range(25)))


def record(store: Store, spec: dict, values: dict, files: dict[str, bytes] | None = None, **more) -> str:
    """Commit a record and return its key."""
    key = step_key(spec)
    out = store.workfolder(key)
    for name, data in (files or {}).items():
        Path(out, name).write_bytes(data)
    more.setdefault("environment", store.environment({"host": "host-001", "python": "3.11.0", "packages": {}}))
    store.commit(
        drafts.Draft(
            key, spec, Result(values=values), out, attempt={"id": os.urandom(8).hex(), "number": 1},
            numerics={"device": "cpu"}, cost={"wall_s": 0.5, "cpu_s": 0.5}, time={"begun": "a", "ended": "b"}, **more,
        )
    )  # fmt: skip
    return key


def honest(folder: Path) -> dict[str, bytes]:
    """Entries of a bundle in which everything holds."""
    store = Store(folder / "from")
    first = record(store, {"kind": "train/t", "seed": 1}, {"accuracy": 0.5}, {
        "curve.npz": npz(step=np.arange(3), loss=np.ones(3, np.float32)), "model.safetensors": good_tensors(),
    })  # fmt: skip
    record(store, {"kind": "measure/m", "inputs": {"of": first}}, {"norm": 2.0, "by": {"1": 3}})
    files = {"study/small.yaml": STUDY, "lock.txt": b"numpy==0.0.1\n", "README.txt": b"small\n"}
    for path in sorted((store.path / "steps").glob("*/*/*")):
        files[f"records/{path.parent.name}/{path.name}"] = path.read_bytes()
    for path in (store.path / "environments").iterdir():
        files[f"environments/{path.name}"] = path.read_bytes()
    text = {"study": "small", "seeds": [42]}
    line = {"digest": digest(text), "time": "2026-01-01T00:00:00Z", "results": 0, "seeds": [42], "text": text}
    files["ledger/registrations/1.json"] = canonical(line).encode()
    return files


def resealed(data: bytes, **changes) -> bytes:
    """A record with other parts whose content digest and seal fit again: only its meaning lies."""
    body = {name: value for name, value in json.loads(data).items() if name != "seal"}
    body.update(changes)
    body["content"] = drafts.content_digest(body) if "content" not in changes else changes["content"]
    return drafts.sealed_text(body)


def with_file(files: dict[str, bytes], name: str, data: bytes) -> dict[str, bytes]:
    """The entries with another file in the first record that has one of this name; the record lists it truly."""
    entry = next(path for path in files if path.endswith(f"/{name}"))
    home = f"{entry.rpartition('/')[0]}/record.json"
    listed = json.loads(files[home])["files"]
    listed[name] = {**listed[name], "bytes": len(data), "sha256": sha256(data)}
    return {**files, entry: data, home: resealed(files[home], files=listed)}


def contents(files: dict[str, bytes], about: dict | None = None) -> bytes:
    listed = [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
    ]
    return json.dumps({**(about or ABOUT), "format": 1, "files": listed}).encode()


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def archive(
    path: Path, files: dict[str, bytes], *, extra: list[tuple[zipfile.ZipInfo, bytes]] = (), about: dict | None = None,
    first: bytes | None = None,
) -> Path:  # fmt: skip
    """A zip of the entries; `extra` entries are listed too, and written after the others in whatever form they have."""
    listed = {**files, **{info.filename: data for info, data in extra}}
    with zipfile.ZipFile(path, "w") as out:
        out.writestr(entry("bundle.json"), contents(listed, about) if first is None else first)
        for name, data in files.items():
            out.writestr(entry(name), data)
        for info, data in extra:
            out.writestr(info, data, compress_type=info.compress_type)
    return path
