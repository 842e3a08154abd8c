"""The JSON Schema (2020-12) of studies, made from the shelves: what an editor can know without reading references."""

from __future__ import annotations

from typing import Any

from .. import shelf
from ..train import recipes
from .analyses import COMMON, CORRECTIONS, OWN
from .binding import SPLITS
from .gates.schema import gate_schema
from .kinds import kinds_of
from .leaves import WRITTEN
from .merge import KEYS, LATER
from .values import interval
from .views import KEYS as VIEW_KEYS

Schema = dict[str, Any]
VERBS = ("train", "measure", "perturb", "search")
ANALYSES = ("describe", "compare", "correlate", "predict", "attribute", "estimate")
_NAME = "^[a-z][a-z0-9_-]*$"
_OWN = r"(^\.\.?/.*|\.py$|^[A-Za-z0-9_.-]+:[A-Za-z0-9_-]+$)"  # a file beside the study, or a package's leaf
_DOLLAR: Schema = {"type": "string", "pattern": r"^\$[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$"}
_TEXT: Schema = {"type": "string", "minLength": 1}
_REFERENCE: Schema = {"type": "string", "minLength": 1}


def study_schema() -> Schema:
    """The schema of a whole study; own leaves and what `$` brings in are accepted unseen."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Crucis study",
        "type": "object",
        "required": ["study"],
        "properties": {"grammar": {"const": 1}, **{key: _SECTIONS[key] for key in KEYS if key not in LATER}},
        "unevaluatedProperties": False,
        "$defs": {
            "stage": _entry(VERBS, _stage_keys()),
            "analysis": _entry(ANALYSES, _analysis_keys()),
            "view": _view(),
            "filter": _FILTER,
            "number": _NUMBER,
            **{f"leaf-{name}": _leaf(name) for name in sorted(_used_shelves())},
        },
    }


_NUMBER: Schema = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^[-+]?[0-9][0-9_]*(\.[0-9]+)?%$|^[-+]?[0-9]+/[0-9]+$"},
    ]
}
_CONDITION: Schema = {"type": "object", "propertyNames": {"pattern": r"^[a-z][a-z0-9_-]*(\.[a-z][a-z0-9_-]*)?$"}}
_FILTER: Schema = {"anyOf": [_CONDITION, {"type": "array", "items": _CONDITION}]}
_SEEDS: Schema = {
    "description": "replicates: a count, a list, or {fresh: count}",
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
        {"type": "object", "required": ["fresh"], "properties": {"fresh": {"type": "integer", "minimum": 1}},
         "additionalProperties": False},
    ],
}  # fmt: skip
_PATHS: Schema = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_CLAIM: Schema = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "required": ["holds_if"],
            "properties": {
                "says": {"type": "string"},
                "holds_if": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]},
                "refuted_if": _TEXT,
                "each": _TEXT,
                "allow_mixed": {"type": "boolean"},
            },
            "additionalProperties": False,
        },
    ]
}


def _named(item: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "description": description,
        "propertyNames": {"pattern": _NAME, "not": {"enum": ["seed", "at", "split"]}},
        "additionalProperties": item,
    }


_LEVELS: Schema = {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object", "minProperties": 1}]}
_SECTIONS: dict[str, Schema] = {
    "study": {"type": "string", "pattern": _NAME, "description": "names the report and the registration"},
    "question": {"type": "string", "description": "one sentence, printed first"},
    "from": {"type": "string", "description": "a shipped protocol or a file to start from"},
    "set": {"type": "object", "description": "changes to what 'from' brought: {path: value}"},
    "drop": {**_PATHS, "description": "removals from what 'from' brought"},
    "let": _named({}, "constants that $NAME brings in"),
    "factors": _named(_LEVELS, "what is varied: lists or mappings of levels"),
    "only": {**_FILTER, "description": "cells that exist"},
    "except": {**_FILTER, "description": "cells that do not exist"},
    "seeds": _SEEDS,
    "stages": _named({"$ref": "#/$defs/stage"}, "what is done: name: {verb: leaf, ...}"),
    "derive": _named({"type": ["string", "number"]}, "new columns: expressions"),
    "analysis": _named({"$ref": "#/$defs/analysis"}, "statistics over the table of records"),
    "claims": _named(_CLAIM, "hypotheses with a criterion"),
    "gates": _named(gate_schema(), "checklists over records with a decision"),
    "budget": {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*(s|min|h|days?)$"},
    "presets": _named({"type": "object"}, "named sets of overrides: {path: value}"),
}


#: `recipe: {resnet-cifar: {reference: paper}}`
_REFERRED: Schema = {
    "type": "object", "minProperties": 1, "maxProperties": 1,
    "propertyNames": {"enum": list(recipes.facts.names())},
    "additionalProperties": {"type": "object", "properties": {"reference": {"type": "string"}},
                             "additionalProperties": False},
}  # fmt: skip


# --- stages and analyses -------------------------------------------------------------------------------------


def _stage_keys() -> Schema:
    reference = {"anyOf": [_REFERENCE, {"type": "object", "additionalProperties": _REFERENCE, "minProperties": 1}]}
    return {
        "of": {**reference, "description": "what it works on: a stage, or {input: stage}"},
        "only": {"$ref": "#/$defs/filter"},
        "except": {"$ref": "#/$defs/filter"},
        "pool": {**_PATHS, "description": "fan-in: receives all levels of that axis as a list"},
        "seeds": {"anyOf": [_SEEDS, _DOLLAR]},
        "because": {"type": "string", "description": "reason for deviating from a recipe"},
        "net": {"anyOf": [{"$ref": "#/$defs/leaf-nets"}, _DOLLAR]},
        "data": {"anyOf": [{"$ref": "#/$defs/leaf-data"}, _DOLLAR]},
        "view": {"anyOf": [{"$ref": "#/$defs/view"}, _DOLLAR]},
        "split": {"anyOf": [{"enum": list(SPLITS)}, _DOLLAR]},
        "recipe": {"anyOf": [{"enum": list(recipes.names())}, _REFERRED, _DOLLAR]},
        "trial": {"type": "object", "required": ["train"], "description": "of a search: a training with distributions"},
        "maximise": {**_TEXT, "description": "of a search: the validation column of the trial to make large"},
        "minimise": {**_TEXT, "description": "of a search: the validation column of the trial to make small"},
    }


def _analysis_keys() -> Schema:
    columns = {"anyOf": [_REFERENCE, {"type": "array", "items": _REFERENCE, "minItems": 1}]}
    plain: Schema = {
        "of": columns, "with": columns, "given": columns, "cost": columns,
        "only": {"$ref": "#/$defs/filter"}, "except": {"$ref": "#/$defs/filter"},
        "each": _PATHS, "unit": _TEXT, "family": _TEXT, "between": _TEXT, "along": _TEXT,
        "against": {"type": ["string", "number"]}, "correction": {"enum": list(CORRECTIONS)},
        "confidence": {"type": ["number", "string"]}, "exploratory": {"type": "boolean"},
        "from": {"type": "object", "additionalProperties": columns, "minProperties": 1},
        "leave_out": _TEXT, "base": _TEXT, "over": _TEXT,
        "expect": {"type": "object"}, "margin": {"$ref": "#/$defs/number"},
    }  # fmt: skip
    known = {*COMMON, *(key for keys in OWN.values() for key in keys)}
    return {key: about for key, about in plain.items() if key in known}


def _entry(verbs: tuple[str, ...], keys: Schema) -> Schema:
    """An entry is chosen by its verb, its parameters by the leaf; `like` repeats another and is accepted as written."""
    rules = [rule for verb in verbs for rule in _verb_rules(verb)]
    unseen: list[Schema] = [
        {"if": {"required": [key]}, "then": {"additionalProperties": True}} for key in ("like", "winner_of")
    ]
    others: Schema = {"like": {**_TEXT, "description": "everything that is written there, then this"}}
    if verbs is VERBS:
        others["winner_of"] = {**_TEXT, "description": "the trial of a search with what it chose, then this"}
    return {
        "type": "object",
        "properties": {**keys, **others},
        "oneOf": [*({"required": [verb]} for verb in verbs), *_without_verb(verbs)],
        "allOf": [*rules, *unseen],
        "unevaluatedProperties": False,
    }


def _without_verb(verbs: tuple[str, ...]) -> list[Schema]:
    none: Schema = {"not": {"anyOf": [{"required": [verb]} for verb in verbs]}}
    found: list[Schema] = [{"anyOf": [{"required": ["like"]}, {"required": ["winner_of"]}], **none}]
    return found if verbs is VERBS else [{"required": ["like"], **none}]


def _verb_rules(verb: str) -> list[Schema]:
    names = list(shelf.names(verb))
    value = {"$ref": f"#/$defs/leaf-{verb}"}
    many = {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]} if verb in ANALYSES else value
    rules: list[Schema] = [
        {"properties": {verb: {"anyOf": [many, _DOLLAR]}}},
        {
            "if": {"required": [verb], "properties": {verb: {"not": {"enum": names}}}},
            "then": {"additionalProperties": True},
        },
    ]
    for name in names:
        params = _params(shelf.leaf(verb, name))
        rules.append({
            "if": {"required": [verb], "properties": {verb: {"const": name}}},
            "then": {"properties": params["properties"], "required": params.get("required", [])},
        })  # fmt: skip
    return rules


# --- leaves and their parameters -----------------------------------------------------------------------------


def _used_shelves() -> set[str]:
    """The shelves of verbs, nets and data, and those that their leaves' parameters name."""
    used = {*VERBS, *ANALYSES, "nets", "data"}
    waiting = list(used)
    while waiting:
        home = waiting.pop()
        for name in shelf.names(home):
            for param in shelf.leaf(home, name).params.values():
                if param.shelf and param.shelf not in used:
                    used.add(param.shelf)
                    waiting.append(param.shelf)
    return used


