"""fp16 with loss scaling: against torch's scaler in a loop written out; overflows counted; resumed bit for bit."""

import math

import pytest
import torch
from test_train_reactions import Persistent, _interrupted, _same
from torch.nn import functional
from train_cases import Ctx, Quirky, images, job, mlp, run, vectors

from crucis.errors import Divergence
from crucis.train.run import Run, untrained


class _Steep(torch.autograd.Function):
    """The identity, with a gradient 10 ** 38 times as large."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.float() * 1e38


class Overflowing(torch.nn.Module):
    """A network whose gradient overflows in some of its training passes."""

    def __init__(self, inner, when):
        super().__init__()
        self.inner, self.when = inner, when
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.passes += self.training
        out = self.inner(x).float()
        return _Steep.apply(out) if self.training and int(self.passes) in self.when else out


def _by_hand(folder, made, build, clip=None, chunks=1):
    """The loop of torch's own documentation, over the same batches; the scales after each step."""
    feed, rates = Run(made, Ctx(folder)).feed, made.settings.multipliers()
    model = untrained(build, 1, 0)
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, nesterov=True)
    scaler = torch.amp.GradScaler("cpu")
    scales = []
    for i, rate in enumerate(rates):
        x, y = feed.epoch(i // made.settings.steps_per_epoch)(i % made.settings.steps_per_epoch)
        for xs, ys in zip(x.chunk(chunks), y.chunk(chunks), strict=True):
            with torch.autocast("cpu", dtype=torch.float16):
                out = model(xs)
            scaler.scale(functional.cross_entropy(out.float(), ys) / chunks).backward()
        if clip is not None:
            scaler.unscale_(optimiser)
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.param_groups[0]["lr"] = rate * made.settings.lr
        scaler.step(optimiser)
        scaler.update()
        optimiser.zero_grad()
        scales.append(scaler.get_scale())
    return model, scales


@pytest.mark.parametrize("extra", [{}, {"clip": 0.05}, {"accumulate": 4}, {"clip": 0.05, "accumulate": 2}], ids=str)
def test_equal_to_a_loop_with_the_scaler_of_torch(tmp_path, extra):
    build = lambda: Overflowing(mlp()(), {3, 4, 9})  # noqa: E731
    plain = {"optimiser": "sgd", "weight_decay": 0.0, "warmup": 0, "precision": "fp16", **extra}
    chunks = extra.get("accumulate", 1)
    made = job(vectors(), build, **plain)
    found, _ = run(tmp_path / "a", made)
    model, scales = _by_hand(tmp_path / "b", made, build, extra.get("clip"), chunks)
    for ours, theirs in zip(found.model.parameters(), model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)
    fell = [i + 1 for i, scale in enumerate(scales) if scale < ([65536.0, *scales])[i]]
    assert fell and [r["step"] for r in found.reactions] == fell
    assert [r["scale"] for r in found.reactions] == [scales[i - 1] for i in fell]
    assert {(r["why"], r["did"]) for r in found.reactions} == {("overflow", "skip")}


def test_the_scale_grows_again(tmp_path, monkeypatch):
    before = torch.amp.GradScaler.__init__
    monkeypatch.setattr(torch.amp.GradScaler, "__init__", lambda self, device: before(self, device, growth_interval=3))
    made = job(vectors(), mlp(), precision="fp16", warmup=0, weight_decay=0.0)
    run_ = Run(made, Ctx(tmp_path))
    step = run_.step()
    for i in range(8):
        step(*run_.feed.epoch(i // 4)(i % 4), 0.01)
    assert run_.scaling.scaler.get_scale() == 65536.0 * 4 and run_.scaling.scales == [None] * 8


def test_half_precision_is_near_full_precision(tmp_path):
    half, _ = run(tmp_path / "a", job(images(), Quirky, precision="fp16"))
    full, _ = run(tmp_path / "b", job(images(), Quirky))
    assert half.values["loss"] == pytest.approx(full.values["loss"], abs=0.02)
    assert half.values["loss"] != full.values["loss"]
    assert all(value.dtype is torch.float32 for value in half.model.parameters())
    assert half.notes["trained"]["precision"] == "fp16"


@pytest.mark.parametrize("extra", [
    {"accumulate": 2, "clip": 0.5, "ema": 0.9}, {"optimiser": "adam", "on_not_finite": "skip"},
    {"optimiser": "adamw", "on_not_finite": "lower_lr", "augment": ["flip"]},
], ids=str)  # fmt: skip
def test_fp16_resumes_bit_for_bit(tmp_path, extra):
    def made():
        return job(images(n=110), lambda: Overflowing(Quirky(), {2, 3, 8}), precision="fp16", **extra)

    whole = run(tmp_path / "whole", made())
    assert [r["step"] for r in whole[0].reactions] == ([1, 2, 4] if "accumulate" in extra else [2, 3, 8])
    for k, stops in enumerate(([2], [3, 4], [9])):
        _same(whole, _interrupted(tmp_path / f"cut{k}", made(), stops))


def test_a_loss_that_is_not_finite_is_no_overflow(tmp_path):
    with pytest.raises(Divergence) as error:
        run(tmp_path / "a", job(vectors(), lambda: Persistent(mlp()(), [0], {5}), precision="fp16"))
    assert error.value.step == 5
    found, _ = run(tmp_path / "b", job(vectors(), lambda: Persistent(mlp()(), [0], {5}), precision="fp16",
                                       on_not_finite="skip"))  # fmt: skip
    assert [(r["step"], r["why"]) for r in found.reactions] == [(5, "loss_not_finite")]
    assert math.isfinite(found.values["loss"])


def test_endless_overflows_are_a_divergence(tmp_path):
    made = job(vectors(), lambda: Overflowing(mlp()(), range(1, 100)), precision="fp16", length="20 epochs")
    with pytest.raises(Divergence, match="overflowed in 40 steps in a row") as error:
        run(tmp_path, made)
    assert error.value.step == 40 and len(error.value.reactions) == 40


def test_a_first_step_that_overflows_leaves_no_memory_unset(tmp_path):
    """Fused SGD of torch 2.13 makes its momentum in a step that is not made and never sets it; ours does not begin."""
    made = job(vectors(), lambda: Overflowing(mlp()(), {1}), precision="fp16")
    found, _ = run(tmp_path, made)
    assert [r["step"] for r in found.reactions] == [1] and math.isfinite(found.values["loss"])
