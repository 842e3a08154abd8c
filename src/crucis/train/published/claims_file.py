"""A file of claims: a YAML list of `{recipe, key, claimed, unit, reference, batch}`, read with every fault located."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ...errors import Fault, StudyError, did_you_mean
from . import references
from .facts import Fact, Recipe, names, recipes
from .judging import Claim, candidates
from .quantities import PER, TIME, UNITS, unit_of

FIELDS = ("recipe", "key", "claimed", "unit", "reference", "batch")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d[\d_]*)?(?:\.\d*)?(?:[eE][-+]?\d+)?")


class ClaimsError(StudyError):
    """All faults of a claims file together."""

    def report(self) -> str:
        """The text for the terminal."""
        count = len(self.faults)
        return f"{self}\n{count} fault{'' if count == 1 else 's'}; no claim was judged."


def read(path: str | Path) -> list[Claim]:
    """The claims of a file, each with its line.

    A mapping with the one key `claims` may stand around the list.

    Raises:
        ClaimsError: no list of claims, a claim with a fault: every one, with its line and column.
    """
    file = Path(path)
    try:
        root = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError:
        raise ClaimsError([Fault("not-text", "the file is not UTF-8 text", file=str(path))]) from None
    except RecursionError:
        raise ClaimsError([Fault("not-yaml", "the YAML is nested too deeply", file=str(path))]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        text = f"no valid YAML: {getattr(error, 'problem', error)}"
        raise ClaimsError([Fault("not-yaml", text, file=str(path), line=line, column=column)]) from None
    return _Reader(str(path)).claims(root)


class _Reader:
    def __init__(self, file: str) -> None:
        self.file, self.faults = file, list[Fault]()
        self.make = yaml.SafeLoader("")

    def fault(self, node: yaml.Node | None, text: str, path: str = "", code: str = "claim") -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (0, 0)
        self.faults.append(Fault(code, text, path, self.file, line, column))

    def claims(self, root: yaml.Node | None) -> list[Claim]:
        """Every claim, or all faults."""
        if isinstance(root, yaml.MappingNode) and [key.value for key, _ in root.value] == ["claims"]:
            root = root.value[0][1]
        found = []
        if not isinstance(root, yaml.SequenceNode) or not root.value:
            self.fault(root, "expected a list of claims, such as - {recipe: resnet-imagenet, key: schedule.total, "
                             "claimed: 120, unit: epochs}")  # fmt: skip
        else:
            found = [self.claim(node, f"claims.{number}") for number, node in enumerate(root.value, 1)]
        if self.faults:
            raise ClaimsError(self.faults)
        return [claim for claim in found if claim is not None]

    def claim(self, node: yaml.Node, path: str) -> Claim | None:
        """One claim; None after a fault."""
        before = len(self.faults)
        nodes = self._fields(node, path)
        if nodes is None:
            return None
        values = {name: self._value(one) for name, one in nodes.items()}
        recipe = self._recipe(nodes, values, path)
        claimed, unit = _split(values.get("claimed"), values.get("unit"))
        self._check_claimed(nodes, claimed, path)
        key = self._key(nodes, values, path)
        if recipe is not None and key is not None:
            self._check_reference(nodes, values, recipe, path)
            unit = self._unit(node, nodes, unit, candidates(recipe, key), path)
        self._check_batch(nodes, values, path)
        if len(self.faults) > before or recipe is None or key is None:
            return None
        return Claim(recipe.id, key, "none" if claimed is None else claimed, unit, values.get("reference"),
                     values.get("batch"), node.start_mark.line + 1)  # fmt: skip

    def _value(self, node: yaml.Node) -> Any:
        if not _flat(node):
            return ()  # no value that any field has; not made, since aliases of aliases have no end
        try:
            return _number(self.make.construct_object(node, deep=True))
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError, OverflowError):
            return str(getattr(node, "value", ""))  # a tag that does not fit its text: the text is what was written

    def _fields(self, node: yaml.Node, path: str) -> dict[str, yaml.Node] | None:
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, "expected {recipe: ..., key: ..., claimed: ..., unit: ...}", path)
            return None
        found: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else "(a list or a mapping)"
            if name not in FIELDS:
                self.fault(key, f"no field '{name}' of a claim.{did_you_mean(name, FIELDS)} "
                                f"There are {', '.join(FIELDS)}", path)  # fmt: skip
            elif name in found:
                self.fault(key, f"'{name}' stands twice in one claim", path)
            found[name] = value
        for name in ("recipe", "key", "claimed"):
            if name not in found:
                self.fault(node, f"'{name}' is missing", path)
        return found

    def _recipe(self, nodes: dict[str, yaml.Node], values: dict[str, Any], path: str) -> Recipe | None:
        if "recipe" not in nodes:
            return None
        name = str(values["recipe"])
        if name not in names():
            near = did_you_mean(name, names())
            self.fault(nodes["recipe"], f"no published recipe '{name}'.{near}", f"{path}.recipe")
            return None
        return recipes()[name]

    def _key(self, nodes: dict[str, yaml.Node], values: dict[str, Any], path: str) -> str | None:
        if "key" not in nodes:
            return None
        if not isinstance(values["key"], str) or not values["key"]:
            self.fault(nodes["key"], f"expected a key such as lr.base, got {values['key']!r}", f"{path}.key")
            return None
        return str(values["key"])

    def _check_claimed(self, nodes: dict[str, yaml.Node], claimed: Any, path: str) -> None:
        if "claimed" not in nodes:
            return
        if claimed == ():
            self.fault(nodes["claimed"], "expected a finite number, a text, true or false, or a list of them, "
                                         "got a mapping or a list of lists", f"{path}.claimed")  # fmt: skip
            return
        items = claimed if isinstance(claimed, list) else [claimed]
        plain = all(item is None or isinstance(item, (str, int, float, bool)) for item in items)
        finite = all(isinstance(item, bool) or not isinstance(item, (int, float)) or _finite(item) for item in items)
        if not plain or not finite or claimed == [] or claimed == "":
            self.fault(nodes["claimed"], f"expected a finite number, a text, true or false, or a list of them, "
                                         f"got {claimed!r}", f"{path}.claimed")  # fmt: skip

    def _check_reference(self, nodes: dict[str, yaml.Node], values: dict[str, Any], recipe: Recipe, path: str) -> None:
        if "reference" not in nodes:
            return
        known = (*references.RANK, *(one for one in references.known(recipe) if one not in references.RANK))
        if values["reference"] not in known:
            near = did_you_mean(str(values["reference"]), known)
            self.fault(nodes["reference"], f"no reference '{values['reference']}'.{near} "
                                           f"There are {', '.join(known)}", f"{path}.reference")  # fmt: skip

    def _check_batch(self, nodes: dict[str, yaml.Node], values: dict[str, Any], path: str) -> None:
        value = values.get("batch", 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.fault(nodes["batch"], f"expected a whole number of images, got {value!r}", f"{path}.batch")
        elif "batch" in nodes and values.get("key") not in ("lr.base", "lr.peak"):
            self.fault(nodes["batch"], "'batch' goes with lr.base and lr.peak only", f"{path}.batch")

    def _unit(
        self, node: yaml.Node, nodes: dict[str, yaml.Node], written: Any, facts: list[Fact], path: str
    ) -> str | None:
        place = nodes.get("unit", node)
        unit = unit_of(written if written is None or isinstance(written, str) else str(written))
        have = {unit_of(fact.unit) for fact in facts}
        if unit is None:
            if have & set(TIME):
                self.fault(place, "'unit' is missing; write unit: iterations or unit: epochs", path)
            return next(iter(have)) if len(have) == 1 else None
        if unit not in UNITS.values():
            self.fault(place, f"no unit '{written}'.{did_you_mean(str(written), UNITS)} There are "
                              f"{', '.join(sorted(set(UNITS.values())))}", f"{path}.unit")  # fmt: skip
            return unit
        wanted = have | ({*TIME, "images"} if have & set(TIME) else set())
        wanted |= set(PER) if any(fact.key == "schedule.gamma" for fact in facts) else set()
        wanted |= {"epochs"} if "epochs per dataset" in have else set()
        wanted |= {None, "%", "fraction"} if have & {None, "%"} and unit in ("%", "fraction") else set()
        if facts and unit not in wanted:
            names_ = ", ".join(sorted(one or "no unit" for one in wanted))
            self.fault(place, f"{facts[0].key} has {names_}; got {unit}", f"{path}.unit")
        return unit


def _flat(node: yaml.Node) -> bool:
    """Whether a value is a scalar or a list of scalars."""
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return all(isinstance(item, yaml.ScalarNode) for item in items)


def _finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _number(value: Any) -> Any:
    """Texts that are numbers become numbers: YAML reads `1e-4` and `600,000` as text."""
    if isinstance(value, list):
        return [_number(item) for item in value]
    if not isinstance(value, str) or not any(c.isdigit() for c in value) or not _NUMBER.fullmatch(value.strip()):
        return value
    plain = value.strip().replace(",", "").replace("_", "")
    number = float(plain)
    return int(number) if re.fullmatch(r"[-+]?\d+", plain) else number


def _split(claimed: Any, unit: Any) -> tuple[Any, Any]:
    """`claimed: 90 epochs` without a unit beside it is 90 and epochs."""
    if unit is None and isinstance(claimed, str):
        match = re.fullmatch(r"([-+\d.,_eE]*\d[\d.,_eE+-]*)\s*(.+)", claimed.strip())
        if match and unit_of(match[2]) in UNITS.values() and _NUMBER.fullmatch(match[1]):
            return _number(match[1]), match[2]
    return claimed, unit


def lines(judged: list[Any]) -> Iterator[str]:
    """The audit as text: one block per claim, then the count of each outcome."""
    for one in judged:
        claim = one.claim
        who = f" [{claim.reference}]" if claim.reference else ""
        yield f"{one.outcome.upper():<13} {claim.recipe} {claim.key}{who}: {one.text}"
        for name in ("arithmetic", "elsewhere", "source"):
            for text in getattr(one, name):
                yield f"{'':13}   {name if name != 'elsewhere' else 'but'}: {text}"
    counts = Counter(one.outcome for one in judged)
    listed = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
    yield f"{len(judged)} claim{'' if len(judged) == 1 else 's'}: {listed}."
    yield (
        "Given values are held to exactly; converted and derived ones must round to the digits that the claim has, "
        "and come within 5 % (whole numbers from 1,000 on may be rounded at their zeros, by at most 0.5 %)."
    )
