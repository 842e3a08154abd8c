"""Policies: each operation at each magnitude against the library that it comes from, and what is drawn too."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
import torch
from augment_oracles import levels, photo, pictures, policies, transforms
from scipy.stats import chi2_contingency, ks_2samp

from crucis.data import policies as ours
from crucis.data import warping
from crucis.data.augment import auto_augment, crop, flip, rand_augment, trivial_augment
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import DataError, Split
from crucis.streams import generator

COUNT = 24
TIMM = {"AutoContrast": "auto_contrast", "Equalize": "equalize", "Invert": "invert", "Rotate": "rotate",
        "Posterize": "posterize", "Solarize": "solarize", "SolarizeAdd": "solarize_add", "Color": "color",
        "Contrast": "contrast", "Brightness": "brightness", "Sharpness": "sharpness", "ShearX": "shear_x",
        "ShearY": "shear_y", "TranslateX": "shift_x", "TranslateY": "shift_y", "Identity": "identity"}  # fmt: skip


def plain(name: str) -> str:
    return TIMM[name.removesuffix("Increasing").removesuffix("Original").removesuffix("Rel")]


def close(got: torch.Tensor, wanted: torch.Tensor, name: str) -> None:
    """Level for level, but for interpolated pixels."""
    apart = (got.int() - wanted.int()).abs()
    if name in ours.MOVES:
        assert (apart > 1).double().mean() < 0.002 and (apart > 0).double().mean() < 0.01, name
    else:
        assert apart.max() == 0, name


@pytest.mark.parametrize("kind", warping.KINDS)
@pytest.mark.parametrize("shape", [(32, 32), (13, 20)])
def test_moves_are_pillows(kind, shape):
    ops = policies().auto_augment
    from PIL import Image

    theirs = {"shear_x": (ops.shear_x, 0.4), "shear_y": (ops.shear_y, 0.4), "shift_x": (ops.translate_x_abs, 9.0),
              "shift_y": (ops.translate_y_abs, 9.0), "rotate": (ops.rotate, 180.0)}  # fmt: skip
    x = pictures(COUNT, *shape)
    for name, (function, most) in theirs.items():
        amount = torch.linspace(-most, most, COUNT) * 0.99
        nothing = torch.zeros_like(amount)
        if name == "rotate":
            got = warping.rotate(x.clone(), amount, kind, 77)
        else:
            both = (amount, nothing) if name.startswith("shear") else (nothing, amount)
            got = getattr(warping, "move" + name[-2:])(x.clone(), *both, kind, 77)
        options = {"fillcolor": (77,) * 3, "resample": getattr(Image, kind.upper())}
        wanted = torch.stack([levels(function(photo(x[i]), float(amount[i]), **options)) for i in range(COUNT)])
        apart = (got.int() - wanted.int()).abs()
        assert kind == "nearest" or apart.max() <= 1, (name, apart.max())
        assert (apart > 0).double().mean() < 0.001, (name, (apart > 0).double().mean())


def ask(scales, name: str, share: float, sign: float, shape) -> torch.Tensor:
    one = torch.ones(1, 1, dtype=torch.float64)
    return ours.arguments(one.long() * ours.NUMBER[name], one * share, one * sign, scales, shape)[0]


@pytest.mark.parametrize(
    ("ranges", "known"), [("increasing", "_RAND_INCREASING_TRANSFORMS"), ("original", "_RAND_TRANSFORMS")]
)
def test_levels_are_timms(monkeypatch, ranges, known):
    ops = policies().auto_augment
    from PIL import Image

    step = rand_augment.augment(ranges=ranges)
    assert {plain(name) for name in getattr(ops, known)} == set(ours.SCALES[ranges])
    x = pictures(4, 32, 32, seed=3)
    for name in getattr(ops, known):
        for level in (0.0, 0.7, 4.4, 9.0, 9.9):
            if name == "Posterize" and level < 2.5:
                continue  # no bit is left, which Pillow refuses today and made black before
            for sign in (-1.0, 1.0):
                made = ops.AugmentOp(name, 1.0, level, {"img_mean": (128,) * 3, "interpolation": Image.BICUBIC})
                monkeypatch.setattr(ops, "_randomly_negate", lambda value: value * sign)
                argument = ask(ours.SCALES[ranges], plain(name), level / 10, sign, (3, 32, 32))
                chosen = torch.full((4, 1), ours.NUMBER[plain(name)], dtype=torch.uint8)
                got = step.repaint(x.clone(), {"operation": chosen, "argument": argument.expand(4, 1)})
                close(got, torch.stack([levels(made(photo(one))) for one in x]), plain(name))


@pytest.mark.parametrize("kind", ["rand", "trivial"])
def test_levels_are_torchvisions(kind):
    v2 = transforms()
    wide = kind == "trivial"
    theirs = v2.TrivialAugmentWide() if wide else v2.RandAugment(2, 9)
    step = trivial_augment.augment() if wide else rand_augment.augment(ranges="torchvision")
    shift = ours.signed_whole(32.0)
    scales = ours.torchvision(0.99, (shift, shift), 135.0, 0.99, 6.0) if wide else ours.SCALES["torchvision"]
    assert {plain(name) for name in theirs._AUGMENTATION_SPACE} == set(scales)
    x = pictures(4, 32, 32, seed=3)
    for name, (magnitudes, signed) in theirs._AUGMENTATION_SPACE.items():
        for number in (0, 3, 9, 17, 30):
            for sign in (-1.0, 1.0):
                given = magnitudes(31, 32, 32)
                magnitude = 0.0 if given is None else float(given[number]) * (sign if signed else 1.0)
                options = ("nearest", {type(photo(x[0])): 0})
                made = [theirs._apply_image_or_video_transform(photo(one), name, magnitude, *options) for one in x]
                wanted = torch.stack([levels(one) for one in made])
                turn = -sign if plain(name).startswith("shift") else sign  # their shifts move, ours look up
                argument = ask(scales, plain(name), number / 30, turn, (3, 32, 32))
                chosen = torch.full((4, 1), ours.NUMBER[plain(name)], dtype=torch.uint8)
                got = step.repaint(x.clone(), {"operation": chosen, "argument": argument.expand(4, 1)})
                close(got, wanted, plain(name))


def drawn_names(step, n: int, seed: int = 0) -> tuple[list[tuple[str, ...]], torch.Tensor]:
    drawn = step.draw(n, (3, 32, 32), generator(seed, "p"))
    return [tuple(ours.NAMES[k] for k in row) for row in drawn["operation"].tolist()], drawn["argument"]


def same_frequencies(mine: list, other: list) -> bool:
    first, second = Counter(mine), Counter(other)
    keys = sorted({*first, *second}, key=str)
    table = np.array([[count[key] for key in keys] for count in (first, second)])
    return bool(chi2_contingency(table).pvalue > 1e-3)


def theirs_in_turn(monkeypatch, made, n: int):
    """What timm applies to each of n pictures: names and magnitudes."""
    ops = policies().auto_augment
    rows: list[list[tuple[str, float]]] = []
    every = {name: (lambda img, *args, name=name, **_: rows[-1].append((plain(name), *args)) or img)
             for name in ops.NAME_TO_OP}  # fmt: skip
    parts = made.ops if hasattr(made, "ops") else [part for pair in made.policy for part in pair]
    for part in parts:
        part.aug_fn = every[part.name]
    state, other = random.getstate(), np.random.get_state()
    random.seed(0), np.random.seed(0)
    for _ in range(n):
        rows.append([])
        made(None)
    random.setstate(state), np.random.set_state(other)
    return rows


def test_rand_augment_draws_what_timm_draws(monkeypatch):
    ops, n = policies().auto_augment, 6000
    rows = theirs_in_turn(monkeypatch, ops.rand_augment_transform("rand-m9-mstd0.5-inc1", {}), n)
    mine, argument = drawn_names(rand_augment.augment(), n)
    assert same_frequencies([sum(name != "identity" for name in row) for row in mine], [len(row) for row in rows])
    other = {}
    for row in rows:
        for name, *values in row:
            other.setdefault(name, []).extend(values)
    flat = [name for row in mine for name in row]
    assert same_frequencies([name for name in flat if name != "identity"], [part[0] for row in rows for part in row])
    for name in ("rotate", "color", "shear_x", "solarize", "posterize", "solarize_add"):
        values = argument.flatten().numpy()[[one == name for one in flat]]
        assert ks_2samp(values, other[name]).pvalue > 1e-3, name
    shares = argument.flatten().numpy()[[one == "shift_x" for one in flat]] / 32
    assert ks_2samp(shares, other["shift_x"]).pvalue > 1e-3


def test_auto_augment_draws_what_timm_draws(monkeypatch):
    ops, n = policies().auto_augment, 6000
    rows = theirs_in_turn(monkeypatch, ops.auto_augment_transform("v0", {}), n)
    mine, _ = drawn_names(auto_augment.augment(policy="v0"), n)
    assert same_frequencies([tuple(name for name in row if name != "identity") for row in mine],
                            [tuple(name for name, *_ in row) for row in rows])  # fmt: skip


@pytest.mark.parametrize("policy", ["imagenet", "cifar10"])
def test_auto_augment_is_torchvisions(policy):
    """Its pairs, chances and magnitudes; and the frequencies that follow from them."""
    v2 = transforms()
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy(policy))
    step, n = auto_augment.augment(policy=policy), 8000
    mine, argument = drawn_names(step, n)
    expected: Counter = Counter()
    shape = (3, 32, 32)
    values: dict[str, set[float]] = {}
    for pair in theirs._policies:
        (first, p, _), (second, q, _) = pair
        for one, share in ((plain(first), p), ("identity", 1 - p)):
            for two, other in ((plain(second), q), ("identity", 1 - q)):
                expected[one, two] += share * other / 25
        for name, _, index in pair:
            given = theirs._AUGMENTATION_SPACE[name][0](10, 32, 32)
            values.setdefault(plain(name), set()).add(0.0 if given is None else round(abs(float(given[index])), 4))
    counts = Counter(mine)
    assert set(counts) <= {key for key, share in expected.items() if share > 0}
    statistic = sum((counts[key] - n * share) ** 2 / (n * share) for key, share in expected.items() if share > 0)
    assert statistic < len(expected) + 5 * (2 * len(expected)) ** 0.5
    flat = [name for row in mine for name in row]
    for name in ("rotate", "shear_x", "shear_y"):
        used = {round(abs(float(value)), 4) for value, one in zip(argument.flatten(), flat, strict=True) if one == name}
        assert used == values.get(name, set())
    for name in {"color", "contrast", "brightness", "sharpness"} & set(flat):
        used = {round(abs(float(value) - 1), 4)
                for value, one in zip(argument.flatten(), flat, strict=True) if one == name}  # fmt: skip
        assert used == values[name]
    assert shape == step.shape(shape)


def test_trivial_augment_is_uniform():
    mine, _ = drawn_names(trivial_augment.augment(), 8000)
    counts = Counter(name for (name,) in mine)
    assert len(counts) == 14 and max(abs(count - 8000 / 14) for count in counts.values()) < 4 * (8000 / 14) ** 0.5


@pytest.mark.parametrize(
    "step",
    [
        rand_augment.augment(),
        rand_augment.augment(ranges="torchvision", layers=3),
        auto_augment.augment(policy="cifar10"),
        trivial_augment.augment(),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_no_sample_depends_on_its_batch(step, channels):
    x = pictures(30, 16, 20, channels, seed=2).permute(0, 2, 3, 1).contiguous().numpy()
    source = Resident(Split(x, np.arange(30)), (0.5,) * channels, (0.25,) * channels)
    pipeline = Pipeline([crop.augment(padding=2), step, flip.augment()])
    drawn = pipeline.draw(30, source.shape, generator(0, "augment", 0))
    order = torch.randperm(30, generator=generator(0, "order", 0))
    whole = source.gather(order, drawn)[0]
    for size in (1, 7):
        parts = [source.gather(order[i : i + size], drawn[i : i + size])[0] for i in range(0, 30, size)]
        assert torch.equal(torch.cat(parts), whole)


def test_magnitudes_beyond_the_ranges_are_refused():
    with pytest.raises(DataError, match="above 10"):
        rand_augment.augment(magnitude=15.0)
    assert rand_augment.augment(ranges="torchvision", magnitude=15.0).probability == 1.0
