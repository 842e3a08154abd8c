"""Strategies against forgetting: closed forms of their terms, and whole runs through the real training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from crucis import shelf, streams
from crucis.errors import Divergence, Refusal, Stopped
from crucis.measure import strategies
from crucis.measure.evaluate import batches
from crucis.measure.information import fisher
from crucis.measure.perturbations import second_task
from crucis.nets.weights import load_weights
from crucis.testing import perturbations, subjects
from crucis.testing.contexts import PlainContext
from crucis.testing.instruments import unchanged
from crucis.train.cadence import Cadence
from crucis.train.continuation import continuation
from crucis.train.settings import resolve

PLAIN = {
    "batch": 16, "lr": 0.05, "optimiser": {"sgd": {"momentum": 0.0}}, "weight_decay": 0.0, "schedule": "constant",
    "warmup": 0.0, "length": "5 steps", "evaluate_every": "1000 steps",
}  # fmt: skip


def subject(folder: Path, *, context: PlainContext | None = None, **params: Any) -> Any:
    """A network that knows task A, and the real loop for task B."""
    known = perturbations.specimen(folder)
    ctx = context or known.ctx
    settings = resolve({**PLAIN, **params}, len(known.data.train))
    return replace(known, ctx=ctx, trainer=continuation(known.model, settings, known.seed, known.depth, ctx))


def run(folder: Path, *, settings: dict[str, Any] | None = None, **params: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    found = subject(folder, **(settings or {}))
    with unchanged(found.model):
        result = second_task.perturb(found, **{"record_at": [2, 8, 30], **params})
    return result, load_weights(found.ctx.out / "model.safetensors")


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


# -- terms ------------------------------------------------------------------------------------------------------------


class Point(nn.Module):
    def __init__(self, values: np.ndarray) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.from_numpy(values))


def descend(live: Point, term: Any, matrix: np.ndarray, optimum: np.ndarray, steps: int = 20_000) -> np.ndarray:
    """Gradient descent on (theta - optimum)' matrix (theta - optimum) / 2 + term."""
    b, centre = torch.from_numpy(matrix), torch.from_numpy(optimum)
    optimiser = torch.optim.SGD(live.parameters(), lr=0.1)
    for _ in range(steps):
        away = live.theta - centre
        loss = 0.5 * away @ b @ away + term(None, None, None)
        before = live.theta.detach().clone()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if torch.equal(before, live.theta):
            break
    return live.theta.detach().numpy()


def quadratic(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((4, 4)))
    return rng.standard_normal(4), rng.standard_normal(4), (q * rng.uniform(0.5, 3, 4)) @ q.T, rng.uniform(0.2, 2, 4)


@pytest.mark.parametrize("weight", [0.3, 1.0, 4.0])
def test_elastic_weights_on_quadratic_tasks(weight: float) -> None:
    """The minimum is (B + lambda F)^-1 (B b + lambda F a)."""
    a, b, matrix, diagonal = quadratic(0)
    made = strategies.elastic(Point(a), {"theta": torch.from_numpy(diagonal)}, weight)
    live = Point(a.copy())
    got = descend(live, made(live), matrix, b)
    want = np.linalg.solve(matrix + weight * np.diag(diagonal), matrix @ b + weight * diagonal * a)
    np.testing.assert_allclose(got, want, atol=1e-13)


def test_with_the_true_curvature_it_is_the_joint_optimum() -> None:
    a, b, matrix, diagonal = quadratic(1)
    made = strategies.elastic(Point(a), {"theta": torch.from_numpy(diagonal)}, 1.0)
    live = Point(a.copy())
    got = descend(live, made(live), matrix, b)
    both = diagonal * (got - a) + matrix @ (got - b)  # gradient of the sum of the two tasks
    np.testing.assert_allclose(both, 0.0, atol=1e-13)


def test_the_penalty_is_half_lambda_f_squared_and_its_anchor_stays() -> None:
    anchor = Point(np.array([1.0, 2.0]))
    made = strategies.elastic(anchor, {"theta": torch.tensor([3.0, 5.0], dtype=torch.float64)}, 2.0)
    live = Point(np.array([2.0, 4.0]))
    term = made(live)
    with torch.no_grad():
        anchor.theta.zero_()
    assert float(term(None, None, None).detach()) == 3.0 * 1 + 5.0 * 4
    (gradient,) = torch.autograd.grad(term(None, None, None), [live.theta])
    assert gradient.tolist() == [2 * 3.0 * 1, 2 * 5.0 * 2]


