"""Commands that read a study and its store and run nothing: from `new` and `check` to `table` and `fmt`."""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CrucisError, did_you_mean
from ..study import session as sessions
from ..study.leaves import WRITTEN
from ..study.session import Session
from .live import duration
from .running import command, finish, opened, options_text, part

_SMALLEST = """study: first
question: Which of two small networks reads digits better?
factors: {net: [mlp, convnet]}
stages:
  model: {train: supervised, net: $net, data: digits, for: 10 epochs}
analysis:
  which: {compare: paired_t, of: model.accuracy, between: net, against: mlp}
claims:
  convnet-wins: which.effect@net=convnet > 0
"""


def new(a: argparse.Namespace) -> int:
    """Copy a protocol out, or write the smallest study."""
    from .shelves import _protocols

    known = _protocols()
    if a.name not in known and a.name != "study":
        raise CrucisError(f"no protocol '{a.name}'.{did_you_mean(a.name, known)} There are: {', '.join(known)}, study.")
    target = Path(a.file or f"{a.name}.yaml")
    if target.exists():
        raise CrucisError(f"{target} exists; name another file: crucis new {a.name} FILE")
    text = _SMALLEST if a.name == "study" else known[a.name].read_text(encoding="utf-8")
    target.write_text(text, encoding="utf-8")
    print(f"Wrote {target}. Next: crucis plan {target}")
    return 0


def check(a: argparse.Namespace) -> int:
    """All faults of a study; with --model also what can be known of its networks before training."""
    from .. import shelf
    from ..study.load import check_study

    if a.model and (a.study.endswith(".py") or a.study in shelf.names("nets")):
        from .models import check_net

        return check_net(a)
    if a.on:
        raise CrucisError("--on names the data for one net: crucis check ./net.py --model --on digits")
    if a.study.endswith(".py"):
        raise CrucisError(f"{a.study} is Python and no study; for a network write: crucis check {a.study} --model")
    study, faults = check_study(a.study, preset=a.preset, sets=a.sets, yes=a.yes)
    hard = [fault for fault in faults if not fault.note]
    if a.model and study is not None:
        from .models import check_study as check_models

        return check_models(a, study, faults)
    if a.format == "json":
        print(json.dumps([vars(fault) for fault in faults], indent=2, ensure_ascii=False))
        return 2 if hard else 0
    for fault in faults:
        print(fault, file=sys.stderr if not fault.note else sys.stdout)
    if hard:
        print(f"{len(hard)} fault{'s' * (len(hard) != 1)}; nothing was run.", file=sys.stderr)
        return 2
    if study is not None:
        counted = ((len(study.factors), "factor"), (len(study.stages), "stage"), (len(study.seeds), "seed"))
        words = [f"{n} {word}{'s' * (n != 1)}" for n, word in counted]
        print(f"{a.study}: {', '.join(words)}; no fault.")
    return 0


def plan(a: argparse.Namespace) -> int:
    """Steps, hits, reasons, cost and power."""
    from ..study.cost import Predictor
    from ..study.halves import remarks
    from ..study.why import Why, replays

    session = opened(a)
    stages, cells = part(a, session)
    nodes = list({node.key: node for node in session.plan.part(stages, cells)}.values())
    hits = session.store.hits([node.key for node in nodes])
    missing = [
        node for node in nodes
        if node.key not in hits and not node.lost and not (node.sealed and not session.circumstance.unsealed)
    ]  # fmt: skip
    owners = {node.owner for node in nodes}
    hunts = [hunt for hunt in session.plan.hunts if hunt.stage in owners]
    later = sum(hunt.unknown for hunt in hunts)
    why = Why(session.plan, session.store)
    again = replays(session.plan, session.store, nodes)
    predictor = Predictor(session.plan, session.store)
    pilot = {}
    if a.pilot:
        from ..study.pilot import pilot as measure

        pilot = measure(session, [node for node in missing if predictor.seconds(node) is None])
        predictor.learn(pilot)
    notes = remarks(missing, session.circumstance.device)
    forecast = predictor.forecast(missing, a.workers or len(os.sched_getaffinity(0)), hunts)
    body = {
        "study": session.study.name, "steps": len(nodes) + later, "cached": len(hits), "missing": len(missing) + later,
        "sealed": sum(node.sealed and not session.circumstance.unsealed for node in nodes), "replays": len(again),
        "excluded": session.plan.excluded, "predicted_s": forecast.total_s, "predicted_wall_s": forecast.wall_s,
        "unpredicted": forecast.unknown, "power": _power(session), "designs": _designs(session),
        "searches": [_search_body(hunt) for hunt in hunts], "notes": notes,
    }  # fmt: skip
    if a.format == "json":
        body["list"] = [
            {"key": node.key, "label": node.label, "cached": node.key in hits,
             "why": None if node.key in hits else why.reason(node)} for node in nodes
        ]  # fmt: skip
        print(json.dumps(body, indent=2, ensure_ascii=False))
    else:
        _print_plan(session, nodes, hits, missing, why, forecast, a.steps, again, hunts)
        _print_checklist(session, missing)
        for line in notes:
            print(f"Note: {line}")
    _refuse_over_budget(session, forecast)
    return 0


