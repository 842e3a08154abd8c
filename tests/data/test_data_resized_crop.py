"""Windows and their interpolation against torchvision: forced windows pixel by pixel, drawn windows in distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from augment_oracles import pictures, transforms
from scipy.stats import chisquare, ks_2samp

from crucis.data import resampling
from crucis.data.augment import resized_crop, scaled_crop
from crucis.data.dataset import DataError
from crucis.streams import generator


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("shape", "size"), [((32, 32), None), ((32, 32), 12), ((20, 28), 40), ((20, 28), None)])
def test_windows_are_interpolated_as_by_torchvision(kind, shape, size):
    v2 = transforms()
    x = pictures(48, *shape)
    step = resized_crop.augment(size=size, interpolation=kind)
    drawn = step.draw(48, (3, *shape), generator(0, "w"))
    got = step.repaint(x.clone(), drawn)
    side = [size, size] if size else list(shape)
    assert got.dtype == torch.uint8 and got.is_contiguous() and step.shape((3, *shape)) == (3, *side)
    differ = []
    for i in range(48):
        window = [int(drawn[name][i]) for name in ("top", "left", "height", "width")]
        wanted = v2.functional.resized_crop(x[i], *window, side, v2.InterpolationMode(kind), antialias=True)
        apart = (got[i].int() - wanted.int()).abs()
        assert apart.max() <= 2, (i, window)
        differ.append((apart > 0).double().mean())
    assert sum(differ) / 48 < 0.03


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize("sizes", [(32, 32), (32, 12), (32, 80), (9, 32), (100, 5), (3, 4)])
def test_weights_made_at_taps_are_those_of_all_pixels_bit_for_bit(kind, sizes):
    step = resized_crop.augment(smallest=0.01, aspect=3.0)
    drawn = step.draw(400, (3, sizes[0], sizes[0]), generator(0, "t"))
    first, extent = drawn["left"], drawn["width"]
    axis = resampling.Axis(first, extent / sizes[1], first, first + extent, sizes)
    taps, every = resampling.Taps(axis, kind), resampling.weights(axis, kind)
    narrow = {"bilinear": [(100, 5), (3, 4)], "bicubic": [(100, 5), (3, 4), (32, 12), (9, 32)]}
    assert taps.dense is (sizes in narrow[kind])
    for part in (slice(0, 150), slice(150, 151), slice(151, 400)):
        assert torch.equal(taps[part], every[part])
    assert torch.allclose(every.sum(2), torch.ones(400, sizes[1]))


def test_a_whole_window_changes_nothing():
    x = pictures(6)
    step = resized_crop.augment(smallest=1.0, aspect=1.0)
    drawn = step.draw(6, (3, 32, 32), generator(0, "w"))
    assert torch.equal(step.repaint(x.clone(), drawn), x)


@pytest.mark.parametrize("shape", [(32, 32), (20, 64), (64, 20)])
def test_windows_are_drawn_as_by_torchvision(shape):
    v2 = transforms()
    count, image = 3000, torch.zeros(3, *shape, dtype=torch.uint8)
    theirs = v2.RandomResizedCrop(32, antialias=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = [theirs.make_params([image]) for _ in range(count)]
    mine = resized_crop.augment().draw(count, (3, *shape), generator(1, "w"))
    for name in ("top", "left", "height", "width"):
        other = np.array([params[name] for params in found])
        assert ks_2samp(mine[name].numpy(), other).pvalue > 1e-3, name
    area = (mine["height"] * mine["width"]).numpy()
    assert ks_2samp(area, [params["height"] * params["width"] for params in found]).pvalue > 1e-3


def test_what_never_fits_is_the_largest_central_window():
    """An image 4 x 100 has no window of more than half its area with sides within 4/3."""
    v2 = transforms()
    step = resized_crop.augment(smallest=0.5)
    drawn = step.draw(5, (3, 4, 100), generator(0, "w"))
    theirs = v2.RandomResizedCrop(32, scale=(0.5, 1.0), antialias=True)
    wanted = theirs.make_params([torch.zeros(3, 4, 100, dtype=torch.uint8)])
    for name in ("top", "left", "height", "width"):
        assert drawn[name].tolist() == [wanted[name]] * 5


def test_areas_in_the_wrong_order_are_refused():
    with pytest.raises(DataError, match="above largest"):
        resized_crop.augment(smallest=0.5, largest=0.2)


@pytest.mark.parametrize("size", [None, 14])
def test_a_scaled_crop_is_a_resize_and_a_crop(size):
    v2 = transforms()
    x, step = pictures(40, 20, 28), scaled_crop.augment(size=size)
    drawn = step.draw(40, (3, 20, 28), generator(0, "s"))
    got = step.repaint(x.clone(), drawn)
    shape = (size, size) if size else (20, 28)
    short = max(shape)
    differ = []
    for i in range(40):
        resized = [int(drawn["height"][i]), int(drawn["width"][i])]
        assert round(short * 256 / 224) <= min(resized) <= round(short * 480 / 224)
        whole = v2.functional.resize(x[i], resized, antialias=True)
        wanted = v2.functional.crop(whole, int(drawn["top"][i]), int(drawn["left"][i]), *shape)
        apart = (got[i].int() - wanted.int()).abs()
        assert got[i].shape == wanted.shape and apart.max() <= 2
        differ.append((apart > 0).double().mean())
        assert drawn["top"][i] + shape[0] <= resized[0] and drawn["left"][i] + shape[1] <= resized[1]
    assert sum(differ) / 40 < 0.05


def test_scales_and_places_are_uniform():
    drawn = scaled_crop.augment().draw(20_000, (3, 28, 28), generator(0, "s"))
    sides = np.bincount(drawn["height"].numpy())[32:61]
    assert sides.sum() == 20_000 and chisquare(sides).pvalue > 1e-3
    here = drawn["height"] == 40
    assert chisquare(np.bincount(drawn["top"][here].numpy(), minlength=13)).pvalue > 1e-3
    with pytest.raises(DataError, match="above highest"):
        scaled_crop.augment(lowest=3.0)
