"""CIFAR-100: 50,000 + 10,000 colour images of 32 x 32 pixels in 100 classes, 20 coarse ones.

Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009. Looked for as torchvision
lays it out (`cifar-100-python`), then as Parquet (`CIFAR100/train.parquet`, whose pixels may have been re-encoded).
Some images occur, nearly or exactly, in both parts; exact ones leave the training side.
"""

from __future__ import annotations

from pathlib import Path

from ._cifar import Layout, load_cifar
from .dataset import Raw
from .files import Remote

REVISION = 1
KIND = "image"

REMOTE = Remote("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85")
LAYOUT = Layout(
    "cifar100", "cifar-100-python", "CIFAR100", ("train",), "test", "meta", (b"fine_labels", b"coarse_labels"),
    (b"fine_label_names", b"coarse_label_names"), ("fine_label", "coarse_label"),
)  # fmt: skip


def load(root: Path | None, *, path: str | None = None, download: bool = False) -> Raw:
    """Images uint8 (N, 32, 32, 3); official test part.

    Args:
        path: folder of the files, or the one above it; default: the folder of data sets.
        download: fetch the published archive (170 MB) if there are no files.
    """
    return load_cifar(LAYOUT, root, path, download, REMOTE)
