"""Views: what one of them shows is what its pipeline alone shows, whatever the others do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crucis.data.augment import crop, flip, mixup, resized_crop
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import DataError, Split
from crucis.streams import generator
from crucis.train.views import Views

NAMES = (3, "train", 0)


def resident() -> Resident:
    x = np.random.default_rng(0).integers(0, 256, (23, 16, 16, 3), dtype=np.uint8)
    return Resident(Split(x, np.arange(23) % 4), (0.5,) * 3, (0.25,) * 3, classes=4)


def test_each_view_has_its_own_size_and_parameters():
    whole, local = Pipeline([resized_crop.augment(), flip.augment()]), Pipeline([resized_crop.augment(size=8)])
    views = Views(resident(), [whole, whole, local], 5, NAMES)
    assert views.shapes == ((3, 16, 16), (3, 16, 16), (3, 8, 8))
    seen, labels = views.epoch(2)(1)
    assert [tuple(x.shape[1:]) for x in seen] == list(views.shapes) and len(labels) == 5
    assert not torch.equal(seen[0], seen[1])
    again, _ = Views(resident(), [whole, whole, local], 5, NAMES).epoch(2)(1)
    assert all(map(torch.equal, seen, again))
    assert not torch.equal(views.epoch(3)(1)[0][0], seen[0])


def test_a_view_is_its_pipeline_and_no_view_depends_on_another():
    source, moves = resident(), Pipeline([crop.augment(padding=2), flip.augment()])
    alone, _ = Views(source, [moves], 6, NAMES).epoch(0)(2)
    beside, labels = Views(source, [moves, Pipeline([])], 6, NAMES).epoch(0)(2)
    assert torch.equal(alone[0], beside[0])
    order = torch.randperm(23, generator=generator(*NAMES, "order", 0))[12:18]
    drawn = moves.draw(23, source.shape, generator(*NAMES, "views", 0, 0))
    x, y = source.gather(order, drawn[12:18])
    assert torch.equal(x, alone[0]) and torch.equal(y, labels)
    assert torch.equal(beside[1], source.gather(order)[0])


def test_views_refuse_what_has_no_meaning():
    with pytest.raises(DataError, match="one pipeline per view"):
        Views(resident(), [], 4, NAMES)
    with pytest.raises(DataError, match="blend labels"):
        Views(resident(), [Pipeline([mixup.augment()])], 4, NAMES)


def test_a_rank_sees_its_rows_of_the_whole_batch():
    pipelines = [Pipeline([resized_crop.augment(), flip.augment()]), Pipeline([resized_crop.augment(size=8)])]
    whole, labels = Views(resident(), pipelines, 6, NAMES).epoch(1)(2)
    for rank in range(3):
        rows = slice(rank, None, 3)
        seen, own = Views(resident(), pipelines, 6, NAMES, rows).epoch(1)(2)
        assert all(torch.equal(x, all_[rows]) for x, all_ in zip(seen, whole, strict=True))
        assert torch.equal(own, labels[rows])
