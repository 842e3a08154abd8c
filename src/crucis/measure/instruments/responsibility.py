"""What a responsibility review asks of a network: robustness, fairness between groups, and what it betrays.

Robustness: `robust_accuracy` under projected gradient descent within eps of every pixel (see `pgd`), and
`corruption_accuracy`, the mean over eight common corruptions in five severities (see `corruption`).

Fairness over the groups that the study names: `group_accuracy` of each, `worst_group` (the lowest), `group_gap`
(highest minus lowest). With favourable answers (`favourable`: classes that are good to be given), also
`demographic_parity`, the largest difference between groups of P(answer is favourable), and `equalised_odds`, the larger
one of these differences among examples whose label is favourable and among the others. 0 is equal treatment.

Privacy: `membership_auc`, how well the loss tells training examples from those of the split that was asked for (0.5:
not at all), with DeLong's standard error, and `membership_advantage`, true minus false positive rate of the guess
"member if the loss is at most the mean training loss". How well planted canaries are remembered is not measured, since
training plants none.

A column that has no meaning here (pixels of vectors, parity without favourable answers) is left out and
`notes.left_out` says why. Thresholds are the business of claims and gates.

Cost: steps x images passes forward and backward, 41 x images passes forward, and two passes over up to `images`
examples of either split.
Source: A. Madry et al., 2018 (arXiv:1706.06083); D. Hendrycks, T. Dietterich, 2019 (arXiv:1903.12261); C. Dwork et al.,
2012 (arXiv:1104.3913); M. Hardt, E. Price, N. Srebro, 2016 (arXiv:1610.02413); S. Yeom et al., 2018 (arXiv:1709.01604).
Reference case: constant logits have the membership AUC 0.5 if the classes are equally common in both splits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CrucisError, Refusal
from ...numerics import fairness
from ...records import Result
from ..adversary import attacked
from ..corruptions import CORRUPTIONS
from ..evaluate import answers
from ..groups import class_indices, grouped
from ..membership import betrayal
from ..specimen import Specimen
from ..weathering import weathered

REVISION = 1
RANDOM = True
COLUMNS = {
    "robust_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "corruption_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "clean_accuracy": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "group_accuracy": {"unit": "fraction", "range": [0, 1], "axes": ["group"], "headline": False},
    "worst_group": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "group_gap": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "demographic_parity": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "equalised_odds": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": False},
    "membership_auc": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "membership_advantage": {"unit": "fraction", "range": [-1, 1], "axes": [], "headline": True},
}
#: Columns that may be left out, with the reason in `notes.left_out`.
OPTIONAL = ["robust_accuracy", "corruption_accuracy", "demographic_parity", "equalised_odds"]
LIMITS = {"eps": "[0, 1]", "steps": "[1, 100000]", "images": "[2, 10000000]"}
EXAMPLE = {"steps": 2}
BATCH = 256
SEVERITIES = (1, 2, 3, 4, 5)


def measure(
    specimen: Specimen,
    *,
    eps: float = 0.03137254901960784,
    steps: int = 10,
    groups: Mapping[str, Any] | str | None = None,
    favourable: list[int | str] = [],  # noqa: B006 - a literal that the language reads, never changed
    images: int = 1000,
) -> Result:
    """Review a network on the split that was asked for.

    Args:
        eps: largest change of a pixel under attack, pixels from 0 to 1; 8/255 if not given.
        steps: gradient steps of the attack, from one random start.
        groups: {name: [classes]}, groups by true class; or the name of a known factor of the data set, or `coarse` for
            its coarse classes; every class is a group if not given.
        favourable: classes, by index or name, that are good to be given; none if not given.
        images: how many images for attack, corruptions and membership; all of the split if there are fewer. Fairness is
            over the whole split.

    Returns:
        Columns as declared. Standard errors: binomial for accuracies, over images for corruptions, DeLong's for the
        area. `membership.npz`: `members`, `others`, losses in nats.

    Raises:
        Refusal: `not_applicable`, `sealed`, `too_few` with fewer than two groups, `not_finite`, `unsupported`.
        CrucisError: a group or favourable class that does not exist.
        Stopped: asked to; the measurement starts again next time.
    """
    left: dict[str, str] = {}
    values, uncertainty = _fairness(specimen, groups, favourable, left)
    _, data = specimen.network()
    if data.kind == "image":
        hit = attacked(specimen, eps=eps, steps=steps, images=images).after.numpy()
        _, dull = weathered(specimen, list(CORRUPTIONS), SEVERITIES, images)
        for name, scores in (("robust_accuracy", hit.astype(float)), ("corruption_accuracy", dull.mean((0, 1)))):
            values[name], uncertainty[name] = float(scores.mean()), _of_mean(scores)
    else:
        left |= dict.fromkeys(("robust_accuracy", "corruption_accuracy"), f"{data.name} holds vectors, not images")
    told = betrayal(specimen, images)
    values |= {"membership_auc": told.auc, "membership_advantage": told.advantage}
    count = len(told.members) + len(told.others)
    uncertainty["membership_auc"] = {"se": told.se, "n": count, "kind": "delong"}
    files = specimen.save("membership.npz", {"members": told.members, "others": told.others})
    return Result(values=values, uncertainty=uncertainty, files=files, notes={"left_out": left} if left else {})


def _fairness(
    specimen: Specimen, asked: Mapping[str, Any] | str | None, favourable: list[int | str], left: dict[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    model, data = specimen.network()
    split = specimen.asked()
    found = grouped(asked, data, split)
    good = class_indices(favourable, data, "favourable")
    if len(good) == data.classes:
        raise CrucisError("favourable: every class is named, so that no answer can be worse than another")
    told = answers(model, split, data.mean, data.std, batch=BATCH, device=specimen.device)
    if not np.isfinite(told.losses).all():
        raise Refusal("not_finite", f"the loss on {len(split)} examples is not finite")
    guess, inside, count = told.logits.argmax(1), found.member >= 0, len(found.names)
    right, member = (guess == split.y)[inside], found.member[inside]
    rates, sizes = fairness.shares(right, member, count), np.bincount(member, minlength=count)
    each = {name: float(rates[k]) for k, name in enumerate(found.names) if sizes[k]}
    values: dict[str, Any] = {
        "clean_accuracy": float((guess == split.y).mean()),
        "group_accuracy": each,
        "worst_group": min(each.values()),
        "group_gap": max(each.values()) - min(each.values()),
    }
    uncertainty: dict[str, Any] = {
        "group_accuracy": {
            name: {"se": math.sqrt(rates[k] * (1 - rates[k]) / sizes[k]), "n": int(sizes[k]), "kind": "binomial"}
            for k, name in enumerate(found.names) if sizes[k]
        },
        "clean_accuracy": _of_mean((guess == split.y).astype(float)),
    }  # fmt: skip
    favoured, deserving = np.isin(guess, good)[inside], np.isin(split.y, good)[inside]
    gaps = {
        "demographic_parity": fairness.parity_gap(favoured, member, count),
        "equalised_odds": fairness.odds_gap(favoured, deserving, member, count),
    }
    for name, gap in gaps.items():
        if not good:
            left[name] = "no answer is called favourable; name classes in 'favourable'"
        elif gap is None:
            left[name] = "no two groups have examples of the same truth; groups by class need classes on both sides"
        else:
            values[name] = gap
    return values, uncertainty


def _of_mean(scores: np.ndarray) -> dict[str, object]:
    return {"se": float(scores.std()) / math.sqrt(len(scores)), "n": len(scores), "kind": "images"}
