"""Views: never move an example between splits, have the announced size, and do not depend on how they are written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.data import sequences
from crucis.data.dataset import SPLITS, DataError, Dataset, Raw, info_of
from crucis.data.split import make
from crucis.data.transform import rotate_images
from crucis.data.view import active_classes, apply_view, check_view, view_classes, view_size


def images(count: int = 260, classes: int = 7, side: int = 6, coarse: bool = True) -> Dataset:
    draw = np.random.default_rng(5)
    x = draw.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    y = draw.integers(0, classes, count)
    groups = tuple(i // 3 for i in range(classes)) if coarse else ()
    names = tuple(f"g{i}" for i in range(max(groups) + 1)) if coarse else ()
    return make(Raw(x, y, tuple(f"c{i}" for i in range(classes)), coarse=groups, coarse_names=names,
                    factors={"row": np.arange(count)}), "toy")  # fmt: skip


IMAGES = images()
VECTORS = make(
    Raw(np.random.default_rng(6).standard_normal((120, 5)).astype(np.float32), np.arange(120) % 4, tuple("abcd")), "vec"
)

LABELS = ["true", "random", "coarse", {"noise": 0.2}, {"noise": 0.0}, {"noise": 1.0}]
VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "classes": st.one_of(
            st.sampled_from(["first-half", "second-half", ["c1", 4, "c6"], [0, 2]]),
            st.builds(lambda name, k: {name: k}, st.sampled_from(["random_half", "other_half"]), st.integers(0, 9)),
        ),
        "per_class": st.integers(1, 15),
        "n": st.integers(1, 40),
        "share": st.floats(0.01, 1),
        "labels": st.sampled_from(LABELS),
        "permute": st.integers(0, 4),
        "rotate": st.sampled_from([0, 90, -45, 12.5]),
    },
)


def size_or_fault(view) -> int | None:
    try:
        return view_size(info_of(IMAGES), view)
    except DataError:
        return None


@settings(max_examples=80, deadline=None)
@given(view=VIEWS, seed=st.integers(0, 2**40), shuffled=st.randoms(use_true_random=False))
def test_a_view_is_what_its_size_says_and_moves_nothing(view, seed, shuffled):
    size = size_or_fault(view)
    if size is None:
        with pytest.raises(DataError):
            apply_view(IMAGES, view, seed)
        return
    shown = apply_view(IMAGES, view, seed)
    assert len(shown.train) == size
    for split in SPLITS:
        before, after = getattr(IMAGES, split), getattr(shown, split)
        assert set(after.factors["row"].tolist()) <= set(before.factors["row"].tolist()), "an example changed its split"
    keys = list(view)
    shuffled.shuffle(keys)
    again = apply_view(IMAGES, {key: view[key] for key in keys}, seed)
    for split in SPLITS:
        first, second = getattr(shown, split), getattr(again, split)
        assert np.array_equal(first.x, second.x) and np.array_equal(first.y, second.y)
    assert shown.digest == again.digest and (shown.digest == IMAGES.digest) == (not view)


@settings(max_examples=40, deadline=None)
@given(view=VIEWS, seeds=st.tuples(st.integers(0, 9), st.integers(10, 19)))
def test_validation_and_test_never_depend_on_the_seed_or_on_training_keys(view, seeds):
    if size_or_fault(view) is None:
        return
    first, second = (apply_view(IMAGES, view, seed) for seed in seeds)
    whole = {key: view[key] for key in ("classes", "permute", "rotate") if key in view}
    if view.get("labels") == "coarse":
        whole["labels"] = "coarse"
    plain = apply_view(IMAGES, whole, 3)
    for split in ("validation", "test"):
        for shown in (first, second):
            assert np.array_equal(getattr(shown, split).x, getattr(plain, split).x)
            assert np.array_equal(getattr(shown, split).y, getattr(plain, split).y)


@pytest.mark.parametrize("key", ["n", "share", "per_class"])
def test_smaller_views_are_nested(key):
    small, large = {"n": (10, 30), "share": (0.1, 0.5), "per_class": (3, 9)}[key]
    rows = [set(apply_view(IMAGES, {key: size}, 4).train.factors["row"].tolist()) for size in (small, large)]
    assert rows[0] < rows[1]
    other = set(apply_view(IMAGES, {key: small}, 5).train.factors["row"].tolist())
    assert other != rows[0], "the draw ignores the seed"


def test_order_of_keys_is_the_published_one():
    """per_class before n before share: 5 of each of 3 classes, then 9 of those 15, then a third."""
    view = {"share": 1 / 3, "n": 9, "per_class": 5, "classes": [0, 1, 2]}
    assert view_size(info_of(IMAGES), view) == len(apply_view(IMAGES, view, 1).train) == 3
    with pytest.raises(DataError, match=r"view\.n: 16 examples asked for, 15 are there"):
        view_size(info_of(IMAGES), {**view, "n": 16})


def test_classes_narrow_the_examples_not_the_head():
    shown = apply_view(IMAGES, {"classes": "second-half"}, 1)
    assert shown.classes == 7 and shown.class_names == IMAGES.class_names and shown.active == (3, 4, 5, 6)
    for split in SPLITS:
        assert set(getattr(shown, split).y.tolist()) == {3, 4, 5, 6}
    assert shown.mean == IMAGES.mean and shown.std == IMAGES.std


@pytest.mark.parametrize("k", range(6))
def test_random_half_and_the_other_one(k):
    half, rest = (active_classes(IMAGES, {"classes": {name: k}}) for name in ("random_half", "other_half"))
    assert sorted(half + rest) == list(range(7)) and len(half) == 3
    assert len({active_classes(IMAGES, {"classes": {"random_half": i}}) for i in range(20)}) > 5


def test_random_labels_are_uniform_over_the_kept_classes():
    data = images(count=4000)
    shown = apply_view(data, {"classes": [1, 2, 5], "labels": "random"}, 9)
    counts = np.bincount(shown.train.y, minlength=7)
    assert set(np.flatnonzero(counts)) == {1, 2, 5}
    expected = len(shown.train) / 3
    assert (((counts[[1, 2, 5]] - expected) ** 2) / expected).sum() < 13.8  # chi-square, 2 degrees, p = 0.001
    true = apply_view(data, {"classes": [1, 2, 5]}, 9).train
    agreement = (shown.train.y == true.y).mean()
    assert abs(agreement - 1 / 3) < 4 * np.sqrt(2 / 9 / len(true))
    assert np.array_equal(shown.train.x, true.x)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_noise_is_exact_and_uniform_over_the_other_classes(share):
    data = images(count=6000)
    true, noisy = data.train.y, apply_view(data, {"labels": {"noise": share}}, 2).train.y
    changed = true != noisy
    assert changed.sum() == round(share * len(true))
    if share == 1.0:
        table = np.zeros((7, 7))
        np.add.at(table, (true, noisy), 1)
        expected = np.bincount(true, minlength=7)[:, None] / 6
        off = ~np.eye(7, dtype=bool)
        assert (((table - expected) ** 2 / expected)[off]).sum() < 66.6  # chi-square, 35 degrees, p = 0.001


def test_coarse_labels_are_another_task_on_every_split():
    shown = apply_view(IMAGES, {"labels": "coarse", "classes": [0, 1, 4]}, 1)
    assert shown.classes == 3 == view_classes(IMAGES, {"labels": "coarse"})
    assert shown.class_names == ("g0", "g1", "g2") and shown.active == (0, 1)
    fine = apply_view(IMAGES, {"classes": [0, 1, 4]}, 1)
    for split in SPLITS:
        assert np.array_equal(getattr(shown, split).y, getattr(fine, split).y // 3)


def test_permutation_is_one_bijection_of_pixels():
    shown = apply_view(IMAGES, {"permute": 3}, 1)
    before, after = IMAGES.train.x.reshape(-1, 36, 3), shown.train.x.reshape(-1, 36, 3)
    index = [int(np.flatnonzero((before[:, :, :] == after[:, i : i + 1]).all((0, 2)))[0]) for i in range(36)]
    assert sorted(index) == list(range(36)) and index != list(range(36))
    assert np.array_equal(shown.test.x.reshape(-1, 36, 3), IMAGES.test.x.reshape(-1, 36, 3)[:, index])
    assert np.array_equal(apply_view(IMAGES, {"permute": 3}, 99).train.x, shown.train.x), "it varies with the seed"
    assert np.array_equal(apply_view(IMAGES, {"permute": 0}, 1).train.x, IMAGES.train.x)


def test_permuted_vectors_keep_their_statistics():
    shown = apply_view(VECTORS, {"permute": 2}, 1)
    assert np.allclose(shown.train.x.mean(0), shown.mean, atol=1e-5)
    assert sorted(shown.mean) == sorted(VECTORS.mean) and shown.mean != VECTORS.mean


def test_rotation_against_scipy():
    from scipy.ndimage import rotate

    x = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 2), dtype=np.uint8)
    for angle in (10, 45, 133.3, -20):
        ours = rotate_images(x, angle).astype(int)
        theirs = rotate(x.astype(float), angle, axes=(2, 1), reshape=False, order=1, mode="constant")
        mirrored = rotate(x.astype(float), angle, axes=(1, 2), reshape=False, order=1, mode="constant")
        gap = min(abs(ours - np.rint(t))[:, 2:-2, 2:-2].max() for t in (theirs, mirrored))
        assert gap <= 1, angle


def test_quarter_turns_are_exact_and_counter_clockwise():
    x = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 1), dtype=np.uint8)
    for quarters in range(-4, 5):
        assert np.array_equal(rotate_images(x, 90 * quarters), np.rot90(x, quarters, axes=(1, 2)))
    near = rotate_images(x, 89.9999).astype(int)
    assert abs(near - np.rot90(x, 1, axes=(1, 2))).max() <= 1, "the two ways of turning disagree in direction"
    wide = x[:, :3]
    assert rotate_images(wide, 90).shape == wide.shape and np.array_equal(rotate_images(wide, 180), wide[:, ::-1, ::-1])


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"clases": [1]}, "no key 'clases'.*Did you mean 'classes'"),
        ({"classes": "third-half"}, "first-half, second-half"),
        ({"classes": []}, "leaves no example"),
        ({"classes": [1, 1]}, "twice"),
        ({"classes": [7]}, "no class 7; write 0 to 6"),
        ({"classes": ["c9"]}, "no class 'c9'"),
        ({"classes": {"random_half": "x"}}, "random_half"),
        ({"per_class": 0}, "whole number from 1"),
        ({"per_class": 5000}, "5000 asked for, class 'c"),
        ({"n": 2.5}, "whole number"),
        ({"n": True}, "whole number"),
        ({"share": 0}, "above 0"),
        ({"share": 1.5}, "up to 1"),
        ({"labels": "rnadom"}, "true, random"),
        ({"labels": {"noise": 2}}, "share from 0 to 1"),
        ({"classes": [3], "labels": {"noise": 0.1}}, "no other label"),
        ({"permute": -1}, "whole number from 0"),
        ({"rotate": "left"}, "degrees"),
        ({"rotate": float("inf")}, "degrees"),
    ],
)
def test_wrong_views_are_named(view, words):
    for attempt in (lambda: view_size(info_of(IMAGES), view), lambda: apply_view(IMAGES, view, 1)):
        with pytest.raises(DataError, match=words):
            attempt()


def test_views_that_a_kind_of_data_lacks():
    with pytest.raises(DataError, match="no coarse labels"):
        check_view(VECTORS, {"labels": "coarse"})
    with pytest.raises(DataError, match="vectors, which have no rotation"):
        check_view(VECTORS, {"rotate": 10})
    with pytest.raises(DataError, match="a view is there already"):
        apply_view(apply_view(IMAGES, {"n": 5}, 1), {"n": 2}, 1)


# --- task sequences --------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(tasks=st.integers(1, 7), shuffle=st.none() | st.integers(0, 99))
def test_class_disjoint_tasks_share_everything_out(tasks, shuffle):
    views = sequences.class_disjoint(IMAGES, tasks, shuffle=shuffle)
    assert sorted(label for view in views for label in view["classes"]) == list(range(7))
    sizes = [len(view["classes"]) for view in views]
    assert max(sizes) - min(sizes) <= 1
    assert sum(view_size(info_of(IMAGES), view) for view in views) == len(IMAGES.train)


def test_more_tasks_than_classes():
    with pytest.raises(DataError, match="8 tasks for the 7 classes of toy"):
        sequences.class_disjoint(IMAGES, 8)


def test_permuted_and_rotated_sequences():
    assert sequences.permutations(3, {"n": 5}) == [{"n": 5, "permute": k} for k in range(3)]
    assert sequences.rotations([0, 30]) == [{"rotate": 0}, {"rotate": 30}]
