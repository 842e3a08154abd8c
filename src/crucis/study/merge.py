"""One study out of several texts: protocol, `set` and `drop`, the file's own entries, preset, `--set`. Later wins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import did_you_mean, nearest
from . import text
from .spec import Override, Place
from .tree import BAD, Node, Reading, below, plain

KEYS = (
    "study", "question", "from", "set", "drop", "uses", "let", "factors", "only", "except", "seeds", "stages",
    "derive", "analysis", "claims", "gates", "budget", "presets",
)  # fmt: skip
NAMED = ("let", "factors", "stages", "derive", "analysis", "claims", "gates", "presets")  # sections of named entries
LATER = ("uses",)
_BRINGS = ("from", "set", "drop", "presets", "study", "grammar")  # what no path may change
PROTOCOLS = Path(__file__).parent.parent / "protocols"


def protocols() -> tuple[str, ...]:
    """Names of the shipped protocols."""
    return tuple(sorted(path.stem for path in PROTOCOLS.glob("*.yaml")))


def merged(own: Node, folder: Path, preset: str | None, sets: Sequence[str], reading: Reading) -> Merge:
    """Merge a study's own tree with what it starts from and with overrides.

    Faults are reported at the places of the texts in which they stand.
    """
    merge = Merge(reading, folder)
    merge.run(own, preset, sets)
    return merge


class Merge:
    """The state of one merge: the growing tree, what changed, and the name of the base."""

    def __init__(self, reading: Reading, folder: Path) -> None:
        self.reading, self.folder = reading, folder
        self.tree = Node({}, Place(reading.file, 1, 1))
        self.changed: list[Override] = []
        self.removed: list[str] = []
        self.base: str | None = None

    def run(self, own: Node, preset: str | None, sets: Sequence[str]) -> None:
        """All texts in their order."""
        self.reading.index(own)
        self._top(own)
        self.tree = Node({}, own.place)
        if "from" in own.data:
            self._from(own.data["from"])
        elif "set" in own.data or "drop" in own.data:
            key = "set" if "set" in own.data else "drop"
            self.reading.fault(
                "no-base", key, f"'{key}' changes what 'from' brought, and there is no 'from'.", key=True
            )
        if self.base is not None:
            self._changes(own)
        self._own(own)
        self._presets(preset)
        for item in sets:
            self._command_line(item)

    def _fault(self, code: str, path: str, words: str, at: Place) -> None:
        self.reading.fault(code, path, words, at=at)

    def _top(self, own: Node) -> None:
        for key in own.data:
            if key == "grammar":
                if own.data[key].data != 1:
                    self.reading.fault("grammar", key, "this Crucis reads grammar 1 only.")
            elif key not in KEYS:
                hint = did_you_mean(key, KEYS) or f" Known: {', '.join(KEYS)}."
                self.reading.fault("unknown-key", key, f"no such key at the top of a study.{hint}", key=True)
            elif key in LATER:
                self.reading.fault("later", key, f"'{key}' comes with a later version of Crucis.", key=True)

    # -- from, set, drop --------------------------------------------------------------------------------------

    def _from(self, node: Node) -> None:
        name = node.data
        if name is BAD:
            return
        if not isinstance(name, str):
            self._fault("wrong-type", "from", "expected the name of a protocol or a file.", node.place)
            return
        found = self._base_tree(name, node)
        if found is None:
            return
        for key in ("from", "set", "drop"):
            if key in found.data:
                self._fault(
                    "nested-from", key, f"'{name}' uses '{key}' itself; a study starts from one that stands alone.",
                    node.place,
                )  # fmt: skip
                return
        self.base = name
        self.tree = Node({k: v for k, v in found.data.items() if k != "study"}, node.place, dict(found.keys))

    def _base_tree(self, name: str, node: Node) -> Node | None:
        if name.endswith((".yaml", ".yml")) or name.startswith(("./", "../", "/")):
            path = self.folder / name
            if not path.is_file():
                self._fault("no-file", "from", f"no file {name} beside {self.reading.file}.", node.place)
                return None
            shown = name
        elif name in protocols():
            path, shown = PROTOCOLS / f"{name}.yaml", f"{name}.yaml"
        else:
            hint = did_you_mean(name, protocols()) or f" Protocols: {', '.join(protocols()) or 'none'}."
            self._fault("unknown-name", "from", f"no protocol '{name}'.{hint} A file ends in .yaml.", node.place)
            return None
        return text.read_file(path, shown, self.reading.faults)

    def _changes(self, own: Node) -> None:
        changes = own.data.get("set")
        if changes is not None and changes.data is not BAD:
            if not isinstance(changes.data, dict):
                self._fault("wrong-type", "set", "expected {path: value}.", changes.place)
            else:
                for path, value in changes.data.items():
                    self.put(path, value, "set", changes.keys[path])
        self._drops(own.data.get("drop"), "drop")

    def _drops(self, node: Node | None, where: str) -> None:
        if node is None or node.data is BAD:
            return
        items = node.data if isinstance(node.data, list) else [node]
        for item in items:
            if isinstance(item.data, str):
                self.remove(item.data, where, item.place)
            elif item.data is not BAD:
                self._fault("wrong-type", where, "expected a list of paths.", item.place)

    def _own(self, own: Node) -> None:
        """New entries join; one that exists is an error, so that nothing is shadowed by accident."""
        for key, node in own.data.items():
            if key in ("from", "set", "drop", "grammar", *LATER) or key not in KEYS:
                continue
            there = self.tree.data.get(key)
            if there is None or key in ("study", "question"):
                self.tree.put(key, node, own.keys[key])
            elif key in NAMED and isinstance(there.data, dict) and isinstance(node.data, dict):
                there = Node(dict(there.data), node.place, dict(there.keys))
                self.tree.put(key, there, own.keys[key])
                for name, item in node.data.items():
                    if name in there.data:
                        self._shadows(key, name, item, own.data[key].keys[name])
                    else:
                        there.put(name, item, node.keys[name])
            elif node.data is not BAD:
                self._fault(
                    "exists", key, f"exists in '{self.base}'. To change it: set: {{{key}: ...}}.", own.keys[key],
                )  # fmt: skip

    def _shadows(self, section: str, name: str, item: Node, at: Place) -> None:
        inner = next(iter(item.data), "...") if isinstance(item.data, dict) else None
        path = f"{section}.{name}"
        part = f"{path}.{'for' if inner and 'for' in item.data else inner}" if inner else path
        self._fault(
            "exists", path,
            f"exists in '{self.base}'. To change a part: set: {{{part}: ...}}; "
            f"to replace it: drop: [{path}] and write it under another name.", at,
        )  # fmt: skip

    # -- presets and the command line -------------------------------------------------------------------------

    def _presets(self, wanted: str | None) -> None:
        node = self.tree.data.get("presets")
        known = node.data if node is not None and isinstance(node.data, dict) else {}
        if node is not None and not isinstance(node.data, dict) and node.data is not BAD:
            self._fault("wrong-type", "presets", "expected {name: {path: value}}.", node.place)
        if wanted is not None and wanted not in known:
            hint = did_you_mean(wanted, known) or f" Presets: {', '.join(known) or 'none'}."
            self.reading.faults.add("unknown-name", f"no preset '{wanted}'.{hint}", file=f"--preset {wanted}")
        for name, body in known.items():
            where = f"presets.{name}"
            if body.data is BAD:
                continue
            if not isinstance(body.data, dict):
                self._fault("wrong-type", where, "expected {path: value}.", body.place)
                continue
            for path, value in body.data.items():
                if name != wanted:
                    self._check_path(path, value, where, body.keys[path])
                elif path == "drop":
                    self._drops(value, f"{where}.drop")
                else:
                    self.put(path, value, where, body.keys[path])

    def _check_path(self, path: str, value: Node, where: str, at: Place) -> None:
        """Paths of a preset that is not in use."""
        if path == "drop":
            for item in value.data if isinstance(value.data, list) else [value]:
                if isinstance(item.data, str) and self._find(item.data) is None:
                    self._missing(item.data, f"{where}.drop", item.place)
        elif self._target(path) is None:
            self._missing(path, where, at)

    def _command_line(self, item: str) -> None:
        path, equals, words = item.partition("=")
        shown = f"--set {item}"
        if not equals or not path:
            self.reading.faults.add("wrong-type", "expected --set path=value.", file=shown)
            return
        value = text.read_value(words, shown, self.reading.faults)
        if value is not None:
            for node in below(value):
                node.place = Place(shown)
                node.keys = dict.fromkeys(node.keys, Place(shown))
            self.put(path.strip(), value, "", Place(shown))

    # -- paths ------------------------------------------------------------------------------------------------

    def put(self, path: str, value: Node, where: str, at: Place) -> None:
        """Replace the value at a path; the last word may be new where the name is checked later anyway."""
        target = self._target(path)
        if target is None:
            self._missing(path, where, at)
            return
        parent, key = target
        was = plain(parent.data[key]) if key in parent.data else None
        self.changed.append(Override(path, where or "--set", was, plain(value)))
        parent.put(key, value, at)

    def remove(self, path: str, where: str, at: Place) -> None:
        """Take the entry at a path out."""
        found = self._find(path)
        if found is None:
            self._missing(path, where, at)
            return
        parent, key = found
        self.changed.append(Override(path, "drop", plain(parent.data[key])))
        del parent.data[key]
        self.removed.append(path)

    def _target(self, path: str) -> tuple[Node, str] | None:
        found = self._find(path)
        if found is not None:
            return found
        if path in KEYS and path not in _BRINGS:
            return self.tree, path
        head, _, last = path.rpartition(".")
        parent = self._find(head) if head else None
        if parent is None or head in NAMED or head.startswith(("factors", "let")):
            return None
        node = parent[0].data[parent[1]]
        return (node, last) if isinstance(node.data, dict) else None

    def _find(self, path: str) -> tuple[Node, str] | None:
        """The mapping that holds the entry at a path, copied down to it so that changes do not reach other texts."""
        if not path or path.split(".")[0] in _BRINGS:
            return None
        node, rest = self.tree, path
        while True:
            key = _first(rest, node.data)
            if key is None:
                return None
            if key == rest:
                return node, key
            child = node.data[key]
            if not isinstance(child.data, dict):
                return None
            child = Node(dict(child.data), child.place, dict(child.keys))
            node.data[key] = child
            node, rest = child, rest[len(key) + 1 :]

    def _missing(self, path: str, where: str, at: Place) -> None:
        if where.startswith("presets.") and any(path == one or path.startswith(f"{one}.") for one in self.removed):
            return  # a preset of the base may speak of what this study dropped
        known = [p for p in _paths(self.tree) if p.split(".")[0] not in _BRINGS]
        other = nearest(path, known)
        if other is None:  # a long path with one wrong word: compare word by word
            shape = [p for p in known if p.count(".") == path.count(".")]
            other = nearest(path, shape)
        hint = f" Did you mean '{other}'?" if other else ""
        source = f"'{self.base}'" if self.base and where in ("set", "drop") else "this study"
        self._fault("no-path", where, f"no path '{path}' in {source}.{hint}", at)


def _first(rest: str, entries: dict[str, Any]) -> str | None:
    """The longest key that `rest` begins with; keys may themselves hold dots (`./mine.py`, `1.5`)."""
    matches = [key for key in entries if rest == key or rest.startswith(f"{key}.")]
    return max(matches, key=len) if matches else None


def _paths(node: Node, prefix: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(node.data, dict) and depth < 6:
        for key, item in node.data.items():
            path = f"{prefix}.{key}" if prefix else key
            yield path
            yield from _paths(item, path, depth + 1)
