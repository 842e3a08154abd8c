"""Any architecture of timm, untrained, fitted to small images where its family allows.

Below 64 pixels (or with `stem: small`): residual and other convolutional nets get a first convolution of stride 1 and
no stem pooling; ViTs and mixers a patch that gives about 8 patches a side; hierarchical nets with patches a patch of 1;
VGG keeps only the poolings that leave 2 pixels, and a dense head on the global average; attention is not fused, so that
second derivatives exist. Nets that cannot take such images are refused.
Source: R. Wightman, PyTorch Image Models, doi:10.5281/zenodo.4414861.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from . import blocks
from .names import check_name

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
LIMITS = {"patch": "[1, 1024]", "dropout": "[0, 1)", "drop_path": "[0, 1)"}
#: Parameters whose values are names of a shipped list (`nets/timm_models.txt`).
NAMES = {"model": "timm_models.txt"}
#: Parameter sets that the conformance suite builds.
EXAMPLES = [{"model": "test_resnet"}, {"model": "test_vit"}, {"model": "test_efficientnet"}, {"model": "test_convnext"}]


@cache
def _family(model: str) -> tuple[frozenset[str], bool, int]:
    """Constructor parameters, whether stages differ in resolution, and the stride of the first convolution."""
    import inspect

    import torch

    from ..streams import borrowed
    from ._stems import first_convolution
    from ._torchvision import timm

    with borrowed(0), torch.device("meta"):
        probe = timm().create_model(model)
    stages = probe.feature_info if isinstance(getattr(probe, "feature_info", None), list) else []
    reductions = {stage.get("reduction") for stage in stages if isinstance(stage, dict)}
    stride = probe.get_submodule(first_convolution(probe)).stride[0]
    return frozenset(inspect.signature(type(probe).__init__).parameters), len(reductions) > 1, stride


def _sizes(model: str, shape: tuple[int, int, int], small: bool, patch: int | None) -> tuple[dict[str, Any], bool]:
    """Constructor parameters for the image's size, and whether the stem has to be changed after building."""
    accepted, staged, stride = _family(model)
    _, height, width = shape
    out: dict[str, Any] = {}
    patched = "patch_size" in accepted
    if patch is not None and not patched:
        raise blocks.NetError(f"timm: '{model}' has no patches; leave patch out")
    if patched and (small or patch is not None):
        own = 1 if staged else blocks.grid_patch(height, width)
        out["patch_size"] = own if patch is None else patch
    change = small and not patched
    if "img_size" in accepted:
        # Without the stride of the stem, stages see what they would see of a larger image.
        factor = stride if change else 1
        out["img_size"] = (height * factor, width * factor)
    return out, change


def build(
    input: tuple[int, ...],
    classes: int,
    *,
    model: str,
    stem: Literal["auto", "small", "own"] = "auto",
    patch: int | None = None,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        model: name in timm, such as `resnet18`.
        stem: `auto` is `small` below 64 pixels and `own` (timm's) from there.
        patch: side of a patch in pixels, for nets that have patches.
        dropout: dropped before the head, 0 to below 1.
        drop_path: stochastic depth, 0 to below 1.

    Raises:
        NetError: unknown model, no images, or images that the model cannot take.
    """
    from . import _stems
    from ._torchvision import timm

    check_name("timm", model)
    shape = blocks.image("timm", input)
    small = _stems.wants_small(stem, shape)
    sizes, change = _sizes(model, shape, small, patch)
    rates = {name: rate for name, rate in (("drop_rate", dropout), ("drop_path_rate", drop_path)) if rate}
    fixed = {"in_chans": shape[0], "num_classes": classes, **rates}
    try:
        try:
            net = timm().create_model(model, **fixed, **sizes)
        except TypeError as error:
            if "multiple values for keyword argument 'patch_size'" not in str(error):
                raise
            net = _with_patch(model, shape, sizes.pop("patch_size"), {**sizes, **fixed})
        if small:
            _stems.plain_attention(net)
        if change:
            _fit(net, shape, classes)
    except (RuntimeError, AssertionError, ValueError, TypeError, ZeroDivisionError) as error:
        text = " ".join(str(error).split())[:160]
        raise blocks.NetError(f"timm: '{model}' cannot be built for {'x'.join(map(str, shape))}: {text}") from None
    return _stems.checked(net, shape, classes, f"timm: '{model}'")


def _with_patch(model: str, shape: tuple[int, int, int], patch: int, options: dict[str, Any]) -> nn.Module:
    """A net whose function in timm fixes the patch: built for an image of as many patches, then given the patch."""
    from . import _stems
    from ._torchvision import timm

    own = _family(model)[2]
    if "img_size" in options:
        options["img_size"] = tuple(side // patch * own for side in shape[1:])
    net = timm().create_model(model, **options)
    _stems.set_patch(net, shape, patch)
    return net


def _fit(net: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    from torch import nn

    from . import _stems

    if type(net).__name__ != "VGG":
        _stems.shrink_stem(net)
        return
    _stems.drop_late_pools(net, min(shape[1:]))
    width = [part for part in net.modules() if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3)][-1]
    net.pre_logits = nn.Identity()
    net.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width.out_channels, classes))
