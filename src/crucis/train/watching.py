"""Rules over a running training, `{condition: action}`: read, checked and put into one form. Imports no torch.

    condition = all { "or" all }       all = one { "and" one }       one = "not" one | "(" condition ")" | compared
    compared  = metric ("<" | "<=" | ">" | ">=" | "==" | "!=") number, or the other way round
    number    = 10, 0.01, 1e-8, -3, 50%, 8/255

A text is parsed into a small tree and never given to Python. Metrics of the machine may not alter a training: its
result would depend on where it ran. Rules that only tell are no part of a step's identity; see `altering`, `telling`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import did_you_mean

#: Looked at at each evaluation: what they are.
EVALUATED = {
    "train_loss": "mean training loss of the steps since the evaluation before",
    "train_accuracy": "share of right answers in these steps",
    "loss": "validation loss", "accuracy": "validation accuracy", "lr": "learning rate of the last step",
    "loss_increase": "train_loss against that of the evaluation before, as a share of it",
    "loss_rise": "train_loss against the lowest so far, as a share of it",
    "loss_chance": "train_loss over ln K, the loss of guessing among K classes",
    "feature_variance": "variance over validation examples of what the last dense layer is given, mean over features",
    "knn_accuracy": "of a training without labels: accuracy of nearest neighbours on its features",
    "linear_accuracy": "of a training without labels: accuracy of a linear classifier on its features",
    "feature_std": "of a training without labels: standard deviation of its normalised features",
    "effective_rank": "of a training without labels: effective rank of its features",
}  # fmt: skip
#: Known for every step; at an evaluation a rule holds if it held at one of the steps since the evaluation before.
STEPWISE = {
    "grad_norm": "Euclidean norm of the whole gradient, before clipping",
    "batch_loss": "training loss of one step",
}
#: Of the machine; also looked at between evaluations.
MACHINE = {
    "gpu_memory": "share of the GPU's memory in use; no rule on it holds on a CPU",
    "disk_free": "share of the disk under the store that is free",
}
METRICS = {**EVALUATED, **STEPWISE, **MACHINE}
#: Shares: a rule over one compares it with a number from 0 to 1.
SHARES = ("train_accuracy", "accuracy", "knn_accuracy", "linear_accuracy", "effective_rank", *MACHINE)
#: Metrics that some trainings are without -> the column by which one that has them is known.
OF_SOME = {
    "train_accuracy": "accuracy", "accuracy": "accuracy", "loss_chance": "accuracy", "knn_accuracy": "knn_accuracy",
    "linear_accuracy": "linear_accuracy", "feature_std": "feature_std", "effective_rank": "effective_rank",
}  # fmt: skip

TELLING = {
    "log": "a line in the journal", "webhook": "an HTTP POST", "mail": "an e-mail",
    "checkpoint": "save now, to go on from", "delete_checkpoints": "remove the older of the two resume checkpoints",
}  # fmt: skip
ALTERING = {
    "stop": "training ends here, with what it has", "lower_lr": "the learning rate times a factor from here on",
    "restore": "back to the last good evaluation, with half the rate", "skip": "the step is not made",
}  # fmt: skip
ACTIONS = {**TELLING, **ALTERING}
FACTOR = 0.5  # of lower_lr, where none is written

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_NUMBER = r"-?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER}/\d[\d_]*|{_NUMBER}%?)|([A-Za-z_][A-Za-z0-9_]*)|(<=|>=|==|!=|<|>)|([()]))")
MAX_LENGTH, MAX_DEPTH = 500, 16


class WatchError(ValueError):
    """A rule that cannot be read; the text names the rule. `of_action`: its condition can be read, and what it does
    cannot be."""

    def __init__(self, text: str, of_action: bool = False) -> None:
        self.of_action = of_action
        super().__init__(text)


@dataclass(frozen=True)
class Compared:
    """`metric sign limit`."""

    metric: str
    sign: str
    limit: float


@dataclass(frozen=True)
class Joined:
    """`not` of one condition, or `and`, `or` of two or more."""

    word: str
    parts: tuple[Condition, ...]


Condition = Compared | Joined


@dataclass(frozen=True)
class Action:
    """What is done: one of `ACTIONS`, with the factor of `lower_lr` or the address of `webhook` and `mail`."""

    name: str
    value: float | str | None = None

    @property
    def form(self) -> Any:
        """As a study writes it."""
        return self.name if self.value is None else {self.name: self.value}


@dataclass(frozen=True)
class Rule:
    """A condition, its one text, and what is done when it comes to hold."""

    text: str
    condition: Condition
    actions: tuple[Action, ...]

    def does(self, name: str) -> Action | None:
        """Its action of this name."""
        return next((action for action in self.actions if action.name == name), None)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that the condition names."""
        return tuple(dict.fromkeys(one.metric for one in _compared(self.condition)))

    def holds(self, values: Mapping[str, Any]) -> Any:
        """Whether the condition holds; arrays of steps give arrays. False where a metric has no value."""
        if any(name not in values for name in self.metrics):
            return False
        return _holds(self.condition, values)


