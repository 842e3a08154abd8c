"""A training by deep Q-learning between its agent steps: what it is made of, one step, and all of its state."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...canon import digest
from ...data.arcade.boards import packed, unpack
from ...data.arcade.player import Player
from ...errors import Divergence
from ...nets.weights import restore
from ...records import Context
from ...seeds import rng
from ..layout import named, optimiser_state, take_optimiser_state
from ..run import Job, untrained
from ..settings import SettingsError
from .elastic import Elastic, fisher
from .learning import update
from .memory import Memory
from .play import choose, evaluate
from .settings import VIEWLESS, QSettings


class QRun:
    """The network, its target, the memories, the game that is played, and the penalties of games that were left.

    Attributes:
        turn: place in the order of games; step: agent steps of this turn; steps, updates, copies: agent steps, updates
            and copies to the target network in all; penalised: updates with a penalty in the loss; limited: games that
            a limit of frames broke off; rows: evaluations, one per game and moment.
    """

    def __init__(self, job: Job, ctx: Context, settings: QSettings, tick: Callable[[], None] = lambda: None) -> None:
        self.job, self.ctx, self.settings, self.tick = job, ctx, settings, tick
        self.net = untrained(job.build, job.seed, job.depth, job.verb).to(job.device).eval()
        _fits(job)
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.net.modules()):
            raise SettingsError("net", "batch norm means nothing here: the network acts on one observation at a time "
                                       "and is updated on others; write net: dqn")  # fmt: skip
        if any(isinstance(part, nn.modules.dropout._DropoutNd) and part.p for part in self.net.modules()):
            raise SettingsError("net", "dropout would be passed over: the network that acts is the one that is "
                                       "updated; write dropout: 0")  # fmt: skip
        if job.initial is not None:
            restore(self.net, job.initial / "model.safetensors")
        self.target = copy.deepcopy(self.net)
        params = [value for value in self.net.parameters() if value.requires_grad]
        self.optimiser: torch.optim.Optimizer = settings.optimiser.load("optimisers")(
            [{"params": params, "lr": settings.lr, "weight_decay": 0.0}], **settings.optimiser.params
        )
        self.elastic = Elastic(self.net, settings)
        self.draws = {name: rng(*job.streams, "q_learning", name) for name in ("act", "replay", "fisher")}
        self.turn = self.step = self.steps = self.updates = self.copies = self.penalised = self.limited = 0
        self.rows: list[dict[str, Any]] = []
        self.losses: list[float] = []
        self.memories: dict[str, Memory] = {}
        self.stack = job.data.shape[0]
        self._enter()

    @property
    def game(self) -> str:
        """The game that is played."""
        return self.settings.games[self.turn]

    @property
    def finished(self) -> bool:
        """Whether every game was played to its end."""
        return self.updates >= self.settings.total_updates

    def _enter(self) -> None:
        """Start the game of this turn."""
        self.player = self._player(self.game, "play", self.turn)
        if self.game not in self.memories:
            self.memories[self.game] = Memory(self.settings.replay, self.stack, self.player.engine.shape)

    def _player(self, name: str, *stream: str | int) -> Player:
        made = Player(name, 1, *self.job.streams, *stream, repeat=self.settings.action_repeat, stack=self.stack)
        data = self.job.data
        if made.shape != data.shape or made.actions != data.classes:
            raise SettingsError("games", f"{name} shows {made.shape} and takes {made.actions} actions, and the data "
                                         f"set of this stage {data.shape} and {data.classes}; write data: games for "
                                         "generated games and data: atari for Atari")  # fmt: skip
        return made

    # -- one agent step ---------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One agent step, with what is due after it: an update, a copy, an evaluation, the next game.

        Raises:
            Divergence: the loss was not finite.
        """
        settings, player = self.settings, self.player
        frame, age = player.seen[0, -1].copy(), int(player.age[0])
        epsilon = settings.explores(self.step)
        action = choose(self.net, player.seen, epsilon, self.draws["act"], player.actions, self.job.device)
        points, over = player.step(action)
        reward = float(np.sign(points[0])) if settings.clip_rewards else float(points[0])
        memory, limited = self.memories[self.game], bool(player.limited[0])
        memory.add(frame, age, int(action[0]), reward, bool(over[0]) and not limited)
        if limited and player.ends is not None:
            memory.close(player.ends[0], age + 1)
            self.limited += 1
        self.step, self.steps = self.step + 1, self.steps + 1
        learning = self.step - settings.learn_after
        updated = learning > 0 and learning % settings.period == 0
        if updated:
            self._learn()
        if self.steps % settings.target_every == 0:
            self.target.load_state_dict(self.net.state_dict())
            self.copies += 1
        done = updated and learning // settings.period
        if done and (done % settings.evaluate_every == 0 or done == settings.updates):
            self.look()
        if done == settings.updates:
            self._switch()

    def _learn(self) -> None:
        settings, game = self.settings, self.game
        batch = self.memories[game].draw(settings.batch, self.draws["replay"])
        held = settings.ewc_lambda and self.steps >= settings.ewc_start and self.elastic.others(game)
        penalty = (lambda: self.elastic.pull(game)) if held else None
        loss = float(update(self.net, self.target, self.optimiser, batch, settings, penalty=penalty,
                            device=self.job.device))  # fmt: skip
        self.updates, self.penalised = self.updates + 1, self.penalised + bool(held)
        if not math.isfinite(loss):
            raise Divergence("the loss is not finite", self.updates, self._last_good())
        self.losses.append(loss)

    def _last_good(self) -> int:
        return int(self.rows[-1]["step"]) if self.rows else 0

    def look(self) -> None:
        """Evaluate every game that was met so far, and say so in the journal."""
        settings = self.settings
        loss = float(np.mean(self.losses)) if self.losses else 0.0
        self.losses = []
        told: dict[str, float] = {}
        for name in dict.fromkeys(settings.games[: self.turn + 1]):
            found = evaluate(self.net, name, settings.episodes, settings.evaluation_epsilon, *self.job.streams,
                             "evaluate", repeat=settings.action_repeat, stack=self.stack, device=self.job.device,
                             tick=self.tick)  # fmt: skip
            self.rows.append({"step": self.updates, "agent_steps": self.steps, "playing": self.turn, "game": name,
                              "mean": found.mean, "se": found.se, "loss": loss})  # fmt: skip
            told[name.replace("/", "_")] = round(found.mean, 4)
        if not all(bool(torch.isfinite(value).all()) for value in self.net.parameters()):
            raise Divergence("a parameter is not finite", self.updates, self._last_good())
        self.ctx.note("eval", step=self.updates, agent_steps=self.steps, loss=round(loss, 6), **told)

    def _switch(self) -> None:
        """Leave the game: hold what it needs, forget its memory if it does not come again, start the next one."""
        settings, game = self.settings, self.game
        if self.turn + 1 == len(settings.games):
            return
        if settings.ewc_lambda and self.elastic.stale(game):
            found = fisher(self.net, self.target, self.memories[game], settings, self.draws["fisher"], self.job.device)
            self.elastic.leave(game, found, agent_steps=self.steps, minibatches=settings.ewc_minibatches,
                               transitions=settings.ewc_minibatches * settings.batch)  # fmt: skip
        self.memories[game].leave()
        self.turn, self.step = self.turn + 1, 0
        self.memories = {name: kept for name, kept in self.memories.items() if name in settings.games[self.turn :]}
        self._enter()

    def best(self, name: str) -> float | None:
        """The greatest return of a game, if anybody knows it."""
        return self._player(name, "best").engine.best

    def progress(self) -> dict[str, Any]:
        """For people: where the run is, and its last evaluation."""
        shown: dict[str, Any] = {"step": self.updates, "steps": self.settings.total_updates,
                                 "agent_steps": self.steps}  # fmt: skip
        return shown | ({"return": round(self.rows[-1]["mean"], 4)} if self.rows else {})

    # -- checkpoint -------------------------------------------------------------------------------------------------

    @property
    def identity(self) -> str:
        """What a checkpoint must agree with: this job, and what may change the bits of its numbers."""
        device, settings = self.job.device, self.settings
        name = torch.cuda.get_device_name(device) if device.startswith("cuda") else "cpu"
        return digest({
            "job": [*self.job.streams, self.job.data.digest, list(settings.games), settings.updates, settings.batch,
                    settings.replay, settings.period, self.job.determinism],
            "numerics": [torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), name],
        })  # fmt: skip

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the run depends on, as tensors and JSON values. Call between agent steps."""
        tensors = {**dict(named("model", self.net)), **dict(named("target", self.target))}
        kept, scalars = optimiser_state(self.optimiser, self.net.parameters())
        tensors |= kept
        for number, memory in enumerate(self.memories.values()):
            tensors |= {f"memory/{number}/{name}": value for name, value in memory.state().items()}
        elastic, held = self.elastic.state()
        tensors |= {f"elastic/{name}": value for name, value in elastic.items()}
        tensors["seen"] = torch.from_numpy(self.player.seen.copy())
        plain = {
            "identity": self.identity, "turn": self.turn, "step": self.step, "steps": self.steps,
            "updates": self.updates, "copies": self.copies, "penalised": self.penalised, "limited": self.limited,
            "rows": self.rows, "losses": self.losses, "scalars": scalars, "memories": list(self.memories),
            "elastic": held, "player": self.player.state(),
            "draws": {name: packed(draw) for name, draw in self.draws.items()},
        }  # fmt: skip
        return tensors, plain

    def take(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Go on from a state."""
        with torch.no_grad():
            for prefix, net in (("model", self.net), ("target", self.target)):
                for name, value in named(prefix, net):
                    value.copy_(tensors[name])
        take_optimiser_state(self.optimiser, self.net.parameters(), tensors, plain["scalars"])
        for name in ("turn", "step", "steps", "updates", "copies", "penalised", "limited"):
            setattr(self, name, plain[name])
        self.rows, self.losses = [dict(row) for row in plain["rows"]], list(plain["losses"])
        self.memories = {}
        self._enter()
        frame = self.player.engine.shape
        self.memories = {name: Memory(self.settings.replay, self.stack, frame) for name in plain["memories"]}
        for number, memory in enumerate(self.memories.values()):
            memory.take(_within(tensors, f"memory/{number}/"))
        self.elastic.take(_within(tensors, "elastic/"), plain["elastic"])
        self.player.take(plain["player"], tensors["seen"].numpy())
        for name, draw in self.draws.items():
            unpack(draw, plain["draws"][name])


def _fits(job: Job) -> None:
    """See that what the data set says of itself is what the network is shown.

    Raises:
        SettingsError: a view, or statistics by which others would show the network standardised observations.
    """
    data = job.data
    if data.view:
        raise SettingsError("view", VIEWLESS)
    if set(data.mean) != {0.0} or set(data.std) != {1.0}:
        raise SettingsError("data", f"agents see levels from 0 to 1, and networks see {data.name} standardised; write "
                                    "data: games for generated games and data: atari for Atari")  # fmt: skip


def _within(tensors: Mapping[str, Tensor], head: str) -> dict[str, Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {name.removeprefix(head): value for name, value in tensors.items() if name.startswith(head)}
