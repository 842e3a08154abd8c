"""What a run does about what goes wrong: steps that are not made, returns to the last good evaluation, lower rates.

A run that asks for none of it has a guard that does nothing. All that the guard knows is part of the run's checkpoint,
and everything it does is decided at fixed steps, so that an interrupted run reacts as the uninterrupted one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import CrucisError, Divergence
from .watching import ALTERING, STEPWISE, Rule

if TYPE_CHECKING:
    from .compose import Step
    from .run import Run

RETURNS = 3  # to the last good evaluation, in one run; then it has diverged
IN_A_ROW = 10  # steps not made, one after another, after which a run has diverged
OVERFLOWS = 40  # the same for overflowed gradients under fp16: scales from 2 ** 16 down to 2 ** -24
SHOWN = 100  # reactions of one kind that a record lists; the rest is counted
BACK = 0.5  # what a return does to the learning rate

_FULL = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


class Skipped(Exception):
    """This step is not made, and why. Raised between the gradient and the update."""


class Return(CrucisError):
    """A rule asks to go back to the last good evaluation."""

    def __init__(self, rule: str, step: int) -> None:
        self.rule, self.step = rule, step
        super().__init__(f"{rule} (step {step})")


def is_full(error: BaseException) -> bool:
    """Whether an exception says that the memory of the device is exhausted."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _FULL)


