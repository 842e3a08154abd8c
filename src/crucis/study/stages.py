"""Stages as written: verb, leaf, subject, reserved words, `$`. What the parameters mean is checked level by level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from . import searching
from .axes import dollars
from .constants import TEXTS
from .entries import like, one_verb
from .filters import read_filter, read_seeds
from .levels import check_name
from .references import parse_dollar, parse_ref
from .scalars import show
from .spec import VERBS, Distribution, Dollar, Factor, LeafRef, Ref, Stage
from .tree import BAD, Reading, has_bad

RESERVED = ("of", "like", "winner_of", "only", "except", "pool", "seeds", "because")
LATER = ("export",)


@dataclass
class Stages:
    """Reads the section `stages`; entries that cannot be read are named in `reading.broken`."""

    reserved = RESERVED
    reading: Reading
    folder: Path
    factors: Mapping[str, Factor]
    names: tuple[str, ...] = ()  # all that is written, broken or not
    stages: dict[str, Stage] = field(default_factory=dict)
    written: dict[str, Any] = field(default_factory=dict)  # bodies with `like` worked in, for the resolved text

    def read(self, raw: Any) -> None:
        """Read all stages, then what connects them."""
        if raw is None or raw is BAD:
            return
        if not isinstance(raw, Mapping):
            self.reading.fault("wrong-type", "stages", "expected {name: stage}.")
            return
        self.names = tuple(raw)
        bodies: dict[str, dict[str, Any]] = {}
        for name, item in raw.items():
            body = None
            if check_name(name, f"stages.{name}", self.reading) and item is not BAD:
                body = like(item, raw, "stages", f"stages.{name}", VERBS, self.reading)
            if body is None:
                self.reading.broken.add(name)
            else:
                bodies[name] = body
        for late in (False, True):  # what takes a winner over needs the search, wherever it is written
            for name, body in bodies.items():
                if ("winner_of" in body) is late:
                    self._enter(name, body)
        self.stages = {name: searching.outputs(self, self.stages[name]) for name in self.names if name in self.stages}

    def _enter(self, name: str, body: dict[str, Any]) -> None:
        stage = self._stage(name, body, f"stages.{name}")
        if stage is None:
            self.reading.broken.add(name)
        else:
            self.stages[name] = stage
            self.written[name] = body

    def _stage(self, name: str, body: dict[str, Any], path: str) -> Stage | None:
        if "winner_of" in body:
            return searching.winner(self, name, body, path)
        verb = one_verb(body, path, VERBS, self.reading, "A stage")
        if verb is None:
            return None
        if verb in LATER:
            self.reading.fault("later", f"{path}.{verb}", f"'{verb}' comes with a later version of Crucis.", key=True)
            return None
        if verb == "search":
            return searching.search(self, name, body, path)
        leaf = self.leaf(verb, body[verb], f"{path}.{verb}")
        of = self.subject(body.get("of"), f"{path}.of")
        if leaf is None or of is None:
            return None
        params = {
            key: self.brought(value, f"{path}.{key}")
            for key, value in body.items()
            if key not in RESERVED and key != verb
        }
        if isinstance(leaf, LeafRef):
            twice = set(leaf.params) & set(params)
            for key in sorted(twice):
                self.reading.fault(
                    "twice", f"{path}.{key}", f"written twice, also inside '{leaf.name}'. Remove one.", key=True
                )
        self._because(body.get("because"), f"{path}.because")
        mentioned = {dollar.name for dollar in dollars((leaf, params, list(of.values())))}
        seeds = read_seeds(body["seeds"], f"{path}.seeds", self.reading) if "seeds" in body else None
        return Stage(
            name, verb, leaf, of, params, tuple(factor for factor in self.factors if factor in mentioned),
            read_filter(body.get("only"), f"{path}.only", self.factors, self.reading),
            read_filter(body.get("except"), f"{path}.except", self.factors, self.reading),
            self.pool(body.get("pool"), f"{path}.pool"), seeds,
            body["because"] if isinstance(body.get("because"), str) else None,
        )  # fmt: skip

    def _because(self, raw: Any, path: str) -> None:
        if raw is not None and not isinstance(raw, str) and raw is not BAD:
            self.reading.fault("wrong-type", path, f"expected a text, got {show(raw)}.")

    # -- the leaf ---------------------------------------------------------------------------------------------

    def leaf(self, verb: str, raw: Any, path: str) -> LeafRef | Dollar | None:
        """The leaf of a verb as written; None after a fault."""
        if raw is BAD or has_bad(raw):
            return None
        if isinstance(raw, str) and raw.startswith("$"):
            found = self.brought(raw, path)
            return found if isinstance(found, Dollar) else None
        name: Any = raw
        params: Mapping[str, Any] = {}
        if isinstance(raw, Mapping):
            noun = shelf.SHELVES[verb].noun
            if len(raw) != 1 or not isinstance(next(iter(raw.values())), Mapping):
                self.reading.fault(
                    "not-a-leaf",
                    path,
                    f"{show(raw)}: a {noun} with parameters is written {{name: {{parameter: value}}}}.",
                )
                return None
            name, params = next(iter(raw.items()))
        if not isinstance(name, str):
            what = "a list, where one is expected" if isinstance(name, list) else show(name)
            self.reading.fault("wrong-type", path, f"expected the name of a {shelf.SHELVES[verb].noun}, got {what}.")
            return None
        return LeafRef(verb, name, {key: self.brought(value, f"{path}.{name}.{key}") for key, value in params.items()})

    # -- what it works on -------------------------------------------------------------------------------------

    def subject(self, raw: Any, path: str) -> dict[str, Ref] | None:
        """Role -> reference; None if a reference cannot be read."""
        if raw is None:
            return {}
        if raw is BAD:
            return None
        if isinstance(raw, list):
            self.reading.fault(
                "list-for-one", path, "a list, where one subject is expected. Name the inputs ({start: a, end: b}), "
                "or collect the levels of an axis with 'pool'.",
            )  # fmt: skip
            return None
        items = raw.items() if isinstance(raw, Mapping) else [("of", raw)]
        out = {}
        for role, text in items:
            ref = self._ref(text, f"{path}.{role}" if isinstance(raw, Mapping) else path)
            if ref is not None:
                out[role] = ref
        if not out and raw == {}:
            self.reading.fault("no-subject", path, "names no input.")
        return out if len(out) == len(items) and out else None

    def _ref(self, text: Any, path: str) -> Ref | None:
        if text is BAD:
            return None
        try:
            ref = parse_ref(text)
        except ValueError as error:
            self.reading.fault("bad-reference", path, str(error))
            return None
        for _, value in ref.at:
            if isinstance(value, Dollar) and not self.known(value, path):
                return None
        if ref.use:
            self.reading.fault(
                "later", path, f"'{ref.use}/': other studies ('uses') come with a later version of Crucis."
            )
            return None
        if ref.name not in self.names:
            if ref.name not in self.reading.broken:
                self._no_stage(ref.name, path)
            return None
        if ref.column is not None:
            self.reading.fault(
                "bad-reference", path, f"{ref} is a column; a stage works on a stage. Write of: {ref.name}."
            )
            return None
        return ref

    def _no_stage(self, name: str, path: str) -> None:
        if name in self.factors:
            text = f"'{name}' is a factor; 'of' names a stage."
        else:
            text = f"no stage '{name}'.{did_you_mean(name, self.names) or ' Stages: ' + ', '.join(self.names) + '.'}"
        self.reading.fault("unknown-name", path, text)

    def pool(self, raw: Any, path: str) -> tuple[str, ...]:
        """The axes that a stage pools."""
        if raw is None or raw is BAD or raw == "none":
            return ()
        items = raw if isinstance(raw, list) else [raw]
        known = ("seed", *self.factors)
        for i, item in enumerate(items):
            if item not in known and item is not BAD and not self.reading.is_broken(item):
                here = f"{path}[{i}]" if isinstance(raw, list) else path
                hint = did_you_mean(str(item), known)
                self.reading.fault("unknown-name", here, f"no axis {show(item)}.{hint} Axes: {', '.join(known)}.")
        return tuple(item for item in items if item in known)

    # -- $ ----------------------------------------------------------------------------------------------------

    def brought(self, value: Any, path: str) -> Any:
        """A value with `Dollar` where `$` stands; unknown names are faults."""
        if isinstance(value, Mapping):
            return {k: v if k in TEXTS else self.brought(v, f"{path}.{k}") for k, v in value.items()}
        if isinstance(value, list):
            return [self.brought(item, f"{path}[{i}]") for i, item in enumerate(value)]
        if isinstance(value, Distribution):
            inner = [self.brought(item, f"{path}.choice[{i}]") for i, item in enumerate(value.choices)]
            return replace(value, choices=tuple(inner))
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        try:
            dollar = parse_dollar(value)
        except ValueError as error:
            self.reading.fault("bad-dollar", path, str(error))
            return BAD
        return dollar if self.known(dollar, path) else BAD

    def known(self, dollar: Dollar, path: str) -> bool:
        """Whether a `$` names a factor, or a stage whose outputs are looked at later; a fault otherwise."""
        name = dollar.name
        if name in self.factors:
            return self._known_field(dollar, path)
        if name in self.reading.broken:
            return False
        if name in self.names:
            return True
        near = did_you_mean(name, self.factors)
        if near:
            other = near.split("'")[1]
            near = f" Did you mean ${other} (factor, {len(self.factors[other].levels)} levels)?"
        listed = f" Factors: {', '.join(self.factors)}." if self.factors else ""
        self.reading.fault("unknown-name", path, f"nothing is called '{name}'.{near or listed}")
        return False

    def _known_field(self, dollar: Dollar, path: str) -> bool:
        factor = self.factors[dollar.name]
        if dollar.field is None:
            return True
        fields = sorted({one for level in factor.levels for one in (level.fields or {})})
        if dollar.field in fields:
            return True
        hint = did_you_mean(dollar.field, fields) or (
            f" Fields: {', '.join(fields)}." if fields else " Its levels have none."
        )
        self.reading.fault("no-field", path, f"no level of '{factor.name}' has a field '{dollar.field}'.{hint}")
        return False
