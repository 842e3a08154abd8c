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


# -- for: plateau ---------------------------------------------------------------------------------------------------

FALLS = {"plateau": {"patience": 0, "threshold": 1.0, "factor": 0.1, "floor": 0.01}}  # nothing is good enough


def _to_plateau(build=mlp, **params):
    data, made = (vectors(), build()) if build is mlp else (images(), build)
    return job(data, made, length="plateau", **{"at_most": "9 epochs", "warmup": 0, "schedule": FALLS, **params})


def test_a_training_to_a_plateau_ends_at_the_one_after_its_last_fall(tmp_path):
    """The first evaluation is the best; the second and third find plateaus and the rate falls to its floor; the fourth
    finds one that nothing answers."""
    found, _ = run(tmp_path, _to_plateau(lr=0.1))
    assert list(found.curve["lr"]) == pytest.approx([0.1, 0.1, 0.01, 0.001])
    per_epoch = _to_plateau().settings.steps_per_epoch
    assert found.steps == found.values["steps"] == found.notes["trained"]["updates"] == 4 * per_epoch
    written, _ = run(tmp_path / "w", job(vectors(), mlp(), schedule=FALLS, lr=0.1, warmup=0, length="4 epochs"))
    assert found.values == written.values  # what a length of the same steps trains


def test_the_maximum_ends_what_is_not_decided(tmp_path):
    never = {"plateau": {"patience": 50, "floor": 0.01}}
    found, _ = run(tmp_path, _to_plateau(schedule=never, at_most="3 epochs"))
    assert found.steps == _to_plateau().settings.steps_per_epoch * 3


def test_a_constant_rate_ends_by_patience_as_early_stopping_does(tmp_path):
    stops = {"select": "loss", "patience": 1, "schedule": "constant", "lr": 0.3}
    found, _ = run(tmp_path / "a", _to_plateau(**stops))
    plain, _ = run(tmp_path / "b", job(vectors(), mlp(), length="9 epochs", warmup=0, **stops))
    assert found.values == plain.values and found.steps < _to_plateau().settings.total_steps


@pytest.mark.parametrize("stops", [[5], [7, 6], [12]])
def test_a_training_to_a_plateau_resumes_bit_for_bit(tmp_path, stops):
    from train_cases import Quirky

    schedule = {"plateau": {"patience": 1, "threshold": 0.5, "floor": 0.05, "cooldown": 1}}

    def made():
        return _to_plateau(Quirky, schedule=schedule, optimiser="adam", evaluate_every="2 steps", ema=0.9)

    whole = run(tmp_path / "whole", made())
    assert whole[0].steps < made().settings.total_steps
    parts = _interrupted(tmp_path / "cut", made(), stops)
    _same(whole, parts)
    assert parts[0].steps == whole[0].steps


@pytest.mark.parametrize(("params", "parameter", "text"), [
    ({"at_most": None}, "length", "at_most: 200 epochs"),
    ({"at_most": "plateau"}, "at_most", "a number of epochs"),
    ({"schedule": "plateau"}, "schedule", "floor: 0.001"),
    ({"schedule": "cosine"}, "schedule", "cosine spans"),
    ({"schedule": "constant"}, "patience", "select: loss"),
    ({"evaluate_every": "plateau"}, "evaluate_every", "no other length"),
], ids=str)  # fmt: skip
def test_a_plateau_that_could_not_be_found_is_refused(params, parameter, text):
    from crucis.train.settings import SettingsError

    with pytest.raises(SettingsError, match=text) as error:
        _to_plateau(**params)
    assert error.value.parameter == parameter


def test_the_maximum_says_nothing_beside_a_written_length():
    from crucis.train.settings import resolve

    assert resolve({"length": "3 epochs", "at_most": "1 epochs"}, 1280).total_steps == 30


def test_an_audit_says_that_a_plateau_has_a_maximum_only():
    from crucis.train import recipes
    from crucis.train.published.audit import Training, audit
    from crucis.train.settings import resolve

    made = recipes.translated("vgg-imagenet")
    params, _ = recipes.with_recipe("vgg-imagenet", {
        "length": "plateau", "at_most": "370000 steps", "augment": [],
    })  # fmt: skip
    assert resolve(params, 1_281_167).total_steps == 370_000

    def total(training):
        return {line.key: line for line in audit(made, training)}["schedule.total"]

    planned = total(Training(resolve(params, 1_281_167)))
    assert planned.outcome not in ("exact", "derived") and planned.used.startswith("at most 370,000 updates")
    ran = total(Training(resolve(params, 1_281_167), {"updates": 90_000, "without_update": 3}))
    assert ran.used.startswith("90,000 updates, 3 of them without a change")
