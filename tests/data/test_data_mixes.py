"""Mixes and erasing against timm, and the numbers of the first augmentations, which must stay as they were."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import pytest
import torch
from augment_oracles import policies
from scipy.stats import ks_2samp, kstest, norm

from crucis.data import mixing
from crucis.data.augment import crop, cutmix, cutout, flip, mix, mixup, random_erasing
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import DataError, Split
from crucis.streams import generator

SHAPE = (3, 16, 12)


def resident(count: int = 12, size: tuple[int, int] = SHAPE[1:]) -> Resident:
    x = np.random.default_rng(1).integers(0, 256, (count, *size, 3), dtype=np.uint8)
    return Resident(Split(x, np.arange(count) % 4), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), classes=4)


def test_what_was_drawn_before_has_its_bits():
    x = np.random.default_rng(7).integers(0, 256, (40, 12, 10, 3), dtype=np.uint8)
    source = Resident(Split(x, np.arange(40) % 5), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), classes=5)
    steps = [crop.augment(padding=3, fill="reflect"), flip.augment(), cutout.augment(size=4), mixup.augment(alpha=0.4)]
    drawn = Pipeline(steps).draw(40, source.shape, generator(1, "augment", 0))
    seen = hashlib.sha256()
    for i in range(0, 40, 16):
        for value in source.gather(torch.arange(40)[i : i + 16], drawn[i : i + 16]):
            seen.update(value.contiguous().numpy().tobytes())
    assert seen.hexdigest() == "4e79cf0b3ecb70e6d9aae7e430a70c1cacb4a6d2115a470d15ab7a2ec12cb6af"


# --- mixes ---


class Forced:
    """numpy's generator as timm's functions call it, with the numbers that we drew."""

    def __init__(self, **values):
        self.values = values

    def rand(self, *shape):
        return self.values["rand"].pop(0)

    def beta(self, *args, **kwargs):
        return self.values["beta"]

    def randint(self, low, high, size=None):
        return self.values["randint"].pop(0)


def theirs(monkeypatch, x, y, *, cut: bool, weight: float, centre: tuple[int, int], smoothing: float):
    module = __import__("timm.data.mixup", fromlist=["Mixup"])
    made = module.Mixup(0.8, 1.0, prob=1.0, switch_prob=0.5, label_smoothing=smoothing, num_classes=4)
    forced = Forced(rand=[0.0, 0.0 if cut else 1.0], beta=weight, randint=list(centre))
    with monkeypatch.context() as patch:
        patch.setattr(module.np, "random", forced)
        return made(x.clone().contiguous(), y)


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_batch_is_mixed_as_by_timm(monkeypatch, cut, smoothing):
    policies()
    source, step = resident(), mix.augment(switch=float(cut))
    every = torch.arange(12)
    plain, labels = source.gather(every)
    for seed in range(6):
        drawn = Pipeline([step]).draw(12, source.shape, generator(seed, "m"))
        params = {name: value[0] for name, value in drawn.params[0].items()}
        weight, centre = float(params["own"]), (0, 0)
        if cut:  # their weight before the box was cut off, and their centre, from the box that we drew
            again = generator(seed, "m")
            mixing.chance(12, 1.0, again)
            mixing.beta(0.8, 12, again)
            weight = float(mixing.beta(1.0, 12, again)[0])
            mixing.chance(12, 1.0, again)
            place = torch.rand(2, 12, generator=again, dtype=torch.float64)[:, 0]
            centre = (int(place[0] * 16), int(place[1] * 12))
        x, y = source.gather(every, drawn)
        wanted, target = theirs(monkeypatch, plain, labels, cut=cut, weight=weight, centre=centre, smoothing=smoothing)
        assert torch.allclose(x, wanted, atol=1e-6)
        assert torch.allclose(y * (1 - smoothing) + smoothing / 4, target, atol=1e-6)
        if cut:
            assert torch.equal(x, wanted)  # pasted, not computed


def test_smoothing_a_mixed_label_is_mixing_smoothed_ones():
    """The loss of the trainer smooths soft labels; timm smooths first."""
    logits = torch.randn(6, 4, generator=generator(0, "x"))
    soft = torch.softmax(torch.randn(6, 4, generator=generator(1, "x")), 1)
    smooth = torch.nn.functional.cross_entropy(logits, soft, label_smoothing=0.1)
    by_hand = -((soft * 0.9 + 0.1 / 4) * logits.log_softmax(1)).sum(1).mean()
    assert torch.allclose(smooth, by_hand)


@pytest.mark.parametrize(
    "step",
    [
        cutmix.augment(per="example"),
        cutmix.augment(),
        mix.augment(per="example"),
        mixup.augment(alpha=1.0, per="batch"),
        mix.augment(probability=0.4, per="example"),
    ],
)
def test_labels_have_the_share_of_their_pixels(step):
    """White and black images: the mean of the result is the weight of the white one's label."""
    x = np.zeros((24, 16, 12, 3), np.uint8)
    x[::2] = 255
    source = Resident(Split(x, np.arange(24) % 2), (0.0,) * 3, (1.0,) * 3, classes=2)
    drawn = Pipeline([step]).draw(24, source.shape, generator(4, "m"))
    seen, soft = source.gather(torch.arange(24), drawn)
    assert torch.allclose(seen.mean((1, 2, 3)), soft[:, 0], atol=1e-5) and torch.allclose(soft.sum(1), torch.ones(24))
    assert len(soft[:, 0].unique()) > 2


