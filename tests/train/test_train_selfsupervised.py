"""The self-supervised protocols: losses against explicit loops, teachers, masks, and going on bit for bit."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from torch import nn
from train_cases import Ctx, contents, images

from crucis import shelf
from crucis.data.augmenting import Augmentation
from crucis.errors import Stopped
from crucis.nets import resnet, timm, vit
from crucis.nets.weights import restore
from crucis.train.backbone import Backbone, BackboneError, resized_positions
from crucis.train.fit import Job, untrained
from crucis.train.objectives import Seen
from crucis.train.run import Run
from crucis.train.selfsupervised import dino, i_jepa, mae, moco_v3, parts, simclr
from crucis.train.selfsupervised.blocks import Blocks
from crucis.train.selfsupervised.tokens import Tokens, take, waves
from crucis.train.settings import SettingsError, resolve

DATA = images(n=68, size=8, classes=3)
CROP = [{"resized_crop": {"smallest": 0.5}}, "flip"]
SMALL = {
    "simclr": {"augment": CROP, "optimiser": "lars", "hidden": 12, "out": 6},
    "moco_v3": {"augment": CROP, "second": ["flip"], "hidden": 12, "out": 6},
    "dino": {"augment": CROP, "second": CROP, "small": CROP, "small_views": 2, "hidden": 12, "bottleneck": 6,
             "prototypes": 10, "temperature_warmup": "3 epochs"},
    "mae": {"augment": CROP, "decoder_width": 12, "decoder_depth": 1, "decoder_heads": 2},
    "i_jepa": {"augment": CROP, "predictor_width": 12, "predictor_depth": 1, "predictor_heads": 2},
}  # fmt: skip
MADE = {"simclr": simclr.made, "moco_v3": moco_v3.made, "dino": dino.made, "mae": mae.made, "i_jepa": i_jepa.made}


def _net():
    return vit.build(DATA.shape, 3, patch=2, width=12, depth=1, heads=2, dropout=0.1)


def _plain():
    return vit.build(DATA.shape, 3, patch=2, width=12, depth=1, heads=2)


def _params(name, **more):
    base = {"batch": 16, "length": "3 epochs", "lr": 0.01, "evaluate_every": "2 epochs"}
    return {**{key: p.default for key, p in shelf.leaf("train", name).params.items()}, **base, **SMALL[name], **more}


def _train(name, folder, stop=None, build=_net, **more):
    ctx = Ctx(folder, stop_after=stop)
    return shelf.load(shelf.leaf("train", name))(Job(build, DATA, seed=3), ctx, **_params(name, **more)), ctx


def _objective(name, build=_net, **more):
    torch.manual_seed(0)
    job = Job(build, DATA, resolve(_params(name, **more), len(DATA.train)))
    made = MADE[name](build(), job)
    made.total = job.resolved.total_steps
    made.student.train()
    return made


def _seen(made, n=6, seed=0):
    source = torch.Generator().manual_seed(seed)
    shapes = [(n, *DATA.shape)] * max(len(made.views), 1)
    return Seen(tuple(torch.randn(s, generator=source) for s in shapes), made.masks(n, source))


def test_every_protocol_is_tried():
    assert {*SMALL, "supervised", "q_learning"} == set(shelf.names("train"))  # two are tried elsewhere


@pytest.mark.parametrize("name", SMALL)
def test_a_cut_run_goes_on_bit_for_bit(tmp_path, name):
    whole, ctx = _train(name, tmp_path / "whole")
    with pytest.raises(Stopped):
        _train(name, tmp_path / "cut", stop=4)
    parts_, cut = _train(name, tmp_path / "cut")
    assert parts_.notes["resumed_at"] == [4]
    assert whole.values == parts_.values and contents(ctx) == contents(cut)
    columns = shelf.leaf("train", name).columns
    assert set(whole.values) == set(columns) - {"seconds", "memory"}
    for column, value in whole.values.items():
        low, high = columns[column]["range"]
        for one in value.values() if isinstance(value, dict) else [value]:
            assert (low is None or one >= low) and (high is None or one <= high)
    again = _net()
    restore(again, ctx.out / "model.safetensors")  # downstream reads it into a fresh network
    assert torch.equal(again.head.weight, untrained(_net, 3, 0).head.weight)
    assert not torch.equal(again.positions, untrained(_net, 3, 0).positions)


# -- SimCLR ---------------------------------------------------------------------------------------------------------


def _nt_xent(first, second, temperature):
    z = np.concatenate([first, second])
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    n, total = len(first), 0.0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        below = sum(math.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i)
        total -= math.log(math.exp(z[i] @ z[j] / temperature) / below)
    return total / (2 * n)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), st.integers(1, 5), st.floats(0.05, 2), st.integers(0, 1000))
def test_nt_xent_against_a_double_loop(n, width, temperature, seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n, width))
    found, _ = simclr.nt_xent(torch.tensor(first), torch.tensor(second), temperature)
    assert float(found) == pytest.approx(_nt_xent(first, second, temperature), rel=2e-4, abs=2e-5)


def test_nt_xent_where_the_answer_is_known():
    same = torch.ones(5, 4)
    loss, _ = simclr.nt_xent(same, same, 0.1)
    assert float(loss) == pytest.approx(math.log(9))
    # N orthogonal pairs of equal features: log(e^(1/T) + 2N - 2) - 1/T.
    loss, right = simclr.nt_xent(torch.eye(5), 3 * torch.eye(5), 0.5)
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 8) - 2, rel=1e-5) and float(right) == 1.0


def test_simclrs_head_and_gradient():
    made = _objective("simclr")
    kinds = [type(layer).__name__ for layer in made.head]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d"]
    assert not any(layer.bias is not None for layer in made.head if isinstance(layer, nn.Linear))
    made.loss(_seen(made))["loss"].backward()
    lacking = {name for name, value in made.student.named_parameters() if value.grad is None}
    assert lacking == {"backbone.net.head.weight", "backbone.net.head.bias", "projector.4.bias"}


# -- MoCo v3 --------------------------------------------------------------------------------------------------------


def test_mocos_loss_against_the_algorithm():
    rng = np.random.default_rng(0)
    q, k = rng.normal(size=(2, 6, 4))
    q, k = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, k))
    logits = q @ k.T / 0.2
    rows = [-logits[i, i] + math.log(np.exp(logits[i]).sum()) for i in range(6)]
    assert float(moco_v3.contrast(torch.tensor(q), torch.tensor(k), 0.2)) == pytest.approx(
        0.4 * np.mean(rows), rel=1e-5
    )


def test_moco_is_symmetric_stops_the_gradient_and_freezes_the_patches():
    made = _objective("moco_v3", build=_plain)
    seen = _seen(made)
    first = made.loss(seen)["loss"]
    assert float(made.loss(Seen(seen.views[::-1]))["loss"]) == pytest.approx(float(first), rel=1e-5)
    q = [made.predictor(made.encoder(view)) for view in seen.views]
    k = [made.teacher(view) for view in seen.views]
    expected = moco_v3.contrast(q[0], k[1], 0.2) + moco_v3.contrast(q[1], k[0], 0.2)
    assert float(first) == pytest.approx(float(expected), rel=1e-5)
    first.backward()
    assert all(value.grad is None for value in made.teacher.parameters())
    lacking = {name for name, value in made.student.named_parameters() if value.grad is None}
    assert lacking == {f"encoder.0.net.{n}" for n in ("patches.weight", "patches.bias", "head.weight", "head.bias")}
    assert made.about()["frozen"] == ["weight", "bias"]
    kinds = [sum(isinstance(layer, nn.Linear) for layer in part) for part in (made.encoder[1], made.predictor)]
    assert kinds == [3, 2] and made.encoder[1][-1].affine is False


def test_moco_on_a_convolutional_network():
    made = _objective("moco_v3", build=lambda: resnet.build(DATA.shape, 3, depth=10, widen=0.1))
    assert made.about()["frozen"] == [] and isinstance(made.predictor[-1], nn.Linear)
    assert torch.isfinite(made.loss(_seen(made))["loss"])


@pytest.mark.parametrize(("name", "at"), [("moco_v3", 1), ("i_jepa", 0), ("dino", 0)])
def test_a_teacher_follows_its_student(name, at):
    """m teacher + (1 - m) student, m by hand; after the last step of a course the teacher stands still."""
    made = _objective(name, momentum=0.8)
    student = {"moco_v3": "encoder", "i_jepa": "backbone", "dino": "student"}[name]
    live = list(getattr(made, student).parameters())
    before = [value.clone() for value in made.teacher.parameters()]
    made.loss(_seen(made))
    with torch.no_grad():
        for value in live:
            value += 1.0
    made.done = 3
    made.after_step()
    share = (3 + at) / made.total
    m = 0.8 + 0.2 * share if name == "i_jepa" else 1 - 0.2 * (1 + math.cos(math.pi * share)) / 2
    for slow, value, old in zip(made.teacher.parameters(), live, before, strict=True):
        torch.testing.assert_close(slow, m * old + (1 - m) * value, rtol=1e-5, atol=1e-6)
    assert all(course(0.9, 7, 7) == pytest.approx(1) for key, course in parts.COURSES.items() if key != "constant")


def test_a_teacher_drops_nothing():
    made = _objective("moco_v3")
    x = torch.randn(5, *DATA.shape)
    assert torch.equal(made.teacher(x), made.teacher(x)) and not torch.equal(made.encoder(x), made.encoder(x))


# -- DINO -----------------------------------------------------------------------------------------------------------


def test_dinos_loss_against_a_loop():
    rng = np.random.default_rng(1)
    student, teacher = rng.normal(size=(4, 3, 5)), rng.dirichlet(np.ones(5), size=(2, 3))
    terms = []
    for t in range(2):
        for s in range(4):
            if s != t:
                scaled = student[s] / 0.1
                logs = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
                terms.append(np.mean([-(teacher[t][i] * logs[i]).sum() for i in range(3)]))
    found = dino.cross_entropies([torch.tensor(s) for s in student], [torch.tensor(t) for t in teacher], 0.1)
    assert float(found) == pytest.approx(np.mean(terms))


def test_dinos_centre_temperature_and_frozen_prototypes():
    made = _objective("dino", build=_plain)
    centre = torch.zeros(1, 10)
    for step in range(5):
        seen = _seen(made, seed=step)
        with torch.no_grad():
            out = made.teacher(torch.cat(seen.views[:2]))
        found = made.loss(seen)
        p = ((out - centre) / made.temperature).softmax(1)
        assert float(found["teacher_entropy"]) == pytest.approx(float(-(p * p.log()).sum(1).mean()), rel=1e-4)
        found["loss"].backward()
        made.before_update(torch.optim.SGD(made.student.parameters(), 0.1))
        assert (made.head.direction.grad is None) == (step < 3)  # 48 images in batches of 16: an epoch
        assert all(value.grad.norm() <= 3.001 for value in made.student.parameters() if value.grad is not None)
        made.after_step()
        made.student.zero_grad()
        centre = 0.9 * centre + 0.1 * out.mean(0, keepdim=True)
        torch.testing.assert_close(made.centre, centre, rtol=1e-4, atol=1e-6)
        made.done += 1
    assert all(value.grad is None for value in made.teacher.parameters())
    found = []
    for made.done in (0, 2, 3, 6, 9, 30):
        found.append(made.temperature)
    assert found == pytest.approx([0.04, 0.04, 0.055, 0.07, 0.07, 0.07])  # 3 epochs of 3 steps: 0.04, 0.055, 0.07
    assert "teacher/centre" in made.extra_state()
    assert torch.allclose(torch.nn.functional.normalize(made.head.direction, dim=1).norm(dim=1), torch.ones(10))
    assert made.head.length.requires_grad is False


def test_each_gradient_is_clipped_by_its_own_norm():
    made = _objective("dino", clip_each=0.5)
    made.done = 99
    for place, value in enumerate(made.student.parameters()):
        value.grad = torch.full_like(value, 0.01 * place)
    before = [value.grad.norm() for value in made.student.parameters()]
    made.before_update(torch.optim.SGD(made.student.parameters(), 0.1))
    for old, value in zip(before, made.student.parameters(), strict=True):
        assert float(value.grad.norm()) == pytest.approx(min(float(old), 0.5), rel=1e-4)


@pytest.mark.parametrize("model", [None, "test_vit", "vit_tiny_patch16_224"])
def test_small_views_of_a_transformer(model):
    def build():
        return _net() if model is None else timm.build(DATA.shape, 3, model=model, patch=2)

    made = _objective("dino", build=build)
    crop = next(step for step in made.views[2] if hasattr(step, "size"))
    assert crop.size == 4 and made.views[0][0].size is None
    net = Backbone(build(), 3).eval()
    assert net(torch.randn(2, 3, 4, 4)).shape == (2, net.width)
    x = torch.randn(2, *DATA.shape)
    plain = net(x)
    assert torch.equal(net(x), plain)
    positions = torch.randn(1, 17, 6)
    torch.testing.assert_close(resized_positions(positions, 1, (4, 4)), positions)
    plane = positions[:, 1:].reshape(1, 4, 4, 6).permute(0, 3, 1, 2)
    smaller = nn.functional.interpolate(plane, size=(2, 2), mode="bicubic").permute(0, 2, 3, 1).flatten(1, 2)
    torch.testing.assert_close(resized_positions(positions, 1, (2, 2))[:, 1:], smaller)


# -- MAE ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm_pix", [False, True])
def test_maes_loss_on_hidden_patches_against_a_loop(norm_pix):
    made = _objective("mae", norm_pix=norm_pix, build=_plain)
    seen = _seen(made)
    shown, hidden = seen.masks
    image = seen.views[0]
    tokens, before = made.read.embed(image)
    out = made.decode(made.read.encode(take(tokens, shown), before), shown, hidden)
    total, count = 0.0, 0
    for b in range(6):
        for m, place in enumerate(hidden[b].tolist()):
            row, column = divmod(place, 4)
            patch = image[b, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].permute(1, 2, 0).flatten()
            if norm_pix:
                patch = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
            total += float((out[b, m].detach() - patch).square().sum())
            count += patch.numel()
    assert float(made.loss(seen)["loss"]) == pytest.approx(total / count, rel=1e-4)


@pytest.mark.parametrize(("ratio", "kept"), [(0.75, 4), (0.5, 8), (0.6, 6)])
def test_mae_hides_exactly_its_share(ratio, kept):
    made = _objective("mae", ratio=ratio)
    shown, hidden = made.masks(200, torch.Generator().manual_seed(0))
    assert shown.shape == (200, kept) and hidden.shape == (200, 16 - kept)
    assert torch.equal(torch.cat([shown, hidden], 1).sort(1).values, torch.arange(16).expand(200, 16))
    share = torch.zeros(16).index_add(0, shown.flatten(), torch.ones(shown.numel())) / 200
    assert (share - kept / 16).abs().max() < 4 * math.sqrt(kept / 16 * (1 - kept / 16) / 200)


def test_a_hidden_patch_does_not_reach_the_encoder():
    made = _objective("mae", build=_plain)
    image = torch.randn(1, *DATA.shape, requires_grad=True)
    shown = torch.tensor([[0, 5, 6, 15]])
    tokens, before = made.read.embed(image)
    made.read.encode(take(tokens, shown), before).square().sum().backward()
    touched = made.read.patches(image.grad).abs().sum(2)[0] > 0
    assert touched.nonzero()[:, 0].tolist() == shown[0].tolist()


def test_positions_are_waves():
    found = waves((3, 5), 8).double().numpy()
    for place in range(15):
        row, column = divmod(place, 5)
        expected = []
        for axis in (column, row):
            rates = [10000 ** (-k / 2) for k in range(2)]
            expected += [math.sin(axis * r) for r in rates] + [math.cos(axis * r) for r in rates]
        assert found[place] == pytest.approx(expected, abs=1e-6)


# -- I-JEPA ---------------------------------------------------------------------------------------------------------

BLOCKS = {
    (4, 4): 4, (8, 8): 16, (14, 14): 49, (16, 16): 64, (6, 9): 10,
}  # fmt: skip


@pytest.mark.parametrize("grid", BLOCKS)
def test_masks_hold_what_they_promise(grid):
    made = Blocks(grid, 4, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0), BLOCKS[grid])
    source = torch.Generator().manual_seed(1)
    seen, shapes = torch.zeros(2, grid[0] * grid[1]), set()
    for _ in range(60):
        context, targets = made.draw(32, source)
        assert context.shape == (32, BLOCKS[grid]) and targets.shape[:2] == (32, 4)
        for one, blocks in zip(context.tolist(), targets.tolist(), strict=True):
            assert len(set(one)) == BLOCKS[grid] and not set(one) & {p for block in blocks for p in block}
        for block in targets[0].tolist():  # a rectangle
            rows, columns = {p // grid[1] for p in block}, {p % grid[1] for p in block}
            assert len(block) == len(rows) * len(columns) == len(set(block))
            assert all(b - a == 1 for side in (rows, columns) for a, b in pairwise(sorted(side)))
            shapes.add((len(rows), len(columns)))
        seen[0].index_add_(0, context.flatten(), torch.ones(context.numel()))
        seen[1].index_add_(0, targets.flatten(), torch.ones(targets.numel()))
    assert (seen > 0).all()  # also the last row and column, as context and as target
    assert any(h > w for h, w in shapes) or min(grid) <= 4
    assert shapes <= set(made.sizes())


def test_masks_do_not_depend_on_the_batch():
    made = Blocks((8, 8), 4, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0), 16)
    shares = []
    for n in (4, 256):
        source = torch.Generator().manual_seed(2)
        rows = torch.cat([made.draw(n, source)[0].flatten() // 8 for _ in range(1500 if n < 256 else 300)])
        shares.append(torch.bincount(rows, minlength=8) / len(rows))
    assert (shares[0] - shares[1]).abs().max() < 0.02


def test_a_context_that_cannot_be_kept_is_refused():
    with pytest.raises(ValueError, match="context of 60 patches cannot be kept"):
        Blocks((8, 8), 4, (0.15, 0.2), (0.75, 1.5), (0.85, 1.0), 60)
    assert Blocks((8, 8), 30, (0.15, 0.2), (1.0, 1.0), (0.85, 1.0), 30).draw(50, torch.Generator())[0].shape == (50, 30)


@pytest.mark.parametrize("kind", ["smooth_l1", "l2"])
def test_i_jepas_loss_against_a_loop(kind):
    made = _objective("i_jepa", loss=kind, build=_plain)
    with torch.no_grad():
        for value in made.teacher.parameters():
            value *= 1.3
    seen = _seen(made, n=3)
    context, targets = seen.masks
    image = seen.views[0]
    whole = made.target_read.encode(*made.target_read.embed(image)).detach()
    tokens, before = made.read.embed(image)
    errors = []
    for b in range(3):
        one = made.read.encode(take(tokens[b : b + 1], context[b : b + 1]), before[b : b + 1])
        for block in targets[b]:
            found = made.predictor(one, context[b : b + 1], block[None, None])[0].detach()
            wanted = torch.stack([(whole[b, p] - whole[b, p].mean()) / (whole[b, p].var(correction=0) + 1e-5).sqrt()
                                  for p in block])  # fmt: skip
            gap = (found - wanted).abs()
            errors.append((torch.where(gap < 1, gap**2 / 2, gap - 0.5) if kind == "smooth_l1" else gap**2).mean())
    found = made.loss(seen)["loss"]
    assert float(found) == pytest.approx(float(torch.stack(errors).mean()), rel=1e-4)
    found.backward()
    assert all(value.grad is None for value in made.teacher.parameters())
    assert made.backbone.net.patches.weight.grad.abs().sum() > 0


def test_tokens_of_timm_are_those_of_its_forward_pass():
    net = timm.build(DATA.shape, 3, model="test_vit", patch=2).eval()
    read = Tokens(net, DATA.shape)
    x = torch.randn(2, *DATA.shape)
    torch.testing.assert_close(read.encode(*read.embed(x)), net.forward_features(x)[:, read.prefix :])
    assert _objective("i_jepa", build=lambda: timm.build(DATA.shape, 3, model="test_vit", patch=2))


# -- what cannot be -------------------------------------------------------------------------------------------------


def test_what_these_protocols_refuse(tmp_path):
    with pytest.raises(BackboneError, match="take vit, or a vision transformer"):
        _train("mae", tmp_path, build=lambda: resnet.build(DATA.shape, 3, depth=10, widen=0.1))
    with pytest.raises(SettingsError, match="target_scale: expected two numbers"):
        _train("i_jepa", tmp_path, target_scale=[0.2])
    with pytest.raises(SettingsError, match="ratio"):
        _train("mae", tmp_path, ratio=0.99)
    with pytest.raises(SettingsError, match="these data are vectors"):
        data = replace(DATA, kind="vector", train=replace(DATA.train, x=DATA.train.x[:, 0, 0].astype(np.float32)))
        shelf.load(shelf.leaf("train", "simclr"))(Job(_net, data), Ctx(tmp_path), **_params("simclr"))


def test_views_are_augmentations():
    assert all(isinstance(step, Augmentation) for step in parts.steps_of(CROP, "augment"))


def test_heads_are_saved_beside_the_network(tmp_path):
    _, ctx = _train("moco_v3", tmp_path)
    names = set(load((ctx.out / "heads.safetensors").read_bytes()))
    assert {"student/predictor.0.weight", "teacher/1.0.weight", "teacher/0.net.positions"} <= names
    assert not any(name.startswith("student/encoder.0.") for name in names)


def test_a_limit_of_its_own_does_not_see_the_scale_of_the_loss(tmp_path):
    """DINO clips each tensor's gradient: that of the loss, not of the loss times the scale of fp16."""
    moved = []
    for scale in (0.0625, 4.0):
        params = _params("dino", precision="fp16", clip_each=0.01, weight_decay=0.0, freeze_last_layer="0 steps",
                         optimiser={"sgd": {"momentum": 0.0}})  # fmt: skip
        job = Job(_plain, DATA, resolve(params, len(DATA.train)), seed=3, objective=dino.made)
        run = Run(job, Ctx(tmp_path))
        run.scaling.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        before = {name: value.detach().clone() for name, value in run.params.items()}
        run.step()(*run.feed.epoch(0)(0), 1.0)
        assert run.scaling.made
        moved.append(max(float((value.detach() - before[name]).norm()) for name, value in run.params.items()))
    assert moved == pytest.approx([0.01, 0.01], rel=0.02)
