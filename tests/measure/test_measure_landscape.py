"""The landscape: where points lie, what they are worth, and that the network stays as it was."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from crucis import streams
from crucis.errors import Refusal, Stopped
from crucis.measure.directions import Plane, draw, moved
from crucis.measure.evaluate import accuracy_and_loss, batches
from crucis.measure.instruments import loss_landscape
from crucis.measure.looks import one_by_one
from crucis.measure.specimen import Specimen
from crucis.measure.surface import Surface, centre_loss
from crucis.numerics.quadratic import fit
from crucis.testing import subjects
from crucis.testing.contexts import PlainContext
from crucis.testing.instruments import unchanged


def specimen(folder: Path, model: nn.Module | None = None, **changes: Any) -> Specimen:
    base = subjects.model_specimen(folder, **changes)
    return base if model is None else replace(base, model=model)


def mlp() -> nn.Module:
    with streams.borrowed(5):
        return nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 6)).eval()


def run(folder: Path, model: nn.Module | None = None, *, seed: int = 0, ctx: Any = None, **params: Any) -> Any:
    subject = specimen(folder, model, seed=seed)
    subject = subject if ctx is None else replace(subject, ctx=ctx)
    result = loss_landscape.measure(subject, **{"grid": 7, "slices": 2, "images": 40, **params})
    with np.load(subject.folder() / "landscape.npz") as file:
        return result, dict(file)


class Recorder(nn.Module):
    """A linear network that writes down the weights with which it is called."""

    seen: ClassVar[list[np.ndarray]] = []

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(36, 4)
        self.second = nn.Linear(4, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        vector = torch.cat([p.detach().flatten() for p in self.parameters()])
        Recorder.seen.append(vector.double().numpy().copy())
        return self.second(self.first(x.flatten(1)))


def test_recorded_weights_are_theta_plus_a_d1_plus_b_d2(tmp_path: Path) -> None:
    with streams.borrowed(1):
        net = Recorder().eval()
    Recorder.seen.clear()
    _, arrays = run(tmp_path, net, grid=5, slices=2, span=0.5, batch=1000)
    theta, seen = Recorder.seen[0], np.array(Recorder.seen[1:51]).reshape(2, 5, 5, -1)
    places = arrays["coordinates"]
    assert places.tolist() == [-0.5, -0.25, 0.0, 0.25, 0.5]
    still = np.concatenate([np.full(p.numel(), p.dim() == 1) for p in net.parameters()])
    for s in range(2):
        d1, d2 = (seen[s, 4, 2] - theta) / 0.5, (seen[s, 2, 4] - theta) / 0.5
        assert np.linalg.norm(d1) == pytest.approx(arrays["norms"][s, 0], rel=1e-5)
        assert np.linalg.norm(d2) == pytest.approx(arrays["norms"][s, 1], rel=1e-5)
        assert d1 @ d2 / np.linalg.norm(d1) / np.linalg.norm(d2) == pytest.approx(arrays["cosines"][s], abs=1e-5)
        assert not d1[still].any()
        assert not d2[still].any()
        for i, a in enumerate(places):
            for j, b in enumerate(places):
                assert seen[s, i, j] == pytest.approx(theta + a * d1 + b * d2, abs=1e-6)
        assert np.array_equal(seen[s, 2, 2], theta)
        assert abs(d1 @ d2) < 0.5 * np.linalg.norm(d1) * np.linalg.norm(d2)
    assert not np.array_equal(seen[0, 4, 2], seen[1, 4, 2])


def test_a_quadratic_loss_gives_the_quadratic_form() -> None:
    net = nn.Linear(6, 5)
    theta = {name: p.detach().clone() for name, p in moved(net).items()}
    d1, d2 = (draw(theta, torch.Generator().manual_seed(seed), "filter") for seed in (1, 2))
    root = torch.randn(30, 30, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    hessian, slope = root @ root.T / 30, torch.linspace(-1, 1, 30, dtype=torch.float64)

    def loss() -> float:
        w = net.weight.detach().double().flatten()
        return float(0.5 * w @ hessian @ w + slope @ w)

    start, places = loss(), loss_landscape.places(9, 1.0)
    rows = loss_landscape.Rows(None, (1, 9, 9), start)
    plane = Plane({"weight": net.weight}, theta, d1, d2, {})
    loss_landscape.scan(partial(one_by_one, plane.place, loss), places, rows, 0)
    w, u, v = (part["weight"].double().flatten() for part in (theta, d1, d2))
    gradient = hessian @ w + slope
    a, b = np.meshgrid(places, places, indexing="ij")
    expected = start + a * float(gradient @ u) + b * float(gradient @ v)
    expected += 0.5 * (a * a * float(u @ hessian @ u) + b * b * float(v @ hessian @ v)) + a * b * float(u @ hessian @ v)
    assert rows.losses[0] == pytest.approx(expected, abs=1e-5)
    assert rows.losses[0, 4, 4] == start
    assert fit(rows.losses[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("policy", ["frozen", "batch", "recalibrated"])
def test_the_middle_is_the_declared_loss_bit_for_bit(policy: Any, tmp_path: Path) -> None:
    result, arrays = run(tmp_path, batch_norm=policy)
    data, net = subjects.data(), subjects.network()
    parts = batches(data.train.take(arrays["index"]), data.mean, data.std, batch=128, device="cpu")
    expected = centre_loss(net, parts, batch_norm=policy)
    assert (arrays["losses"][:, 3, 3] == expected).all()
    assert result.values["centre"] == expected
    assert result.notes["folded"] == (1 if policy == "frozen" else 0)
    assert policy != "frozen" or 0 <= result.notes["deviation"] < 1e-6


def test_the_middle_is_the_plain_loss_where_nothing_is_folded(tmp_path: Path) -> None:
    for name, net in (
        ("mlp", mlp()),
        ("plain", nn.Sequential(nn.Conv2d(1, 9, 3), nn.GELU(), nn.Flatten(), nn.LazyLinear(6))),
    ):
        with torch.no_grad(), streams.borrowed(3):
            net(torch.zeros(2, 1, 6, 6))
        _, arrays = run(tmp_path / name, net.eval())
        data = subjects.data()
        scores = accuracy_and_loss(net, data.train.take(arrays["index"]), data.mean, data.std, batch=128)
        assert (arrays["losses"][:, 3, 3] == scores.loss).all()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("policy", ["frozen", "batch", "recalibrated"])
def test_the_network_stays_as_it_was(policy: Any, training: bool, tmp_path: Path) -> None:
    net = subjects.network().train(training)
    next(net.parameters()).requires_grad_(False)
    with unchanged(net):
        run(tmp_path, net, batch_norm=policy, grid=3)


class Fragile(nn.Module):
    """Fails at its thirtieth call, and cannot be traced."""

    calls: ClassVar[list[int]] = [0]

    def __init__(self) -> None:
        super().__init__()
        self.inner = subjects.network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls[0] += 1
        if float(x[0, 0, 0, 0]) < math.inf and self.calls[0] == 30:
            raise RuntimeError("thirtieth call")
        return self.inner(x)


def test_the_network_stays_as_it_was_after_an_exception(tmp_path: Path) -> None:
    net = Fragile()
    with unchanged(net), pytest.raises(RuntimeError, match="thirtieth"):
        run(tmp_path, net)


def test_dropout_and_training_mode_do_not_reach_the_values(tmp_path: Path) -> None:
    _, one = run(tmp_path / "a", subjects.network())
    _, two = run(tmp_path / "b", subjects.network().train())
    assert np.array_equal(one["losses"], two["losses"])


class Stochastic(nn.Module):
    """Draws at evaluation too."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(36, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(functional.dropout(x.flatten(1), 0.5, training=True))


