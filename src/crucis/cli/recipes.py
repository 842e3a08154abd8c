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
    recipe = facts.get(a.target)
    if a.format == "json":
        print(json.dumps(_body(recipe), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_page(recipe)))
    return 0


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

        found = [audit_record(find_record(Store(find_root(a.store)), a.target), a.recipe)]
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
