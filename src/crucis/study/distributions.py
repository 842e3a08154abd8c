"""Distributions as a study writes them: where they stand in a trial, what they are called, what fills their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..search.space import Dimension, Values
from .scalars import number, show
from .spec import Distribution, Dollar, LeafRef, Picked, Study
from .tree import BAD, has_bad

NAMES = ("uniform", "log_uniform", "int_uniform", "int_log_uniform", "choice")
Say = Callable[[str, str, str], None]  # code, path, sentence


@dataclass(frozen=True)
class Parameter:
    """One distribution of a trial: its name as a column, its place among the parameters, its dimension."""

    name: str
    path: str
    distribution: Distribution
    dimension: Dimension


def is_distribution(raw: Any) -> bool:
    """Whether a written value is a distribution, well formed or not."""
    return isinstance(raw, Mapping) and any(name in raw for name in NAMES) and set(raw) <= {*NAMES, "points"}


def read(value: Any, path: str, say: Say) -> Any:
    """A value with `Distribution` where one is written; what cannot be read is `BAD` and was said."""
    if is_distribution(value):
        return _distribution(value, path, say)
    if isinstance(value, Mapping):
        return {key: read(item, f"{path}.{key}", say) for key, item in value.items()}
    if isinstance(value, list):
        return [read(item, f"{path}[{i}]", say) for i, item in enumerate(value)]
    return value


def _distribution(raw: Mapping[str, Any], path: str, say: Say) -> Any:
    if has_bad(raw):
        return BAD
    kinds = [name for name in NAMES if name in raw]
    if len(kinds) > 1:
        say("distribution", path, f"two distributions, {kinds[0]} and {kinds[1]}. Remove one.")
        return BAD
    kind, inner, points = kinds[0], raw[kinds[0]], raw.get("points")
    if kind == "choice":
        if not isinstance(inner, list) or len(inner) < 2 or points is not None:
            text = f"expected {{choice: [two or more values]}}, got {show(dict(raw))}."
            say("distribution", path, text)
            return BAD
        return Distribution(kind, choices=tuple(read(item, f"{path}.choice[{i}]", say) for i, item in enumerate(inner)))
    fault = _interval_fault(kind, inner, points)
    if fault:
        say("distribution", path, fault)
        return BAD
    low, high = (float(number(end) or 0.0) for end in inner)
    whole = kind.startswith("int")
    return Distribution(kind, int(low) if whole else low, int(high) if whole else high, points=points)


def _interval_fault(kind: str, inner: Any, points: Any) -> str:
    """What is wrong with an interval, in a sentence; empty if nothing."""
    ends = [number(end) for end in inner] if isinstance(inner, list) else []
    if len(ends) != 2 or any(end is None for end in ends):
        return f"expected {{{kind}: [smallest, largest]}}, got {{{kind}: {show(inner)}}}."
    low, high = (float(end or 0.0) for end in ends)
    if low >= high:
        return f"{show(inner)}: the smallest value is written first, and the largest is larger."
    if "log" in kind and low <= 0:
        return f"{show(inner)}: a logarithmic scale begins above 0."
    if kind.startswith("int") and not (low.is_integer() and high.is_integer()):
        return f"{show(inner)}: {kind} is between whole numbers."
    if points is not None and (isinstance(points, bool) or not isinstance(points, int) or points < 1):
        return f"points: expected a whole number from 1, got {show(points)}."
    return ""


# --- names and dimensions ------------------------------------------------------------------------------------


def walk(value: Any, path: str = "") -> Iterator[tuple[str, Distribution]]:
    """Every distribution inside a value with its path, in the order of the text, outer ones first."""
    if isinstance(value, Distribution):
        yield path, value
        for i, item in enumerate(value.choices):
            yield from walk(item, f"{path}[{i}]")
    elif isinstance(value, LeafRef):
        yield from walk(value.params, f"{path}.{value.name}" if path else value.name)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk(item, f"{path}.{key}" if path else key)
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from walk(item, f"{path}[{i}]")


def parameters(params: Mapping[str, Any]) -> tuple[Parameter, ...]:
    """The distributions of a trial. A name is the last word of the path, or all of them where that is not unique."""
    found = list(walk(params))
    last = [(_words(path) or ["value"])[-1] for path, _ in found]
    positions = {path: i for i, (path, _) in enumerate(found)}
    out = []
    for (path, distribution), short in zip(found, last, strict=True):
        name = short if last.count(short) == 1 else "_".join(_words(path)) or "value"
        outer = [(positions[other], path[len(other) :]) for other in positions if path.startswith(f"{other}[")]
        when = None
        if outer:
            position, rest = max(outer)
            when = (position, int(rest[1 : rest.index("]")]))
        out.append(Parameter(name, path, distribution, dimension(distribution, when)))
    return tuple(out)


def _words(path: str) -> list[str]:
    plain = "".join(part.partition("]")[2] if "]" in part else part for part in path.split("["))
    return [word for word in plain.split(".") if word]


def dimension(distribution: Distribution, when: tuple[int, int] | None = None) -> Dimension:
    """What a sampler sees of a distribution."""
    if distribution.kind == "choice":
        return Dimension(choices=len(distribution.choices), when=when)
    return Dimension(
        float(distribution.low), float(distribution.high), "log" in distribution.kind,
        distribution.kind.startswith("int"), points=distribution.points, when=when,
    )  # fmt: skip


# --- filling in ----------------------------------------------------------------------------------------------


def fill(value: Any, known: Mapping[str, float | int], path: str = "") -> Any:
    """A value with every distribution replaced; `known`: path -> number, or index of the choice."""
    if isinstance(value, Distribution):
        chosen = known[path]
        if value.kind == "choice":
            return fill(value.choices[int(chosen)], known, f"{path}[{int(chosen)}]")
        return int(chosen) if value.kind.startswith("int") else float(chosen)
    if isinstance(value, LeafRef):
        inner = f"{path}.{value.name}" if path else value.name
        return LeafRef(value.shelf, value.name, fill(value.params, known, inner))
    if isinstance(value, Mapping):
        return {key: fill(item, known, f"{path}.{key}" if path else key) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill(item, known, f"{path}[{i}]") for i, item in enumerate(value)]
    return value


def by_path(found: tuple[Parameter, ...], values: Values) -> dict[str, float | int]:
    """Values by position as values by path."""
    return {found[position].path: value for position, value in values.items()}


def examples(found: tuple[Parameter, ...]) -> list[dict[str, float | int]]:
    """Values by path that together show every choice and both ends of every interval: for checks without a search."""
    count = max([2, *(len(one.distribution.choices) for one in found)])
    out = []
    for i in range(count):
        row: dict[str, float | int] = {}
        for one in found:
            about = one.distribution
            ends = (about.low, about.high)
            row[one.path] = min(i, len(about.choices) - 1) if about.choices else ends[min(i, 1)]
        out.append(row)
    return out


def picked(value: Any) -> Iterator[Picked]:
    """Every value inside that a search will have chosen."""
    if isinstance(value, Picked):
        yield value
    elif isinstance(value, (LeafRef, Distribution)):
        yield from picked(value.params if isinstance(value, LeafRef) else value.choices)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from picked(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from picked(item)


def replaced(value: Any, lookup: Callable[[Picked], Any]) -> Any:
    """A value with everything that a search has chosen put in its place."""
    if isinstance(value, Picked):
        return lookup(value)
    if isinstance(value, LeafRef):
        return LeafRef(value.shelf, value.name, replaced(value.params, lookup))
    if isinstance(value, Mapping):
        return {key: replaced(item, lookup) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(item, lookup) for item in value]
    return value


def chosen_value(study: Study, one: Picked, known: Mapping[str, float | int]) -> Any:
    """What stands in place of a distribution, given the values of its search by path; `BAD` where it does not exist."""
    body = study.stages[one.search].trial
    assert body is not None
    distribution = next(found for path, found in walk(body.params) if path == one.path)
    return fill(distribution, known, one.path) if one.path in known else BAD


def within(value: Any, fixed: frozenset[str]) -> Any:
    """A value of a trial in which `$` of these factors means the level of the search, not of the stage."""
    if isinstance(value, Dollar):
        return Dollar(value.name, value.field, True) if value.name in fixed else value
    if isinstance(value, LeafRef):
        return LeafRef(value.shelf, value.name, within(value.params, fixed))
    if isinstance(value, Mapping):
        return {key: within(item, fixed) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [within(item, fixed) for item in value]
    return value