def test_a_network_that_draws_draws_the_same_at_every_point(tmp_path: Path) -> None:
    with streams.borrowed(0):
        net = Stochastic().eval()
    torch.rand(3)
    with unchanged(net):
        _, one = run(tmp_path / "a", net)
    _, two = run(tmp_path / "b", net)
    assert np.array_equal(one["losses"], two["losses"])
    assert one["losses"][0, 3, 3] == one["losses"][1, 3, 3]


def test_rescaling_that_the_next_layer_undoes_changes_nothing(tmp_path: Path) -> None:
    net = mlp()
    scaled = copy.deepcopy(net)
    with torch.no_grad():
        scaled[1].weight.mul_(8), scaled[1].bias.mul_(8), scaled[3].weight.div_(8)
    _, one = run(tmp_path / "a", net)
    _, two = run(tmp_path / "b", scaled)
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-6)
    _, raw = run(tmp_path / "c", net, directions="raw")
    _, other = run(tmp_path / "d", scaled, directions="raw")
    assert np.abs(raw["losses"] / other["losses"] - 1).max() > 0.05


@pytest.mark.parametrize("policy", ["frozen", "recalibrated"])
def test_batch_size_changes_rounding_only(policy: Any, tmp_path: Path) -> None:
    _, one = run(tmp_path / "a", batch=40, batch_norm=policy)
    _, two = run(tmp_path / "b", batch=7, batch_norm=policy)
    if policy == "frozen":
        assert two["losses"] == pytest.approx(one["losses"], rel=1e-6)
    else:  # batch variances are averaged, so their cut matters a little
        assert two["losses"] == pytest.approx(one["losses"], rel=0.05)


def test_a_point_is_worth_the_same_alone_and_in_any_order(tmp_path: Path) -> None:
    _, arrays = run(tmp_path)
    data = subjects.data()
    parts = batches(data.train.take(arrays["index"]), data.mean, data.std, batch=128, device="cpu")
    alone = Surface(subjects.network(), parts)
    pair = [draw(alone.theta, streams.generator(0, "measure", 0, "landscape", 1, axis), "filter") for axis in range(2)]
    plane = alone.plane(*pair)
    for i, j in [(6, 6), (0, 3), (3, 3), (6, 6), (2, 5)]:
        plane.place(float(arrays["coordinates"][i]), float(arrays["coordinates"][j]))
        assert alone.loss() == arrays["losses"][1, i, j]


