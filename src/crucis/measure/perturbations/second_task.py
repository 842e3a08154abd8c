"""A second task after the first: how much of the first one's accuracy survives, step by step.

retention(k) = accuracy_A(k) / accuracy_A(0), where k counts optimiser steps on task B; accuracies are over all classes
of the data set unless `head` says otherwise, on the examples of task A in the split that was asked for. AURC is the
area under the broken line through (0, 1) and the recorded steps, from 0 to min(500, largest recorded step), divided by
that length.

Elastic weight consolidation (`ewc`) adds lambda / 2 x sum of F (theta - theta*)^2 with the diagonal of the true Fisher
information on the first task's training examples. `strength` is lambda x trace(F), since lambda alone means something
else with every way of estimating F: as if all weights were held by springs of that stiffness together. Penalties
stiffer than 2 / learning rate on one weight make plain gradient descent diverge; that is recorded as such.

With `head: per_task` the tasks, which then share no class, have a head each: the loss of task B compares its classes
only, and task A is judged among its own classes, by its own head as it was. What weight decay did to those rows of the
last layer is undone for the reading; `replay` and `lwf` train the old head too, and it is read as they left it.

Cost: max(record_at) optimiser steps, and one pass over the split per recorded step. `ewc`: two backward passes per
example of `images` beforehand; `lwf`: a third more per step; `replay`: twice as much per step.
Source: retention and its area as in the PERSIST protocol; ewc: J. Kirkpatrick et al., 2017
(doi:10.1073/pnas.1611835114); lwf: Z. Li, D. Hoiem, 2016 (arXiv:1606.09282); replay: A. Robins, 1995
(doi:10.1080/09540099550039318).
Reference case: constant accuracy gives an AURC of 1; `strength: 0` is `naive`; with a head per task and a trunk that
does not move, retention is exactly 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from ... import seeds, streams
from ...errors import CrucisError, Refusal
from ...numerics.curves import mean_height
from ...records import Result
from .. import heads, strategies
from ..evaluate import Scores, accuracy_and_loss, batches, evaluating
from ..information import fisher
from ..pulse import pulse
from ..specimen import Probe, Specimen, Trained

REVISION = 1
RANDOM = True
AXES = {"step": "record_at"}
COLUMNS = {
    "retention": {"unit": "ratio", "range": [0, None], "axes": ["step"], "headline": True},
    "accuracy_a": {"unit": "fraction", "range": [0, 1], "axes": ["step"], "headline": False},
    "aurc": {"unit": "ratio", "range": [0, None], "axes": [], "headline": True},
    "accuracy_before": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
    "accuracy_b": {"unit": "fraction", "range": [0, 1], "axes": [], "headline": True},
}
EXAMPLE = {"record_at": [2, 5, 20]}
LIMITS = {
    "strength": "[0, 1000000000]", "images": "[1, 10000000]", "memory": "[1, 10000000]", "temperature": "(0, 1000]",
}  # fmt: skip
BATCH = 256
HORIZON = 500
#: Strength of each strategy that has one, unless it is written.
STRENGTH = {"ewc": 300.0, "lwf": 1.0, "replay": 1.0}


def perturb(
    specimen: Specimen,
    *,
    strategy: Literal["naive", "ewc", "cosine", "replay", "lwf"] = "naive",
    record_at: list[int] = [10, 25, 50, 100, 250, 500],  # noqa: B006 - a literal that the language reads, never changed
    strength: float | None = None,
    images: int = 1000,
    memory: int = 200,
    temperature: float = 2.0,
    head: Literal["shared", "per_task"] = "shared",
) -> Result:
    """Train on task B from the weights of task A and watch task A.

    Args:
        strategy: `naive` trains on and does nothing against forgetting; `ewc` holds weights by how much the first task
            is informed about them; `cosine` lets the learning rate fall to 0 along half a cosine; `replay` mixes in
            remembered examples of the first task; `lwf` keeps the old network's answers to the new inputs.
        record_at: optimiser steps, increasing, from 1 on; the largest is the length of training.
        strength: `ewc`: lambda x trace(F), 300 if not given; `replay` and `lwf`: weight of the further term beside the
            new task's own loss, 1 if not given; the others have none.
        images: examples of the first task from which `ewc` estimates F; all if there are fewer.
        memory: examples of the first task that `replay` remembers, classes as even as possible; all if there are fewer.
        temperature: by which `lwf` divides logits.
        head: `shared`: one head over all classes; `per_task`: each task answers among its own classes.

    Returns:
        Columns as declared; standard errors: binomial for accuracies, of a paired ratio for retention. The trained
        network's files are those of the trainer. `notes.strategy` says lambda, trace(F) and the like.

    Raises:
        Refusal: `accuracy_zero` if task A was never known, `not_finite`, `sealed`, `too_few`, `not_applicable`.
        CrucisError: `record_at` is empty, not increasing or starts below 1.
    """
    if not record_at or record_at[0] < 1 or any(b <= a for a, b in pairwise(record_at)):
        raise CrucisError(f"record_at needs increasing steps from 1 on, got {record_at}")
    model, _ = specimen.network()
    if specimen.task is None or specimen.trainer is None:
        raise Refusal("not_applicable", "a second task needs data of its own and a network that can be trained")
    read_a, read_b = _readers(specimen, head, strategy)
    before = read_a(model)
    if before.accuracy == 0.0:
        raise Refusal("accuracy_zero", "no example of task A is right before task B, so retention is undefined")
    probe = _probe(before, read_a)
    force = STRENGTH.get(strategy, 0.0) if strength is None else strength
    changes, notes = _against(specimen, strategy, force, images, memory, temperature, head)
    changes |= {"head": head} if head != "shared" else {}
    task = specimen.task if head == "shared" else heads.declared(specimen.task)
    trained = specimen.trainer(task, steps=record_at[-1], probe=probe, probe_at=(0, *record_at), **changes)
    result = _result(trained, record_at, before, read_b(trained.model))
    return replace(result, notes={"strategy": notes}) if notes else result


def _readers(specimen: Specimen, head: str, strategy: str) -> tuple[Callable[[Any], Scores], Callable[[Any], Scores]]:
    """How a network is judged on the first task, and how on the second."""
    model, data = specimen.network()
    task = specimen.task
    assert task is not None
    split_a, split_b = specimen.asked(), task.split(specimen.split)

    def score(net: Any, split: Any, source: Any) -> Scores:
        return accuracy_and_loss(net, split, source.mean, source.std, batch=BATCH, device=specimen.device)

    if head == "shared":
        return lambda net: score(net, split_a, data), lambda net: score(net, split_b, task)
    first, second = heads.apart(data, task)
    own_a, own_b = heads.renumbered(split_a, first), heads.renumbered(split_b, second)
    few = batches(split_a.take(np.arange(1)), data.mean, data.std, batch=1, device=specimen.device)
    with evaluating(model):
        kept = heads.Kept(model, first, few[0][0])

    def read_a(net: Any) -> Scores:
        with nullcontext() if strategy in ("replay", "lwf") else kept.put_back(net):
            return score(heads.Narrowed(net, first), own_a, data)

    return read_a, lambda net: score(heads.Narrowed(net, second), own_b, task)


def _against(
    specimen: Specimen, strategy: str, strength: float, images: int, memory: int, temperature: float, head: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the trainer is told beyond the task, and what the record notes of it."""
    model, data = specimen.network()
    names = specimen.seed, "perturb", specimen.depth, strategy
    if strategy == "cosine":
        return {"schedule": "cosine"}, {}
    if strategy == "naive" or strength == 0.0:
        return {}, {}
    if strategy == "ewc":
        index = np.sort(seeds.rng(*names, "images").permutation(len(data.train))[:images])
        net, split = model, data.train.take(index)
        if head != "shared":
            kept = heads.classes_of(data)
            net, split = heads.Narrowed(model, kept), heads.renumbered(split, kept)
        parts = batches(split, data.mean, data.std, batch=BATCH, device=specimen.device)
        labels = streams.generator(*names, "labels")
        found = fisher(net, parts, generator=labels, tick=pulse(specimen.ctx))
        diagonal = {name if net is model else name.removeprefix("net."): part for name, part in found.diagonal.items()}
        if found.trace == 0.0:
            raise Refusal("degenerate", "no example of task A has a gradient, so there is nothing to hold on to")
        weight = strength / found.trace
        stiffest = weight * max(float(part.max()) for part in found.diagonal.values())
        told = {"lambda": weight, "fisher_trace": found.trace, "strength": strength, "images": len(index)}
        told["stiffest"] = stiffest  # times the learning rate above about 2, and descent must diverge
        return {"term": strategies.elastic(model, diagonal, weight)}, told
    if strategy == "replay":
        index = strategies.memory(data.train, memory, seeds.rng(*names, "memory"))
        ((x, y),) = batches(
            data.train.take(index), data.mean, data.std, batch=len(index), device=specimen.device
        )  # fmt: skip
        among = heads.classes_of(data) if head != "shared" else None
        return {"term": strategies.replayed(x, y, strength, among)}, {"strength": strength, "memory": len(index)}
    classes = np.unique(data.train.y).tolist()
    term = strategies.distilled(model, classes, strength, temperature)
    return {"term": term}, {"strength": strength, "temperature": temperature, "classes": len(classes)}


