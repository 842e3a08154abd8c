"""`crucis bundle` and `restore`: a study in one archive, and the way back."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

from ..engine.strangers import BundleError
from .running import opened


def bundle(a: argparse.Namespace) -> int:
    """Write the archive and say what it holds."""
    from ..study.bundles import make

    session = opened(a)
    made = make(session, a.output or f"{session.study.name}.zip", diff=a.diff)
    print(f"{made.path}: {made.records} of {made.planned} records, {made.bytes / 2**20:.1f} MiB, SHA-256 {made.digest}")
    if made.records < made.planned:
        print(f"{made.planned - made.records} steps have no record; whoever restores it can run them")
    print(f"Files: {', '.join(made.files)}")
    if made.needs:
        print(f"Needs there: {', '.join(made.needs)} (under CRUCIS_DATA)")
    print(f"To bring it to life: crucis restore {made.path.name}{' --trust' if made.code else ''}")
    return 0


def restore(a: argparse.Namespace) -> int:
    """Judge an archive, bring it to life and say what came of it."""
    from ..study.bundles import restore as bring

    if a.trust:
        show_code(Path(a.bundle))
    done = bring(a.bundle, a.folder, trust=a.trust, store=a.store)
    counts = [f"{len(done.taken)} taken"]
    counts += [f"{len(done.same)} were there already"] * bool(done.same)
    print(f"{done.records} records, every size, digest and key in order: {', '.join(counts)}")
    for key in done.kept:
        print(f"kept: {key[:12]} is in the store with other content; the store's own stays")
    for note in done.notes:
        print(f"note: {note}")
    if done.withheld:
        print(f"Not taken, because it can run something here: {', '.join(done.withheld)}. "
              f"To read it and take it: crucis restore {a.bundle} {done.folder} --trust")  # fmt: skip
    if done.differing:
        shown = ", ".join(done.differing[:4])
        more = f", and {len(done.differing) - 4} more" * (len(done.differing) > 4)
        print(f"Other packages than in lock.txt: {shown}{more}")
    if done.about["needs"]:
        print(f"Needs data: {', '.join(done.about['needs'])} (under CRUCIS_DATA)")
    print(f"Next: cd {done.folder} && crucis run {done.command}")
    return 0


def show_code(path: Path) -> None:
    """Print every file of an archive that could run something, so that it is read before it is trusted."""
    from ..engine.bundle import survey

    contents = survey(path)
    names = [name for name in contents.entries if name.startswith("study/") and name.endswith((".py", ".yaml", ".yml"))]
    with zipfile.ZipFile(path) as archive:
        for name in sorted(names):
            if contents.entries[name].bytes > 1 << 20:
                raise BundleError(f"'{name}' is larger than 1 MiB; nobody can be asked to read that")
            data = archive.read(name).decode("utf-8", "replace")
            print(f"--- {name.removeprefix('study/')} ({data.count(chr(10))} lines)")
            print("".join(c if c.isprintable() or c in "\n\t" else "?" for c in data).rstrip("\n"))
    print("---")
