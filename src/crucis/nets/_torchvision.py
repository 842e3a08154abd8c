"""torchvision and timm, imported so that a torch build without torchvision's compiled operators can load them.

torchvision registers shape rules for `torchvision::nms` and friends at import and fails where its compiled library does
not load (CPU builds). No net here uses these operators; declaring their schemas is enough. Nothing is declared where
torchvision brings its own. Every import of either package goes through this file.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from .blocks import NetError

_SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}
#: The libraries that hold the declared schemas; they vanish when collected.
_kept: list[Any] = []


def _compiled() -> bool:
    """Whether torchvision's compiled operators load into this torch; found beside the package, without importing it."""
    from importlib.util import find_spec

    import torch

    spec = find_spec("torchvision")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob("_C*.so")) + sorted(Path(folder).glob("_C*.pyd")):
            try:
                torch.ops.load_library(str(path))
                return True
            except OSError:
                continue
    return False


def _declare() -> None:
    import torch

    for name, schema in _SCHEMAS.items():
        if not hasattr(torch.ops.torchvision, name):
            library = torch.library.Library("torchvision", "FRAGMENT")
            library.define(schema)
            _kept.append(library)


@cache
def torchvision() -> ModuleType:
    """The package torchvision.

    Raises:
        NetError: it is not installed.
    """
    if not _compiled():
        _declare()
    try:
        import torchvision as module
    except ImportError as error:
        raise NetError(f"torchvision is not installed ({error}); pip install 'crucis[timm]'") from None
    return module


@cache
def timm() -> ModuleType:
    """The package timm, with its models registered.

    Raises:
        NetError: it is not installed.
    """
    torchvision()
    try:
        import timm as module
    except ImportError as error:
        raise NetError(f"timm is not installed ({error}); pip install 'crucis[timm]'") from None
    return module
