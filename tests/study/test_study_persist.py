"""The shipped PERSIST: every preset is sound, its roster has the published sizes, its design ends in a plan."""

from __future__ import annotations

import importlib
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from crucis.study import design
from crucis.study.load import check_study, load_study
from crucis.study.power import design_power

#: Millions of parameters with 100 classes at 3x32x32: the protocol's own table where it has the network, else the
#: counts published with the architectures (ImageNet heads and stems replaced, hence the tolerance).
REFERENCE = {
    "vit-tiny": 0.3, "shufflenet-v2": 1.3, "vit-small": 2.2, "efficientnet-b0": 4.1, "resnet-18": 11.2,
    "resnet-18-wide": 44.7, "wrn-28-10": 36.5, "resnet-50": 23.7, "mobilenet-v2": 2.35, "densenet-121": 7.05,
    "vgg-16-bn": 14.8, "regnet": 3.9, "convnext": 27.9, "mixer": 17.6, "wrn-28-1": 0.37, "wrn-28-2": 1.5,
    "wrn-28-4": 5.9, "wrn-28-6": 13.1, "wrn-28-8": 23.4,
}  # fmt: skip


def roster() -> dict[str, dict]:
    return {level.label: level.fields for level in load_study("persist").factors["arch"].levels}


@pytest.mark.parametrize("preset", [None, "demo", "digits", "small", "full"])
def test_every_preset_is_sound(preset):
    study, faults = check_study("persist", preset=preset)
    assert not faults
    assert study is not None


def test_fourteen_diverse_networks_and_a_ladder_of_six_make_nineteen():
    levels = roster()
    diverse = [name for name, fields in levels.items() if fields["roster"] in ("diverse", "both")]
    ladder = [name for name, fields in levels.items() if fields["family"] == "wrn"]
    assert (len(levels), len(diverse), len(ladder)) == (19, 14, 6)
    assert set(diverse) & set(ladder) == {"wrn-28-10"}


@pytest.mark.parametrize("side", [32, 64])
def test_the_roster_has_the_published_sizes(side):
    found = {}
    for name, fields in roster().items():
        ((net, params),) = fields["net"].items()
        with torch.device("meta"):
            built = importlib.import_module(f"crucis.nets.{net}").build((3, side, side), 100, **params)
        found[name] = sum(part.numel() for part in built.parameters()) / 1e6
    assert found.keys() == REFERENCE.keys()
    assert found == pytest.approx(REFERENCE, rel=0.15)


def test_forty_columns_over_three_data_sets_are_counted_at_once():
    """Three to the power of forty combinations of data sets, of which three agree: counted without going through."""
    study = load_study("persist", preset="full")
    study = replace(study, analysis={"all-targets": study.analysis["all-targets"]})
    nodes = [SimpleNamespace(instance=one) for one in design.instances(study)[0]]
    (found,) = design_power(study, SimpleNamespace(nodes=nodes))
    assert (found.n, found.tests) == (19, 12 * 8 * 3 * 3)
