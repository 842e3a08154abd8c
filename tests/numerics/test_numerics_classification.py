"""Confusion and calibration against scikit-learn, SciPy, a plain loop over bins, and cases known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn import metrics

from crucis.numerics import calibration, confusion

CASES = st.tuples(st.integers(1, 60), st.integers(2, 6), st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None)
@given(CASES)
def test_per_class_is_that_of_scikit_learn(case: tuple[int, int, int]) -> None:
    n, classes, seed = case
    draw = np.random.default_rng(seed)
    labels, predicted = draw.integers(0, classes, n), draw.integers(0, classes, n)
    counts = confusion.matrix(labels, predicted, classes)
    assert np.array_equal(counts, metrics.confusion_matrix(labels, predicted, labels=range(classes)))
    found = confusion.per_class(counts)
    assert np.array_equal(found.classes, np.unique(labels))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=found.classes, zero_division=0
    )
    assert found.precision == pytest.approx(precision)
    assert found.recall == pytest.approx(recall)
    assert found.f1 == pytest.approx(f1)
    assert set(found.never) == set(found.classes.tolist()) - set(predicted.tolist())


@settings(max_examples=60, deadline=None)
@given(CASES, st.integers(1, 20))
def test_calibration_by_a_plain_loop(case: tuple[int, int, int], bins: int) -> None:
    n, classes, seed = case
    draw = np.random.default_rng(seed)
    logits, labels = draw.normal(0, 3, (n, classes)).astype(np.float32), draw.integers(0, classes, n)
    probabilities = calibration.softmax(logits)
    assert probabilities == pytest.approx(softmax(logits.astype(np.float64), axis=1))
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    total = 0.0
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert calibration.expected_error(confidence, right, bins=bins) == pytest.approx(total, abs=1e-12)
    ranked = sorted(range(n), key=lambda i: confidence[i])
    adaptive = 0.0
    for part in np.array_split(np.array(ranked), min(bins, n)):
        adaptive += len(part) / n * abs(right[part].mean() - confidence[part].mean())
    assert calibration.adaptive_error(confidence, right, bins=bins) == pytest.approx(adaptive, abs=1e-12)


def test_brier_is_twice_that_of_scikit_learn_for_two_classes() -> None:
    draw = np.random.default_rng(0)
    one, labels = draw.random(200), draw.integers(0, 2, 200)
    found = calibration.brier_scores(np.stack([1 - one, one], 1), labels)
    assert found.mean() == pytest.approx(2 * metrics.brier_score_loss(labels, one))


def test_perfect_and_hopeless() -> None:
    sure, right = np.ones(10), np.ones(10, bool)
    assert calibration.expected_error(sure, right) == 0 == calibration.adaptive_error(sure, right)
    assert calibration.expected_error(sure, ~right) == 1 == calibration.adaptive_error(sure, ~right)


def test_a_calibrated_forecaster_has_the_error_that_the_docstring_names() -> None:
    draw = np.random.default_rng(1)
    found = []
    for _ in range(200):
        confidence = draw.uniform(0.1, 1.0, 500)
        found.append(calibration.expected_error(confidence, draw.random(500) < confidence))
    assert np.mean(found) == pytest.approx(np.sqrt(15 / 500) / 3, rel=0.25)
