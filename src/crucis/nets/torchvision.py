"""Any classifier of torchvision, untrained, fitted to small images where its family allows.

Below 64 pixels (or with `stem: small`) the first convolution has stride 1 and the stem no pooling; VGG keeps only the
poolings that leave 2 pixels. Nets that cannot take such images are refused; for transformers use the timm bridge.
Source: TorchVision maintainers, 2016, github.com/pytorch/vision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from . import blocks
from .names import check_name

if TYPE_CHECKING:
    from torch import nn

REVISION = 1
INPUTS = ["image"]
NAMES = {"model": "torchvision_models.txt"}
EXAMPLES = [{"model": "shufflenet_v2_x0_5"}, {"model": "mobilenet_v3_small"}]

#: Families whose classifier gives several outputs in training unless told otherwise.
_AUXILIARY = ("googlenet", "inception_v3")


def build(
    input: tuple[int, ...], classes: int, *, model: str, stem: Literal["auto", "small", "own"] = "auto"
) -> nn.Module:
    """Images (N, C, H, W) to logits (N, classes).

    Args:
        model: name in torchvision, such as `shufflenet_v2_x1_0`.
        stem: `auto` is `small` below 64 pixels and `own` (torchvision's) from there.

    Raises:
        NetError: unknown model, no images, or images that the model cannot take.
    """
    from . import _stems
    from ._torchvision import torchvision

    check_name("torchvision", model)
    shape = blocks.image("torchvision", input)
    options: dict[str, int] = {"aux_logits": False, "init_weights": True} if model in _AUXILIARY else {}
    if model.startswith("vit_"):
        options["image_size"] = min(shape[1:])
    try:
        net = torchvision().models.get_model(model, weights=None, num_classes=classes, **options)
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        text = " ".join(str(error).split())[:160]
        raise blocks.NetError(
            f"torchvision: '{model}' cannot be built for {'x'.join(map(str, shape))}: {text}"
        ) from None
    _stems.set_channels(net, shape[0])
    if _stems.wants_small(stem, shape) and not model.startswith(("vit_", "swin_", "maxvit")):
        if model.startswith("vgg"):
            _stems.drop_late_pools(net, min(shape[1:]))
        else:
            _stems.shrink_stem(net)
    return _stems.checked(net, shape, classes, f"torchvision: '{model}'")
