"""Checkpoints of an unfinished run: two folders in turn, tensors in one safetensors file, the rest sealed JSON.

A folder counts only if its `state.json`, written last, is whole and names the digest of the tensors beside it. A save
that dies anywhere leaves the other folder as it was.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..canon import canonical, sha256

FORMAT = 1
SLOTS = ("a", "b")
TENSORS, STATE = "tensors.safetensors", "state.json"

Fault = Callable[[str], None]


def ignore(text: str) -> None:
    """The fault that does not happen and the warning that nobody reads."""


#: Points of a save at which a fault may be injected, in order.
POINTS = ("begin", "cleared", "half", "tensors", "state", "done")


def save(folder: Path, tensors: Mapping[str, Tensor], plain: Mapping[str, Any], fault: Fault = ignore) -> None:
    """Write a checkpoint over the older of the two slots.

    Args:
        folder: the step's scratch folder.
        tensors: name -> tensor; copied to the host, contiguous.
        plain: JSON values.
        fault: called at each of `POINTS` (tests).
    """
    from safetensors.torch import save as pack

    fault("begin")
    newest = _newest(folder)
    slot = folder / (SLOTS[0] if newest is None or newest[0] == SLOTS[1] else SLOTS[1])
    serial = 1 if newest is None else newest[1]["serial"] + 1
    slot.mkdir(parents=True, exist_ok=True)
    (slot / STATE).unlink(missing_ok=True)  # from here on this slot is void until the new state stands
    fault("cleared")
    data = pack({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()})
    with (slot / TENSORS).open("wb") as file:
        file.write(data[: len(data) // 2])
        fault("half")
        file.write(data[len(data) // 2 :])
        _settle(file)
    fault("tensors")
    body = {"format": FORMAT, "serial": serial, "tensors": sha256(data), **plain}
    part = slot / f"{STATE}.part"
    with part.open("wb") as file:
        file.write(canonical({**body, "seal": sha256(canonical(body))}).encode())
        _settle(file)
    fault("state")
    part.replace(slot / STATE)
    fault("done")


def spare(folder: Path) -> None:
    """Remove the slot that is not the newest, to free its bytes."""
    newest = _newest(folder)
    if newest is not None:
        shutil.rmtree(folder / (SLOTS[1] if newest[0] == SLOTS[0] else SLOTS[0]), ignore_errors=True)


def load(folder: Path, warn: Callable[[str], None] = ignore) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The newest whole checkpoint as (tensors, JSON values), or None.

    Args:
        folder: the step's scratch folder.
        warn: told of a damaged slot.
    """
    from safetensors.torch import load as unpack

    found = [(body["serial"], name, body) for name in SLOTS if (body := _state(folder / name, warn)) is not None]
    for _, name, body in sorted(found, key=lambda item: item[0], reverse=True):
        try:
            data = (folder / name / TENSORS).read_bytes()
        except OSError:
            data = b""
        if sha256(data) == body["tensors"]:
            return unpack(data), body
        warn(f"checkpoint {name}: the tensors are not those that its state names; it is not used")
    return None


def _newest(folder: Path) -> tuple[str, dict[str, Any]] | None:
    found = [(name, body) for name in SLOTS if (body := _state(folder / name, ignore)) is not None]
    return max(found, key=lambda item: item[1]["serial"]) if found else None


def _state(slot: Path, warn: Callable[[str], None]) -> dict[str, Any] | None:
    try:
        body = json.loads((slot / STATE).read_bytes())
        seal = body.pop("seal")
        if body["format"] == FORMAT and sha256(canonical(body)) == seal:
            return body
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        pass
    warn(f"checkpoint {slot.name}: its state is damaged; it is not used")
    return None


def _settle(file: Any) -> None:
    # A checkpoint stands for at least a minute of work, so it is worth a flush to the disk.
    file.flush()
    os.fsync(file.fileno())
