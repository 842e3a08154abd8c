"""From what is written to what a leaf's parameter declares: types, ranges, choices, leaves inside leaves, views."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from ..lengths import Length
from ..nets.components import PARAMETER, ComponentsError, check_without, declared
from ..shelf import Leaf, Param
from ..source import SourceError
from ..train import recipes, watching
from ..train.settings import SettingsError
from .kinds import in_words, kinds_of
from .leaves import WRITTEN, bad_file, find_leaf, no_file, unknown_leaf, unknown_parameter
from .scalars import bare, looks_like_number, number, show
from .spec import LeafRef
from .tree import BAD

DISTRIBUTIONS = ("uniform", "log_uniform", "int_uniform", "int_log_uniform", "choice")


@dataclass(frozen=True)
class Issue:
    """Something wrong inside a value; `sub` continues the path of the value, `key` points at a key."""

    code: str
    sub: str
    text: str
    key: bool = False
    replacement: str | None = None


class Converter:
    """Converts values and collects every issue; what cannot be converted becomes `BAD`."""

    def __init__(self, folder: Path, file: str = "the study", factors: tuple[str, ...] = ()) -> None:
        self.folder, self.file, self.factors = folder, file, factors
        self.issues: list[Issue] = []

    def _issue(self, code: str, sub: str, text: str, *, key: bool = False, replacement: str | None = None) -> Any:
        self.issues.append(Issue(code, sub, text, key, replacement))
        return BAD

    # -- leaves -----------------------------------------------------------------------------------------------

    def leaf(self, home: str, name: str, sub: str = "") -> Leaf | None:
        """The leaf of this name, or None with an issue that says what there is."""
        try:
            return find_leaf(home, name, self.folder)
        except SourceError as error:
            self._issue("bad-file", sub, bad_file(home, name, str(error)))
        except FileNotFoundError:
            self._issue("no-file", sub, no_file(name, self.folder, self.file))
        except KeyError:
            self._issue("unknown-name", sub, unknown_leaf(home, name, self.factors))
        return None

    def recipe(self, raw: Any, sub: str = "") -> Any:
        """`NAME`, or `{NAME: {reference: WHO}}` as `NAME@WHO`; a recipe that cannot be trained is an issue."""
        name, inner = next(iter(raw.items())) if isinstance(raw, Mapping) and len(raw) == 1 else (raw, {})
        bare, _, reference = str(name).partition("@")
        bare = self.value(shelf.Param("recipe", f"Literal{list(recipes.names())!r}"), bare if reference else name, sub)
        if bare is BAD:
            return BAD
        if not isinstance(inner, Mapping) or set(inner) - {"reference"}:
            return self._issue(
                "not-a-choice", sub, f"a recipe takes 'reference' only: {{{bare}: {{reference: paper}}}}."
            )
        reference = str(inner.get("reference", reference))
        full = f"{bare}@{reference}" if reference else str(bare)
        try:
            recipes.published(full)
        except SettingsError as error:
            return self._issue("not-a-choice", sub, f"{str(error).removeprefix('recipe: ')}.")
        return full

    def leaf_ref(self, home: str, raw: Any, sub: str = "") -> Any:
        """`name` or `{name: {parameter: value}}` as a reference with converted parameters."""
        noun = shelf.SHELVES[home].noun
        if isinstance(raw, LeafRef):
            return raw
        if isinstance(raw, Mapping):
            if len(raw) != 1:
                return self._issue(
                    "not-a-leaf", sub,
                    f"{show(raw)} has {len(raw)} keys; {noun} with parameters: {{name: {{parameter: value}}}}.",
                )  # fmt: skip
            name, params = next(iter(raw.items()))
            if name in DISTRIBUTIONS:
                return self._distribution(raw, sub)
            if params is BAD:
                return BAD
            if not isinstance(params, Mapping):
                self.leaf(home, name, sub)
                return self._issue(
                    "not-a-leaf",
                    f"{sub}.{name}",
                    f"expected the parameters of '{name}' as a mapping, got {show(params)}.",
                )
        else:
            name, params = raw, {}
        if not isinstance(name, str):
            return self._issue("wrong-type", sub, f"expected {in_words(('Leaf',), home)}, got {show(raw)}.")
        found = self.leaf(home, name, f"{sub}.{name}" if isinstance(raw, Mapping) and params else sub)
        if found is None:
            return BAD
        return LeafRef(home, name, self.params(found, params, f"{sub}.{name}"))

    def params(self, leaf: Leaf, given: Mapping[str, Any], sub: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
        """Converted parameters of a leaf; unknown and missing ones are issues. `known` keys are not the leaf's."""
        out = {}
        for key, raw in given.items():
            name = next((inner for inner, outer in WRITTEN.items() if outer == key), key)
            if name not in leaf.params or key in WRITTEN:
                if key not in known:
                    self._issue("unknown-parameter", f"{sub}.{key}", unknown_parameter(leaf, key, raw), key=True)
                continue
            out[name] = self.value(leaf.params[name], raw, f"{sub}.{key}")
            if name in leaf.constants.get("NAMES", {}) and isinstance(out[name], str):
                self._listed(leaf, name, out[name], f"{sub}.{key}")
            if name == PARAMETER and "COMPONENTS" in leaf.constants and isinstance(out[name], Mapping):
                self._left_out(leaf, out[name], f"{sub}.{key}")
        for name, param in leaf.params.items():
            if param.required and name not in out and name not in known:
                written = WRITTEN.get(name, name)
                self._issue(
                    "missing-parameter", sub, f"'{leaf.name}' needs {written} ({in_words(kinds_of(param.type))})."
                )
        return out

    def _left_out(self, leaf: Leaf, without: Mapping[str, str], sub: str) -> None:
        """The components that a net leaves out must be among those that its file declares."""
        try:
            check_without(leaf.name, declared(leaf), without)
        except ComponentsError as error:
            self._issue("unknown-component", sub, str(error))

    def _listed(self, leaf: Leaf, name: str, value: str, sub: str) -> None:
        """A name of a foreign package must be on the list that ships beside the leaf (`NAMES`), so torch can wait."""
        text = (leaf.path.parent / leaf.constants["NAMES"][name]).read_text(encoding="utf-8")
        known = {line for line in text.split("\n") if line and not line.startswith("#")}
        if value not in known:
            self._issue("unknown-name", sub, f"{leaf.name} has no {name} '{value}'.{did_you_mean(value, known)}")

    # -- values -----------------------------------------------------------------------------------------------

    def value(self, param: Param, raw: Any, sub: str = "") -> Any:
        """One value as its parameter declares it."""
        if raw is BAD:
            return BAD
        kinds = kinds_of(param.type)
        if isinstance(raw, Mapping) and len(raw) == 1 and next(iter(raw)) in DISTRIBUTIONS:
            return self._distribution(raw, sub)
        value = self._any(param, kinds, raw, sub)
        if value is not BAD and value is not None and param.limits:
            self._bounded(param, value, raw, sub)
        return value

    def _distribution(self, raw: Mapping[str, Any], sub: str) -> Any:
        name = next(iter(raw))
        return self._issue(
            "distribution", sub, f"{{{name}: ...}} stands for a search, and nothing searches here. "
            "Put the stage into the 'trial' of a search, or give a value.",
        )  # fmt: skip

    def _any(self, param: Param, kinds: tuple[Any, ...], raw: Any, sub: str) -> Any:
        literals = tuple(v for kind in kinds if isinstance(kind, tuple) and kind[0] == "literal" for v in kind[1])
        if (
            literals
            and not isinstance(raw, (list, Mapping))
            and any(type(raw) is type(v) and raw == v for v in literals)
        ):
            return raw
        if "none" in kinds and (raw is None or raw == "none"):
            return None
        kinds = tuple(kind for kind in kinds if kind != "none")
        lists = tuple(kind for kind in kinds if isinstance(kind, tuple) and kind[0] == "list")
        if isinstance(raw, list) and lists:
            return [self._any(param, lists[0][1], item, f"{sub}[{i}]") for i, item in enumerate(raw)]
        if isinstance(raw, list) and "any" not in kinds and "Any" not in kinds:
            return self.list_for_one(WRITTEN.get(param.name, param.name), raw, sub)
        singles = tuple(kind for kind in kinds if kind not in lists)
        if not singles:
            if isinstance(raw, Mapping) and lists[0][1] != ("Leaf",):
                return self._issue("wrong-type", sub, f"expected {in_words(lists)}, got {show(raw)}.")
            words = in_words(lists, param.shelf)
            if raw in ("no", "off", "none", "false", False):
                return self._issue("wrong-type", sub, f"expected {words}, got {bare(raw)}. For none write [].")
            each = [{key: value} for key, value in raw.items()] if isinstance(raw, Mapping) else [raw]
            return self._issue("wrong-type", sub, f"expected {words}, got {bare(raw)}. Write {bare(each)}.")
        for kind in singles:
            done, value = self._one(param, kind, raw, sub)
            if done:
                return value
        return self._wrong(param, singles, raw, sub)

    def list_for_one(self, name: str, raw: list[Any], sub: str = "") -> Any:
        """The answer to a list where only a factor could bring several values."""
        text = f"a list, where one {name} is expected. To vary it: factors: {{{name}: {show(raw)}}}, and here ${name}."
        return self._issue("list-for-one", sub, text)

    def _one(self, param: Param, kind: Any, raw: Any, sub: str) -> tuple[bool, Any]:
        """(whether this alternative answers, the value)."""
        if kind == "int":
            whole = isinstance(raw, float) and raw.is_integer() and abs(raw) < 2**53
            ok = (isinstance(raw, int) and not isinstance(raw, bool)) or whole
            return ok, int(raw) if ok else None
        if kind == "float":
            value = number(raw)
            return value is not None, None if value is None else float(value)
        if kind == "bool":
            return isinstance(raw, bool), raw
        if kind == "str":
            return isinstance(raw, str), raw
        if kind in ("Length", "LengthOrShare"):
            return self._length(kind, raw)
        if kind == "Leaf":
            return True, self.leaf_ref(param.shelf or "nets", raw, sub)
        if kind == "View":
            return True, self.view(raw, sub)
        if kind == "Watch":
            return True, self.watch(raw, sub)
        return kind in ("any", "Any", "Mapping", "dict", "object"), raw

    def _length(self, kind: str, raw: Any) -> tuple[bool, Any]:
        value = number(raw)
        if kind == "LengthOrShare" and value is not None and 0 <= value <= 1:
            return True, float(value)
        if isinstance(raw, str):
            try:
                return True, str(Length.parse(raw))
            except ValueError:
                pass
        return False, None

    def _wrong(self, param: Param, kinds: tuple[Any, ...], raw: Any, sub: str) -> Any:
        truth = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
        if "bool" in kinds and isinstance(raw, str) and raw.lower() in truth:
            word = truth[raw.lower()]
            return self._issue(
                "wrong-type", sub, f"expected true or false, got the text '{raw}'. Write {word}, without quotes."
            )
        values = [v for kind in kinds if isinstance(kind, tuple) and kind[0] == "literal" for v in kind[1]]
        if values and isinstance(raw, str):
            hint = did_you_mean(raw, map(str, values))
            name = WRITTEN.get(param.name, param.name)
            if raw in self.factors:
                hint = f" There is a factor of that name; write ${raw}."
            return self._issue(
                "not-a-choice", sub, f"{name} has no choice '{raw}'.{hint} Choices: {', '.join(map(str, values))}."
            )
        if any(kind in ("Length", "LengthOrShare") for kind in kinds) and number(raw) is not None:
            return self._issue(
                "not-a-length", sub, f"{show(raw).strip(chr(39))} is a number; a length has a unit. "
                f"Write '{show(raw).strip(chr(39))} epochs' or '{show(raw).strip(chr(39))} steps'.",
            )  # fmt: skip
        if isinstance(raw, str) and looks_like_number(raw) and ("int" in kinds or "float" in kinds):
            words = "a number" if "float" in kinds else "an integer"
            return self._issue(
                "wrong-type", sub, f"expected {words}, got the text '{raw}'. Remove the quotes.", replacement=raw
            )
        got = f"the text '{raw}'" if isinstance(raw, str) and len(raw) < 60 else show(raw)
        tail = ""
        if "str" in kinds and isinstance(raw, (int, float)):
            got, tail = show(raw), f" Quote it: '{show(raw)}'."
        elif isinstance(raw, str) and raw in self.factors:
            tail = f" There is a factor of that name; write ${raw}."
        elif "Length" in kinds and isinstance(raw, str) and (begun := re.match(r"[0-9][0-9_]*", raw)):
            tail = f" Write '{begun[0]} epochs' or '{begun[0]} steps'."
        return self._issue("wrong-type", sub, f"expected {in_words(kinds, param.shelf)}, got {got}.{tail}")

    def _bounded(self, param: Param, value: Any, raw: Any, sub: str) -> None:
        if isinstance(value, list):
            for i, item in enumerate(value):
                self._bounded(param, item, raw[i], f"{sub}[{i}]")
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not param.limits:
            return
        side = outside(param.limits, value)
        if side:
            name = WRITTEN.get(param.name, param.name)
            text = f"{bare(raw)} is outside {param.limits}, the range of {name}. Write a {side} value."
            self._issue("out-of-range", sub, text)

    def watch(self, raw: Any, sub: str = "") -> Any:
        """Rules over a running training, as they are written."""
        if not isinstance(raw, Mapping):
            return self._issue("wrong-type", sub, f"expected rules such as {{grad_norm > 10: log}}, got {show(raw)}.")
        wrong = watching.faults(raw)
        for text, error in wrong:
            self._issue("bad-rule", f"{sub}.{text}", f"{error}.", key=not error.of_action)
        return BAD if wrong else dict(raw)

    def pointless(self, leaf: Leaf, watch: Any) -> None:
        """Rules that can say nothing in trainings by a protocol are issues."""
        if isinstance(watch, Mapping) and not leaf.own:
            for text, error in watching.pointless(watch, leaf.name, leaf.constants.get("COLUMNS", {})):
                self._issue("bad-rule", f".{text}", f"{error}.", key=True)

    def view(self, raw: Any, sub: str = "") -> Any:
        """A view: its keys and the types of their values. Whether it fits the data set, the plan finds out."""
        from .views import view_issues

        if raw is BAD:
            return BAD
        value, issues = view_issues(raw)
        self.issues += [Issue(code, sub + inner, text, key) for code, inner, text, key in issues]
        return BAD if issues else value


def interval(limits: str) -> tuple[float | None, float | None, bool, bool]:
    """The ends of an interval such as "(0, 2]" (None: without bound), and whether each end is left out."""
    ends = [
        None if part.strip() in ("", "-inf", "inf", "None") else float(part) for part in limits.strip()[1:-1].split(",")
    ]
    return ends[0], ends[1], limits.strip()[0] == "(", limits.strip()[-1] == ")"


def outside(limits: str, value: float) -> str | None:
    """`smaller` or `larger` if a value lies outside an interval and which way to go, else None."""
    low, high, open_low, open_high = interval(limits)
    if low is not None and (value < low or (open_low and value == low)):
        return "larger"
    if high is not None and (value > high or (open_high and value == high)):
        return "smaller"
    return None
