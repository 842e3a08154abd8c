"""The parameters of a planned step as they are used: recipe and defaults filled in, lengths in optimiser steps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from .. import shelf
from ..data.view import view_size
from ..trackers.sink import Plain
from ..train import settings
from .nodes import Node
from .plan import Plan


def parameters(plan: Plan, node: Node) -> dict[str, Plain]:
    """Dotted name -> plain value, for a training or measuring step.

    A parameter whose value is a leaf stands under its own name with the leaf's name, and the leaf's parameters beneath
    it (`optimiser: adamw`, `optimiser.beta2: 0.999`). Lists of plain values are JSON text. A user's file is
    `file:DIGEST`. Of a training, what follows from its parameters and data is there too: `total_steps`, `batch` no
    larger than the data, `evaluate_every` in steps.
    """
    spec, leaf = node.spec, node.bound.leaf
    training = spec["kind"].startswith("train/")
    own = {**(settings.defaults() if training else {}), **_defaults(leaf)}
    out: dict[str, Plain] = {"kind": spec["kind"], "revision": spec["revision"]}
    for name, value in {**own, **spec["params"]}.items():
        param = leaf.params.get(name)
        _put(out, name, value, param.shelf if param else None)
    if training and node.facts is not None:
        out |= _settled(spec, own, node)
    if "net" in spec:
        _put(out, "net", spec["net"], "nets")
    if "data" in spec:
        source = plan.sources[spec["data"]["digest"]]
        _put(out, "data", {"leaf": source["name"], "params": source["params"]}, "data")
        out["data.digest"] = spec["data"]["digest"]
        _put(out, "data.view", spec["data"].get("view", {}), None)
    for name in ("split", "seed", "depth", "determinism"):
        if name in spec:
            out[name] = spec[name]
    for role, keys in spec["inputs"].items():
        out[f"inputs.{role}"] = keys if isinstance(keys, str) else json.dumps(keys)
    return out


def _defaults(leaf: shelf.Leaf) -> dict[str, Any]:
    return {name: param.default for name, param in leaf.params.items() if not param.required}


def _settled(spec: Mapping[str, Any], own: Mapping[str, Any], node: Node) -> dict[str, Plain]:
    """What `train/settings` makes of the parameters; users' files among them do not change these numbers."""
    facts = node.facts
    assert facts is not None
    params = {name: value for name, value in {**own, **spec["params"]}.items() if "source" not in json.dumps(value)}
    known = {name: value for name, value in params.items() if value is not ...}
    found = settings.resolve(known, view_size(facts.info, facts.data.get("view", {})))
    plain = {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}
    return {name: value for name, value in plain.items() if value is None or isinstance(value, (bool, int, float, str))}


def _put(out: dict[str, Plain], name: str, value: Any, shelf_name: str | None) -> None:
    if value is None or isinstance(value, (bool, int, float, str)):
        out[name] = value
    elif isinstance(value, Mapping) and "source" in value and "params" in value:
        out[name] = f"file:{value['source'][:12]}"
        _put(out, name, value["params"], None)
    elif isinstance(value, Mapping) and "leaf" in value and "params" in value:
        out[name] = value["leaf"]
        known = _of_leaf(value["leaf"], shelf_name)
        for inner, param in known.items():
            if inner in value["params"] or not param.required:
                _put(out, f"{name}.{inner}", value["params"].get(inner, param.default), param.shelf)
        _put(out, name, {k: v for k, v in value["params"].items() if k not in known}, None)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _put(out, f"{name}.{key}", item, None)
    elif isinstance(value, (list, tuple)):
        if all(isinstance(item, (bool, int, float, str)) for item in value):
            out[name] = json.dumps(list(value))
        else:
            for place, item in enumerate(value):
                _put(out, f"{name}.{place}", item, shelf_name)
    else:
        out[name] = str(value)


def _of_leaf(name: str, shelf_name: str | None) -> Mapping[str, shelf.Param]:
    """The parameters of a leaf on a shelf; of a file of the user's or without a shelf only what is written is known."""
    if shelf_name is None or name not in shelf.names(shelf_name):
        return {}
    return shelf.leaf(shelf_name, name).params