def _probe(before: Scores, score: Any) -> Probe:
    def probe(net: Any) -> Mapping[str, float]:
        now = score(net)
        return {"accuracy": now.accuracy, "loss": now.loss, "both": float(np.mean(now.correct & before.correct))}

    return probe


def _result(trained: Trained, record_at: list[int], before: Scores, after_b: Scores) -> Result:
    seen, count = trained.probes, len(before.correct)
    start = float(seen[0]["accuracy"])
    if start == 0.0:
        raise Refusal("accuracy_zero", "no example of task A is right before task B, so retention is undefined")
    accuracy = {str(k): float(seen[k]["accuracy"]) for k in record_at}
    retention = {label: value / start for label, value in accuracy.items()}
    end = min(HORIZON, record_at[-1])
    values = {
        "retention": retention,
        "accuracy_a": accuracy,
        "aurc": mean_height([0, *record_at], [1.0, *retention.values()], end),
        "accuracy_before": start,
        "accuracy_b": after_b.accuracy,
    }
    uncertainty = {
        "retention": {
            str(k): {
                "se": _ratio_se(accuracy[str(k)], start, float(seen[k]["both"]), count),
                "n": count,
                "kind": "delta",
            }
            for k in record_at
        },
        "accuracy_a": {label: _binomial(value, count) for label, value in accuracy.items()},
        "accuracy_before": _binomial(start, count),
        "accuracy_b": _binomial(after_b.accuracy, len(after_b.correct)),
    }
    return Result(values=values, uncertainty=uncertainty, files=dict(trained.files))


def _binomial(share: float, count: int) -> dict[str, Any]:
    return {"se": math.sqrt(share * (1 - share) / count), "n": count, "kind": "binomial"}


def _ratio_se(now: float, start: float, both: float, count: int) -> float:
    """Delta method for now/start, both shares of the same `count` examples; `both` is right at both times."""
    ratio, covariance = now / start, both - now * start
    variance = now * (1 - now) + ratio**2 * start * (1 - start) - 2 * ratio * covariance
    return math.sqrt(max(variance, 0.0) / count) / start
