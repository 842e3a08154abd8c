"""Weights to begin with: whole or without the head, and nothing by guessing."""

import pytest
import torch
from torch import nn
from train_cases import Ctx, contents, job, mlp, run, vectors

from crucis.nets.weights import WeightsError, save_weights
from crucis.train.warm import take


def _equal(one, two, names):
    return all(torch.equal(one.state_dict()[name], two.state_dict()[name]) for name in names)


def test_whole_and_without_the_head(tmp_path):
    source, target, other = mlp()(), mlp()(), mlp(classes=7)()
    save_weights(tmp_path / "w.safetensors", source)
    taken = take(target, tmp_path / "w.safetensors", "keep", 3)
    assert _equal(source, target, taken.loaded) and taken.fresh == () and len(taken.loaded) == 6
    before = {name: value.clone() for name, value in other.state_dict().items()}
    taken = take(other, tmp_path / "w.safetensors", "new", 7)
    assert taken.fresh == ("5.bias", "5.weight") and _equal(source, other, taken.loaded)
    assert all(torch.equal(other.state_dict()[name], before[name]) for name in taken.fresh)


def test_what_does_not_fit_is_named_and_changes_nothing(tmp_path):
    save_weights(tmp_path / "w.safetensors", mlp()())
    other = mlp(classes=7)()
    before = [value.clone() for value in other.state_dict().values()]
    with pytest.raises(WeightsError, match="initial_head: new"):
        take(other, tmp_path / "w.safetensors", "keep", 7)
    with pytest.raises(
        WeightsError, match=r"1.weight is \(16, 5\) in the file and \(16, 6\) in the network, and no head"
    ):
        take(mlp(d=6)(), tmp_path / "w.safetensors", "new", 3)
    with pytest.raises(WeightsError, match=r"has 5\.bias, which the network lacks"):
        take(
            nn.Sequential(nn.Flatten(), nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3)),
            tmp_path / "w.safetensors",
            "new",
            3,
        )
    assert all(torch.equal(a, b) for a, b in zip(before, other.state_dict().values(), strict=True))


@pytest.mark.parametrize("head", ["keep", "new"])
def test_a_training_begins_there_and_says_so(tmp_path, head):
    first, ctx = run(tmp_path / "first", job(vectors(), mlp()))
    made = job(vectors(), mlp(), initial_head=head, extra={"initial": ctx.out, "depth": 1})
    second, again = run(tmp_path / "second", made)
    assert second.notes["initial"]["fresh"] == ([] if head == "keep" else ["5.bias", "5.weight"])
    assert second.curve["loss"][0] < first.curve["loss"][0]  # it knows something already
    from crucis.errors import Stopped
    from crucis.train.fit import fit

    with pytest.raises(Stopped):
        fit(made, Ctx(tmp_path / "cut", stop_after=5))
    resumed = Ctx(tmp_path / "cut")
    assert fit(made, resumed).values == second.values and contents(resumed) == contents(again)
