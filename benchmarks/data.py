"""Augmented samples per CPU second at CIFAR shape: resident batches against a DataLoader with torchvision transforms.

    python benchmarks/data.py [--rounds 5]

One thread; both sides crop (padding 4), flip and normalise 4,096 images of 32 x 32 x 3 in batches of 128. The two sides
alternate, and each round gives one ratio of CPU times. Target: a median of at least 10. Writes
benchmarks/results/data.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crucis.data.augment import crop, cutout, flip, mixup
from crucis.data.augmenting import Pipeline
from crucis.data.batches import Resident
from crucis.data.dataset import Split
from crucis.nets._torchvision import torchvision
from crucis.streams import generator

COUNT, BATCH, TARGET = 4096, 128, 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)


def theirs(x: np.ndarray):
    """DataLoader in this process, PIL images, torchvision's random transforms."""
    torchvision()
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    change = transforms.Compose([
        transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ])  # fmt: skip

    class Images(Dataset):
        def __len__(self) -> int:
            return COUNT

        def __getitem__(self, i: int):
            return change(Image.fromarray(x[i])), i % 10

    def epoch() -> None:
        for _ in DataLoader(Images(), BATCH, shuffle=True):
            pass

    return epoch


def ours(x: np.ndarray, steps: list):
    """One gather per batch, parameters drawn once per epoch."""
    source = Resident(Split(x, np.arange(COUNT) % 10), MEAN, STD, classes=10)
    pipeline = Pipeline(steps)

    def epoch() -> None:
        order = torch.randperm(COUNT, generator=generator(0, "order", 0))
        drawn = pipeline.draw(COUNT, source.shape, generator(0, "augment", 0)) if steps else None
        for start in range(0, COUNT, BATCH):
            part = slice(start, start + BATCH)
            source.gather(order[part], drawn[part] if drawn else None)

    return epoch


def cpu(epoch) -> float:
    begun = time.process_time()
    epoch()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    x = pixels()
    sides = {
        "torchvision": theirs(x),
        "crop, flip": ours(x, [crop.augment(padding=4), flip.augment()]),
        "crop, flip, cutout": ours(x, [crop.augment(padding=4), flip.augment(), cutout.augment()]),
        "crop, flip, mixup": ours(x, [crop.augment(padding=4), flip.augment(), mixup.augment()]),
        "none": ours(x, []),
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    for epoch in sides.values():
        epoch()
    for turn in range(rounds):
        for name, epoch in list(sides.items())[:: 1 if turn % 2 else -1]:
            times[name].append(cpu(epoch))
    report = {"images": COUNT, "batch": BATCH, "rounds": rounds, "torch": torch.__version__, "sides": {}}
    for name, spent in times.items():
        ratios = [base / mine for base, mine in zip(times["torchvision"], spent, strict=True)]
        report["sides"][name] = {
            "samples_per_cpu_s": round(COUNT / statistics.median(spent)),
            "ratio_median": round(statistics.median(ratios), 2),
            "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        }
        side = report["sides"][name]
        print(f"{name:22} {side['samples_per_cpu_s']:>9} samples/CPU-s  x{side['ratio_median']}")
    report["target"], report["met"] = TARGET, report["sides"]["crop, flip"]["ratio_median"] >= TARGET
    path = Path(__file__).parent / "results" / "data.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
