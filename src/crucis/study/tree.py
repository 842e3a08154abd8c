"""The tree of a study's text: plain values that know where they stand. Merging works on it; meaning comes later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ..errors import Fault, Faults
from .spec import Place

_QUOTED_BAD = "\0"  # no text of a file holds it, so a sentence that does quotes something already reported


class _Bad:
    """What stands where a fault was reported already, so that its consequences are not."""

    def __repr__(self) -> str:
        return _QUOTED_BAD


BAD = _Bad()


@dataclass
class Node:
    """A scalar, a list of nodes, or a mapping from texts to nodes, with its place; `keys`: places of its keys."""

    data: Any
    place: Place
    keys: dict[str, Place] = field(default_factory=dict)
    text: str = ""  # a scalar as written

    def put(self, key: str, node: Node, place: Place | None = None) -> None:
        """Set an entry of a mapping."""
        self.data[key] = node
        self.keys[key] = place or node.place


def plain(node: Node) -> Any:
    """The node as plain Python data; `BAD` where a fault stands."""
    if isinstance(node.data, dict):
        return {key: plain(item) for key, item in node.data.items()}
    if isinstance(node.data, list):
        return [plain(item) for item in node.data]
    return node.data


def has_bad(value: Any) -> bool:
    """Whether a fault was reported inside this plain value."""
    if isinstance(value, dict):
        return any(has_bad(item) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(has_bad(item) for item in value)
    return value is BAD


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node, Place]]:
    """Every node below with its dotted path and the place of its key (its own place for list items)."""
    if isinstance(node.data, dict):
        for key, item in node.data.items():
            below = f"{path}.{key}" if path else key
            yield below, item, node.keys.get(key, item.place)
            yield from walk(item, below)
    elif isinstance(node.data, list):
        for i, item in enumerate(node.data):
            yield f"{path}[{i}]", item, item.place
            yield from walk(item, f"{path}[{i}]")


@dataclass
class Reading:
    """What all checks share: the faults so far and the place of every path."""

    file: str
    faults: Faults = field(default_factory=Faults)
    places: dict[str, Place] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # names with a fault: what refers to them is not reported again
    _seen: set[tuple[str, str]] = field(default_factory=set)

    def index(self, node: Node) -> None:
        """Remember the places of all paths of the merged tree."""
        self.places = {"": node.place}
        self.keys = {}
        for path, item, key in walk(node):
            self.places[path] = item.place
            self.keys[path] = key

    def extend(self, faults: Iterable[Fault]) -> None:
        """Take over faults found elsewhere, unless they say what was said already."""
        for fault in faults:
            mark = (fault.text, str(Place(fault.file, fault.line, fault.column)) if fault.line else fault.path)
            if _QUOTED_BAD not in fault.text and mark not in self._seen:
                self._seen.add(mark)
                self.faults.items.append(fault)

    def is_broken(self, name: Any) -> bool:
        """Whether what stands where a name is expected names something that has a fault already."""
        return isinstance(name, str) and name in self.broken

    def place(self, path: str, *, key: bool = False) -> Place:
        """The place of a path's value (or key), or of the nearest enclosing path that has one."""
        table = self.keys if key else self.places
        while path:
            if path in table:
                return table[path]
            dot, bracket = path.rfind("."), path.rfind("[")
            path = path[: max(dot, bracket, 0)]
            table = self.places
        return self.places.get("", Place(self.file))

    def fault(
        self, code: str, path: str, text: str, *, key: bool = False, at: Place | None = None,
        replacement: str | None = None, note: bool = False,
    ) -> None:  # fmt: skip
        """Report what stands at `path`; `key` points at the key instead of the value.

        One cause is reported once: a value that several entries repeat or bring in has one place and one sentence.
        """
        if _QUOTED_BAD in text:
            return
        place = at or self.place(path, key=key)
        mark = (text, str(place) if place.line else path)
        if mark in self._seen:
            return
        self._seen.add(mark)
        self.faults.add(
            code, text, path=path, file=place.file or self.file, line=place.line, column=place.column,
            replacement=replacement, note=note,
        )  # fmt: skip


def below(node: Node) -> Iterator[Node]:
    """The node and all nodes inside it."""
    yield node
    for _, item, _ in walk(node):
        yield item
