"""Rules: what can be written, what is refused in words, what is identity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.train.watching import ACTIONS, METRICS, SHARES, WatchError, altering, faults, pointless, rules, telling


def _rule(text, action="log"):
    return rules({text: action})[0]


@pytest.mark.parametrize(("text", "values", "holds"), [
    ("loss > 50%", {"loss": 0.51}, True),
    ("loss > 50%", {"loss": 0.5}, False),
    ("loss>=1/2", {"loss": 0.5}, True),
    ("10 < grad_norm", {"grad_norm": 11}, True),
    ("10 <= grad_norm", {"grad_norm": 9}, False),
    ("loss == 3", {"loss": 3.0}, True),
    ("loss != 3", {"loss": 3.0}, False),
    ("lr < 1e-3 or loss > 2 and accuracy < 0.5", {"lr": 0.0001, "loss": 0, "accuracy": 1}, True),
    ("(lr < 1e-3 or loss > 2) and accuracy < 0.5", {"lr": 0.0001, "loss": 0, "accuracy": 1}, False),
    ("not loss > 2", {"loss": 1.0}, True),
    ("not (loss > 2 or lr > 1)", {"loss": 1.0, "lr": 2.0}, False),
    ("loss > -1_000", {"loss": 0.0}, True),
    ("loss > 1", {"accuracy": 1.0}, False),
    ("not loss > 1", {"accuracy": 1.0}, False),
    ("loss > 1", {"loss": float("nan")}, False),
])  # fmt: skip
def test_conditions_mean_what_they_say(text, values, holds):
    assert bool(np.any(_rule(text).holds(values))) is holds


def test_a_condition_over_steps_is_judged_step_by_step():
    rule = _rule("grad_norm > 10 and batch_loss < 1")
    norms, losses = np.array([20.0, 5.0, 20.0]), np.array([2.0, 0.5, 0.5])
    assert list(rule.holds({"grad_norm": norms, "batch_loss": losses})) == [False, False, True]
    assert not np.any(rule.holds({"grad_norm": norms[:2], "batch_loss": losses[:2]}))


@pytest.mark.parametrize(("watch", "words"), [
    ({"los > 1": "log"}, "no metric 'los'. Did you mean 'loss'?"),
    ({"gradnorm > 1": "log"}, "Did you mean 'grad_norm'?"),
    ({"loss > 1": "stpo"}, "no action 'stpo'. Did you mean 'stop'?"),
    ({"loss > 1": []}, "no action"),
    ({"loss > 1": ["log", "log"]}, "named twice"),
    ({"loss > 1": "log", "loss>1.0": "stop"}, "written twice"),
    ({"loss": "log"}, "expected a metric, a comparison and a number"),
    ({"loss > accuracy": "log"}, "expected a metric, a comparison and a number"),
    ({"1 > 2": "log"}, "expected a metric, a comparison and a number"),
    ({"loss > 1 2": "log"}, "'2' follows where the condition ends"),
    ({"(loss > 1": "log"}, "'(' without its ')'"),
    ({"loss > 1/0": "log"}, "divides by zero"),
    ({"loss > 1e999": "log"}, "no finite number"),
    ({"loss > __import__('os')": "log"}, "neither a metric, a number nor a comparison"),
    ({"loss > __import__": "log"}, "no metric '__import__'"),
    ({"loss; drop": "log"}, "neither a metric, a number nor a comparison"),
    ({"": "log"}, "expected a condition"),
    ({3: "log"}, "expected a condition"),
    ({"loss > 1 and " * 60 + "loss > 1": "log"}, "expected a condition"),
    ({"not " * 30 + "loss > 1": "log"}, "inside one another"),
    ({"loss > 1": {"lower_lr": 2}}, "between 0 and 1"),
    ({"loss > 1": {"lower_lr": True}}, "between 0 and 1"),
    ({"loss > 1": {"lower_lr": "300%"}}, "between 0 and 1"),
    ({"loss > 1": {"lower_lr": "half"}}, "between 0 and 1"),
    ({"loss > 1": {"webhook": "file:///etc/passwd"}}, "begins with https://"),
    ({"loss > 1": "mail"}, "one address"),
    ({"loss > 1": {"mail": "a@b, c@d"}}, "one address"),
    ({"loss > 1": {"stop": 3}}, "stop takes nothing"),
    ({"disk_free < 10%": "stop"}, "disk_free depends on the machine"),
    ({"disk_free < 10% or loss > 3": ["log", "lower_lr"]}, "disk_free depends on the machine"),
    ({"loss > 3": "skip"}, "skip is decided at each step, where loss is not known"),
    ({"grad_norm > 3": ["skip", "stop"]}, "exclude each other"),
    (["loss > 3"], "expected {condition: action}"),
])  # fmt: skip
def test_what_cannot_be_is_said_in_words(watch, words):
    with pytest.raises(WatchError) as error:
        rules(watch)
    assert words in str(error.value)


def test_every_fault_of_every_rule_is_told():
    found = faults({"los > 1": ["stpo", {"lower_lr": 2}], "loss > 1": "log", "loss>1.0": "stop", "lr >": "log"})
    assert [(text, error.of_action, str(error).partition(": ")[0]) for text, error in found] == [
        ("los > 1", False, "'los > 1'"), ("los > 1", True, "'los > 1'"), ("los > 1", True, "'los > 1'"),
        ("loss>1.0", False, "'loss>1.0' is written twice; list its actions"), ("lr >", False, "'lr >'"),
    ]  # fmt: skip
    assert faults({"loss > 1": "log"}) == faults(None) == []


def test_rules_that_tell_are_no_identity_and_those_that_alter_are():
    watch = {
        "grad_norm > 10": ["log", "lower_lr"], "loss > 100%": {"mail": "me@example.org"},
        "disk_free < 10%": ["delete_checkpoints", {"webhook": "https://example.org/x"}], "accuracy < 1/4": "stop",
    }  # fmt: skip
    assert altering(watch) == {"grad_norm > 10.0": [{"lower_lr": 0.5}], "accuracy < 0.25": ["stop"]}
    assert telling(watch) == {
        "grad_norm > 10.0": ["log"], "loss > 1.0": [{"mail": "me@example.org"}],
        "disk_free < 0.1": ["delete_checkpoints", {"webhook": "https://example.org/x"}],
    }  # fmt: skip
    assert altering({"loss > 1": {"lower_lr": "25%"}}) == altering({"loss > 1": {"lower_lr": "1/4"}})
    assert altering({}) == telling({}) == altering(None) == {}
    assert altering({"accuracy < 25%": "stop", "grad_norm>10.0": {"lower_lr": 0.5}}) == altering(watch)


CONDITIONS = st.recursive(
    st.builds("{} {} {}".format, st.sampled_from(sorted(METRICS)), st.sampled_from(["<", ">=", "=="]),
              st.floats(-1e6, 1e6).map(repr)),
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
    | st.builds("not {}".format, inner),
    max_leaves=5,
)  # fmt: skip


@given(text=CONDITIONS, action=st.sampled_from(["log", "checkpoint"]))
def test_the_one_form_reads_back_as_itself(text, action):
    once = telling({text: action})
    assert telling(once) == once
    values = dict.fromkeys(METRICS, 0.25)
    (before,), (after,) = rules({text: action}), rules(once)
    assert bool(before.holds(values)) == bool(after.holds(values))


def test_every_action_is_reachable():
    written = {"webhook": {"webhook": "https://example.org"}, "mail": {"mail": "a@example.org"}}
    for name in ACTIONS:
        (rule,) = rules({"grad_norm > 1": written.get(name, name)})
        assert rule.does(name) is not None


def test_rules_that_can_say_nothing_are_found():
    supervised, pretraining = {"accuracy": {}, "loss": {}}, {"loss": {}, **dict.fromkeys(SHARES[2:5])}
    for watch, columns, words in (
        ({"accuracy > 75": "log"}, supervised, "accuracy is a share, from 0 to 1, and 75 is none; write 75%"),
        ({"loss > 1 or not disk_free > 10": "log"}, supervised, "disk_free is a share, from 0 to 1, and 10 is none"),
        ({"gpu_memory > 150%": "log"}, supervised, "from 0 to 1, and 1.5 is none"),
        ({"knn_accuracy > 50%": "log"}, supervised, "trainings by 'p' have no knn_accuracy"),
        ({"loss_chance > 1": "log"}, pretraining, "have no loss_chance"),
        ({"train_accuracy > 1%": "stop"}, pretraining, "have no train_accuracy"),
    ):
        ((text, error),) = pointless(watch, "p", columns)
        assert text in watch and words in str(error)
    fine = dict.fromkeys(["accuracy > 75%", "accuracy >= 1", "loss > 75", "loss_rise > 2", "disk_free < 1/10"], "log")
    assert pointless(fine, "p", supervised) == [] == pointless({"knn_accuracy > 0": "log"}, "p", pretraining)
    assert pointless({}, "p", {}) == [] == pointless(None, "p", {})
