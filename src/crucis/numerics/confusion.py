"""What can be said of a classifier from its confusion matrix: precision, recall and F1 of every class.

Source: definitions as in C. J. van Rijsbergen, Information Retrieval, 1979, chapter 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def matrix(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes), int64: row = label, column = prediction."""
    pairs = labels.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class PerClass:
    """Scores of the classes that occur among the labels.

    Attributes:
        classes: their indices (k,), ascending.
        precision, recall, f1: (k,), each in [0, 1]. A class that is never predicted has precision 0.
        never: indices of the classes that are never predicted.
    """

    classes: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    never: tuple[int, ...]


def per_class(counts: np.ndarray) -> PerClass:
    """Scores from a confusion matrix with at least one example.

    Predictions of classes that no label has count against the recall of the true class and against nothing else.
    """
    support, claimed, hits = counts.sum(1), counts.sum(0), np.diag(counts)
    kept = np.flatnonzero(support)
    support, claimed, hits = support[kept], claimed[kept], hits[kept]
    precision = np.divide(hits, claimed, out=np.zeros(len(kept)), where=claimed > 0)
    never = tuple(int(one) for one in kept[claimed == 0])
    return PerClass(kept, precision, hits / support, 2 * hits / (support + claimed), never)
