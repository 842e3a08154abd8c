"""Small words and groupings that the page's template asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from crucis.report import numbers
from crucis.report.content import Absent, Analysis, Cell, Figure, Page, Source, StageCount, Term

MARK = {"supported": "✓", "refuted": "✗", "inconclusive": "?", "not judged": "–"}
HOLD = {"holds": "✓", "fails": "✗", "cannot tell": "?", "waived": "!"}
GATE = {"APPROVED": ("supported", "✓"), "REJECTED": ("refuted", "✗")}
AUDIT = {"follows": ("supported", "✓"), "deviates": ("refuted", "✗")}

#: How many record keys a list shows before it says how many more there are (all are in tables/records.csv).
MOST_KEYS = 400

WORDS = (
    Term("cell", "one combination of factor levels; with a seed it is one row of the data"),
    Term("seed", "a replicate: everything that is drawn at random follows from this number; equal seeds are paired"),
    Term("interval", "in square brackets after an estimate: the values compatible with the data, at 95 % unless said"),
    Term("n", "number of observations that entered an estimate"),
    Term("p", "probability of a result at least this extreme if there were no effect"),
    Term("supported", "the whole interval satisfies the criterion, or its p-value is below the stated limit"),
    Term("refuted", "the whole interval violates the criterion; a large p-value alone never refutes"),
    Term("inconclusive", "neither: the data do not decide, or values that the claim needs are missing"),
    Term("record", "what one step of the study left in the store, named by the hash of all that determines it"),
    Term("registered", "fixed and hashed into the store before the first result existed"),
    Term("refused", "an instrument said that it cannot tell, with a reason"),
    Term("diverged", "training left the finite numbers"),
    Term("sealed", "needs the test split, which has not been opened"),
)


@dataclass(frozen=True)
class View:
    """The page's parts in the order in which they are read."""

    main: tuple[Figure, ...]
    more: tuple[Figure, ...]
    numbers: dict[str, int]
    registered: tuple[Analysis, ...]
    exploratory: tuple[Analysis, ...]
    tally: str
    stage_states: tuple[str, ...]
    stage_sentence: str
    groups: tuple[tuple[str, tuple[Source, ...]], ...]
    words: tuple[Term, ...]
    anchors: frozenset[str]  # keys of the records that have a line of their own on the page


def count(number: int, thing: str, many: str = "") -> str:
    """`1 claim`, `3 claims`."""
    return f"{numbers.number(number)} {thing if number == 1 else many or thing + 's'}"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1] if parts else ""


def why(value: Cell) -> str:
    """The reason of an absent value, to stand behind its state."""
    return f": {value.why}" if isinstance(value, Absent) and value.why else ""


def _tally(page: Page) -> str:
    outcomes = [verdict.outcome for verdict in page.verdicts]
    parts = [
        f"{number} {'is' if number == 1 else 'are'} {word}"
        for word in ("supported", "refuted", "inconclusive", "not judged")
        if (number := outcomes.count(word))
    ]
    return f"Of {count(len(outcomes), 'claim')}, {listed(parts)}." if len(outcomes) > 1 else ""


def _steps(stages: Sequence[StageCount]) -> tuple[tuple[str, ...], str]:
    """The states that occur, and the state of the whole plan in one sentence."""
    states = ("refused", "diverged", "failed", "sealed", "missing")
    totals = {state: sum(getattr(stage, state) for stage in stages) for state in states}
    planned, done = sum(stage.planned for stage in stages), sum(stage.ok for stage in stages)
    occurring = tuple(state for state in states if totals[state])
    if not stages:
        return occurring, ""
    if planned == done:
        return occurring, f"All {count(planned, 'step')} finished."
    rest = listed([f"{totals[state]} {state}" for state in occurring])
    return occurring, f"{done} of {count(planned, 'step')} finished; {rest}."


def of(page: Page) -> View:
    """Everything that the template would otherwise have to think about."""
    main = tuple(figure for figure in page.figures if figure.main and not figure.exploratory)
    more = tuple(figure for figure in page.figures if not figure.main or figure.exploratory)
    states, sentence = _steps(page.design.stages)
    stages = dict.fromkeys(source.stage for source in page.sources)
    groups = tuple((name, tuple(item for item in page.sources if item.stage == name)) for name in stages)
    own = {term.name for term in page.terms}
    return View(
        main=main,
        more=more,
        numbers={figure.name: position for position, figure in enumerate((*main, *more), 1)},
        registered=tuple(entry for entry in page.analyses if not entry.exploratory),
        exploratory=tuple(entry for entry in page.analyses if entry.exploratory),
        tally=_tally(page),
        stage_states=states,
        stage_sentence=sentence,
        groups=groups,
        words=(*page.terms, *(term for term in WORDS if term.name not in own)),
        anchors=frozenset(item.key for _, items in groups for item in items[:MOST_KEYS]),
    )


def functions() -> dict[str, Callable[..., Any] | Any]:
    """What the template may call."""
    return {"count": count, "why": why, "mark": MARK.__getitem__, "hold": HOLD.__getitem__, "most_keys": MOST_KEYS,
            "gate_mark": _gate_mark, "gate_class": _gate_class, "audit": _audit}  # fmt: skip


def _gate_class(outcome: str) -> str:
    return GATE.get(outcome, ("inconclusive", "?"))[0]


def _gate_mark(outcome: str) -> str:
    return GATE.get(outcome, ("inconclusive", "?"))[1]


def _audit(outcome: str) -> tuple[str, str]:
    """Class and mark of an audit's verdict."""
    return AUDIT.get(outcome, ("inconclusive", "~"))