def _compared(condition: Condition) -> Iterator[Compared]:
    if isinstance(condition, Compared):
        yield condition
    else:
        for part in condition.parts:
            yield from _compared(part)


def _holds(condition: Condition, values: Mapping[str, Any]) -> Any:
    if isinstance(condition, Compared):
        return _COMPARE[condition.sign](values[condition.metric], condition.limit)
    found = [_holds(part, values) for part in condition.parts]
    if condition.word == "not":
        return found[0] ^ True
    out = found[0]
    for one in found[1:]:
        out = out & one if condition.word == "and" else out | one
    return out


class _Parser:
    """Recursive descent; one method per rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth = text, 0, 0
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = _TOKEN.match(text, place)
            if not found:
                raise self.fail(f"'{text[place:].strip()[:20]}' is neither a metric, a number nor a comparison")
            kind = ("number", "name", "sign", "bracket")[(found.lastindex or 1) - 1]
            self.tokens.append((kind, found[found.lastindex or 1]))
            place = found.end()
        self.tokens.append(("end", ""))

    def fail(self, why: str) -> WatchError:
        return WatchError(f"'{self.text}': {why}")

    def take(self) -> tuple[str, str]:
        self.at += 1
        return self.tokens[self.at - 1]

    @property
    def next(self) -> str:
        return self.tokens[self.at][1]

    def whole(self) -> Condition:
        tree = self.joined("or")
        if self.tokens[self.at][0] != "end":
            raise self.fail(f"'{self.next}' follows where the condition ends; join two with 'and' or 'or'")
        return tree

    def joined(self, word: str) -> Condition:
        below = self.one if word == "and" else lambda: self.joined("and")
        parts = [below()]
        while self.next == word:
            self.take()
            parts.append(below())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def one(self) -> Condition:
        if self.next in ("not", "("):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.fail(f"more than {MAX_DEPTH} conditions inside one another")
            if self.take()[1] == "not":
                made: Condition = Joined("not", (self.one(),))
            else:
                made = self.joined("or")
                if self.take()[1] != ")":
                    raise self.fail("a '(' without its ')'")
            self.depth -= 1
            return made
        return self.compared()

    def compared(self) -> Compared:
        left, (kind, sign), right = self.take(), self.take(), ("", "")
        if kind == "sign":
            right = self.take()
        if {left[0], right[0]} != {"name", "number"}:
            self._names(left, right)
            raise self.fail("expected a metric, a comparison and a number, as in 'grad_norm > 10'")
        self._names(left, right)
        if left[0] == "number":
            left, right, sign = right, left, _TURNED[sign]
        return Compared(left[1], sign, self._number(right[1]))

    def _names(self, *tokens: tuple[str, str]) -> None:
        for kind, name in tokens:
            if kind == "name" and name not in METRICS and name not in ("and", "or", "not"):
                raise self.fail(f"no metric '{name}'.{did_you_mean(name, METRICS)} There are {', '.join(METRICS)}")

    def _number(self, text: str) -> float:
        try:
            value = _value(text)
        except ZeroDivisionError:
            raise self.fail(f"{text} divides by zero") from None
        if not math.isfinite(value):
            raise self.fail(f"{text} is no finite number")
        return value


def _value(text: str) -> float:
    """A number as rules write it."""
    body = text.replace("_", "")
    above, _, below = body.partition("/")
    return float(above) / float(below) if below else float(body.rstrip("%")) / (100 if body.endswith("%") else 1)


def _render(condition: Condition, inside: bool = False) -> str:
    if isinstance(condition, Compared):
        return f"{condition.metric} {condition.sign} {condition.limit!r}"
    if condition.word == "not":
        return f"not {_render(condition.parts[0], True)}"
    body = f" {condition.word} ".join(_render(part, True) for part in condition.parts)
    return f"({body})" if inside else body


def rules(watch: Mapping[str, Any] | None) -> tuple[Rule, ...]:
    """The rules of a `watch`, sorted by their texts, so that the order in which they are written means nothing.

    Raises:
        WatchError: a condition or an action that cannot be read, or one that may not be: with the nearest name. The
            first of them; `faults` has all.
    """
    made, wrong = _read(watch)
    if wrong:
        raise wrong[0][1]
    return tuple(made[text] for text in sorted(made))


def faults(watch: Mapping[str, Any] | None) -> list[tuple[Any, WatchError]]:
    """All that is wrong with a `watch`: each with the condition under which it is written."""
    return _read(watch)[1]


def pointless(
    watch: Mapping[str, Any] | None, protocol: str, columns: Mapping[str, Any]
) -> list[tuple[str, WatchError]]:
    """Rules of a readable `watch` that say nothing: over metrics that trainings by a protocol with these columns are
    without, or comparing a share with what is none."""
    out = []
    for text in watch or {}:
        for one in dict.fromkeys(_compared(_Parser(text).whole())):
            name, limit = one.metric, one.limit
            if name in OF_SOME and OF_SOME[name] not in columns:
                out.append((text, WatchError(f"'{text}': trainings by '{protocol}' have no {name}")))
            elif name in SHARES and not 0 <= limit <= 1:
                write = f"; write {limit:g}%" if 1 < limit <= 100 and "%" not in text else ""
                says = f"'{text}': {name} is a share, from 0 to 1, and {limit:g} is none{write}"
                out.append((text, WatchError(says)))
    return out


def _read(watch: Mapping[str, Any] | None) -> tuple[dict[str, Rule], list[tuple[Any, WatchError]]]:
    if not isinstance(watch or {}, Mapping):
        return {}, [(None, WatchError(f"expected {{condition: action}}, got {watch!r}"))]
    made: dict[str, Rule] = {}
    wrong: list[tuple[Any, WatchError]] = []
    for text, given in (watch or {}).items():
        if not isinstance(text, str) or not text.strip() or len(text) > MAX_LENGTH:
            wrong.append((text, WatchError(f"{str(text)[:60]!r}: expected a condition such as 'grad_norm > 10'")))
            continue
        condition, actions = None, list[Action]()
        found: list[WatchError] = []
        try:
            condition = _Parser(text).whole()
        except WatchError as error:
            found.append(error)
        for item in given if isinstance(given, (list, tuple)) else [given]:
            try:
                actions.append(_action(text, item))
            except WatchError as error:
                found.append(WatchError(str(error), of_action=True))
        if condition is not None and not found:
            rule = Rule(_render(condition), condition, tuple(sorted(actions, key=lambda action: action.name)))
            found += [error for error in (_twice(text, rule, made), _agree(text, rule)) if error is not None]
            made.setdefault(rule.text, rule)
        wrong += [(text, error) for error in found]
    return made, wrong


def _twice(text: str, rule: Rule, made: Mapping[str, Rule]) -> WatchError | None:
    if not rule.actions:
        return WatchError(f"'{text}': no action; write one of {', '.join(ACTIONS)}", of_action=True)
    if len({action.name for action in rule.actions}) < len(rule.actions):
        return WatchError(f"'{text}': an action is named twice", of_action=True)
    if rule.text in made:
        return WatchError(f"'{text}' is written twice; list its actions: [log, stop]")
    return None


def _action(text: str, given: Any) -> Action:
    name, value = next(iter(given.items())) if isinstance(given, Mapping) and len(given) == 1 else (given, None)
    if not isinstance(name, str) or name not in ACTIONS:
        hint = did_you_mean(str(name), ACTIONS)
        raise WatchError(f"'{text}': no action {name!r}.{hint} There are {', '.join(ACTIONS)}")
    if name == "lower_lr":
        factor = FACTOR if value is None else value
        if isinstance(factor, str) and re.fullmatch(rf"{_NUMBER}(/\d+|%)?", factor):
            factor = _value(factor)
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 1:
            raise WatchError(f"'{text}': lower_lr takes a factor between 0 and 1, got {value!r}")
        return Action(name, float(factor))
    if name == "webhook" and value is not None:
        if not isinstance(value, str) or not value.startswith(("http://", "https://")):
            raise WatchError(f"'{text}': webhook takes an address that begins with https://, got {value!r}")
        return Action(name, value)
    if name == "mail":
        if not isinstance(value, str) or not re.fullmatch(r"[^@\s,]+@[^@\s,]+", value):
            raise WatchError(f"'{text}': mail takes one address: {{mail: name@example.org}}, got {value!r}")
        return Action(name, value)
    if value is not None:
        raise WatchError(f"'{text}': {name} takes nothing, got {value!r}")
    return Action(name)


def _agree(text: str, rule: Rule) -> WatchError | None:
    """What the condition and the actions of a rule cannot be together."""
    alters = [action.name for action in rule.actions if action.name in ALTERING]
    machine = [name for name in rule.metrics if name in MACHINE]
    if alters and machine:
        return WatchError(f"'{text}': {machine[0]} depends on the machine, so it may not decide '{alters[0]}', which "
                          f"changes the result; it may {', '.join(TELLING)}")  # fmt: skip
    late = [name for name in rule.metrics if name not in STEPWISE]
    if "skip" in alters and late:
        return WatchError(f"'{text}': skip is decided at each step, where {late[0]} is not known; use "
                          f"{' or '.join(STEPWISE)}")  # fmt: skip
    if "skip" in alters and len(alters) > 1:
        return WatchError(f"'{text}': skip and {next(name for name in alters if name != 'skip')} exclude each other")
    return None


def _only(watch: Mapping[str, Any] | None, names: Mapping[str, str]) -> dict[str, Any]:
    out = {}
    for rule in rules(watch):
        kept = [action.form for action in rule.actions if action.name in names]
        if kept:
            out[rule.text] = kept
    return out


def altering(watch: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of a `watch` that decides the result, in one form: what a step's key holds."""
    return _only(watch, ALTERING)


def telling(watch: Mapping[str, Any] | None) -> dict[str, Any]:
    """The part of a `watch` that only tells or saves, in one form: no part of a step's key."""
    return _only(watch, TELLING)