@pytest.mark.parametrize("after", [0, 1, 5, 9, 13])
def test_a_stopped_landscape_goes_on_and_ends_in_the_same_bits(after: int, tmp_path: Path) -> None:
    _, whole = run(tmp_path / "whole")
    folder = tmp_path / "cut"
    with pytest.raises(Stopped):
        run(folder, ctx=PlainContext(folder, stop_after=after))
    second = PlainContext(folder)
    _, resumed = run(folder, ctx=second)
    assert len(second.beats) == 14 - after
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert (tmp_path / "whole/out/landscape.npz").read_bytes() == (folder / "out/landscape.npz").read_bytes()


def test_rows_of_another_machine_are_not_continued(tmp_path: Path) -> None:
    ctx = PlainContext(tmp_path)
    rows = loss_landscape.Rows(ctx, (1, 3, 3), 1.0)
    rows.losses[0, 0] = 7.0
    rows.finish(0, 0)
    assert loss_landscape.Rows(ctx, (1, 3, 3), 1.0).done.sum() == 1
    assert loss_landscape.Rows(ctx, (1, 3, 3), math.nextafter(1.0, 2)).done.sum() == 0
    assert loss_landscape.Rows(ctx, (1, 5, 5), 1.0).done.sum() == 0


class Cliff(nn.Module):
    """Overflows where its weights have grown."""

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.limit, self.head = limit, nn.Linear(36, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.head(x.flatten(1))
        return out * math.inf if float(self.head.weight.norm()) > self.limit else out


def test_points_that_are_not_finite_stay_and_are_counted(tmp_path: Path) -> None:
    with streams.borrowed(0):
        net = Cliff(0.0).eval()
    net.limit = float(net.head.weight.detach().norm()) * 1.5
    result, arrays = run(tmp_path, net, slices=1, span=2.0)
    holes = int((~np.isfinite(arrays["losses"])).sum())
    assert 0 < holes < 49
    assert result.outcome == "ok"  # the picture is worth keeping; a table reads the absent columns as refused
    assert result.values == {"not_finite": holes, "images": 40, "error": 0.0, "centre": arrays["losses"][0, 3, 3]}
    assert "range" not in result.uncertainty
    assert f"{holes} of 49 points" in result.notes["not_finite"]
    assert np.isfinite(arrays["losses"][0, 3, 3])
    assert not np.isfinite(arrays["losses"][0, 6, 6])


def test_a_network_that_is_broken_at_its_centre_has_no_centre(tmp_path: Path) -> None:
    net = mlp()
    with torch.no_grad():
        net[1].bias[0] = math.nan
    result, arrays = run(tmp_path, net)
    assert result.values == {"not_finite": 98, "images": 40, "error": 0.0}
    assert np.isnan(arrays["losses"]).all()


def test_a_constant_landscape_is_refused(tmp_path: Path) -> None:
    net = mlp()
    with torch.no_grad():
        net[3].weight.zero_()
    with pytest.raises(Refusal, match="a slice is constant"):
        run(tmp_path, net)
    with torch.no_grad():
        net[1].weight.zero_()
    with pytest.raises(Refusal, match="all weights are zero"):
        run(tmp_path, net)


def test_more_slices_and_more_seeds_keep_what_was(tmp_path: Path) -> None:
    _, two = run(tmp_path / "a", slices=2)
    _, three = run(tmp_path / "b", slices=3)
    _, other = run(tmp_path / "c", seed=1, model=subjects.network(0))
    assert np.array_equal(two["losses"], three["losses"][:2])
    assert not np.array_equal(two["losses"], other["losses"])
    assert np.array_equal(two["index"], other["index"])
    assert other["losses"][0, 3, 3] == two["losses"][0, 3, 3]


def test_the_evaluation_set() -> None:
    small, large = loss_landscape.subset(100, 10), loss_landscape.subset(100, 30)
    assert set(small) < set(large)
    assert (np.diff(large) > 0).all()
    assert len(loss_landscape.subset(5, 10)) == 5


@pytest.mark.parametrize("grid", [3, 4, 25, 50, 51, 101])
def test_places_are_symmetric_and_odd_ones_have_a_middle(grid: int) -> None:
    found = loss_landscape.places(grid, 0.7)
    assert np.array_equal(found, -found[::-1])
    assert found[0] == -0.7
    assert (0.0 in found) == (grid % 2 == 1)
    assert np.diff(found) == pytest.approx(1.4 / (grid - 1), rel=1e-12)


def test_values_and_their_uncertainty(tmp_path: Path) -> None:
    result, arrays = run(tmp_path, slices=3)
    spans = [float(np.ptp(f)) for f in arrays["losses"]]
    assert result.values["range@slice"] == {str(i): value for i, value in enumerate(spans)}
    assert result.values["range"] == pytest.approx(np.mean(spans))
    assert result.uncertainty["range"]["se"] == pytest.approx(np.std(spans, ddof=1) / math.sqrt(3))
    single, _ = run(tmp_path / "one", slices=1)
    assert "range" not in single.uncertainty
