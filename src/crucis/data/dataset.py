"""What a data set is once it is loaded: three splits of plain arrays, and the facts a plan needs of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import CrucisError, Refusal

SPLITS = ("train", "validation", "test")


class DataError(CrucisError):
    """A data set that cannot be read, or that its parameters do not describe. Names the file and the fault."""


@dataclass(frozen=True, eq=False)
class Split:
    """Examples and labels.

    Attributes:
        x: images uint8 (N, H, W, C), or vectors float32 (N, D).
        y: class indices, int64 (N,).
        factors: known generating factors of each example, name -> (N,) or (N, k); empty for real data.
    """

    x: np.ndarray
    y: np.ndarray
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray) -> Split:
        """The examples at `index`, in that order."""
        return Split(self.x[index], self.y[index], {name: value[index] for name, value in self.factors.items()})

    def frozen(self) -> Split:
        """The same arrays, contiguous and read-only."""
        factors = {name: _frozen(value) for name, value in self.factors.items()}
        return Split(_frozen(self.x), _frozen(self.y), factors)


def _frozen(array: np.ndarray) -> np.ndarray:
    out = np.ascontiguousarray(array)
    out.setflags(write=False)
    return out


@dataclass(frozen=True, eq=False)
class Raw:
    """What a data leaf's `load` returns: all examples, before Crucis makes its splits.

    Attributes:
        x, y: the training part, or everything when there is no official test part.
        class_names: one name per class; their number is the number of classes.
        test_x, test_y: the official test part.
        validation_x, validation_y: an official validation part, where the source has one.
        coarse: for each class the index of its coarse class, or empty.
        coarse_names: names of the coarse classes.
        factors, test_factors: as in `Split`.
        standardised: whether networks see examples by the mean and deviation of the training split; if not, as they
            are (images on the scale 0 to 1).
        files: every file and folder that was read; their size and time decide whether a cached description holds.
    """

    x: np.ndarray
    y: np.ndarray
    class_names: tuple[str, ...]
    test_x: np.ndarray | None = None
    test_y: np.ndarray | None = None
    validation_x: np.ndarray | None = None
    validation_y: np.ndarray | None = None
    coarse: tuple[int, ...] = ()
    coarse_names: tuple[str, ...] = ()
    factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    test_factors: Mapping[str, np.ndarray] = field(default_factory=dict)
    standardised: bool = True
    files: tuple[Any, ...] = ()


@dataclass(frozen=True, eq=False)
class Dataset:
    """A loaded data set with its three fixed splits.

    Attributes:
        kind: `image` or `vector`.
        classes: outputs a network needs, also when a view narrows the examples.
        mean, std: of the whole training split before any view; images per channel on the scale 0 to 1, vectors per
            feature. 0 and 1 where a data set is not standardised (`Raw.standardised`).
        digest: SHA-256 of the content of all splits; with `view`, the identity of what is trained on.
        coarse, coarse_names: see `Raw`.
        duplicates_removed: training and validation examples dropped because another split holds an equal one.
        view: the view that was applied, as written.
        active: class indices that the view keeps, ascending.
        unsealed: whether `split("test")` answers.
    """

    name: str
    kind: str
    classes: int
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    coarse: tuple[int, ...] = ()
    coarse_names: tuple[str, ...] = ()
    duplicates_removed: int = 0
    view: Mapping[str, Any] = field(default_factory=dict)
    active: tuple[int, ...] = ()
    unsealed: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image, (D,) of a vector."""
        size = self.train.x.shape[1:]
        return (size[2], size[0], size[1]) if self.kind == "image" else (int(size[0]),)

    def split(self, name: str) -> Split:
        """The split `train`, `validation` or `test`. The only place through which a test split is handed out.

        Raises:
            Refusal: the test split is sealed.
            ValueError: no such split.
        """
        if name not in SPLITS:
            raise ValueError(f"no split {name!r}; there are {', '.join(SPLITS)}")
        if name == "test" and not self.unsealed:
            raise Refusal(
                "sealed", f"the test split of {self.name} is sealed; use split: validation, or run crucis unseal"
            )
        return getattr(self, name)

    def mapped(self, change: Callable[[Split], Split], **fields: Any) -> Dataset:
        """A copy with `change` applied to every split alike, the sealed one included, and other fields replaced."""
        parts = {"train": change(self.train), "validation": change(self.validation), "test": change(self.test)}
        return replace(self, **{**parts, **fields})


@dataclass(frozen=True)
class Info:
    """What a plan knows of a data set without holding its examples.

    `class_counts`: split -> number of examples of each class.
    """

    name: str
    digest: str
    kind: str
    shape: tuple[int, ...]
    classes: int
    class_names: tuple[str, ...]
    class_counts: Mapping[str, tuple[int, ...]]
    duplicates_removed: int = 0
    coarse: tuple[int, ...] = ()
    coarse_names: tuple[str, ...] = ()

    def size(self, split: str = "train") -> int:
        """Examples in a split."""
        return sum(self.class_counts[split])


def info_of(data: Dataset) -> Info:
    """The facts of a loaded data set."""
    counts = {
        name: tuple(np.bincount(getattr(data, name).y, minlength=data.classes).tolist()) for name in SPLITS
    }  # counting is not reading: sizes of the sealed split are public
    return Info(
        data.name, data.digest, data.kind, data.shape, data.classes, data.class_names, counts,
        data.duplicates_removed, data.coarse, data.coarse_names,
    )  # fmt: skip
