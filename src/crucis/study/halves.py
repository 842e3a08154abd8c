"""What a plan says of half precision that will not pay on this machine."""

from __future__ import annotations

from collections.abc import Iterable

from ..engine import machine
from .nodes import Node


def remarks(nodes: Iterable[Node], device: str) -> list[str]:
    """A line where steps ask for bf16 on a processor that has no instructions for it; nothing where it is not known.

    Args:
        nodes: the steps.
        device: as the run is given it; `auto` is a GPU where there is one.
    """
    if device != "cpu" and not (device == "auto" and not machine.has_gpus()):
        return []
    stages = {node.owner: None for node in nodes if node.spec.get("params", {}).get("precision") == "bf16"}
    if not stages or machine.has_bfloat16() is not False:
        return []
    return [
        f"{', '.join(stages)}: this processor has no instructions for bfloat16 (avx512_bf16, amx_bf16), so precision: "
        "bf16 is slower here than fp32 (measured for landscapes: three times), with larger errors; leave it out, or "
        "run on a machine that has them"
    ]
