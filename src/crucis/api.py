"""The Python interface: run a study, read its table, load a record."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .errors import CrucisError

if TYPE_CHECKING:
    import pandas

    from .records import Record
    from .study.session import Session
    from .study.tracking import Trackers
    from .trackers.targets import Target


def run(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), yes: bool = False,
    store: str | Path | None = None, data: str | Path | None = None, device: str = "auto", fast: bool = False,
    ranks: int = 1, only: Mapping[str, str | Sequence[str]] = MappingProxyType({}), stages: Sequence[str] = (),
    workers: int | None = None, again: Sequence[str] = (), profile: bool = False, weights: bool = False,
    stall: float = 900, track: Sequence[str] = (), track_models: bool = False,
) -> Path:  # fmt: skip
    """Run a study to its report and return the page's path: all that `crucis run` does, without its progress.

    Args:
        source: a study file, or the name of a shipped protocol.
        preset: a named set of overrides of the study.
        sets: overrides such as `"seeds=5"`, the value read as YAML.
        yes: really use more than 20 seeds.
        store: where records live; default as on the command line.
        data: the folder of data sets that are neither embedded nor generated.
        device: `cpu`, `cuda`, `cuda:N` or `auto`.
        fast: allow kernels that are not deterministic; part of the key.
        ranks: processes that train each network together; more than one are part of the key.
        only: a part of the cells, as levels of factors: `{"net": ["mlp", "convnet"]}`.
        stages: a part of the stages. A part of a plan writes no page; the path is where the whole one's will be.
        workers: worker processes; default one per core.
        again: keys (or their beginnings) of failed steps to try again, or `"failed"` for all.
        profile: note where the time of each training goes; changes no key.
        weights: also make weights again that `crucis gc --weights` gave up.
        stall: seconds of silence that end a worker.
        track: trackers to write to while it runs, as `--track` names them (`"mlflow"`, `"tensorboard=DIR"`); none:
            those of the user's setting `CRUCIS_TRACK`. One that cannot be written to its end is a RuntimeWarning.
        track_models: give trackers the networks' weights too.

    Raises:
        StudyError: the study has faults.
        CrucisError: something that is not there (a level, a stage, a device, a tracker), or steps failed; the
            finished ones are kept, and calling again goes on.
    """
    from .study import parts
    from .study import session as sessions
    from .trackers.targets import asked

    session = sessions.open_session(
        source, preset=preset, sets=sets, yes=yes, store=store, data=data, device=device,
        determinism="fast" if fast else "strict", ranks=ranks, profile=profile, weights=weights,
    )  # fmt: skip
    chosen, cells = parts.part(session.study, stages, only)
    parts.check_means(session, workers=workers, ranks=ranks, device=device)
    targets = asked(track, session.study.folder)
    with _trackers(targets, session, track_models) as trackers:
        outcome = sessions.execute(
            session, workers=workers, stages=chosen, cells=cells, again=again, stall_s=stall,
            planned=trackers.planned if trackers else None,
        )  # fmt: skip
        whole = not chosen and not cells
        page = sessions.write_report(session) if whole else session.report_folder / "index.html"
        if trackers:
            trackers.planned(session.plan)
            if whole:
                trackers.page(page.parent)
    for report in trackers.reports if trackers else ():
        if report.trouble:
            warnings.warn(report.warning(str(source)), RuntimeWarning, stacklevel=2)
    if outcome.failed:
        seen = f"{page} or: " if whole else ""
        raise CrucisError(f"{len(outcome.failed)} steps failed; see {seen}crucis status {source}")
    return page


def _trackers(targets: list[Target], session: Session, models: bool) -> AbstractContextManager[Trackers | None]:
    if not targets:
        return nullcontext()
    from .study.tracking import Trackers

    return Trackers(targets, session, models=models)


def table(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), yes: bool = False,
    store: str | Path | None = None, data: str | Path | None = None, fast: bool = False, ranks: int = 1,
) -> pandas.DataFrame:  # fmt: skip
    """One row per cell and seed; columns `factor...`, `seed`, then `stage.column`, then `stage.state`.

    Values that are absent are NaN, and the column `stage.state` beside them says why. Own axes of an instrument are
    written into the name (`task_b.retention@step=100`). Computes nothing.
    """
    import pandas

    from .study import session as sessions
    from .study.flat import flat_table

    session = sessions.open_session(
        source, preset=preset, sets=sets, yes=yes, store=store, data=data,
        determinism="fast" if fast else "strict", ranks=ranks,
    )  # fmt: skip
    columns, rows = flat_table(session.plan, session.store)
    return pandas.DataFrame(rows, columns=columns)


def load(record: str, *, store: str | Path | None = None) -> Record:
    """A record by its key or the beginning of it.

    Raises:
        CrucisError: no such record, or more than one begins like this.
    """
    from .engine.store import Store

    return find_record(Store(find_root(store)), record)


def find_root(given: str | Path | None = None) -> Path:
    """The store that is named, or the nearest one upward from the current folder.

    Raises:
        CrucisError: there is none.
    """
    import os

    named = given or os.environ.get("CRUCIS_STORE")
    if named:
        return Path(named)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".crucis" / "store.json").is_file():
            return folder / ".crucis"
    raise CrucisError(f"no store here: no .crucis folder in {here} or above. Name one with --store DIR")


def find_record(store: Any, beginning: str) -> Record:
    """The one record whose key begins so.

    Raises:
        CrucisError: none or several.
    """
    folder = store.path / "steps" / beginning[:2]
    found = sorted(path.name for path in folder.glob(f"{beginning}*")) if len(beginning) >= 4 else []
    if len(found) != 1:
        what = "no record begins" if not found else f"{len(found)} records begin"
        raise CrucisError(f"{what} with '{beginning}' (at least 4 digits) in {store.path}")
    record = store.read(found[0], deep=True)
    if record is None:
        raise CrucisError(f"the record {found[0][:12]} was damaged; it is in quarantine and will be computed again")
    return record
