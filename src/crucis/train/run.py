"""The state of one training run: what a checkpoint holds, what happens at marks, what the record will say."""

from __future__ import annotations

import copy
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import streams
from ..canon import digest
from ..data.batches import Resident
from ..data.dataset import Dataset
from ..errors import Divergence
from ..nets.weights import save_weights
from ..records import Context, Result
from . import pretraining, warm, watching
from .alerts import Alerts
from .compose import Step, Term, compose, tail
from .evaluate import Head, Scores, Sheet, evaluate, evaluation_mode
from .feed import Feed
from .follow import Count, follow
from .groups import optimiser as build_optimiser
from .groups import trained
from .layout import named, optimiser_state, take_optimiser_state
from .modes import autocast
from .objectives import Maker, composed, objective_of
from .ranks import Ranks, averager, pack_stream, unpack_stream
from .reacting import Guard, needs_norm
from .reacting import Scored as Published
from .readings import after_row
from .scaling import Scaling
from .seeing import Seeing
from .settings import Settings, SettingsError
from .synced import synchronise
from .unheard import check_heard
from .world import check_world

if TYPE_CHECKING:
    from .profiling import Profile

Probe = Callable[[nn.Module], Mapping[str, float]]


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        build: makes the network; its draws come from the stream `init`.
        data: with its view applied.
        settings: of the run; None lets the protocol resolve them from its parameters.
        seed: the cell's seed.
        depth: training stages upstream; part of every stream's name.
        initial: record folder whose `model.safetensors` replaces the fresh weights.
        publish: optimiser step or `best` -> key under which `ctx.publish` commits the weights reached there.
        probe: called in evaluation mode after the steps of `probe_at` (0 is before training); changes nothing.
        device: `cpu` or `cuda`, `cuda:1` ...
        determinism: `strict` or `fast`.
        verb: `train`, or `perturb` for a perturbation that trains; part of every stream's name.
        term: makes a further term of the loss, given the network that is trained; draws of the term come from the
            stream of the network's own draws.
        objective: makes what is minimised in place of cross-entropy, around the network (see `objectives`); its draws
            come from the stream `objective`.
        ranks: this process among those that train together; None trains alone.
        tell: rules that only tell, beside those of the settings (see `watching.telling`).
        profile: note where the time goes; changes no number.
    """

    build: Callable[[], nn.Module]
    data: Dataset
    settings: Settings | None = None
    seed: int = 0
    depth: int = 0
    initial: Path | None = None
    publish: Mapping[int | str, str] = field(default_factory=dict)
    probe: Probe | None = None
    probe_at: tuple[int, ...] = ()
    device: str = "cpu"
    determinism: str = "strict"
    verb: str = "train"
    term: Callable[[nn.Module], Term] | None = None
    objective: Maker | None = None
    ranks: Ranks | None = None
    tell: Mapping[str, Any] = field(default_factory=dict)
    profile: bool = False

    @property
    def streams(self) -> tuple[int, str, int]:
        """What the name of each of its streams begins with: seed, verb, depth."""
        return self.seed, self.verb, self.depth

    @property
    def resolved(self) -> Settings:
        """The settings, which must be there.

        Raises:
            SettingsError: they are not.
        """
        if self.settings is None:
            raise SettingsError("settings", "the job has none; resolve the protocol's parameters first")
        return self.settings


def untrained(build: Callable[[], nn.Module], seed: int, depth: int, verb: str = "train") -> nn.Module:
    """The network before training, as every run of this seed and depth starts with it."""
    with streams.borrowed(streams.Stream(seed, verb, depth, "init")):
        return build()


class Run:
    """A run between its steps. The loop (solo or stacked) moves `position` and fills `losses` and `hits`."""

    def __init__(self, job: Job, ctx: Context, tick: Callable[[], None] = lambda: None) -> None:
        self.job, self.ctx, self.tick, self.settings = job, ctx, tick, job.resolved
        settings, device, ranks = self.settings, job.device, job.ranks
        self.ranks = ranks
        if ranks:
            check_world(settings, ranks.world)
        if settings.on_memory == "halve_batch" and job.objective is not None:
            raise SettingsError(
                "on_memory", "an objective compares the examples of a whole batch; write on_memory: stop"
            )
        if "best" in job.publish and settings.select is None:
            raise SettingsError("select", "a checkpoint 'best' is asked for; write select: accuracy or loss")
        self.taken: warm.Taken | None = None
        self.model = self._model()
        self.objective = objective_of(job, self.model)
        if self.objective is not None:
            check_heard(settings, self.objective.views)
            self.model = self.objective.student
        self.params = trained(self.model)
        self.average = copy.deepcopy(self.model) if settings.ema is not None else None
        self.optimiser = build_optimiser(self.model, settings)
        self.optimiser.zero_grad(set_to_none=True)  # a copied network may bring gradients along
        self.stream = ranks.stream(job.streams) if ranks else streams.Stream(*job.streams, "model", device=device)
        self.training = Resident(job.data.train, job.data.mean, job.data.std, device, classes=job.data.classes)
        self.validation = Sheet(Resident(job.data.validation, job.data.mean, job.data.std, device))
        rows = ranks.rows if ranks else slice(None)
        self.feed = (
            Feed(self.training, settings, job.streams, rows)
            if self.objective is None
            else Seeing(self.training, settings, job.streams, self.objective, rows)
        )
        active = job.data.active or tuple(range(job.data.classes))
        self.head = Head.of(settings.head, active, job.data.classes, device)
        self.base = [settings.lr * factor for factor in settings.multipliers()]
        self.rates = [*self.base]
        self.adapting = settings.adapting()
        self.decays = settings.decays()
        self.count = Count()
        self.position, self.end = 0, settings.total_steps
        self.losses: list[Tensor] = []
        self.hits: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.folded: list[np.ndarray] = []  # losses and hits (and norms) since the last row, read from the device
        self.rows: list[dict[str, float]] = []
        self.probes: dict[int, dict[str, float]] = {}
        self.best: dict[str, Any] = {"step": 0, "value": None, "waited": 0}
        self.best_weights: dict[str, Tensor] = {}
        self.last: Scores | None = None
        self.found: pretraining.Found | None = None  # the last evaluation of a run with an objective
        self.profile: Profile | None = None
        self.spent = {"evaluation_s": 0.0, "checkpoint_s": 0.0}
        self.marks = self._marks()
        rules = (*settings.watch, *watching.rules(job.tell))
        self.wants_norm = needs_norm(rules)
        self.scaling = Scaling(device) if settings.precision == "fp16" else None
        self.guard, self.alerts = Guard(self), Alerts(rules if ranks is None or ranks.first else (), ctx, device)

    def _model(self) -> nn.Module:
        job = self.job
        model = untrained(job.build, job.seed, job.depth, job.verb)
        if job.initial is not None:
            self.taken = warm.take(
                model, job.initial / "model.safetensors", self.settings.initial_head, job.data.classes
            )
        model.to(job.device)
        if len(job.data.shape) == 3:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if job.ranks:
            job.ranks.alike(model)
            synchronise(model)
        return model.train()

    def _marks(self) -> list[int]:
        every, settings = self.settings.evaluate_every, self.settings
        total = settings.total_steps
        steps = {*range(every, total, every), *range(settings.steps_per_epoch, total, settings.steps_per_epoch), total}
        steps |= {step for step in (*self.job.publish, *self.job.probe_at) if isinstance(step, int)}
        if self.objective is not None and not total:
            raise SettingsError("length", "without a step there is nothing to evaluate; write at least 1 step")
        return sorted(step for step in steps if 0 < step <= total)

    # -- stepping ------------------------------------------------------------------------------------------------

    def step(self) -> Step:
        """The composed step of a solo run."""
        live = list(self.params.values())
        average, before, behind = follow(self)
        if self.scaling is not None:
            behind = [self.scaling.only_made(act) for act in behind]
        forward: Any = self.model
        if self.settings.compile:
            # The masks of a compiled dropout are those of the plain one only with the fallback generator.
            forward = torch.compile(self.model, options={"fallback_random": True})
        settings, scaling = self.settings, self.scaling
        checks, optimiser, objective = self.guard.check(live, self.wants_norm), self.optimiser, self.objective
        if objective is not None:  # behind the scale, which a limit of its own must not see
            checks = [lambda: objective.before_update(optimiser), *checks]
        after = [*before, *tail(optimiser, live, settings, average, checks, scaling), *behind]
        if self.ranks:
            after, settings = [averager(live, self.ranks), *after], self.ranks.local(settings)
        if objective is not None:
            step = composed(objective, optimiser, after, self.losses, self.hits, scaling)
            return self.guard.wrap(step, live)
        term = None if self.job.term is None else self.job.term(self.model)
        step = compose(
            forward, settings, self.head, self.job.device, self.feed.soft, self.optimiser, after,
            self.losses, self.hits, term, chunks=self.guard.chunks, scaling=scaling,
        )  # fmt: skip
        return self.guard.wrap(step, live)

    def retime(self) -> None:
        """The rates of the steps, from the schedule and what was cut during the run."""
        rates = [*self.base]
        for start, factor in [*(self.adapting.cuts if self.adapting else []), *self.guard.cuts]:
            rates[int(start) :] = [rate * factor for rate in rates[int(start) :]]
        self.rates[:] = rates

    def fold(self) -> None:
        """Read losses and hits since the last call (one synchronisation).

        Raises:
            Divergence: one of the losses was not finite; names the first such step, counted from 1.
        """
        if not self.losses:
            return
        losses, hits = torch.stack(self.losses).double(), torch.stack(self.hits).double()
        norms = torch.stack(self.norms).double().cpu().numpy() if self.norms else None
        for values in (self.losses, self.hits, self.norms):
            values.clear()
        if self.ranks:
            losses, hits = (self.ranks.totals if self.objective is None else self.ranks.means)(losses, hits)
        self.absorb(losses.cpu().numpy(), hits.cpu().numpy(), norms)

    def absorb(self, losses: np.ndarray, hits: np.ndarray, norms: np.ndarray | None = None) -> None:
        """Take over the losses and hits of the steps up to `position`, float64 (k,) each; with an objective, its totals
        (k, m) in place of hits; `norms` of the gradients, if rules ask for them.

        Raises:
            Divergence: see `fold`.
        """
        made = self.guard.sift(self.position, losses)
        bad = np.flatnonzero(~np.isfinite(losses) if made is None else ~np.isfinite(losses) & made)
        if bad.size:
            first = self.position - len(losses) + int(bad[0]) + 1
            sound = losses[: bad[0]] if made is None else losses[: bad[0]][made[: bad[0]]]
            good = sound if sound.size else (self.folded[-1][0] if self.folded else losses[:0])
            last = float(good[-1]) if good.size else (self.rows[-1]["train_loss"] if self.rows else None)
            raise Divergence("the training loss is not finite", first, last)
        whole = np.vstack([losses, hits.T] if norms is None else [losses, hits.T, norms])
        self.folded.append(whole if made is None else whole[:, made])

    @property
    def last_loss(self) -> float | None:
        """That of the last step made since the evaluation before, or None."""
        losses = np.concatenate([whole[0] for whole in self.folded])
        return float(losses[-1]) if losses.size else None

    # -- marks ---------------------------------------------------------------------------------------------------

    @property
    def network(self) -> nn.Module:
        """What is evaluated and kept: the running average where there is one, or what an objective keeps."""
        if self.objective is not None:
            return self.objective.kept.net
        if self.average is None:
            return self.model
        if self.settings.ema_statistics:
            return self.average
        for mine, live in zip(self.average.modules(), self.model.modules(), strict=True):
            mine._buffers = live._buffers  # statistics of batch norm are those of the trained network
        return self.average

    def scores(self, split: Sheet) -> Scores:
        """Scores of the current network."""
        before = time.perf_counter()
        device, precision = self.job.device, self.settings.precision
        found = evaluate(self.network, split, self.head, lambda: autocast(precision, device), self.tick, self.ranks)
        self.spent["evaluation_s"] += time.perf_counter() - before
        return found

    def progress(self) -> dict[str, float]:
        """For people: where the run is, and its last evaluation."""
        last = self.rows[-1] if self.rows else {}
        shown: dict[str, float] = {"step": self.position, "steps": self.settings.total_steps}
        names = ("train_loss", "loss", "accuracy", "knn_accuracy")
        return shown | {name: round(last[name], 4) for name in names if name in last}

    def mark(self) -> None:
        """What is due at `position`: a row of the curve, early stopping, a probe, a published checkpoint."""
        step = self.position
        due = step > 0 and (step % self.settings.evaluate_every == 0 or step == self.settings.total_steps)
        if due:
            self._row(step)
            if self.rows and self.rows[-1]["step"] == step:  # a reaction may have gone back before it
                self.ctx.note("eval", **self.rows[-1])  # for those who watch; the record says it again
        if step in self.job.probe_at and self.job.probe is not None:
            with self.aside("probe", step), evaluation_mode(self.network):
                found = self.job.probe(self.network)
                self.probes[step] = {name: float(value) for name, value in found.items()}
                for param in self.network.parameters():
                    param.grad = None
        if step in self.job.publish:
            scores = (self.last or self.found) if due else None
            if scores is None:
                with self.aside("publish", step):
                    scores = self.scores(self.validation) if self.objective is None else pretraining.evaluate(self)
            if self.guard.keeps:  # it may still turn out that the run goes back to before it
                self.guard.wait(step, self.network, scores)
            else:
                self._publish(self.job.publish[step], step, self.network, scores)

    def aside(self, purpose: str, step: int) -> Any:
        """Draws in this block come from elsewhere, so that the run goes on as if the block were not there."""
        return streams.borrowed(streams.Stream(*self.job.streams, purpose, step, device=self.job.device))

    def _row(self, step: int) -> None:
        if self.objective is not None:
            pretraining.row(self, step)
            return
        scores = self.last = self.scores(self.validation)
        if not np.isfinite(scores.loss):
            raise Divergence("the validation loss is not finite", step, self.last_loss)
        whole = np.concatenate(self.folded, axis=1)
        losses, hits = whole[:2]
        self.folded = []
        if not losses.size:
            raise Divergence("every step since the evaluation before was skipped", step)
        self.rows.append({
            "step": step, "epoch": step / self.settings.steps_per_epoch, "train_loss": float(losses.mean()),
            "train_accuracy": float(hits.sum() / (self.settings.batch * len(hits))),
            "loss": scores.loss, "accuracy": scores.accuracy, "lr": self.rates[step - 1],
        })  # fmt: skip
        after_row(self, whole, scores)
        if self.settings.select is not None:
            self._select(step, getattr(scores, self.settings.select))

    def _select(self, step: int, value: float) -> None:
        sign = -1.0 if self.settings.select == "loss" else 1.0
        best = self.best["value"]
        if best is None or sign * value > sign * best:
            self.best = {
                "step": step,
                "value": value,
                "waited": 0,
                "scores": [self.rows[-1]["accuracy"], self.rows[-1]["loss"]],
            }
            if "best" in self.job.publish:
                state = self.network.state_dict()
                self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
            return
        self.best["waited"] += 1
        if self.settings.patience is not None and self.best["waited"] >= self.settings.patience:
            self.end = step

    def _publish(self, key: str, step: int, weights: Any, scores: Published) -> None:
        folder = self.ctx.scratch / f"publish-{step}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        save_weights(folder / "model.safetensors", weights)
        values = {"step": step, **scores.published()}
        self.ctx.publish(key, folder, Result(values=values, files={"model.safetensors": "model"}))
        shutil.rmtree(folder, ignore_errors=True)

    def commit(self, step: int, weights: Mapping[str, Tensor], scores: Published) -> None:
        """Publish a checkpoint that waited."""
        self._publish(self.job.publish[step], step, weights, scores)

    def publish_best(self) -> None:
        """Commit the best checkpoint, known only at the end; ties go to the earlier step."""
        if "best" in self.job.publish and self.best["value"] is not None:
            accuracy, loss = self.best["scores"]
            scores = Scores(loss, accuracy, self.validation.n, 0.0)
            self._publish(self.job.publish["best"], self.best["step"], self.best_weights, scores)

    # -- checkpoint ----------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with: this job, and what may change the bits of its numbers."""
        settings, device = self.settings, self.job.device
        name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"
        ranks = {"world": self.ranks.world} if self.ranks else {}
        return digest({
            "job": [*self.job.streams, self.job.data.digest, settings.total_steps, settings.batch,
                    settings.n_train, settings.precision, self.job.determinism, settings.compile],
            "numerics": [torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), name],
            **ranks,
        })  # fmt: skip

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the run depends on, as tensors and JSON values. Call between steps."""
        self.fold()
        tensors: dict[str, Tensor] = dict(named("model", self.model))
        if self.average is not None:
            tensors |= {f"average/{name}": value for name, value in trained(self.average).items()}
        if self.average is not None and self.settings.ema_statistics:
            tensors |= {f"statistics/{name}": value.detach() for name, value in self.average.named_buffers()}
        if self.objective is not None:
            tensors |= {f"objective/{name}": value.detach() for name, value in self.objective.extra_state().items()}
        kept, scalars = optimiser_state(self.optimiser, self.params.values())
        tensors |= kept
        tensors |= {f"best/{name}": value for name, value in self.best_weights.items()}
        tensors["stream"] = self.stream.state
        if self.stream.device_state is not None:
            tensors["stream_device"] = self.stream.device_state
        folded = np.concatenate(self.folded, axis=1) if self.folded else np.zeros((2, 0))
        tensors["folded"] = torch.from_numpy(folded)
        plain = {
            "identity": self.identity, "position": self.position, "end": self.end, "rows": self.rows,
            "made": self.count.made, "missed": self.count.missed,
            "best": self.best, "scalars": scalars, "others": self.stream.pack_others(),
            "probes": {str(step): {k: v.hex() for k, v in found.items()} for step, found in self.probes.items()},
        }  # fmt: skip
        if self.ranks:
            plain["streams"] = [text.decode() for text in self.ranks.collect(pack_stream(self.stream))]
        guard, own = self.guard.state()
        plain |= {"guard": own, "adapting": self.adapting and self.adapting.state()}
        plain["scaling"] = self.scaling and self.scaling.state()
        return tensors | guard, plain

    def take(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go on from a state."""
        with torch.no_grad():
            for name, target in named("model", self.model):
                target.copy_(tensors[name])
            for name, average in (trained(self.average) if self.average is not None else {}).items():
                average.copy_(tensors[f"average/{name}"])
            if self.average is not None and self.settings.ema_statistics:
                for name, value in self.average.named_buffers():
                    value.copy_(tensors[f"statistics/{name}"])
            for name, value in (self.objective.extra_state() if self.objective is not None else {}).items():
                value.copy_(tensors[f"objective/{name}"])
        take_optimiser_state(self.optimiser, self.params.values(), tensors, plain["scalars"])
        self.stream.state = tensors["stream"].clone()
        if "stream_device" in tensors:
            self.stream.device_state = tensors["stream_device"].clone()
        self.stream.unpack_others(plain["others"])
        if self.ranks:
            unpack_stream(self.stream, plain["streams"][self.ranks.rank])
        self.best_weights = {n.removeprefix("best/"): v.clone() for n, v in tensors.items() if n.startswith("best/")}
        folded = tensors["folded"].numpy().copy()
        self.folded = [folded] if folded.shape[1] else []
        self.position, self.end = plain["position"], plain["end"]
        self.count.at, self.count.made = self.position, plain.get("made", self.position)
        self.count.missed = plain.get("missed", 0)
        if self.objective is not None:
            self.objective.done = self.position
        self.rows, self.best = [dict(row) for row in plain["rows"]], dict(plain["best"])
        self.probes = {
            int(step): {name: float.fromhex(value) for name, value in found.items()}
            for step, found in plain["probes"].items()
        }
        if "guard" in plain:  # not in a state that the guard itself goes back to
            self.guard.take(tensors, plain["guard"])
        if self.scaling is not None:
            self.scaling.take(plain["scaling"])
        if self.adapting is not None:
            self.adapting.take(plain["adapting"])
        self.retime()
