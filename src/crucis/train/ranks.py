"""One training over several processes. Every rank computes its rows of each batch; what is summed over the ranks is the
same on all of them, so all hold the same weights and pass the same marks.

Gradients are averaged by this file and not by torch's `DistributedDataParallel`: that rebuilds its buckets after the
first step, so that a resumed run with more than two ranks would sum in another order and end in other bits.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..canon import canonical
from ..errors import CrucisError
from ..streams import Stream
from .settings import Settings

#: Seconds that a rank waits for the others in one exchange before it gives up.
PATIENCE_S = 900.0
#: Bytes of gradients that travel together.
BUCKET = 25 << 20
_AGAIN = "TORCHELASTIC_RESTART_COUNT"  # set by torchrun


class RanksError(CrucisError):
    """Several processes cannot train together here, with the way out."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: 0 is the one that writes.
        world: how many there are, at least 2.
        device: where this rank computes, `cpu` or `cuda:N`.
    """

    rank: int
    world: int
    device: str

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    @property
    def rows(self) -> slice:
        """Which rows of a global batch are this rank's: every `world`-th, so that chunks are shared evenly, too."""
        return slice(self.rank, None, self.world)

    def local(self, settings: Settings) -> Settings:
        """The settings as one rank's step sees them."""
        return replace(settings, batch=settings.batch // self.world)

    def stream(self, names: tuple[int, str, int]) -> Stream:
        """The stream `model/rank R`: dropout of the ranks is independent, and depends on how many there are."""
        return Stream(*names, "model", "rank", self.rank, device=self.device)

    # -- exchanges: every rank must come to each of them, in the same order ---------------------------------------

    def total(self, values: Tensor) -> Tensor:
        """The sum over the ranks, in place; equal to the bit on all of them."""
        dist.all_reduce(values)
        return values

    def totals(self, losses: Tensor, hits: Tensor) -> tuple[Tensor, Tensor]:
        """Mean losses and right answers of global batches from those of the ranks' rows, float64 (k,) each."""
        both = self.total(torch.stack([losses.double() / self.world, hits.double()]))
        return both[0], both[1]

    def means(self, losses: Tensor, totals: Tensor) -> tuple[Tensor, Tensor]:
        """Mean losses (k,) and an objective's mean totals (k, m), float64, over the ranks."""
        both = self.total(torch.cat([losses[:, None], totals], 1).double() / self.world)
        return both[:, 0], both[:, 1:]

    def share(self, data: bytes = b"") -> bytes:
        """The bytes that rank 0 gives, on every rank."""
        size = torch.tensor([len(data)], device=self.device)
        dist.broadcast(size, 0)
        text = bytearray(data) if self.first else bytearray(int(size))
        if not text:
            return b""
        values = torch.frombuffer(text, dtype=torch.uint8).to(self.device)
        dist.broadcast(values, 0)
        return values.cpu().numpy().tobytes()

    def collect(self, data: bytes) -> list[bytes]:
        """The bytes of every rank, by rank, on all of them."""
        sizes = torch.zeros(self.world, dtype=torch.int64, device=self.device)
        sizes[self.rank] = len(data)
        longest = int(self.total(sizes).max())
        table = torch.zeros(self.world, max(1, longest), dtype=torch.uint8, device=self.device)
        table[self.rank, : len(data)] = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self.device)
        rows = self.total(table).cpu().numpy()
        return [rows[k, : int(size)].tobytes() for k, size in enumerate(sizes.tolist())]

    def alike(self, model: nn.Module) -> None:
        """Give every rank the weights and buffers of rank 0."""
        for value in [*model.parameters(), *model.buffers()]:
            held = value.detach()
            plain = held.contiguous()
            dist.broadcast(plain, 0)
            held.copy_(plain)


def join(device: str = "cpu") -> Ranks:
    """Enter the group that torchrun's environment variables describe (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).

    Args:
        device: `cpu` (exchanges by gloo) or `cuda` (by NCCL; this process takes the device LOCAL_RANK).

    Raises:
        RanksError: no backend for this device, fewer devices than ranks on this machine, or unlike versions of torch.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if not dist.is_available() or not dist.is_gloo_available():
        raise RanksError("this torch was built without gloo, so several ranks cannot talk; install the usual wheel")
    backend, here = "gloo", "cpu"
    if device != "cpu":
        if not dist.is_nccl_available():
            raise RanksError("this torch was built without NCCL; several ranks on GPUs need it. Write --device cpu")
        seen = torch.cuda.device_count()
        if local >= seen:
            raise RanksError(f"rank {local} of this machine has no GPU of its own: {seen} visible. Use fewer --ranks")
        torch.cuda.set_device(local)
        backend, here = "cpu:gloo,cuda:nccl", f"cuda:{local}"
    where: dict[str, Any] = {}
    if _AGAIN in os.environ:  # its store outlives the processes that it restarts, and so do their addresses in it
        where = {"store": board("group"), "rank": int(os.environ["RANK"]), "world_size": int(os.environ["WORLD_SIZE"])}
    # Its functions take the group of the moment of import as their default, and whatever imports it later in this
    # process would keep the group, with its threads, beyond `leave`; they may then abort the process while it ends.
    importlib.import_module("torch.distributed.nn.functional")
    dist.init_process_group(backend, timeout=timedelta(seconds=PATIENCE_S), **where)
    ranks = Ranks(dist.get_rank(), dist.get_world_size(), here)
    found = {text.decode() for text in ranks.collect(torch.__version__.encode())}
    if len(found) > 1:
        raise RanksError(f"the ranks run different versions of torch: {', '.join(sorted(found))}")
    return ranks


@contextmanager
def joined(device: str = "cpu") -> Iterator[Ranks]:
    """`join`, and leave at the end of the block. After an exception the group is left as it is: to take leave would
    wait for ranks that may never come."""
    ranks = join(device)
    yield ranks
    leave()


def leave(wait: bool = True) -> None:
    """Leave the group, with `wait` when all have come to this point."""
    if wait:
        dist.barrier()
    dist.destroy_process_group()


def board(name: str = "board") -> dist.Store:
    """Where rank 0 may leave word for the others, who wait there as long as it takes and not within an exchange."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(host, port, is_master=False, timeout=timedelta(seconds=PATIENCE_S))
    return dist.PrefixStore(f"crucis/{os.environ.get(_AGAIN, '0')}/{name}", store)


