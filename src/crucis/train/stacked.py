"""Several seeds of one dense network trained as one computation, bit for bit as each alone.

The weights of S networks are one tensor (S, out, in) per layer and a batch of every seed one matrix product; nothing
reduces over seeds, so a seed's numbers cannot depend on its slot or its company. On one CPU thread in fp32 the batched
products give the bits of the single ones, if every seed's part of every matrix begins at a cache line (the matrix
library chooses its kernel by alignment): hence padded weights and batches of a multiple of 16. Before training, a few
steps of every seed are made both ways, and any difference sends all of them to the solo loop. The networks of the runs
are views of the stacked weights, so that updates, evaluation, checkpoints and files are those of solo runs.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import Divergence, Stopped
from ..records import Context
from .cadence import Cadence
from .checkpoint import ignore
from .evaluate import Head
from .feed import as_seen, normalised
from .fit import Fitted, Keeper, finish, fit
from .groups import groups, trained
from .modes import modes
from .run import Job, Run, untrained
from .settings import Settings

LINE = 16  # fp32 numbers in a cache line
POINTWISE = (nn.ReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.ELU, nn.Identity)
TRIAL = 4  # steps made both ways before training

Forward = Callable[[Tensor], Tensor]


def can_stack(jobs: Sequence[Job]) -> bool:
    """Whether these jobs may be trained stacked."""
    return why_not(jobs) is None


def why_not(jobs: Sequence[Job]) -> str | None:
    """Why these jobs cannot be trained stacked, or None if they can."""
    first, settings = jobs[0], jobs[0].resolved
    checks = {
        "there is only one": len(jobs) < 2,
        "profiles are of one training": any(job.profile for job in jobs),
        "several ranks train one seed at a time": any(job.ranks is not None for job in jobs),
        "they differ in more than the seed": any(_alike(job) != _alike(first) for job in jobs),
        "stacking is bitwise equal only on a CPU": first.device != "cpu",
        "stacking is bitwise equal only with one thread": torch.get_num_threads() != 1,
        "stacking is bitwise equal only in fp32": settings.precision != "fp32",
        "compiled networks are not stacked": settings.compile,
        "an objective belongs to one network": any(job.objective is not None for job in jobs),
        "a further term of the loss belongs to one network": any(job.term is not None for job in jobs),
        "clipping, accumulation and augmentation are done seed by seed": (
            settings.clip is not None or settings.accumulate != 1 or bool(settings.augment)
        ),
        "a changing weight decay and an average with a course of its own are followed seed by seed": (
            settings.weight_decay_end is not None or settings.ema_warmup or settings.ema_every != 1
        ),
        f"batches must be a multiple of {LINE}": settings.batch % LINE != 0,
        "reactions and rules are decided run by run": (
            settings.on_not_finite != "stop"
            or settings.on_memory != "stop"
            or bool(settings.watch)
            or any(job.tell for job in jobs)
        ),
        "networks whose passes are computed twice are not stacked": settings.checkpointing,
        "schedules that go on at evaluations are of one run": settings.adapting() is not None,
        "optimisers of one's own may look at all parameters together": settings.optimiser.entry is not None,
    }
    said = next((reason for reason, holds in checks.items() if holds), None)
    return said or _unlike_a_dense_chain(untrained(first.build, first.seed, first.depth, first.verb))


def _alike(job: Job) -> tuple[object, ...]:
    settings = replace(job.resolved, params={})
    same_files = job.initial is None
    return (
        settings, job.depth, job.verb, job.device, job.determinism, job.data.shape, job.data.classes, job.data.active,
        same_files, set(job.publish), job.probe_at,
    )  # fmt: skip


def _unlike_a_dense_chain(model: nn.Module) -> str | None:
    if type(model) is not nn.Sequential:
        return f"{type(model).__name__} is no plain chain of layers"
    for layer in model:
        idle = isinstance(layer, nn.Dropout) and layer.p == 0.0
        if not (type(layer) in (nn.Linear, nn.Flatten, *POINTWISE) or idle):
            return f"{type(layer).__name__} cannot be stacked"
    if any(not value.requires_grad for value in model.parameters()):
        return "parts of the network are frozen"
    return None


class Stack:
    """The stacked weights of some runs, one optimiser over all their views, and the step that trains them all."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs, self.settings = list(runs), runs[0].settings
        self.weights = {name: _adopt([run.params[name] for run in runs]) for name in runs[0].params}
        each = [groups(run.model, self.settings) for run in runs]
        together = [
            {**same[0], "params": [param for group in same for param in group["params"]]}
            for same in zip(*each, strict=True)
        ]
        build = self.settings.optimiser.load("optimisers")
        self.optimiser: torch.optim.Optimizer = build(together, **self.settings.optimiser.params)
        for run in runs:  # one state, seen from both optimisers, so that a run's checkpoint holds it
            for param in run.params.values():
                state = run.optimiser.state[param]
                self.optimiser.state[param] = state
        self.averages = [value.detach() for run in runs if run.average for value in trained(run.average).values()]
        self.live = [param.detach() for run in runs for param in run.params.values()]
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []
        self.forward = _forward(runs[0].model, self.weights)
        same = all(run.job.data is runs[0].job.data for run in runs)
        rows = normalised(runs[0].training) if same else None
        self._rows = None if rows is None else as_seen(rows, runs[0].training.shape).flatten(1).contiguous()
        self._epoch = -1
        self._parts: list[tuple[Tensor, Tensor]] = []

    def batch(self, i: int) -> tuple[Tensor, Tensor]:
        """The batches of step `i` of all seeds: x (S * B, ...), y (S * B,)."""
        epoch, place = divmod(i, self.settings.steps_per_epoch)
        if self._rows is None:
            each = [run.feed.epoch(epoch)(place) for run in self.runs]
            return torch.cat([x for x, _ in each]), torch.cat([y for _, y in each])
        if epoch != self._epoch:
            size, per_epoch = self.settings.batch, self.settings.steps_per_epoch
            orders = torch.stack([run.feed.order(epoch)[: per_epoch * size] for run in self.runs])
            order = orders.view(len(self.runs), per_epoch, size).transpose(0, 1).reshape(-1)
            together = len(self.runs) * size
            labels = self.runs[0].training.y.index_select(0, order)
            self._epoch = epoch
            self._parts = [*zip(self._rows.index_select(0, order).split(together), labels.split(together), strict=True)]
        return self._parts[place]

    def step(self, i: int) -> None:
        """Optimiser step `i` of every seed."""
        x, y = self.batch(i)
        logits = self.forward(x.flatten(1).view(len(self.runs), self.settings.batch, -1)).flatten(0, 1)
        total, losses = _losses(logits, y, len(self.runs), self.settings, self.runs[0].head)
        total.backward()
        self.losses.append(losses)
        with torch.no_grad():
            narrow, labels = self.runs[0].head.narrow(logits, y)
            self.hits.append((narrow.argmax(1) == labels).view(len(self.runs), -1).sum(1))
        for group in self.optimiser.param_groups:
            group["lr"] = self.runs[0].rates[i]
        self.optimiser.step()
        if self.averages:
            torch._foreach_lerp_(self.averages, self.live, 1 - (self.settings.ema or 0.0))

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Losses and hits (steps, S) since the last call."""
        losses, hits = torch.stack(self.losses).double().numpy(), torch.stack(self.hits).double().numpy()
        self.losses.clear()
        self.hits.clear()
        return losses, hits


def _aligned(slots: int, shape: torch.Size) -> Tensor:
    """Zeros (slots, *shape), each slot at the start of a cache line."""
    size = shape.numel()
    apart = -(-size // LINE) * LINE
    return torch.zeros(slots, apart)[:, :size].unflatten(1, shape)


def _adopt(parts: Sequence[nn.Parameter]) -> tuple[nn.Parameter, Tensor]:
    """One parameter (S, ...) and its gradient; the given parameters and their gradients become views of them."""
    whole, gradient = _aligned(len(parts), parts[0].shape), _aligned(len(parts), parts[0].shape)
    for slot, part in enumerate(parts):
        whole[slot] = part.detach()
        part.data, part.grad = whole[slot], gradient[slot]
    return nn.Parameter(whole), gradient


def _forward(model: nn.Module, weights: dict[str, tuple[nn.Parameter, Tensor]]) -> Forward:
    steps: list[Forward] = []
    for name, layer in model.named_children():
        if isinstance(layer, nn.Linear):
            steps.append(_dense(weights[f"{name}.weight"], weights.get(f"{name}.bias")))
        elif isinstance(layer, POINTWISE):
            steps.append(layer)

    def run(x: Tensor) -> Tensor:
        for step in steps:
            x = step(x)
        return x

    return run


class _Dense(torch.autograd.Function):
    """x (S, B, in) times weight (S, out, in), plus bias (S, out). Gradients of weight and bias go into the given
    tensors, whose slots the optimiser holds; autograd is told of that of x only."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, into: Tensor, bias: Tensor | None, bias_into: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.into, ctx.bias_into = into, bias_into
        if bias is None:
            return torch.bmm(x, weight.transpose(1, 2))
        return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        torch.bmm(gradient.transpose(1, 2), x, out=ctx.into)
        if ctx.bias_into is not None:
            torch.sum(gradient, 1, out=ctx.bias_into)
        return torch.bmm(gradient, weight) if ctx.needs_input_grad[0] else None, None, None, None, None


