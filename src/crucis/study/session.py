"""One study at one store: where things lie, and the order run -> analyse -> judge -> report. What the faces call."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..canon import digest
from ..engine.arrivals import imported
from ..engine.store import Store
from ..errors import CrucisError
from . import asking, hunting, registry
from .load import load_study
from .plan import Circumstance, Plan, make_plan
from .spec import Study

if TYPE_CHECKING:
    from ..engine.steps import Outcome, Step
    from .analyse import AnalysisResult
    from .claims import Verdict
    from .gates.decision import Decision
    from .readings import Readings

STORE = ".crucis"
_VERDICTS = "verdicts.txt"
_STACK = 16  # seeds that train stacked at most
#: Modules that the fork server imports once, so that a worker starts in milliseconds.
PRELOAD = ("torch", "crucis.study.steps")


class NothingToDo(CrucisError):
    """A request that the state of the store does not allow, in words."""


def find_store(study: Study, given: str | Path | None = None) -> Path:
    """`--store`, else CRUCIS_STORE, else the nearest `.crucis` upward from the study, else a new one beside it."""
    named = given or os.environ.get("CRUCIS_STORE")
    if named:
        return Path(named)
    start = study.folder.resolve()
    for folder in (start, *start.parents):
        if (folder / STORE / "store.json").is_file():
            return folder / STORE
    return start / STORE


def data_root(given: str | Path | None = None) -> Path | None:
    """Where data sets lie: `--data`, else CRUCIS_DATA, else nothing (embedded and generated sets need none)."""
    named = given or os.environ.get("CRUCIS_DATA")
    return Path(named).resolve() if named else None


@dataclass
class Session:
    """A loaded study with its store and plan."""

    study: Study
    store: Store
    circumstance: Circumstance

    @cached_property
    def plan(self) -> Plan:
        """The plan, made once; `plan_again` makes it anew."""
        return make_plan(self.study, self.circumstance, self.store)

    def plan_again(self) -> Plan:
        """The plan after new results: a search that has them may know its next trials."""
        self.__dict__.pop("plan", None)
        return self.plan

    @property
    def report_folder(self) -> Path:
        """`report/STUDY` beside the study."""
        return self.study.folder / "report" / registry.ledger_name(self.study)

    @property
    def complete(self) -> bool:
        """Whether every step that is not sealed has a record; a trial that crashed has lost, which is an answer."""
        gone = hunting.given_up(self.plan)
        nodes = [node for node in self.plan.nodes if not node.lost and node.key not in gone]
        wanted = {node.key for node in nodes if not node.sealed or self.circumstance.unsealed}
        return wanted <= self.store.hits(sorted(wanted))


def open_session(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), yes: bool = False,
    store: str | Path | None = None, data: str | Path | None = None, device: str = "auto", determinism: str = "strict",
    ranks: int = 1, together: bool = False, profile: bool = False, weights: bool = False,
) -> Session:  # fmt: skip
    """Load a study (a file or a shipped protocol's name) and open its store.

    Raises:
        StudyError: the study has faults; all of them, with their places.
        CrucisError: no rank at all.
    """
    if ranks < 1:
        raise CrucisError(f"--ranks {ranks}: at least one rank is needed")
    study = load_study(source, preset=preset, sets=sets, yes=yes)
    opened = Store(find_store(study, store))
    unsealed = registry.is_unsealed(study, opened)
    circumstance = Circumstance(data_root(data), device, determinism, unsealed, ranks, together, profile, weights)
    return Session(study, opened, circumstance)


def execute(
    session: Session, *, workers: int | None = None, progress: Callable[[Any], None] | None = None,
    stages: tuple[str, ...] = (), cells: Mapping[str, tuple[str, ...]] | None = None, again: Sequence[str] = (),
    stall_s: float = 900, planned: Callable[[Plan], None] | None = None,
) -> Outcome:  # fmt: skip
    """Register the study and run what is missing of its plan. Finished steps are never computed again.

    With searches this goes in rounds: what is known is run, then the plan is made again from the results, until
    nothing waits any more. `planned` is told the plan before each round and at the end.

    Raises:
        CrucisError: an arm `baseline` of another net is not its method with everything left out.
    """
    from .preflight import check_baselines

    if not session.complete:
        check_baselines(session.plan, session.store.path, session.circumstance.data_root)
        _check_networks(session, stages, cells, progress)
    rounds: list[Outcome] = []
    known: set[str] = set()
    proposed = 0
    registry.register(session.plan, session.store)  # before the first proposal: a search is promised like the rest
    while True:
        proposed += hunting.propose(session, stages, cells)
        if planned is not None:
            planned(session.plan)
        outcome = _round(session, workers, progress, stages, cells, () if rounds else again, stall_s)
        rounds.append(outcome)
        before = {node.key for node in session.plan.nodes}
        if outcome.stopped or not any(node.waits for node in session.plan.nodes) or before == known:
            return hunting.joined(session.plan, rounds, proposed)
        known = before
        session.plan_again()


def _check_networks(
    session: Session, stages: tuple[str, ...], cells: Mapping[str, tuple[str, ...]] | None,
    progress: Callable[[Any], None] | None,
) -> None:  # fmt: skip
    from . import sanity

    nodes = session.plan.part(stages, cells)
    present = session.store.hits([node.key for node in nodes])
    missing = [node for node in nodes if node.key not in present]
    sanity.check(session.plan, missing, session.store.path, session.circumstance.data_root, progress)


def _round(
    session: Session, workers: int | None, progress: Callable[[Any], None] | None, stages: tuple[str, ...],
    cells: Mapping[str, tuple[str, ...]] | None, again: Sequence[str], stall_s: float,
) -> Outcome:  # fmt: skip
    from ..engine import supervisor
    from . import codestate
    from .cost import Predictor

    plan = session.plan
    steps = [_within_reach(step, session.store) for step in plan.steps(stages, cells)]
    chosen = _whole(again, steps)
    plan.code.keep(session.store.path / "code")
    registry.register(plan, session.store)
    remember(session)
    asking.note(session)
    predictor = Predictor(plan, session.store)
    environment = codestate.described(session.study.folder, session.store)
    if session.circumstance.together:
        from ..engine.inline import run_inline

        return run_inline(
            steps, session.store, "crucis.study.torchrun:run", again="failed" if "failed" in again else chosen,
            cost=predictor.step_seconds, progress=progress, environment=environment, signals=True,
        )  # fmt: skip
    return supervisor.run(
        steps, session.store, runner="crucis.study.steps:run", preload=PRELOAD, workers=workers, stall_s=stall_s,
        progress=progress, again="failed" if "failed" in again else chosen, cost=predictor.step_seconds,
        stack=lambda step: _STACK if step.group else 1,
        environment=environment,
    )  # fmt: skip


def _whole(again: Sequence[str], steps: Sequence[Step]) -> list[str]:
    """Keys of the plan that begin with what was written.

    Raises:
        NothingToDo: a beginning that no key of the plan has.
    """
    found = []
    for beginning in again:
        keys = [step.key for step in steps if step.key.startswith(beginning)]
        if not keys and beginning != "failed":
            raise NothingToDo(f"--again {beginning}: no step of this plan has a key that begins so; or write 'failed'")
        found += keys
    return found


def _within_reach(step: Step, store: Store) -> Step:
    """The step without checkpoints that its finished training never reached, because it ended early."""
    keep = step.hints.get("keep")
    record = store.read(step.key) if keep and any(not store.has(key) for key in keep) else None
    if not keep or record is None:
        return step
    last = record.values.get("steps", 0)
    reached = {key: mark for key, mark in keep.items() if mark == "best" or int(mark) <= last}
    return replace(step, hints={**step.hints, "keep": reached})


def remember(session: Session) -> None:
    """Note which key each step of this study has now, so that a later plan can say what changed."""
    latest = {node.label: node.key for node in session.plan.nodes if not node.pending}
    path = session.store.path / "latest" / f"{registry.ledger(session.study, session.store)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(latest, sort_keys=True), encoding="utf-8")
    aside.replace(path)


@dataclass
class Conclusion:
    """What the records say: results of the analyses, verdicts of the claims, decisions of the gates."""

    readings: Readings
    results: dict[str, AnalysisResult]
    verdicts: dict[str, Verdict]
    gates: dict[str, Decision] = field(default_factory=dict)


def conclude(session: Session) -> Conclusion:
    """Evaluate the analyses and judge the claims on whatever is in the store; missing rows stay visible."""
    from .analyse import analyse
    from .claims import judge
    from .gates.judge import judge_gates
    from .readings import Readings

    readings = Readings(session.plan, session.store)
    results = analyse(session.study, readings)
    verdicts = judge(session.study, results, readings)
    return Conclusion(readings, results, verdicts, judge_gates(session, readings, results, verdicts))


def fingerprint(session: Session) -> str:
    """What a report is a function of: the resolved study, its records, the ledgers, the code that writes it."""
    store = session.store
    keys = [node.key for node in session.plan.nodes]
    present = store.hits(keys)
    states = {key: key in present or len(store.failures(key)) for key in keys}
    ledgers = [store.lines(f"registrations-{registry.ledger(session.study, session.store)}"), store.lines("unsealings")]
    code = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for room in ("report", "stats", "study")
        for path in (Path(__file__).parent.parent / room).rglob("*")
        if path.suffix in (".py", ".html", ".css", ".js")
    )
    own = [registry.own_code(session.study, name) for name in session.study.analysis]
    foreign = sorted(imported(store).keys() & set(keys))
    gates: list[Any] = []
    if session.study.gates:
        from .gates.case import standing

        gates = standing(session)
    return digest([dict(session.study.resolved), states, ledgers, own, code, foreign, gates])


def write_report(session: Session, *, force: bool = False) -> Path:
    """Write the study's page, unless the one that is there was written from the same records by the same code."""
    folder = session.report_folder
    mark, page = folder / ".fingerprint", folder / "index.html"
    current = fingerprint(session)
    if not force and page.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == current:
        return page
    from .. import report
    from .provenance import marked
    from .publish import page_of

    conclusion = conclude(session)
    written = report.build(marked(page_of(session, conclusion), conclusion.readings), folder)
    after = registry.late(session.study, registry.current(session.study, session.store))
    lines = [_verdict_line(verdict, after) for verdict in conclusion.verdicts.values()]
    lines += [f"{item.words}  gate {item.name}: {item.because}" for item in conclusion.gates.values()]
    lines += [f"WAIVER  gate {item.name}: {text}" for item in conclusion.gates.values() for text in item.waivers]
    _write_card(session, conclusion)
    (folder / _VERDICTS).write_text("\n".join(lines) + "\n" * bool(lines), encoding="utf-8")
    mark.write_text(current, encoding="utf-8")
    return written


def _write_card(session: Session, conclusion: Conclusion) -> None:
    """The method card as the records fill it, beside the page of a study with a method gate; persons' words kept."""
    gate = next((gate for gate in session.study.gates.values() if gate.kind == "method"), None)
    if gate is None:
        return
    from .cards import method_card

    own = session.study.folder / str(gate.params["card"])
    before = own.read_text(encoding="utf-8", errors="replace") if own.is_file() else ""
    (session.report_folder / "method-card.md").write_text(method_card.card(conclusion, before), encoding="utf-8")


def _verdict_line(verdict: Verdict, after: Mapping[str, str]) -> str:
    late = f" (added or changed on {after[verdict.name]}, after the data)" if verdict.name in after else ""
    return f"{verdict.outcome.upper()}{late}  {verdict.says or verdict.name}: {verdict.because}"


def verdict_lines(session: Session) -> list[str]:
    """The verdicts of the last report that was written, one line per claim."""
    path = session.report_folder / _VERDICTS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
