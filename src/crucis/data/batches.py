"""A split resident on the device: one gather gives a normalised, augmented batch.

Images stay uint8, each pixel packed into one 32-bit word where it has three or four channels, so that a crop and a flip
of a whole batch are one gather of words. Rows of channels come out last, seen as NCHW: channels-last for free.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from .augmenting import Augmentation, Cover, Drawn, Geometry, Light, Mix, Params, Picture, pieces
from .dataset import DataError, Dataset, Split


def _words(x: np.ndarray) -> Tensor:
    """All pixels and one black one behind them: int32 (N*H*W + 1,), or uint8 (N*H*W + 1, C)."""
    channels = x.shape[-1]
    flat = x.reshape(-1, channels)
    if channels in (3, 4):
        packed = np.zeros((len(flat) + 1, 4), np.uint8)
        packed[:-1, :channels] = flat
        return torch.from_numpy(packed.view(np.int32)[:, 0])
    padded = np.zeros((len(flat) + 1, channels), np.uint8)
    padded[:-1] = flat
    return torch.from_numpy(padded[:, 0].copy() if channels == 1 else padded)


def _rows(x: Tensor) -> Tensor:
    """A batch (B, C, H, W) in channels-last memory as (B, H, W*C), without copying."""
    return x.permute(0, 2, 3, 1).flatten(2)


def _planes(words: Tensor, count: int, shape: Sequence[int]) -> Tensor:
    """Words of `count` images as uint8 (count, C, H, W), contiguous and with memory of its own."""
    channels, height, width = shape
    stored = 4 if words.dtype == torch.int32 else channels
    pixels = words.view(torch.uint8).view(count, height, width, stored)
    return pixels[..., :channels].permute(0, 3, 1, 2).contiguous()


class Resident:
    """A split on a device.

    Args:
        split: images uint8 (N, H, W, C) or vectors float32 (N, D); copied.
        mean, std: as `Dataset.mean` and `Dataset.std`.
        device: where batches are made.
        classes: outputs of the network; needed only for soft labels (mixup).

    Attributes:
        n: examples.
        shape: (C, H, W) or (D,).
        y: labels, int64 (N,) on the device.
    """

    def __init__(
        self,
        split: Split,
        mean: Sequence[float],
        std: Sequence[float],
        device: str | torch.device = "cpu",
        *,
        classes: int | None = None,
    ) -> None:
        self.n, self.device, self.classes = len(split), torch.device(device), classes
        self.y = torch.from_numpy(np.array(split.y, dtype=np.int64)).to(self.device)
        size = split.x.shape[1:]
        self.image = split.x.ndim == 4
        centre, spread = np.array(mean, dtype=np.float64), np.array(std, dtype=np.float64)
        if not self.image:
            self.shape: tuple[int, ...] = (size[0],)
            self.x = torch.from_numpy(((split.x - centre) / spread).astype(np.float32)).to(self.device)
            return
        self.shape = (size[2], size[0], size[1])
        self.x = _words(split.x).to(self.device)
        self._whole = self.x[:-1].view(self.n, -1)  # the same memory, one row per example
        scale, shift = (1 / (255 * spread)).astype(np.float32), (-centre / spread).astype(np.float32)
        self._scales = scale.tolist()
        self._spread = torch.from_numpy(spread.astype(np.float32)).to(self.device)
        self._scale = torch.from_numpy(np.tile(scale, size[1])).to(self.device)
        self._shift = torch.from_numpy(np.tile(shift, size[1])).to(self.device)
        # Twice the number of pixels must fit, since both coordinates may point outside.
        self._index_type = torch.int32 if 2 * len(self.x) < 1 << 31 else torch.int64
        self._rows = torch.arange(size[0], dtype=torch.int32, device=self.device)[None]
        self._columns = torch.arange(size[1], dtype=torch.int32, device=self.device)[None]

    @classmethod
    def of(cls, data: Dataset, split: str, device: str | torch.device = "cpu") -> Resident:
        """A split of a data set, with its statistics. The test split answers only when it is unsealed."""
        return cls(data.split(split), data.mean, data.std, device, classes=data.classes)

    @property
    def nbytes(self) -> int:
        """Bytes held on the device."""
        return self.x.nbytes + self.y.nbytes

    def gather(self, index: Tensor, augment: Drawn | None = None) -> tuple[Tensor, Tensor]:
        """The examples at `index`.

        Args:
            index: int64 (B,), on the device.
            augment: the parameters of these B samples, or None.

        Returns:
            x float32 (B, C, H, W) in channels-last memory, of the size that the augmentations leave
            (`Pipeline.shape`), or (B, D); y int64 (B,), or with a mix float32 (B, classes).
        """
        if augment is None:
            return self._plain(index), self.y.index_select(0, index)
        return self.gather_all(index, augment, max(1, len(index)))[0]

    def gather_all(self, index: Tensor, augment: Drawn, size: int) -> list[tuple[Tensor, Tensor]]:
        """The examples at `index` as batches of `size`, each as `gather` gives it; a mix acts within each batch."""
        x, y = self._augmented(index, augment), self.y.index_select(0, index)
        every = range(0, max(1, len(index)), size)
        parts = ((x[i : i + size], y[i : i + size], augment[i : i + size]) for i in every)
        return [self._mixed(*part) for part in parts] if augment.of("mix") else [part[:2] for part in parts]

    def _plain(self, index: Tensor) -> Tensor:
        if not self.image:
            return self.x.index_select(0, index)
        return self._normalised(self._whole.index_select(0, index), len(index), self.shape)

    def _augmented(self, index: Tensor, augment: Drawn) -> Tensor:
        """Examples after all steps but a mix."""
        if not self.image:
            return self._plain(index)
        x = self._seen(index, augment.of("geometry", "picture"))
        shape = tuple(x.shape[1:])
        for step, params in augment.of("light"):
            assert isinstance(step, Light)
            _rows(x).add_((step.tint(params) / self._spread).repeat(1, shape[2])[:, None])
        for step, params in augment.of("mask"):
            assert isinstance(step, Cover)
            step.cover(_rows(x), shape, params)
        return x

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All examples in order, `size` at a time; the last batch may be smaller."""
        every = torch.arange(self.n, device=self.device)
        for part in every.split(size):
            yield self.gather(part)

    def _seen(self, index: Tensor, steps: Sequence[tuple[Augmentation, Params]]) -> Tensor:
        """The normalised batch after the steps that act on pixels: the moves before the first picture are one gather
        from the resident words, what follows acts on the batch itself."""
        count = next((i for i, (step, _) in enumerate(steps) if isinstance(step, Picture)), len(steps))
        if count == 0:
            words = self._whole.index_select(0, index).flatten(0, 1)
        else:
            words = self.x.index_select(0, self._places(index, steps[:count]).reshape(-1))
        if count == len(steps):
            return self._normalised(words, len(index), self.shape)
        x = _planes(words, len(index), self.shape)
        for step, params in steps[count:]:
            if isinstance(step, Picture):
                x = step.repaint(x, params)
            else:
                assert isinstance(step, Geometry)
                x = step.move(x, params)
        return self._normalised_planes(x)

    def _places(self, index: Tensor, steps: Sequence[tuple[Augmentation, Params]]) -> Tensor:
        """The word of every pixel, (B, H, W)."""
        _, height, width = self.shape
        rows, columns = self._rows.expand(len(index), height), self._columns.expand(len(index), width)
        for step, params in reversed(steps):  # from the result back to the source
            assert isinstance(step, Geometry)
            rows, columns = step.source(rows, columns, self.shape, params)
        base = index.to(self._index_type)[:, None] * (height * width)
        down = base + rows.to(self._index_type) * width
        right = columns.to(self._index_type)
        black = len(self.x) - 1
        down = torch.where((rows < 0) | (rows >= height), black, down)
        right = torch.where((columns < 0) | (columns >= width), black, right)
        return (down[:, :, None] + right[:, None, :]).clamp_(max=black)

    def _normalised(self, words: Tensor, count: int, shape: Sequence[int]) -> Tensor:
        """Words of `count` images to float32 (count, C, H, W) in channels-last memory.

        Two roundings, one per operation, so a batch, a single image and every vector unit give the same bits.
        Constants are laid out along a row of pixels: broadcasting over three channels would cost five times as much.
        """
        channels, height, width = shape
        if words.dtype == torch.int32:
            pixels = words.view(torch.uint8).view(-1, 4)
            x = torch.empty(len(pixels), channels, device=self.device)
            for channel, scale in enumerate(self._scales):
                torch.mul(pixels[:, channel], scale, out=x[:, channel])
            rows = x.view(count * height, width * channels)
        else:
            rows = words.view(count * height, width * channels).to(torch.float32).mul_(self._scale)
        return rows.add_(self._shift).view(count, height, width, channels).permute(0, 3, 1, 2)

    def _normalised_planes(self, x: Tensor) -> Tensor:
        """A batch uint8 (B, C, H, W) of any size, normalised as `_normalised` does it, bit for bit."""
        count, channels, height, width = x.shape
        out = torch.empty(count, height, width, channels, device=self.device)
        rows, shift = out.view(count, height, width * channels), self._shift[:channels].repeat(width)
        for part in pieces(count, channels * height * width, self.device):
            for channel, scale in enumerate(self._scales):
                torch.mul(x[part, channel], scale, out=out[part, ..., channel])
            rows[part].add_(shift)
        return out.permute(0, 3, 1, 2)

    def _mixed(self, x: Tensor, y: Tensor, augment: Drawn) -> tuple[Tensor, Tensor]:
        for step, params in augment.of("mix"):
            assert isinstance(step, Mix)
            if self.classes is None:
                raise DataError("augment: a mix needs the number of classes; give Resident(..., classes=...)")
            partner, weight = step.partners(params)
            # On plain rows in memory order and in place: through a channels-last view it costs several times as much.
            plain = _rows(x) if self.image else x
            step.blend(plain, plain.index_select(0, partner), weight, tuple(x.shape[1:]), params)
            hot = torch.nn.functional.one_hot(y, self.classes).to(torch.float32)
            return x, hot * weight[:, None] + hot.index_select(0, partner) * (1 - weight[:, None])
        return x, y
