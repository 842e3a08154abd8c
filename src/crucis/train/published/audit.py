"""A training held against a published recipe, line by line.

Outcomes of a line: `exact`; `derived` (the same after arithmetic, which is shown); `adapted` (another value, and the
study says why); `deviates` (another value, no reason given); `unknown` (no source that is followed says it, or the
network or the data decide it). Values are read from what ran where the record tells, else from what is planned.

A training at another batch or length is held against the recipe as it is refitted there (`refit`): the batch and the
length have their own lines, and what follows from them is `derived` with both values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ... import shelf
from ...lengths import Length
from .. import refit
from ..settings import Choice, Settings, resolve
from . import audit_augment, audit_objective, games, networks
from .facts import Fact, said, sentence
from .optimisation import COUPLING
from .rates import Rates
from .references import left_open
from .translate import Translation

OUTCOMES = ("exact", "derived", "adapted", "deviates", "unknown")
#: Keys of facts beside the options of optimisers, and beside what a warm-up has.
OPTIONS = (("optimizer.momentum", "momentum"), ("optimizer.nesterov", "nesterov"), ("optimizer.eps", "eps"),
           ("optimizer.alpha", "smoothing"), ("optimizer.dampening", "dampening"), ("optimizer.momentum_form", "form"),
           ("optimizer.trust_coefficient", "trust_coefficient"))  # fmt: skip
SCHEDULE = (("schedule.gamma", "gamma"), ("schedule.gamma", "factor"), ("schedule.milestones", "at"),
            ("schedule.min_lr", "floor"), ("schedule.number_of_decreases", "floor"), ("schedule.decay_every", "every"),
            ("schedule.staircase", "stairs"))  # fmt: skip
WARMUP = (("schedule.warmup_start_lr", "warmup_from"), ("schedule.warmup_start_factor", "warmup_from"),
          ("schedule.warmup_kind", "warmup_from"), ("schedule.warmup_kind", "warmup_shape"),
          ("schedule.cosine_starts_after_warmup", "warmup_joins"),
          ("schedule.step_granularity", "rate_every"), ("schedule.rate_lag", "rate_every"))  # fmt: skip
#: Data sets that are a user's own files, under any name.
FILES = ("image_folder", "npz", "parquet")
#: A training on at least this share of a data set's images is one on that data set, with some held out.
HELD_OUT = 0.8
DECAYS = {"all": "all parameters decay", "weights": "weights of two dimensions and more decay",
          "all_but_norm": "all but normalising layers decay",
          "conv": "weights of dense layers and of convolutions that are not depthwise decay"}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line: the published and the used value, the outcome, its explanation, and the source."""

    key: str
    published: str
    used: str
    outcome: str
    text: str = ""
    source: str = ""


@dataclass(frozen=True)
class Training:
    """A training as it ran or will run: its settings, the notes of its record (None before), its data set's name, the
    reason that the study gives for deviating, the key of the record whose weights it begins with, and its network
    (`leaf`, `params`)."""

    settings: Settings
    ran: Mapping[str, Any] | None = None
    dataset: str = ""
    because: str | None = None
    begins: str = ""
    network: Mapping[str, Any] | None = None


def audit(made: Translation, training: Training) -> list[Line]:
    """Every fact of the recipe's training beside what the training does, and what it does beyond."""
    return list(_Audit(made, training).lines())


def verdict(lines: list[Line]) -> str:
    """The whole in one sentence."""
    counts = {outcome: sum(line.outcome == outcome for line in lines) for outcome in OUTCOMES}
    listed = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    if counts["deviates"]:
        where = ", ".join(line.key for line in lines if line.outcome == "deviates")
        return f"deviates from the recipe in {where} ({listed})"
    if counts["adapted"]:
        return f"an adaptation of the recipe ({listed})"
    return f"the recipe, as far as its sources speak ({listed})"