def _designs(session: Session) -> list[str]:
    from ..study.confounding import designs

    return [str(design) for design in designs(session.study)]


def _search_body(hunt: Any) -> dict[str, Any]:
    return {"stage": hunt.stage, "cell": dict(hunt.instance.cell), "seed": hunt.instance.seed, "trials": hunt.planned,
            "begun": hunt.begun, "done": hunt.done, "over": hunt.over}  # fmt: skip


def _power(session: Session) -> list[str]:
    from ..study.power import design_power

    return [str(line) for line in design_power(session.study, session.plan)]


def _print_plan(
    session: Session, nodes: Any, hits: set[str], missing: Any, why: Any, forecast: Any, steps: bool, again: Any,
    hunts: Any,
) -> None:  # fmt: skip
    total, cached, sealed = Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for node in nodes:
        total[node.owner] += 1
        cached[node.owner] += node.key in hits
        sealed[node.owner] += node.sealed and not session.circumstance.unsealed
    for hunt in hunts:
        total[hunt.stage] += hunt.unknown
    later = sum(hunt.unknown for hunt in hunts)
    print(f"{session.study.name}: {len(nodes) + later} steps, {len(hits)} cached, {len(missing) + later} to run")
    width = max(map(len, total), default=5)
    for stage, count in total.items():
        seconds = forecast.by_stage.get(stage)
        notes = [f"{cached[stage]} cached"] * bool(cached[stage]) + [f"{sealed[stage]} sealed"] * bool(sealed[stage])
        notes += [f"about {duration(seconds)}"] if seconds else []
        notes += _search_notes([hunt for hunt in hunts if hunt.stage == stage])
        print(f"  {stage:<{width}}  {count:>5}  {', '.join(notes)}".rstrip())
        for line in _search_advice(session, stage):
            print(f"  {'':<{width}}         {line}")
    for cause, count in session.plan.excluded.items():
        print(f"  excluded: {count} ({cause})")
    for node in again:
        print(f"  replay: {node.label} runs again for a checkpoint that was not kept, and must end as it did")
    _print_reasons(missing, why, steps)
    if steps:
        for node in nodes:
            print(f"  {node.key[:12]}  {'cached' if node.key in hits else 'run   '}  {node.label}"
                  + ("" if node.key in hits else f": {why.reason(node)}"))  # fmt: skip
    known = (
        f"about {duration(forecast.wall_s)} of wall time"
        if forecast.total_s
        else "no like step of this plan was run yet"
    )
    unknown = (
        f"; {forecast.unknown} steps without a prediction (crucis plan --pilot times them)" if forecast.unknown else ""
    )
    if missing:
        print(f"Cost: {known}{unknown}")
    for line in _designs(session):
        print(f"Design: {line}")
    for line in _power(session):
        print(f"Power: {line}")


def _print_checklist(session: Session, missing: Any) -> None:
    from ..study.checklist import before

    print("Before the first step:")
    for tick in before(session, missing):
        print(f"  {tick}")


def _search_notes(hunts: Any) -> list[str]:
    """`6 searches of 40 trials, 18 done`."""
    if not hunts:
        return []
    planned, done = {hunt.planned for hunt in hunts}, sum(hunt.done for hunt in hunts)
    each = f" of {planned.pop()} trials" if len(planned) == 1 else f" of {sum(hunt.planned for hunt in hunts)} trials"
    head = f"{len(hunts)} searches{each}" if len(hunts) > 1 else each.removeprefix(" of ")
    failed = sum(len(hunt.failed) for hunt in hunts)
    return [f"{head}, {done} done"] + [f"{failed} trainings failed"] * bool(failed)


