"""From facts to the parameters of the trainer: each with its fact, each fact with a parameter, a reason or a refusal.

Without a reference, each key takes its highest-ranking source among paper, cited paper and authors' code;
reimplementations speak only where they are named or alone. A named reference comes first, and what it leaves out is
taken in the same order and said so. Facts that the trainer cannot express are `missing`; parameters that no source
gives are `open`, and a study that names the recipe writes them; what the network or the data decide (initialisation,
dropout, normalisation) is `outside`. No fact of a training is dropped in silence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import games, references, selfsupervised
from .augmenting import augmentation
from .course import regularisation, schedule
from .facts import Fact, Recipe, said, sentence
from .optimisation import NONE, decay, optimiser, rate

#: Sections of keys that say how a training runs; the rest is about results, networks and other stages.
TRAINING = frozenset({"optimizer", "batch_size", "lr", "weight_decay", "schedule", "aug", "reg", "ema", "loss", "mask",
                      "teacher", "student", "target_update"})  # fmt: skip
_NETWORK = ("init.", "bn.", "model.", "reg.dropout", "reg.stochastic_depth", "reg.layer_scale", "head.", "image_size")
#: Values of one variant or figure; which of them is meant, a study says.
_VARIANTS = ("lr.base_when_", "lr.sqrt_alternative", "lr.fig", "schedule.total.fig")
#: Beginnings of keys about what follows the training that a recipe is of.
_LATER = {"ewc.": "of the tasks that follow: the perturbation second_task takes it",
          "early_stopping.": "of one variant of the training"}  # fmt: skip
_CLAIM_ONLY = ("schedule.total_", "schedule.chosen_on", "schedule.iterations_per_epoch", "lr.scaling_rule",
               "lr.reference_batch_size", "lr.peak_at_", "lr.rule", "schedule.number_of_decreases",
               "weight_decay.applies_to_in_paper")  # fmt: skip


@dataclass
class Translation:
    """A recipe as the trainer would run it.

    Attributes:
        protocol: which training protocol the parameters are of.
        params: parameter -> value as a study writes it; origin: parameter -> where it came from, in words.
        facts: parameter -> the facts that it rests on.
        how: parameter -> the arithmetic that made it from its facts.
        assumed: parameter -> why a value was chosen that no source gives.
        open: parameter that a study must write -> why; undecided: the same -> facts that name it without deciding it.
            Parts of it that the sources give stand in `params` all the same.
        missing: one sentence per part that the trainer cannot express.
        outside: (fact, why the trainer does not decide it).
    """

    recipe: Recipe
    reference: str | None
    protocol: str = "supervised"
    params: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    undecided: dict[str, list[Fact]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    outside: list[tuple[Fact, str]] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _preferred: dict[str, Fact] = field(default_factory=dict)

    def fact(self, key: str) -> Fact | None:
        """The fact of a key that this translation follows; marks the key as handled."""
        self._used.add(key)
        if key in self._preferred:
            return self._preferred[key]
        given = [fact for fact in self.recipe.of(key) if fact.role != "derived"]
        if self.reference is not None:
            own = [fact for fact in given if references.matches(fact, self.reference)]
            if own:
                return own[0]
        ranks = references.RANK if only_reimplemented(self.recipe) else references.RANK[:-1]
        ranked = [fact for fact in given if fact.role in ranks]
        return min(ranked, key=lambda fact: ranks.index(fact.role), default=None)

    def prefer(self, fact: Fact) -> Fact:
        """Let a fact stand for its key from now on."""
        self._preferred[fact.key] = fact
        return fact

    def value(self, key: str, default: Any = None) -> Any:
        """The value of a key, or `default`."""
        found = self.fact(key)
        return default if found is None else found.value

    def put(self, name: str, value: Any, *keys: str, how: str = "") -> None:
        """A parameter that rests on facts."""
        rests = [fact for fact in (self.fact(key) for key in keys) if fact is not None]
        self.params[name], self.facts[name] = value, rests
        if how:
            self.how[name] = how
        stands = "; ".join(dict.fromkeys(f"{fact.reference}: {sentence(fact)}" for fact in rests))
        self.origin[name] = f"recipe: {self.recipe.id}{', ' + how if how else ''} ({stands})"

    def assume(self, name: str, value: Any, why: str) -> None:
        """A parameter that no source gives."""
        self.params[name], self.assumed[name] = value, why
        self.origin[name] = f"recipe: {self.recipe.id}, chosen here: {why}"

    def ask(self, name: str, why: str, *keys: str) -> None:
        """A parameter that no source gives and that has no obvious value; `keys`: facts that name it all the same."""
        self.open[name] = why
        self.undecided[name] = [fact for fact in map(self.fact, keys) if fact is not None]

    def lack(self, key: str, why: str) -> None:
        """A part that the trainer cannot express."""
        found = self.fact(key)
        self.missing.append(f"{key} {said(found.value, found.unit) if found else ''}: {why}".replace(" :", ":"))


def only_reimplemented(recipe: Recipe) -> bool:
    """Whether no paper and no author's code stands behind a recipe."""
    return all(fact.role in ("reimplementation", "derived") for fact in recipe.facts)


def translate(recipe: Recipe, reference: str | None = None) -> Translation:
    """The parameters that the trainer would need for a recipe, complete or with what is missing."""
    out = Translation(recipe, reference)
    found = selfsupervised.protocol(recipe)
    out.protocol = found or "supervised"
    if found is None:
        out.missing.append(selfsupervised.why_none(recipe))
    last = (regularisation, augmentation) if out.protocol == "supervised" else (selfsupervised.objective,)
    whole = (optimiser, rate, decay, schedule, *last)
    for part in (optimiser, rate, games.played) if out.protocol == games.PROTOCOL else whole:
        part(out)
    for key in recipe.keys:
        fact = out.fact(key) if key not in out._used else None
        if fact is not None and key.startswith((*_NETWORK, "aug.normalise")):
            out.outside.append(
                (fact, "decided by the data set" if key.startswith("aug.") else "decided by the network")
            )
        elif fact is not None and key.startswith(_VARIANTS):
            out.outside.append((fact, "of one variant of the training"))
        elif fact is not None and key.startswith(tuple(_LATER)):
            out.outside.append((fact, next(why for start, why in _LATER.items() if key.startswith(start))))
        elif fact is not None and key.partition(".")[0] in TRAINING and not key.startswith(_CLAIM_ONLY):
            _left_over(out, key, fact)
    return out


def _left_over(out: Translation, key: str, fact: Fact) -> None:
    model = key.rpartition(".")[2]
    if key.count(".") == 2 and any(model == name for name in out.recipe.models):
        out.outside.append((fact, f"for {model} only"))
    elif fact.value not in NONE and not str(fact.value).startswith("none"):
        out.lack(key, "the trainer has no parameter for it")
