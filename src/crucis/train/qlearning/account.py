"""What a training by deep Q-learning did, for the record's notes. Read from the objects that ran."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..published.rates import Rates

if TYPE_CHECKING:
    from .run import QRun


def account(run: QRun) -> dict[str, Any]:
    """JSON values: what other trainings note as well (`optimiser`, `groups`, `rates`, `updates`, `batch`, `clip`), and
    under `q_learning` what is of this protocol alone."""
    settings, group = run.settings, run.optimiser.param_groups[0]
    options = {key: value for key, value in group.items()
               if value is None or isinstance(value, (bool, int, float, str))}  # fmt: skip
    rate = options.pop("lr")
    kind = type(run.optimiser)
    memory = next(reversed(run.memories.values()))
    return {
        "optimiser": getattr(kind, "LEAF", kind.__name__),
        "groups": [{"options": options, "tensors": len(group["params"]),
                    "weights": sum(value.numel() for value in group["params"])}],
        "not_decayed": sorted(name for name, _ in run.net.named_parameters()), "decay_on": [],
        "rates": Rates.of(np.full(run.updates, rate)).as_dict(), "updates": run.updates, "batch": settings.batch,
        "n_train": len(run.job.data.train), "steps_per_epoch": len(run.job.data.train) // settings.batch or 1,
        "augment": [], "repeats": 1, "label_smoothing": 0.0, "clip": settings.clip, "ema": None, "precision": "fp32",
        "q_learning": {
            "games": list(settings.games), "agent_steps": run.steps, "copies": run.copies,
            "action_repeat": run.player.repeat, "replay": memory.size, "stack": memory.stack,
            "clip_value": settings.clip_value, "lr": rate, "lr_max": settings.lr_max, "period": settings.period,
            "target_every": settings.target_every, "learn_after": settings.learn_after,
            "discount": settings.discount, "double": settings.double, "loss": settings.loss,
            "epsilon": list(settings.epsilon), "clip_rewards": settings.clip_rewards,
            "ewc_lambda": settings.ewc_lambda, "ewc_fisher": settings.ewc_fisher, "ewc_start": settings.ewc_start,
            "ewc_minibatches": settings.ewc_minibatches, "ewc_penalties": settings.ewc_penalties,
            "ewc_recomputed": settings.ewc_recomputed, "penalties": run.elastic.told, "penalised": run.penalised,
            "limited": run.limited,
        },
    }  # fmt: skip