def test_distillation_is_least_where_nothing_changed() -> None:
    net, x = subjects.network(), torch.randn(7, 1, 6, 6, generator=streams.generator(0, "x"))
    term = strategies.distilled(net, [0, 2], 1.5, 2.0)(net)
    logits = net(x).detach().requires_grad_()
    value = term(net, x, logits)
    (gradient,) = torch.autograd.grad(value, [logits])
    np.testing.assert_allclose(gradient.numpy(), 0.0, atol=1e-6)
    p = (logits.detach()[:, [0, 2]] / 2).softmax(1)
    assert value.item() == pytest.approx(1.5 * 4 * float(-(p * p.log()).sum(1).mean()), rel=1e-6)
    moved = (logits.detach() + torch.randn(7, 6, generator=streams.generator(1, "x"))).requires_grad_()
    assert term(net, x, moved).item() > value.item()
    (gradient,) = torch.autograd.grad(term(net, x, moved), [moved])
    assert float(gradient[:, [1, 3, 4, 5]].abs().sum()) == 0.0


def test_memory_is_even_over_classes_and_grows() -> None:
    from crucis.data.dataset import Split

    y = np.array([0] * 30 + [1] * 5 + [2] * 15)
    split = Split(np.zeros((50, 2), np.float32), y)
    small, large = (strategies.memory(split, size, np.random.default_rng(0)) for size in (9, 24))
    assert np.bincount(y[small]).tolist() == [3, 3, 3]
    assert sorted(np.bincount(y[large])) == [5, 9, 10]
    assert set(small) < set(large)
    assert len(strategies.memory(split, 99, np.random.default_rng(0))) == 50


# -- whole runs ------------------------------------------------------------------------------------------------------


def test_strength_zero_is_naive_bit_for_bit(tmp_path: Path) -> None:
    naive, weights = run(tmp_path / "naive")
    for strategy in ("ewc", "replay", "lwf"):
        result, same = run(tmp_path / strategy, strategy=strategy, strength=0.0)
        assert equal(weights, same)
        assert result.values == naive.values
    # Also when the term is there and has no weight, it changes no bit.
    found = subject(tmp_path / "term")
    zero = strategies.elastic(found.model, {n: torch.ones_like(p) for n, p in found.model.named_parameters()}, 0.0)
    found.trainer(found.task, steps=30, probe=None, probe_at=(), term=zero)
    assert equal(weights, load_weights(found.ctx.out / "model.safetensors"))


def test_large_strength_keeps_the_first_task(tmp_path: Path) -> None:
    """All weights that the first task is informed about stay; descent needs a small step to stand such springs."""
    settings = {"lr": 1e-4}
    steps = [2, 8, 120]
    naive, loose = run(tmp_path / "naive", settings={"lr": 0.05}, record_at=steps)
    result, held = run(tmp_path / "ewc", settings=settings, strategy="ewc", strength=2e4, record_at=steps)
    start = subject(tmp_path / "start").model.state_dict()
    names = [name for name, _ in subjects.network().named_parameters()]
    told = result.notes["strategy"]
    assert told["lambda"] * told["fisher_trace"] == pytest.approx(2e4)
    far, near = (sum(float((w[n] - start[n]).square().sum()) for n in names) ** 0.5 for w in (loose, held))
    assert near < 0.05 * far
    assert naive.values["retention"]["120"] < 0.5
    assert result.values["retention"]["120"] > 0.9


def test_ewc_holds_on_in_between(tmp_path: Path) -> None:
    naive, loose = run(tmp_path / "naive")
    result, held = run(tmp_path / "ewc", strategy="ewc", strength=500.0)
    assert not equal(loose, held)
    assert result.values["aurc"] > naive.values["aurc"]
    found = subject(tmp_path / "again")
    data = found.data
    diagonal = fisher(found.model, batches(data.train, data.mean, data.std, batch=48, device="cpu"), draws=0)
    assert result.notes["strategy"]["fisher_trace"] == pytest.approx(diagonal.trace, rel=0.1)

    def drift(weights: dict[str, torch.Tensor]) -> float:
        rows = found.model.named_parameters()
        return sum(float((diagonal.diagonal[n] * (weights[n] - p.detach()) ** 2).sum()) for n, p in rows)

    assert drift(held) < 0.7 * drift(loose)