def _dense(weight: tuple[nn.Parameter, Tensor], bias: tuple[nn.Parameter, Tensor] | None) -> Forward:
    whole, into = weight
    offset, offset_into = bias or (None, None)
    return lambda x: _Dense.apply(x, whole, into, offset, offset_into)


def _losses(logits: Tensor, y: Tensor, seeds: int, settings: Settings, head: Head) -> tuple[Tensor, Tensor]:
    """The sum over seeds of each one's mean loss, for the gradient, and the mean losses (S,)."""
    logits, y = head.narrow(logits, y)
    if settings.label_smoothing:
        each = [
            functional.cross_entropy(part, labels, label_smoothing=settings.label_smoothing)
            for part, labels in zip(logits.chunk(seeds), y.chunk(seeds), strict=True)
        ]
        losses = torch.stack(each)
        return losses.sum(), losses.detach()
    logs = functional.log_softmax(logits, 1)
    total = functional.nll_loss(logs, y, reduction="sum") / settings.batch
    apart = zip(logs.detach().chunk(seeds), y.chunk(seeds), strict=True)
    return total, torch.stack([functional.nll_loss(part, labels) for part, labels in apart])


def fit_many(jobs: Sequence[Job], contexts: Sequence[Context], *, cadence: Cadence | None = None) -> list[Fitted]:
    """Train jobs that differ only in their seed; one outcome each, in order.

    A seed that diverges or stops early is taken out and the others go on. Jobs that cannot be stacked, that stand at
    different steps, or whose trial steps differ from solo ones, are trained one after another, and the journal says so.

    Raises:
        Stopped: asked to stop; every unfinished seed has saved a checkpoint that solo runs continue too.
    """
    reason = why_not(jobs)
    if reason is None:
        with modes(jobs[0].determinism, "fp32", "cpu"):
            runs = [Run(job, ctx) for job, ctx in zip(jobs, contexts, strict=True)]
            shared = cadence or Cadence()
            keepers = [Keeper(run, shared, "", ignore) for run in runs]
            for keeper in keepers:
                keeper.resume()
            if len({run.position for run in runs}) == 1 and all(run.position < run.end for run in runs):
                if _equal_to_solo(runs):
                    return _Together(runs, keepers, shared).train()
                reason = "trial steps differ from solo ones"
            else:
                reason = "their checkpoints stand at different steps"
    for ctx in contexts:
        ctx.note("not_stacked", text=f"trained one after another: {reason}")
    return [_alone(job, ctx) for job, ctx in zip(jobs, contexts, strict=True)]


