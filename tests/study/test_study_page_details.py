"""Small things on a study's page: curves without a row, what a loss is, tables of profiles."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crucis import shelf
from crucis.report import content as c
from crucis.report import glossary
from crucis.study import pictures, profiles, stage_tables


def curve(*steps: int) -> Any:
    rows = {"step": np.array(steps), "accuracy": np.linspace(0.2, 0.8, len(steps))}
    return SimpleNamespace(key="ab", arrays=lambda name: rows)


def test_a_training_without_an_evaluation_has_no_curve() -> None:
    assert list(pictures._curves("model", {"all": [curve()]})) == []
    (figure,) = pictures._curves("model", {"none": [curve()], "some": [curve(1, 2)]})
    assert isinstance(figure.data, c.Curves) and [panel.label for panel in figure.data.panels] == ["some"]


def test_only_a_cross_entropy_is_explained_as_one() -> None:
    assert stage_tables._column("loss", "nats").says == ""
    assert "guessing" in glossary.explain("loss")
    assert "guessing" not in stage_tables._column("loss", "1").says


@pytest.mark.parametrize("name", shelf.names("train"))
def test_the_headlines_of_every_protocol_are_explained(name: str) -> None:
    columns = shelf.leaf("train", name).columns
    assert [name for name, about in columns.items() if about.get("headline") and not glossary.explain(name)] == []


@pytest.mark.parametrize("overhead", [None, 0.02])
def test_a_profile_shows_the_cost_of_timing_only_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch, overhead: float | None
) -> None:
    seconds = dict.fromkeys(profiles.PHASES, 1.0)
    told = {"seconds": seconds, "overhead": overhead, "per_step": 0.1, "joined": False, "operators": []}
    monkeypatch.setattr(profiles, "found", lambda readings: {"model": {"all": [("ab", told)]}})
    (made,) = profiles.tables(SimpleNamespace())  # type: ignore[arg-type]
    names = [column.name for column in made.table.columns]
    (row,) = made.table.rows
    assert len(row.cells) == len(names) and names[-1] == "n" and row.cells[1] == pytest.approx(1 / 7)
    assert ("timing" in names) == (overhead is not None)
    assert any("few steps" in note for note in made.notes) == (overhead is None)
