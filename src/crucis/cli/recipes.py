"""`crucis recipes`: published recipes as facts, and statements and trainings held against them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..errors import CrucisError
from ..train import recipes as house
from ..train.published import facts, references
from ..train.published.derivations import derivations
from ..train.published.translate import Translation


def recipes(a: argparse.Namespace) -> int:
    """`list`, `show NAME` or `audit`."""
    return {"list": _list, "show": _show, "audit": _audit}[a.action](a)


def _list(a: argparse.Namespace) -> int:
    rows: list[dict[str, Any]] = [
        {"recipe": one.id, "family": one.family, "models": list(one.models), "dataset": one.dataset, "task": one.task,
         "facts": len(one.facts), "kind": "published"}
        for one in facts.recipes().values()
    ]  # fmt: skip
    rows += [{"recipe": name, "kind": "house", "says": house.about(name)["says"]} for name in house.house_names()]
    if a.format == "json":
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return 0
    width = max(len(str(row["recipe"])) for row in rows)
    family = None
    for row in rows:
        if row.get("family", "house") != family:
            family = row.get("family", "house")
            print(f"{family}:" + (" (no paper's)" if family == "house" else ""))
        about = (
            row.get("says") or f"{', '.join(row['models'])} on {row['dataset']}, {row['task']}; {row['facts']} facts"
        )
        print(f"  {row['recipe']:<{width}}  {about}")
    return 0


def _show(a: argparse.Namespace) -> int:
    if not a.target:
        raise CrucisError("crucis recipes show needs a NAME; crucis recipes list has them")
    if a.target in house.house_names():
        body = {"recipe": a.target, **house.about(a.target)}
        print(json.dumps(body, indent=2, ensure_ascii=False) if a.format == "json" else "\n".join(_house(body)))
        return 0
    made = house.translated(a.target)
    assert made is not None  # house recipes are told above
    recipe = made.recipe
    if a.format == "json":
        print(json.dumps({**_body(recipe), **_training(made)}, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*_page(recipe), *_trains(made)]))
    return 0


def _training(made: Translation) -> dict[str, Any]:
    """What the trainer makes of a recipe."""
    written = {house.as_written(name): why for name, why in made.open.items()}
    return {
        "protocol": None if made.missing else made.protocol, "reference": made.reference,
        "parameters": {house.as_written(name): value for name, value in made.params.items()},
        "origin": {house.as_written(name): text for name, text in made.origin.items()},
        "to_write": written, "chosen_here": made.assumed, "missing": made.missing,
        "not_decided_here": {fact.key: why for fact, why in made.outside},
    }  # fmt: skip


def _trains(made: Translation) -> Iterator[str]:
    """The same for people: the parameters of a study, what it must write, and what was chosen without a source."""
    body, name = _training(made), made.recipe.id + (f"@{made.reference}" if made.reference else "")
    if made.missing:
        yield f"\n{name} cannot be trained as published:"
        yield from (f"  {part}" for part in made.missing)
        yield "What there is of it is audited all the same (crucis recipes audit STUDY --recipe NAME)."
        return
    yield f"\nwhat `train: {made.protocol}` with `recipe: {name}` does:"
    partly = body["parameters"].keys() & body["to_write"].keys()
    for parameter, value in body["parameters"].items():
        if parameter not in partly:
            yield f"  {parameter}: {_flow(value)}"
    for title, group in (("a study must write:", body["to_write"]), ("chosen without a source:", made.assumed)):
        if group:
            yield title
            yield from (f"  {key}: {why}" for key, why in group.items())
    yield "All else is the protocol's default or the network's and the data's own; crucis explain says which."


def _flow(value: Any) -> str:
    """A parameter as a study writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is None or isinstance(value, bool):
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _house(body: dict[str, Any]) -> Iterator[str]:
    yield f"{body['recipe']}: a house recipe, no paper's. {body['says']}"
    yield f"learning rate with batch size: {body['scaling']}"
    for name, value in body["parameters"].items():
        yield f"  {name}: {value}"
    for name, text in body["sources"].items():
        yield f"  source of {name}: {text}"


def _body(recipe: facts.Recipe) -> dict[str, Any]:
    rows = [
        {"key": one.key, "value": one.value, "unit": one.unit, "reference": one.role, "source": one.source,
         "sentence": facts.sentence(one), "verified": one.verified, "formula": one.formula,
         "rests_on": sorted({fact.reference for fact in references.roles_of(recipe, one)})}
        for one in recipe.facts
    ]  # fmt: skip
    return {
        "recipe": recipe.id, "kind": "published", "family": recipe.family, "models": list(recipe.models),
        "dataset": recipe.dataset, "train_images": recipe.images, "task": recipe.task, "facts": rows,
        "derivations": [{"key": key, "reference": who, "arithmetic": text} for key, who, text in derivations(recipe)],
        "unknown": [{"key": key, "text": "the paper does not report it"} for key in recipe.not_reported],
    }  # fmt: skip


def _page(recipe: facts.Recipe) -> Iterator[str]:
    images = f" ({int(recipe.images):,} training images)" if recipe.images else ""
    yield f"{recipe.id}: {', '.join(recipe.models)} on {recipe.dataset}{images}, {recipe.task}\n"
    section = None
    for key in recipe.keys:
        if key.partition(".")[0] != section:
            section = key.partition(".")[0]
            yield f"{section}:"
        found = recipe.of(key)
        given = {repr((one.value, one.unit)) for one in found if one.role != "derived"}
        units = {one.unit for one in found if one.role != "derived"}
        yield f"  {key}" + ("   (the references disagree)" if len(given) > len(units) else "")
        for one in found:
            mark = "" if one.verified else "; not verified"
            yield f"    {one.says():<28} {one.reference}{mark}: {facts.sentence(one)}"
    worked = list(derivations(recipe))
    if worked:
        yield "by arithmetic:"
        yield from (f"  {key} ({reference}): {text}" for key, reference, text in worked)
    if recipe.not_reported:
        yield "unknown (the paper does not report these; no value may be called the paper's):"
        yield from (f"  {key}" for key in recipe.not_reported)


def _audit(a: argparse.Namespace) -> int:
    if bool(a.claims) == bool(a.target):
        raise CrucisError("crucis recipes audit needs --claims FILE.yaml, or a study or a record's key")
    return _claims(a) if a.claims else _trainings(a)


def _claims(a: argparse.Namespace) -> int:
    from ..train.published.claims_file import lines, read
    from ..train.published.judging import judge

    judged = [judge(claim) for claim in read(a.claims)]
    if a.format == "json":
        print(json.dumps([one.as_dict() for one in judged], indent=2, ensure_ascii=False))
    else:
        print("\n".join(lines(judged)))
    return 1 if any(one.outcome == "wrong" for one in judged) else 0


def _trainings(a: argparse.Namespace) -> int:
    from ..study.auditing import audit_record, audit_study, text

    if len(a.target) >= 4 and set(a.target) <= set("0123456789abcdef"):
        from ..api import find_record, find_root
        from ..engine.store import Store

        store = Store(find_root(a.store))
        found = audit_record(store, find_record(store, a.target), a.recipe)
    else:
        from .studies import opened

        a.study = a.target
        found = audit_study(opened(a), a.recipe)
    if a.format == "json":
        rows = [{"where": one.where, "recipe": one.recipe, "ran": one.ran, "steps": one.steps,
                 "verdict": one.verdict, "lines": [asdict(line) for line in one.lines]} for one in found]  # fmt: skip
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print("\n\n".join("\n".join(text(one)) for one in found))
    return 1 if any(line.outcome == "deviates" for one in found for line in one.lines) else 0
