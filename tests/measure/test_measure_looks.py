"""Where the axes of a landscape lead: lines, directions of curvature, planes through networks; half precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis import streams
from crucis.errors import Refusal, Stopped
from crucis.measure.evaluate import batches, evaluating, losses
from crucis.measure.instruments import loss_landscape, persistence
from crucis.measure.specimen import Specimen
from crucis.testing import subjects
from crucis.testing.contexts import PlainContext
from crucis.testing.instruments import unchanged


def softmax(seed: int = 3) -> nn.Module:
    """Few weights and a convex loss, so that its Hessian can be written down."""
    with streams.borrowed(seed):
        return nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(9, 6)).eval()


def run(folder: Path, model: nn.Module, others: dict[str, nn.Module] | None = None, **params: Any) -> Any:
    models = {"start": model, **others} if others else {"of": model}
    subject = subjects.model_specimen(folder, model=model, models=models)
    result = loss_landscape.measure(subject, **{"grid": 5, "slices": 1, "images": 40, **params})
    with np.load(subject.folder() / "landscape.npz") as file:
        return result, dict(file), subject


def examples(arrays: Any) -> Any:
    data = subjects.data()
    return batches(data.train.take(arrays["index"]), data.mean, data.std, batch=128, device="cpu")


def loss_of(model: nn.Module, arrays: Any) -> float:
    with evaluating(model):
        return losses(model, examples(arrays))[0]


def test_a_line_is_the_middle_column_of_its_plane(tmp_path: Path) -> None:
    net = softmax()
    _, plane, _ = run(tmp_path / "plane", net, slices=2)
    result, line, _ = run(tmp_path / "line", net, slices=2, dimensions=1)
    assert line["losses"].shape == (2, 5)
    assert np.array_equal(line["losses"], plane["losses"][:, :, 2])
    assert line["norms"][:, 1].tolist() == [0.0, 0.0]
    assert result.values["range"] == pytest.approx(np.ptp(line["losses"], axis=1).mean())
    with pytest.raises(Refusal, match="dimensions: 1"):
        ctx = PlainContext(tmp_path / "persistence")
        record = subjects.record_of(result, run(tmp_path / "again", net, slices=2, dimensions=1)[2].ctx)
        persistence.measure(Specimen(inputs={"of": record}, ctx=ctx), engine="gudhi", complex="cells")


def hessian_of_weights(net: nn.Module, arrays: Any) -> np.ndarray:
    ((x, y),) = examples(arrays)
    linear = net[2]

    def loss(weight: torch.Tensor) -> torch.Tensor:
        features = nn.Sequential(*list(net)[:2])(x)
        return nn.functional.cross_entropy(nn.functional.linear(features, weight, linear.bias), y)

    n = linear.weight.numel()
    return torch.autograd.functional.hessian(loss, linear.weight.detach()).reshape(n, n).double().numpy()


def test_axes_of_curvature_are_the_eigenvectors_of_the_full_hessian(tmp_path: Path) -> None:
    net = softmax()
    result, arrays, _ = run(tmp_path, net, slices=2, directions="hessian", span=0.1)
    full = hessian_of_weights(net, arrays)
    expected = np.linalg.eigvalsh(full)[::-1]
    assert arrays["eigenvalues"].shape == (2, 2)
    assert arrays["eigenvalues"].ravel() == pytest.approx(expected[:4], rel=2e-3)
    length = float(net[2].weight.detach().norm())
    assert arrays["norms"] == pytest.approx(np.full((2, 2), length), rel=1e-5)
    assert arrays["cosines"] == pytest.approx(np.zeros(2), abs=1e-4)
    # along an eigenvector of unit curvature lambda, scaled to |theta|, the loss bends by lambda |theta|^2
    step = arrays["coordinates"][3]
    for s in range(2):
        grid = arrays["losses"][s]
        bend = (grid[3, 2] - 2 * grid[2, 2] + grid[1, 2]) / step**2
        assert bend == pytest.approx(arrays["eigenvalues"][s, 0] * length**2, rel=0.05)
    assert result.outcome == "ok"


def test_more_directions_than_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="directions were asked for"):
        run(tmp_path, softmax(), slices=27, directions="hessian")


@pytest.mark.parametrize("policy", ["frozen", "recalibrated"])
def test_a_plane_through_networks_meets_them_bit_for_bit(policy: Any, tmp_path: Path) -> None:
    nets = [subjects.network(seed) for seed in (1, 2, 3)]
    with unchanged(nets[0]), unchanged(nets[1]), unchanged(nets[2]):
        result, arrays, _ = run(
            tmp_path, nets[0], {"end": nets[1], "third": nets[2]}, directions="solutions", batch_norm=policy
        )
    assert arrays["coordinates"].tolist() == [-0.5, 0.0, 0.5, 1.0, 1.5]
    grid = arrays["losses"][0]
    if policy == "frozen":
        channels_last = [net.to(memory_format=torch.channels_last) for net in map(_copy, nets)]
        assert [grid[1, 1], grid[3, 1], grid[1, 3]] == [loss_of(net, arrays) for net in channels_last]
    assert result.values["centre"] == grid[1, 1]
    distance = sum(
        float((a.detach().double() - b.detach().double()).square().sum())
        for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True)
    )
    assert arrays["norms"][0, 0] == pytest.approx(distance**0.5, rel=1e-6)


def _copy(net: nn.Module) -> nn.Module:
    import copy

    return copy.deepcopy(net)


def test_a_line_through_networks_is_what_the_barrier_sees(tmp_path: Path) -> None:
    from crucis.measure.segment import Segment

    nets = [subjects.network(seed) for seed in (1, 2)]
    _, arrays, _ = run(tmp_path, nets[0], {"end": nets[1]}, directions="solutions", dimensions=1, grid=9)
    segment = Segment(nets[0], nets[1], examples(arrays))
    for place, found in zip(arrays["coordinates"], arrays["losses"][0], strict=True):
        if 0 <= place <= 1:
            segment.place(float(place))
            assert found == pytest.approx(segment.loss(), rel=1e-5)


def test_planes_through_networks_that_mean_nothing_are_refused(tmp_path: Path) -> None:
    net = subjects.network(1)
    cases: list[tuple[dict[str, nn.Module] | None, dict[str, Any], str]] = [
        (None, {}, "start"),
        ({"end": softmax()}, {}, "differ in shape"),
        ({"end": net}, {}, "equal parameters"),
        ({"end": subjects.network(2)}, {"dimensions": 1, "slices": 2}, "one slice"),
        ({"end": subjects.network(2)}, {"precision": "bf16"}, "fp32 only"),
    ]
    for number, (others, params, says) in enumerate(cases):
        with pytest.raises(Refusal, match=says):
            run(tmp_path / str(number), net, others, directions="solutions", **params)


def test_a_plane_along_two_networks_and_chance_differs_between_slices(tmp_path: Path) -> None:
    nets = [subjects.network(seed) for seed in (1, 2)]
    _, arrays, _ = run(tmp_path, nets[0], {"end": nets[1]}, directions="solutions", slices=2)
    first, second = arrays["losses"]
    assert np.array_equal(first[:, 1], second[:, 1])  # the line itself is shared
    assert not np.array_equal(first[:, 0], second[:, 0])


def test_half_precision_says_how_wrong_it_is_and_persistence_heeds_it(tmp_path: Path) -> None:
    net = subjects.network(1)
    exact, plain, _ = run(tmp_path / "fp32", net, grid=7)
    result, low, subject = run(tmp_path / "bf16", net, grid=7, precision="bf16")
    error = float(np.abs(low["losses"] - plain["losses"]).max())
    assert exact.values["error"] == 0.0
    assert result.values["error"] == pytest.approx(error, rel=1e-6)  # 49 points: all of them are compared
    assert error > 0.0
    record = subjects.record_of(result, subject.ctx)
    ctx = PlainContext(tmp_path / "persistence")
    found = persistence.measure(Specimen(inputs={"of": record}, ctx=ctx), engine="gudhi", complex="cells")
    assert found.values["floor"] == 2 * result.values["error"]
    ctx = PlainContext(tmp_path / "log")
    logged = persistence.measure(
        Specimen(inputs={"of": record}, ctx=ctx), engine="gudhi", complex="cells", transform="log"
    )
    assert logged.values["floor"] == pytest.approx(2 * error / low["losses"].min())


def test_the_coarse_landscape_is_every_second_point(tmp_path: Path) -> None:
    net = subjects.network(4)
    result, arrays, subject = run(tmp_path / "fine", net, grid=9, slices=1, span=3.0)
    record = subjects.record_of(result, subject.ctx)
    found = persistence.measure(
        Specimen(inputs={"of": record}, ctx=PlainContext(tmp_path / "to")), engine="gudhi", complex="vertices"
    )
    ctx = PlainContext(tmp_path / "half")
    np.savez(ctx.out / "landscape.npz", losses=arrays["losses"][:, ::2, ::2])
    half = persistence.measure(
        Specimen(inputs={"of": subjects.record_of(result, ctx)}, ctx=PlainContext(tmp_path / "to_half")),
        engine="gudhi", complex="vertices",
    )  # fmt: skip
    assert found.values["h0_coarse"] == half.values["h0_total"]
    assert found.values["h1_coarse"] == half.values["h1_total"]


@pytest.mark.parametrize("params", [{"directions": "hessian"}, {"dimensions": 1}, {"precision": "bf16"}])
def test_an_interrupted_landscape_goes_on_at_its_row(params: dict[str, Any], tmp_path: Path) -> None:
    net = softmax()
    _, whole, _ = run(tmp_path / "whole", net, **params)

    class Impatient(PlainContext):
        rows = 0

        def beat(self, **progress: Any) -> None:
            self.rows += "row" in progress

        def stopping(self) -> bool:
            return self.rows >= 3

    ctx = Impatient(tmp_path / "half")
    subject = subjects.model_specimen(tmp_path / "half", model=net, models={"of": net}, ctx=ctx)
    with pytest.raises(Stopped):
        loss_landscape.measure(subject, grid=5, slices=1, images=40, **params)
    with np.load(ctx.scratch / "rows.npz") as kept:
        assert kept["done"].sum() == 3
    ctx.rows = -100
    loss_landscape.measure(subject, grid=5, slices=1, images=40, **params)
    with np.load(ctx.out / "landscape.npz") as file:
        assert np.array_equal(file["losses"], whole["losses"])