def test_springs_too_stiff_for_the_step_diverge_and_say_so(tmp_path: Path) -> None:
    found = subject(tmp_path, lr=1.0)
    with pytest.raises((Divergence, Refusal)):
        second_task.perturb(found, strategy="ewc", strength=1e6, record_at=[200])


def test_cosine_lets_the_rate_fall(tmp_path: Path) -> None:
    run(tmp_path / "naive")
    result, _ = run(tmp_path / "cosine", strategy="cosine", settings={"evaluate_every": "1 steps"})
    rates = np.load(tmp_path / "cosine" / "out" / "curve.npz")["lr"]
    np.testing.assert_allclose(rates, 0.05 * (1 + np.cos(np.pi * np.arange(30) / 30)) / 2)
    assert result.notes == {}


@pytest.mark.parametrize(("strategy", "strength"), [("replay", None), ("lwf", 10.0)])
def test_rehearsal_and_distillation_forget_less(strategy: str, strength: float | None, tmp_path: Path) -> None:
    naive, _ = run(tmp_path / "naive")
    result, _ = run(tmp_path / strategy, strategy=strategy, strength=strength, memory=24)
    assert result.values["aurc"] > naive.values["aurc"]
    assert result.notes["strategy"]["strength"] == (strength or 1.0)


@pytest.mark.parametrize("strategy", ["ewc", "cosine", "replay", "lwf"])
def test_every_strategy_holds_the_suite(strategy: str, tmp_path: Path) -> None:
    leaf = shelf.leaf("perturb", "second_task")

    def entry(specimen: Any, **params: Any) -> Any:
        settings = resolve(PLAIN, len(specimen.data.train))
        trainer = continuation(specimen.model, settings, specimen.seed, specimen.depth, specimen.ctx)
        return second_task.perturb(replace(specimen, trainer=trainer), **{**params, "strategy": strategy, "memory": 12})

    perturbations.check(leaf, tmp_path, run=entry)


@pytest.mark.parametrize("strategy", ["ewc", "replay"])
def test_an_interrupted_run_goes_on_bit_for_bit(strategy: str, tmp_path: Path, monkeypatch: Any) -> None:
    whole, weights = run(tmp_path / "whole", strategy=strategy, memory=12)
    monkeypatch.setattr(Cadence, "wants_save", lambda self: True)
    stopping = PlainContext(tmp_path / "parts", stop_after=15)
    with pytest.raises(Stopped):
        second_task.perturb(
            subject(tmp_path / "a", context=stopping), strategy=strategy, memory=12, record_at=[2, 8, 30]
        )
    assert list(stopping.scratch.iterdir())
    again = PlainContext(tmp_path / "parts")
    result = second_task.perturb(
        subject(tmp_path / "b", context=again), strategy=strategy, memory=12, record_at=[2, 8, 30]
    )
    assert equal(weights, load_weights(again.out / "model.safetensors"))
    assert result.values == whole.values


@pytest.mark.parametrize("chunks", [2, 4])
def test_a_term_counts_once_however_a_batch_is_cut(chunks: int, tmp_path: Path) -> None:
    """Without normalisation and dropout a batch in parts has the gradient of the whole."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 6)).eval()
    rows = []
    for parts in (1, chunks):
        base = subjects.model_specimen(tmp_path / str(parts), model=net)
        settings = resolve({**PLAIN, "accumulate": parts}, len(base.data.train))
        term = strategies.elastic(net, {n: torch.ones_like(p) for n, p in net.named_parameters()}, 3.0)
        continuation(net, settings, 0, 0, base.ctx)(base.data, steps=12, term=term)
        rows.append(load_weights(base.ctx.out / "model.safetensors"))
    assert all(torch.allclose(rows[0][n], rows[1][n], atol=1e-6) for n in rows[0])
    assert not equal(rows[0], net.state_dict())
