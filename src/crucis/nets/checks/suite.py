"""All checks in the order in which they are read, and the one that is cheap enough to stand before every run."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ...errors import CrucisError
from . import parts, whole
from .subject import Finding, Subject

CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "shapes": whole.shapes, "gradients": whole.gradients, "stability": whole.stability,
    "determinism": whole.determinism, "initial_loss": whole.initial_loss, "memorises": whole.memorises,
    "used": parts.used, "costs": parts.costs, "baseline": parts.baseline,
}  # fmt: skip


def run(subject: Subject) -> list[Finding]:
    """Every finding; a check that cannot be made is a bad finding with what the network said.

    Cost: about 40 forward and backward passes of a batch, 8 more per component, and up to 600 on 16 examples.
    """
    torch.set_num_threads(1)  # as the workers that train
    out: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            out += check(subject)
        except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, IndexError, CrucisError) as error:
            first = f"{type(error).__name__}: {error}".splitlines()[0]
            out.append(Finding(name, subject.name, "bad", f"the network stopped with {first}"))
            if name == "shapes":
                break  # nothing else can be made
    return out
