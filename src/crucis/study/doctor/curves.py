"""Rules about courses of training: too short, too long, too well fitted, not at all, or at too high a rate."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from ...records import Record
from ..plan import Node
from .case import Case, Curve
from .finding import Finding, points

Group = list[tuple[Node, Record]]

_RISING = 0.01  # accuracy gained over the last fifth of training that is worth more training
_GAP = 0.10  # training minus validation accuracy
_LOSS_RISE = 1.10  # validation loss at the end, of its smallest
_EARLY = 0.4  # share of training after which 99 % of the final accuracy is reached
_SPIKE = 2.0  # a training loss that grows by this factor between two evaluations


def still_rising(case: Case) -> Iterator[Finding]:
    """Validation accuracy that still grows in the last fifth, in the mean over seeds by more than twice its error."""
    for name, group in case.trained():
        found = case.curves(group)
        gains = [curve["accuracy"][-1] - _at(curve, "accuracy", 0.8) for _, _, curve in found]
        if not gains:
            continue
        mean = statistics.fmean(gains)
        error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
        falling = all(curve["train_loss"][-1] < _at(curve, "train_loss", 0.8) for _, _, curve in found)
        if mean > _RISING and mean > 2 * error and falling:
            yield Finding(
                "still_rising", "advice",
                f"{name}: validation accuracy still gained {points(mean)} points in the last fifth of training "
                f"({len(gains)} seeds)", "train longer ('for' twice as long), then compare again",
                keys=tuple(record.key for _, record, _ in found),
            )  # fmt: skip


def _at(curve: Curve, column: str, share: float) -> float:
    """The value at the last evaluation within this share of the steps."""
    last = curve["step"][-1]
    inside = [value for step, value in zip(curve["step"], curve[column], strict=True) if step <= share * last]
    return inside[-1] if inside else curve[column][0]


def plateau(case: Case) -> Iterator[Finding]:
    """Training that had almost all of its final accuracy early on."""
    for name, group in case.trained():
        found = case.curves(group, least=10) if not _nothing(group) else []
        shares = []
        for _, record, _ in found:
            reach, steps = record.values.get("reach", {}), record.values.get("steps")
            if isinstance(reach, dict) and isinstance(reach.get("99%"), int) and steps:
                shares.append(reach["99%"] / steps)
        if shares and len(shares) == len(found) and max(shares) <= _EARLY:
            seconds = statistics.fmean(float(record.body["cost"]["wall_s"]) for _, record, _ in found)
            yield Finding(
                "plateau", "note",
                f"{name}: 99 % of the final accuracy is there after {100 * max(shares):.0f} % of training at the "
                "latest", f"a shorter 'for' would save up to {seconds * (1 - max(shares)):.0f} s per seed",
                keys=tuple(record.key for _, record, _ in found),
            )  # fmt: skip


def overfit(case: Case) -> Iterator[Finding]:
    """A wide gap between training and validation, with a validation loss that has turned upwards."""
    for name, group in case.trained():
        gaps, rises, best = [], [], []
        for _, record, curve in case.curves(group):
            gaps.append(float(record.values["train_accuracy"]) - float(record.values["accuracy"]))
            low = min(curve["loss"])
            rises.append(curve["loss"][-1] / low if low > 0 else 1.0)
            best.append(curve["epoch"][curve["loss"].index(low)])
        if gaps and statistics.fmean(gaps) > _GAP and statistics.fmean(rises) > _LOSS_RISE:
            yield Finding(
                "overfit", "advice",
                f"{name}: training accuracy is {points(statistics.fmean(gaps))} points above validation, and the "
                f"validation loss ends {100 * (statistics.fmean(rises) - 1):.0f} % above its minimum",
                f"keep the best checkpoint (select: loss; the minimum is near epoch {statistics.median(best):.0f}), "
                "or regularise (augment, weight_decay, label_smoothing)",
                keys=tuple(record.key for _, record in group),
            )  # fmt: skip


def learned_nothing(case: Case) -> Iterator[Finding]:
    """Accuracy that does not exceed that of always naming the largest class."""
    for name, group in case.trained():
        if (found := _nothing(group)) is not None:
            best, share = found
            yield Finding(
                "learned_nothing", "serious",
                f"{name}: no seed is beyond doubt better (the best has {points(best)} %) than always naming the "
                f"largest class ({points(share)} %)",
                "raise or lower lr by a factor of 10; if that changes nothing, check the labels and the network",
                keys=tuple(record.key for _, record in group),
            )  # fmt: skip


def _nothing(group: Group) -> tuple[float, float] | None:
    """Best accuracy and share of the largest class, if no seed is better than that by two standard errors."""
    node, first = group[0]
    if node.facts is None or "accuracy" not in first.values or node.facts.data.get("view"):
        return None
    counts = node.facts.info.class_counts["validation"]
    share = max(counts) / max(1, sum(counts))
    best = max(float(record.values["accuracy"]) for _, record in group)
    error = (share * (1 - share) / max(1, sum(counts))) ** 0.5
    return (best, share) if best <= share + 2 * error else None


def underfit(case: Case) -> Iterator[Finding]:
    """A training split that is not fitted although training has come to rest."""
    for name, group in case.trained():
        found = case.curves(group)
        if not found or _nothing(group):
            continue
        train = statistics.fmean(float(record.values["train_accuracy"]) for _, record, _ in found)
        gap = train - statistics.fmean(float(record.values["accuracy"]) for _, record, _ in found)
        rest = statistics.fmean(
            curve["train_loss"][-1] / max(_at(curve, "train_loss", 0.8), 1e-12) for *_, curve in found
        )
        if train < 0.9 and gap < 0.02 and rest > 0.97:
            yield Finding(
                "underfit", "advice",
                f"{name}: training accuracy rests at {points(train)} %, validation at {points(train - gap)} %",
                "the network is too small or the rate unfit: widen it, or search over lr",
                keys=tuple(record.key for _, record, _ in found),
            )  # fmt: skip


def unstable(case: Case) -> Iterator[Finding]:
    """A training loss that jumps up on the way."""
    for name, group in case.trained():
        jumps = []
        for node, record, curve in case.curves(group):
            losses = curve["train_loss"]
            for index in range(1, len(losses)):
                if losses[index] > _SPIKE * losses[index - 1] and losses[index] > 0.1:
                    jumps.append((curve["step"][index], losses[index - 1], losses[index], node, record))
                    break
        if jumps:
            step, before, after, _, _ = min(jumps, key=lambda jump: jump[0])
            yield Finding(
                "unstable", "advice",
                f"{name}: the training loss jumped from {before:.3g} to {after:.3g} before step {step:.0f} "
                f"({len(jumps)} of {len(group)} seeds)", "lower lr to a third, lengthen the warmup, or clip: 1.0",
                keys=tuple(jump[4].key for jump in jumps),
            )  # fmt: skip
