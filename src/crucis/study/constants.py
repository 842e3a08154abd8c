"""`let`: constants that `$` brings into a study, replaced before anything else is read."""

from __future__ import annotations

import re

from .tree import BAD, Node, Reading

_LET = re.compile(r"\$([a-z][a-z0-9_-]*)(?:\.([a-z][a-z0-9_-]*))?")
_INNER_LET = re.compile(r"(@[a-z][a-z0-9_.-]*=)\$([a-z][a-z0-9_-]*)(?![\w.-])")
TEXTS = ("question", "says", "because", "source")  # keys whose text is never searched for `$`


class Constants:
    """Replaces `$` of `let`, in values and after the `=` of an `@`; leaves every other `$` alone."""

    def __init__(self, node: Node | None, reading: Reading) -> None:
        self.reading = reading
        self.values: dict[str, Node] = {}
        self.names = tuple(node.data) if node is not None and isinstance(node.data, dict) else ()
        self._raw = dict(node.data) if self.names and node is not None else {}
        for name in self.names:
            self._resolve(name, ())

    def _resolve(self, name: str, on_way: tuple[str, ...]) -> Node:
        if name in on_way:
            circle = " -> ".join((*on_way[on_way.index(name) :], name))
            self.reading.fault("circle", f"let.{name}", f"a circle: {circle}. A constant cannot need itself.")
            return Node(BAD, self._raw[name].place)
        if name not in self.values:
            self.values[name] = self.replace(self._raw[name], (*on_way, name))
        return self.values[name]

    def replace(self, node: Node, on_way: tuple[str, ...] = ()) -> Node:
        """The node with constants in place of their names."""
        if isinstance(node.data, dict):
            entries = {k: v if k in TEXTS else self.replace(v, on_way) for k, v in node.data.items()}
            return Node(entries, node.place, node.keys)
        if isinstance(node.data, list):
            return Node([self.replace(item, on_way) for item in node.data], node.place)
        if not isinstance(node.data, str) or "$" not in node.data:
            return node
        match = _LET.fullmatch(node.data)
        if match and match[1] in self.names:
            return self._value(node, match[1], match[2], on_way)
        words = _INNER_LET.sub(lambda m: self._inner(m, on_way), node.data)
        return Node(words, node.place, text=words) if words != node.data else node

    def _value(self, node: Node, name: str, part: str | None, on_way: tuple[str, ...]) -> Node:
        value = self._resolve(name, on_way)
        if part is None or value.data is BAD:
            return value
        if not isinstance(value.data, dict) or part not in value.data:
            self.reading.fault(
                "no-field", f"let.{name}", f"${name}.{part}: the constant has no '{part}'.", at=node.place
            )
            return Node(BAD, node.place)
        return value.data[part]

    def _inner(self, match: re.Match[str], on_way: tuple[str, ...]) -> str:
        if match[2] not in self.names:
            return match[0]
        value = self._resolve(match[2], on_way)
        return match[0] if isinstance(value.data, (dict, list)) else match[1] + (value.text or str(value.data))
