"""One optimiser step as one closure, put together before the loop: what is not asked for is not in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from .evaluate import Head
from .modes import HALF, autocast
from .scaling import Scaling
from .settings import Settings

Step = Callable[[Tensor, Tensor, float], None]
Tail = list[Callable[[], Any]]
#: A further term of the loss: from the forward pass as a function, a batch's inputs and its logits to a scalar. Its
#: value is not part of the recorded training loss.
Term = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor], Tensor]


def criterion(settings: Settings, head: Head) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean cross-entropy of logits against labels or soft labels, smoothed, over the classes that the head compares."""
    smoothing = settings.label_smoothing

    def narrowed(logits: Tensor, y: Tensor) -> Tensor:
        logits, y = head.narrow(logits, y)
        return functional.cross_entropy(logits, y, label_smoothing=smoothing)

    def whole(logits: Tensor, y: Tensor) -> Tensor:
        return functional.cross_entropy(logits.float(), y, label_smoothing=smoothing)

    return whole if head.classes is None else narrowed


def right(head: Head, soft: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """The number of right answers of a batch, as a tensor; with soft labels the largest one is the answer."""

    def hard(logits: Tensor, y: Tensor) -> Tensor:
        logits, y = head.narrow(logits, y)
        return (logits.argmax(1) == y).sum()

    if soft:
        return lambda logits, y: hard(logits, y.argmax(1))
    if head.classes is None:
        return lambda logits, y: (logits.argmax(1) == y).sum()
    return hard


def tail(
    optimiser: Optimizer,
    params: list[nn.Parameter],
    settings: Settings,
    average: list[Tensor] | None,
    check: Tail | None = None,
    scaling: Scaling | None = None,
) -> Tail:
    """What follows the gradient, in order: take the scale out, check, clip, update, forget the gradient, running
    average. `check` may raise `reacting.Skipped`, and nothing after it happens; an update that overflowed moves no
    average."""
    out: Tail = [] if scaling is None else [lambda: scaling.scaler.unscale_(optimiser)]
    out += check or []
    if settings.clip is not None:
        limit = settings.clip
        out.append(lambda: torch.nn.utils.clip_grad_norm_(params, limit, foreach=True))

    def forget() -> None:
        for param in params:
            param.grad = None

    out += [optimiser.step, forget] if scaling is None else [lambda: scaling.update(optimiser), forget]
    if average is not None:
        weight, live = 1 - (settings.ema or 0.0), [param.detach() for param in params]

        def move() -> None:
            torch._foreach_lerp_(average, live, weight)

        out.append(move if scaling is None else scaling.only_made(move))
    return out


def compose(
    forward: Callable[[Tensor], Tensor],
    settings: Settings,
    head: Head,
    device: str,
    soft: bool,
    optimiser: Optimizer,
    after: Tail,
    losses: list[Tensor],
    hits: list[Tensor],
    term: Term | None = None,
    *,
    chunks: int = 1,
    scaling: Scaling | None = None,
) -> Step:
    """The step `(x, y, learning rate)`, in `chunks` chunks. It appends the batch's mean loss and its right answers to
    `losses` and `hits`; nothing is read from the device."""
    loss_of, right_of = criterion(settings, head), right(head, soft)
    precision, groups = settings.precision, optimiser.param_groups
    cast, parts = precision in HALF, settings.batch // chunks
    backward = Tensor.backward if scaling is None else scaling.backward

    def passed(x: Tensor) -> Tensor:
        with autocast(precision, device):
            return forward(x)

    run = passed if cast else forward

    def finish(rate: float) -> None:
        for group in groups:
            group["lr"] = rate
        for act in after:
            act()

    def plain(x: Tensor, y: Tensor, rate: float) -> None:
        logits = run(x)
        loss = loss_of(logits, y)
        backward(loss)
        losses.append(loss.detach())
        hits.append(right_of(logits, y))
        finish(rate)

    def chunked(x: Tensor, y: Tensor, rate: float) -> None:
        sums, rights = [], []
        for k in range(chunks):
            part = slice(k * parts, (k + 1) * parts)
            logits = run(x[part])
            loss = loss_of(logits, y[part]) / chunks
            backward(loss)
            sums.append(loss.detach())
            rights.append(right_of(logits, y[part]))
        losses.append(torch.stack(sums).sum())
        hits.append(torch.stack(rights).sum())
        finish(rate)

    if term is not None:
        return _extended(run, loss_of, right_of, term, [slice(k * parts, (k + 1) * parts) for k in range(chunks)],
                         losses, hits, finish, backward)  # fmt: skip
    return plain if chunks == 1 else chunked


def _extended(
    run: Callable[[Tensor], Tensor],
    loss_of: Callable[[Tensor, Tensor], Tensor],
    right_of: Callable[[Tensor, Tensor], Tensor],
    term: Term,
    chunks: list[slice],
    losses: list[Tensor],
    hits: list[Tensor],
    finish: Callable[[float], None],
    backward: Callable[[Tensor], Any],
) -> Step:
    """A step whose loss has a further term."""

    def extended(x: Tensor, y: Tensor, rate: float) -> None:
        sums, rights = [], []
        for part in chunks:
            logits = run(x[part])
            loss = loss_of(logits, y[part]) / len(chunks)
            backward(loss + term(run, x[part], logits) / len(chunks))
            sums.append(loss.detach())
            rights.append(right_of(logits, y[part]))
        losses.append(torch.stack(sums).sum())
        hits.append(torch.stack(rights).sum())
        finish(rate)

    return extended
