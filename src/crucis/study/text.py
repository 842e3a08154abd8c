"""From the text of a study to a tree with places: strict YAML 1.2, without what surprises. Knows no study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import Faults
from . import scalars
from .dump import dump as dump
from .spec import Place
from .tree import BAD, Node
from .yaml_faults import ALIAS, explain

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Stop(Exception):
    """The text cannot be read further; the fault is reported."""


@dataclass
class _Frame:
    """A collection that is still open."""

    node: Node
    path: str
    key: str | None = None  # of a mapping: the key whose value comes next
    key_place: Place | None = None
    skip: bool = False  # a value that stands under no usable key


def read_file(path: Path, shown: str, faults: Faults) -> Node | None:
    """Read a study file; `shown` is its name in messages."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        faults.add("no-file", f"cannot be read: {error.strerror or error}.", file=shown)
        return None
    if len(data) > MAX_BYTES:
        faults.add("too-long", "larger than 1 MiB, which no study is.", file=shown)
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        faults.add("not-utf8", "not UTF-8 text. Save the file as UTF-8.", file=shown, line=line, column=1)
        return None
    return read(text, shown, faults)


def read(text: str, file: str, faults: Faults) -> Node | None:
    """The tree of a study's text, or None if it cannot be read at all; where a fault is added stands `BAD`."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        faults.add("too-long", "larger than 1 MiB, which no study is.", file=file)
        return None
    if _tabs(text, file, faults):
        return None
    try:
        root = _Composer(file, faults).compose(text)
    except _Stop:
        return None
    except (yaml.YAMLError, UnicodeError) as error:
        explain(error, text, file, faults)
        return None
    if root is None:
        faults.add("empty", "the file holds no study. The smallest: crucis new study", file=file, line=1, column=1)
        return None
    if not isinstance(root.data, dict):
        if root.data is not BAD:
            faults.add(
                "not-a-mapping", "a study is a mapping that begins with 'study: NAME'.",
                file=file, line=root.place.line, column=root.place.column,
            )  # fmt: skip
        return None
    return root


def read_value(text: str, file: str, faults: Faults) -> Node | None:
    """A single value, as after `--set path=`; places carry no line, for there is no file."""
    before = len(faults.items)
    try:
        if _tabs(text, file, faults):
            return None
        root = _Composer(file, faults).compose(text)
        if root is None:
            faults.add("no-value", "no value after '='.", file=file)
    except _Stop:
        root = None
    except (yaml.YAMLError, UnicodeError):
        faults.add("yaml", f"{text!r} cannot be read as a value; quote it.", file=file)
        root = None
    for i in range(before, len(faults.items)):
        fault = faults.items[i]
        faults.items[i] = type(fault)(fault.code, fault.text, "", file)
    return root


def _tabs(text: str, file: str, faults: Faults) -> bool:
    lines = [i for i, line in enumerate(text.split("\n"), 1) if "\t" in line]
    if not lines:
        return False
    more = f" ({len(lines) - 1} more lines have one.)" if len(lines) > 1 else ""
    column = text.split("\n")[lines[0] - 1].index("\t") + 1
    faults.add(
        "tab", f"a tab. YAML indents with spaces; crucis fmt {file} mends it.{more}",
        file=file, line=lines[0], column=column,
    )  # fmt: skip
    return True


class _Composer:
    """Builds the tree from the parser's events; what the grammar refuses becomes a fault with a place."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file, self.faults = file, faults
        self.stack: list[_Frame] = []
        self.root: Node | None = None
        self.documents = 0

    def compose(self, text: str) -> Node | None:
        for event in self._events(text):
            place = Place(self.file, event.start_mark.line + 1, event.start_mark.column + 1)
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                self._document(event, place)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._open(event, place, kind == "MappingStartEvent")
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._close()
            elif kind == "ScalarEvent":
                self._scalar(event, place)
            elif kind == "AliasEvent":
                self._alias(event, place)
        return self.root

    def _events(self, text: str) -> Iterator[Any]:
        loader = _Loader(text)
        try:
            while loader.check_event():
                yield loader.get_event()
        finally:
            loader.dispose()

    def _fault(self, code: str, text: str, place: Place, path: str = "") -> None:
        if not any(frame.skip for frame in self.stack):
            self.faults.add(code, text, path=path, file=place.file, line=place.line, column=place.column)

    def _document(self, event: Any, place: Place) -> None:
        self.documents += 1
        if self.documents > 1:
            self._fault("second-document", "a second document ('---'). One file holds one study.", place)
            raise _Stop
        if event.tags:
            self._fault("tag", "a %TAG directive; tags are not used here. Remove it.", place)

    # -- collections ------------------------------------------------------------------------------------------

    def _open(self, event: Any, place: Place, mapping: bool) -> None:
        if len(self.stack) >= MAX_DEPTH:
            self._fault("too-deep", f"more than {MAX_DEPTH} levels inside one another.", place)
            raise _Stop
        as_key = self._expects_key()
        node = Node({} if mapping else [], place)
        path = self._path()
        if as_key:
            what = "a mapping" if mapping else "a list"
            self._fault(
                "bad-key", f"{what} stands where a key is expected. A key is one word.", place, self.stack[-1].path
            )
        if event.anchor or event.tag:
            self._decorated(event, place, path)
        self.stack.append(_Frame(node, path, skip=as_key))

    def _close(self) -> None:
        frame = self.stack.pop()
        if frame.skip:
            self.stack[-1].key, self.stack[-1].key_place = "", None
        else:
            self._place(frame.node)

    def _expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].node.data, dict) and self.stack[-1].key is None

    def _path(self) -> str:
        if not self.stack:
            return ""
        top = self.stack[-1]
        if isinstance(top.node.data, list):
            return f"{top.path}[{len(top.node.data)}]"
        return ".".join(filter(None, (top.path, top.key)))

    def _place(self, node: Node) -> None:
        """Put a finished node where it belongs."""
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node.data, list):
            top.node.data.append(node)
            return
        if top.key and top.key not in top.node.data:  # a second one was reported at its key
            top.node.put(top.key, node, top.key_place)
        top.key = None

    # -- scalars ----------------------------------------------------------------------------------------------

    def _decorated(self, event: Any, place: Place, path: str) -> None:
        if event.anchor:
            self._fault(
                "anchor", f"'&{event.anchor}' is a YAML anchor; anchors are not used here. "
                "Write 'like: STAGE' to repeat a stage, 'let' for a constant.", place, path,
            )  # fmt: skip
        if event.tag:
            self._fault("tag", f"'{event.tag}' is a YAML tag; tags are not used here. Remove it.", place, path)

    def _scalar(self, event: Any, place: Place) -> None:
        if self._expects_key():
            self._key(event, place)
            return
        path = self._path()
        value: Any = event.value
        if event.anchor or event.tag:
            self._decorated(event, place, path)
            value = BAD
        elif event.implicit[0]:  # plain
            try:
                value = scalars.resolve(event.value)
            except scalars.ScalarError as error:
                says = self._unspaced() if error.code == "no-value" else ""
                self._fault(error.code, says or str(error), self._value_place(event, place), path)
                value = BAD
        self._place(Node(value, place, text=event.value))

    def _unspaced(self) -> str:
        """What is wrong with `{train:supervised}`, where the whole is a key; empty if that is not the case."""
        key, _, value = (self.stack[-1].key or "").partition(":") if self.stack else ("", "", "")
        return f"a colon needs a space after it: write {key}: {value}." if key and value else ""

    def _value_place(self, event: Any, place: Place) -> Place:
        """An empty value stands nowhere; its key does."""
        if not event.value and self.stack and self.stack[-1].key_place:
            return self.stack[-1].key_place
        return place

    def _key(self, event: Any, place: Place) -> None:
        top = self.stack[-1]
        key = event.value
        top.key, top.key_place = key, place
        path = ".".join(filter(None, (top.path, key)))
        if event.anchor or event.tag:
            self._decorated(event, place, path)
        if key == "<<" and event.implicit[0]:
            self._fault(
                "merge-key",
                "merge keys are not used here. Write 'like: STAGE' to repeat a stage, 'let' for a constant.", place,
            )  # fmt: skip
            top.key = ""
        elif not key:
            self._fault("bad-key", "an empty key. A key is one word.", place, top.path)
        elif key in top.node.data:
            first = top.node.keys[key].line
            self._fault("twice", f"written twice, first at line {first}. Rename one.", place, path)

    def _alias(self, event: Any, place: Place) -> None:
        if self._expects_key():
            self._fault("alias", f"'*{event.anchor}' is a YAML alias; aliases are not used here.", place)
            self.stack[-1].key = ""
            return
        if not (self.stack and self.stack[-1].key == "" and isinstance(self.stack[-1].node.data, dict)):
            self._fault("alias", ALIAS.format(event.anchor), place)
        self._place(Node(BAD, place))
