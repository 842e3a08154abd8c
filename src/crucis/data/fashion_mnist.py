"""Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28 pixels, ten kinds of clothing.

Source: H. Xiao, K. Rasul, R. Vollgraf, 2017, arXiv:1708.07747. MIT licence. Looked for as torchvision lays it out
(`FashionMNIST/raw`, plain or gzip).
"""

from __future__ import annotations

from pathlib import Path

from ._idx import load_idx
from .dataset import Raw
from .files import Remote

REVISION = 1
KIND = "image"

_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
REMOTE = {
    f"{name}-ubyte.gz": Remote(f"{_URL}{name}-ubyte.gz", checksum)
    for name, checksum in (
        ("train-images-idx3", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )
}
CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot",
)  # fmt: skip


def load(root: Path | None, *, path: str | None = None, download: bool = False) -> Raw:
    """Images uint8 (N, 28, 28, 1); official test part.

    Args:
        path: folder of the files, or one above it; default: the folder of data sets.
        download: fetch the files (30 MB) if they are nowhere.
    """
    return load_idx("fashion_mnist", "FashionMNIST", CLASSES, root, path, download, REMOTE)
