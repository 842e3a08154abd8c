"""The sections that read results, as written: `derive`, `analysis`, `claims`. What they mean is checked elsewhere."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from .entries import like, one_verb, report, unknown_key
from .expressions import parse
from .filters import read_filter
from .levels import check_name
from .outcomes import TRIALS
from .references import parse_ref
from .scalars import number, show
from .spec import ANALYSIS_VERBS, Analysis, Claim, Expression, Factor, LeafRef, Ref
from .tree import BAD, Reading, has_bad
from .values import Converter
from .words import ExpressionError

_MODEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
LATER = ("fit",)
CORRECTIONS = ("holm", "bonferroni", "bh", "none")
COMMON = (
    "of", "only", "except", "each", "unit", "correction", "family", "confidence", "exploratory", "like",
)  # fmt: skip
#: Keys of a verb that the study itself understands, besides the leaf's parameters.
OWN = {
    "describe": ("along",),
    "compare": ("between", "against", "expect", "cost", "margin"),
    "correlate": ("with", "given"),
    "predict": ("from", "leave_out", "base"),
    "attribute": ("over", "cost"),
}
#: Keys that stand in fields of `Analysis` of their own, not among the parameters of leaves.
FIELDS = ("with", "given", "between", "against", "along", "from", "leave_out", "base", "over", "cost", "expect")


@dataclass
class Results:
    """Reads the three sections; entries with a fault are named in `reading.broken`."""

    reading: Reading
    folder: Path
    factors: Mapping[str, Factor]
    derive: dict[str, Expression] = field(default_factory=dict)
    derive_text: dict[str, str] = field(default_factory=dict)
    analysis: dict[str, Analysis] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)

    def _section(self, raw: Any, name: str) -> list[tuple[str, Any, str]]:
        if raw is None or raw is BAD:
            return []
        if not isinstance(raw, Mapping):
            self.reading.fault("wrong-type", name, "expected a mapping of named entries.")
            return []
        out = []
        for key, item in raw.items():
            path = f"{name}.{key}"
            if not check_name(key, path, self.reading) or item is BAD:
                self.reading.broken.add(key)
            else:
                out.append((key, item, path))
        return out

    def _expression(self, raw: Any, path: str) -> Expression | None:
        if has_bad(raw):
            return None
        if isinstance(raw, (int, float)) and not isinstance(raw, bool):
            raw = str(raw)
        if not isinstance(raw, str):
            self.reading.fault("wrong-type", path, f"expected an expression, got {show(raw)}.")
            return None
        try:
            return parse(raw)
        except ExpressionError as error:
            self.reading.fault("bad-expression", path, f"column {error.column}: {error.text}")
            return None

    def read_derive(self, raw: Any) -> None:
        """Section `derive`."""
        for name, item, path in self._section(raw, "derive"):
            found = self._expression(item, path)
            if found is None:
                self.reading.broken.add(name)
            else:
                self.derive[name] = found
                self.derive_text[name] = str(item)

    # -- analyses ---------------------------------------------------------------------------------------------

    def read_analysis(self, raw: Any) -> dict[str, Any]:
        """Section `analysis`; returns the entries as written, with `like` worked in."""
        written = {}
        for name, item, path in self._section(raw, "analysis"):
            body = like(item, raw, "analysis", path, ANALYSIS_VERBS, self.reading)
            before = len(self.reading.faults.items)
            found = self._analysis(name, body, path) if body is not None else None
            if found is None or len(self.reading.faults.items) > before:
                self.reading.broken.add(name)
            if found is not None and body is not None:
                self.analysis[name] = found
                written[name] = body
        return written

    def _analysis(self, name: str, body: Mapping[str, Any], path: str) -> Analysis | None:
        verb = one_verb(body, path, ANALYSIS_VERBS, self.reading, "An analysis")
        if verb is None:
            return None
        if verb in LATER:
            self.reading.fault("later", f"{path}.{verb}", f"'{verb}' comes with a later version of Crucis.", key=True)
            return None
        leaves = self._leaves(verb, body, f"{path}.{verb}")
        if "of" not in body:
            self.reading.fault("no-subject", path, "nothing is analysed. Write of: STAGE.COLUMN.")
        if leaves is None:
            return None
        found = tuple(ref for ref, _ in leaves)
        of = self._refs(body, "of", path)
        if verb == "attribute" and any(leaf.constants.get("TABLE") == TRIALS for _, leaf in leaves):
            of = tuple(replace(ref, column=ref.column or "best") for ref in of)  # a search is meant by its name
        params = self._params(verb, [leaf for _, leaf in leaves], body, path)
        correction = self._word(body, "correction", path, "holm")
        if correction not in CORRECTIONS:
            hint = did_you_mean(correction, CORRECTIONS)
            self.reading.fault(
                "not-a-choice",
                f"{path}.correction",
                f"no correction '{correction}'.{hint} Choices: {', '.join(CORRECTIONS)}.",
            )
        return Analysis(
            name, verb, found,
            of=of, targets=self._refs(body, "with", path),
            given=self._refs(body, "given", path),
            between=self._word(body, "between", path), against=self._word(body, "against", path),
            over=self._word(body, "over", path), along=self._word(body, "along", path),
            cost=self._refs(body, "cost", path), expect=self._expect(body, path),
            each=self._words(body, "each", path), unit=self._word(body, "unit", path),
            only=read_filter(body.get("only"), f"{path}.only", self.factors, self.reading),
            exclude=read_filter(body.get("except"), f"{path}.except", self.factors, self.reading),
            correction=correction or "holm", family=self._word(body, "family", path),
            models=self._models(body, path), leave_out=self._word(body, "leave_out", path),
            base=self._word(body, "base", path),
            confidence=self._confidence(body, path), exploratory=self._flag(body, "exploratory", path), params=params,
        )  # fmt: skip

    def _leaves(self, verb: str, body: Mapping[str, Any], path: str) -> list[tuple[LeafRef, shelf.Leaf]] | None:
        raw = body[verb]
        if has_bad(raw):
            return None
        out = []
        for i, item in enumerate(raw if isinstance(raw, list) else [raw]):
            converter = Converter(self.folder, self.reading.file, tuple(self.factors))
            ref = converter.leaf_ref(verb, _with_required(verb, item, body))
            report(converter, f"{path}[{i}]" if isinstance(raw, list) else path, self.reading)
            if isinstance(ref, LeafRef):
                out.append((ref, converter.leaf(verb, ref.name)))
        if not out and raw == []:
            self.reading.fault("no-verb", path, f"no {shelf.SHELVES[verb].noun} is named.")
        return [(ref, leaf) for ref, leaf in out if leaf is not None] or None

    def _params(self, verb: str, leaves: list[shelf.Leaf], body: Mapping[str, Any], path: str) -> dict[str, Any]:
        """What is left for the leaves; a key that one of them has is enough."""
        out: dict[str, Any] = {}
        for key, raw in body.items():
            having = [leaf for leaf in leaves if key in leaf.params]
            if key == verb or key in COMMON or raw is BAD or (key in FIELDS and not having):
                if key in FIELDS and key not in OWN.get(verb, ()):
                    self.reading.fault("unknown-parameter", f"{path}.{key}", f"'{verb}' has no key '{key}'.", key=True)
                continue
            if having:
                converter = Converter(self.folder, self.reading.file, tuple(self.factors))
                out[key] = converter.value(having[0].params[key], raw)
                report(converter, f"{path}.{key}", self.reading)
            elif key in OWN.get(verb, ()):
                out[key] = raw
            else:
                text = unknown_key(leaves[0], key, raw, (*COMMON, *OWN.get(verb, ())))
                self.reading.fault("unknown-parameter", f"{path}.{key}", text, key=True)
        return out

    def _refs(self, body: Mapping[str, Any], key: str, path: str) -> tuple[Ref, ...]:
        raw = body.get(key)
        if raw is None or raw is BAD:
            return ()
        out = []
        for i, item in enumerate(raw if isinstance(raw, list) else [raw]):
            here = f"{path}.{key}[{i}]" if isinstance(raw, list) else f"{path}.{key}"
            if item is BAD:
                continue
            try:
                ref = parse_ref(item)
            except ValueError as error:
                self.reading.fault("bad-reference", here, str(error))
                continue
            if ref.use:
                self.reading.fault(
                    "later", here, f"'{ref.use}/': other studies ('uses') come with a later version of Crucis."
                )
            else:
                out.append(ref)
        if raw == []:
            self.reading.fault("wrong-type", f"{path}.{key}", "an empty list of columns.")
        return tuple(out)

    def _models(self, body: Mapping[str, Any], path: str) -> dict[str, tuple[Ref, ...]]:
        """`from`: model -> its columns."""
        raw, where = body.get("from"), f"{path}.from"
        if raw is None or raw is BAD:
            return {}
        if not isinstance(raw, Mapping) or not raw:
            self.reading.fault("wrong-type", where, f"expected {{MODEL: [COLUMN, ...]}}, got {show(raw)}.")
            return {}
        for name in raw:
            if not isinstance(name, str) or not _MODEL.fullmatch(name):
                text = "the name of a model is a letter with letters, digits, _ or - behind it"
                self.reading.fault("bad-name", f"{where}.{name}", f"{text}, got {show(name)}.", key=True)
        return {str(name): self._refs(raw, name, where) for name in raw if raw[name] is not BAD}

    def _expect(self, body: Mapping[str, Any], path: str) -> dict[str, float]:
        """`expect`: level -> effect."""
        raw, where = body.get("expect", {}), f"{path}.expect"
        if not isinstance(raw, Mapping):
            if raw is not BAD:
                self.reading.fault("wrong-type", where, f"expected {{LEVEL: EFFECT}}, got {show(raw)}.")
            return {}
        out = {}
        for level, written in raw.items():
            value = number(written)
            if value is None and written is not BAD:
                self.reading.fault("wrong-type", f"{where}.{level}", f"expected a number, got {show(written)}.")
            elif value is not None:
                out[str(level)] = float(value)
        return out

    def _word(self, body: Mapping[str, Any], key: str, path: str, default: Any = None) -> Any:
        raw = body.get(key, default)
        if raw is BAD or raw is default:
            return default
        if isinstance(raw, (int, float)) and not isinstance(raw, bool) and key == "against":
            return str(raw)
        if not isinstance(raw, str):
            self.reading.fault("wrong-type", f"{path}.{key}", f"expected one name, got {show(raw)}.")
            return default
        return raw

    def _words(self, body: Mapping[str, Any], key: str, path: str) -> tuple[str, ...]:
        raw = body.get(key, [])
        items = raw if isinstance(raw, list) else [raw]
        for i, item in enumerate(items):
            if not isinstance(item, str) and item is not BAD:
                here = f"{path}.{key}[{i}]" if isinstance(raw, list) else f"{path}.{key}"
                self.reading.fault("wrong-type", here, f"expected the name of an axis, got {show(item)}.")
        return tuple(item for item in items if isinstance(item, str))

    def _confidence(self, body: Mapping[str, Any], path: str) -> float:
        raw = body.get("confidence", 0.95)
        value = number(raw)
        if raw is BAD or value is None or not 0 < value < 1:
            if raw is not BAD:
                self.reading.fault(
                    "out-of-range", f"{path}.confidence", f"expected a number between 0 and 1, got {show(raw)}."
                )
            return 0.95
        return float(value)

    def _flag(self, body: Mapping[str, Any], key: str, path: str) -> bool:
        raw = body.get(key, False)
        if not isinstance(raw, bool) and raw is not BAD:
            self.reading.fault("wrong-type", f"{path}.{key}", f"expected true or false, got {show(raw)}.")
        return raw is True

    # -- claims -----------------------------------------------------------------------------------------------

    def read_claims(self, raw: Any) -> None:
        """Section `claims`."""
        for name, item, path in self._section(raw, "claims"):
            claim = self._claim(name, item if isinstance(item, Mapping) else {"holds_if": item}, path, item)
            if claim is None:
                self.reading.broken.add(name)
            else:
                self.claims[name] = claim

    def _claim(self, name: str, body: Mapping[str, Any], path: str, item: Any) -> Claim | None:
        known = ("says", "allow_mixed", "holds_if", "refuted_if", "each")
        for key in body:
            if key not in known:
                hint = did_you_mean(key, known) or f" It has: {', '.join(known)}."
                self.reading.fault("unknown-key", f"{path}.{key}", f"a claim has no key '{key}'.{hint}", key=True)
        if "holds_if" not in body:
            self.reading.fault("no-criterion", path, "no criterion. Write holds_if: EXPRESSION.")
            return None
        where = f"{path}.holds_if" if isinstance(item, Mapping) else path
        raw = body["holds_if"]
        if has_bad(raw) or self._torn(raw, where):
            return None
        items = raw if isinstance(raw, list) else [raw]
        if not items:
            self.reading.fault("no-criterion", where, "an empty list of criteria.")
            return None
        holds = [self._expression(e, f"{where}[{i}]" if isinstance(raw, list) else where) for i, e in enumerate(items)]
        refuted = None
        if "refuted_if" in body:
            refuted = self._expression(body["refuted_if"], f"{path}.refuted_if")
            if refuted is None:
                return None
        says = body.get("says")
        if says is not None and not isinstance(says, str) and says is not BAD:
            self.reading.fault("wrong-type", f"{path}.says", f"expected a text, got {show(says)}.")
        if None in holds:
            return None
        return Claim(
            name, tuple(e for e in holds if e is not None), says if isinstance(says, str) else None, refuted,
            self._word(body, "each", path), self._flag(body, "allow_mixed", path), tuple(map(str, items)),
        )  # fmt: skip

    def _torn(self, raw: Any, path: str) -> bool:
        """A function with two arguments, torn apart by the comma of a list."""
        if not isinstance(raw, list):
            return False
        parts = [item for item in raw if isinstance(item, str)]
        for first, second in itertools.pairwise(parts):
            if first.count("(") > first.count(")") and second.count(")") > second.count("("):
                inner = first.rpartition("(")[2].strip(), second.partition(")")
                rest = inner[1][2].strip()
                advice = f"; write {inner[0]} {rest} and {inner[1][0].strip()} {rest}" if rest else ""
                self.reading.fault(
                    "torn", path, f"a list of two texts, '{first}' and '{second}': inside [...] a comma ends a word. "
                    f"Functions take one argument{advice}.",
                )  # fmt: skip
                return True
        return False


def _with_required(verb: str, item: Any, body: Mapping[str, Any]) -> Any:
    """A built-in leaf with the parameters that it cannot do without and that stand beside the verb (`margin: 1%`)."""
    name = item if isinstance(item, str) else next(iter(item)) if isinstance(item, Mapping) and len(item) == 1 else None
    if name not in shelf.names(verb):
        return item
    own = item[name] or {} if isinstance(item, Mapping) else {}
    beside = {key for key, param in shelf.leaf(verb, str(name)).params.items() if param.required and key in body}
    return (
        {name: {**{key: body[key] for key in sorted(beside)}, **own}} if beside and isinstance(own, Mapping) else item
    )
