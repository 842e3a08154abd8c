"""Features in company: every pair of choices occurs in some training that is cut and goes on bit for bit, and every
pair that can be stacked in one that is trained stacked, cut, and ends as each seed alone."""

from __future__ import annotations

import contextlib
import random
from itertools import combinations

import pytest
import torch
from test_train_half import Overflowing
from torch import nn
from train_cases import Ctx, Ticker, contents, images, job, mlp, vectors

from crucis.errors import Divergence, Stopped
from crucis.train.cadence import Cadence
from crucis.train.fit import fit
from crucis.train.stacked import fit_many, why_not

NONE: dict[str, object] = {}
FEATURES = {
    "average": [NONE, {"ema": 0.9}, {"ema": 0.8, "ema_every": 2, "ema_warmup": True, "ema_statistics": True}],
    "chunks": [NONE, {"accumulate": 2}],
    "clip": [NONE, {"clip": 0.3}],
    "precision": [NONE, {"precision": "bf16"}, {"precision": "fp16"}],
    "passes": [NONE, {"checkpointing": True}],
    "memory": [NONE, {"on_memory": "halve_batch"}],
    "trouble": [NONE, {"on_not_finite": "skip"}, {"on_not_finite": "lower_lr"}],
    "epoch": [NONE, {"repeats": 2}],
    "looks": [NONE, {"augment": ["flip", {"mixup": {"alpha": 0.5}}]}],
    "optimiser": [{"optimiser": "sgd"}, {"optimiser": "adamw"}, {"optimiser": {"sgd": {"form": "caffe"}}}],
    "decay": [NONE, {"weight_decay_end": 0.3}],
    "ends": [
        NONE,
        {"select": "loss", "patience": 3},
        {"length": "plateau", "at_most": "4 epochs", "schedule": {"plateau": {"patience": 0, "floor": 0.05}}},
    ],
    "rules": [NONE, {"watch": {"grad_norm > 15": "skip"}}, {"watch": {"train_loss < 9": {"lower_lr": 0.5}}}],
}
STACKED = {
    "average": [NONE, {"ema": 0.9}],
    "smooth": [NONE, {"label_smoothing": 0.1}],
    "optimiser": [{"optimiser": "sgd"}, {"optimiser": "adam"}, {"optimiser": "lamb"}, {"optimiser": "rmsprop"}],
    "decay": [NONE, {"weight_decay": 0.0}, {"decay_on": "all"}],
    "epoch": [NONE, {"repeats": 2}, {"rate_every": "epoch"}],
    "ends": [NONE, {"select": "accuracy", "patience": 2}, {"evaluate_every": "3 steps"}],
    "schedule": [NONE, {"schedule": {"step": {"every": "1 epochs"}}}, {"schedule": "constant", "warmup_from": 0.2}],
    "head": [NONE, {"head": "per_task"}],
}


def covering(features):
    """Rows of choices, as places, so that every pair of choices of two features is in one; greedy, always the same."""
    dice, names = random.Random(0), list(features)
    sizes = {name: len(choices) for name, choices in features.items()}
    left = {
        ((a, i), (b, j)) for a, b in combinations(names, 2) for i in range(sizes[a]) for j in range(sizes[b])
    }  # fmt: skip
    rows = []
    while left:
        first = dict(min(left))  # so that each row covers one pair at least
        tries = [{name: first.get(name, dice.randrange(sizes[name])) for name in names} for _ in range(60)]
        best = max(tries, key=lambda row: len(left & _pairs(row)))
        left -= _pairs(best)
        rows.append(best)
    return rows


def _pairs(row):
    return set(combinations(row.items(), 2))


def _params(features, row):
    return {key: value for name, place in row.items() for key, value in features[name][place].items()}


