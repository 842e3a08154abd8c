"""How far stated confidence lies from what came true: expected calibration errors and the Brier score, on arrays.

Confidence is the largest probability of an example, "right" whether that class is the label. Knows no network.

Source: expected calibration error and its bins: C. Guo, G. Pleiss, Y. Sun, K. Weinberger, 2017 (arXiv:1706.04599); bins
of equal counts: J. Nixon et al., 2019 (arXiv:1904.01685); quadratic score: G. W. Brier, 1950
(doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
"""

from __future__ import annotations

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (N, classes) in float64 of logits (N, classes)."""
    wide = logits.astype(np.float64)
    raised = np.exp(wide - wide.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def expected_error(confidence: np.ndarray, right: np.ndarray, *, bins: int = 15) -> float:
    """Mean of |share right - mean confidence| over bins of equal width ((m - 1) / M, m / M], weighted by their counts.

    Args:
        confidence: (N,), in (0, 1].
        right: (N,) bool.
        bins: M, at least 1.
    """
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = np.bincount(place, weights=right - confidence, minlength=bins)  # count x (share right - mean confidence)
    return float(np.abs(gap).sum() / len(confidence))


def adaptive_error(confidence: np.ndarray, right: np.ndarray, *, bins: int = 15) -> float:
    """The same over bins of as equal counts as possible, in the order of confidence (ties in the order given)."""
    ranked = np.argsort(confidence, kind="stable")
    gap = (right - confidence)[ranked]
    parts = np.array_split(gap, min(bins, len(gap)))
    return float(sum(abs(part.sum()) for part in parts) / len(gap))


def brier_scores(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distance of the probabilities to the label's unit vector, (N,), each from 0 to 2."""
    truth = np.zeros_like(probabilities)
    truth[np.arange(len(labels)), labels] = 1.0
    return ((probabilities - truth) ** 2).sum(1)
