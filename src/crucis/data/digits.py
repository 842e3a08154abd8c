"""Handwritten digits, 1,797 grey images of 8 x 8 pixels in 10 classes, as scikit-learn ships them.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository (1998),
doi:10.24432/C50P49; the test part of that set. Needs no download. Splits: 80/10/10, stratified.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .dataset import DataError, Raw
from .files import read_gzip

REVISION = 1
KIND = "image"


def _file() -> Path:
    # Found beside the package without importing it: importing scikit-learn costs more than a second.
    from importlib.util import find_spec

    spec = find_spec("sklearn")
    for base in (spec.submodule_search_locations or []) if spec else []:
        path = Path(base) / "datasets" / "data" / "digits.csv.gz"
        if path.is_file():
            return path
    raise DataError("digits: scikit-learn, which ships these images, is not installed")


def load(root: Path | None) -> Raw:  # noqa: ARG001
    """Images uint8 (1797, 8, 8, 1); the 17 grey levels 0 to 16 are spread over 0 to 255."""
    path = _file()
    try:
        rows = np.array([line.split(b",") for line in read_gzip(path).split()], dtype=np.float64)
        if rows.shape != (1797, 65):
            raise ValueError(f"{rows.shape} in place of (1797, 65)")
    except ValueError as error:
        raise DataError(f"digits: {path.name} is damaged: {error}") from None
    grey = rows[:, :64].astype(np.int64)
    x = ((grey * 255 + 8) // 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    return Raw(x, rows[:, 64].astype(np.int64), tuple("0123456789"), files=(path,))