def total_norm(params: list[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together, a scalar on the device."""
    return torch.nn.utils.get_total_norm([param.grad for param in params if param.grad is not None], foreach=True)


class Scored(Protocol):
    """What an evaluation found."""

    def published(self) -> dict[str, float]:
        """What the record of a checkpoint holds beside its step."""
        ...


@dataclass(frozen=True)
class Waiting:
    """The scores of a checkpoint that waits to be published."""

    columns: dict[str, float]

    def published(self) -> dict[str, float]:
        """What the record of the checkpoint holds beside its step."""
        return self.columns


class Guard:
    """The reactions of one run. `made` are those that happened, for the record."""

    def __init__(self, run: Run) -> None:
        settings = run.settings
        rules = tuple(rule for rule in settings.watch if any(action.name in ALTERING for action in rule.actions))
        self.run = run
        self.each: tuple[Rule, ...] = tuple(rule for rule in rules if rule.does("skip"))
        self.rules: tuple[Rule, ...] = tuple(rule for rule in rules if not rule.does("skip"))
        self.skips = settings.on_not_finite == "skip" or bool(self.each)
        self.keeps = (
            settings.on_not_finite == "lower_lr" or settings.on_memory == "halve_batch"
            or any(rule.does("restore") for rule in self.rules)
        )  # fmt: skip
        self.chunks = settings.accumulate
        self.made: list[dict[str, Any]] = []
        self.more: dict[str, int] = {}
        self.cuts: list[list[float]] = []  # (step, factor of the rate from there on)
        self.holding: list[str] = []  # rules that held at the last evaluation: one acts when it comes to hold
        self.returns, self.row, self.overflow_row = 0, 0, 0
        self.skipped: list[str | None] = []  # per step since the last fold: why it was not made
        self.trouble: BaseException | None = None
        self.due = False
        self.good: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self.held: dict[int, tuple[dict[str, Tensor], Waiting]] = {}

    # -- steps ---------------------------------------------------------------------------------------------------

    def check(self, params: list[nn.Parameter], wants_norm: bool) -> list[Callable[[], Any]]:
        """What stands between gradient and update: the norm that rules ask for, and whether the step is made."""
        run, scaled = self.run, self.run.scaling is not None
        if not self.skips:
            return [lambda: run.norms.append(total_norm(params))] if wants_norm else []
        not_finite = run.settings.on_not_finite == "skip"

        def look() -> None:
            norm = total_norm(params)
            mine = run.losses[-1].float()
            if run.ranks:  # all must come to the same end
                mine = run.ranks.total(mine.clone()) / run.ranks.world
            loss, size = torch.stack([mine, norm.float()]).tolist()
            if not_finite and not np.isfinite(loss):
                raise Skipped("loss_not_finite")
            if not_finite and not scaled and not np.isfinite(size):  # under a scale, the scaler sees to it
                raise Skipped("gradient_not_finite")
            values = {"batch_loss": loss}
            if not scaled or np.isfinite(size):  # an overflow is no norm that a rule could mean
                values["grad_norm"] = size
            for rule in self.each:
                if rule.holds(values):
                    raise Skipped(rule.text)
            if wants_norm:
                run.norms.append(norm)

        return [look]

    def wrap(self, step: Step, params: list[nn.Parameter]) -> Step:
        """A step that may turn out not to be made: weights, statistics and gradients are then as before it."""
        if not self.skips:
            return step
        run, objective = self.run, self.run.objective
        buffers = [*run.model.buffers(), *(objective.extra_state().values() if objective is not None else ())]
        kept = [value.clone() for value in buffers]

        def careful(x: Tensor, y: Tensor, rate: float) -> None:
            for old, value in zip(kept, buffers, strict=True):
                old.copy_(value)
            steps, why = len(run.losses), None
            try:
                step(x, y, rate)
            except Skipped as found:
                why = str(found)
                for param in params:
                    param.grad = None
                for old, value in zip(kept, buffers, strict=True):
                    value.copy_(old)
                # Place holders, taken out again when they are read.
                run.losses[steps:], run.hits[steps:] = ([torch.zeros_like(v[-1])] for v in (run.losses, run.hits))
                if run.wants_norm:
                    run.norms[steps:] = [torch.zeros((), device=run.job.device)]
                if objective is not None:
                    objective.done += 1
                if run.scaling is not None:
                    run.scaling.scaler.update()
                    run.scaling.scales.append(None)
            self.skipped.append(why)

        return careful

    def sift(self, position: int, losses: np.ndarray) -> np.ndarray | None:
        """Which of the last steps up to `position`, with these losses (k,), were made; None if all. Records those that
        were not, step by step and none behind a loss that ends the training or sends it back: what is recorded does
        not depend on how many steps are read together.

        Raises:
            Divergence: too many in a row were not.
        """
        scaling, count = self.run.scaling, len(losses)
        if scaling is None and not self.skipped:
            return None
        whys, self.skipped = self.skipped or [None] * count, []
        scales: list[float | None] = [None] * count
        if scaling is not None:
            scales = [*scaling.scales]
            scaling.scales.clear()
        made = np.array([why is None for why in whys])
        bad = np.flatnonzero(~np.isfinite(losses) & made)
        last = int(bad[0]) + 1 if bad.size else count
        for place, (why, scale) in enumerate(zip(whys[:last], scales[:last], strict=True)):
            self._missed(position - count + place + 1, why, scale)
        return None if made.all() else made

    def _missed(self, step: int, why: str | None, scale: float | None) -> None:
        """Count a step that was skipped (`why`) or overflowed (to this `scale`), if it was one of these."""
        self.row = 0 if why is None else self.row + 1
        self.overflow_row = 0 if scale is None else self.overflow_row + 1
        self.run.count.missed += why is not None or scale is not None
        if scale is not None:
            self.note(step, "overflow", "skip", scale=scale)
        if why is not None:
            self.note(step, why, "skip")
        if self.overflow_row >= OVERFLOWS:
            raise Divergence(f"the gradient overflowed in {OVERFLOWS} steps in a row", step)
        if self.row >= IN_A_ROW:
            raise Divergence(f"{IN_A_ROW} steps in a row were skipped ({why})", step)

    def note(self, step: int, why: str, did: str, **more: Any) -> None:
        """Put a reaction down, in the record and in the journal."""
        kind = f"{did} because of {why}"
        self.more[kind] = self.more.get(kind, 0) + 1
        if self.more[kind] <= SHOWN:
            self.made.append({"step": step, "why": why, "did": did, **more})
        said = {} if did == "skip" else {"text": f"{did} because of {why} at step {step}{_more(more)}"}
        self.run.ctx.note("reaction", step=step, why=why, did=did, **more, **said)  # skipped steps may be many: no text

    @property
    def listed(self) -> tuple[dict[str, Any], ...]:
        """The reactions for the record; what exceeds `SHOWN` of a kind is one line with its count."""
        rest = [{"why": kind, "did": "more of these", "count": n - SHOWN} for kind, n in self.more.items() if n > SHOWN]
        return (*self.made, *rest)

    # -- evaluations ---------------------------------------------------------------------------------------------

    def look(self, step: int, values: dict[str, Any]) -> None:
        """Rules at an evaluation; a good one may be returned to.

        Raises:
            Return: a rule asks for it.
        """
        holds = [rule for rule in self.rules if np.any(rule.holds(values))]
        for rule in holds:  # first, because what else would be done here would be undone by it
            if rule.does("restore"):
                raise Return(rule.text, step)
        held, self.holding = set(self.holding), []
        for rule in holds:
            self.holding.append(rule.text)
            if rule.text in held:
                continue
            if cut := rule.does("lower_lr"):
                self.cuts.append([step, float(cut.value or 0.0)])
                self.run.retime()
                self.note(step, rule.text, "lower_lr", factor=cut.value)
            if rule.does("stop"):
                self.run.end = step
                self.note(step, rule.text, "stop")
        self.due = self.keeps

    # -- between steps -------------------------------------------------------------------------------------------

    def settle(self) -> bool:
        """Keep or go back to the last good state; outside of the borrowed stream. True if the step is another one.

        Raises:
            Divergence, OutOfMemoryError ...: what happened is not to be reacted to, or no more.
        """
        trouble, self.trouble, due, self.due = self.trouble, None, self.due, False
        if trouble is not None:
            self.skipped = []
            if self.run.scaling is not None:
                self.run.scaling.scales.clear()
            if isinstance(trouble, (Divergence, Return)):
                self._go_back(trouble)
                return False
            self._halve(trouble)
            return True
        if due:
            self.keep()
        return False

    def keep(self) -> None:
        """The state as it is now is one to return to; checkpoints that waited for this are published."""
        if not self.keeps:
            return
        tensors, plain = self.run.state()
        self.good = (
            {name: value.detach().to("cpu", copy=True) for name, value in tensors.items() if not _mine(name)},
            copy.deepcopy({name: value for name, value in plain.items() if name != "guard"}),
        )
        self.flush()

    def wait(self, step: int, network: nn.Module, scores: Scored) -> None:
        """Hold a checkpoint back until it is known that the run does not go back to before it."""
        weights = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
        self.held[step] = weights, Waiting(dict(scores.published()))

    def flush(self) -> None:
        """Publish the checkpoints that waited."""
        for step, (weights, waiting) in sorted(self.held.items()):
            self.run.commit(step, weights, waiting)
        self.held = {}

    def _go_back(self, trouble: Divergence | Return) -> None:
        why = trouble.rule if isinstance(trouble, Return) else "loss_not_finite"
        if isinstance(trouble, Divergence) and self.run.settings.on_not_finite != "lower_lr":
            raise trouble
        if self.returns >= RETURNS:
            text = trouble.text if isinstance(trouble, Divergence) else f"{trouble.rule} still holds"
            last = trouble.last_good if isinstance(trouble, Divergence) else None
            raise Divergence(f"{text}, after {RETURNS} returns to the last good evaluation", trouble.step, last)
        self.returns += 1
        self.row = self.overflow_row = 0
        to = self._restore()
        self.cuts.append([to, BACK])
        self.run.retime()
        self.note(trouble.step, why, "restore", back_to=to, factor=BACK)

    def _restore(self) -> int:
        assert self.good is not None  # kept before the first step
        run = self.run
        run.optimiser.state.clear()
        run.optimiser.zero_grad(set_to_none=True)
        for values in (run.losses, run.hits, run.norms):
            values.clear()
        run.take(self.good[0], copy.deepcopy(self.good[1]))
        self.held = {step: value for step, value in self.held.items() if step <= run.position}
        return run.position

    def _halve(self, trouble: BaseException) -> None:
        batch, before = self.run.settings.batch, self.chunks
        after = next((n for n in range(2 * before, batch + 1) if batch % n == 0), None)
        if self.run.settings.on_memory != "halve_batch" or after is None:
            raise trouble
        at = self.run.position
        trouble.__traceback__ = None  # its frames hold the tensors that filled the memory
        del trouble
        to = self._restore()
        if self.run.job.device.startswith("cuda"):
            torch.cuda.empty_cache()
        self.chunks = after
        norms = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.run.model.modules())
        more = {"batch_norm": "from here on it sees the smaller chunks"} if norms else {}
        self.note(at, "out_of_memory", "halve_batch", back_to=to, examples_before=batch // before,
                  examples_after=batch // after, chunks_before=before, chunks_after=after, **more)  # fmt: skip

    # -- checkpoint ----------------------------------------------------------------------------------------------

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What the run's checkpoint holds of the guard."""
        tensors = {} if self.good is None else {f"good/{name}": value for name, value in self.good[0].items()}
        for step, (weights, _) in self.held.items():
            tensors |= {f"held/{step}/{name}": value for name, value in weights.items()}
        held = {str(step): waiting.columns for step, (_, waiting) in self.held.items()}
        plain = {
            "made": self.made, "more": self.more, "cuts": self.cuts, "holding": self.holding, "chunks": self.chunks,
            "returns": self.returns, "row": self.row, "overflow_row": self.overflow_row, "held": held,
            "good": None if self.good is None else self.good[1],
        }  # fmt: skip
        return tensors, plain

    def take(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go on from a state."""
        for name in ("made", "more", "cuts", "holding", "chunks", "returns", "row", "overflow_row"):
            setattr(self, name, copy.deepcopy(plain[name]))
        if plain["good"] is not None:
            good = {name.removeprefix("good/"): value for name, value in tensors.items() if name.startswith("good/")}
            self.good = good, plain["good"]
        for step, columns in plain["held"].items():
            head = f"held/{step}/"
            weights = {name.removeprefix(head): v for name, v in tensors.items() if name.startswith(head)}
            self.held[int(step)] = weights, Waiting(columns)


def _more(more: Mapping[str, Any]) -> str:
    """What belongs to a reaction, for people."""
    return "".join(f", {name.replace('_', ' ')} {value}" for name, value in more.items())


def _mine(name: str) -> bool:
    return name.startswith(("good/", "held/"))


def needs_norm(rules: tuple[Rule, ...]) -> bool:
    """Whether a rule asks for the gradient's norm at every step."""
    return any("grad_norm" in rule.metrics for rule in rules)


__all__ = ["STEPWISE", "Guard", "Return", "Skipped", "is_full", "needs_norm", "total_norm"]
