"""What stages and analyses have in common: one verb, `like`, and the way a converter's issues become faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import shelf
from ..errors import did_you_mean
from .leaves import unknown_parameter
from .scalars import show
from .tree import BAD, Reading
from .values import Converter


def one_verb(body: Mapping[str, Any], path: str, verbs: tuple[str, ...], reading: Reading, what: str) -> str | None:
    """The one verb of an entry, or None after a fault."""
    found = [key for key in body if key in verbs]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        thing = "stages" if what == "A stage" else "analyses"
        reading.fault(
            "two-verbs",
            path,
            f"two verbs, {found[0]} and {found[1]}. Make two {thing}; the second says 'of: {path.split('.')[-1]}'.",
        )
        return None
    if any(":" in key and key.partition(":")[0] in verbs and value is BAD for key, value in body.items()):
        return None  # 'train:supervised' was told where it stands
    hints = [(key, hint) for key in body if (hint := did_you_mean(key, verbs))]
    tail = f"{hints[0][1][:-1]} for '{hints[0][0]}'?" if hints else ""
    listed = ", ".join(verbs) if what != "A stage" else "train, measure, perturb, search, export (or like, winner_of)"
    reading.fault("no-verb", path, f"no verb. {what} has exactly one of {listed}.{tail}")
    return None


def like(
    item: Any, section: Any, home: str, path: str, verbs: tuple[str, ...], reading: Reading
) -> dict[str, Any] | None:
    """An entry with what `like` repeats worked in, or None after a fault."""
    noun = "stage" if home == "stages" else "analysis"
    if not isinstance(item, Mapping):
        reading.fault("wrong-type", path, f"expected {{verb: leaf, ...}}, got {show(item)}.")
        return None
    if "like" not in item:
        return dict(item)
    name = item["like"]
    if name is BAD:
        return None
    if not isinstance(name, str) or name not in section:
        if not reading.is_broken(name):
            hint = did_you_mean(str(name), section)
            reading.fault("unknown-name", f"{path}.like", f"no {noun} {show(name)}.{hint}")
        return None
    other = section[name]
    if not isinstance(other, Mapping):
        return None
    if "like" in other:
        reading.fault("chain", f"{path}.like", f"'{name}' is itself 'like' another. Name that one: chains are refused.")
        return None
    own = {key: value for key, value in item.items() if key != "like"}
    theirs, mine = ([key for key in body if key in verbs] for body in (other, own))
    if mine and theirs and mine[0] != theirs[0]:
        reading.fault(
            "other-verb", f"{path}.{mine[0]}",
            f"'{name}' is a {theirs[0]} and this is a {mine[0]}; 'like' repeats one verb.", key=True,
        )  # fmt: skip
        return None
    head = f"{home}.{name}"
    for table in (reading.places, reading.keys):  # what is repeated stands where it is written
        for known in [entry for entry in table if entry.startswith(f"{head}.")]:
            table.setdefault(path + known[len(head) :], table[known])
    return {**other, **own}


def unknown_key(leaf: shelf.Leaf, key: str, raw: Any, others: tuple[str, ...]) -> str:
    """The sentence for a key that neither the leaf nor the grammar has."""
    hint = did_you_mean(key, others)
    if hint and not did_you_mean(key, leaf.params):
        return f"'{leaf.name}' has no parameter '{key}'.{hint}"
    return unknown_parameter(leaf, key, raw)


def report(converter: Converter, path: str, reading: Reading) -> None:
    """Turn a converter's issues into faults below `path`."""
    for issue in converter.issues:
        reading.fault(issue.code, f"{path}{issue.sub}", issue.text, key=issue.key, replacement=issue.replacement)
    converter.issues.clear()
