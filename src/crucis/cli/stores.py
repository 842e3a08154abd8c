"""`crucis verify`, `reproduce` and `gc`: what is in the store, whether it is true, and what may go."""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..api import find_root
from ..errors import CrucisError
from ..study import session as sessions

if TYPE_CHECKING:
    from ..engine.store import Store
    from ..study.reproduction import Comparison


def _is_key(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{4,64}", text) is not None


def _whole_key(store: Any, beginning: str) -> str:
    found = sorted(path.name for path in (store.path / "steps" / beginning[:2]).glob(f"{beginning}*"))
    if len(found) != 1:
        raise CrucisError(f"{len(found)} records begin with '{beginning}' in {store.path}")
    return found[0]


def verify(a: argparse.Namespace) -> int:
    """Every checksum, size and key of the store, of a study's records, of one record, or of an archive."""
    from ..engine.store import Store

    if a.what and a.what.endswith(".zip"):
        return _verify_bundle(a.what)
    if a.what and not _is_key(a.what):
        session = sessions.open_session(a.what, preset=a.preset, sets=a.sets, yes=True, store=a.store, data=a.data)
        store = session.store
        keys: list[str] | None = sorted(store.hits([node.key for node in session.plan.nodes]))
    else:
        store = Store(find_root(a.store))
        keys = [_whole_key(store, a.what)] if a.what else None
    keys = store.all_keys() if keys is None else keys
    problems = store.verify(keys)
    for problem in problems:
        print(f"{problem.key[:12]}: {problem.text}; it is in quarantine and will be computed again")
    print(f"{len(keys)} record{'s' * (len(keys) != 1)} checked, {len(problems)} problem{'s' * (len(problems) != 1)}")
    return 1 if problems else 0


def _verify_bundle(path: str) -> int:
    from ..study.bundles import restore

    with tempfile.TemporaryDirectory(prefix="crucis-bundle-") as folder:
        done = restore(path, Path(folder) / "study")
    print(f"{path}: {done.records} records of '{done.about['study']['name']}', every size, digest and key in order")
    return 0


def reproduce(a: argparse.Namespace) -> int:
    """Compute records again in an empty store and compare them bit for bit with the ones that are there."""
    if a.runs < 1:
        raise CrucisError(f"--runs {a.runs}: at least one run is needed")
    if a.what.endswith(".zip"):
        return _reproduce_bundle(a)
    if _is_key(a.what) and not Path(a.what).exists():
        from ..engine.store import Store
        from ..study.reproduction import reproduce_record

        if a.part:
            raise CrucisError(f"'{a.part}' after a key: a part is named after its study: crucis reproduce STUDY PART")
        store = Store(find_root(a.store))
        key = _whole_key(store, a.what)
        return _repeat(a.runs, lambda folder: reproduce_record(store, key, folder, workers=a.workers))
    return _reproduce_session(a, sessions.open_session(
        a.what, preset=a.preset, sets=a.sets, yes=True, store=a.store, data=a.data, device=a.device,
        determinism="fast" if a.fast else "strict", ranks=1 if a.ranks is None else a.ranks,
    ))  # fmt: skip


def _reproduce_session(a: argparse.Namespace, session: sessions.Session) -> int:
    from ..study.reproduction import reproduce_study

    return _repeat(a.runs, lambda folder: reproduce_study(session, folder, workers=a.workers, part=a.part))


def _reproduce_bundle(a: argparse.Namespace) -> int:
    """An archive is brought to life in a folder that goes again, and recomputed there."""
    from ..study.bundles import restore
    from .archives import show_code

    if a.trust:
        show_code(Path(a.what))
    with tempfile.TemporaryDirectory(prefix="crucis-bundle-") as folder:
        done = restore(a.what, Path(folder) / "study", trust=a.trust)
        if done.withheld:
            raise CrucisError(
                f"{a.what} holds what can run something here: {', '.join(done.withheld)}. To read it and run it: "
                f"crucis reproduce {a.what} --trust"
            )
        study = done.about["study"]
        return _reproduce_session(a, sessions.open_session(
            done.study, preset=study["preset"], sets=study["sets"], yes=True, data=a.data, device=a.device,
            store=done.store, determinism="fast" if a.fast else "strict", ranks=1 if a.ranks is None else a.ranks,
        ))  # fmt: skip


def _repeat(runs: int, run: Callable[[Path], Comparison]) -> int:
    worst = 0
    for number in range(1, runs + 1):
        with tempfile.TemporaryDirectory(prefix="crucis-reproduce-") as folder:
            comparison = run(Path(folder))
        print(f"run {number}: {comparison.sentence}")
        for line in (*comparison.lines[:20], *comparison.said):
            print(f"  {line}")
        if len(comparison.lines) > 20:
            print(f"  and {len(comparison.lines) - 20} more")
        worst = max(worst, 0 if comparison.equal else 1)
    return worst


def gc(a: argparse.Namespace) -> int:
    """Say what no plan, pin or lease needs; with --yes, move it to the trash."""
    from ..engine.gc import collect, survey
    from ..engine.store import Store

    keep, rest = _days("--keep", a.keep), _days("--rest", a.rest)
    store = Store(find_root(a.store))
    sweep = (collect if a.yes else survey)(store, keep_days=keep, rest_days=rest)
    what = {"records": sweep.records, "plans": sweep.plans, "temporary folders": sweep.tmp,
            "checkpoints": sweep.scratch, "journals": sweep.journals, "old trash": sweep.trash}  # fmt: skip
    words = ", ".join(f"{len(found)} {name}" for name, found in what.items() if found) or "nothing"
    size = f"{sweep.bytes / 2**20:.1f} MiB"
    if a.yes:
        print(f"Moved to the trash or removed: {words} ({size}); {sweep.kept} records kept")
    else:
        print(f"Would go: {words} ({size}); {sweep.kept} records stay. To act: crucis gc --yes")
    if a.weights:
        _shed(store, a.yes, keep, rest)
    return 0


def _days(option: str, text: str) -> float:
    found = re.fullmatch(r"(\d+)\s*d(?:ays?)?", text)
    if not found:
        raise CrucisError(f"{option} {text}: expected a number of days, such as 90d")
    return float(found[1])


def _shed(store: Store, act: bool, keep: float, rest: float) -> None:
    """Give up weights, or say which would go, each by its label; and how many stay, by reason."""
    from ..engine.gc import shed
    from ..study.shedding import Judge

    found = shed(store, Judge(store), act=act, keep_days=keep, rest_days=rest)
    for key in [] if act else found.keys:
        record = store.read(key)
        if record is not None:
            print(f"  weights of {record.body['notes'].get('label') or record.spec['kind']} ({key[:12]})")
    many = f"{len(found.keys)} record{'s' * (len(found.keys) != 1)} ({found.bytes / 2**20:.1f} MiB)"
    if act:
        print(f"Gave up the weights of {many}; records, tables and curves stay. What needs them trains again; to have "
              "them back: crucis run STUDY --weights")  # fmt: skip
    else:
        print(f"Weights of {many} would go; their records, tables and curves stay. To act: crucis gc --weights --yes")
    for why, count in found.kept.most_common():
        print(f"  {count} keep theirs: {why}")
