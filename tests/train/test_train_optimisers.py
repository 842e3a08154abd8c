"""Every optimiser against the formula of its docstring in float64."""

import numpy as np
import pytest
import torch

from crucis import shelf


def sgd(w, grads, lr, decay, momentum=0.9, nesterov=True, dampening=0.0, form="torch"):
    v = None
    if form == "caffe":
        return _caffe(w, grads, lr, decay, momentum, nesterov)
    for rate, g in zip(lr, grads, strict=True):
        g = g + decay * w
        v = g if v is None else momentum * v + (1 - dampening) * g
        w = w - rate * ((g + momentum * v) if nesterov and momentum else v)
    return w


def _caffe(w, grads, lr, decay, momentum, nesterov):
    v = np.zeros_like(w)
    for rate, g in zip(lr, grads, strict=True):
        old = v
        v = momentum * v + rate * (g + decay * w)
        w = w - ((1 + momentum) * v - momentum * old if nesterov else v)  # as SGDSolver and NesterovSolver write it
    return w


def _norm(x):
    return float(np.sqrt(np.sum(x * x)))


def lars(w, grads, lr, decay, momentum=0.9, trust_coefficient=0.001, nesterov=False, ratio="joint", adapt="decayed"):
    v = np.zeros_like(w)
    for rate, g in zip(lr, grads, strict=True):
        whole = g + decay * w
        local = rate
        if decay or adapt == "all":
            below = _norm(whole) if ratio == "joint" else _norm(g) + decay * _norm(w)
            local = rate * trust_coefficient * _norm(w) / below
        v = momentum * v + local * whole
        w = w - (momentum * v + local * whole if nesterov else v)
    return w


def lamb(w, grads, lr, decay, beta1=0.9, beta2=0.999, eps=1e-6, bias_correction=True, largest_norm=None,
         largest_trust=None, adapt="decayed"):  # fmt: skip
    m = v = 0.0
    for k, (rate, g) in enumerate(zip(lr, grads, strict=True), 1):
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
        mh, vh = (m / (1 - beta1**k), v / (1 - beta2**k)) if bias_correction else (m, v)
        r = mh / (np.sqrt(vh) + eps) + decay * w
        phi = min(_norm(w), largest_norm or np.inf)
        trust = min(phi / _norm(r), largest_trust or np.inf) if decay or adapt == "all" else 1.0
        w = w - rate * trust * r
    return w


def rmsprop_tf(w, grads, lr, decay, smoothing=0.9, momentum=0.0, eps=1e-10, centred=False):
    s, mean, v = np.ones_like(w), np.zeros_like(w), np.zeros_like(w)
    for rate, g in zip(lr, grads, strict=True):
        g = g + decay * w
        s = smoothing * s + (1 - smoothing) * g * g
        mean = smoothing * mean + (1 - smoothing) * g
        v = momentum * v + rate * g / np.sqrt(s - (mean * mean if centred else 0.0) + eps)
        w = w - v
    return w


def _adam(w, grads, lr, decay, beta1, beta2, eps, decoupled):
    m = v = 0.0
    for k, (rate, g) in enumerate(zip(lr, grads, strict=True), 1):
        if decoupled:
            w = w - rate * decay * w
        else:
            g = g + decay * w
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w = w - rate * (m / (1 - beta1**k)) / (np.sqrt(v / (1 - beta2**k)) + eps)
    return w


