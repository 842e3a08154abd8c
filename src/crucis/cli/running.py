"""`crucis run`, `unseal` and `work`: hand a plan to the supervisor and show how it goes."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CrucisError
from ..study import parts
from ..study import session as sessions
from ..study.hunting import given_up
from ..study.ranks import by_torchrun, world_of
from ..study.readings import Readings
from ..study.session import Session
from . import tracking
from .live import Live

if TYPE_CHECKING:
    from ..study.tracking import Trackers

_SEALED = 4  # exit code: nothing failed, but steps are blocked or sealed


def opened(a: argparse.Namespace) -> Session:
    """The session that the arguments of a study command describe."""
    return sessions.open_session(
        a.study, preset=a.preset, sets=a.sets, yes=a.yes, store=a.store, data=a.data,
        device=getattr(a, "device", "auto"), determinism="fast" if getattr(a, "fast", False) else "strict",
        ranks=_ranks(a), together=by_torchrun(os.environ) is not None, profile=getattr(a, "profile", False),
        weights=getattr(a, "weights", False),
    )  # fmt: skip


def _ranks(a: argparse.Namespace) -> int:
    asked = getattr(a, "ranks", None)
    return 1 if asked is None else int(asked)


def part(a: argparse.Namespace, session: Session) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """`--stages` and `--only` as a part of the plan.

    Raises:
        CrucisError: a stage, factor or level that the study does not have.
    """
    words = [text.partition("=") for text in a.only]
    only = {factor: labels.split(",") for factor, _, labels in words}
    return parts.part(session.study, tuple(filter(None, a.stages.split(","))), only)


def run(a: argparse.Namespace) -> int:
    """Run what is missing, judge, report."""
    rank = by_torchrun(os.environ)
    if rank is not None:
        return _together(a, rank)
    return _whole(a)


def _whole(a: argparse.Namespace) -> int:
    session = opened(a)
    stages, cells = part(a, session)
    return _run(a, session, stages, cells, again=tuple(a.again), stall_s=a.stall)


def _together(a: argparse.Namespace, rank: int) -> int:
    """One of the processes that torchrun started: rank 0 runs the study, the others compute along."""
    from ..study import torchrun

    a.ranks = world_of(os.environ, a.ranks)
    if rank == 0:
        return torchrun.lead(a.device, lambda: _whole(a))
    return torchrun.follow(a.device, sessions.data_root(a.data) if a.data else None)


def _run(
    a: argparse.Namespace, session: Session, stages: tuple[str, ...] = (),
    cells: Mapping[str, tuple[str, ...]] | None = None, **options: Any,
) -> int:  # fmt: skip
    started = time.monotonic()
    from ..study.halves import remarks

    parts.check_means(session, workers=a.workers, ranks=a.ranks, device=a.device)
    for warning in [*session.plan.code.warnings, *remarks(session.plan.part(stages, cells), a.device)]:
        print(f"note: {warning}", file=sys.stderr)
    targets = tracking.wanted(a, session)
    if targets:
        from ..study.tracking import Trackers

        with Trackers(targets, session, models=a.track_models) as trackers:
            code = _carry_out(a, session, stages, cells, trackers, started, options)
        tracking.say(trackers.reports, session, a.study + options_text(a))
        return code
    return _carry_out(a, session, stages, cells, None, started, options)


def _carry_out(
    a: argparse.Namespace, session: Session, stages: tuple[str, ...], cells: Mapping[str, tuple[str, ...]] | None,
    trackers: Trackers | None, started: float, options: Mapping[str, Any],
) -> int:  # fmt: skip
    with Live(session.plan, quiet=a.quiet) as live:
        outcome = sessions.execute(
            session, workers=a.workers, progress=live.event, stages=stages, cells=cells,
            planned=trackers.planned if trackers else None, **options,
        )  # fmt: skip
    if trackers:
        trackers.planned(session.plan)
    seconds = time.monotonic() - started
    kept = f"{outcome.cached} cached, {outcome.done} run in {seconds:.1f} s"
    trouble = [
        f"{count} {word}"
        for count, word in (
            (outcome.refused, "refused"), (outcome.diverged, "diverged"), (len(outcome.failed), "failed"),
            (len(given_up(session.plan)), "trainings of trials failed and lose"),
            (len(outcome.blocked), "blocked"), (len(outcome.sealed), "sealed"), (len(outcome.left), "left"),
        )
        if count
    ]  # fmt: skip
    print(f"{session.study.name}: {kept}{', ' + ', '.join(trouble) if trouble else ''}")
    if outcome.stopped:
        print(f"Stopped. What is finished is kept; to go on: {command(a)}")
        return outcome.exit_code
    for key in outcome.failed[:5]:
        explain_failure(session, key)
    if outcome.failed:
        print(f"All failures: crucis status {a.study}{options_text(a)}. To try again: {command(a)} --again failed")
    if getattr(a, "profile", False):
        _print_profiles(session)
    if stages or cells:
        print("A part of the plan was run; no claim is judged until the plan is whole.")
        return outcome.exit_code
    sealed = {node.key for node in session.plan.nodes if node.sealed and not session.circumstance.unsealed}
    if sealed:
        print(
            f"{len(sealed)} steps wait for the seal. When the analysis stands: crucis unseal {a.study}{options_text(a)}"
        )
    page = finish(session)
    if trackers:
        trackers.page(page.parent)
    return outcome.exit_code or (_SEALED if sealed else 0)


def _print_profiles(session: Session) -> None:
    from ..study import profiles

    said = list(profiles.lines(Readings(session.plan, session.store)))
    print("\n".join(said or ["No training here has a profile: those that had a record before were not run again."]))


def finish(session: Session) -> Path:
    """Write the report, print the verdicts and the page's path, which is returned."""
    page = sessions.write_report(session)
    for line in sessions.verdict_lines(session):
        print(line)
    print(f"Report: {page}")
    if session.store.path.resolve().parent != session.study.folder.resolve():
        print(f"Store: {session.store.path}")
    return page


