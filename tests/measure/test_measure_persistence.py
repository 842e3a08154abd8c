"""Persistence of landscape records: columns, certificates, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crucis.errors import Refusal
from crucis.measure.instruments import persistence
from crucis.measure.specimen import Specimen
from crucis.numerics import gudhi_grid, ripser_grid
from crucis.numerics import topology as tp
from crucis.records import Record, Result
from crucis.testing.contexts import PlainContext
from crucis.testing.subjects import record_of


def landscape(folder: Path, losses: np.ndarray, outcome: str = "ok") -> Record:
    ctx = PlainContext(folder)
    np.savez(ctx.out / "landscape.npz", losses=losses, coordinates=np.linspace(-1, 1, losses.shape[-1]))
    return record_of(Result(outcome=outcome), ctx)


def run(folder: Path, losses: np.ndarray, **params: Any) -> tuple[Result, dict[str, np.ndarray]]:
    ctx = PlainContext(folder / "to")
    subject = Specimen(inputs={"of": landscape(folder / "from", losses)}, ctx=ctx)
    result = persistence.measure(subject, **{"engine": "ripser", "complex": "cells", **params})
    with np.load(ctx.out / "diagrams.npz") as file:
        return result, dict(file)


def wells() -> np.ndarray:
    places = np.arange(-25, 26) / 25
    x, y = np.meshgrid(places, places, indexing="ij")
    return np.stack(
        [(x**2 - 0.25) ** 2 + y**2 + 1, x**2 + 2 * y**2 + 1, np.cos(3 * np.pi * x) * np.cos(3 * np.pi * y) + 2]
    )


@pytest.mark.parametrize("engine", ["ripser", "gudhi"])
@pytest.mark.parametrize("kind", ["cells", "vertices", "freudenthal"])
def test_columns_are_means_of_slices(engine: str, kind: Any, tmp_path: Path) -> None:
    losses = wells()
    result, arrays = run(tmp_path, losses, engine=engine, complex=kind)
    diagrams = [tp.sublevel(f, kind) for f in losses]
    for name, take in (("h0", lambda d: d.h0), ("h1", lambda d: d.h1)):
        bars = [take(d) for d in diagrams]
        expected = {
            "total": [float(tp.lengths(b).sum()) for b in bars],
            "max": [max(tp.lengths(b), default=0.0) for b in bars],
            "count": [len(b) for b in bars],
            "entropy": [tp.entropy(b) for b in bars],
        }
        for part, per_slice in expected.items():
            column = f"{name}_{part}"
            assert list(result.values[f"{column}@slice"].values()) == pytest.approx(per_slice, abs=1e-12)
            assert result.values[column] == pytest.approx(np.mean(per_slice), abs=1e-12)
            assert result.uncertainty[column]["se"] == pytest.approx(np.std(per_slice, ddof=1) / 3**0.5)
        for index, expected_bars in enumerate(bars):
            assert np.array_equal(arrays[f"{name}_{index}"], expected_bars)
    assert result.values["euler_residual"] == 0.0
    assert result.values["h0_total@slice"]["0"] == pytest.approx(0.0625 - 0.00038416, abs=1e-6)
    assert result.values["h0_total@slice"]["1"] == 0.0


def test_the_null_landscape_shows_what_aliasing_alone_gives(tmp_path: Path) -> None:
    places = np.linspace(-1, 1, 51)
    x, y = np.meshgrid(places, places, indexing="ij")
    # Convex, condition 100, turned by half a radian: it has one minimum, and a grid of 51 x 51 shows nineteen.
    u, v = np.cos(0.5) * x + np.sin(0.5) * y, -np.sin(0.5) * x + np.cos(0.5) * y
    bowl = 100 * u**2 + v**2 + 1
    result, _ = run(tmp_path, bowl[None], complex="vertices")
    assert result.values["h0_count"] == 19 - 1  # one of them is the infinite class
    assert result.values["h0_null"] == pytest.approx(result.values["h0_total"], rel=1e-2)
    assert result.values["h0_total"] / np.ptp(bowl) == pytest.approx(0.0022, abs=1e-4)
    assert "h0_total" not in result.uncertainty
    two, _ = run(tmp_path / "wells", wells()[:1])
    assert two.values["h0_null"] == 0.0
    assert two.values["h0_total"] > 0.06


def test_logarithm(tmp_path: Path) -> None:
    losses = wells()
    result, arrays = run(tmp_path, losses, transform="log")
    assert np.array_equal(arrays["h0_0"], tp.sublevel(np.log(losses[0]), "cells").h0)
    assert result.values["h0_max@slice"]["0"] == pytest.approx(np.log(1.0625 / 1.00038416), abs=1e-6)
    with pytest.raises(Refusal, match="logarithm of a loss of 0"):
        run(tmp_path / "zero", losses * 0, transform="log")


def test_noise_floor_drops_short_bars_from_every_column(tmp_path: Path) -> None:
    losses = wells()[:1] + np.random.default_rng(0).uniform(0, 1e-2, (51, 51))
    noisy, arrays = run(tmp_path / "a", losses)
    clean, same = run(tmp_path / "b", losses, noise_floor=1e-2)
    assert noisy.values["h0_count"] > 1
    assert clean.values["h0_count"] == 1
    assert clean.values["h0_total"] == clean.values["h0_max"] == noisy.values["h0_max"]
    assert clean.values["h0_entropy"] == 0.0
    assert all(np.array_equal(arrays[name], same[name]) for name in arrays)


@pytest.mark.parametrize("engine", [ripser_grid, gudhi_grid])
def test_a_wrong_engine_is_found_out(engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = engine.__name__.rpartition(".")[2].removesuffix("_grid")
    right = engine.diagrams

    def lost_a_bar(f: np.ndarray, kind: Any) -> tp.Diagrams:
        found = right(f, kind)
        return replace(found, h0=found.h0[1:])

    def right_in_the_sum_only(f: np.ndarray, kind: Any) -> tp.Diagrams:
        extra = np.array([[0.25, 0.75]], dtype=np.float32)
        found = right(f, kind)
        return tp.Diagrams(tp.tidy(np.vstack([found.h0, extra])), tp.tidy(np.vstack([found.h1, extra])))

    for fault, text in ((lost_a_bar, "Euler identity"), (right_in_the_sum_only, "union-find differ")):
        monkeypatch.setattr(engine, "diagrams", fault)
        with pytest.raises(Refusal, match=text) as caught:
            run(tmp_path / text, wells(), engine=name)
        assert caught.value.code == "inconsistent"
        assert caught.value.where == "slice 0"


def test_what_has_no_topology(tmp_path: Path) -> None:
    losses = wells()
    losses[1, 3, 4] = np.nan
    with pytest.raises(Refusal, match="1 of 7803 points are not finite"):
        run(tmp_path / "nan", losses)
    with pytest.raises(Refusal, match="beyond float32"):
        run(tmp_path / "large", wells() * 1e39)
    assert run(tmp_path / "log", wells() * 1e39, transform="log")[0].outcome == "ok"
    refused = landscape(tmp_path / "refused", wells(), outcome="refused")
    with pytest.raises(Refusal, match="its input is refused"):
        persistence.measure(Specimen(inputs={"of": refused}), engine="gudhi", complex="cells")
    (tmp_path / "other").mkdir()
    other = Record("k", tmp_path / "other", {"outcome": "ok", "values": {}})
    with pytest.raises(Refusal, match="works on the record of a loss_landscape"):
        persistence.measure(Specimen(inputs={"of": other}), engine="gudhi", complex="cells")
    with pytest.raises(Refusal, match="works on the record of one stage"):
        persistence.measure(Specimen(inputs={"of": [other]}), engine="gudhi", complex="cells")