def _leaf(home: str) -> Schema:
    """`name`, `{name: {parameter: value}}`, or a leaf of the user's or of a package."""
    names = shelf.names(home)
    with_params = [
        {"type": "object", "required": [name], "properties": {name: _closed(_params(shelf.leaf(home, name)))},
         "additionalProperties": False}
        for name in names
    ]  # fmt: skip
    foreign = {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"pattern": _OWN}}
    return {
        "description": shelf.SHELVES[home].noun,
        "anyOf": [{"enum": list(names)}, {"type": "string", "pattern": _OWN}, *with_params, foreign],
    }


def _closed(params: Schema) -> Schema:
    return {**params, "additionalProperties": False}


def _params(leaf: shelf.Leaf) -> Schema:
    written = {WRITTEN.get(name, name): param for name, param in leaf.params.items()}
    required = [key for key, param in written.items() if param.required]
    out: Schema = {"type": "object", "properties": {key: _param(param) for key, param in written.items()}}
    return {**out, "required": required} if required else out


def _param(param: shelf.Param) -> Schema:
    kinds = kinds_of(param.type)
    options = [_kind(kind, param) for kind in kinds]
    out: Schema = {"anyOf": [*options, _DOLLAR]} if {} not in options else {}
    if param.doc:
        out["description"] = param.doc + (f" Range {param.limits}." if param.limits else "")
    if not param.required and param.default is not None:
        out["default"] = param.default
    return out


