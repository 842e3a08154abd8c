"""Weights on disk: safetensors whose bytes depend on the content alone, ties kept, strides of the target kept.

Plain safetensors orders metadata differently between processes, refuses tied tensors, and forgets channels-last
strides, after which a fused optimiser trains other weights. Hence: one metadata key at most, canonical; each storage
once, with its other names as aliases; contiguous on disk; values copied into the target's own layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..canon import canonical
from ..errors import CrucisError

if TYPE_CHECKING:
    from torch import Tensor, nn

#: The single metadata key.
KEY = "crucis"


class WeightsError(CrucisError):
    """Weights that cannot be read or do not fit the network."""


def _identity(tensor: Tensor) -> tuple[object, ...]:
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), str(tensor.device))


def _overlapping(tensor: Tensor) -> bool:
    """Whether two elements share memory (an expanded tensor)."""
    return any(stride == 0 and size > 1 for stride, size in zip(tensor.stride(), tensor.shape, strict=True))


def save_weights(path: Path, module_or_state: nn.Module | Mapping[str, Tensor]) -> None:
    """Write a module's state (parameters and persistent buffers) or a mapping of tensors.

    Tensors that are the same memory are written once, under the first name in alphabetical order; the others become
    aliases. Equal content gives equal bytes in every process.

    Args:
        path: target file; replaced at once when complete.
        module_or_state: a module, or name -> tensor.
    """
    from safetensors.torch import save

    if isinstance(module_or_state, Mapping):
        state = dict(module_or_state)
    else:
        state = module_or_state.state_dict(keep_vars=False)
    first: dict[tuple[object, ...], str] = {}
    plain: dict[str, Tensor] = {}
    alias: dict[str, str] = {}
    for name in sorted(state):
        tensor = state[name].detach()
        key = _identity(tensor)
        if tensor.numel() and not _overlapping(tensor) and key in first:
            alias[name] = first[key]
            continue
        first[key] = name
        # A view of a larger storage is cloned, or safetensors would write or refuse the whole storage.
        dense = tensor.contiguous().cpu()
        plain[name] = dense.clone() if dense.untyped_storage().nbytes() != dense.nbytes else dense
    shared = _still_shared(plain)
    metadata = {KEY: canonical({"alias": alias})} if alias else None
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(save({n: t.clone() if n in shared else t for n, t in plain.items()}, metadata))
    part.replace(path)


def _still_shared(tensors: Mapping[str, Tensor]) -> set[str]:
    """Names whose memory another name uses in another shape: they are written separately."""
    seen: set[int] = set()
    out = set()
    for name, tensor in tensors.items():
        if tensor.numel() and tensor.data_ptr() in seen:
            out.add(name)
        seen.add(tensor.data_ptr())
    return out


def load_weights(path: Path) -> dict[str, Tensor]:
    """Name -> tensor on the CPU, contiguous; aliases are the same tensor object as their first name.

    Raises:
        WeightsError: missing, truncated or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            metadata = file.metadata() or {}
        for name, other in json.loads(metadata.get(KEY, "{}")).get("alias", {}).items():
            state[name] = state[other]
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: no readable weights: {error}") from None
    return dict(sorted(state.items()))


def restore(module: nn.Module, path: Path) -> None:
    """Copy the weights of a file into a module, in place: its tensors keep identity, strides, device and type.

    Raises:
        WeightsError: unreadable, or names, shapes or types differ; the module is then unchanged.
    """
    import torch

    state, target = load_weights(path), module.state_dict(keep_vars=True)
    lacking, foreign = sorted(set(target) - set(state)), sorted(set(state) - set(target))
    if lacking or foreign:
        what = f"lacks {lacking[0]}" if lacking else f"has {foreign[0]}, which the network lacks"
        raise WeightsError(f"{path}: other network: the file {what} ({len(lacking) + len(foreign)} differences)")
    for name, tensor in target.items():
        if tensor.shape != state[name].shape or tensor.dtype != state[name].dtype:
            raise WeightsError(
                f"{path}: {name} is {state[name].dtype} {tuple(state[name].shape)} in the file and "
                f"{tensor.dtype} {tuple(tensor.shape)} in the network"
            )
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(state[name])
