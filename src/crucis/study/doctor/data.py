"""Rules about data: duplicates across splits, classes of unlike size, too few examples to see a difference."""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case
from .finding import Finding, points

_IMBALANCE = 3.0  # examples of the largest class per one of the smallest
_MANY = 0.01  # share of the training split
_PLAYED = "train/q_learning"  # learns from what it plays, and takes from its data set what is seen and answered


def duplicates(case: Case) -> Iterator[Finding]:
    """Examples that stood in two splits."""
    for digest, info in case.plan.infos.items():
        if info.duplicates_removed:
            share = info.duplicates_removed / max(1, info.size("train"))
            yield Finding(
                "duplicates", "advice" if share > _MANY else "note",
                f"{info.duplicates_removed} examples of {case.plan.sources[digest]['name']} stood in two splits and "
                f"were taken out of the training side ({100 * share:.2g} % of it)",
                "numbers of papers that left them in are not comparable; say so beside them",
            )  # fmt: skip


def imbalance(case: Case) -> Iterator[Finding]:
    """Classes of very unlike size, for which accuracy is a poor summary; an agent that plays has none."""
    read = {node.spec["data"]["digest"] for node in case.plan.by_key.values()
            if node.spec["kind"] != _PLAYED and "digest" in (node.spec.get("data") or {})}  # fmt: skip
    for digest, info in case.plan.infos.items():
        if digest not in read:
            continue
        counts = [count for count in info.class_counts["train"] if count]
        if len(counts) > 1 and max(counts) / min(counts) > _IMBALANCE:
            share = max(counts) / sum(counts)
            yield Finding(
                "imbalance", "advice",
                f"{case.plan.sources[digest]['name']}: the largest class has {max(counts) / min(counts):.1f} times the "
                f"examples of the smallest; naming it always gives {points(share)} % accuracy",
                "judge by a column that weighs classes alike (crucis show classification), not by accuracy alone",
            )  # fmt: skip


def small_validation(case: Case) -> Iterator[Finding]:
    """A validation split too small for the difference that a comparison is about."""
    for name, result in case.conclusion.results.items():
        analysis = case.study.analysis[name]
        if result.verb != "compare" or not any(ref.column == "accuracy" for ref in analysis.of):
            continue
        effects = [abs(row.values["effect"] or 0.0) for row in result.rows if row.values.get("effect") is not None]
        sizes = [node.facts.info.size("validation") for node in case.plan.nodes
                 if node.facts is not None and node.instance.stage in {ref.name for ref in analysis.of}]  # fmt: skip
        if effects and sizes and 0 < max(effects) < 1 / min(sizes):
            yield Finding(
                "small_validation", "advice",
                f"{name}: the largest difference ({points(max(effects))} points) is less than one of the "
                f"{min(sizes)} validation examples", "use more validation examples or another metric (loss)",
            )  # fmt: skip
