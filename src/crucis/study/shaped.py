"""Whether analyses along an axis, over groups and of a search's bias mean something: faults before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from .axes import trial_seeds
from .columns import Book
from .design import stage_seeds
from .findings import Findings
from .outcomes import GROUPS, PANEL, RUNS, SELECTION, TRIALS, Member, leaves
from .spec import Analysis, Study

#: Tables along an axis.
ALONG = (PANEL, RUNS)


def check(book: Book, analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    """`along` where it is needed and nowhere else; leaves of one kind of table; the two columns of a bias."""
    having = leaves(book.study, analysis)
    kinds = {name: leaf.constants.get("TABLE") for name, leaf in having.items()}
    shapes = set(kinds.values()) - {TRIALS}
    path = f"analysis.{analysis.name}"
    if len(shapes) > 1:
        odd = next(name for name, kind in kinds.items() if kind)
        found.add("joint", path, f"'{odd}' works on a table of its own kind: give it an analysis of its own.")
        return
    kind = next(iter(shapes), None)
    name = next(iter(having), "")
    if kind in ALONG and analysis.along is None:
        varying = list(dict.fromkeys(axis for _, one in of for axis in one.info.axes))
        listed = f" It varies over {', '.join(varying)}." if varying else ""
        found.add("no-along", path, f"'{name}' runs along an axis. Write along: AXIS.{listed}")
    if kind not in ALONG and analysis.along is not None and having:
        found.add("no-meaning", f"{path}.along", f"'{name}' runs along no axis. Remove 'along'.")
    if kind in ALONG and analysis.along is not None:
        _along(analysis, of, found)
    if kind == GROUPS:
        for key in ("against", "expect", "cost"):
            if getattr(analysis, key):
                text = f"'{name}' compares all levels at once and has no {key!r}. Remove it, or ask another comparison."
                found.add("no-meaning", f"{path}.{key}", text)
    if kind == SELECTION:
        _selection(book, analysis, of, found)


def _along(analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    along, path = analysis.along or "", f"analysis.{analysis.name}.along"
    for key, others in (("unit", (analysis.unit,)), ("each", analysis.each)):
        if along in others:
            text = f"'{along}' is what the analysis runs along; remove it here."
            found.add("answered-twice", f"analysis.{analysis.name}.{key}", text)
    for _, one in of:
        labels = one.info.labels.get(along, ())
        if along in one.info.axes and len(labels) == 1:
            found.add("one-level", path, f"{one.label} has one level of '{along}' ({labels[0]}), and two are needed.")
            return


def _selection(book: Book, analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    """One column of a search, and the same metric of its winner on seeds that the search did not use."""
    study, path = book.study, f"analysis.{analysis.name}.of"
    stages = [study.stages.get(one.ref.name) for _, one in of]
    if len(of) != 2 or stages[0] is None or stages[0].verb != "search" or of[0][1].ref.column != "best":
        text = "a selection bias is that of [SEARCH.best, WINNER.COLUMN]: what a search found, then its winner again."
        found.add("no-search", path, f"{text} Got {', '.join(one.label for _, one in of) or 'nothing'}.")
        return
    (_, first), (where, second) = of
    search = first.ref.name
    if analysis.unit:
        found.add("no-meaning", f"analysis.{analysis.name}.unit", "the fresh seeds are the units. Remove 'unit'.")
    if any(one.spread for _, one in of):
        found.add("no-meaning", path, "a find and its confirmation are one column each, not one per level ('=*').")
    used = stage_seeds(study, search)
    if len(used) > 1:
        text = f"'{search}' searches once per seed ({len(used)} of them), and a bias is that of one search."
        found.add("per-seed", path, f"{text} Write pool: seed at '{search}'.")
    if not second.info.seeded or stages[1] is None:
        found.add("no-seeds", where, f"{second.label} has no value per seed. Name a column of the winner's training.")
        return
    if not _rests(study, second.ref.name, search):
        text = f"'{second.ref.name}' does not train the winner of '{search}'. Write {{winner_of: {search}}}."
        found.add("no-winner", where, text)
    if first.info.unit != second.info.unit:
        text = f"{first.label} is in {first.info.unit} and {second.label} in {second.info.unit}; name the same metric."
        found.add("units", where, text)
    again = sorted(set(stage_seeds(study, second.ref.name)) & set(trial_seeds(study, stages[0])))
    if again:
        text = f"the search itself used seed {', '.join(map(str, again))}, so this confirms nothing."
        found.add("not-fresh", where, f"{text} Write seeds: {{fresh: 5}} at '{second.ref.name}'.")
    extra = [axis for axis in second.info.open if axis not in first.info.axes]
    if extra:
        axis = extra[0]
        found.add("open-axis", where, f"{second.label} varies over {axis} and {first.label} does not: fix it (@{axis}=LABEL).")  # fmt: skip  # noqa: E501


def _rests(study: Study, name: str, search: str) -> bool:
    """Whether a stage trains the winner of a search, or works on a stage that does."""
    todo, seen = [name], {name}
    while todo:
        stage = study.stages.get(todo.pop())
        if stage is None:
            continue
        if search in stage.winners:
            return True
        new = {ref.name for ref in stage.of.values()} - seen
        seen |= new
        todo += new
    return False
