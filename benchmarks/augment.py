"""Augmentation of CIFAR-shaped pictures: ours on resident pixels against the libraries picture by picture.

Per pipeline both sides make the same batches of 128 normalised, augmented pictures, one after the other, in turn and in
both orders, each on one thread. Theirs is a `DataLoader` in the same process over a data set of Pillow pictures (as
torchvision's CIFAR10 gives them) with the transforms of published trainings: torchvision's `v2`, and timm's where the
recipe is timm's. Counted is the time of the processor, so that what else runs on the machine disturbs less; told are
the median of the ratios of neighbouring runs and their range. Ours includes the drawing of all parameters.

    python benchmarks/augment.py [--rounds 7] [--images 2048]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from crucis.data.augment import (
    auto_augment,
    blur,
    color_jitter,
    crop,
    cutmix,
    flip,
    grayscale,
    mix,
    mixup,
    rand_augment,
    random_erasing,
    resized_crop,
    trivial_augment,
)
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import Split
from crucis.nets._torchvision import timm, torchvision
from crucis.streams import generator

BATCH, TARGET = 128, 5.0
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class Pictures(Dataset):
    """A data set that gives Pillow pictures, as torchvision's does."""

    def __init__(self, x: np.ndarray, transform) -> None:
        from PIL import Image

        self.x, self.transform, self.open = x, transform, Image.fromarray

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int):
        return self.transform(self.open(self.x[i])), i % 10


def theirs(x: np.ndarray, before: list, after: list, mixing=None):
    """One epoch of a loader over `before`, conversion, normalisation, `after`, and a mix of batches."""
    from torchvision.transforms import v2

    convert = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    data = Pictures(x, v2.Compose([*before, *convert, *after]))

    def epoch() -> None:
        for pair in DataLoader(data, BATCH, shuffle=True, drop_last=True):
            if mixing is not None:
                mixing(*pair)

    return epoch


def ours(x: np.ndarray, steps: list):
    """One epoch as the trainer feeds it."""
    source = Resident(Split(x, np.arange(len(x)) % 10), MEAN, STD, classes=10)
    pipeline = Pipeline(steps)

    def epoch() -> None:
        order = torch.randperm(len(x), generator=generator(0, "order", 0))
        drawn = pipeline.draw(len(x), source.shape, generator(0, "augment", 0))
        for start in range(0, len(x), BATCH):
            part = slice(start, start + BATCH)
            source.gather(order[part], drawn[part])

    return epoch


def pipelines(x: np.ndarray) -> dict[str, tuple]:
    """Name -> (ours, theirs)."""
    from timm.data.auto_augment import rand_augment_transform
    from timm.data.mixup import Mixup
    from timm.data.random_erasing import RandomErasing
    from torchvision.transforms import v2

    shift = [crop.augment(padding=4), flip.augment()]
    cut = [resized_crop.augment(), flip.augment()]
    their_shift = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()]
    their_cut = [v2.RandomResizedCrop(32), v2.RandomHorizontalFlip()]
    smooth = {"num_classes": 10, "label_smoothing": 0.0}
    erase = RandomErasing(0.25, mode="pixel", device="cpu")
    drawn = rand_augment_transform("rand-m9-mstd0.5-inc1", {})

    def policy(one):
        """timm's; a posterisation to no bit at all, which today's Pillow refuses, leaves the picture as it is."""
        try:
            return drawn(one)
        except ValueError:
            return one

    made = {
        "crop, flip": (shift, (their_shift, [])),
        "crop, flip, jitter": (
            [*shift, color_jitter.augment()], ([*their_shift, v2.ColorJitter(0.4, 0.4, 0.4)], [])),
        "crop, flip, jitter with hue": (
            [*shift, color_jitter.augment(hue=0.1)], ([*their_shift, v2.ColorJitter(0.4, 0.4, 0.4, 0.1)], [])),
        "resized crop, flip": (cut, (their_cut, [])),
        "resized crop (bicubic), flip": (
            [resized_crop.augment(interpolation="bicubic"), flip.augment()],
            ([v2.RandomResizedCrop(32, interpolation=v2.InterpolationMode.BICUBIC), their_cut[1]], [])),
        "crop, flip, RandAugment (timm)": ([*shift, rand_augment.augment()], ([*their_shift, policy], [])),
        "crop, flip, RandAugment (torchvision)": (
            [*shift, rand_augment.augment(ranges="torchvision")], ([*their_shift, v2.RandAugment()], [])),
        "crop, flip, AutoAugment": (
            [*shift, auto_augment.augment(policy="cifar10")],
            ([*their_shift, v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)], [])),
        "crop, flip, TrivialAugment": (
            [*shift, trivial_augment.augment()], ([*their_shift, v2.TrivialAugmentWide()], [])),
        "crop, flip, erasing (pixel)": (
            [*shift, random_erasing.augment(mode="pixel")], (their_shift, [erase])),
        "crop, flip, mixup": (
            [*shift, mixup.augment(alpha=0.8, per="batch")],
            (their_shift, [], Mixup(0.8, 0.0, **smooth))),
        "crop, flip, cutmix": ([*shift, cutmix.augment()], (their_shift, [], Mixup(0.0, 1.0, **smooth))),
        "SimCLR's view": (
            [*cut, color_jitter.augment(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, probability=0.8),
             grayscale.augment(), blur.augment()],
            ([*their_cut, v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8), v2.RandomGrayscale(0.2),
              v2.RandomApply([v2.GaussianBlur(3)], 0.5)], [])),
        "DeiT, whole": (
            [resized_crop.augment(interpolation="bicubic"), flip.augment(), rand_augment.augment(),
             random_erasing.augment(mode="pixel"), mix.augment()],
            ([v2.RandomResizedCrop(32, interpolation=v2.InterpolationMode.BICUBIC), their_cut[1], policy], [erase],
             Mixup(0.8, 1.0, **smooth))),
    }  # fmt: skip
    return {name: (ours(x, mine), theirs(x, *other)) for name, (mine, other) in made.items()}


def cpu(epoch) -> float:
    begun = time.process_time()
    epoch()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--only", default="", help="pipelines whose name contains this")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torchvision(), timm()
    x = np.random.default_rng(0).integers(0, 256, (asked.images, 8, 8, 3), dtype=np.uint8)
    x = np.ascontiguousarray(x.repeat(4, 1).repeat(4, 2))
    report = {"images": asked.images, "batch": BATCH, "rounds": asked.rounds, "torch": torch.__version__,
              "target": TARGET, "pipelines": {}}  # fmt: skip
    for name, sides in pipelines(x).items():
        if asked.only not in name:
            continue
        spent: tuple[list[float], list[float]] = ([], [])
        for side in sides:
            side()
        for turn in range(asked.rounds):
            for which in (0, 1) if turn % 2 else (1, 0):
                spent[which].append(cpu(sides[which]))
        ratios = [other / mine for mine, other in zip(*spent, strict=True)]
        report["pipelines"][name] = {
            "ours_per_cpu_s": round(asked.images / statistics.median(spent[0])),
            "theirs_per_cpu_s": round(asked.images / statistics.median(spent[1])),
            "ratio_median": round(statistics.median(ratios), 2),
            "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
            "met": statistics.median(ratios) >= TARGET,
        }
        line = report["pipelines"][name]
        print(
            f"{name:40} {line['ours_per_cpu_s']:>8} {line['theirs_per_cpu_s']:>7} pictures/s  x{line['ratio_median']}"
        )
    if not asked.only:
        path = Path(__file__).parent / "results" / "augment.json"
        path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
