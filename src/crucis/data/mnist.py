"""MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels, handwritten digits.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, 1998, doi:10.1109/5.726791. Looked for as torchvision lays it out
(`MNIST/raw`, plain or gzip).
"""

from __future__ import annotations

from pathlib import Path

from ._idx import load_idx
from .dataset import Raw
from .files import Remote

REVISION = 1
KIND = "image"

_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
REMOTE = {
    f"{name}-ubyte.gz": Remote(f"{_URL}{name}-ubyte.gz", checksum)
    for name, checksum in (
        ("train-images-idx3", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
}


def load(root: Path | None, *, path: str | None = None, download: bool = False) -> Raw:
    """Images uint8 (N, 28, 28, 1); official test part.

    Args:
        path: folder of the files, or one above it; default: the folder of data sets.
        download: fetch the files (12 MB) if they are nowhere.
    """
    return load_idx("mnist", "MNIST", tuple("0123456789"), root, path, download, REMOTE)
