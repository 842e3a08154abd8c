"""The instrument `classification` against scikit-learn on a network's own predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn import metrics

from crucis.measure.evaluate import batches
from crucis.measure.instruments import classification
from crucis.testing import subjects


def test_against_scikit_learn(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    data = subject.data
    ((x, y),) = batches(data.validation, data.mean, data.std, batch=500, device="cpu")
    with torch.no_grad():
        logits = subject.model(x)
    guess, labels = logits.argmax(1).numpy(), y.numpy()
    result = classification.measure(subject)
    values, present = result.values, np.unique(labels)
    common = {"labels": present, "average": "macro", "zero_division": 0}
    assert values["accuracy"] == pytest.approx(metrics.accuracy_score(labels, guess))
    assert values["f1"] == pytest.approx(metrics.f1_score(labels, guess, **common))
    assert values["precision"] == pytest.approx(metrics.precision_score(labels, guess, **common))
    assert values["recall"] == pytest.approx(metrics.recall_score(labels, guess, **common))
    assert values["balanced_accuracy"] == values["recall"]
    assert values["loss"] == pytest.approx(
        metrics.log_loss(labels, logits.softmax(1).numpy(), labels=range(6)), rel=1e-5
    )
    each = metrics.recall_score(labels, guess, labels=present, average=None, zero_division=0)
    assert values["recall@class"] == pytest.approx({"abcdef"[k]: r for k, r in zip(present, each, strict=True)})
    assert values["worst_class"] == min(values["recall@class"].values())
    with np.load(tmp_path / "out" / "confusion.npz") as file:
        assert np.array_equal(file["counts"], metrics.confusion_matrix(labels, guess, labels=range(6)))


def test_classes_that_are_never_predicted_are_named(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    with torch.no_grad():
        subject.model[-1].bias.copy_(torch.tensor([99.0, 0, 0, 0, 0, 0]))
    result = classification.measure(subject)
    assert result.notes["never_predicted"] == ["b", "c"]
    assert result.values["precision@class"] == {"a": pytest.approx(1 / 3), "b": 0.0, "c": 0.0}
    assert result.values["f1"] == pytest.approx(0.5 / 3)
    assert result.values["worst_class"] == 0.0
