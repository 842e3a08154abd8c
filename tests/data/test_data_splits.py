"""Splits: fixed, stratified, disjoint by content; sealed; and their figures by naive computation."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crucis
from crucis.data.dataset import SPLITS, Raw
from crucis.data.open import open_data
from crucis.data.split import make, order, statistics
from crucis.errors import Refusal
from crucis.study.spec import LeafRef


def raw(count: int, classes: int, seed: int = 0, **more) -> Raw:
    draw = np.random.default_rng(seed)
    x = draw.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8)
    return Raw(x, draw.integers(0, classes, count), tuple(map(str, range(classes))), **more)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(60, 400), classes=st.integers(2, 6), seed=st.integers(0, 9))
def test_eighty_ten_ten_stratified(count, classes, seed):
    source = raw(count, classes, seed)
    data = make(source, "toy")
    rows = [row.tobytes() for split in SPLITS for row in getattr(data, split).x]
    assert sorted(rows) == sorted(row.tobytes() for row in source.x), "an example was lost or doubled"
    for label in range(classes):
        whole = int((source.y == label).sum())
        for split, share in (("validation", 0.1), ("test", 0.1), ("train", 0.8)):
            part = int((getattr(data, split).y == label).sum())
            assert abs(part - share * whole) <= 1.1 or whole < 10, (label, split)


def test_official_test_and_a_tenth_for_validation():
    other = raw(50, 5, 1)
    data = make(raw(1000, 5, test_x=other.x, test_y=other.y), "toy")
    assert np.array_equal(data.test.x, other.x) and abs(len(data.validation) - 100) <= 3


def test_the_split_is_a_published_constant():
    """These digests must never change: every study shares the splits."""
    source = raw(200, 4)
    data = make(source, "toy")
    said = {name: hashlib.sha256(getattr(data, name).x.tobytes()).hexdigest()[:12] for name in SPLITS}
    assert said == {"train": "558f4556e90b", "validation": "208efabd1b77", "test": "378b236e5d16"}
    again = make(source, "other name")
    assert said == {name: hashlib.sha256(getattr(again, name).x.tobytes()).hexdigest()[:12] for name in SPLITS}
    assert order(6, 1, "a").tolist() == [4, 3, 0, 1, 5, 2]  # fmt: skip


def test_duplicates_leave_the_training_side_and_are_counted():
    source, other = raw(100, 2), raw(20, 2, 1)
    x = source.x.copy()
    x[:7] = other.x[0]  # seven copies of a test image, with whatever labels
    x[50] = x[51]  # a pair, which may be torn apart by the split
    data = make(Raw(x, source.y, ("0", "1"), test_x=other.x, test_y=other.y), "toy")
    content = {name: {row.tobytes() for row in getattr(data, name).x} for name in SPLITS}
    assert not content["train"] & content["test"] and not content["train"] & content["validation"]
    assert not content["validation"] & content["test"]
    assert data.duplicates_removed in (7, 8) and len(data.test) == 20
    assert len(data.train) + len(data.validation) == 100 - data.duplicates_removed


def test_digest_is_of_content_alone():
    first = make(raw(100, 3), "one")
    assert first.digest == make(raw(100, 3), "two").digest
    source = raw(100, 3)
    for change in ("x", "y", "name"):
        x, y, names = source.x.copy(), source.y.copy(), source.class_names
        if change == "x":
            x[17, 0, 0, 0] ^= 1
        elif change == "y":
            y[17] = (y[17] + 1) % 3
        else:
            names = ("0", "1", "zwei")
        assert make(Raw(x, y, names), "one").digest != first.digest, change


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 99))
def test_statistics_are_exact(count, channels, seed):
    x = np.random.default_rng(seed).integers(0, 256, (count, 3, 5, channels), dtype=np.uint8)
    mean, deviation = statistics(x)
    flat = x.reshape(-1, channels) / 255
    assert np.allclose(mean, flat.mean(0), atol=1e-12) and np.allclose(deviation, flat.std(0), atol=1e-9)


def test_constant_channels_have_deviation_one():
    assert statistics(np.full((5, 2, 2, 1), 51, np.uint8)) == (pytest.approx((0.2,)), (1.0,))
    assert statistics(np.full((5, 2), 3, np.float32)) == ((3.0, 3.0), (1.0, 1.0))


def test_the_test_split_is_sealed(tmp_path):
    ref = LeafRef("data", "digits")
    data = open_data(ref, folder=tmp_path, root=None)
    with pytest.raises(Refusal, match="sealed") as refused:
        data.split("test")
    assert refused.value.code == "sealed"
    assert len(data.split("validation")) and len(data.split("train"))
    assert len(open_data(ref, folder=tmp_path, root=None, unsealed=True).split("test")) == len(data.test)
    with pytest.raises(Refusal):
        open_data(ref, folder=tmp_path, root=None).split("test")
    with pytest.raises(ValueError, match="no split 'dev'"):
        data.split("dev")


def test_a_view_keeps_the_seal(tmp_path):
    from crucis.data.view import apply_view

    data = open_data(LeafRef("data", "digits"), folder=tmp_path, root=None)
    with pytest.raises(Refusal):
        apply_view(data, {"classes": "first-half"}, 1).split("test")


def test_arrays_cannot_be_written_to(tmp_path):
    data = open_data(LeafRef("data", "digits"), folder=tmp_path, root=None)
    with pytest.raises(ValueError, match="read-only"):
        data.train.x[0] = 0


def test_only_the_data_room_reaches_past_the_seal():
    """No other room reads the attribute `test` of anything; they ask `Dataset.split`, which may refuse."""
    package = Path(crucis.__file__).parent
    rooms = [package / name for name in ("train", "measure", "study", "engine")]
    files = [*(file for room in rooms for file in room.rglob("*.py")), *(package / "data").glob("*.py")]
    allowed = {package / "data" / "dataset.py"}
    reaching = [
        file.name
        for file in files
        if file not in allowed
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "test"
    ]
    assert not reaching and len(files) > 20
