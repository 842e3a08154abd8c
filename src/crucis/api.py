"""The Python interface: run a study, read its table, load a record."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import CrucisError

if TYPE_CHECKING:
    import pandas

    from .records import Record


def run(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), store: str | Path | None = None,
    data: str | Path | None = None, workers: int | None = None, ranks: int = 1,
) -> Path:  # fmt: skip
    """Run a study to its report and return the page's path.

    Args:
        source: a study file, or the name of a shipped protocol.
        preset: a named set of overrides of the study.
        sets: overrides such as `"seeds=5"`, the value read as YAML.
        store: where records live; default as on the command line.
        data: the folder of data sets that are neither embedded nor generated.
        workers: worker processes; default one per core.
        ranks: processes that train each network together; more than one are part of the key.

    Raises:
        StudyError: the study has faults.
        CrucisError: steps failed; the finished ones are kept, and calling again goes on.
    """
    from .study import session as sessions

    session = sessions.open_session(source, preset=preset, sets=sets, store=store, data=data, ranks=ranks)
    outcome = sessions.execute(session, workers=workers)
    page = sessions.write_report(session)
    if outcome.failed:
        raise CrucisError(f"{len(outcome.failed)} steps failed; see {page} or: crucis status {source}")
    return page


def table(
    source: str | Path, *, preset: str | None = None, sets: Sequence[str] = (), store: str | Path | None = None,
    data: str | Path | None = None, ranks: int = 1,
) -> pandas.DataFrame:  # fmt: skip
    """One row per cell and seed; columns `factor...`, `seed`, then `stage.column`, then `stage.state`.

    Values that are absent are NaN, and the column `stage.state` beside them says why. Own axes of an instrument are
    written into the name (`task_b.retention@step=100`). Computes nothing.
    """
    import pandas

    from .study import session as sessions
    from .study.flat import flat_table

    session = sessions.open_session(source, preset=preset, sets=sets, store=store, data=data, ranks=ranks)
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
