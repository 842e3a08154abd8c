"""Injected NaNs, exploding losses and gradients, exhausted memory: each ends as it was asked for, nothing is lost."""

import json
import math
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load as unpack
from torch import nn
from train_cases import Ctx, Quirky, Ticker, contents, images, job, mlp, run, vectors

from crucis.errors import Divergence, Refusal, Stopped
from crucis.train import run as training_run
from crucis.train.cadence import Cadence
from crucis.train.continuation import continuation
from crucis.train.fit import fit, result
from crucis.train.settings import resolve


class Wounded(nn.Module):
    """A network whose `hurt`-th training passes go wrong: logits times `by`."""

    def __init__(self, inner, hurt, by=math.nan, above=None):
        super().__init__()
        self.inner, self.hurt, self.by, self.above = inner, set(hurt), by, above
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if not self.training:
            return self.inner(x)
        if self.above is not None and len(x) > self.above:
            raise torch.OutOfMemoryError(f"out of memory: {len(x)} examples, {self.above} fit")
        self.passes += 1
        out = self.inner(x)
        return out * self.by if int(self.passes) in self.hurt else out


def _wounded(hurt=(), by=math.nan, above=None, inner=None):
    return lambda: Wounded((inner or mlp())(), hurt, by, above)


def _interrupted(folder, made, stops):
    for stop in stops:
        with pytest.raises(Stopped):
            fit(made, Ctx(folder, stop_after=stop))
    ctx = Ctx(folder)
    return fit(made, ctx), ctx


def _same(one, two):
    assert one[0].values == two[0].values and one[0].reactions == two[0].reactions
    assert contents(one[1]) == contents(two[1])


# -- a loss that is not finite --------------------------------------------------------------------------------------


def test_by_default_a_run_ends_with_the_step(tmp_path):
    with pytest.raises(Divergence) as error:
        run(tmp_path, job(vectors(), _wounded({7})))
    assert error.value.step == 7 and math.isfinite(error.value.last_good) and error.value.reactions == ()


class Persistent(Wounded):
    """As `Wounded`; but which passes go wrong is counted over the process, not restored with the weights."""

    def __init__(self, inner, count, hurt, by=math.nan):
        super().__init__(inner, (), by)
        self.count, self.when = count, hurt

    def forward(self, x):
        out = self.inner(x)
        if self.training:
            self.count[0] += 1
            return out * self.by if self.count[0] in self.when else out
        return out


def test_skipped_steps_are_as_if_they_had_not_been(tmp_path):
    made = job(images(), lambda: Persistent(Quirky(), [0], {2, 7}), on_not_finite="skip", ema=0.9, clip=0.5)
    found, ctx = run(tmp_path / "a", made)
    assert [(r["step"], r["why"], r["did"]) for r in found.reactions] == [
        (2, "loss_not_finite", "skip"), (7, "loss_not_finite", "skip")]  # fmt: skip
    assert [name for name, _ in ctx.notes if name == "reaction"] == ["reaction"] * 2
    assert all(np.isfinite(found.curve["train_loss"])) and found.steps == 12
    assert all(bool(torch.isfinite(value).all()) for value in found.model.state_dict().values())
    assert result(found).reactions == found.reactions and found.notes["reactions"] == list(found.reactions)