def _alone(job: Job, ctx: Context) -> Fitted:
    try:
        return fit(job, ctx)
    except Divergence as error:
        return Fitted(None, diverged=error)


def _equal_to_solo(runs: Sequence[Run]) -> bool:
    """Make a few steps of every seed both ways and compare all weights, averages and losses; the runs are put back."""
    states = [_copied(run) for run in runs]
    start = runs[0].position
    steps = range(start, min(start + TRIAL, runs[0].end))
    alone = []
    for run, state in zip(runs, states, strict=True):
        step, per_epoch = run.step(), run.settings.steps_per_epoch
        for i in steps:
            step(*run.feed.epoch(i // per_epoch)(i % per_epoch), run.rates[i])
        alone.append([*_tensors(run), torch.stack(run.losses), torch.stack(run.hits)])
        _put_back(run, state)
    stack = Stack(runs)
    for i in steps:
        stack.step(i)
    losses, hits = torch.stack(stack.losses), torch.stack(stack.hits)
    together = [[*_tensors(run), losses[:, slot], hits[:, slot]] for slot, run in enumerate(runs)]
    equal = all(
        torch.equal(a, b) for one, two in zip(alone, together, strict=True) for a, b in zip(one, two, strict=True)
    )
    for run, state in zip(runs, states, strict=True):
        _put_back(run, state)
    return equal


def _tensors(run: Run) -> list[Tensor]:
    average = [] if run.average is None else list(trained(run.average).values())
    return [value.detach().clone() for value in (*run.params.values(), *average)]


def _copied(run: Run) -> tuple[dict[str, Tensor], dict[str, object]]:
    tensors, plain = run.state()
    return {name: value.detach().clone() for name, value in tensors.items()}, plain


def _put_back(run: Run, state: tuple[dict[str, Tensor], dict[str, object]]) -> None:
    run.optimiser.state.clear()
    run.optimiser.zero_grad(set_to_none=True)
    run.losses.clear()
    run.hits.clear()
    run.take(*state)


class _Together:
    """The loop of a stack: as the solo loop, with one step for all seeds and marks for each."""

    def __init__(self, runs: list[Run], keepers: list[Keeper], cadence: Cadence) -> None:
        self.runs, self.keepers, self.cadence = runs, keepers, cadence
        self.begun = time.perf_counter()
        self.active = list(range(len(runs)))
        self.done: dict[int, Fitted] = {}

    def train(self) -> list[Fitted]:
        """Until every seed is done."""
        stack = Stack(self.runs)
        first = self.runs[0]
        if first.position == 0:
            self._each(lambda slot: self.runs[slot].mark())
        position, total = first.position, first.settings.total_steps
        stops = [run.ctx.stopping for run in self.runs]
        while self.active and position < total:
            until, up = first.marks[bisect_right(first.marks, position)], False
            while position < until and not up:
                stack.step(position)
                position += 1
                up = any(stop() for stop in stops) or self.cadence.clock() > self.cadence.due
            losses, hits = stack.read()
            marked, now = position == until, position
            self._each(lambda slot: self._arrive(slot, now, losses[:, slot], hits[:, slot], marked))  # noqa: B023
            if up and self.active:
                self._look_up()
        return [self.done[slot] for slot in range(len(self.runs))]

    def _each(self, act: Callable[[int], None]) -> None:
        for slot in list(self.active):
            try:
                act(slot)
            except Divergence as error:
                self.active.remove(slot)
                self.done[slot] = Fitted(None, notes=self._notes(slot), diverged=error)

    def _arrive(self, slot: int, position: int, losses: np.ndarray, hits: np.ndarray, marked: bool) -> None:
        run = self.runs[slot]
        run.position = position
        run.absorb(losses, hits)
        if marked:
            run.mark()
        if run.position >= run.end:
            for param in run.params.values():
                param.data, param.grad = param.data.clone(), None  # the stack goes on; this network stays
            fitted = finish(run, "", self.begun, self.keepers[slot].resumed)
            fitted.notes |= self._notes(slot)
            self.active.remove(slot)
            self.done[slot] = fitted

    def _notes(self, slot: int) -> dict[str, object]:
        return {"executor": "stacked", "slot": slot, "company": len(self.runs)}

    def _look_up(self) -> None:
        stop = any(run.ctx.stopping() for run in self.runs)
        save = stop or self.cadence.wants_save()
        for slot in self.active:
            self.keepers[slot].tend(save)
        if stop:
            raise Stopped(f"stopped {len(self.active)} stacked seeds; saved")