# -- gradients ----------------------------------------------------------------------------------------------------


def averager(params: Sequence[nn.Parameter], ranks: Ranks) -> Callable[[], None]:
    """The first act after the gradient: its mean over the ranks, in fixed buckets, whose exchanges overlap.

    A parameter that no rank's loss reaches keeps no gradient, as in one process. Which they are is asked once and again
    whenever parameters are frozen or thawed.
    """
    known: dict[str, Any] = {"frozen": None, "buckets": []}

    def settle(frozen: tuple[bool, ...]) -> None:
        reached = torch.tensor([param.grad is not None for param in params], dtype=torch.int32, device=ranks.device)
        used = [p for p, count in zip(params, ranks.total(reached).tolist(), strict=True) if count]
        known.update(frozen=frozen, buckets=_buckets(used), used={id(param) for param in used})

    def average() -> None:
        frozen = tuple(param.requires_grad for param in params)
        if frozen != known["frozen"]:
            settle(frozen)
        if any(param.grad is not None and id(param) not in known["used"] for param in params):
            raise RanksError("the loss reaches other parameters in this step than in the first; use one rank")
        sent = []
        for bucket in known["buckets"]:
            for param in bucket:
                if param.grad is None:
                    param.grad = torch.zeros_like(param)
            grads = [param.grad for param in bucket]
            flat = torch.cat([grad.reshape(-1) for grad in grads])
            sent.append((grads, flat, dist.all_reduce(flat, async_op=True)))
        for grads, flat, work in sent:
            work.wait()
            flat /= ranks.world
            pieces = flat.split([grad.numel() for grad in grads])
            torch._foreach_copy_(grads, [piece.view_as(grad) for piece, grad in zip(pieces, grads, strict=True)])

    return average


def _buckets(params: Sequence[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Runs of parameters of one type, from the last backwards (gradients come in that order), of about `BUCKET`."""
    out: list[list[nn.Parameter]] = []
    size = 0
    for param in reversed(params):
        if not out or size >= BUCKET or param.dtype != out[-1][0].dtype:
            out.append([])
            size = 0
        out[-1].append(param)
        size += param.nbytes
    return out


# -- when the ranks look up ---------------------------------------------------------------------------------------


class Pace:
    """After which steps all ranks look up together. Clocks differ between ranks, so rank 0 tells how many steps come
    before the next look, about one `every` seconds of its own clock."""

    def __init__(self, ranks: Ranks, clock: Callable[[], float], every: float) -> None:
        self.ranks, self.clock, self.every = ranks, clock, every
        self.at, self.then, self.gap = 0, clock(), 1
        self.next = 0

    def due(self, position: int) -> bool:
        """Whether to look up before the next step; called once per step."""
        return position >= self.next

    def agree(self, position: int, stop: bool, save: bool) -> tuple[bool, bool]:
        """What rank 0 wants: to stop, to save."""
        now = self.clock()
        pace = (now - self.then) / max(1, position - self.at)
        gap = round(self.every / pace) if pace > 0 else 8 * self.gap
        told = torch.tensor([stop, save, max(1, min(gap, 8 * self.gap))], dtype=torch.int64, device=self.ranks.device)
        dist.broadcast(told, 0)
        stop_all, save_all, self.gap = told.tolist()
        self.at, self.then, self.next = position, now, position + self.gap
        return bool(stop_all), bool(save_all)


# -- state --------------------------------------------------------------------------------------------------------


def pack_stream(stream: Stream) -> bytes:
    """A rank's stream as text."""
    device = stream.device_state
    return canonical({
        "state": stream.state.numpy().tobytes().hex(),
        "device": None if device is None else device.numpy().tobytes().hex(),
        "others": stream.pack_others(),
    }).encode()  # fmt: skip


def unpack_stream(stream: Stream, text: str) -> None:
    """The inverse of `pack_stream`."""
    body = json.loads(text)
    stream.state = _bytes(body["state"])
    if body["device"] is not None:
        stream.device_state = _bytes(body["device"])
    stream.unpack_others(body["others"])


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8).clone()


State = tuple[dict[str, Tensor], dict[str, Any]]


def shared_state(ranks: Ranks, found: State | None) -> State | None:
    """The checkpoint that rank 0 found, on every rank."""
    from safetensors.torch import load, save

    plain = ranks.share(json.dumps(None if found is None else found[1]).encode())
    tensors: Mapping[str, Tensor] = {} if found is None else found[0]
    data = ranks.share(save(dict(tensors)))
    body = json.loads(plain)
    return None if body is None else (load(data), body)
