"""The schema for editors: true studies pass, and what it can see it refuses as the language does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from crucis import shelf
from crucis.errors import Faults
from crucis.study.load import study_from_text
from crucis.study.merge import PROTOCOLS
from crucis.study.schema import study_schema
from crucis.study.text import read
from crucis.study.tree import plain

SCHEMA = study_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GOOD = [
    "study: s\nfactors: {net: [mlp, convnet]}\nstages:\n  m: {train: supervised, net: $net, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, net: {mlp: {widths: [8]}}, data: digits, for: 3 epochs,\n"
    "      lr: 50%, clip: none, optimiser: {sgd: {momentum: 0.9}}, augment: [flip], warmup: 5%,\n"
    "      view: {classes: first-half, labels: {noise: 20%}}}\n"
    "  n: {like: m, lr: 1/3}\n  c: {measure: classification, of: m@at=50%, split: test, pool: seed, because: x}\n"
    "analysis: {a: {describe: summary, of: m.accuracy, confidence: 0.9}}\n"
    "claims: {c: {says: x, holds_if: a.mean > 50%}}\n"
    "budget: 8 h\nseeds: {fresh: 2}\n",
    "study: s\nfrom: persist\nset: {let.grid: 3}\ndrop: [claims]\n",
]  # fmt: skip
BAD = [
    "study: S\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n",
    "study: s\nstages:\n  m: {trian: supervised, net: mlp, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervisd, net: mlp, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, measure: size, net: mlp, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlpp, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, net: {mlp: {widhts: [8]}}, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, epochs: 3}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, for: 3}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, precision: fp8}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, batch: 0}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, batch: 1.5}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, view: {clases: 3}}\n",
    "study: s\nseeds: 0\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n",
    "study: s\nbudget: 8\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n",
    "study: s\nstage:\n  m: {train: supervised, net: mlp, data: digits}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits}\nclaims: {c: {hold: x}}\n",
    "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits}\n"
    "analysis: {a: {describe: sumary, of: m.accuracy}}\n",
    "study: s\nfactors: {net: mlp}\nstages:\n  m: {train: supervised, net: $net, data: digits}\n",
]


def data(words: str) -> Any:
    tree = read(words, "s", Faults())
    assert tree is not None
    return plain(tree)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("words", [*GOOD, *(path.read_text("utf-8") for path in sorted(PROTOCOLS.glob("*.yaml")))])
def test_valid_studies_pass(words: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(data(words))] == []


@pytest.mark.parametrize("words", GOOD[:2])
def test_the_good_are_good_for_the_language_too(words: str) -> None:
    _, faults = study_from_text(words, Path())
    assert [str(fault) for fault in faults if not fault.note] == []


@pytest.mark.parametrize("words", BAD)
def test_what_it_sees_it_refuses_as_the_language_does(words: str) -> None:
    assert not VALIDATOR.is_valid(data(words))
    study, _ = study_from_text(words, Path())
    assert study is None


def test_own_leaves_are_accepted_unseen() -> None:
    words = (
        "study: s\nstages:\n  m: {train: ./mine.py, net: {./net.py: {rank: 3}}, data: pack:age, anything: 3}\n"
        "  n: {measure: {./x.py: {a: 1}}, of: m, b: 2}\n"
    )
    assert VALIDATOR.is_valid(data(words))


def test_every_parameter_of_every_leaf_is_offered() -> None:
    for home in ("nets", "data", "optimisers", "schedules", "augment"):
        options = SCHEMA["$defs"][f"leaf-{home}"]["anyOf"]
        offered = {name: about for option in options for name, about in option.get("properties", {}).items()}
        assert set(offered) == set(shelf.names(home))
        for name, about in offered.items():
            assert set(about["properties"]) == set(shelf.leaf(home, name).params)
