"""Fisher information against closed forms; independent of batches, buffers untouched, both ways of taking gradients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from crucis import streams
from crucis.errors import Refusal
from crucis.measure.curvature import Hessian
from crucis.measure.evaluate import batches
from crucis.measure.information import fisher
from crucis.measure.instruments import fisher as instrument
from crucis.nets.weights import load_weights
from crucis.testing import subjects
from crucis.testing.instruments import unchanged


def regression(seed: int = 0, count: int = 50, scale: float = 1.0):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Linear(4, 3).double().eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    x = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    return net, x, torch.randint(0, 3, (count,), generator=generator)


def flat(diagonal) -> np.ndarray:
    return torch.cat([part.reshape(-1) for part in diagonal.values()]).numpy()


def by_hand(net: nn.Linear, x: torch.Tensor, targets: torch.Tensor) -> np.ndarray:
    """Mean of squared gradients of softmax regression: (p - target) x' and (p - target), targets (B, 3)."""
    rest = (net(x).softmax(1) - targets).detach()
    return np.concatenate([(rest.T**2 @ x**2 / len(x)).reshape(-1).numpy(), (rest**2).mean(0).numpy()])


def test_softmax_regression_true_fisher_is_the_hessian() -> None:
    net, x, y = regression()
    hessian = Hessian(net, [(x, y)])
    full = torch.stack(hessian.products(list(torch.eye(hessian.n, dtype=torch.float64)))).numpy()
    found = fisher(net, [(x, y)], draws=0)
    np.testing.assert_allclose(flat(found.diagonal), np.diag(full), atol=1e-15)
    assert found.trace == pytest.approx(np.trace(full), abs=1e-14)
    assert found.vectorised
    empirical = fisher(net, [(x, y)], kind="empirical")
    np.testing.assert_allclose(flat(empirical.diagonal), by_hand(net, x, functional.one_hot(y, 3)), atol=1e-15)
    assert empirical.trace > 1.5 * found.trace  # away from the optimum the two differ


def test_drawn_labels_estimate_the_expectation() -> None:
    net, x, y = regression()
    exact = fisher(net, [(x, y)], draws=0)
    drawn = fisher(net, [(x, y)], draws=400, generator=streams.generator(0, "labels"))
    assert drawn.trace == pytest.approx(exact.trace, rel=0.03)
    np.testing.assert_allclose(flat(drawn.diagonal), flat(exact.diagonal), rtol=0.15)


def test_of_a_sure_network_one_draw_is_nearly_enough() -> None:
    """Plain draws would nearly all be the likeliest label, and miss most of the trace."""
    net, x, y = regression(scale=4.0, count=300)
    exact = fisher(net, [(x, y)], draws=0).trace
    found = [fisher(net, [(x, y)], generator=streams.generator(k, "labels")).trace for k in range(12)]
    assert np.mean(found) == pytest.approx(exact, rel=0.03)
    assert np.std(found) < 0.1 * exact


def test_a_sure_network_has_no_information() -> None:
    net, x, y = regression(scale=1e4)
    assert fisher(net, [(x, y)], generator=streams.generator(0, "labels")).trace == pytest.approx(0.0, abs=1e-12)
    assert fisher(net, [(x, y)], kind="empirical").trace > 0.1


@pytest.mark.parametrize("kind", ["model", "empirical"])
def test_batches_change_rounding_only_and_buffers_stay(kind, tmp_path: Path) -> None:
    """With batch normalisation and dropout in the network."""
    subject = subjects.model_specimen(tmp_path)
    found = []
    for batch in (1, 7, 48):
        with unchanged(subject.model):
            result = instrument.measure(subject, kind=kind, batch=batch)
        found.append((result, {n: t.numpy() for n, t in load_weights(tmp_path / "out" / instrument.DIAGONAL).items()}))
    for result, diagonal in found[1:]:
        assert result.values == pytest.approx(found[0][0].values, rel=1e-5)
        assert all(np.allclose(diagonal[name], value, rtol=1e-3, atol=1e-9) for name, value in found[0][1].items())
    result, diagonal = found[0]
    assert sum(part.sum() for part in diagonal.values()) == pytest.approx(result.values["trace"], rel=1e-5)
    assert max(part.max() for part in diagonal.values()) == pytest.approx(result.values["top"], rel=1e-6)
    assert diagonal.keys() == dict(subject.model.named_parameters()).keys()
    assert result.uncertainty["trace"]["n"] == 48


class Stubborn(nn.Module):
    """Looks at a value, which no vectorised pass can."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) if float(x.detach().sum()) < 1e9 else x


def test_one_by_one_gives_the_same() -> None:
    net = subjects.network()
    data = subjects.data()
    parts = batches(data.train, data.mean, data.std, batch=20, device="cpu")
    fast = fisher(net, parts, generator=streams.generator(0, "labels"))
    slow = fisher(Stubborn(net).eval(), parts, generator=streams.generator(0, "labels"))
    assert (fast.vectorised, slow.vectorised) == (True, False)
    np.testing.assert_allclose(fast.squares, slow.squares, rtol=1e-4)
    np.testing.assert_allclose(flat(fast.diagonal), flat(slow.diagonal), rtol=1e-3, atol=1e-9)


def test_a_batch_mean_gradient_is_another_quantity() -> None:
    """What the squared gradient of a whole batch would have given: smaller by more than the batch allows for noise."""
    net, x, y = regression()
    loss = functional.cross_entropy(net(x), y)
    mean = sum(float(g.square().sum()) for g in torch.autograd.grad(loss, list(net.parameters())))
    assert mean < 0.7 * fisher(net, [(x, y)], kind="empirical").trace


def test_seeds_draw_other_labels_and_refusals(tmp_path: Path) -> None:
    subject = subjects.model_specimen(tmp_path)
    one = instrument.measure(subject).values["trace"]
    assert instrument.measure(replace(subject, seed=1)).values["trace"] != one
    assert instrument.measure(replace(subject, seed=1), kind="empirical").values == (
        instrument.measure(subject, kind="empirical").values
    )

    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(x), 6) * self.weight.sum()

    with pytest.raises(Refusal) as caught:
        instrument.measure(subjects.model_specimen(tmp_path, model=Flat().eval()))
    assert caught.value.code == "degenerate"
