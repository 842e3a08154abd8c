"""Whether a gate means something in its study: what it reads exists and is of the right kind."""

from __future__ import annotations

from ...errors import did_you_mean
from ..columns import Book
from ..findings import Findings
from ..info import SemanticError
from ..spec import Gate, Ref


def check(book: Book, gate: Gate, found: Findings) -> None:
    """One gate: its column, analyses, review columns and gates."""
    path = f"gates.{gate.name}"
    if gate.kind == "replication":
        if _column(book, gate.params["of"], f"{path}.of", found):
            _one(book, gate.params["of"], f"{path}.of", found)
    elif gate.kind == "method":
        _analysis(book, gate.params["of"], "compare", f"{path}.of", found)
        _analysis(book, gate.params["ablation"], "attribute", f"{path}.ablation", found)
        for index, (ref, _, _) in enumerate(gate.params["review"]):
            where = f"{path}.review.{ref}"
            _column(book, ref, where if where in found.study.places else f"{path}.review[{index}]", found)
    else:
        for index, name in enumerate(gate.params["of"]):
            where = found.item(f"{path}.of", index)
            if name not in found.study.gates and f"gates.{name}" in found.study.places:
                continue  # one that could not be read has its own fault
            if name not in found.study.gates or name == gate.name:
                others = [other for other in found.study.gates if other != gate.name]
                hint = did_you_mean(name, others) or f" Gates: {', '.join(others) or 'none'}."
                found.add("unknown-name", where, f"no other gate '{name}'.{hint}")


def _column(book: Book, ref: Ref, path: str, found: Findings) -> bool:
    if ref.name in found.bad:
        return False
    try:
        book.info(ref)
    except SemanticError as error:
        if not any(name in found.bad for name in error.names):
            found.add(error.code, path, error.text)
        return False
    return True


def _one(book: Book, ref: Ref, path: str, found: Findings) -> None:
    info = book.info(ref)
    if info.source == "analysis":
        found.add("not-a-column", path, f"'{ref}' belongs to an analysis; a replication reads a stage's column.")
    for axis in info.open:
        found.add(
            "open-axis", path, f"{ref} varies over {axis} ({len(info.labels[axis]) or 'several'}); "
            f"one number was reported. Fix it: {ref}@{axis}=LABEL.",
        )  # fmt: skip


def _analysis(book: Book, name: str, verb: str, path: str, found: Findings) -> None:
    study = book.study
    if name in found.bad:
        return
    if name not in study.analysis:
        if f"analysis.{name}" not in study.places:  # one that could not be read has its own fault
            fits = [item.name for item in study.analysis.values() if item.verb == verb]
            hint = did_you_mean(name, study.analysis) or f" With the verb {verb}: {', '.join(fits) or 'none'}."
            found.add("unknown-name", path, f"no analysis '{name}'.{hint}")
        return
    analysis = study.analysis[name]
    if analysis.verb != verb:
        found.add("wrong-verb", path, f"'{name}' is of the verb {analysis.verb}; here one of the verb {verb} is read.")
    elif analysis.exploratory:
        found.add("exploratory", path, f"analysis '{name}' is exploratory; a gate rests on registered analyses.")