def _search_advice(session: Session, stage: str) -> list[str]:
    """What a search trains beside its trials, and whether it has enough of them to learn from any."""
    from .. import shelf
    from ..study.spec import LeafRef

    hunts = [hunt for hunt in session.plan.hunts if hunt.stage == stage]
    ref = session.study.stages[stage].leaf
    if not hunts or not isinstance(ref, LeafRef) or ref.own:
        return []
    leaf = shelf.leaf("search", ref.name)
    value = {name: ref.params.get(name, param.default) for name, param in leaf.params.items()}
    out = []
    if value.get("prune") == "median":
        out.append("prune: median trains every trial for a quarter of its length first; those steps come on top")
    start, planned = value.get("startup"), max(hunt.planned for hunt in hunts)
    if isinstance(start, int) and planned <= start:
        out.append(f"the first {start} trials are drawn at random, so all {planned} are; more trials, or startup: N")
    return out


def _print_reasons(missing: Any, why: Any, listed: bool) -> None:
    if missing and not listed:
        print("Why:")
        for reason, count in Counter(why.reason(node) for node in missing).most_common(12):
            print(f"  {count:>5}  {reason}")


def _refuse_over_budget(session: Session, forecast: Any) -> None:
    budget = session.study.budget_s
    if budget is not None and forecast.total_s > budget:
        stage, most = max(forecast.by_stage.items(), key=lambda item: item[1])
        raise CrucisError(
            f"budget: the plan needs {duration(forecast.total_s)}, the budget is {duration(budget)}. "
            f"Largest: stages.{stage} {duration(most)}. Lower it there, use a preset, or raise the budget."
        )


def status(a: argparse.Namespace) -> int:
    """Counts by state, and each step that did not end well with its reason."""
    from ..study.readings import Readings

    session = opened(a)
    readings = Readings(session.plan, session.store)
    states = {key: readings.state(node) for key, node in session.plan.by_key.items()}
    print(f"{session.study.name}: " + ", ".join(f"{n} {state}" for state, n in Counter(states.values()).most_common()))
    for key, state in states.items():
        if state in ("failed", "refused", "diverged"):
            print(f"  {state}: {session.plan.by_key[key].label} ({key[:12]}): {readings.why(session.plan.by_key[key])}")
    for key, node in session.plan.by_key.items():
        if lost := readings.lost(node):
            print(f"  blocks what works on its checkpoint: {node.label} ({key[:12]}): {lost}")
    if any(state == "missing" for state in states.values()):
        print(f"To go on: {command(a)}")
    _run_otherwise(a, session, "status")
    return 0


def _run_otherwise(a: argparse.Namespace, session: Session, words: str) -> None:
    """Say so if nothing has a record because the last run was given other options."""
    from ..study.why import options_before

    if before := options_before(session.plan, session.store):
        asked = argparse.Namespace(**{**vars(a), "ranks": None if "--ranks" in before else a.ranks})
        print(
            f"note: the last run of this study was given{before}, and records made so are found only with it: "
            f"crucis {words} {a.study}{options_text(asked)}{before}", file=sys.stderr,
        )  # fmt: skip


def explain(a: argparse.Namespace) -> int:
    """How the values of a stage (or one of them) came about, per distinct value."""
    session = opened(a)
    parts = a.path.removeprefix("stages.").split(".")
    if parts[0] not in session.study.stages:
        value: Any = session.study.resolved
        for key in a.path.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise CrucisError(f"no path '{a.path}' in {a.study}.{did_you_mean(parts[0], session.study.stages)}")
            value = value[key]
        changed = " (changed by set, a preset or --set)" if a.path in session.study.changed else " (written)"
        print(f"{a.path} = {json.dumps(value, ensure_ascii=False)}{changed}")
        return 0
    seen: Counter[str] = Counter()
    for node in session.plan.nodes:
        if node.instance.stage == parts[0]:
            seen.update(_explained(node, parts[1] if len(parts) > 1 else None))
    if not seen:
        raise CrucisError(f"'{parts[0]}' has no parameter '{parts[1]}'")
    for line, count in seen.items():
        print(f"{line}  [{count} step{'s' * (count != 1)}]")
    return 0


