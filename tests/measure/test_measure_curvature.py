"""Curvature of small networks against their full Hessian; the instrument, its invariances and refusals."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call, hessian
from torch.nn.attention import SDPBackend, sdpa_kernel

from crucis.errors import Refusal, Stopped
from crucis.measure.curvature import Hessian, cross_entropy, inner
from crucis.measure.instruments import hessian as instrument
from crucis.numerics import hutchinson, lanczos
from crucis.testing import subjects
from crucis.testing.contexts import PlainContext
from crucis.testing.instruments import unchanged


def problem(seed: int, *, sizes: tuple[int, ...] = (4, 9, 3), scale: float = 1.0, count: int = 40):
    """A tanh network in float64 and examples; fewer than 500 parameters."""
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.Tanh()]
    net = nn.Sequential(*layers[:-1]).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    x = torch.randn(count, sizes[0], generator=generator, dtype=torch.float64)
    y = torch.randint(0, sizes[-1], (count,), generator=generator)
    return net, x, y


def full(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> np.ndarray:
    """The Hessian by another way: forward over reverse, all columns at once."""
    params = {name: value.detach() for name, value in net.named_parameters()}
    sizes = [value.numel() for value in params.values()]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        pieces = flat.split(sizes)
        state = {n: p.view(v.shape) for p, (n, v) in zip(pieces, params.items(), strict=True)}
        return cross_entropy(functional_call(net, state, (x,)), y, "mean")

    return hessian(loss)(torch.cat([v.reshape(-1) for v in params.values()])).numpy()


def ends(net: nn.Module, parts) -> lanczos.Extremes:
    made = Hessian(net, parts)
    start = torch.randn(made.n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return lanczos.extremes(made, start, steps=120, tolerance=1e-9)


@pytest.mark.parametrize(("seed", "scale"), [(0, 0.5), (1, 2.0)])
def test_products_are_those_of_the_full_hessian(seed: int, scale: float) -> None:
    net, x, y = problem(seed, scale=scale)
    want, made = full(net, x, y), Hessian(net, [(x[:13], y[:13]), (x[13:], y[13:])])
    got = torch.stack(made.products(list(torch.eye(made.n, dtype=torch.float64)))).numpy()
    assert made.n == len(want) < 500
    np.testing.assert_allclose(got, want, atol=1e-14)
    values = np.linalg.eigvalsh(want)
    found = ends(net, [(x, y)])
    assert found.top == pytest.approx(values[-1], abs=1e-9)
    assert found.bottom == pytest.approx(values[0], abs=1e-9)
    basis = list(np.sqrt(made.n) * torch.eye(made.n, dtype=torch.float64))
    exact = hutchinson.trace(made.products, basis, block=made.block, inner=inner)
    assert exact.value == pytest.approx(np.trace(want), abs=1e-12)


def test_a_smallest_eigenvalue_of_larger_magnitude_and_a_negative_trace() -> None:
    """Far from a minimum, with confident wrong answers, curvature is mostly negative."""
    for seed in range(200):
        net, x, y = problem(seed, sizes=(3, 4, 3), scale=3.0, count=3)
        want = full(net, x, y)
        values = np.linalg.eigvalsh(want)
        if -values[0] > 1.5 * values[-1] > 0 and np.trace(want) < 0:
            break
    else:
        pytest.fail("no such case among the first 200")
    found = ends(net, [(x, y)])
    assert found.top == pytest.approx(values[-1], abs=1e-8)
    assert found.bottom == pytest.approx(values[0], abs=1e-8)
    made = Hessian(net, [(x, y)])
    probes = [torch.from_numpy(p) for p in np.random.default_rng(0).choice([-1.0, 1.0], size=(300, made.n))]
    got = hutchinson.trace(made.products, probes, block=16, inner=inner)
    assert got.value < 0
    assert abs(got.value - np.trace(want)) < 4 * got.se
    assert got.se == pytest.approx(np.sqrt(hutchinson.variance(want) / 300), rel=0.25)


def test_attention_is_differentiated_twice() -> None:
    from crucis.nets.vit import build

    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inward, self.out = nn.Linear(6, 12), nn.Linear(4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.inward(x.view(len(x), 4, 6)).chunk(3, -1)
            return self.out(nn.functional.scaled_dot_product_attention(q, k, v).mean(1))

    fused = Fused().double().eval()
    x, y = torch.randn(6, 24, dtype=torch.float64), torch.arange(6) % 3
    v = torch.randn(Hessian(fused, [(x, y)]).n, dtype=torch.float64)
    np.testing.assert_allclose(Hessian(fused, [(x, y)])(v).numpy(), full(fused, x, y) @ v.numpy(), atol=1e-12)
    net = build((1, 8, 8), 3, width=8, depth=1, heads=2, patch=4).eval()
    product = Hessian(net, [(torch.randn(4, 1, 8, 8), torch.arange(4) % 3)])
    assert torch.isfinite(product(torch.ones(product.n))).all()


def test_the_instrument_against_the_full_hessian(tmp_path: Path) -> None:
    from crucis.measure.evaluate import batches

    subject = subjects.model_specimen(tmp_path)
    ((x, y),) = batches(subject.data.train, subject.data.mean, subject.data.std, batch=100, device="cpu")
    double = subjects.network().double()
    want = full(double, x.double(), y)
    values = np.linalg.eigvalsh(want)
    with unchanged(subject.model):
        got = instrument.measure(subject, probes=60, steps=50, tolerance=1e-4)
    assert got.values["images"] == len(y) == 48
    assert got.values["top"] == pytest.approx(values[-1], rel=1e-4)
    assert got.values["bottom"] == pytest.approx(values[0], rel=1e-2, abs=1e-4)
    assert got.values["residual"] < 1e-3 * values[-1]
    trace = got.uncertainty["trace"]
    assert abs(got.values["trace"] - np.trace(want)) < 4 * trace["se"]
    assert trace["se"] == pytest.approx(np.sqrt(hutchinson.variance(want) / 60), rel=0.4)
    saved = np.load(tmp_path / "out" / "spectrum.npz")
    assert saved["samples"].mean() == pytest.approx(got.values["trace"])
    assert saved["weights"].sum() == pytest.approx(1.0)


def test_batches_change_rounding_only_and_more_probes_keep_the_first(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    one = instrument.measure(subject, probes=4, steps=8, tolerance=0.0)
    first = dict(np.load(tmp_path / "out" / "spectrum.npz"))
    two = instrument.measure(subject, probes=6, steps=8, tolerance=0.0, batch=7)
    more = dict(np.load(tmp_path / "out" / "spectrum.npz"))
    np.testing.assert_allclose(more["samples"][:4], first["samples"], rtol=1e-4)
    assert two.values["top"] == pytest.approx(one.values["top"], rel=1e-4)
    other = instrument.measure(replace(subject, seed=1), probes=4, steps=8, tolerance=0.0)
    assert other.values["trace"] != one.values["trace"]


def test_a_network_without_curvature_is_refused(tmp_path: Path) -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 6) * self.weight.sum()

    with pytest.raises(Refusal) as caught:
        instrument.measure(subjects.model_specimen(tmp_path, model=Flat().eval()), probes=2, steps=3)
    assert caught.value.code == "degenerate"
    frozen = subjects.network().requires_grad_(False)
    with pytest.raises(Refusal) as caught:
        instrument.measure(subjects.model_specimen(tmp_path, model=frozen))
    assert caught.value.code == "not_applicable"


def test_a_network_without_second_derivatives_is_refused(tmp_path: Path) -> None:
    class Hard(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = subjects.network()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.inner[:-1](x).view(len(x), 1, 9, 8)
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # insists on a kernel with a first derivative only
                h = nn.functional.scaled_dot_product_attention(h, h, h)
            return self.inner[-1](h.flatten(1))

    with pytest.raises(Refusal) as caught:
        instrument.measure(subjects.model_specimen(tmp_path, model=Hard().eval()), probes=2, steps=3)
    assert caught.value.code == "unsupported"


def test_it_stops_when_asked_and_reports(tmp_path: Path) -> None:
    context = PlainContext(tmp_path, stop_after=2)
    with pytest.raises(Stopped):
        instrument.measure(subjects.model_specimen(tmp_path, ctx=context), probes=4, batch=16)
    assert len(context.beats) == 2
