"""Operations on levels against Pillow, level for level, and what is drawn against torchvision."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from augment_oracles import levels, photo, pictures, policies, transforms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest, norm

from crucis.data import painting
from crucis.data.augment import blur, color_jitter, flip, grayscale, pca_lighting, resized_crop, solarize
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import DataError, Split
from crucis.streams import generator

COUNT = 32


def spread(low: float, high: float) -> torch.Tensor:
    return torch.linspace(low, high, COUNT)


def theirs(name):
    """The function of a Pillow picture and one argument, and the arguments that are tried."""
    ops, v2 = policies().auto_augment, transforms()
    whole = {"posterize": (1, 8), "solarize_add": (0, 128), "solarize": (0, 256)}
    if name in whole:
        function = getattr(ops, name)
        return (lambda one, a: function(one, int(a))), spread(*whole[name]).round()
    return {
        "brightness": (ops.brightness, spread(0, 2)), "contrast": (ops.contrast, spread(0, 2)),
        "saturation": (ops.color, spread(0, 2)), "sharpness": (ops.sharpness, spread(0, 2)),
        "hue": (v2.functional.adjust_hue, spread(-0.5, 0.5)), "auto_contrast": (ops.auto_contrast, spread(0, 1)),
        "equalize": (ops.equalize, spread(0, 1)), "invert": (ops.invert, spread(0, 1)),
        "grey": (lambda one, a: v2.functional.rgb_to_grayscale(one, 3), spread(0, 1)),
    }[name]  # fmt: skip


OPERATIONS = ("brightness", "contrast", "saturation", "sharpness", "hue", "grey", "auto_contrast", "equalize", "invert",
              "posterize", "solarize", "solarize_add")  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("shape", [(32, 32), (9, 14)])
def test_every_operation_is_pillows_level_for_level(name, shape):
    function, arguments = theirs(name)
    take = (lambda one, a: function(one)) if name in ("auto_contrast", "equalize", "invert") else function
    x = pictures(COUNT, *shape)
    got = getattr(painting, name)(x.clone(), arguments)
    assert got.dtype == torch.uint8 and got.shape == x.shape
    for i in range(COUNT):
        assert torch.equal(got[i], levels(take(photo(x[i]), float(arguments[i])))), (name, i)


@pytest.mark.parametrize("name", ["brightness", "contrast", "sharpness", "auto_contrast", "equalize"])
def test_grey_pictures_too(name):
    function, arguments = theirs(name)
    x = pictures(COUNT, 12, 12, 1)
    take = (lambda one, a: function(one)) if name in ("auto_contrast", "equalize") else function
    got = getattr(painting, name)(x.clone(), arguments)
    for i in range(COUNT):
        assert torch.equal(got[i], levels(take(photo(x[i]), float(arguments[i])))), (name, i)
    for name in ("saturation", "hue", "grey"):
        assert torch.equal(getattr(painting, name)(x, arguments), x)


def test_jitter_in_its_drawn_order_is_pillows():
    v2 = transforms()
    functions = (v2.functional.adjust_brightness, v2.functional.adjust_contrast, v2.functional.adjust_saturation,
                 v2.functional.adjust_hue)  # fmt: skip
    step = color_jitter.augment(hue=0.3, probability=0.8)
    drawn = step.draw(COUNT, (3, 16, 16), generator(0, "j"))
    x = pictures(COUNT, 16, 16)
    got = step.repaint(x.clone(), drawn)
    for i in range(COUNT):
        one = photo(x[i])
        for operation, argument in zip(drawn["operation"][i].tolist(), drawn["argument"][i].tolist(), strict=True):
            one = functions[operation - 1](one, argument) if operation else one
        assert torch.equal(got[i], levels(one))
    assert {tuple(sorted(row)) for row in drawn["operation"].tolist()} == {(0, 0, 0, 0), (1, 2, 3, 4)}


def test_jitter_draws_what_torchvision_draws():
    n, step = 12_000, color_jitter.augment(brightness=0.4, contrast=1.5, saturation=0.2, hue=0.1, probability=0.7)
    drawn = step.draw(n, (3, 8, 8), generator(1, "j"))
    meant = drawn["operation"].any(1).bool()
    assert abs(float(meant.double().mean()) - 0.7) < 0.015
    order, argument = drawn["operation"][meant].numpy(), drawn["argument"][meant].double().numpy()
    theirs = transforms().ColorJitter(0.4, 1.5, 0.2, 0.1)
    for number, name in enumerate(("brightness", "contrast", "saturation", "hue")):
        low, high = getattr(theirs, name)
        assert kstest(argument[order == number + 1], "uniform", (low, high - low)).pvalue > 1e-3, name
    counts = [int((order == one).all(1).sum()) for one in itertools.permutations((1, 2, 3, 4))]
    assert sum(counts) == len(order) and chisquare(counts).pvalue > 1e-3
    alone = color_jitter.augment(contrast=0.0, hue=0.0).draw(50, (3, 8, 8), generator(1, "j"))["operation"]
    assert set(alone.unique().tolist()) == {0, 1, 3}


@pytest.mark.parametrize(("size", "kernel"), [((24, 24), 7), ((32, 32), None), ((9, 21), 5)])
def test_blur_is_torchvisions(size, kernel):
    v2 = transforms()
    step = blur.augment(probability=1.0, kernel=kernel)
    drawn = step.draw(COUNT, (3, *size), generator(0, "b"))
    x = pictures(COUNT, *size)
    got = step.repaint(x.clone(), drawn)
    width = kernel or (min(size) // 10 | 1)
    for i in range(COUNT):
        wanted = v2.functional.gaussian_blur(x[i], [width, width], [float(drawn["argument"][i])] * 2)
        apart = (got[i].int() - wanted.int()).abs()
        assert apart.max() <= 1 and (apart > 0).double().mean() < 0.002
    assert kstest(step.draw(4000, (3, *size), generator(2, "b"))["argument"][:, 0], "uniform", (0.1, 1.9)).pvalue > 1e-3


@pytest.mark.parametrize(("leaf", "share"), [(grayscale, 0.3), (solarize, 0.25), (blur, 0.6)])
def test_shares_of_samples_are_kept(leaf, share):
    drawn = leaf.augment(probability=share).draw(10_000, (3, 8, 8), generator(3, "s"))
    assert abs(float(drawn["operation"].double().mean()) - share) < 0.02


def test_lighting_has_the_covariance_of_its_components():
    values, vectors = np.array(pca_lighting.VALUES), np.array(pca_lighting.VECTORS)
    assert np.allclose(vectors @ vectors.T, np.eye(3), atol=2e-3)
    colour = pca_lighting.augment(std=0.1).draw(40_000, (3, 8, 8), generator(0, "l"))["colour"].double().numpy()
    wanted = vectors @ np.diag((0.1 * values) ** 2) @ vectors.T
    assert np.abs(np.cov(colour.T) - wanted).max() < 0.02 * wanted.max()
    along = colour @ vectors[:, 0] / (0.1 * values[0])
    assert kstest(along, norm.cdf).pvalue > 1e-3
    with pytest.raises(DataError, match="three channels"):
        pca_lighting.augment().draw(4, (1, 8, 8), generator(0, "l"))


def resident(count: int = 12, size: tuple[int, int] = (16, 12), channels: int = 3) -> Resident:
    x = pictures(count, *size, channels, seed=5).permute(0, 2, 3, 1).contiguous().numpy()
    mean, std = (0.5, 0.4, 0.3)[:channels], (0.2, 0.25, 0.3)[:channels]
    return Resident(Split(x, np.arange(count) % 3), mean, std, classes=3)


def test_lighting_is_added_before_normalisation():
    source = resident()
    drawn = Pipeline([pca_lighting.augment(std=1.0)]).draw(12, source.shape, generator(0, "l"))
    every = torch.arange(12)
    colour = drawn.params[0]["colour"] / torch.tensor([0.2, 0.25, 0.3])
    assert torch.allclose(source.gather(every, drawn)[0], source.gather(every)[0] + colour[:, :, None, None], atol=1e-5)


STEPS = st.lists(
    st.one_of(
        st.builds(flip.Flip, st.just(0.5)), st.builds(lambda: color_jitter.augment(hue=0.2, probability=0.7)),
        st.builds(grayscale.augment), st.builds(solarize.augment), st.builds(blur.augment),
        st.builds(lambda size: resized_crop.augment(size=size), st.sampled_from([None, 10])),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, channels=st.sampled_from([1, 3]), seed=st.integers(0, 1000), batch=st.integers(1, 5))
def test_no_sample_depends_on_its_batch(steps, channels, seed, batch):
    """Also: steps that move pixels may follow steps that repaint them, and one example at a time is the same."""
    source = resident(channels=channels)
    pipeline = Pipeline(steps)
    drawn = pipeline.draw(12, source.shape, generator(seed, "augment", 0))
    order = torch.randperm(12, generator=generator(seed, "order", 0))
    whole = source.gather(order, drawn)[0]
    assert tuple(whole.shape[1:]) == pipeline.shape(source.shape) and whole.dtype == torch.float32
    assert whole.is_contiguous(memory_format=torch.channels_last) and torch.isfinite(whole).all()
    parts = [source.gather(order[i : i + batch], drawn[i : i + batch])[0] for i in range(0, 12, batch)]
    assert torch.equal(torch.cat(parts), whole)


def test_a_flip_after_a_picture_is_the_flip_of_its_result():
    source = resident()
    drawn = Pipeline([solarize.augment(probability=1.0), flip.augment()]).draw(12, source.shape, generator(0, "f"))
    plain = Pipeline([solarize.augment(probability=1.0)]).draw(12, source.shape, generator(0, "f"))
    every = torch.arange(12)
    got, wanted = source.gather(every, drawn)[0], source.gather(every, plain)[0]
    mirrored = drawn.params[1]["mirrored"][:, None, None, None]
    assert torch.equal(got, torch.where(mirrored, wanted.flip(3), wanted)) and 0 < int(mirrored.sum()) < 12


def test_what_has_no_meaning_is_refused():
    with pytest.raises(DataError, match="odd number"):
        blur.augment(kernel=4)
    with pytest.raises(DataError, match="above highest"):
        blur.augment(lowest=3.0)
    with pytest.raises(DataError, match="more than 5 pixels"):
        blur.augment(kernel=11).draw(3, (3, 4, 4), generator(0, "b"))
    with pytest.raises(DataError, match="then pca_lighting"):
        Pipeline([pca_lighting.augment(), grayscale.augment()])
