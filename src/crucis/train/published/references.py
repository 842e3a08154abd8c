"""Who says what: the references of a recipe, kept apart, and which of them a derived value rests on."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .facts import Fact, Recipe, sources

#: In the order in which an unattributed statement about a recipe is read.
RANK = ("paper", "cited-paper", "authors-code", "reimplementation")
#: Keys of one meaning that the facts spell in two ways.
_SAME = ({"reg.label_smoothing", "loss.label_smoothing"}, {"weight_decay.applies_to", "weight_decay.excludes"})
#: Sections of facts about other trainings than the recipe's: of its results, or of the same networks elsewhere.
ASIDE = frozenset({"finetune", "linprobe", "r50", "torchvision", "timm", "vdv", "mae_scratch", "deit_table_says",
                   "mixer_authors_report"})  # fmt: skip
#: What people write -> the key that facts use.
ALIASES = {
    "lr": "lr.base", "learning_rate": "lr.base", "base_lr": "lr.base", "peak_lr": "lr.peak", "batch": "batch_size",
    "optimizer": "optimizer.name", "optimiser": "optimizer.name", "momentum": "optimizer.momentum",
    "nesterov": "optimizer.nesterov", "weight_decay": "weight_decay.value", "wd": "weight_decay.value",
    "epochs": "schedule.total", "iterations": "schedule.total", "length": "schedule.total", "total": "schedule.total",
    "schedule": "schedule.kind", "gamma": "schedule.gamma", "milestones": "schedule.milestones",
    "warmup": "schedule.warmup", "warm_up": "schedule.warmup", "label_smoothing": "reg.label_smoothing",
    "dropout": "reg.dropout", "ema": "ema.decay", "betas": "optimizer.betas", "clip": "optimizer.grad_clip_norm",
    "mixup": "reg.mixup_alpha", "cutmix": "reg.cutmix_alpha", "drop_path": "reg.stochastic_depth",
}  # fmt: skip


def matches(fact: Fact, reference: str) -> bool:
    """Whether a given fact belongs to a reference: a role, or the key of a source (`tv-ref`, `he2016`)."""
    return reference in (fact.role, fact.source.partition(":")[0])


def known(recipe: Recipe) -> tuple[str, ...]:
    """References that a statement about this recipe may name."""
    given = [fact for fact in recipe.facts if fact.role != "derived"]
    roles = [role for role in RANK if any(fact.role == role for fact in given)]
    keys = dict.fromkeys(fact.source.partition(":")[0] for fact in given)
    return (*roles, *(key for key in keys if key in sources()))


def basis(recipe: Recipe, fact: Fact) -> tuple[Fact, ...]:
    """The given facts that a derived value rests on: same section, and their number stands in the formula."""
    numbers = {float(text) for text in re.findall(r"\d+\.?\d*(?:e[+-]?\d+)?", fact.formula or "")}
    section = fact.key.partition(".")[0]
    given = [one for one in recipe.facts if one.role != "derived" and numbers & set(_numbers(one))]
    own = [one for one in given if one.key.partition(".")[0] == section]
    return tuple(own or [one for one in given if one.key == "batch_size"])


def _numbers(fact: Fact) -> Iterable[float]:
    values = fact.value if isinstance(fact.value, list) else [fact.value]
    if isinstance(fact.value, str):
        values = [float(text) for text in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", fact.value)]
    return [float(one) for one in values if isinstance(one, (int, float)) and not isinstance(one, bool)]


def roles_of(recipe: Recipe, fact: Fact) -> tuple[Fact, ...]:
    """Who stands behind a fact: itself if it is given, its basis if it is derived."""
    return basis(recipe, fact) if fact.role == "derived" else (fact,)


def says(recipe: Recipe, fact: Fact, reference: str) -> bool:
    """Whether a reference says a fact, or gives what it is computed from."""
    return any(matches(one, reference) for one in roles_of(recipe, fact))


def primary(recipe: Recipe, facts: Iterable[Fact]) -> str | None:
    """The highest-ranking role that has one of these facts."""
    roles = {one.role for fact in facts for one in roles_of(recipe, fact)}
    return next((role for role in RANK if role in roles), None)


def spellings(key: str) -> frozenset[str]:
    """A key with its other spellings."""
    return next((frozenset(one) for one in _SAME if key in one), frozenset({key}))


def left_open(recipe: Recipe, key: str) -> bool:
    """Whether the primary paper does not report a key, in any of its spellings."""
    return bool(spellings(key) & set(recipe.not_reported))


def batch(recipe: Recipe, reference: str | None, key: str = "schedule.total") -> float | None:
    """The batch with which a reference's iterations are counted: its own, else the only one of the recipe.

    A key of another training than the recipe's (`linprobe.total`) is counted with that one's batch
    (`linprobe.batch_size`) and no other; one `_8_gpus` with eight times the batch, which is that of each.
    """
    section = key.partition(".")[0]
    named = f"{section}.batch_size" if section in ASIDE else "batch_size"
    facts = [fact for fact in recipe.of(named) if not isinstance(fact.value, (str, list))]
    own = [fact.value for fact in facts if reference and matches(fact, reference)]
    values = {float(value) for value in (own or [fact.value for fact in facts])}
    devices = re.search(r"_(\d+)_gpus?$", key)
    return values.pop() * int(devices[1] if devices else 1) if len(values) == 1 else None
