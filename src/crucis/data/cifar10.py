"""CIFAR-10: 50,000 + 10,000 colour images of 32 x 32 pixels in 10 classes.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Looked for as torchvision
lays it out (`cifar-10-batches-py`), then as Parquet (`CIFAR10/train.parquet`, whose pixels may have been re-encoded).
Some images occur, nearly or exactly, in both parts; exact ones leave the training side.
"""

from __future__ import annotations

from pathlib import Path

from ._cifar import Layout, load_cifar
from .dataset import Raw
from .files import Remote

REVISION = 1
KIND = "image"

REMOTE = Remote("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a")
LAYOUT = Layout(
    "cifar10", "cifar-10-batches-py", "CIFAR10", tuple(f"data_batch_{i}" for i in range(1, 6)), "test_batch",
    "batches.meta", (b"labels",), (b"label_names",), ("label",),
)  # fmt: skip


def load(root: Path | None, *, path: str | None = None, download: bool = False) -> Raw:
    """Images uint8 (N, 32, 32, 3); official test part.

    Args:
        path: folder of the files, or the one above it; default: the folder of data sets.
        download: fetch the published archive (170 MB) if there are no files.
    """
    return load_cifar(LAYOUT, root, path, download, REMOTE)