def test_a_skipped_step_by_hand(tmp_path):
    """Plain gradient descent, written out, that leaves out one of four steps."""
    data = vectors(n=84)
    params = {"optimiser": {"sgd": {"momentum": 0.0}}, "schedule": "constant", "warmup": 0, "weight_decay": 0.0}
    made = job(data, _wounded({3}), length="1 epochs", on_not_finite="skip", **params)
    # the pass counter of the network goes back with the other buffers, so that every later pass is the third one
    with_count, _ = run(tmp_path / "b", job(data, lambda: Persistent(mlp()(), [0], {3}), length="1 epochs",
                                            on_not_finite="skip", **params))  # fmt: skip
    from crucis.train.run import Run, untrained

    model = untrained(mlp(), 1, 0)
    feed = Run(made, Ctx(tmp_path / "c")).feed
    for i in (0, 1, 3):
        x, y = feed.epoch(0)(i)
        model.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        with torch.no_grad():
            for param in model.parameters():
                param -= 0.05 * param.grad
    for ours, theirs in zip(with_count.model.inner.parameters(), model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    found, _ = run(tmp_path / "a", made)
    assert [r["step"] for r in found.reactions] == [3, 4]


def test_too_many_skips_in_a_row_are_a_divergence(tmp_path):
    made = job(vectors(), _wounded({5}), length="8 epochs", on_not_finite="skip",
               evaluate_every="8 epochs")  # fmt: skip
    with pytest.raises(Divergence, match="10 steps in a row") as error:
        run(tmp_path, made)
    assert error.value.step == 14 and len(error.value.reactions) == 10


def test_skipping_all_steps_between_two_evaluations_is_a_divergence(tmp_path):
    made = job(vectors(), _wounded({1}), length="8 epochs", on_not_finite="skip", evaluate_every="2 steps")
    with pytest.raises(Divergence, match="every step since the evaluation before was skipped"):
        run(tmp_path, made)


def test_lower_lr_goes_back_and_halves_the_rate(tmp_path):
    count = [0]
    made = job(images(), lambda: Persistent(Quirky(), count, {8}), on_not_finite="lower_lr", schedule="constant",
               warmup=0, optimiser="adamw", ema=0.5)  # fmt: skip
    found, _ = run(tmp_path, made)
    (only,) = found.reactions
    assert only == {"step": 8, "why": "loss_not_finite", "did": "restore", "back_to": 6, "factor": 0.5}
    assert list(found.curve["lr"]) == [0.05, 0.05, 0.025, 0.025] and count[0] == 12 + 3


def test_what_a_run_goes_back_to_is_what_it_was(tmp_path):
    """With the rate cut at the same step by a rule, the run without a wound has the same bits."""
    cut = {"train_loss > 0 and lr > 0.02": {"lower_lr": 0.5}}
    params = {"schedule": "constant", "warmup": 0, "optimiser": "adam", "augment": ["flip"], "ema": 0.5, "lr": 0.03,
              "select": "loss", "length": "3 epochs"}  # fmt: skip
    hurt, _ = run(tmp_path / "a", job(images(), lambda: Persistent(Quirky(), [0], {5}), on_not_finite="lower_lr",
                                      **params))  # fmt: skip
    sound, _ = run(tmp_path / "b", job(images(), lambda: Persistent(Quirky(), [0], ()), watch=cut, **params))
    assert hurt.reactions[0]["back_to"] == sound.reactions[0]["step"] == 3
    assert hurt.values == sound.values
    assert all(torch.equal(a, b) for a, b in zip(hurt.model.parameters(), sound.model.parameters(), strict=True))


def test_the_fourth_time_is_a_divergence(tmp_path):
    made = job(vectors(), _wounded({7}), on_not_finite="lower_lr")
    with pytest.raises(Divergence, match="after 3 returns") as error:
        run(tmp_path, made)
    assert [r["did"] for r in error.value.reactions] == ["restore"] * 3


def test_a_checkpoint_of_a_part_that_is_gone_back_over_is_published_once(tmp_path):
    made = job(vectors(), lambda: Persistent(mlp()(), [0], {7}), on_not_finite="lower_lr", schedule="constant",
               extra={"publish": {2: "two", 6: "six"}})  # fmt: skip
    calls = []

    class Counting(Ctx):
        def publish(self, key, files, result):
            calls.append(key)
            super().publish(key, files, result)

    ctx = Counting(tmp_path)
    fit(made, ctx)
    assert calls == ["two", "six"]


@pytest.mark.parametrize("reaction", ["skip", "lower_lr"])
def test_reactions_resume_bit_for_bit(tmp_path, reaction):
    params = {"on_not_finite": reaction, "optimiser": "adam", "ema": 0.9, "select": "loss", "augment": ["flip"]}
    extra = {"publish": {2: "two", 7: "seven"}}

    def made():
        return job(images(n=110), _wounded({9} if reaction == "skip" else {9, 10}, inner=Quirky), length="3 epochs",
                   extra=extra, **params)  # fmt: skip

    def outcome(go):
        try:
            found = go()
        except Divergence as error:
            return str(error), error.reactions
        return found[0].values, found[0].reactions, contents(found[1]), found[1].published.keys()

    whole = outcome(lambda: run(tmp_path / "whole", made()))
    assert whole[1]
    dice = random.Random(reaction)
    for k in range(3):
        stops = [dice.randint(2, 9) for _ in range(2)]
        parts = outcome(lambda k=k, stops=stops: _interrupted(tmp_path / f"cut{k}", made(), stops))
        assert parts[:3] == whole[:3]


# -- rules ----------------------------------------------------------------------------------------------------------


def test_a_rule_over_the_gradient_skips_exactly_the_steps_above_it(tmp_path):
    made = job(vectors(), lambda: Persistent(mlp()(), [0], {4, 9}, by=1e4), watch={"grad_norm > 100": "skip"})
    found, _ = run(tmp_path, made)
    assert [(r["step"], r["why"]) for r in found.reactions] == [(4, "grad_norm > 100.0"), (9, "grad_norm > 100.0")]
    assert max(found.curve["train_loss"]) < 100


def test_the_norm_that_rules_see_is_that_of_the_whole_gradient_before_clipping(tmp_path):
    def norms(**params):
        told = {"grad_norm > 0": "log", "batch_loss >= 0": "log", "lr > 0 and grad_norm > 0": "log"}
        _, ctx = run(tmp_path / str(params), job(vectors(n=36), mlp(), length="1 epochs", watch=told, **params))
        return {found["rule"]: found["values"] for event, found in ctx.notes if event == "alert"}

    from crucis.train.run import Run, untrained

    made = job(vectors(n=36), mlp())
    x, y = Run(made, Ctx(tmp_path / "r")).feed.epoch(0)(0)
    model = untrained(mlp(), 1, 0)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    expected = math.sqrt(sum(float(param.grad.square().sum()) for param in model.parameters()))
    for params in ({}, {"clip": 0.01}, {"accumulate": 4}):
        found = norms(**params)
        assert found["grad_norm > 0.0"]["grad_norm"] == pytest.approx(expected, rel=1e-5)
        assert found["batch_loss >= 0.0"]["batch_loss"] == pytest.approx(float(loss.detach()), rel=1e-5)
    assert {"lr", "grad_norm"} == set(found["lr > 0.0 and grad_norm > 0.0"])


@pytest.mark.parametrize(("rule", "at"), [
    ("accuracy >= 0", 4), ("train_loss > 0 and not accuracy < 0", 4), ("loss_rise > -1", 8), ("loss_increase < 0", 8),
    ("loss_chance < 100", 4), ("feature_variance < 1000", 4), ("grad_norm > 0", 4),
])  # fmt: skip
def test_a_rule_ends_a_training_as_early_stopping_does(tmp_path, rule, at):
    found, _ = run(tmp_path, job(vectors(), mlp(), watch={rule: "stop"}))
    assert found.steps == at and found.values["steps"] == at and found.reactions[0]["did"] == "stop"


def test_values_of_the_rules_metrics(tmp_path):
    """Ratios of losses against the curve, the variance of features against a forward pass by hand."""
    names = ("loss_increase", "loss_rise", "loss_chance", "feature_variance", "accuracy")
    told = {f"{name} > -9": "log" for name in names}
    data = vectors()
    found, ctx = run(tmp_path, job(data, mlp(), length="2 epochs", watch=told, lr=0.2))
    seen = {k: v for event, note in ctx.notes if event == "alert" for k, v in note["values"].items()}
    first, second = found.curve["train_loss"]
    assert seen["loss_increase"] == pytest.approx((second - first) / first)
    assert seen["loss_rise"] == pytest.approx((second - first) / first)
    assert seen["loss_chance"] == pytest.approx(first / math.log(3))
    # a constant network has no variance in its features; the last layer's input of this one is bounded by one
    assert 0 < seen["feature_variance"] < 1
    flat, other = run(tmp_path / "flat", job(data, lambda: nn.Sequential(nn.ReLU(), _Zero(), nn.Linear(5, 3)),
                                             length="1 epochs", watch={"feature_variance < 0.01": "log"}))  # fmt: skip
    assert flat.steps and [note["values"] for event, note in other.notes if event == "alert"] == [
        {"feature_variance": 0.0}]  # fmt: skip


class _Zero(nn.Module):
    def forward(self, x):
        return x * 0.0


def test_the_variance_of_features_by_hand(tmp_path):
    data = vectors()
    made = job(data, mlp(), length="1 epochs", watch={"feature_variance > 0": "log"})
    found, ctx = run(tmp_path, made)
    model = found.model
    x = torch.from_numpy(data.validation.x)
    features = model[:-1](x).detach().numpy()
    told = next(note["values"]["feature_variance"] for event, note in ctx.notes if event == "alert")
    assert told == pytest.approx(features.var(0).mean(), rel=1e-5)


def test_a_network_without_a_dense_layer_has_no_features(tmp_path):
    build = lambda: nn.Sequential(nn.Conv2d(3, 3, 6), nn.Flatten())  # noqa: E731
    with pytest.raises(Refusal, match="dense layer"):
        run(tmp_path, job(images(), build, watch={"feature_variance < 1": "stop"}))


def test_lower_lr_acts_when_a_rule_comes_to_hold(tmp_path):
    params = {"schedule": "constant", "warmup": 0, "length": "4 epochs"}
    found, _ = run(tmp_path, job(vectors(), mlp(), watch={"train_loss > 0": {"lower_lr": 0.1}}, **params))
    assert list(found.curve["lr"]) == pytest.approx([0.05, 0.005, 0.005, 0.005])
    assert [r["step"] for r in found.reactions] == [4]


def test_restore_by_a_rule(tmp_path):
    made = job(vectors(), lambda: Persistent(mlp()(), [0], {6, 7}, by=50.0), watch={"loss_rise > 50%": "restore"},
               schedule="constant", warmup=0)  # fmt: skip
    found, _ = run(tmp_path, made)
    assert [(r["step"], r["did"], r["back_to"]) for r in found.reactions] == [(8, "restore", 4)]
    assert list(found.curve["lr"]) == [0.05, 0.025, 0.025, 0.025]


def test_rules_that_only_tell_change_no_bit(tmp_path):
    told = {"grad_norm > 0": ["log", "checkpoint", "delete_checkpoints"], "feature_variance > 0": "log",
            "disk_free < 200%": "checkpoint", "loss < 100": "log"}  # fmt: skip
    params = {"augment": ["flip"], "ema": 0.9, "optimiser": "adam"}
    plain = run(tmp_path / "a", job(images(), Quirky, **params))
    watched = run(tmp_path / "b", job(images(), Quirky, watch=told, **params), cadence=Cadence(Ticker(0.5)))
    assert plain[0].values == watched[0].values and contents(plain[1]) == contents(watched[1])
    assert watched[0].reactions == ()
    alerts = [note["rule"] for event, note in watched[1].notes if event == "alert"]
    assert alerts.count("grad_norm > 0.0") == 1 and "disk_free < 2.0" in alerts
    assert json.loads((watched[1].scratch / "a" / "state.json").read_text())["serial"] >= 1
    passed_on = run(tmp_path / "c", job(images(), Quirky, extra={"tell": told}, **params))
    assert contents(plain[1]) == contents(passed_on[1])


@pytest.mark.parametrize("watch", [
    {"grad_norm > 0.3": "skip"}, {"loss_rise > 1%": "restore", "grad_norm > 1": "log"},
    {"train_loss < 5": {"lower_lr": 0.3}, "accuracy > 2": "stop"},
], ids=str)  # fmt: skip
def test_rules_resume_bit_for_bit(tmp_path, watch):
    def made():
        return job(images(n=110), Quirky, watch=watch, optimiser="adam", lr=0.02, evaluate_every="3 steps")

    try:
        whole = run(tmp_path / "whole", made())
    except Divergence as error:
        for stops in ([3], [2, 3]):
            with pytest.raises(Divergence) as again:
                _interrupted(tmp_path / f"cut{len(stops)}", made(), stops)
            assert str(again.value) == str(error) and again.value.reactions == error.reactions
        return
    assert whole[0].reactions
    for k, stops in enumerate(([5], [4, 7], [11, 2])):
        _same(whole, _interrupted(tmp_path / f"cut{k}", made(), stops))


# -- memory ---------------------------------------------------------------------------------------------------------


def test_exhausted_memory_is_a_failure_with_its_own_name(tmp_path):
    from crucis.engine.failures import classify

    with pytest.raises(torch.OutOfMemoryError) as error:
        run(tmp_path, job(vectors(), _wounded(above=8)))
    assert classify(error.value) == ("memory", "gpu_out_of_memory")


def test_halved_chunks_give_the_gradient_of_the_batch(tmp_path):
    params = {"schedule": "constant", "optimiser": {"sgd": {"momentum": 0.9}}}
    found, _ = run(tmp_path / "a", job(vectors(), _wounded(above=5), on_memory="halve_batch", **params))
    assert [(r["chunks_before"], r["chunks_after"]) for r in found.reactions] == [(1, 2), (2, 4)]
    assert found.reactions[-1]["examples_before"] == 8 and found.reactions[-1]["examples_after"] == 4
    plain, _ = run(tmp_path / "b", job(vectors(), _wounded(), accumulate=4, **params))
    assert found.values == plain.values  # exhausted in the first step: all of it in chunks of four
    whole, _ = run(tmp_path / "c", job(vectors(), _wounded(), **params))
    assert found.values["loss"] == pytest.approx(whole.values["loss"], rel=1e-4)


def test_memory_that_runs_out_later_goes_on_from_the_last_evaluation(tmp_path):
    class Greedy(Wounded):
        def forward(self, x):
            if self.training and int(self.passes) >= 6 and len(x) > 8:
                raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")
            return super().forward(x)

    def made():
        return job(images(), lambda: Greedy(Quirky(), ()), on_memory="halve_batch", optimiser="adam", ema=0.9)

    whole = run(tmp_path / "a", made())
    (only,) = whole[0].reactions
    assert only["back_to"] == 6 and only["chunks_after"] == 2 and "batch_norm" in only
    for k, stop in enumerate((4, 9, 11)):
        _same(whole, _interrupted(tmp_path / f"cut{k}", made(), [stop]))


def test_one_example_that_does_not_fit_is_a_failure(tmp_path):
    with pytest.raises(torch.OutOfMemoryError):
        run(tmp_path, job(vectors(), _wounded(above=0), on_memory="halve_batch"))


def test_other_errors_of_a_network_are_not_taken_for_memory(tmp_path):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(tmp_path, job(vectors(), lambda: nn.Sequential(mlp()(), Broken()), on_memory="halve_batch",
                          evaluate_every="1 epochs"))  # fmt: skip


def test_weights_of_a_published_checkpoint_are_those_of_its_step(tmp_path):
    extra = {"publish": {3: "three"}}
    plain = run(tmp_path / "a", job(images(), Quirky, extra=extra))
    kept = run(tmp_path / "b", job(images(), Quirky, extra=extra, on_not_finite="lower_lr"))
    one, two = (unpack(ctx.published["three"][1]) for _, ctx in (plain, kept))
    assert set(one) <= set(two) and all(torch.equal(one[name], two[name]) for name in one)
    assert contents(plain[1]) == contents(kept[1])


# -- where reactions meet each other and other features -----------------------------------------------------------


def test_what_a_return_undoes_is_not_done_at_all(tmp_path):
    watch = {"batch_loss > 5": "lower_lr", "batch_loss > 6": "restore"}
    made = job(vectors(), lambda: Persistent(mlp()(), [0], {6}, by=-50.0), watch=watch, schedule="constant", warmup=0)
    found, _ = run(tmp_path, made)
    assert [(r["step"], r["did"]) for r in found.reactions] == [(8, "restore")]
    assert list(found.curve["lr"]) == [0.05, 0.025, 0.025, 0.025]


def test_a_validation_loss_that_is_not_finite_after_skipped_steps_only(tmp_path):
    class Never(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = mlp()()

        def forward(self, x):
            return self.inner(x) * math.nan

    with pytest.raises(Divergence, match="validation loss") as error:
        run(tmp_path, job(vectors(), Never, on_not_finite="skip"))
    assert error.value.last_good is None


def test_an_overflow_is_no_norm_that_a_rule_means(tmp_path):
    params = {"precision": "fp16", "lr": 1e-4, "length": "3 epochs"}
    for action in ("stop", "skip"):
        watch = {"grad_norm > 1e6": action}
        made = job(vectors(), lambda: Loud(mlp()()), watch=watch, **params)
        found, _ = run(tmp_path / action, made)
        assert found.steps == 12 and {r["why"] for r in found.reactions} == {"overflow"}


class Loud(nn.Module):
    """Logits so large that the first scaled gradients overflow."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x) * 30


def test_memory_that_runs_out_in_an_update_under_a_scale(tmp_path, monkeypatch):
    build = training_run.build_optimiser

    def once(model, settings):
        made, left = build(model, settings), [1]
        step = made.step

        def full_once():
            if left:
                left.clear()
                raise torch.OutOfMemoryError("out of memory")
            return step()

        made.step = full_once
        return made

    monkeypatch.setattr(training_run, "build_optimiser", once)
    found, _ = run(tmp_path, job(vectors(), mlp(), precision="fp16", on_memory="halve_batch"))
    assert found.steps == 16 and [r["did"] for r in found.reactions] == ["halve_batch"]


def test_a_continuation_reacts_to_nothing_because_nobody_would_report_it(tmp_path):
    data = vectors()
    settings = resolve({"length": "2 epochs", "batch": 16, "on_not_finite": "skip"}, len(data.train))
    with pytest.raises(Divergence):
        continuation(_wounded({3})(), settings, 1, 1, Ctx(tmp_path))(data, steps=6)