def _kind(kind: Any, param: shelf.Param) -> Schema:
    if isinstance(kind, tuple) and kind[0] == "list":
        items = [_kind(inner, param) for inner in kind[1]]
        return {"type": "array", "items": {"anyOf": [*items, _DOLLAR]}}
    if isinstance(kind, tuple):
        return {"enum": list(kind[1])}
    if kind == "Leaf":
        return {"$ref": f"#/$defs/leaf-{param.shelf}"}
    if kind in ("int", "float"):
        return _bounded({"type": "integer"} if kind == "int" else {"$ref": "#/$defs/number"}, param.limits)
    return _SIMPLE.get(kind, {})


def _bounded(schema: Schema, limits: str | None) -> Schema:
    if not limits:
        return schema
    low, high, open_low, open_high = interval(limits)
    out = dict(schema)
    if low is not None:
        out["exclusiveMinimum" if open_low else "minimum"] = low
    if high is not None:
        out["exclusiveMaximum" if open_high else "maximum"] = high
    return out


_LENGTH: Schema = {"type": "string", "pattern": r"^([0-9][0-9_]*(\.[0-9]+)?\s*epochs?|[0-9][0-9_]*\s*steps?|plateau)$"}
_SIMPLE: dict[str, Schema] = {
    "none": {"const": "none"},
    "bool": {"type": "boolean"},
    "str": {"type": "string"},
    "Length": _LENGTH,
    "LengthOrShare": {"anyOf": [_LENGTH, {"$ref": "#/$defs/number"}]},
    "View": {"$ref": "#/$defs/view"},
    "Watch": {"type": "object", "propertyNames": {"minLength": 5}, "minProperties": 1},
}


def _view() -> Schema:
    count = {"anyOf": [{"type": "integer", "minimum": 1}, _DOLLAR]}
    one = {"random_half": {"type": "integer"}, "other_half": {"type": "integer"}}
    half = {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": one, "additionalProperties": False}
    strength = {"noise": {"$ref": "#/$defs/number"}}
    noise = {"type": "object", "required": ["noise"], "properties": strength, "additionalProperties": False}
    about: dict[str, Schema] = {
        "classes": {
            "anyOf": [{"enum": ["first-half", "second-half"]}, {"type": "array", "minItems": 1}, half, _DOLLAR]
        },
        "per_class": count, "n": count, "share": {"anyOf": [{"$ref": "#/$defs/number"}, _DOLLAR]},
        "labels": {"anyOf": [{"enum": [True, "true", "random", "coarse"]}, noise, _DOLLAR]},
        "permute": {"anyOf": [{"type": "integer", "minimum": 0}, _DOLLAR]},
        "rotate": {"anyOf": [{"$ref": "#/$defs/number"}, _DOLLAR]},
    }  # fmt: skip
    return {"type": "object", "properties": {key: about[key] for key in VIEW_KEYS}, "additionalProperties": False}
