"""The named ways in which Crucis says no, and the text that a person reads. Knows no study and no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: Closed list of reason codes that a record may carry. A leaf that refuses picks one; a reader may rely on them.
REASON_CODES = frozenset(
    {
        "not_finite",  # a value was NaN or infinite
        "input_refused",  # the record this step works on is itself refused or diverged
        "too_few",  # too few examples, pairs, points or seeds
        "degenerate",  # no spread, all tied, zero variance
        "not_applicable",  # the instrument has no meaning for this network or data
        "unsupported",  # an operation that this precision, device or executor does not have
        "out_of_range",  # a quantity left the range in which the method is valid
        "inconsistent",  # a certificate or cross-check failed
        "loss_not_finite",  # training diverged
        "accuracy_zero",  # a ratio to an accuracy of zero was asked for
        "sealed",  # the test split is sealed
    }
)


class CrucisError(Exception):
    """Base of every error that a user may see without a traceback. `exit_code` is that of the command line."""

    exit_code = 2


@dataclass(frozen=True)
class Fault:
    """One fault of a study file: where it stands, what came, what to write instead.

    `line` and `column` count from 1; 0 means that the fault has no place (a command-line override, a whole file).
    `note` marks a line that stops nothing.
    """

    code: str
    text: str
    path: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    replacement: str | None = None
    note: bool = False

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        # A key of broken YAML may span lines; a fault is one line.
        head = " ".join(" ".join(part.split()) for part in (place, self.path) if part)
        body = f"{head}: {self.text}" if head else self.text
        return f"note: {body}" if self.note else body


class StudyError(CrucisError):
    """All faults of a study together, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.file, fault.line, fault.column))
        super().__init__("\n".join(map(str, self.faults)))

    def report(self) -> str:
        """The text for the terminal: one line per fault and the closing count."""
        hard = sum(not fault.note for fault in self.faults)
        return f"{self}\n{hard} fault{'' if hard == 1 else 's'}; nothing was run."


class Refusal(CrucisError):
    """A leaf cannot tell, with a reason of the closed list. Becomes a record with the outcome `refused`."""

    def __init__(self, code: str, text: str, where: str = "") -> None:
        if code not in REASON_CODES:
            raise ValueError(f"unknown reason code {code!r}; known: {', '.join(sorted(REASON_CODES))}")
        self.code, self.text, self.where = code, text, where
        super().__init__(f"{where}: {text}" if where else text)


class Divergence(CrucisError):
    """Training left the finite numbers. Becomes a record with the outcome `diverged`; never retried."""

    def __init__(self, text: str, step: int, last_good: float | None = None) -> None:
        self.text, self.step, self.last_good = text, step, last_good
        self.reactions: tuple[dict[str, object], ...] = ()  # what the run had done about it before
        super().__init__(f"{text} (step {step})")


class Stopped(CrucisError):
    """The step was asked to stop, has saved its checkpoint and may be taken up again."""

    exit_code = 130


@dataclass
class Faults:
    """A collector: checks add to it and go on, so that all faults are reported together."""

    items: list[Fault] = field(default_factory=list)

    def add(self, code: str, text: str, **place: object) -> None:
        """Append a fault; `place` takes the remaining fields of `Fault`."""
        self.items.append(Fault(code, text, **place))  # type: ignore[arg-type]

    def __bool__(self) -> bool:
        return any(not fault.note for fault in self.items)

    def stop(self) -> None:
        """Raise `StudyError` if anything but notes was collected."""
        if self:
            raise StudyError(self.items)


def distance(first: str, second: str) -> int:
    """Edits between two words, a swap of neighbours counting as one; O(len(first) * len(second))."""
    before, row = [0] * (len(second) + 1), list(range(len(second) + 1))
    for i, a in enumerate(first):
        older, before, row = before, row, [i + 1] + [0] * len(second)
        for j, b in enumerate(second):
            row[j + 1] = min(before[j + 1] + 1, row[j] + 1, before[j] + (a != b))
            if i and j and a == second[j - 1] and b == first[i - 1]:
                row[j + 1] = min(row[j + 1], older[j - 1] + 1)
    return row[-1]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, capitals counting as small letters, or None if none lies within a third of its
    length (at least one edit, or one swap of neighbours)."""
    allowed = max(2 if len(name) > 3 else 1, len(name) // 3)
    ranked = sorted((distance(name.lower(), other.lower()), distance(name, other), other) for other in set(known))
    return ranked[0][2] if ranked and ranked[0][0] <= allowed else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` or nothing, for the end of an error text."""
    other = nearest(name, known)
    return f" Did you mean '{other}'?" if other else ""
