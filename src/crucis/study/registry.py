"""What was promised before the data: registrations, their amendments, and the ledger of unsealings."""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..canon import digest, sha256
from ..engine.store import Store
from . import chain
from .expressions import references
from .identity import Code
from .plan import Plan
from .spec import Study

_REGISTERED = ("study", "factors", "only", "except", "seeds", "stages", "derive", "analysis", "claims")


@dataclass(frozen=True)
class Registration:
    """The registration in force and what came before it.

    `after_data` maps each analysis or claim that was added or changed after a result existed to the date of that
    change; `extended` is true when seeds were added after a look at results.
    """

    digest: str
    first: str
    lines: tuple[Mapping[str, Any], ...]
    after_data: Mapping[str, str]
    extended: bool

    @property
    def amendments(self) -> int:
        """How often the registered text changed after the first registration."""
        return len(self.lines) - 1


def ledger_name(study: Study) -> str:
    """A study under another preset is another study."""
    return f"{study.name}.{study.preset}" if study.preset else study.name


def ledger(study: Study, store: Store) -> str:
    """The study's name among the store's ledgers. Studies of one name in different folders are different studies, so
    the folder is part of it, unless the store lies beside the study, which is the usual place."""
    return ledger_at(ledger_name(study), study.folder, store)


def ledger_at(name: str, folder: Path, store: Store) -> str:
    """As `ledger`, for a study that is known by the name of its ledger and its folder."""
    where = os.path.relpath(folder.resolve(), store.path.resolve().parent)
    return name if where == "." else f"{name}-{sha256(Path(where).as_posix())[:8]}"


def registered_text(study: Study) -> dict[str, Any]:
    """The part of the resolved study that is hashed: everything that says what is computed and what is concluded.

    Exploratory analyses promise nothing, so they are not part of it: one may be added without amending anything.
    """
    text = {name: study.resolved[name] for name in _REGISTERED if name in study.resolved}
    if "analysis" in text:
        explored = {name for name, analysis in study.analysis.items() if analysis.exploratory}
        text["analysis"] = {name: body for name, body in text["analysis"].items() if name not in explored}
        code = {name: own_code(study, name) for name in text["analysis"]}
        if any(code.values()):
            text["code"] = {name: digests for name, digests in code.items() if digests}
    if "gates" in study.resolved:  # what they ask is promised; waivers and mitigations come after and are printed
        text["gates"] = {
            name: {key: value for key, value in body.items() if key not in ("waive", "mitigate")}
            for name, body in study.resolved["gates"].items()
        }
    return text


def own_code(study: Study, analysis: str) -> list[str]:
    """Digests of the user's files that an analysis calls: a changed estimate is a changed analysis."""
    code = Code(study.folder)
    return [code.digest(leaf.name) for leaf in study.analysis[analysis].leaves if leaf.own]


def now() -> str:
    """UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def register(plan: Plan, store: Store) -> Registration:
    """Write the study into the ledger unless the text in force is the same; return the registration in force."""
    study = plan.study
    name = ledger(study, store)
    lines = store.lines(f"registrations-{name}")
    text = registered_text(study)
    if not lines or lines[-1]["digest"] != digest(text):
        # Results that a person may have seen: of this plan, and of the study's last one, which may have had other keys.
        results = len(store.hits({node.key for node in plan.nodes} | set(latest(study, store).values())))
        line = {"digest": digest(text), "time": now(), "results": results, "seeds": list(study.seeds), "text": text}
        store.append_line(f"registrations-{name}", line)
        lines = store.lines(f"registrations-{name}")
    return read(lines)


def latest(study: Study, store: Store) -> dict[str, str]:
    """Label of a step -> its key, as the study's last run had them; empty before the first."""
    path = store.path / "latest" / f"{ledger(study, store)}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def gated(store: Store) -> set[str]:
    """Keys that studies with gates had at their last run."""
    out: set[str] = set()
    for name in store.ledgers("registrations-"):
        path = store.path / "latest" / f"{name.removeprefix('registrations-')}.json"
        if store.lines(name)[-1]["text"].get("gates") and path.is_file():
            out |= set(json.loads(path.read_text(encoding="utf-8")).values())
    return out


def current(study: Study, store: Store) -> Registration | None:
    """The registration in force, or None before the first run."""
    lines = store.lines(f"registrations-{ledger(study, store)}")
    return read(lines) if lines else None


def read(lines: list[dict[str, Any]]) -> Registration:
    """What a ledger says. The first line is never 'after the data' of this study, whatever the store held before.

    A text that returns to an earlier one is that earlier registration again: what came between does not touch it.
    """
    lines = lines[: 1 + next(i for i, line in enumerate(lines) if line["digest"] == lines[-1]["digest"])]
    after: dict[str, str] = {}
    extended = False
    for before, line in pairwise(lines):
        for part in ("derive", "analysis", "claims"):
            old, new = before["text"].get(part, {}), line["text"].get(part, {})
            for entry, body in new.items():
                if old.get(entry) != body and line["results"]:
                    after[entry] = line["time"][:10]
        old, new = before["text"].get("code", {}), line["text"].get("code", {})
        for entry in old.keys() | new.keys():
            if old.get(entry) != new.get(entry) and line["results"]:
                after[entry] = line["time"][:10]
        if line["results"] and len(line["seeds"]) > len(before["seeds"]):
            extended = True
    return Registration(lines[-1]["digest"], lines[0]["time"], tuple(lines), after, extended)


def late(study: Study, registration: Registration | None) -> dict[str, str]:
    """Entries that changed after the data -> date; a claim is as late as what it reads."""
    if registration is None:
        return {}
    out = dict(registration.after_data)
    for name, claim in study.claims.items():
        criteria = [*claim.holds_if, *([claim.refuted_if] if claim.refuted_if is not None else [])]
        dates = [out[ref.name] for criterion in criteria for ref in references(criterion) if ref.name in out]
        if name not in out and dates:
            out[name] = max(dates)
    return out


def sealed_sets(plan: Plan) -> dict[str, str]:
    """Data digest -> name, for every test split that a sealed step of the plan reads."""
    out = {}
    for node in plan.nodes:
        if node.sealed:
            data = node.spec.get("data") or next((m["data"] for m in node.models.values() if isinstance(m, dict)), None)
            if data:
                out[data["digest"]] = plan.sources[data["digest"]]["name"]
    return out


def unsealings(store: Store, data: str | None = None) -> list[dict[str, Any]]:
    """All unsealings, or those of one data set."""
    return [line for line in store.lines("unsealings") if data is None or data in line["data"]]


def is_unsealed(study: Study, store: Store) -> bool:
    """Whether an unsealing covers the study as it is written now, not only as it was registered last.

    A study that has changed since (more seeds, another analysis) is sealed again until its own unsealing.
    """
    present = digest(registered_text(study))
    return any(line["registration"] == present for line in unsealings(store))


def unseal(plan: Plan, store: Store) -> dict[str, Any]:
    """Write the unsealing of the registration in force: who, when, which, how many times before for this data."""
    registration = current(plan.study, store)
    if registration is None:
        raise LookupError("the study is not registered yet; run it first")
    data = sealed_sets(plan)
    line = {
        "study": ledger(plan.study, store),
        "registration": registration.digest,
        "time": now(),
        "who": getpass.getuser(),
        "data": data,
        "before": {name: len(unsealings(store, key)) for key, name in data.items()},
    }
    store.append_line("unsealings", line)
    chain.append(store, f"evidence-{line['study']}", {"kind": "unsealed", "line": digest(chain.unnamed(line))})
    return line
