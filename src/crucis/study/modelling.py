"""Whether a `predict` means something: what is left out, which models there are, what each adds to the base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import did_you_mean
from .columns import Book
from .findings import Findings
from .outcomes import Member, field_labels
from .spec import Analysis
from .stage_columns import fields_of

Parts = Mapping[str, Sequence[tuple[str, Member]]]
#: Groups that nested folds need: one outside, one inside, one to learn from.
_LEAST = 3


def check(book: Book, analysis: Analysis, parts: Parts, found: Findings) -> None:
    """One analysis with the verb `predict`; `parts` are its columns by key, `from.MODEL` among them."""
    path = f"analysis.{analysis.name}"
    of = [one for _, one in parts["of"]]
    if len(of) > 1:
        found.add(
            "several-columns", f"{path}.of", f"predicts one column, and {len(of)} are named. Write one entry each."
        )
    if not analysis.models:
        found.add("no-models", path, "predicts from nothing. Write from: {A: [COLUMN], B: [COLUMN, COLUMN]}.")
        return
    if analysis.base is not None and analysis.base not in analysis.models:
        hint = did_you_mean(analysis.base, analysis.models) or f" Models: {', '.join(analysis.models)}."
        found.add("unknown-name", f"{path}.base", f"no model '{analysis.base}'.{hint}")
        return
    _additions(analysis, parts, found)
    if _left_out(book, analysis, of, found):
        factor = (analysis.leave_out or "").partition(".")[0]
        for key, members in parts.items():
            for where, one in members:
                if key != "of" and factor not in one.info.axes and one.info.source != "analysis":
                    text = f"{one.label} does not vary over '{factor}', so it tells no unit from another."
                    found.add("unknown-axis", where, text)


def _additions(analysis: Analysis, parts: Parts, found: Findings) -> None:
    """Every model but the base adds a column, and none predicts from the target."""
    path, target = f"analysis.{analysis.name}", analysis.of[0] if analysis.of else None
    base = set(analysis.models.get(analysis.base or "", ()))
    for name, refs in analysis.models.items():
        for index, ref in enumerate(refs):
            if ref == target:
                found.add("circle", found.item(f"{path}.from.{name}", index), f"{ref} would be predicted from itself.")
        if name != analysis.base and not set(refs) - base and parts.get(f"from.{name}"):
            text = f"model '{name}' adds no column to the base '{analysis.base}', so there is nothing to test."
            found.add("no-addition", f"{path}.from.{name}", text)


def _left_out(book: Book, analysis: Analysis, of: Sequence[Member], found: Findings) -> bool:
    """Whether `leave_out` names a factor or a field with enough levels; a fault otherwise."""
    study, path = book.study, f"analysis.{analysis.name}"
    choices = f"Choose a factor: {', '.join(study.factors)}." if study.factors else "The study has no factor."
    if analysis.leave_out is None:
        found.add("no-leave-out", path, f"leaves nothing out. Write leave_out: FACTOR, or FACTOR.FIELD. {choices}")
        return False
    factor, _, part = analysis.leave_out.partition(".")
    where = f"{path}.leave_out"
    if factor not in study.factors:
        hint = did_you_mean(factor, study.factors) or f" {choices}"
        found.add("unknown-name", where, f"no factor '{factor}'.{hint}")
        return False
    fields = fields_of(study, factor)
    if part and part not in fields:
        hint = did_you_mean(part, fields) or (f" Fields: {', '.join(fields)}." if fields else "")
        found.add("no-field", where, f"no level of '{factor}' has a field '{part}'.{hint}")
        return False
    if any(factor not in one.info.axes for one in of):
        found.add("unknown-axis", where, f"{of[0].label} does not vary over '{factor}'.")
        return False
    levels = field_labels(study, of, analysis.leave_out)
    if len(levels) < _LEAST:
        text = (
            f"{analysis.leave_out} has {len(levels)} levels here ({', '.join(levels)}), and nested folds need {_LEAST}."
        )
        found.add("few-levels", where, text)
        return False
    return True
