"""timm and torchvision: names known before torch, small stems, and refusals that say why."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from crucis.nets import _stems, _torchvision, blocks, names, vit
from crucis.nets import timm as bridge
from crucis.nets import torchvision as other
from crucis.streams import borrowed


def reductions(net: nn.Module, shape: tuple[int, ...]) -> list[int]:
    """Sides of the feature maps behind each convolution, as they come."""
    sides: list[int] = []
    hooks = [
        part.register_forward_hook(lambda _m, _i, out: sides.append(out.shape[-1]))
        for part in net.modules()
        if isinstance(part, nn.Conv2d)
    ]
    with torch.no_grad():
        net.eval()(torch.zeros(2, *shape))
    for hook in hooks:
        hook.remove()
    return sides


def test_lists_are_those_of_the_installed_packages():
    timm, torchvision = _torchvision.timm(), _torchvision.torchvision()
    assert set(names.known("torchvision")) <= set(torchvision.models.list_models(module=torchvision.models))
    lost = set(names.known("timm")) - set(timm.list_models())
    assert not lost, f"timm has lost {sorted(lost)[:3]}"


@pytest.mark.parametrize(
    ("package", "written", "meant"),
    [("timm", "resnt18", "resnet18"), ("timm", "vit_tiny_patch16_22", "vit_tiny_patch16_224"),
     ("torchvision", "resnet_18", "resnet18")],
)  # fmt: skip
def test_wrong_names_get_the_nearest(package, written, meant):
    with pytest.raises(blocks.NetError, match=f"'{written}'.*'{meant}'"):
        names.check_name(package, written)


#: Every test model of timm takes 8 x 8 images but the two with windows of fixed relative positions.
TINY = [
    "test_byobnet", "test_convnext", "test_efficientnet", "test_mambaout", "test_nfnet", "test_resnet", "test_vit",
    "test_vit2", "test_vit_relpos",
]  # fmt: skip


@pytest.mark.parametrize("model", TINY)
def test_tiny_grey_images(model):
    net = bridge.build((1, 8, 8), 7, model=model)
    assert net(torch.zeros(2, 1, 8, 8)).shape == (2, 7)


@pytest.mark.parametrize("model", ["test_coatnet", "test_maxvit"])
def test_what_cannot_take_tiny_images_says_so(model):
    with pytest.raises(blocks.NetError, match=f"'{model}' cannot .*1x8x8"):
        bridge.build((1, 8, 8), 7, model=model)
    assert bridge.build((3, 32, 32), 7, model=model)(torch.zeros(2, 3, 32, 32)).shape == (2, 7)


def test_resnet_of_both_packages_equals_the_small_stem_of_our_own():
    from crucis.nets import resnet

    for build in (bridge.build, other.build):
        net = build((3, 32, 32), 10, model="resnet18")
        assert sum(p.numel() for p in net.parameters()) == resnet.count((3, 32, 32), 10, depth=18)
        assert reductions(net, (3, 32, 32))[0] == 32 and reductions(net, (3, 32, 32))[-1] == 4


def test_own_stem_is_left_alone():
    net = bridge.build((3, 64, 64), 10, model="resnet18")
    assert net.conv1.kernel_size == (7, 7) and reductions(net, (3, 64, 64))[-1] == 2
    small = bridge.build((3, 64, 64), 10, model="resnet18", stem="small")
    assert small.conv1.kernel_size == (3, 3) and reductions(small, (3, 64, 64))[-1] == 8


@pytest.mark.parametrize(
    ("model", "first"), [("mobilenetv2_100", 32), ("repvgg_a0", 32), ("mixer_s16_224", 8), ("vit_tiny_patch16_224", 8),
                         ("densenet121", 32)],
)  # fmt: skip
def test_small_stems_by_family(model, first):
    net = bridge.build((3, 32, 32), 10, model=model)
    assert reductions(net, (3, 32, 32))[0] == first


def test_vgg_keeps_two_pixels_and_a_dense_head():
    net = bridge.build((1, 8, 8), 10, model="vgg11_bn")
    assert reductions(net, (1, 8, 8))[-1] == 2
    assert sum(p.numel() for p in net.parameters()) < 10_000_000


def test_patch_is_a_choice():
    net = bridge.build((1, 8, 8), 4, model="test_vit", patch=4)
    assert net.patch_embed.proj.kernel_size == (4, 4)
    with pytest.raises(blocks.NetError, match="has no patches"):
        bridge.build((1, 8, 8), 4, model="test_resnet", patch=4)


def test_dropout_and_drop_path_reach_timm():
    net = bridge.build((1, 8, 8), 4, model="test_vit", dropout=0.25, drop_path=0.1)
    rates = {type(part).__name__: part for part in net.modules()}
    assert "DropPath" in rates and net.head_drop.p == 0.25


def test_first_and_later_builds_draw_the_same(monkeypatch):
    """Looking a family up draws from a lent stream, so the first build of a process is like every other."""
    bridge._family.cache_clear()
    states = []
    for _ in range(2):
        with borrowed(11):
            states.append(bridge.build((1, 8, 8), 3, model="test_efficientnet").state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_missing_packages_are_errors_in_words(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "timm", None)
    _torchvision.timm.cache_clear()
    with pytest.raises(blocks.NetError, match="crucis\\[timm\\]"):
        _torchvision.timm()
    _torchvision.timm.cache_clear()


def test_channels_of_foreign_stems():
    net = other.build((4, 16, 16), 3, model="mobilenet_v3_small")
    assert net(torch.zeros(2, 4, 16, 16)).shape == (2, 3)
    assert net.get_submodule(_stems.first_convolution(net)).in_channels == 4


def test_vectors_are_refused():
    for build in (bridge.build, other.build):
        with pytest.raises(blocks.NetError, match="takes images"):
            build((64,), 3, model="resnet18")


@pytest.mark.parametrize("build", [vit.build, lambda *shape: bridge.build(*shape, model="test_vit")])
def test_attention_nets_have_second_derivatives(build):
    """Against a difference of gradients, since fused attention gives none on the CPU."""
    with borrowed(1):
        net = build((1, 8, 8), 3).double()
    x = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameters = list(net.parameters())
    draw = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=draw, dtype=torch.float64) for p in parameters]
    length = sum(d.square().sum() for d in direction).sqrt()
    direction = [d / length for d in direction]

    def gradient(graph: bool = False):
        loss = nn.functional.cross_entropy(net(x), torch.arange(4) % 3)
        return torch.autograd.grad(loss, parameters, create_graph=graph)

    along = sum((g * d).sum() for g, d in zip(gradient(graph=True), direction, strict=True))
    exact = torch.autograd.grad(along, parameters)
    step, sides = 1e-5, []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.add_(sign * step * d)
        sides.append(gradient())
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p.sub_(sign * step * d)
    for product, up, down in zip(exact, *sides, strict=True):
        assert (product - (up - down) / (2 * step)).norm() <= 1e-5 * (1 + product.norm())
