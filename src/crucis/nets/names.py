"""Names of foreign architectures, checked against lists that ship with the package, before torch is imported."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ..errors import did_you_mean
from .blocks import NetError


@cache
def known(package: str) -> tuple[str, ...]:
    """The architectures of `timm` or `torchvision`, sorted, as of the versions in the file's first line."""
    text = (Path(__file__).parent / f"{package}_models.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.split("\n") if line and not line.startswith("#"))


def check_name(package: str, name: str) -> None:
    """Refuse an unknown architecture.

    Raises:
        NetError: with the nearest known name.
    """
    if name not in known(package):
        raise NetError(f"{package} has no model '{name}'.{did_you_mean(name, known(package))}")
