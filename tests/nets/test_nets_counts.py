"""Closed-form parameter counts: equal to the built net everywhere, to the published figures, and free of torch."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.errors import CrucisError
from crucis.nets import blocks, convnet, mixer, mlp, refined_convnet, resnet, resnet_cifar, vit, wrn

SIDES = st.sampled_from([8, 12, 16])
IMAGES = st.tuples(st.sampled_from([1, 3, 5]), SIDES, SIDES)
SIZES = st.integers(1, 12)

CASES = {
    mlp: {
        "widths": st.lists(SIZES, max_size=3),
        "norm": st.sampled_from(["none", "batch", "layer"]),
        "dropout": st.sampled_from([0.0, 0.5]),
    },
    convnet: {"widths": st.lists(SIZES, min_size=1, max_size=4), "layers": st.integers(1, 2)},
    refined_convnet: {
        "widths": st.lists(SIZES, min_size=1, max_size=3), "kernel": st.sampled_from([3, 5]), "squeeze": SIZES,
        "without": st.fixed_dictionaries({}, optional={
            name: st.sampled_from([about["replace"]] if isinstance(about["replace"], str) else about["replace"])
            for name, about in refined_convnet.COMPONENTS.items()
        }),
    },
    resnet_cifar: {"depth": st.sampled_from([8, 14]), "width": SIZES},
    resnet: {"depth": st.sampled_from([10, 18, 34, 50]), "widen": st.sampled_from([0.05, 0.11])},
    wrn: {"depth": st.sampled_from([10, 16]), "widen": st.sampled_from([0.1, 0.5, 1, 1.3])},
    vit: {"width": st.sampled_from([4, 12]), "heads": st.sampled_from([1, 2]), "depth": st.integers(1, 2),
          "mlp": st.sampled_from([0.7, 2.0]), "patch": st.sampled_from([None, 2, 4])},
    mixer: {"width": SIZES, "depth": st.integers(1, 2), "token_mlp": st.sampled_from([0.1, 0.5, 1.7]),
            "channel_mlp": st.sampled_from([0.3, 2.0]), "patch": st.sampled_from([None, 2, 4])},
}  # fmt: skip


@pytest.mark.parametrize("net", CASES, ids=lambda net: net.__name__.rpartition(".")[2])
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_count_is_what_is_built(net, data):
    shape, classes = data.draw(IMAGES), data.draw(st.integers(2, 7))
    params = {name: data.draw(values) for name, values in CASES[net].items()}
    built = net.build(shape, classes, **params)
    assert sum(p.numel() for p in built.parameters()) == net.count(shape, classes, **params)


@pytest.mark.parametrize(
    ("net", "classes", "params", "published"),
    [
        (resnet_cifar, 10, {"depth": 20}, 269_722),
        (resnet_cifar, 10, {"depth": 56}, 853_018),
        (resnet, 10, {"depth": 18}, 11_173_962),
        (resnet, 10, {"depth": 50}, 23_520_842),
        (wrn, 10, {"depth": 28, "widen": 10}, 36_479_194),
        (wrn, 10, {"depth": 16, "widen": 4}, 2_748_890),
        (mlp, 10, {"widths": [512, 256]}, 3072 * 512 + 512 + 512 * 256 + 256 + 2570),
    ],
)
def test_count_at_published_sizes(net, classes, params, published):
    assert net.count((3, 32, 32), classes, **params) == published


def test_counts_need_no_torch():
    code = (
        "import sys\n"
        "from crucis import shelf\n"
        "from crucis.nets import names\n"
        "for name in shelf.names('nets'):\n"
        "    module = __import__('crucis.nets.' + name, fromlist=['x'])\n"
        "    if hasattr(module, 'count'): module.count((3, 84, 84), 10)\n"
        "names.check_name('timm', 'resnet18'); names.check_name('torchvision', 'resnet18')\n"
        "assert not {'torch', 'timm', 'torchvision'} & set(sys.modules), 'a heavy import'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)


@pytest.mark.parametrize(
    ("net", "params", "words"),
    [
        (resnet_cifar, {"depth": 21}, "6n \\+ 2"),
        (wrn, {"depth": 12}, "6n \\+ 4"),
        (wrn, {"depth": 4}, "6n \\+ 4"),
        (resnet, {"depth": 20}, "18, 34, 50"),
        (refined_convnet, {"without": {"gatin": "remove"}}, "Did you mean 'gating'"),
        (refined_convnet, {"without": {"kernel": "identity"}}, "It offers: remove"),
        (vit, {"patch": 3}, "do not fill"),
        (mixer, {"patch": 5}, "do not fill"),
        (mlp, {"widths": [3], "depth": 2}, "not both"),
    ],
)
def test_impossible_parameters_are_named(net, params, words):
    for function in (net.build, net.count):
        with pytest.raises(CrucisError, match=words):
            function((3, 8, 8), 10, **params)


def test_heads_must_share_the_width():
    with pytest.raises(blocks.NetError, match="3 heads"):
        vit.build((3, 8, 8), 10, heads=3)


@pytest.mark.parametrize("net", [convnet, resnet, resnet_cifar, wrn, vit, mixer])
def test_image_nets_refuse_vectors(net):
    with pytest.raises(blocks.NetError, match="takes images"):
        net.count((64,), 10)


def test_depth_and_width_are_another_way_to_say_widths():
    assert mlp.count((5,), 3, depth=3, width=7) == mlp.count((5,), 3, widths=[7, 7, 7])
    assert mlp.count((5,), 3, depth=0) == mlp.count((5,), 3, widths=[]) == 18


@pytest.mark.parametrize(("side", "patch"), [(8, 2), (16, 2), (28, 4), (32, 4), (64, 8), (105, 15), (7, 7), (1, 1)])
def test_patches_give_about_eight_a_side(side, patch):
    assert blocks.grid_patch(side, side) == patch
