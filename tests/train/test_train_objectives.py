"""The seam for other objectives than cross-entropy: views, teacher, totals, what is kept, and going on bit for bit."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load
from torch import nn
from torch.nn import functional
from train_cases import Ctx, Quirky, contents, images, job, mlp, run, vectors

from crucis import streams
from crucis.data.augment import crop, flip
from crucis.data.batches import Resident
from crucis.errors import Divergence, Stopped
from crucis.train import monitor
from crucis.train.backbone import Backbone, BackboneError
from crucis.train.fit import fit, untrained
from crucis.train.objectives import Objective
from crucis.train.settings import SettingsError
from crucis.train.stacked import why_not

LR, MOMENTUM = 0.02, 0.75


class Follow(Objective):
    """A student follows a slow copy of itself, with a centre and a share of masked features."""

    totals = ("length", "masked")
    views = ((crop.augment(padding=1),), (flip.augment(),))

    def __init__(self, net, job) -> None:
        self.backbone = Backbone(net, 3)
        self.student = nn.ModuleDict({"backbone": self.backbone, "head": nn.Linear(self.backbone.width, 4)})
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.centre = torch.zeros(4)

    @property
    def kept(self):
        return self.teacher["backbone"]

    def masks(self, n, source):
        return (torch.rand(n, 4, generator=source) < 0.5,)

    def loss(self, seen):
        with self.cast():
            out = self.student["head"](self.student["backbone"](seen.views[0])).float()
            with torch.no_grad():
                target = self.teacher["head"](self.teacher["backbone"](seen.views[1])).float() - self.centre
        self.target = target
        loss = ((out - target).square() * seen.masks[0]).mean() + (out.std(0) - 1).square().mean()
        return {"loss": loss, "length": out.norm(dim=1).mean(), "masked": seen.masks[0].float().mean()}

    def after_step(self):
        self.centre.lerp_(self.target.mean(0), 0.1)
        rate = 1 - MOMENTUM * (1 - self.done / self.total)
        with torch.no_grad():
            for slow, live in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                slow.lerp_(live, rate)

    def extra_state(self):
        return {"centre": self.centre, **super().extra_state()}

    def about(self):
        return {"momentum": MOMENTUM}


class Plain(Follow):
    """As above, of the examples as they are."""

    views = ()

    def loss(self, seen):
        return super().loss(seen._replace(views=seen.views * 2))


@pytest.mark.parametrize(("params", "named"), [
    ({"ema": 0.9}, ["ema"]), ({"accumulate": 2}, ["accumulate"]), ({"compile": True}, ["compile"]),
    ({"repeats": 2}, ["repeats"]), ({"select": "accuracy", "patience": 2}, ["select", "patience"]),
    ({"label_smoothing": 0.1, "head": "per_task", "ema": 0.9, "ema_every": 2},
     ["label_smoothing", "head", "ema", "ema_every"]),
])  # fmt: skip
def test_what_an_objective_does_not_hear_is_refused_by_name(tmp_path, params, named):
    with pytest.raises(SettingsError) as error:
        fit(_made(**params), Ctx(tmp_path))
    assert error.value.parameter == named[0]
    assert f"has no use for {', '.join(named)}; leave" in str(error.value)


def test_augmentations_need_views(tmp_path):
    with pytest.raises(SettingsError, match="augment: it has no views"):
        fit(_made(Plain, augment=["flip"]), Ctx(tmp_path))
    assert run(tmp_path / "plain", _made(Plain, length="1 epochs"))[0].values["steps"]
    assert run(tmp_path / "views", _made(augment=["flip"], length="1 epochs"))[0].values["steps"]  # these are its own


def _made(maker=Follow, **params):
    return replace(job(images(), Quirky, **{"lr": LR, "length": "4 epochs", **params}), objective=maker)


@pytest.mark.parametrize("more", [{}, {"precision": "bf16", "clip": 0.5, "optimiser": "adamw"}], ids=str)
def test_a_run_with_teacher_centre_and_schedule_goes_on_bit_for_bit(tmp_path, more):
    whole, ctx = run(tmp_path / "whole", _made(**more))
    for name, stops in {"early": [2], "late": [7], "often": [3, 2, 4]}.items():
        for stop in stops:
            with pytest.raises(Stopped):
                fit(_made(**more), Ctx(tmp_path / name, stop_after=stop))
        parts, cut = run(tmp_path / name, _made(**more))
        assert parts.notes["resumed_at"]
        assert parts.values == whole.values and contents(cut) == contents(ctx)


def test_a_step_is_what_it_says(tmp_path):
    """The first two steps by hand: views, masks, gradient, plain descent, centre and teacher."""
    plain = {"optimiser": {"sgd": {"momentum": 0.0}}, "schedule": "constant", "warmup": 0, "weight_decay": 0.0}
    made = _made(**plain, length="2 steps", evaluate_every="1 steps")
    _, ctx = run(tmp_path, made)
    split = Resident(made.data.train, made.data.mean, made.data.std)
    net = untrained(Quirky, 1, 0).to(memory_format=torch.channels_last)
    with streams.borrowed(streams.Stream(1, "train", 0, "objective")):
        mine = Follow(net, made)
    mine.total = 2
    order = torch.randperm(split.n, generator=streams.generator(1, "train", 0, "order", 0))
    drawn = [
        step.draw(split.n, split.shape, streams.generator(1, "train", 0, "views", 0, place))
        for place, (step,) in enumerate(Follow.views)
    ]
    from crucis.data.augmenting import Drawn

    lent, means = streams.Stream(1, "train", 0, "model"), []
    mine.student.train()
    for k in range(2):
        part = slice(16 * k, 16 * k + 16)
        first, second = (
            split.gather(order[part], Drawn(steps, (params,))[part])[0]
            for steps, params in zip(Follow.views, drawn, strict=True)
        )
        mask = torch.rand(16, 4, generator=streams.generator(1, "train", 0, "mask", 0, k)) < 0.5
        with streams.borrowed(lent):
            out = mine.student["head"](mine.student["backbone"](first))
            target = (mine.teacher["head"](mine.teacher["backbone"](second)) - mine.centre).detach()
        loss = ((out - target) ** 2 * mask).mean() + ((out.std(0) - 1) ** 2).mean()
        means.append(float(loss.detach()))
        loss.backward()
        with torch.no_grad():
            for value in mine.student.parameters():
                if value.grad is not None:
                    value -= LR * value.grad
                    value.grad = None
            mine.centre = 0.9 * mine.centre + 0.1 * target.mean(0)
            keep = MOMENTUM * (1 - k / 2)
            for slow, live in zip(mine.teacher.parameters(), mine.student.parameters(), strict=True):
                slow.copy_(keep * slow + (1 - keep) * live)
    kept, heads = (load((ctx.out / name).read_bytes()) for name in ("model.safetensors", "heads.safetensors"))
    for name, value in kept.items():
        torch.testing.assert_close(value, mine.teacher["backbone"].net.state_dict()[name], rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(heads["student/head.weight"], mine.student["head"].weight.detach(), rtol=1e-3, atol=2e-5)
    torch.testing.assert_close(heads["centre"], mine.centre, rtol=1e-3, atol=2e-5)
    with np.load(ctx.out / "curve.npz") as curve:
        assert curve["train_loss"] == pytest.approx(means, rel=1e-5)
        assert 0.3 < curve["train_masked"].mean() < 0.7 and (curve["train_length"] > 0).all()


def test_the_network_kept_is_read_back_and_its_head_untouched(tmp_path):
    fitted, ctx = run(tmp_path, _made())
    fresh, kept = untrained(Quirky, 1, 0), load((ctx.out / "model.safetensors").read_bytes())
    assert torch.equal(kept["head.weight"], fresh.head.weight) and not torch.equal(
        kept["conv1.weight"], fresh.conv1.weight
    )
    names = set(load((ctx.out / "heads.safetensors").read_bytes()))
    assert {"centre", "teacher/head.weight", "student/head.weight", "student/backbone.net.conv1.weight"} <= names
    assert "teacher/backbone.net.conv1.weight" not in names
    assert fitted.notes["trained"]["objective"] == {"momentum": MOMENTUM}
    assert [step["name"] for view in fitted.notes["trained"]["views"] for step in view] == ["crop", "flip"]


def test_values_are_those_of_the_last_row_and_of_a_second_reading(tmp_path):
    fitted, _ = run(tmp_path, _made(length="5 steps"))
    split = fitted.values
    made = _made()
    train, held = (Resident(part, made.data.mean, made.data.std) for part in (made.data.train, made.data.validation))
    with torch.no_grad():
        read = Backbone(fitted.model.eval(), 3)
        bank, x = read(train.gather(torch.arange(train.n))[0]), read(held.gather(torch.arange(held.n))[0])
    assert split["knn_accuracy"] == pytest.approx(monitor.neighbours(bank, train.y, x, held.y, 3))
    assert split["feature_variance"] == pytest.approx(float(x.var(0, correction=0).mean()), rel=1e-4)
    assert split["loss"] == fitted.curve["loss"][-1] and split["curve"] == {
        str(int(s)): k for s, k in zip(fitted.curve["step"], fitted.curve["knn_accuracy"], strict=True)
    }
    assert fitted.uncertainty["knn_accuracy"]["n"] == held.n


def test_published_checkpoints_hold_the_columns_of_an_evaluation(tmp_path):
    made = replace(_made(), publish={0: "zero", 3: "three", 4: "four"})
    _, ctx = run(tmp_path, made)
    result, data = ctx.published["three"]
    assert result.values["step"] == 3 and {"loss", "knn_accuracy", "effective_rank"} <= set(result.values)
    fresh = load(ctx.published["zero"][1])
    assert all(
        torch.equal(fresh[name], value) for name, value in untrained(Quirky, 1, 0).state_dict().items() if name in fresh
    )
    assert load(data).keys() == fresh.keys()


def test_neighbours_against_a_loop():
    rng = np.random.default_rng(0)
    bank, x = rng.normal(size=(60, 7)), rng.normal(size=(31, 7))
    known, y = rng.integers(0, 4, 60), rng.integers(0, 4, 31)
    right = 0
    for one, label in zip(x, y, strict=True):
        cosine = [one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in bank]
        votes = [0.0] * 4
        for place in sorted(range(60), key=lambda i: -cosine[i])[:20]:
            votes[known[place]] += math.exp(cosine[place] / 0.07)
        right += int(np.argmax(votes) == label)
    tensors = (torch.tensor(bank), torch.tensor(known), torch.tensor(x), torch.tensor(y))
    assert monitor.neighbours(*tensors, 4) == right / 31


def test_the_linear_probe_against_scikit_learn():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(1)
    known, y = np.arange(90) % 3, np.arange(300) % 3
    centres = rng.normal(size=(3, 6))
    bank, x = centres[known] + 2 * rng.normal(size=(90, 6)), centres[y] + 2 * rng.normal(size=(300, 6))
    scale = StandardScaler().fit(bank)
    ridge = Ridge(alpha=0.01 * 90).fit(scale.transform(bank), np.eye(3)[known])
    expected = float((ridge.predict(scale.transform(x)).argmax(1) == y).mean())
    assert monitor.linear(*(torch.tensor(v) for v in (bank, known, x, y)), 3) == expected


def test_signs_of_collapse():
    source = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 8, generator=source)
    healthy, dead = monitor.collapse(x * 3), monitor.collapse(torch.ones(50, 8) * 2)
    assert healthy["feature_variance"] == pytest.approx(9, rel=0.05)
    assert healthy["feature_std"] == pytest.approx(1, abs=0.01) and healthy["effective_rank"] > 0.99
    assert dead == {"feature_variance": 0.0, "feature_std": 0.0, "effective_rank": 0.0}
    line = monitor.collapse(torch.randn(500, 1, generator=source) * torch.arange(1.0, 9))
    assert line["effective_rank"] == pytest.approx(1 / 8)
    # Two directions with variances 3 : 1.
    two = torch.zeros(4, 4)
    two[0, 0], two[1, 0], two[2, 1], two[3, 1] = 3**0.5, -(3**0.5), 1, -1
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert monitor.collapse(two)["effective_rank"] == pytest.approx(math.exp(entropy) / 4)


def test_a_loss_that_is_not_finite_is_named_with_its_step(tmp_path):
    class Broken(Follow):
        def loss(self, seen):
            found = super().loss(seen)
            return {**found, "loss": found["loss"] * (math.nan if self.done == 2 else 1)}

    with pytest.raises(Divergence, match="training loss") as caught:
        run(tmp_path, _made(Broken))
    assert caught.value.step == 3


def test_what_an_objective_cannot_stand_on(tmp_path):
    with pytest.raises(BackboneError, match="no dense layer with 3 outputs"):
        Backbone(nn.Sequential(nn.Conv2d(3, 3, 1), nn.Flatten()), 3)
    with pytest.raises(BackboneError, match="one vector per example"):
        Backbone(nn.Sequential(nn.Linear(6, 3)), 3)(torch.zeros(2, 3, 6, 6))
    with pytest.raises(SettingsError, match="at least 1 step"):
        run(tmp_path, _made(length="0 steps"))
    jobs = [replace(job(vectors(), mlp(), seed=seed), objective=Follow) for seed in (1, 2)]
    assert why_not(jobs) == "an objective belongs to one network"


def test_features_are_what_the_head_reads():
    net = mlp()()
    x = torch.randn(4, 5)
    assert torch.equal(Backbone(net, 3)(x), net[:-1](x)) and Backbone(net, 3).width == 9
    assert torch.equal(functional.linear(Backbone(net, 3)(x), net[-1].weight, net[-1].bias), net(x))


def test_steps_left_out_and_rules_go_on_bit_for_bit_too(tmp_path):
    """Teacher, centre and count of steps are as if a step left out had not been, but for the moment that it took."""

    class Broken(Follow):
        def loss(self, seen):
            found = super().loss(seen)
            return {**found, "loss": found["loss"] * (math.nan if self.done in (2, 7) else 1)}

    told = {"knn_accuracy >= 0": "log", "effective_rank > 0 and grad_norm > 0": "log", "loss_rise > -1": "log"}
    more = {"on_not_finite": "skip", "watch": {**told, "train_loss > 0": {"lower_lr": 0.5}}, "optimiser": "adam"}
    whole, ctx = run(tmp_path / "whole", _made(Broken, **more))
    assert [(r["step"], r["did"]) for r in whole.reactions] == [(3, "skip"), (3, "lower_lr"), (8, "skip")]
    seen = {note["rule"]: note["values"] for event, note in ctx.notes if event == "alert"}
    assert len(seen) == 3 and seen["knn_accuracy >= 0.0"]["knn_accuracy"] == whole.curve["knn_accuracy"][0]
    for name, stops in {"early": [2], "often": [3, 2, 4]}.items():
        for stop in stops:
            with pytest.raises(Stopped):
                fit(_made(Broken, **more), Ctx(tmp_path / name, stop_after=stop))
        parts, cut = run(tmp_path / name, _made(Broken, **more))
        assert parts.values == whole.values and contents(cut) == contents(ctx) and parts.reactions == whole.reactions


@pytest.mark.parametrize("more", [{"precision": "fp16"}, {"on_not_finite": "lower_lr", "schedule": "plateau"}], ids=str)
def test_scales_and_returns_with_an_objective(tmp_path, more):
    passes = [0]

    class Broken(Follow):
        def loss(self, seen):
            found = super().loss(seen)
            passes[0] += self.student.training
            return {**found, "loss": found["loss"] * (math.nan if passes[0] == 8 and "schedule" in more else 1)}

    found, _ = run(tmp_path, _made(Broken, **more))
    assert all(np.isfinite(found.curve["loss"])) and found.steps == 12
    assert [r["did"] for r in found.reactions] == (["restore"] if "schedule" in more else [])


def test_an_objective_keeps_its_batch_whole(tmp_path):
    with pytest.raises(SettingsError, match="whole batch"):
        run(tmp_path, _made(on_memory="halve_batch"))
