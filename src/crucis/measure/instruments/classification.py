"""Accuracy and loss of a classifier on the split that was asked for.

Cost: one pass over the split.
Reference case: constant logits over k classes have the loss log k.
"""

from __future__ import annotations

import numpy as np

from ...records import Result
from ..evaluate import accuracy_and_loss
from ..specimen import Specimen

REVISION = 1
COLUMNS = {
    "accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "loss": {"unit": "nats", "range": [0, None], "axes": [], "headline": True},
    "examples": {"unit": "count", "range": [1, None], "axes": [], "headline": False},
}
BATCH = 256


def measure(specimen: Specimen) -> Result:
    """Evaluate on `split` (validation unless said; test only when unsealed), over all classes of the data set.

    Returns:
        `accuracy` with its binomial standard error, `loss` (mean cross-entropy, nats), `examples`.

    Raises:
        Refusal: `sealed`, `too_few`, `not_finite`, `not_applicable`.
    """
    model, data = specimen.network()
    scores = accuracy_and_loss(model, specimen.asked(), data.mean, data.std, batch=BATCH, device=specimen.device)
    count = int(np.size(scores.correct))
    return Result(
        values={"accuracy": scores.accuracy, "loss": scores.loss, "examples": count},
        uncertainty={"accuracy": {"se": scores.accuracy_se, "n": count, "kind": "binomial"}},
    )
