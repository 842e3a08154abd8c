"""Whether larger or smaller values of a column are better, so that a comparison may call a level better or worse.

An analysis that says `higher: true` or `higher: false` is believed. Otherwise the name of the column or its unit tells:
losses, errors, times and sizes are better small, everything else large. The report says which was taken.
"""

from __future__ import annotations

import re

from .columns import column
from .spec import Analysis, Ref, Study

#: Words in the name of a column whose small values are better.
_SMALL = re.compile(
    r"(?:^|_)(?:loss|error|errors|ece|brier|nll|perplexity|latency|seconds|memory|bytes|energy|flops|parameters|"
    r"forgetting|forgotten|barrier|regret|gap|drop|parity|odds|membership)(?:_|$)"
)
_SMALL_UNITS = ("seconds", "bytes")


def higher_is_better(study: Study, analysis: Analysis, ref: Ref) -> bool:
    """Whether larger values of the column are better: as the analysis says, else by the column's name and unit."""
    for params in (analysis.params, *(leaf.params for leaf in analysis.leaves)):
        if "higher" in params:
            return bool(params["higher"])
    if _SMALL.search(ref.column or ref.name):
        return False
    try:
        return column(study, ref).unit not in _SMALL_UNITS
    except LookupError:  # the reference was checked long ago; a source of another kind has no units
        return True


def directions(study: Study, analysis: Analysis, refs: list[Ref]) -> dict[str, bool]:
    """Label on the axis `metric` -> whether larger is better."""
    out = {}
    for ref in refs:
        higher = higher_is_better(study, analysis, ref)
        out[str(ref)] = out[str(Ref(ref.name, ref.column, (), ref.use))] = higher
    return out