class Block(nn.Module):
    """Convolution, batch norm and dropout, of which checkpointing keeps the input."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Dropout(0.2)

    def forward(self, x):
        return x + self.drop(torch.relu(self.norm(self.conv(x))))


class Troubled(nn.Module):
    """Blocks that want too much memory from the fifth pass on, and whose loss is no number for certain weights
    and batches: other ones after a return at half the rate."""

    def __init__(self, greedy, hurt):
        super().__init__()
        self.blocks, self.head = nn.Sequential(Block(), Block()), nn.Linear(108, 3)
        self.greedy, self.hurt = greedy, hurt
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        if self.training:
            self.passes += 1
            if self.greedy and int(self.passes) >= 5 and len(x) > self.greedy:
                raise torch.OutOfMemoryError("out of memory")
        out = self.head(self.blocks(x).flatten(1))
        sign = torch.nan_to_num(self.head.weight.abs().sum() * 1e4 + x.sum())
        if self.training and self.hurt and int(sign) % 9 == 4:
            return out * torch.nan
        return out


def _troubled(params):
    """The training of a row, with the troubles that its features are for."""
    greedy = 8 // params.get("accumulate", 1) if "on_memory" in params else 0
    overflows = {2, 3, 7} if params.get("precision") == "fp16" else ()

    def build():
        return Overflowing(Troubled(greedy, "on_not_finite" in params), overflows)

    return job(images(n=84), build, extra={"publish": {3: "three", 7: "seven"}}, **{"length": "3 epochs", **params})


def _outcome(go, ctx):
    try:
        found = go()
    except Divergence as error:
        return str(error), error.reactions, {key: value[1] for key, value in ctx.published.items()}
    trained = dict(found.notes["trained"])
    return found.values, found.reactions, contents(ctx), trained, found.steps


def _cut(folder, made, stops):
    """Stopped after each of these numbers of looks in turn, then to the end."""
    published = {}
    for stop in [*stops, None]:
        ctx = Ctx(folder, stop_after=stop)
        ctx.published = published
        try:
            return _outcome(lambda ctx=ctx: fit(made(), ctx), ctx)
        except Stopped:
            pass
    raise AssertionError("stopped without being asked to")


@pytest.mark.parametrize("row", covering(FEATURES), ids=lambda row: "".join(map(str, row.values())))
def test_features_in_pairs_are_cut_and_go_on_bit_for_bit(tmp_path, row):
    params = _params(FEATURES, row)
    ctx = Ctx(tmp_path / "whole")
    whole = _outcome(lambda: fit(_troubled(params), ctx), ctx)
    dice = random.Random(str(row))
    assert _cut(tmp_path / "cut", lambda: _troubled(params), [dice.randint(2, 6), dice.randint(2, 4)]) == whole


def test_the_troubles_occur(tmp_path):
    """The rows above would prove little if nothing went wrong in them."""
    seen, ends = set(), []
    for place, row in enumerate(covering(FEATURES)):
        ctx = Ctx(tmp_path / str(place))
        found = _outcome(lambda row=row, ctx=ctx: fit(_troubled(_params(FEATURES, row)), ctx), ctx)
        seen |= {one["did"] for one in found[1]} | {one["why"] for one in found[1]}
        ends.append(isinstance(found[0], dict))
    assert {"skip", "restore", "halve_batch", "lower_lr", "overflow", "out_of_memory", "loss_not_finite"} <= seen
    assert sum(ends) > 0.6 * len(ends)


@pytest.mark.parametrize("row", covering(STACKED), ids=lambda row: "".join(map(str, row.values())))
def test_stacked_features_in_pairs_are_cut_and_end_as_each_seed_alone(tmp_path, row):
    params = {"length": "3 epochs", **_params(STACKED, row)}

    def jobs():
        return [job(vectors(), mlp(), seed, **params) for seed in (1, 2, 3)]

    assert why_not(jobs()) is None
    alone = []
    for made in jobs():
        ctx = Ctx(tmp_path / f"solo{made.seed}")
        alone.append(_outcome(lambda made=made, ctx=ctx: fit(made, ctx), ctx))
    stop = random.Random(str(row)).randint(2, 8)
    with contextlib.suppress(Stopped):
        fit_many(jobs(), [Ctx(tmp_path / f"stack{seed}", stop_after=stop) for seed in (1, 2, 3)],
                 cadence=Cadence(Ticker(0.4)))  # fmt: skip
    contexts = [Ctx(tmp_path / f"stack{seed}") for seed in (1, 2, 3)]
    found = fit_many(jobs(), contexts)
    for one, two, ctx in zip(alone, found, contexts, strict=True):
        assert _outcome(lambda two=two: two, ctx) == one


def test_every_pair_is_covered():
    for features in (FEATURES, STACKED):
        rows, names = covering(features), list(features)
        for a, b in combinations(names, 2):
            met = {(row[a], row[b]) for row in rows}
            assert len(met) == len(features[a]) * len(features[b])
