"""Retention curves are set in panels so that arms that are compared share one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from crucis.report import check
from crucis.report import content as c
from crucis.study.retention_pictures import retention


def record(key: str, height: float) -> Any:
    return SimpleNamespace(key=key, values={"retention": {"10": height, "100": height / 2}, "aurc": height})


def groups(cells: dict[str, dict[str, str]]) -> dict[str, Any]:
    return {label: [record(f"{label}-{seed}", 0.1 * (i % 9) + 0.01 * seed) for seed in range(2)]
            for i, label in enumerate(cells)}  # fmt: skip


def cells(nets: int, arms: tuple[str, ...], sets: tuple[str, ...] = ("d",)) -> dict[str, dict[str, str]]:
    return {
        f"net-{i}, {data}, {arm}": {"arch": f"net-{i}", "data": data, "strategy": arm}
        for i in range(nets) for data in sets for arm in arms
    }  # fmt: skip


def test_one_panel_per_network_and_one_line_per_strategy() -> None:
    shape = cells(13, ("naive", "ewc", "cosine"))
    (figure,) = retention("b", groups(shape), shape)
    data = figure.data
    assert isinstance(data, c.Retention)
    assert [panel.label for panel in data.panels] == [f"net-{i}" for i in range(13)]
    assert all([line.label for line in panel.lines] == ["naive", "ewc", "cosine"] for panel in data.panels)
    line = data.panels[0].lines[1]
    assert list(line.x) == [0.0, 10.0, 100.0]
    np.testing.assert_allclose(line.y, [1.0, 0.105, 0.0525])
    np.testing.assert_allclose(line.low, [1.0, 0.1, 0.05])
    assert data.summary[0] == "AURC 0.01, 0.11, 0.21"
    assert "A panel per arch, a line per strategy" in figure.caption
    assert len(figure.keys) == 78
    assert not list(check._figure(figure))


def test_many_networks_fill_several_pictures_of_at_most_twenty_panels() -> None:
    shape = cells(19, ("naive", "ewc", "cosine"), ("a", "b", "c"))
    found = list(retention("b", groups(shape), shape))
    assert [figure.name for figure in found] == ["b-retention-1", "b-retention-2", "b-retention-3"]
    assert [len(figure.data.panels) for figure in found] == [19, 19, 19]
    assert [figure.main for figure in found] == [True, False, False]
    assert found[0].data.panels[1].label == "net-0, b"
    names = [panel.label for figure in found for panel in figure.data.panels]
    assert len(set(names)) == 57


def test_few_arms_share_one_picture_and_one_factor_has_panels_of_its_own() -> None:
    shape = cells(1, ("naive", "ewc", "cosine"))
    (figure,) = retention("b", groups(shape), shape)
    assert [line.label for line in figure.data.lines] == list(shape)
    assert figure.name == "b-retention"
    shape = cells(25, ("naive",))
    found = list(retention("b", groups(shape), shape))
    assert [len(figure.data.lines) for figure in found] == [13, 12]
    assert all(len(figure.data.summary) == len(figure.data.lines) for figure in found)