def explain_failure(session: Session, key: str) -> None:
    """One line about a failed step and the last lines of what it said."""
    node = session.plan.by_key.get(key)
    notes = session.store.failures(key)
    last = notes[-1] if notes else {}
    label = node.label if node else key[:12]
    lost = Readings(session.plan, session.store).lost(node) if node else ""
    text = lost or f"{str(last.get('text', '')).strip()}{raised_at(last)}"
    print(f"failed: {label}: {last.get('code', 'unknown')}: {text} (crucis show {key[:12]})", file=sys.stderr)


def raised_at(note: Mapping[str, Any]) -> str:
    """` (net.py, line 7, in forward)`: where a failure was raised, from its traceback; the user's file first."""
    frames = re.findall(r'File "([^"]+)", line (\d+), in (\S+)', str(note.get("traceback") or ""))
    if not frames:
        return ""
    own = [frame for frame in frames if f"{os.sep}code{os.sep}" in frame[0]]
    path, line, function = (own or frames)[-1]
    return f" ({Path(path).name}, line {line}, in {function})"


def options_text(a: argparse.Namespace) -> str:
    """The options that a follow-up command needs to mean the same study."""
    text = f" --preset {a.preset}" if a.preset else ""
    text += "".join(f" --set '{item}'" for item in a.sets)
    text += " --fast" if getattr(a, "fast", False) else ""
    text += f" --ranks {a.ranks}" if _ranks(a) > 1 else ""
    text += f" --store {a.store}" if getattr(a, "store", None) else ""
    return text + (f" --data {a.data}" if getattr(a, "data", None) else "")


def command(a: argparse.Namespace) -> str:
    """The command that goes on with this study."""
    return f"crucis run {a.study}{options_text(a)}"


def unseal(a: argparse.Namespace) -> int:
    """Record the unsealing of the registered study and run the steps that read a test split."""
    from ..study import registry

    session = opened(a)
    sealed = [node for node in session.plan.nodes if node.sealed]
    if not sealed:
        raise CrucisError(f"no step of '{session.study.name}' reads a test split; there is nothing to unseal")
    if registry.current(session.study, session.store) is None:
        raise CrucisError(f"'{session.study.name}' is not registered yet. First: {command(a)}")
    text = registry.digest(registry.registered_text(session.study))
    if registry.current(session.study, session.store).digest != text:  # type: ignore[union-attr]
        raise CrucisError(f"the study changed after its registration. First: {command(a)}")
    if not session.complete:
        raise CrucisError(f"steps that need no test split are still missing. First: {command(a)}")
    if not session.circumstance.unsealed:
        line = registry.unseal(session.plan, session.store)
        for name, before in line["before"].items():
            times = "for the first time" if not before else f"after {before} earlier unsealing{'s' * (before > 1)}"
            print(f"Unsealed: the test split of {name}, {times}; recorded for {line['who']}.")
    return _run(a, opened(a))


def work(a: argparse.Namespace) -> int:
    """A bare supervisor: run the steps of a plan that another command wrote, sharing the store through leases."""
    from ..engine import supervisor
    from ..engine.store import Store

    store = Store(Path(a.store))
    steps = store.read_plan(a.plan)
    with Live(None, quiet=a.quiet) as live:
        outcome = supervisor.run(
            steps, store, runner="crucis.study.steps:run", preload=sessions.PRELOAD, workers=a.workers,
            progress=live.event,
        )  # fmt: skip
    print(f"{outcome.cached} cached, {outcome.done} run, {len(outcome.failed)} failed, {len(outcome.left)} left")
    return outcome.exit_code
