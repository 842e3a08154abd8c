"""Whether an `attribute` can be meant: its factor, the components of its levels, and the runs that a leaf needs."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import did_you_mean
from .columns import Book
from .components import components_of
from .findings import Findings
from .outcomes import TRIALS, Member, field_labels, leaves, of_search
from .spec import Analysis


def check(book: Book, analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    """Report what is wrong with `over`, and leaves that the levels cannot feed."""
    study, over, path = book.study, analysis.over, f"analysis.{analysis.name}"
    if of_search(study, analysis):
        _search(book, analysis, of, found)
        return
    choices = f"Choose a factor: {', '.join(study.factors)}." if study.factors else "The study has no factor."
    if over is None:
        found.add("no-between", path, f"takes nothing apart. Write over: FACTOR. {choices}")
        return
    if over not in study.factors:
        hint = did_you_mean(over, study.factors) or f" {choices}"
        found.add("unknown-name", f"{path}.over", f"no factor '{over}'.{hint}")
        return
    if analysis.unit:
        found.add("no-meaning", f"{path}.unit", "blocks are seeds here; there is no other unit. Remove 'unit'.")
    if any(axis.partition(".")[0] == over for axis in analysis.each):
        found.add("answered-twice", f"{path}.each", f"'{over}' is taken apart already; remove it here.")
    for _, one in of:
        if over not in one.info.axes:
            listed = f" It varies over {', '.join(one.info.axes)}." if one.info.axes else " It varies over no factor."
            found.add("unknown-axis", f"{path}.over", f"{one.label} does not vary over '{over}'.{listed}")
            return
    _runs(book, analysis, [one for _, one in of], found)


def _search(book: Book, analysis: Analysis, of: Sequence[tuple[str, Member]], found: Findings) -> None:
    """The leaves that take the trials of a search apart: they need one, and no factor."""
    path = f"analysis.{analysis.name}"
    having = leaves(book.study, analysis)
    others = [name for name, leaf in having.items() if leaf.constants.get("TABLE") != TRIALS]
    if others:
        text = f"{', '.join(others)} takes a factor apart, the others a search. Write two analyses."
        found.add("no-meaning", f"{path}.attribute", text)
    for key, written in (("over", analysis.over), ("cost", analysis.cost), ("unit", analysis.unit)):
        if written:
            found.add("no-meaning", f"{path}.{key}", f"a search is taken apart here. Remove '{key}'.")
    for where, one in of:
        stage = book.study.stages.get(one.ref.name)
        if stage is None or stage.verb != "search" or one.ref.column != "best" or stage.objective[0] == "success":
            text = f"{one.label} is no search for the best trial, and {', '.join(having)} needs one. Write of: SEARCH."
            found.add("no-search", where, text)


def _runs(book: Book, analysis: Analysis, of: Sequence[Member], found: Findings) -> None:
    over, path = analysis.over or "", f"analysis.{analysis.name}"
    labels = field_labels(book.study, of, over)
    names = components_of(book.study, over, labels).names
    having = leaves(book.study, analysis)
    pairs = [name for name, leaf in having.items() if leaf.constants.get("PAIR")]
    if not names:
        text = (
            f"the levels of '{over}' have no component: no field that all of them have is in or out. "
            "Write a generator such as leave_one_out, or fields {NAME: in} and {NAME: out}."
        )
        found.add("no-component", f"{path}.over", text)
    elif pairs and len(pairs) < len(having):
        text = f"{', '.join(pairs)} asks about pairs of components, the others about single ones. Write two analyses."
        found.add("no-meaning", f"{path}.attribute", text)
    elif pairs and len(names) < 2:
        found.add("one-level", f"{path}.over", f"only {names[0]} varies, and an interaction needs two components.")
    elif "shapley" in having and len(labels) < 2 ** len(names):
        text = (
            f"Shapley values need all {2 ** len(names)} combinations of {', '.join(names)}; here are "
            f"{len(labels)}. Write generate: factorial, or use main_effects."
        )
        found.add("incomplete-lattice", f"{path}.attribute", text)
