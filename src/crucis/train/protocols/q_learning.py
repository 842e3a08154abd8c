"""Deep Q-learning of games in sequence: a network learns by playing, and what it forgets of earlier games is measured.

The agent sees the last frames of a game and acts on one network for all games; it stores transitions in a replay
memory and updates the network on batches of it, towards targets of an older copy of itself
(`train/qlearning/learning.py` has the loss). Games follow one another without notice to the network; each has a memory
and an exploration of its own, the optimiser and the target network go on. Elastic weight consolidation holds what
earlier games needed (`train/qlearning/elastic.py`). `data` says what the network sees and answers: `games` (generated,
20 x 20) or `atari`.

Source: V. Mnih et al., 2015, doi:10.1038/nature14236; games in sequence: J. Kirkpatrick et al., 2017,
doi:10.1073/pnas.1611835114. That agent also has gains and biases of its own for every game and infers which game it
plays; this one has neither. A limit of frames (bricks, Atari) is no end of a game to the learner: the value of what
would have followed counts (F. Pardo et al., 2018, arXiv:1712.00378); `notes.trained.q_learning.limited` counts them.

Columns: `final_return`, points of a whole game at the end of training, for every game; `learned_return`, the same at
the end of the game's own turn; `forgetting`, their difference; `random_return`, of random play; `returns`, at every
evaluation since the game was met, by updates; `mean_return`, the mean of `final_return`; `score`, the mean over games
of (final - random) / (best - random), and `forgotten`, that of (learned - final) / (best - random) over games but the
last: both left out where the best return is unknown, as in Atari, and `forgotten` where only one game was played.
Returns are undiscounted and unclipped. The file `returns.npz` has one row per evaluated game and moment.

Cost: memory for `replay` frames of each game that comes again, and of the one that is played (84 x 84: 350 MB at
50,000); with penalties one backward pass for each of `ewc_minibatches` x `batch` transitions at a switch.
"""

# ruff: noqa: B006 - defaults are literals that are read and never changed

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ...types import Leaf, Length

if TYPE_CHECKING:
    from ...records import Context, Result
    from ..run import Job

REVISION = 3
RANDOM = True
COLUMNS = {
    "mean_return": {"unit": "points", "range": [None, None], "axes": [], "headline": True},
    "score": {"unit": "fraction", "range": [None, None], "axes": [], "headline": True},
    "forgotten": {"unit": "fraction", "range": [None, None], "axes": [], "headline": True},
    "final_return": {"unit": "points", "range": [None, None], "axes": ["game"], "headline": True},
    "learned_return": {"unit": "points", "range": [None, None], "axes": ["game"]},
    "random_return": {"unit": "points", "range": [None, None], "axes": ["game"]},
    "forgetting": {"unit": "points", "range": [None, None], "axes": ["game"]},
    "returns": {"unit": "points", "range": [None, None], "axes": ["game", "step"]},
    "loss": {"unit": "1", "range": [0, None], "axes": []},
    "parameters": {"unit": "count", "range": [0, None], "axes": []},
    "steps": {"unit": "count", "range": [0, None], "axes": []},
    "agent_steps": {"unit": "count", "range": [0, None], "axes": []},
    "frames": {"unit": "count", "range": [0, None], "axes": []},
    "seconds": {"unit": "seconds", "range": [0, None], "axes": [], "cost": True},
    "memory": {"unit": "bytes", "range": [0, None], "axes": [], "cost": True},
}
AXES = {"game": "games"}
OPTIONAL = ["score", "forgotten"]
KEEPS = "last"
LIMITS = {
    "batch": "[1, 100000]",
    "lr": "(0, 100]",
    "lr_max": "(0, 100]",
    "clip_value": "(0, 1000000]",
    "clip": "(0, 1000000]",
    "discount": "[0, 1]",
    "replay": "[2, 100000000]",
    "period": "[1, 100000]",
    "target_every": "[1, 100000000]",
    "learn_after": "[1, 100000000]",
    "action_repeat": "[1, 100]",
    "ewc_lambda": "[0, 1000000000]",
    "ewc_minibatches": "[1, 1000000]",
    "ewc_start": "[0, 10000000000]",
    "episodes": "[2, 10000]",
    "evaluation_epsilon": "[0, 1]",
}
LEAVES = {"optimiser": "optimisers"}


