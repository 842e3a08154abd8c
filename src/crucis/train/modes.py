"""Switches of torch that a run needs, set for its duration and put back: determinism and the precision of fp32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from ..errors import Refusal

#: Precisions of the forward pass over weights in fp32.
HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}

_NO_DETERMINISTIC_FORM = "does not have a deterministic implementation"


@contextmanager
def modes(determinism: str, precision: str, device: str) -> Iterator[None]:
    """Run a block under `determinism` (`strict` or `fast`) and `precision`.

    `strict`: deterministic operators only, no cuDNN benchmark, no TF32 (unless `tf32` is the precision). What was set
    before is put back, also after an exception.

    Raises:
        Refusal: `unsupported`, for tf32 off a CUDA device, or an operator without a deterministic form.
    """
    if precision == "tf32" and not device.startswith("cuda"):
        raise Refusal(
            "unsupported", f"tf32 is a mode of CUDA matrix units and this run is on {device}; use fp32 or bf16"
        )
    before = _read()
    try:
        strict = determinism == "strict"
        torch.use_deterministic_algorithms(strict)
        # Filling fresh memory costs a pass over it and could only hide a read of unset memory.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = not strict
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        yield
    except RuntimeError as error:
        if _NO_DETERMINISTIC_FORM not in str(error):
            raise
        text = str(error).split("You can turn off")[0].strip()
        raise Refusal("unsupported", f"{text} Run with --fast, or change the network.") from error
    finally:
        _write(before)


def _read() -> tuple[Any, ...]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
    )


def _write(state: tuple[Any, ...]) -> None:
    torch.use_deterministic_algorithms(state[0], warn_only=state[1])
    torch.utils.deterministic.fill_uninitialized_memory = state[2]  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = state[3]
    torch.backends.cuda.matmul.allow_tf32 = state[4]
    torch.backends.cudnn.allow_tf32 = state[5]


def autocast(precision: str, device: str) -> AbstractContextManager[Any]:
    """The context of a forward pass: bf16 or fp16 autocast over fp32 weights, or nothing."""
    if precision in HALF:
        return torch.autocast(torch.device(device).type, dtype=HALF[precision])
    return nullcontext()
