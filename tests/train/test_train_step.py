"""The parts of one step against plain formulas: smoothing, clipping, accumulation, running average, decay, heads."""

import numpy as np
import pytest
import torch
from torch import nn
from train_cases import Ctx, Quirky, contents, images, job, mlp, run, vectors

from crucis.nets import _torchvision
from crucis.train.compose import criterion
from crucis.train.evaluate import Head
from crucis.train.fit import untrained
from crucis.train.groups import groups, rules, spared, trained
from crucis.train.run import Run
from crucis.train.settings import SettingsError, resolve


def _softmax_loss(logits, target):
    logits = logits - logits.max(1, keepdims=True)
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return float(-(target * logs).sum(1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing(smoothing, soft):
    rng = np.random.default_rng(0)
    logits, y = rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    hot = rng.dirichlet(np.ones(4), 6) if soft else np.eye(4)[y]
    settings = resolve({"label_smoothing": smoothing}, 100)
    labels = torch.tensor(hot, dtype=torch.float32) if soft else torch.tensor(y)
    ours = criterion(settings, Head())(torch.tensor(logits, dtype=torch.float32), labels)
    assert float(ours) == pytest.approx(_softmax_loss(logits, (1 - smoothing) * hot + smoothing / 4), abs=1e-6)


def test_a_task_head_compares_its_classes_only():
    rng = np.random.default_rng(0)
    logits, active = rng.normal(size=(5, 6)), [1, 4, 5]
    y = np.array([1, 4, 5, 5, 1])
    head = Head.of("per_task", active, 6, "cpu")
    narrow, labels = head.narrow(torch.tensor(logits, dtype=torch.float32), torch.tensor(y))
    assert narrow.shape == (5, 3) and labels.tolist() == [0, 1, 2, 2, 0]
    expected = _softmax_loss(logits[:, active], np.eye(3)[[0, 1, 2, 2, 0]])
    loss = criterion(resolve({}, 10), head)(torch.tensor(logits, dtype=torch.float32), torch.tensor(y))
    assert float(loss) == pytest.approx(expected, abs=1e-6)
    soft = torch.eye(6)[torch.tensor(y)]
    assert head.narrow(torch.zeros(5, 6), soft)[1].sum() == 5


def test_a_run_with_a_task_head_is_trained_on_those_outputs(tmp_path):
    from dataclasses import replace

    data = replace(vectors(classes=2), classes=5, active=(0, 1))
    fitted, _ = run(tmp_path, job(data, mlp(classes=5), head="per_task", weight_decay=0.0))
    start = untrained(mlp(classes=5), 1, 0)
    assert torch.equal(fitted.model[-1].weight[2:], start[-1].weight[2:])
    assert not torch.equal(fitted.model[-1].weight[:2], start[-1].weight[:2])


def _one_step(folder, **params):
    """Weights before, gradient, and weights after one step of plain SGD at rate 1."""
    made = job(vectors(), mlp(), length="1 steps", lr=1.0, schedule="constant", warmup=0,
               **{"optimiser": {"sgd": {"momentum": 0.0}}, "weight_decay": 0.0, **params})  # fmt: skip
    state = Run(made, Ctx(folder))
    model = untrained(mlp(), 1, 0).double()
    x, y = state.feed.epoch(0)(0)
    nn.functional.cross_entropy(model(x.double()), y).backward()
    before = [p.detach().clone() for p in model.parameters()]
    grads = [p.grad for p in model.parameters()]
    state.step()(x, y, 1.0)
    return state, before, grads


@pytest.mark.parametrize("limit", [1e-3, 0.1, 1e6])
def test_clipping_bounds_the_norm_of_the_whole_gradient(tmp_path, limit):
    state, before, grads = _one_step(tmp_path, clip=limit)
    norm = float(torch.stack([g.square().sum() for g in grads]).sum().sqrt())
    factor = min(1.0, limit / norm)
    for param, start, grad in zip(state.params.values(), before, grads, strict=True):
        assert torch.allclose(param.double(), start - factor * grad, atol=1e-6)


def test_weight_decay_spares_vectors_and_what_the_network_exempts(tmp_path):
    state, before, grads = _one_step(tmp_path, weight_decay=0.5)
    for param, start, grad in zip(state.params.values(), before, grads, strict=True):
        decay = 0.5 if start.ndim > 1 else 0.0
        assert torch.allclose(param.double(), start - grad - decay * start, atol=1e-6)

    class Exempting(nn.Linear):
        def no_weight_decay(self):
            return {"weight"}

    model = Exempting(3, 2)
    chosen = groups(model, resolve({}, 100))
    assert [group["weight_decay"] for group in chosen] == [0.0]
    assert len(groups(model, resolve({"decay_on": "all"}, 100))[0]["params"]) == 2


class Blocks(nn.Module):
    """A convolution, a depthwise one, norms of several kinds, a dense head, and a table that stands by itself."""

    def __init__(self):
        super().__init__()
        self.conv, self.depthwise, self.grouped = (
            nn.Conv2d(4, 8, 3),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.Conv2d(8, 8, 1, groups=2),
        )
        self.norms = nn.ModuleList([nn.BatchNorm2d(8), nn.LayerNorm((8, 2)), nn.GroupNorm(2, 8), nn.BatchNorm1d(8)])
        self.head, self.table = nn.Linear(8, 3), nn.Parameter(torch.zeros(2, 8))


def test_what_each_choice_of_decay_on_spares():
    model = Blocks()
    norms = {f"norms.{k}.{part}" for k in range(4) for part in ("weight", "bias")}
    biases = {f"{name}.bias" for name in ("conv", "depthwise", "grouped", "head")}
    assert spared(model, "all") == frozenset()
    assert spared(model, "weights") == (norms | biases) - {"norms.1.weight", "norms.1.bias"}
    assert spared(model, "all_but_norm") == norms
    assert spared(model, "conv") == norms | biases | {"depthwise.weight", "table"}
    for rule in ("all", "weights", "all_but_norm", "conv"):
        assert rules(model, spared(model, rule)) == [rule]
        chosen = groups(model, resolve({"decay_on": rule}, 100))
        assert [len(group["params"]) for group in chosen if group["weight_decay"] == 0.0] in (
            [], [len(spared(model, rule))],
        )  # fmt: skip
        assert sum(len(group["params"]) for group in chosen) == len(trained(model))


def test_choices_of_decay_know_the_layers_of_timm():
    timm = _torchvision.timm()
    model = timm.create_model("efficientnet_b0", num_classes=3)
    norm = {name for name, _ in model.named_parameters() if ".bn" in name or name.startswith("bn")}
    assert norm and spared(model, "all_but_norm") == norm
    depthwise = {name for name, _ in model.named_parameters() if "conv_dw.weight" in name}
    biases = {name for name, _ in model.named_parameters() if name.endswith(".bias")}
    assert spared(model, "conv") == norm | depthwise | biases
    vit = timm.create_model("vit_tiny_patch16_224", num_classes=3, depth=1)
    assert {"pos_embed", "cls_token"} <= spared(vit, "weights")


def test_rates_of_their_own_belong_to_what_may_decay(tmp_path):
    for decay in (0.0, 0.1):
        made = job(images(), Quirky, optimiser="lars", weight_decay=decay, length="1 epochs")
        fitted, _ = run(tmp_path / str(decay), made)
        notes = fitted.notes["trained"]
        assert notes["optimiser"] == "lars" and [g["options"]["adapt"] for g in notes["groups"]] == [True, False]
        vectors_ = sorted(name for name, value in trained(Quirky()).items() if value.ndim < 2)
        assert notes["not_adapted"] == vectors_
        assert notes["decay_on"] == (["weights", "conv"] if decay else [])


def test_the_strength_of_decay_is_that_of_the_step(tmp_path):
    """Plain descent at rate 1 without a gradient's share: w shrinks by (1 - decay) at every step."""
    made = job(vectors(), lambda: nn.Linear(5, 3), length="6 steps", lr=1.0, schedule="constant", warmup=0,
               weight_decay=0.1, weight_decay_end=0.5, weight_decay_schedule="linear",
               optimiser={"sgd": {"momentum": 0.0}})  # fmt: skip
    state = Run(made, Ctx(tmp_path / "a"))
    step, start = state.step(), state.model.weight.detach().clone().double()
    for k in range(6):
        x, y = state.feed.epoch(0)(0)
        model = nn.Linear(5, 3)
        model.load_state_dict(state.model.state_dict())
        nn.functional.cross_entropy(model(x), y).backward()
        start = state.model.weight.detach().double() * (1 - (0.1 + 0.4 * k / 6)) - model.weight.grad.double()
        step(x, y, 1.0)
        assert torch.allclose(state.model.weight.double(), start, atol=1e-6)
    notes = run(tmp_path / "b", made)[0].notes["trained"]
    assert notes["decays"]["points"] == [[k, pytest.approx(0.1 + 0.4 * k / 6)] for k in range(6)]
    assert len(notes["not_decayed"]) == 1


def test_a_tied_parameter_is_trained_once():
    assert [name for name in trained(Quirky()) if "again" in name] == []


def test_accumulation_is_the_whole_batch(tmp_path):
    params = {"weight_decay": 0.0, "length": "1 epochs"}
    one = run(tmp_path / "a", job(vectors(), mlp(), **params))
    four = run(tmp_path / "b", job(vectors(), mlp(), accumulate=4, **params))
    assert one[0].steps == four[0].steps
    for a, b in zip(one[0].model.parameters(), four[0].model.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    assert one[0].curve["train_loss"] == pytest.approx(four[0].curve["train_loss"], abs=1e-6)
    assert one[0].curve["train_accuracy"].tolist() == four[0].curve["train_accuracy"].tolist()


def test_batch_norm_sees_the_chunks(tmp_path):
    one = run(tmp_path / "a", job(images(), Quirky))
    two = run(tmp_path / "b", job(images(), Quirky, accumulate=2))
    assert contents(one[1]) != contents(two[1])


def test_the_running_average_and_whose_statistics_it_has(tmp_path):
    made = job(images(), Quirky, ema=0.75, length="3 steps")
    state = Run(made, Ctx(tmp_path / "a"))
    step = state.step()
    expected = [p.detach().clone().double() for p in state.params.values()]
    for i in range(3):
        step(*state.feed.epoch(0)(i), 0.05)
        expected = [0.75 * e + 0.25 * p.detach().double() for e, p in zip(expected, state.params.values(), strict=True)]
    averaged = list(trained(state.network).values())
    assert all(torch.allclose(a.double(), e, atol=1e-6) for a, e in zip(averaged, expected, strict=True))
    assert torch.equal(state.network.norm.running_mean, state.model.norm.running_mean)
    assert state.network.norm.running_mean.abs().sum() > 0
    assert float(state.network.seen) == float(state.model.seen) > 0
    fitted, _ = run(tmp_path / "b", made)
    live, _ = run(tmp_path / "c", job(images(), Quirky, length="3 steps"))
    assert not torch.equal(fitted.model.head.weight, live.model.head.weight)
    assert torch.equal(fitted.model.norm.running_mean, live.model.norm.running_mean)


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("warm", [False, True])
def test_the_average_as_tensorflow_has_it(tmp_path, every, warm):
    """Memory of min(decay, (1 + k) / (10 + k)) after k steps, running statistics averaged like weights."""
    made = job(images(), Quirky, ema=0.3, ema_warmup=warm, ema_every=every, ema_statistics=True, length="5 steps")
    state = Run(made, Ctx(tmp_path))
    step = state.step()

    def values(model):
        return [v.detach().clone().double() for v in (*model.parameters(), model.norm.running_mean, model.seen)]

    expected = values(state.model)
    for k in range(1, 6):
        step(*state.feed.epoch(k // 4)(k % 4), 0.05)
        if k % every == 0:
            memory = min(0.3, (1 + k) / (10 + k)) if warm else 0.3
            expected = [memory * e + (1 - memory) * v for e, v in zip(expected, values(state.model), strict=True)]
    assert all(torch.allclose(a, e, atol=1e-6) for a, e in zip(values(state.network), expected, strict=True))
    assert not torch.equal(state.network.norm.running_mean, state.model.norm.running_mean)
    assert int(state.network.norm.num_batches_tracked) == 5 // every * every
    with pytest.raises(SettingsError, match="ema"):
        resolve({"ema_every": 2}, 100)


def test_bf16_keeps_weights_in_fp32_and_computes_in_bf16(tmp_path):
    kinds = []

    class Spy(nn.Linear):
        def forward(self, x):
            out = super().forward(x)
            kinds.append(out.dtype)
            return out

    fitted, _ = run(tmp_path, job(vectors(), lambda: Spy(5, 3), precision="bf16"))
    assert set(kinds) == {torch.bfloat16}
    assert fitted.model.weight.dtype == torch.float32


def test_four_dimensional_inputs_are_channels_last(tmp_path):
    layouts = []

    class Spy(nn.Conv2d):
        def forward(self, x):
            layouts.append((x.is_contiguous(memory_format=torch.channels_last), self.weight.stride()[1]))
            return super().forward(x)

    run(
        tmp_path,
        job(images(), lambda: nn.Sequential(Spy(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))),
    )
    assert set(layouts) == {(True, 1)}


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_optimisers_are_fused_where_torch_offers_it(tmp_path, name):
    state = Run(job(vectors(), mlp(), optimiser=name), Ctx(tmp_path))
    assert all(group["fused"] for group in state.optimiser.param_groups)


def test_augmentation_reaches_the_network(tmp_path):
    plain = run(tmp_path / "a", job(images(), Quirky))
    for k, augment in enumerate(([{"crop": {"padding": 1}}], ["flip"], [{"cutout": {"size": 2}}], ["mixup"])):
        other = run(tmp_path / str(k), job(images(), Quirky, augment=augment))
        assert contents(plain[1]) != contents(other[1])
