"""Ordering a study's file changes its order and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.errors import Faults, StudyError
from crucis.study.fmt import NotFormatted, format_study
from crucis.study.merge import KEYS, PROTOCOLS
from crucis.study.text import read
from crucis.study.tree import plain

WORKED = sorted((Path(__file__).parent / "worked").glob("*.yaml"))

MESSY = """\
# yaml-language-server: $schema=crucis.schema.json
# written on a train

# the models
stages:
  # first
  m: {train: supervised, net: mlp, data: digits}  # a model

  n: {measure: size, of: m}
seeds: 3   # three


# its name
study: messy
claims: {c: n.parameters > 3}
question: |
  Does it?
  # no comment
factors:
    net: [a]
# the end
"""

TIDY = """\
# yaml-language-server: $schema=crucis.schema.json
# written on a train

# its name
study: messy
question: |
  Does it?
  # no comment
factors:
    net: [a]
seeds: 3   # three
# the models
stages:
  # first
  m: {train: supervised, net: mlp, data: digits}  # a model

  n: {measure: size, of: m}
claims: {c: n.parameters > 3}
# the end
"""


def meaning(words: str) -> object:
    tree = read(words, "s", Faults())
    assert tree is not None
    return plain(tree)


def squeezed(words: str) -> list[str]:
    return sorted(line for line in words.split("\n") if line.strip())


def test_sections_are_ordered_and_comments_move_along() -> None:
    done = format_study(MESSY)
    assert squeezed(done) == squeezed(TIDY)
    assert [line for line in done.split("\n") if line] == [line for line in TIDY.split("\n") if line]
    assert format_study(done) == done


@pytest.mark.parametrize("path", [*WORKED, *sorted(PROTOCOLS.glob("*.yaml"))], ids=lambda path: path.stem)
def test_real_studies(path: Path) -> None:
    words = path.read_text(encoding="utf-8")
    done = format_study(words)
    assert meaning(done) == meaning(words)
    assert format_study(done) == done
    assert squeezed(done) == squeezed(words)


@settings(max_examples=50, deadline=None)
@given(st.permutations(["study: s", "# c\nlet: {a: 1}", "factors:\n  net: [mlp]  # x", "seeds: 3",
                        "\nquestion: why", "zzz: 1",
                        "stages:\n  m: {train: x}\n  # y", "budget: 8 h"]))  # fmt: skip
def test_any_order_becomes_the_same(parts: list[str]) -> None:
    words = "\n".join(parts) + "\n"
    done = format_study(words)
    assert meaning(done) == meaning(words)
    keys = list(meaning(done))  # type: ignore[call-overload]
    rank = {key: i for i, key in enumerate(KEYS)}
    assert keys == sorted(keys, key=lambda key: rank.get(key, len(rank)))
    assert squeezed(done) == squeezed(words)


def test_tabs_and_line_ends_are_mended() -> None:
    done = format_study("stages:\r\n\tm:\r\n\t\ttrain: x\t# a\r\nstudy: s")
    assert "\t" not in done
    assert "\r" not in done
    assert done.endswith("\n")
    assert meaning(done) == {"study": "s", "stages": {"m": {"train": "x"}}}


def test_one_flow_mapping_has_no_lines_to_order() -> None:
    assert format_study("{stages: {m: {train: x}}, study: s}") == "{stages: {m: {train: x}}, study: s}\n"


def test_what_cannot_be_read_is_left_alone() -> None:
    with pytest.raises(StudyError):
        format_study("study: s\nstudy: t\n")
    with pytest.raises(StudyError):
        format_study("study: [\n")


def test_what_would_change_is_left_alone() -> None:
    words = 'stages: "a\n# no comment\nb"\nstudy: s\n'  # the line of a quoted text looks like a comment
    try:
        done = format_study(words)
    except (NotFormatted, StudyError):
        return
    assert meaning(done) == meaning(words)