@pytest.mark.parametrize("step", [cutmix.augment(), mixup.augment(per="batch"), mix.augment()])
def test_one_draw_holds_for_a_batch(step):
    source = resident()
    drawn = Pipeline([step]).draw(12, source.shape, generator(2, "m"))[3:9]
    partner, weight = step.partners(drawn.params[0])
    assert len(weight.unique()) == 1 and sorted(partner.tolist()) == list(range(6))
    assert float(weight[0]) == float(drawn.params[0]["weight"][0])


def test_boxes_and_weights_are_drawn_as_by_timm():
    module = policies() and __import__("timm.data.mixup", fromlist=["x"])
    n = 4000
    box, share = mixing.boxes(mixing.beta(1.0, n, generator(0, "b")), SHAPE, "cutmix", generator(1, "b"))
    state = np.random.get_state()
    np.random.seed(0)
    found = [module.cutmix_bbox_and_lam(SHAPE, np.random.beta(1.0, 1.0)) for _ in range(n)]
    np.random.set_state(state)
    assert ks_2samp(share.numpy(), [lam for _, lam in found]).pvalue > 1e-3
    for place in range(4):
        assert ks_2samp(box[:, place].numpy(), [each[0][place] for each in found]).pvalue > 1e-3
    for probability, step in ((0.3, mix.augment(probability=0.3)), (0.6, mixup.augment(probability=0.6))):
        weight = step.draw(n, SHAPE, generator(5, "b"))["weight"]
        assert abs(float((weight < 1).double().mean()) - probability) < 0.03


def test_vectors_cannot_be_cut():
    vectors = Resident(Split(np.zeros((6, 5), np.float32), np.zeros(6, np.int64)), (0.0,) * 5, (1.0,) * 5, classes=2)
    for step in (cutmix.augment(), mix.augment()):
        with pytest.raises(DataError, match="needs images"):
            Pipeline([step]).draw(6, vectors.shape, generator(0, "m"))
    with pytest.raises(DataError, match="one of mixup, cutmix and mix"):
        Pipeline([cutmix.augment(), mixup.augment()])


# --- erasing ---


