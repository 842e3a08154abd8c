"""Answers of the NeurIPS paper checklist and the ACM badges that follow from records; the rest is left to a person.

Only what the store shows is answered. Sources: NeurIPS Paper Checklist (https://neurips.cc/public/guides/PaperChecklist);
ACM Artifact Review and Badging 1.1 (https://www.acm.org/publications/policies/artifact-review-and-badging-current).
The questions are in our own words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import registry
from ..gates.case import Case
from ..gates.decision import HOLDS
from ..gates.replication import documents

OPEN = "to be answered by a person"
KINDS = ("neurips", "acm")


@dataclass(frozen=True)
class Answer:
    """One question and what the records answer; `answer` is OPEN where they cannot."""

    question: str
    answer: str
    because: str = ""


def checklist(case: Case, kind: str) -> tuple[Answer, ...]:
    """All questions of a checklist in order.

    Args:
        kind: `neurips` or `acm`.
    """
    rules = _NEURIPS if kind == "neurips" else _ACM
    return tuple(Answer(question, *(rule(case) if rule else (OPEN, ""))) for question, rule in rules)


def text_of(name: str, kind: str, answers: tuple[Answer, ...]) -> str:
    """A checklist as Markdown."""
    title = {"neurips": "NeurIPS paper checklist", "acm": "ACM artifact badges"}[kind]
    left = sum(item.answer == OPEN for item in answers)
    parts = [f"# {title}: {name}", "", f"{len(answers) - left} of {len(answers)} answered from records; {left} {OPEN}."]
    for number, item in enumerate(answers, 1):
        parts += ["", f"{number}. {item.question}", "", f"   **{item.answer}** {item.because}".rstrip()]
    return "\n".join(parts) + "\n"


# -- what the records show ----------------------------------------------------------------------------------------

_Said = tuple[str, str]


def _complete(case: Case) -> bool:
    return len(case.contents) == len(case.session.plan.by_key)


def _claims(case: Case) -> _Said:
    verdicts = case.verdicts.values()
    if not verdicts:
        return OPEN, "The study states no claim."
    words = "; ".join(f"{v.says or v.name}: {v.outcome}" for v in verdicts)
    return ("Yes" if all(v.outcome == "supported" for v in verdicts) else OPEN), f"Verdicts of the study: {words}."


def _reproducible(case: Case) -> _Said:
    store, study = case.session.store, case.session.study
    if not _complete(case):
        return "No", f"{len(case.contents)} of {len(case.session.plan.by_key)} records are there."
    found = registry.current(study, store)
    text = f", registered as {found.digest[:12]} on {found.first[:10]}" if found else ""
    return (
        "Yes",
        f"The study's text and {len(case.contents)} records with their keys and seeds{text}; {_repeated(case)}",
    )


def _lines(case: Case, kind: str) -> list[dict[str, Any]]:
    lines, broken = case.ledger
    return [] if broken else [line for line in lines if line["kind"] == kind]


def _repeated(case: Case) -> str:
    found = [line for line in _lines(case, "reproduce") if line["about"] == case.state]
    if not found:
        return "no reproduction of the whole is recorded."
    equal = list(found[-1]["equal"])
    return f"{sum(equal)} of {len(equal)} reproductions of the whole equal bit for bit."


def _settings(case: Case) -> _Said:
    count = sum(node.spec["kind"].startswith("train/") for node in case.session.plan.nodes)
    if not count:
        return "NA", "The study trains nothing."
    return "Yes", f"Every parameter, split and data digest of {count} training steps stands in its record's spec."


def _errors(case: Case) -> _Said:
    study = case.session.study
    if not case.results:
        return OPEN, "The study has no analysis."
    sets = sorted({result.correction for result in case.results.values() if result.family_size > 1})
    levels = sorted({f"{result.confidence:.0%}" for result in case.results.values()})
    leaves = sorted({leaf for result in case.results.values() for leaf in result.leaves})
    return "Yes", (
        f"Intervals at {', '.join(levels)} over {len(study.seeds)} seeds (initialisation, order and augmentation vary "
        f"together), by {', '.join(leaves)}; correction for several tests: {', '.join(sets) or 'one test each'}."
    )


def _compute(case: Case) -> _Said:
    records = [record for key in case.contents if (record := case.readings.record(key)) is not None]
    if not records:
        return "No", "Nothing has run."
    seconds = sum(float(record.body["cost"]["wall_s"]) for record in records)
    devices = sorted({str(record.body.get("numerics", {}).get("device", "unknown")) for record in records})
    return "Yes", f"{seconds / 3600:.3g} h in {len(records)} steps on {', '.join(devices)}."


def _open_code(case: Case) -> _Said:
    bundle = _bundle(case)
    if bundle is None:
        return OPEN, "No bundle is recorded; whether code and data are public, only a person knows."
    return OPEN, f"A bundle with SHA-256 {str(bundle['sha256'])[:12]} is there; where it is published is for a person."


def _licences(case: Case) -> _Said:
    path = documents(case.session.study.folder)["a licence"]
    sets = sorted({str(source["name"]) for source in case.session.plan.sources.values()})
    own = f"the study's licence is {path.name}" if path else "the study has no licence file"
    return OPEN, f"Data sets: {', '.join(sets) or 'none'}; {own}."


def _bundle(case: Case) -> dict[str, Any] | None:
    found = _lines(case, "bundle")
    return found[-1] if found else None


def _available(case: Case) -> _Said:
    bundle = _bundle(case)
    return (
        OPEN,
        f"Bundle SHA-256 {bundle['sha256']}; a lasting public address is missing." if bundle else "No bundle yet.",
    )


def _functional(case: Case) -> _Said:
    lacking = [] if _complete(case) else ["records"]
    lacking += [
        what for what, path in documents(case.session.study.folder).items() if path is None and "readme" in what
    ]
    bundle = _bundle(case)
    if bundle is None or bundle["problems"]:
        lacking.append("a bundle that was restored and verified")
    if lacking or bundle is None:
        return "No", f"Lacking: {', '.join(lacking)}."
    return "Yes", f"Documented, complete, exercised: {bundle['restored']} records came back and verified."


def _reusable(case: Case) -> _Said:
    return (OPEN, "Needs the badge before, and a reader's judgement.") if _functional(case)[0] == "Yes" else (
        "No", "The badge before it is not reached.")  # fmt: skip


def _reproduced(case: Case) -> _Said:
    from ..gates.judge import decisions

    equal = [line for line in _lines(case, "reproduce") if line["about"] == case.state and all(line["equal"])]
    near = [
        f"{d.name}: {line.measured}" for d in decisions(case).values() for line in d.checks
        if d.kind == "replication" and line.check == "within" and line.outcome == HOLDS
    ]  # fmt: skip
    if equal or near:
        words = [_repeated(case)] * bool(equal) + [f"Within the stated tolerance: {'; '.join(near)}."] * bool(near)
        return OPEN, f"{' '.join(words)} The badge asks for people other than the authors."
    return "No", "No reproduction is recorded."


_Rule = Callable[[Case], _Said] | None
_NEURIPS: tuple[tuple[str, _Rule], ...] = (
    ("Claims: do abstract and introduction say what was shown?", _claims),
    ("Limitations: are they discussed?", None),
    ("Theory: are assumptions and proofs complete?", None),
    ("Reproducibility: is all that is needed to reproduce the main results disclosed?", _reproducible),
    ("Open access: are data and code public, with instructions?", _open_code),
    ("Experimental setting: are splits, hyper-parameters and how they were chosen stated?", _settings),
    ("Statistical significance: are error bars reported, and what they mean?", _errors),
    ("Compute: are kind, memory and time of the computation stated?", _compute),
    ("Code of ethics: does the work conform?", None),
    ("Broader impacts: are positive and negative ones discussed?", None),
    ("Safeguards: are there some for what could be misused?", None),
    ("Licences: are assets credited and their licences respected?", _licences),
    ("New assets: are they documented?", None),
    ("Human subjects: are instructions and compensation stated?", None),
    ("Review board: were risks to participants approved?", None),
    ("Use of language models: is it declared where it matters?", None),
)
_ACM: tuple[tuple[str, _Rule], ...] = (
    ("Artifacts Available: a lasting public archive with an identifier", _available),
    ("Artifacts Evaluated, Functional: documented, consistent, complete, exercisable", _functional),
    ("Artifacts Evaluated, Reusable: carefully documented and structured for reuse", _reusable),
    ("Results Reproduced: obtained again by others, within a stated tolerance", _reproduced),
)
