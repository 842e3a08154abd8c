"""The schedule that waits for a plateau, against torch's, and in a run."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_train_reactions import _interrupted, _same
from train_cases import images, job, mlp, run, vectors

from crucis.train.schedules.plateau import adapt

METRIC = {"loss": "min", "accuracy": "max"}


def _levels(values, metric="loss", **params):
    state, out = {}, []
    for value in values:
        state = adapt(state, {metric: value}, metric=metric, **params)
        out.append(state["level"])
    return out


@settings(deadline=None)
@given(
    values=st.lists(st.floats(0.01, 10), min_size=1, max_size=40), metric=st.sampled_from(sorted(METRIC)),
    factor=st.sampled_from([0.1, 0.5]), patience=st.integers(0, 4), cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.3]), absolute=st.booleans(), floor=st.sampled_from([0.0, 0.2]),
)  # fmt: skip
def test_equal_to_the_scheduler_of_torch(values, metric, factor, patience, cooldown, threshold, absolute, floor):
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, METRIC[metric], factor=factor, patience=patience, threshold=threshold, cooldown=cooldown,
        threshold_mode="abs" if absolute else "rel", min_lr=floor, eps=0.0,
    )  # fmt: skip
    expected = []
    for value in values:
        theirs.step(value)
        expected.append(optimiser.param_groups[0]["lr"])
    ours = _levels(values, metric, factor=factor, patience=patience, threshold=threshold, absolute=absolute,
                   cooldown=cooldown, floor=floor)  # fmt: skip
    assert ours == pytest.approx(expected, rel=1e-12)


def test_the_reference_case():
    assert _levels([1, 1, 1], patience=1) == [1, 1, 0.1]


def test_rates_fall_after_the_evaluation_that_found_the_plateau(tmp_path):
    schedule = {"plateau": {"patience": 0, "threshold": 1.0, "factor": 0.5, "floor": 0.2}}  # nothing is good enough
    found, _ = run(tmp_path, job(vectors(), mlp(), schedule=schedule, warmup=0, lr=0.08, length="5 epochs"))
    assert list(found.curve["lr"]) == pytest.approx([0.08, 0.08, 0.04, 0.02, 0.016])
    rates = found.notes["trained"]["rates"]
    assert rates and found.steps == 20


def test_a_warm_up_goes_before(tmp_path):
    schedule = {"plateau": {"patience": 0, "threshold": 1.0, "metric": "loss"}}
    found, _ = run(tmp_path, job(vectors(), mlp(), schedule=schedule, warmup="3 steps", lr=0.3, length="1 epochs",
                                 evaluate_every="1 steps"))  # fmt: skip
    assert list(found.curve["lr"]) == pytest.approx([0.1, 0.2, 0.03, 0.003])


@pytest.mark.parametrize("stops", [[6], [9, 5]])
def test_a_plateau_resumes_bit_for_bit(tmp_path, stops):
    from train_cases import Quirky

    schedule = {"plateau": {"patience": 1, "threshold": 0.05, "cooldown": 1, "metric": "accuracy"}}

    def made():
        return job(images(), Quirky, schedule=schedule, length="8 epochs", optimiser="adam", evaluate_every="2 steps")

    whole = run(tmp_path / "whole", made())
    assert len(set(whole[0].curve["lr"])) > 2
    _same(whole, _interrupted(tmp_path / "cut", made(), stops))


@pytest.mark.parametrize(("name", "floor"), [("resnet-imagenet", 0.0), ("vgg-imagenet", 1e-3)])
def test_publications_that_waited_for_a_plateau_are_written_as_one(name, floor):
    """He et al. 2016, section 3.4: divided by 10 when the error plateaus; Simonyan and Zisserman 2015, section 3.1:
    decreased by a factor of 10 when the validation accuracy stopped improving, three times in all."""
    from crucis.train import recipes

    made = recipes.translated(name)
    (params,) = made.params["schedule"].values()
    assert list(made.params["schedule"]) == ["plateau"] and params["metric"] == "accuracy"
    assert params["factor"] == 0.1 and params.get("floor", 0.0) == pytest.approx(floor)
    assert not any(part.startswith("schedule.") for part in made.missing)
    assert "schedule.patience" in made.assumed
    assert made.params["length"] == {"resnet-imagenet": "600000 steps", "vgg-imagenet": "370000 steps"}[name]


def test_an_audit_says_that_the_rates_were_decided_during_the_run():
    from crucis.train import recipes
    from crucis.train.published.audit import Training, audit
    from crucis.train.settings import resolve

    made = recipes.translated("resnet-imagenet")
    params = {**made.params, "batch": 256}
    lines = {line.key: line for line in audit(made, Training(resolve(params, 1_281_167)))}
    assert lines["lr at every step"].outcome == "unknown"
    assert (lines["schedule.kind"].outcome, lines["schedule.gamma"].outcome) == ("derived", "exact")