class _Audit:
    def __init__(self, made: Translation, training: Training) -> None:
        self.made, self.training, self.ours = made, training, training.settings
        self.ran: Mapping[str, Any] = training.ran or {}
        # With the training's own batch and length, so that they are told on their lines and on no other.
        # What no source gives is the study's to choose, and stands for the recipe's in what is computed from it.
        changed = {name: self.ours.params[name] for name in made.open if name not in made.params
                   and name in self.ours.params}  # fmt: skip
        # A length that the run decides is none that a recipe could be fitted to.
        for name in ("batch",) if self.ours.to_plateau else ("batch", "length"):
            if name in made.params and str(self.ours.params[name]) != str(made.params[name]):
                changed[name] = self.ours.params[name]
        self.refitted, self.origin = refit.fitted(made, changed)
        self.theirs = resolve({**self.refitted, "batch": self.ours.batch}, self.ours.n_train)

    def lines(self) -> Iterator[Line]:
        """In the order of the sections."""
        if self.made.protocol == games.PROTOCOL:
            yield self._games()
            for key, name, theirs, ours, fact in games.values(self.made, self.ours.params, self.ran):
                yield self._line(key, name, theirs, ours, fact=fact)
            yield from self._beyond()
            return
        yield self._dataset()
        if self.training.network is not None:
            yield self._network(self.training.network)
        if "optimiser" in self.made.params:
            yield from self._optimiser()
        elif "optimiser" in self.made.open:
            chosen = audit_augment.shown({"name": self._name(), **self.ours.optimiser.params})
            yield self._line("optimizer.name", "optimiser", None, chosen)
        yield self._line("batch_size", "batch", self.made.params.get("batch"), self.ran.get("batch", self.ours.batch))
        yield self._line("lr.base", "lr", self.theirs.lr, self.ours.lr)
        yield from self._decay()
        yield from self._schedule()
        if "schedule" in self.made.params and {"length", "lr"} <= {*self.made.params, *self.made.open}:
            yield self._rates()
        for key, name in (("reg.label_smoothing", "label_smoothing"), ("optimizer.grad_clip_norm", "clip"),
                          ("ema.decay", "ema"), ("ema.decay", "ema_warmup"), ("ema.statistics", "ema_statistics"),
                          ("ema.every", "ema_every")):  # fmt: skip
            if name.startswith("ema_") and getattr(self.theirs, name) == getattr(self.ours, name) in (False, 1):
                continue
            yield from self._extra(key, name, getattr(self.theirs, name), self.ran.get(name, getattr(self.ours, name)))
        used = self.ran.get("precision", self.ours.precision)
        if "precision" in self.made.params:
            yield self._line("precision", "precision", self.theirs.precision, used)
        elif used != self.theirs.precision:
            yield self._silent("precision", self.theirs.precision, used)
        yield from self._start()
        yield from self._augment() if self.made.protocol == "supervised" else self._objective()
        yield from self._beyond()

    def _beyond(self) -> Iterator[Line]:
        """What the trainer cannot express, and what it does not decide."""
        for part in self.made.missing:
            key, _, published = part.partition(": ")[0].partition(" ")
            whole = key if "." in key or key == "loss" else "recipe"
            yield self._other(whole, published if whole == key else part, "-", "", "the trainer cannot express it")
        for fact, why in self.made.outside:
            yield self._variant(fact, why) or Line(fact.key, fact.says(), "-", "unknown", why, sentence(fact))

    def _line(self, key: str, name: str, theirs: Any, ours: Any, *, fact: Fact | None = None) -> Line:
        fact = fact or self._fact(key, name)
        published = fact.says() if fact else "not reported"
        source = sentence(fact) if fact else ""
        if fact is None:
            why = self.made.assumed.get(name, "not reported")
            if name in self.made.open:
                why = f"{self.made.open[name]}; the study chose it"
            return Line(key, published, said(ours), "unknown", why, source)
        if theirs == ours:
            how = self._how(name)
            return Line(key, published, said(ours), "derived" if how else "exact", how or self._kept(name), source)
        return self._other(key, published, said(ours), source)

    def _other(self, key: str, published: str, ours: str, source: str, text: str = "") -> Line:
        reason = self.training.because
        if reason:
            return Line(key, published, ours, "adapted", f"{text}; {reason}".removeprefix("; "), source)
        return Line(key, published, ours, "deviates", text or "the study gives no reason (because:)", source)

    def _silent(self, key: str, theirs: Any, ours: Any, *, whole: bool = False) -> Line:
        """What no source speaks of, at another value than here by the recipe: a part that the recipe leaves out
        deviates; another value of a part that it has is unknown, and so is all of what is open as a `whole`."""
        if (theirs in (None, 0, False) or str(theirs).startswith("0 ")) and not whole:
            return self._other(key, "none", said(ours), "", "not in the recipe")
        here = "the default" if theirs is None else said(theirs)
        why = f"no source that is followed says it; {here} as the recipe is trained here"
        return Line(key, "not reported", said(ours), "unknown", why)

    def _start(self) -> Iterator[Line]:
        """Weights that are not drawn, and batches that are computed in chunks."""
        if self.training.begins:
            used = f"begins with the weights of {self.training.begins[:12]}"
            yield self._other("initialisation", "drawn", used, "", "not in the recipe")
        chunks = self.ran.get("chunks", self.ours.accumulate)
        if chunks > 1:
            yield Line("batch in chunks", "not reported", f"{chunks} of {self.ours.batch // chunks}", "unknown",
                       "no source that is followed says it; layers that normalise a batch see its chunks")  # fmt: skip

    def _fact(self, key: str, name: str) -> Fact | None:
        rests = self.made.facts.get(name, [])
        own = next((fact for fact in rests if fact.key == key), None)
        return own or (rests[0] if rests and key.partition(".")[0] == rests[0].key.partition(".")[0] == "lr" else None)

    def _how(self, name: str) -> str:
        """The arithmetic of a parameter that was computed from its facts, and from another batch or length."""
        how, given = self.made.how.get(name, ""), self.made.params.get(name)
        if name in ("batch", "length") or given is None or self.refitted[name] == given:
            return how
        origin = self.origin[name]
        refitted = origin.rpartition("); ")[2] if origin.startswith("recipe: ") else origin
        return f"{how}; {refitted}" if how else refitted

    def _variant(self, fact: Fact, why: str) -> Line | None:
        """A rate or a length of one of several published variants beside what the study chose; None for other facts."""
        rate, total = fact.key.startswith("lr.fig"), fact.key.startswith("schedule.total.fig")
        if not rate and not total:
            return None
        epochs = self.ran.get("updates", self.ours.total_steps) / self.ours.steps_per_epoch
        used = self.ours.lr if rate else epochs
        ends = fact.value if isinstance(fact.value, list) else [fact.value, fact.value]
        fits = ends[0] <= used <= ends[1]
        outcome = "unknown" if not fits else "derived" if isinstance(fact.value, list) or total else "exact"
        shown = said(used) if rate else f"{epochs:g} epochs"
        return Line(fact.key, fact.says(), shown, outcome, f"{why}{'' if fits else '; not this one'}", sentence(fact))

    def _kept(self, name: str) -> str:
        """What is said of a parameter that another batch or length leaves as it is."""
        before, _, rest = self.origin.get(name, "").rpartition("; unchanged")
        return f"unchanged{rest}" if before else ""

    def _dataset(self) -> Line:
        name, wanted = self.training.dataset, self.made.recipe.dataset
        if not name:
            return Line("dataset", wanted, "-", "unknown", "the record knows its data by content, not by name")
        images, own = self.made.recipe.images, name in FILES
        count = f"{self.ours.n_train:,} training images"
        if images and self.ours.n_train != images:
            count = f"{self.ours.n_train:,} of {int(images):,} training images"
        if not own and name not in [part.strip() for part in wanted.split(",")]:
            return self._other("dataset", wanted, name, "")
        if images and not HELD_OUT * images <= self.ours.n_train <= images:
            return self._other("dataset", wanted, f"{name}, {count}", "")
        if own:
            return Line("dataset", wanted, name, "unknown", f"the study's own files; {count}")
        return Line("dataset", wanted, name, "exact", count)

    def _network(self, net: Mapping[str, Any]) -> Line:
        models = self.made.recipe.models
        wanted, used = ", ".join(models), next(iter(networks.named(net)), str(net.get("leaf", "-")))
        fits = networks.known(net, models, "cifar" in self.made.recipe.dataset)
        if fits is None:
            return Line("network", wanted, used, "unknown", "its name does not tell whether it is the published one")
        return Line("network", wanted, used, "exact", "by its name") if fits else self._other(
            "network", wanted, used, "")  # fmt: skip

    def _games(self) -> Line:
        """The games of a recipe that plays them: their number and console are facts, their names are not."""
        wanted, used = self.made.recipe.dataset, games.games(self.ours.params, self.ran)
        shown = f"{len(used)} games in sequence: {', '.join(used)}" if used else self.training.dataset or "-"
        atari = all(name.startswith("atari/") for name in used)
        if atari and f"{len(used)} games" in wanted:
            return Line("dataset", wanted, shown, "exact", "which games is the study's choice")
        return self._other("dataset", wanted, shown, "")

    def _name(self) -> str:
        return str(self.ran.get("optimiser", self.ours.optimiser.name)).lower()

    def _optimiser(self) -> Iterator[Line]:
        theirs, ours = _full(self.theirs.optimiser, "optimisers"), _full(self.ours.optimiser, "optimisers")
        group = (self.ran.get("groups") or [{}])[0].get("options", {})
        name = self._name()
        yield self._line("optimizer.name", "optimiser", self.theirs.optimiser.name, name)
        used = dict(ours)
        used.update((option, group[option]) for option in ours if option in group)
        for here, there in (("smoothing", "alpha"), ("centred", "centered")):
            if there in group and here in ours:
                used[here] = group[there]
        if "betas" in group and "beta1" in ours:
            used["beta1"], used["beta2"] = group["betas"]
        told = {"beta1", "beta2"} if self.made.fact("optimizer.betas") else set()
        for key, option in OPTIONS:
            fact = self.made.fact(key)
            absent = 0.0 if option == "dampening" else "none"
            if option in theirs and (fact or left_open(self.made.recipe, key) or option == "nesterov"):
                yield self._line(key, f"optimiser.{option}", theirs[option], used.get(option, absent), fact=fact)
                told.add(option)
        for option in sorted(used.keys() & theirs.keys() - told) if name == self.theirs.optimiser.name else ():
            if used[option] != theirs[option]:
                key = next((key for key, one in OPTIONS if one == option), f"optimizer.{option}")
                yield self._silent(key, theirs[option], used[option])
        betas = self.made.fact("optimizer.betas")
        if betas and "beta1" in theirs:
            both = [[one.get("beta1"), one.get("beta2")] for one in (theirs, used)]
            yield self._line("optimizer.betas", "optimiser.betas", *both, fact=betas)
        implementation = self.made.fact("optimizer.implementation")
        if implementation:
            yield self._line("optimizer.implementation", "", self.theirs.optimiser.name, name, fact=implementation)
        coupling = self.made.fact("weight_decay.coupling")
        if coupling or "optimiser.coupling" in self.made.assumed:
            wanted = COUPLING.get(self.theirs.optimiser.name, "own")
            yield self._line("weight_decay.coupling", "optimiser.coupling", wanted, COUPLING.get(name, "own"),
                             fact=coupling)  # fmt: skip

    def _decay(self) -> Iterator[Line]:
        groups, changes = self.ran.get("groups"), self.ran.get("decays")
        used = max((g["options"].get("weight_decay", 0.0) for g in groups), default=0.0) if groups else None
        value = self.ours.weight_decay if used is None else used
        if changes is not None:
            value = changes["points"][0][1] if changes["points"] else self.ours.weight_decay
        course = self.theirs.weight_decay_end is not None
        yield self._line("weight_decay.start" if course else "weight_decay.value", "weight_decay",
                         self.theirs.weight_decay, value)  # fmt: skip
        if course or self.ours.weight_decay_end is not None:
            yield from self._course_of_decay(changes)
        yield self._spared(value)

    def _course_of_decay(self, changes: Mapping[str, Any] | None) -> Iterator[Line]:
        theirs, ours = self.theirs, self.ours
        if theirs.weight_decay_end is None:
            yield self._other("weight_decay.schedule", "none", said(ours.weight_decay_end), "", "not in the recipe")
            return
        yield self._line("weight_decay.end", "weight_decay_end", theirs.weight_decay_end, ours.weight_decay_end)
        yield self._line("weight_decay.schedule", "weight_decay_schedule", theirs.weight_decay_schedule,
                         ours.weight_decay_schedule)  # fmt: skip
        expected = np.array(theirs.decays(), np.float64)
        planned = ours.decays() or [ours.weight_decay] * ours.total_steps
        used = Rates.read(changes) if changes is not None else Rates.of(np.array(planned, np.float64))
        yield self._table("weight decay at every step", expected, used, changes is not None)

    def _spared(self, value: float) -> Line:
        """Which parameters decay, of those that do."""
        key = next((k for k in ("weight_decay.applies_to", "weight_decay.excludes") if self.made.fact(k)), None)
        decides, names = self.ours.decay_on, self.ran.get("not_decayed")
        if names is not None and value > 0:
            fits = self.ran.get("decay_on", ["weights" if names else "all"])
            wanted = self.theirs.decay_on
            decides = wanted if wanted in fits else next(iter(fits), "a choice of its own")
        line = self._line(key or "weight_decay.applies_to", "decay_on", self.theirs.decay_on, decides)
        shown = DECAYS.get(decides, decides)
        if names and value > 0:
            listed = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
            shown = f"not decayed: {listed}"
        return Line(line.key, line.published, shown, line.outcome, line.text, line.source)

    def _schedule(self) -> Iterator[Line]:
        theirs, ours = _full(self.theirs.schedule, "schedules"), _full(self.ours.schedule, "schedules")
        if "schedule" in self.made.open:
            theirs = {}
            yield self._line("schedule.kind", "schedule", None, self.ours.schedule.name)
        elif "schedule" not in self.made.params:
            theirs = {}  # said among the missing parts
        else:
            yield self._line("schedule.kind", "schedule", self.theirs.schedule.name, self.ours.schedule.name)
        told: set[str] = set()
        for key, option in SCHEDULE:
            fact = self.made.fact(key)
            if fact and option in theirs:
                told.add(option)
                timed = option in ("floor", *refit.TIMES.values())
                yield self._line(key, "schedule" if timed else "", theirs[option], ours.get(option, "none"),
                                 fact=fact)  # fmt: skip
        same = self.ours.schedule.name == self.theirs.schedule.name
        for option in [name for name in theirs if same and name not in told and theirs[name] != ours.get(name)]:
            judged = _follows_scores(self.theirs.schedule) and option != "floor"
            yield self._silent(f"schedule.{option}", theirs[option], ours.get(option), whole=judged)
        if "length" in self.made.params:
            yield self._total()
        elif "length" in self.made.open:
            updates = self.ran.get("updates", self.ours.total_steps)
            yield self._line("schedule.total", "length", None, self._passed(updates))
        if self.made.fact("schedule.warmup") or self.ours.warmup_steps:
            yield self._line("schedule.warmup", "warmup", f"{self.theirs.warmup_steps:,} updates",
                             f"{self.ours.warmup_steps:,} updates")  # fmt: skip
        said_once = set[str]()
        for key, name in WARMUP:
            both = _grain(key, getattr(self.theirs, name)), _grain(key, getattr(self.ours, name))
            if name in self.made.params and (self.made.fact(key) or name in self.made.assumed):
                yield self._line(key, name, *both)
            elif both[0] != both[1] and name not in self.made.params and (name != "warmup_from" or not said_once):
                said_once.add(name)
                yield self._other(key, "not in the recipe", said(both[1]), "")

    def _passed(self, updates: int) -> str:
        """The length as planned or as it ran: a plateau has a maximum only, and overflows change no weight."""
        most = "at most " if self.ours.to_plateau and "updates" not in self.ran else ""
        idle = self.ran.get("without_update", 0)
        return f"{most}{updates:,} updates" + (f", {idle:,} of them without a change" if idle else "")

    def _total(self) -> Line:
        fact = self.made.facts["length"][0]
        updates = self.ran.get("updates", self.ours.total_steps)
        wanted = Length.parse(self.made.params["length"]).steps(self.ours.steps_per_epoch)
        epochs = updates / self.ours.steps_per_epoch
        used = f"{self._passed(updates)} ({epochs:.6g} epochs of {self.ours.steps_per_epoch:,})"
        if self.ours.to_plateau and "updates" not in self.ran:
            return self._other("schedule.total", fact.says(), used, sentence(fact), "until a plateau")
        if updates == wanted and fact.unit == "epochs":
            text = f"{said(fact.value)} x {self.ours.steps_per_epoch:,} = {wanted:,} updates"
            return Line("schedule.total", fact.says(), used, "derived", text, sentence(fact))
        if updates == wanted:
            return Line("schedule.total", fact.says(), used, "exact", "", sentence(fact))
        text = f"{updates:,} of {wanted:,} updates"
        return self._other("schedule.total", fact.says(), used, sentence(fact), text)

    def _rates(self) -> Line:
        if _follows_scores(self.theirs.schedule) and _follows_scores(self.ours.schedule):
            shown = Rates.read(self.ran["rates"]).steps if "rates" in self.ran else self.ours.total_steps
            return Line("lr at every step", "falls at plateaus", f"{shown:,} rates", "unknown",
                        "the rates follow the scores of the run, so that no table of the recipe exists")  # fmt: skip
        expected = np.array([self.theirs.lr * factor for factor in self.theirs.multipliers()], np.float64)
        if "rates" in self.ran:
            used = Rates.read(self.ran["rates"])
        else:
            used = Rates.of(np.array([self.ours.lr * factor for factor in self.ours.multipliers()], np.float64))
        return self._table("lr at every step", expected, used, "rates" in self.ran)

    def _table(self, key: str, expected: np.ndarray, used: Rates, ran: bool) -> Line:
        where = "as it ran" if ran else "as planned"
        differs = used.differs(expected)
        published = f"{len(expected):,} {'rates' if key.startswith('lr') else 'values'} of the recipe's schedule"
        shown = f"{used.steps:,} {'rates' if key.startswith('lr') else 'values'}, {where}"
        if differs is None:
            what = "rate" if key.startswith("lr") else "strength"
            return Line(key, published, shown, "derived", f"every step has the {what} that the facts give")
        return self._other(key, published, shown, "", differs)

    def _extra(self, key: str, name: str, theirs: Any, ours: Any) -> Iterator[Line]:
        if name in self.made.params:
            yield self._line(key, name, theirs, ours)
        elif ours not in (None, 0.0):
            if left_open(self.made.recipe, key):
                yield Line(key, "not reported", said(ours), "unknown", "the paper does not report it")
            else:
                yield self._other(key, "none", said(ours), "", "not in the recipe")

    def _augment(self) -> Iterator[Line]:
        planned = [{"name": one.name, **_full(one, "augment")} for one in self.ours.augment]
        steps = self.ran.get("augment", planned)
        used = {str(one["name"]): one for one in steps}
        given = self.theirs.augment if "augment" in self.made.params else ()
        theirs = {one.name: _full(one, "augment") for one in given}
        facts = {fact.key: fact for fact in self.made.facts.get("augment", [])}
        parts = {key: audit_augment.part(key, theirs) for key in facts}
        # Steps that stand behind one fact together: "as fb.resnet.torch".
        parts |= {f"augment {name}": (name, ()) for name in set(theirs) - {step for step, _ in parts.values()}}
        for key, (step, options) in parts.items():
            fact = facts.get(key) or facts["aug.policy"]
            # Several values of one key become one text, so that they are equal together or not at all.
            wanted, mine = (audit_augment.chosen(one, options, theirs[step]) for one in (theirs[step], used.get(step)))
            line = self._line(key, "", wanted, mine, fact=fact)
            outcome, text = line.outcome, line.text
            if outcome == "exact" and step in ("resized_crop", "scaled_crop") and key == "aug.crop":
                outcome, text = "derived", "the side of the data's images stands for the published one"
            yield Line(key, line.published, mine, outcome, text, line.source)
        more = sorted(set(used) - set(theirs))
        for fact in self.made.undecided.get("augment", []):
            why = f"{self.made.open['augment']}; the study chose it"
            listed = "; ".join(audit_augment.shown(one) for one in steps if one["name"] in more)
            yield Line(fact.key, fact.says(), listed or "nothing", "unknown", why, sentence(fact))
        for name in more if "augment" not in self.made.open else ():
            yield self._other(f"augment {name}", "none", said(name), "", "not in the recipe")
        # As written: the notes of a step have what its defaults became, which the recipe's own do not say.
        written = {str(one["name"]): one for one in planned}
        for key, wanted, mine in audit_augment.silent(parts, theirs, written):
            yield self._silent(key, wanted, mine)
        names = [one.name for one in given], [str(one["name"]) for one in steps]
        for name, once, often in audit_augment.repeated(*names):
            yield self._other(f"augment {name}", f"{once} in a row of steps", f"{often}", "", "not in the recipe")
        if order := audit_augment.orders(*names):
            yield Line("augment order", "not reported", order[1], "unknown",
                       f"no source that is followed says it; {order[0]} as the recipe is trained here")  # fmt: skip
        yield from self._extra("aug.repeated", "repeats", self.theirs.repeats, self._repeats())

    def _objective(self) -> Iterator[Line]:
        for key, name, theirs, ours, fact in audit_objective.values(self.made, self.ours.params, self.ran):
            yield self._line(key, name, theirs, ours, fact=fact)
        for name, theirs, ours in audit_objective.silent(self.made, self.ours.params, self.ran):
            yield self._silent(name, theirs, ours, whole=not name.startswith(audit_objective.VIEWS))

    def _repeats(self) -> int | None:
        """How often an example stands in an epoch; None for once, which is no augmentation."""
        number = self.ran.get("repeats", self.ours.repeats)
        return number if number > 1 or "repeats" in self.made.params else None


def _grain(key: str, value: Any) -> Any:
    """What `rate_every` says of one fact: how long a rate stays, or how late it is. Other values are themselves."""
    if key == "schedule.step_granularity":
        return str(value).partition("_")[0]
    if key == "schedule.rate_lag":
        return "1 epochs" if str(value).endswith("_late") else "0 epochs"
    return value


def _follows_scores(chosen: Choice) -> bool:
    known = chosen.name in shelf.names("schedules")
    return known and bool(shelf.leaf("schedules", chosen.name).constants.get("AT_EVALUATIONS"))


def _full(chosen: Choice, home: str) -> dict[str, Any]:
    """The parameters of a leaf, with its defaults."""
    if chosen.name not in shelf.names(home):
        return dict(chosen.params)
    return {**{name: param.default for name, param in shelf.leaf(home, chosen.name).params.items()}, **chosen.params}