def train(
    job: Job,
    ctx: Context,
    *,
    games: list[str] = ["catch"],
    length: Length = "5000 steps",
    batch: int = 32,
    lr: float = 0.00025,
    lr_max: float | None = None,
    optimiser: Leaf = {"rmsprop": {"smoothing": 0.95, "eps": 0.01, "centred": True}},
    clip_value: float | None = None,
    clip: float | None = None,
    loss: Literal["huber", "squared"] = "huber",
    double: bool = False,
    discount: float = 0.99,
    replay: int = 50000,
    period: int = 4,
    target_every: int = 2000,
    learn_after: int = 500,
    epsilon: list[float] = [1.0, 0.1, 10000],
    action_repeat: int = 4,
    clip_rewards: bool = True,
    ewc_lambda: float = 0.0,
    ewc_fisher: Literal["td_error", "value"] = "td_error",
    ewc_minibatches: int = 100,
    ewc_start: int = 0,
    ewc_penalties: Literal["per_game", "latest"] = "per_game",
    ewc_recomputed: Literal["switch", "once"] = "switch",
    evaluate_every: Length = "1000 steps",
    episodes: int = 32,
    evaluation_epsilon: float = 0.05,
) -> Result:
    """Learn the games with `job.build()` (or `job.initial`), one after the other.

    Args:
        games: in the order of play: catch, dodge, bricks, or atari/NAME; a game may come again.
        length: optimiser steps of each game (written `for` in a study); the agent makes `period` steps for each, after
            `learn_after` without.
        batch: transitions per optimiser step.
        lr: learning rate, which does not change.
        lr_max: a bound that `lr` must keep.
        optimiser: the update rule; Mnih et al. add eps inside the root, as `rmsprop_tf` does, to squares of sums over
            the batch, so that their eps of 0.01 is 0.01 / batch^2 here.
        clip_value: largest size of each number of the gradient, applied first.
        clip: largest Euclidean norm of the whole gradient, applied second.
        loss: Huber's function of the error, or half its square.
        double: let the network, not its older copy, choose the action that a target values.
        discount: of the following value, 0 to 1.
        replay: transitions of the memory, for each game, 2 or more; a game broken off keeps its last frame in one.
        period: agent steps between optimiser steps.
        target_every: agent steps between copies of the network to the target network.
        learn_after: agent steps at the start of each game that only fill the memory.
        epsilon: share of random actions at the start of each game, its end value, and the agent steps between, along
            a straight line.
        action_repeat: frames that an action lasts.
        clip_rewards: learn from the signs of points; returns are told in points all the same.
        ewc_lambda: stiffness of the penalties; 0: none.
        ewc_fisher: whose squared gradients say what a game needs: of losses, or of values.
        ewc_minibatches: batches of the game's memory for them.
        ewc_start: agent steps, of all games, before which no penalty is in the loss.
        ewc_penalties: one for each game that was left, or that of the latest only.
        ewc_recomputed: when a game is left again, its penalty is computed anew, or stays (with `per_game` only).
        evaluate_every: optimiser steps of a game between evaluations of all games met so far.
        episodes: whole games of an evaluation, 2 or more, from the same first states each time.
        evaluation_epsilon: share of random actions in evaluations.

    Returns:
        Values of the columns above, with standard errors of returns over the games of an evaluation; files
        `model.safetensors` (the last weights) and `returns.npz`.

    Raises:
        SettingsError: parameters, games, data set and network that do not fit together.
        Divergence: the loss of an update was not finite; names the first such update.
        Stopped: asked to stop; the checkpoint in `ctx.scratch` continues bit for bit.
    """
    given = {name: value for name, value in locals().items() if name not in ("job", "ctx")}
    from ..qlearning.fit import learn
    from ..qlearning.settings import resolve

    return learn(job, ctx, resolve(given))
