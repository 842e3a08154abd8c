import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.train.recipes import house_names, names, recipe, with_recipe
from crucis.train.settings import Choice, SettingsError, choice, defaults, resolve


def test_epochs_and_steps_of_a_split():
    settings = resolve({"length": "3 epochs", "batch": 64, "evaluate_every": "10 steps", "warmup": "1 epoch"}, 1439)
    assert (settings.steps_per_epoch, settings.total_steps, settings.evaluate_every) == (22, 66, 10)
    assert settings.warmup_steps == 22
    assert settings.dropped == 1439 - 22 * 64
    assert resolve({"length": "500 steps"}, 1439).total_steps == 500


@given(st.integers(1, 3000), st.integers(1, 300), st.integers(0, 50))
def test_every_step_has_a_full_batch_and_a_rate(n, batch, epochs):
    settings = resolve({"batch": batch, "length": f"{epochs} epochs"}, n)
    assert settings.batch == min(batch, n)
    assert settings.steps_per_epoch * settings.batch + settings.dropped == n
    assert 0 <= settings.dropped < settings.batch
    assert len(settings.multipliers()) == settings.total_steps == epochs * settings.steps_per_epoch


@pytest.mark.parametrize("spelling", [0.05, "5%", "5.0%", "5 steps"])
def test_warmup_spellings(spelling):
    assert resolve({"length": "100 steps", "warmup": spelling}, 100).warmup_steps == 5


def test_the_defaults_are_the_house_recipe():
    own = defaults()
    for name, value in recipe("sgd-cosine").items():
        assert own[name] == value


def test_recipes_scale_the_rate_with_the_batch_and_say_so():
    assert house_names() == names()[:2] == ("adamw-cosine", "sgd-cosine")
    params, origin = with_recipe("sgd-cosine", {"batch": 512, "warmup": 0.1})
    assert params["lr"] == pytest.approx(0.4) and params["warmup"] == 0.1
    assert origin["lr"].startswith("scaled from 0.1 at batch 128")
    assert origin["warmup"].startswith("adapted from 0.05") and origin["schedule"] == "recipe: sgd-cosine"
    params, origin = with_recipe("adamw-cosine", {"batch": 512, "lr": 0.5})
    assert params["lr"] == 0.5 and origin["lr"].startswith("adapted from 0.001")
    params, _ = with_recipe("adamw-cosine", {})
    assert (params["lr"], params["batch"], params["weight_decay"]) == (0.001, 256, 0.05)


BROKEN = {
    "length": ["3 epoch s", "plateau", 5],
    "batch": [0, 1.5, True],
    "lr": [-1.0, "fast", float("nan")],
    "precision": ["fp8", "fp64"],
    "warmup": [1.5, "five%", "x"],
    "accumulate": [3, 0],
    "schedule": ["cosin", 5, {"a": {}, "b": {}}],
    "optimiser": ["adamx", {"sgd": {"dampening": 0.1}}, {"sgd": {"dampening": 0.1, "form": "caffe"}}],
    "weight_decay_end": [-0.1, "much"],
    "weight_decay_schedule": ["steps"],
    "warmup_from": [-1.0],
    "warmup_shape": ["bent", "constant"],
    "warmup_joins": ["after"],
    "rate_every": ["hour"],
    "ema_every": [0],
    "augment": [["flop"]],
    "select": ["f1"],
    "patience": [0, 3],
    "label_smoothing": [1.0, -0.1],
    "clip": [0.0],
    "ema": [1.0],
    "head": ["mine"],
    "decay_on": ["biases"],
    "on_memory": ["halve", "panic"],
    "on_not_finite": ["raise", None],
    "watch": [{"loss > 1": "halt"}, {"los > 1": "stop"}, {"gpu_memory > 95%": "stop"}, ["stop"]],
    "checkpointing": ["yes", 1],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, values in BROKEN.items() for v in values])
def test_what_does_not_fit_is_named(name, value):
    with pytest.raises(SettingsError) as error:
        resolve({name: value}, 1000)
    assert error.value.parameter == name
    assert str(error.value).startswith(f"{name}: ") and len(str(error.value)) > len(name) + 12


def test_near_names_are_offered():
    with pytest.raises(SettingsError, match="Did you mean 'cosine'"):
        resolve({"schedule": "cosin"}, 10)
    with pytest.raises(SettingsError, match="Did you mean 'sgd-cosine'"):
        with_recipe("sgd-cosin", {})
    with pytest.raises(SettingsError, match="warmup: 0"):
        resolve({"schedule": "one_cycle"}, 1000)
    with pytest.raises(SettingsError, match="empty"):
        resolve({}, 0)


def test_all_spellings_of_a_leaf():
    expected = Choice("step", {"gamma": 0.5})
    for spelling in (
        {"step": {"gamma": 0.5}},
        {"leaf": "step", "revision": "1", "params": {"gamma": 0.5}},
        SimpleNamespace(name="step", params={"gamma": 0.5}),
        expected,
    ):
        assert choice(spelling, "schedule") == expected
    assert choice("step", "schedule") == choice({"step": None}, "schedule") == Choice("step")


def test_a_schedule_of_ones_own():
    def mine(total_steps, steps_per_epoch, *, level=1.0):
        return [level] * total_steps

    own = {"name": "./mine.py", "entry": mine, "params": {"level": 0.25}}
    settings = resolve({"schedule": own, "length": "5 steps", "warmup": 0.4}, 100)
    assert settings.multipliers() == [0.125, 0.25, 0.25, 0.25, 0.25]
    space = {"AFTER_WARMUP": True}
    exec("def schedule(total_steps, steps_per_epoch):\n    return [1.0, 0.5, 0.25][:total_steps]", space)
    after = {"name": "./after.py", "entry": space["schedule"], "params": {}}
    settings = resolve({"schedule": after, "length": "5 steps", "warmup": 0.4}, 100)
    assert settings.multipliers() == [0.5, 1.0, 1.0, 0.5, 0.25]
    short = {"name": "./mine.py", "entry": lambda total_steps, steps_per_epoch: [1.0], "params": {}}
    with pytest.raises(SettingsError, match="1 values for 5 steps"):
        resolve({"schedule": short, "length": "5 steps"}, 100).multipliers()


def test_a_plan_needs_no_torch():
    code = (
        "import sys; from crucis.train.settings import resolve; from crucis.train.recipes import with_recipe;"
        "resolve(with_recipe('sgd-cosine', {'length': '3 epochs'})[0], 100).multipliers();"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