def erased(mode: str, count: int = 1, n: int = 3000):
    """Samples of 1 (which no fill is) after our erasing and after timm's."""
    data = policies()
    shape = (3, 20, 24)
    step = random_erasing.augment(
        probability=0.6, mode={"const": "mean", "rand": "colour"}.get(mode, mode), count=count
    )
    drawn = step.draw(n, shape, generator(0, "e"))
    mine = torch.ones(n, 20, 24 * 3)
    step.cover(mine, shape, drawn)
    other = torch.ones(n, *shape)
    made = data.random_erasing.RandomErasing(0.6, mode=mode, max_count=count, device="cpu")
    state = random.getstate()
    random.seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made(other)
    random.setstate(state)
    return mine.view(n, 20, 24, 3).permute(0, 3, 1, 2), other, drawn


@pytest.mark.parametrize("count", [1, 3])
def test_rectangles_are_drawn_as_by_timm(count):
    mine, other, drawn = erased("const", count)
    areas = [(part[:, 0] == 0).double().mean((1, 2)).numpy() for part in (mine, other)]
    assert abs((areas[0] > 0).mean() - (areas[1] > 0).mean()) < 0.04
    assert ks_2samp(*areas).pvalue > 1e-3
    where = [(part[:, 0] == 0).double().mean(0) for part in (mine, other)]
    assert (where[0] - where[1]).abs().max() < 0.03
    if count == 1:
        widths = [(part[:, 0] == 0).any(1).sum(1).numpy() for part in (mine, other)]
        assert ks_2samp(*widths).pvalue > 1e-3
        box = drawn["box"][:, 0].numpy()
        inside = mine[:, 0] == 0
        for i in range(40):
            top, left, height, width = box[i]
            blank = np.zeros((20, 24), bool)
            blank[top : top + height, left : left + width] = True
            assert np.array_equal(inside[i].numpy(), blank)


@pytest.mark.parametrize("mode", ["rand", "pixel"])
def test_fills_are_normal(mode):
    mine, other, drawn = erased(mode)
    for part in (mine, other):
        hit = (part != 1).all(1)
        values = part.permute(0, 2, 3, 1)[hit]
        if mode == "rand":
            values = torch.stack([part[i][:, hit[i]][:, 0] for i in range(len(part)) if hit[i].any()])
        flat = values[:20_000].flatten().double().numpy()
        assert kstest(flat, norm.cdf).pvalue > 1e-3
        assert np.abs(np.corrcoef(values[:20_000].double().numpy().T) - np.eye(3)).max() < 0.08
    if mode == "rand":
        first = mine[drawn["box"][:, 0, 2] * drawn["box"][:, 0, 3] > 0][0]
        assert all(len(channel.unique()) <= 2 for channel in first)


def test_noise_is_a_function_of_its_counter():
    counter = torch.arange(200_000) * 3 + (1 << 61)
    noise = random_erasing.normal(counter)
    assert torch.equal(random_erasing.normal(counter[5:9]), noise[5:9])
    assert kstest(noise.double().numpy(), norm.cdf).pvalue > 1e-3
    assert abs(float((noise[1:] * noise[:-1]).double().mean())) < 0.01


@pytest.mark.parametrize("mode", ["mean", "colour", "pixel"])
def test_no_erased_sample_depends_on_its_batch(mode):
    source = resident()
    drawn = Pipeline([random_erasing.augment(probability=0.7, mode=mode, count=2)]).draw(
        12, source.shape, generator(0, "e")
    )
    whole = source.gather(torch.arange(12), drawn)[0]
    parts = [source.gather(torch.arange(12)[i : i + 5], drawn[i : i + 5])[0] for i in (0, 5, 10)]
    assert torch.equal(torch.cat(parts), whole)
    plain = source.gather(torch.arange(12))[0]
    assert 0.2 < float((whole != plain).any(1).any(1).any(1).double().mean()) < 1


def test_splitmix_is_the_published_generator():
    """The known first outputs from the state 0, whose counters are 1, 2, 3."""
    found = [int(value) % 2**64 for value in random_erasing.scrambled(torch.tensor([1, 2, 3]))]
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
