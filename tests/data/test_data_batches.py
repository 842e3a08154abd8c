"""Batched augmentation against a reference that treats one image at a time, and the resident batches themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis import shelf
from crucis.data.augment import crop, cutout, flip, mixup
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import DataError, Split
from crucis.data.open import open_data
from crucis.errors import Refusal
from crucis.streams import generator
from crucis.study.spec import LeafRef

MEAN, STD = {1: (0.3,), 3: (0.49, 0.48, 0.44), 2: (0.1, 0.2), 4: (0.4,) * 4}, {
    1: (0.4,), 3: (0.25, 0.24, 0.26), 2: (0.3, 0.4), 4: (0.2,) * 4,
}  # fmt: skip


def toy(count: int, height: int, width: int, channels: int) -> Split:
    draw = np.random.default_rng(count + width)
    return Split(draw.integers(0, 256, (count, height, width, channels), dtype=np.uint8), np.arange(count) % 5)


def resident(split: Split, classes: int | None = None) -> Resident:
    channels = split.x.shape[-1]
    return Resident(split, MEAN[channels], STD[channels], classes=classes)


# --- the reference: one image, plain slicing and padding ---


def one_crop(image: np.ndarray, down: int, right: int, padding: int) -> np.ndarray:
    height, width = image.shape[:2]
    padded = np.pad(image, ((padding, padding), (padding, padding), (0, 0)))
    top, left = padding + down, padding + right
    return padded[top : top + height, left : left + width]


def one_flip(image: np.ndarray, mirrored: bool) -> np.ndarray:
    return image[:, ::-1] if mirrored else image


def normalise(image: np.ndarray, channels: int) -> np.ndarray:
    mean, std = np.array(MEAN[channels]), np.array(STD[channels])
    scale, shift = (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)
    return (image.astype(np.float32) * scale) + shift


def one_cutout(image: np.ndarray, row: int, column: int, size: int) -> np.ndarray:
    out = image.copy()
    top, left = row - size // 2, column - size // 2
    out[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)] = 0
    return out


def reference(split: Split, index: int, steps: list, params: list[dict], place: int) -> np.ndarray:
    """Normalised image (C, H, W) of one sample."""
    image, channels = split.x[index], split.x.shape[-1]
    for step, drawn in zip(steps, params, strict=True):
        if isinstance(step, crop.Crop):
            image = one_crop(image, int(drawn["down"][place]), int(drawn["right"][place]), step.padding)
        elif isinstance(step, flip.Flip):
            image = one_flip(image, bool(drawn["mirrored"][place]))
    image = normalise(image, channels)
    for step, drawn in zip(steps, params, strict=True):
        if isinstance(step, cutout.Cutout):
            image = one_cutout(image, int(drawn["row"][place]), int(drawn["column"][place]), step.size)
    return image.transpose(2, 0, 1)


GEOMETRY = st.lists(
    st.one_of(st.builds(crop.Crop, st.integers(0, 5)), st.builds(flip.Flip, st.sampled_from([0.0, 0.5, 1.0]))),
    max_size=4,
)
MASKS = st.lists(st.builds(cutout.Cutout, st.integers(1, 9)), max_size=2)


@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(st.integers(3, 9), st.integers(3, 9)), channels=st.sampled_from([1, 2, 3, 4]),
    moves=GEOMETRY, masks=MASKS, seed=st.integers(0, 10**6), batch=st.integers(1, 6),
)  # fmt: skip
def test_batches_equal_the_reference_bit_for_bit(sides, channels, moves, masks, seed, batch):
    split, steps = toy(11, *sides, channels), [*moves, *masks]
    source = resident(split)
    drawn = Pipeline(steps).draw(11, source.shape, generator(seed, "augment", 0))
    order = torch.randperm(11, generator=generator(seed, "order", 0))
    for start in range(0, 11, batch):
        index = order[start : start + batch]
        x, y = source.gather(index, drawn[start : start + batch])
        assert x.dtype == torch.float32 and tuple(x.shape) == (len(index), *source.shape)
        assert y.tolist() == split.y[index.numpy()].tolist()
        for i, example in enumerate(index.tolist()):
            wanted = reference(split, example, steps, list(drawn.params), start + i)
            assert np.array_equal(x[i].numpy(), wanted), (example, steps)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_plain_batches_are_normalised_and_channels_last(channels):
    split = toy(20, 6, 5, channels)
    x, _ = resident(split).gather(torch.tensor([3, 3, 19, 0]))
    plain = (split.x[[3, 3, 19, 0]] / 255 - MEAN[channels]) / STD[channels]
    assert np.allclose(x.numpy(), plain.transpose(0, 3, 1, 2), atol=1e-6)
    assert x.is_contiguous(memory_format=torch.channels_last)


def test_no_augmentation_and_an_empty_one_agree():
    source = resident(toy(9, 8, 8, 3))
    index = torch.arange(9)
    empty = Pipeline([]).draw(9, source.shape, generator(0, "a"))
    assert torch.equal(source.gather(index)[0], source.gather(index, empty)[0]) and not Pipeline([])


@pytest.mark.parametrize("channels", [1, 3])
def test_batch_statistics_of_the_training_split_are_standard(channels):
    from crucis.data.split import statistics

    split = toy(400, 8, 8, channels)
    source = Resident(split, *statistics(split.x))
    x = torch.cat([part for part, _ in source.batches(64)]).double()
    assert len(x) == 400
    assert x.mean((0, 2, 3)).abs().max() < 1e-5 and (x.var((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-4


def test_parameters_do_not_depend_on_the_batch_size():
    source = resident(toy(12, 8, 8, 3))
    steps = Pipeline([crop.augment(padding=2), flip.augment(), cutout.augment(size=3)])
    drawn = steps.draw(12, source.shape, generator(1, "augment", 4))
    order = torch.randperm(12, generator=generator(1, "order", 4))
    whole = source.gather(order, drawn)[0]
    parts = [source.gather(order[i : i + 5], drawn[i : i + 5])[0] for i in (0, 5, 10)]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("name", shelf.names("augment"))
def test_same_stream_same_parameters(name):
    step = shelf.load(shelf.leaf("augment", name))()
    before = torch.get_rng_state()
    first, second, other = (step.draw(50, (3, 16, 16), generator(seed, "augment", 0)) for seed in (1, 1, 2))
    assert all(torch.equal(first[key], second[key]) and len(first[key]) == 50 for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    assert torch.equal(before, torch.get_rng_state()), "the global generator was drawn from"


@pytest.mark.parametrize("name", shelf.names("augment"))
def test_every_augmentation_declares_itself(name):
    leaf = shelf.leaf("augment", name)
    assert (
        leaf.revision != "0"
        and leaf.random
        and all(param.doc and (param.limits or param.choices) for param in leaf.params.values())
    )


def chi_square(counts: np.ndarray) -> float:
    expected = counts.sum() / len(counts)
    return float(((counts - expected) ** 2 / expected).sum())


def test_shifts_flips_and_centres_are_uniform():
    shift = crop.augment(padding=3).draw(7000, (3, 8, 8), generator(0, "u"))
    for value in shift.values():
        assert chi_square(np.bincount(value.numpy() + 3, minlength=7)) < 22.5  # 6 degrees, p = 0.001
    both = np.bincount((shift["down"] + 3).numpy() * 7 + (shift["right"] + 3).numpy(), minlength=49)
    assert chi_square(both) < 84.0  # 48 degrees: rows and columns are independent
    mirrored = flip.augment(probability=0.3).draw(10_000, (3, 8, 8), generator(0, "u"))["mirrored"]
    assert abs(float(mirrored.float().mean()) - 0.3) < 0.02
    centre = cutout.augment().draw(8000, (3, 8, 4), generator(0, "u"))
    assert chi_square(np.bincount(centre["row"].numpy(), minlength=8)) < 24.4
    assert chi_square(np.bincount(centre["column"].numpy(), minlength=4)) < 16.3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_mixing_weights_are_beta(alpha):
    from scipy.stats import beta, kstest

    weight = mixup.augment(alpha=alpha).draw(4000, (3, 8, 8), generator(3, "u"))["weight"].numpy().astype(float)
    assert kstest(weight.clip(1e-7, 1 - 1e-7), beta(alpha, alpha).cdf).pvalue > 0.001


@pytest.mark.parametrize("vectors", [False, True])
def test_mixup_against_the_reference(vectors):
    split = toy(10, 4, 4, 3)
    if vectors:
        split = Split(np.random.default_rng(0).standard_normal((10, 6)).astype(np.float32), split.y)
        source = Resident(split, (0.0,) * 6, (1.0,) * 6, classes=5)
    else:
        source = resident(split, classes=5)
    drawn = Pipeline([mixup.augment(alpha=1)]).draw(10, source.shape, generator(0, "augment", 0))
    index = torch.tensor([4, 2, 9, 7, 0])
    plain, labels = source.gather(index)
    x, y = source.gather(index, drawn[5:10])
    rank, weight = drawn.params[0]["rank"][5:10].tolist(), drawn.params[0]["weight"][5:10].tolist()
    partners = sorted(range(5), key=lambda i: rank[i])
    for i, j in enumerate(partners):
        assert torch.allclose(x[i], weight[i] * plain[i] + (1 - weight[i]) * plain[j], atol=1e-6)
        soft = torch.zeros(5)
        soft[labels[i]] += weight[i]
        soft[labels[j]] += 1 - weight[i]
        assert torch.allclose(y[i], soft, atol=1e-6)
    assert sorted(partners) == list(range(5)) and torch.allclose(y.sum(1), torch.ones(5))


def test_mixup_without_classes_says_so():
    source = resident(toy(4, 4, 4, 3))
    drawn = Pipeline([mixup.augment()]).draw(4, source.shape, generator(0, "a"))
    with pytest.raises(DataError, match="number of classes"):
        source.gather(torch.arange(4), drawn)


def test_order_of_augmentations_is_checked():
    for steps in ([cutout.augment(), crop.augment()], [mixup.augment(), flip.augment()], [mixup.augment()] * 2):
        with pytest.raises(DataError, match="crop and flip come first"):
            Pipeline(steps)
    with pytest.raises(DataError, match="crop needs images"):
        Pipeline([crop.augment()]).draw(4, (7,), generator(0, "a"))


def test_vectors_are_standardised_once():
    x = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    source = Resident(Split(x, np.zeros(30, np.int64)), (0.5,) * 4, (2.0,) * 4)
    got, _ = source.gather(torch.tensor([5, 1]))
    assert np.allclose(got.numpy(), (x[[5, 1]] - 0.5) / 2, atol=1e-6) and source.shape == (4,)


def test_resident_copies_and_counts_its_bytes():
    split = toy(10, 4, 4, 3)
    split.x.setflags(write=False)
    source = resident(split)
    assert source.nbytes == (10 * 16 + 1) * 4 + 10 * 8 and source.n == 10


def test_resident_of_a_data_set_respects_the_seal(tmp_path):
    data = open_data(LeafRef("data", "digits"), folder=tmp_path, root=None)
    source = Resident.of(data, "validation")
    assert source.shape == (1, 8, 8) and source.n == len(data.validation) and source.classes == 10
    with pytest.raises(Refusal):
        Resident.of(data, "test")


def test_large_sets_index_with_wide_integers(monkeypatch):
    """The branch for sets of more than 2^30 pixels gives the same batches."""
    source = resident(toy(6, 5, 5, 3))
    drawn = Pipeline([crop.augment(padding=3)]).draw(6, source.shape, generator(0, "a"))
    narrow = source.gather(torch.arange(6), drawn)[0]
    assert source._index_type == torch.int32
    source._index_type = torch.int64
    assert torch.equal(source.gather(torch.arange(6), drawn)[0], narrow)
