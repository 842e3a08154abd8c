"""A batch is the same, bit for bit, whether it is augmented alone or in a block with others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from crucis import shelf
from crucis.data import blocks, mixing
from crucis.data.augmenting import Drawn, Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import Split
from crucis.streams import generator
from crucis.train.feed import Feed
from crucis.train.settings import resolve

N, SIZE, SIDE = 70, 12, 16

#: Parameters with which much of a leaf is seen; every leaf of the shelf is tried, these or its defaults.
OTHER: Mapping[str, Mapping[str, Any]] = {
    "resized_crop": {"interpolation": "bicubic", "size": 20},
    "rand_augment": {"interpolation": "bicubic"},
    "color_jitter": {"hue": 0.2},
    "blur": {"probability": 1.0, "kernel": 5},
    "random_erasing": {"mode": "pixel", "probability": 0.8, "count": 2},
    "mix": {"per": "batch"},
    "mixup": {"per": "batch"},
}


def source() -> Resident:
    x = np.random.default_rng(0).integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    x = x.repeat(SIDE // 4, 1).repeat(SIDE // 4, 2)
    return Resident(Split(x, np.arange(N) % 5), (0.5,) * 3, (0.25,) * 3, classes=5)


def drawn(split: Resident, names: list[str]) -> Drawn:
    steps = [shelf.load(shelf.leaf("augment", name))(**OTHER.get(name, {})) for name in names]
    return Pipeline(steps).draw(N, split.shape, generator(3, *names))


def leaves() -> list[str]:
    return [name for name in shelf.names("augment") if not name.startswith("_")]


@pytest.mark.parametrize("name", leaves())
def test_every_leaf_gives_the_same_batches_in_a_block(name, monkeypatch):
    split = source()
    params = drawn(split, [name])
    order = torch.randperm(N, generator=generator(1))
    parts = [slice(i, i + SIZE) for i in range(0, N, SIZE)]
    alone = [split.gather(order[part], params[part]) for part in parts]
    monkeypatch.setattr(type(params.steps[0]), "grouped", True)
    monkeypatch.setattr(blocks, "BLOCK", 4 * 4 * SIZE * 3 * 20 * 20)
    assert blocks.per_block(split, params, SIZE) >= 4
    batch = blocks.batches(split, order, params, SIZE)
    for i in (4, 0, 1, 2, 3, 5, -1, 1):  # from the middle of a block, and one batch twice
        x, y = batch(i)
        assert torch.equal(x, alone[i][0]) and torch.equal(y, alone[i][1])
        assert x.is_contiguous(memory_format=torch.channels_last)
    with pytest.raises(IndexError):
        batch(6)


def test_a_block_is_as_large_as_fits_and_only_where_it_helps(monkeypatch):
    split, one = source(), 4 * SIZE * 3 * SIDE * SIDE
    policy = drawn(split, ["flip", "rand_augment"])
    for size, many in ((one - 1, 1), (one, 1), (3 * one + 1, 3)):
        monkeypatch.setattr(blocks, "BLOCK", size)
        assert blocks.per_block(split, policy, SIZE) == many
    assert blocks.per_block(split, drawn(split, ["crop", "flip", "cutmix"]), SIZE) == 1
    larger = drawn(split, ["resized_crop", "rand_augment"])  # pictures of 20 pixels
    assert blocks.per_block(split, larger, SIZE) == 3 * SIDE * SIDE // (20 * 20)


DEIT = [{"resized_crop": {"interpolation": "bicubic"}}, "flip", "rand_augment", {"random_erasing": {"mode": "pixel"}}]


def fed(augment: list[Any], rows: slice = slice(None), repeats: int = 1) -> Feed:
    return Feed(source(), resolve({"batch": SIZE, "repeats": repeats, "augment": augment}, N), (1, "train", 0), rows)


@pytest.mark.parametrize("mix", [[], ["mix"]], ids=["labels", "mixed"])
@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("rows", [slice(None), slice(4, 8)], ids=["whole", "rank"])
def test_a_feed_gives_the_same_batches_with_blocks_and_without(mix, repeats, rows, monkeypatch):
    augment = [*DEIT, *mix]
    whole = [fed(augment, repeats=repeats).epoch(2)(i) for i in range(N // SIZE)]
    monkeypatch.setattr(blocks, "BLOCK", 1)
    feed = fed(augment, rows, repeats)
    for i in range(N // SIZE):
        x, y = feed.epoch(2)(i)
        assert torch.equal(x, whole[i][0][rows]) and torch.equal(y, whole[i][1][rows])


def test_a_feed_opened_anew_in_the_middle_of_a_block_goes_on_as_before():
    first, again = fed([*DEIT, "mix"]), fed([*DEIT, "mix"])
    before = [first.epoch(1)(i) for i in range(5)]
    for i in (3, 4):
        x, y = again.epoch(1)(i)
        assert torch.equal(x, before[i][0]) and torch.equal(y, before[i][1])


@pytest.mark.parametrize("name", ["flip", "crop"])
def test_pictures_are_moved_as_their_source_says(name):
    x = source().x[:-1].view(torch.uint8).view(N, SIDE, SIDE, 4)[..., :3].permute(0, 3, 1, 2).contiguous()
    step = shelf.load(shelf.leaf("augment", name))()
    params = step.draw(N, tuple(x.shape[1:]), generator(7))
    places = torch.arange(SIDE, dtype=torch.int32).expand(N, SIDE)
    rows, columns = step.source(places, places, tuple(x.shape[1:]), params)
    wanted = torch.zeros_like(x)
    for i in range(N):
        for r, row in enumerate(rows[i].tolist()):
            for c, column in enumerate(columns[i].tolist()):
                if row >= 0 and column >= 0:
                    wanted[i, :, r, c] = x[i, :, row, column]
    assert torch.equal(step.move(x.clone(), params), wanted)


def test_the_box_of_the_first_is_pasted_as_one_per_example_is():
    generate = generator(9)
    plain, other = torch.randn(2, 5, 8, 6 * 3, generator=generate)
    box, _ = mixing.boxes(torch.rand(5, generator=generate), (3, 8, 6), "mix", generate)
    box[1:] = -1  # of no matter
    wanted, got = plain.clone(), plain.clone()
    mixing.paste(wanted, other.clone(), None, mixing.first(box), (3, 8, 6))
    mixing.paste_first(got, other.clone(), box, (3, 8, 6))
    assert torch.equal(got, wanted) and not torch.equal(got, plain)
