"""A reproduction guide to begin with: environment, commands, and the values that they must give.

The commands are those of the study as it was run, at most five; a gate executes them in an empty folder that holds the
study's files. What is written around them is a person's.
"""

from __future__ import annotations

from .. import account
from ..readings import Readings
from ..session import Session
from .measured import measured

_SEALED = 4  # exit code of a run whose test split waits for the unsealing
#: Columns whose values are the point of a training, a measurement or a search.
_TELLING = ("accuracy", "loss", "best")


def guide(session: Session, readings: Readings) -> str:
    """The text of a guide, Markdown."""
    study = session.study
    run, verify, _ = account.commands(session)
    tail = run.removeprefix("crucis run ")
    steps = [run, verify]
    if any(stage.params.get("split") == "test" for stage in study.stages.values()):
        # a run that ends before the test split says so with an exit code of its own
        steps = [f"{run} || test $? -eq {_SEALED}", f"crucis unseal {tail}", run, verify]
    rows = [
        f"| {item.stage} | {item.label} | {item.column} | {item.words} | {len(item.seeds)} |"
        for item in measured(readings)
        if item.column in _TELLING
    ]
    facts = [f"- {fact.name}: {fact.value}" for fact in account.environment(readings)]
    return "\n".join(
        [
            f"# How to reproduce {study.name}", "",
            *([study.question, ""] if study.question else []),
            "## Environment", "",
            *facts, "",
            "With the same numerics every record is equal bit for bit, but for times. On another machine compare the",
            "means below; their intervals are over seeds and no tolerance between machines.", "",
            "## Commands", "",
            "```bash", *steps, "```", "",
            "## Expected values", "",
            "Means over seeds with their 95 % intervals, on the validation split unless the stage says otherwise.", "",
            "| stage | cell | column | expected | n |", "|---|---|---|---|---|", *rows, "",
        ]
    )  # fmt: skip