def _explained(node: Any, only: str | None) -> list[str]:
    out = []
    written = {"for": "length"}.get(only or "", only)
    resolved = {**{name: param.default for name, param in node.bound.leaf.params.items()}, **node.bound.params}
    for name, value in resolved.items():
        if written in (None, name):
            origin = node.origin.get(name, "written" if name in node.bound.params else "default")
            shown = node.spec["params"].get(name, value)
            text = json.dumps(_written(shown), default=str, ensure_ascii=False)
            out.append(f"{WRITTEN.get(name, name)} = {text}  ({origin})")
    for name, origin in node.origin.items():
        if name not in node.bound.params and written in (None, name) and name in node.spec["params"]:
            shown_as = WRITTEN.get(name, name)
            out = [line for line in out if not line.startswith(f"{shown_as} = ")]
            out.append(f"{shown_as} = {json.dumps(_written(node.spec['params'][name]), default=str)}  ({origin})")
    return out


def _written(value: Any) -> Any:
    """A value as a study would write it: a leaf by its name, or as `{name: parameters}`."""
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    name, params = getattr(value, "name", None), getattr(value, "params", None)
    if isinstance(value, Mapping) and "params" in value and ("leaf" in value or "source" in value):
        name, params = value.get("leaf") or f"code {value['source'][:12]}", value["params"]
    if name is not None and params is not None:
        return {name: {key: _written(inner) for key, inner in params.items()}} if params else name
    return value


def diff(a: argparse.Namespace) -> int:
    """Which steps two studies share."""
    both = []
    for name in (a.first, a.second):
        session = sessions.open_session(name, yes=True, store=a.store, data=a.data)
        both.append(session.plan.by_key)
    shared = both[0].keys() & both[1].keys()
    print(f"{len(shared)} steps shared, {len(both[0]) - len(shared)} only in {a.first}, "
          f"{len(both[1]) - len(shared)} only in {a.second}")  # fmt: skip
    for stage in dict.fromkeys(node.owner for plan in both for node in plan.values()):
        counts = [sum(node.owner == stage for node in plan.values()) for plan in both]
        common = sum(both[0][key].owner == stage for key in shared)
        print(f"  {stage}: {common} shared, {counts[0]} and {counts[1]} in all")
    return 0


def table(a: argparse.Namespace) -> int:
    """One row per cell and seed, or the table of one analysis."""
    from ..study.flat import flat_table

    session = opened(a)
    if a.analysis:
        return _analysis_table(session, a.analysis, a.format)
    if a.format in ("md", "latex"):
        raise CrucisError(f"--format {a.format} shows the table of an analysis; add --analysis NAME.")
    columns, rows = flat_table(session.plan, session.store)
    _run_otherwise(a, session, "table")
    if a.format == "json":
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=1))
    elif a.format == "csv":
        writer = csv.writer(sys.stdout)
        writer.writerow(columns)
        writer.writerows([["" if cell is None else cell for cell in row] for row in rows])
    else:
        shown = [i for i, name in enumerate(columns) if not re.search(r"\.(curve|reach)@", name)]
        _print_table([columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
        if len(shown) < len(columns):
            n = len(columns) - len(shown)
            print(f"{n} column{'s' * (n != 1)} of curves {'are' if n != 1 else 'is'} in --format csv and json.")
    return 0


def _analysis_table(session: sessions.Session, name: str, kind: str) -> int:
    from ..report import tables
    from ..study.publish import analysis_of

    if kind == "json":
        raise CrucisError("--format json shows records; the table of an analysis is text, md, csv or latex.")
    known = session.study.analysis
    if name not in known:
        raise CrucisError(f"no analysis '{name}'." + (did_you_mean(name, known) or f" Analyses: {', '.join(known)}."))
    one = analysis_of(session, sessions.conclude(session), name)
    if kind == "latex":
        print(tables.as_latex(one.table, one.what, name), end="")
    else:
        print(tables.as_csv(one.table) if kind == "csv" else tables.as_markdown(one.table), end="")
    return 0


def _print_table(columns: list[str], rows: list[list[Any]]) -> None:
    text = [columns, *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(columns))]
    for row in text:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def report(a: argparse.Namespace) -> int:
    """Write the page from what is in the store."""
    session = opened(a)
    if a.force:
        sessions.write_report(session, force=True)
    finish(session)
    _run_otherwise(a, session, "report")
    return 0


def fmt(a: argparse.Namespace) -> int:
    """Order a study file; the parsed study is proven unchanged."""
    from ..study.fmt import format_study

    path = Path(a.study)
    if not path.is_file():
        raise CrucisError(f"no file {a.study}")
    before = path.read_text(encoding="utf-8")
    after = format_study(before)
    if after == before:
        print(f"{path}: in order")
        return 0
    if a.check:
        print(f"{path}: would change")
        return 1
    path.write_text(after, encoding="utf-8")
    print(f"{path}: ordered")
    return 0
