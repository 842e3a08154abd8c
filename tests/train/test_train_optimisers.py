"""Every optimiser against the formula of its docstring in float64."""

import numpy as np
import pytest
import torch

from crucis import shelf


def sgd(w, grads, lr, decay, momentum=0.9, nesterov=True):
    v = None
    for g in grads:
        g = g + decay * w
        v = g if v is None else momentum * v + g
        w = w - lr * ((g + momentum * v) if nesterov and momentum else v)
    return w


def _adam(w, grads, lr, decay, beta1, beta2, eps, decoupled):
    m = v = 0.0
    for k, g in enumerate(grads, 1):
        if decoupled:
            w = w - lr * decay * w
        else:
            g = g + decay * w
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        w = w - lr * (m / (1 - beta1**k)) / (np.sqrt(v / (1 - beta2**k)) + eps)
    return w


def adam(w, grads, lr, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    return _adam(w, grads, lr, decay, beta1, beta2, eps, False)


def adamw(w, grads, lr, decay, beta1=0.9, beta2=0.999, eps=1e-8):
    return _adam(w, grads, lr, decay, beta1, beta2, eps, True)


def rmsprop(w, grads, lr, decay, smoothing=0.99, momentum=0.0, eps=1e-8, centred=False):
    s = mean = v = 0.0
    for g in grads:
        g = g + decay * w
        s = smoothing * s + (1 - smoothing) * g * g
        mean = smoothing * mean + (1 - smoothing) * g
        step = g / (np.sqrt(s - mean * mean if centred else s) + eps)
        v = momentum * v + step
        w = w - lr * v
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
]


def test_every_optimiser_has_a_reference():
    assert {case.__name__ for case, _ in CASES} == set(shelf.names("optimisers"))


@pytest.mark.parametrize(("reference", "params"), CASES, ids=lambda part: getattr(part, "__name__", str(part)))
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_equal_to_the_formula(reference, params, decay):
    rng = np.random.default_rng(1)
    start = [rng.normal(size=(3, 4)), rng.normal(size=(5,))]
    grads = [[rng.normal(size=w.shape) for _ in range(7)] for w in start]
    weights = [torch.nn.Parameter(torch.tensor(w, dtype=torch.float64)) for w in start]
    groups = [{"params": [w], "lr": 0.1, "weight_decay": d} for w, d in zip(weights, (decay, 0.0), strict=True)]
    optimiser = shelf.load(shelf.leaf("optimisers", reference.__name__))(groups, **params)
    for k in range(7):
        for w, g in zip(weights, grads, strict=True):
            w.grad = torch.tensor(g[k])
        optimiser.step()
    for w, s, g, d in zip(weights, start, grads, (decay, 0.0), strict=True):
        assert w.detach().numpy() == pytest.approx(reference(s, g, 0.1, d, **params), abs=1e-12)