def adam(w, grads, lr, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    return _adam(w, grads, lr, decay, beta1, beta2, eps, False)


def adamw(w, grads, lr, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    return _adam(w, grads, lr, decay, beta1, beta2, eps, True)


def rmsprop(w, grads, lr, decay, smoothing=0.99, momentum=0.0, eps=1e-8, centred=False):
    s = mean = v = 0.0
    for rate, g in zip(lr, grads, strict=True):
        g = g + decay * w
        s = smoothing * s + (1 - smoothing) * g * g
        mean = smoothing * mean + (1 - smoothing) * g
        step = g / (np.sqrt(s - mean * mean if centred else s) + eps)
        v = momentum * v + step
        w = w - rate * v
    return w


CASES = [
    (sgd, {}),
    (sgd, {"momentum": 0.0}),
    (sgd, {"momentum": 0.5, "nesterov": False}),
    (adam, {}),
    (adam, {"beta1": 0.5, "beta2": 0.9, "eps": 0.01}),
    (adamw, {}),
    (adamw, {"beta1": 0.0, "eps": 0.1}),
    (rmsprop, {}),
    (rmsprop, {"smoothing": 0.9, "momentum": 0.7, "centred": True, "eps": 0.01}),
    (sgd, {"nesterov": False, "dampening": 0.3}),
    (sgd, {"form": "caffe"}),
    (sgd, {"form": "caffe", "nesterov": False}),
    (lars, {}),
    (lars, {"trust_coefficient": 0.1, "nesterov": True, "momentum": 0.5}),
    (lars, {"trust_coefficient": 0.02, "ratio": "apart", "adapt": "all"}),
    (lamb, {}),
    (lamb, {"bias_correction": False, "adapt": "all", "eps": 0.01, "beta1": 0.5}),
    (lamb, {"largest_norm": 2.0, "beta2": 0.9}),
    (lamb, {"largest_trust": 1.0}),
    (rmsprop_tf, {}),
    (rmsprop_tf, {"momentum": 0.9, "eps": 0.001}),
    (rmsprop_tf, {"momentum": 0.5, "centred": True, "eps": 1.0}),
]
STEPS = 50


def test_every_optimiser_has_a_reference():
    assert {case.__name__ for case, _ in CASES} == set(shelf.names("optimisers"))


def _weights(start, kind):
    return [torch.nn.Parameter(torch.tensor(w, dtype=kind)) for w in start]


def _groups(weights, lr, decay, name):
    adapts = {"adapt": (True, False)} if name in ("lars", "lamb") else {}
    return [{"params": [w], "lr": lr, "weight_decay": d, **{key: both[k] for key, both in adapts.items()}}
            for k, (w, d) in enumerate(zip(weights, (decay, 0.0), strict=True))]  # fmt: skip


@pytest.mark.parametrize(("reference", "params"), CASES, ids=lambda part: getattr(part, "__name__", str(part)))
@pytest.mark.parametrize(("lr", "decay"), [(0.1, 0.0), (0.02, 0.3), (0.5, 0.01)])
def test_equal_to_the_formula(reference, params, lr, decay):
    """50 steps at rates that change; the second group neither decays nor is adapted."""
    rng = np.random.default_rng(1)
    start = [rng.normal(size=(3, 4)), rng.normal(size=(5,))]
    grads = [[rng.normal(size=w.shape) for _ in range(STEPS)] for w in start]
    rates = lr * np.where(np.arange(STEPS) < 20, 1.0, 0.1) * (1 + 0.5 * np.sin(np.arange(STEPS)))
    if reference.__name__ in ("lars", "lamb") and decay == 0.0:
        params = {**params, "adapt": "all"}
    weights = _weights(start, torch.float64)
    optimiser = shelf.load(shelf.leaf("optimisers", reference.__name__))(
        _groups(weights, lr, decay, reference.__name__), **params
    )
    for k in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = rates[k]
        for w, g in zip(weights, grads, strict=True):
            w.grad = torch.tensor(g[k])
        optimiser.step()
    for w, s, g, d in zip(weights, start, grads, (decay, 0.0), strict=True):
        expected = reference(s, g, rates, d, **params)
        assert np.isfinite(expected).all()
        assert w.detach().numpy() == pytest.approx(expected, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("name", ["lars", "lamb"])
def test_a_tensor_of_zeros_moves_with_the_plain_rate(name):
    """No ratio of norms exists there; a ratio of zero would keep a head that starts at zero where it is."""
    param = torch.nn.Parameter(torch.zeros(3))
    groups = [{"params": [param], "lr": 0.1, "weight_decay": 0.1, "adapt": True}]
    optimiser = shelf.load(shelf.leaf("optimisers", name))(groups)
    param.grad = torch.tensor([1.0, -2.0, 0.5])
    optimiser.step()
    moved = {"lars": -0.1 * param.grad, "lamb": -0.1 * torch.sign(param.grad)}[name]
    assert torch.allclose(param.detach(), moved, atol=1e-5)
    param.grad = torch.zeros(3)
    optimiser.step()
    assert torch.isfinite(param).all()


@pytest.mark.parametrize("name", ["lars", "lamb", "rmsprop_tf"])
def test_a_parameter_without_a_gradient_stays(name):
    still, moves = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimiser = shelf.load(shelf.leaf("optimisers", name))([{"params": [still, moves], "lr": 0.1, "weight_decay": 0.1}])
    moves.grad = torch.tensor([1.0, 0.5])
    optimiser.step()
    assert torch.equal(still, torch.ones(2)) and not torch.equal(moves, torch.ones(2))


def test_both_forms_of_momentum_are_one_at_a_constant_rate():
    rng = np.random.default_rng(3)
    grads = [rng.normal(size=4) for _ in range(30)]
    for nesterov in (False, True):
        out = []
        for form in ("torch", "caffe"):
            (w,) = _weights([np.ones(4)], torch.float64)
            optimiser = shelf.load(shelf.leaf("optimisers", "sgd"))(
                [{"params": [w], "lr": 0.1, "weight_decay": 0.1}], nesterov=nesterov, form=form
            )
            for g in grads:
                w.grad = torch.tensor(g)
                optimiser.step()
            out.append(w.detach().numpy())
        assert out[0] == pytest.approx(out[1], abs=1e-12)


@pytest.mark.parametrize(("name", "params"), [
    *((name, {}) for name in sorted(shelf.names("optimisers"))),
    ("sgd", {"momentum": 0.0}), ("sgd", {"nesterov": False, "dampening": 0.3}), ("sgd", {"form": "caffe"}),
], ids=str)  # fmt: skip
def test_a_parameter_may_have_its_first_gradient_later(name, params):
    """Each element moves as in a training that began with its first gradient: the others do not reach it."""
    build = shelf.load(shelf.leaf("optimisers", name))
    grads = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    pair = [torch.nn.Parameter(torch.ones(4)) for _ in range(2)]
    alone = torch.nn.Parameter(torch.ones(4))
    extra = {"adapt": True} if name in ("lars", "lamb") else {}
    both = build([{"params": pair, "lr": 0.1, "weight_decay": 0.01, **extra}], **params)
    late = build([{"params": [alone], "lr": 0.1, "weight_decay": 0.01, **extra}], **params)
    for i, grad in enumerate(grads):
        pair[0].grad = grad.clone()
        pair[1].grad = grad.clone() if i >= 2 else None
        both.step()
        if i >= 2:
            alone.grad = grad.clone()
            late.step()
    assert torch.equal(pair[1], alone) and not torch.equal(pair[1], pair[0])
