"""The frontier against a plain reference: what is ready, in which order, what is blocked; and replay."""

from __future__ import annotations

import pytest
from engine_toys import at_key, step
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.engine.frontier import Frontier
from crucis.engine.steps import EngineError, Step
from crucis.records import Record


@st.composite
def graphs(draw):
    """Steps with inputs among earlier ones, and which are stored, sealed or will fail."""
    n = draw(st.integers(1, 14))
    steps = []
    for i in range(n):
        parents = draw(st.lists(st.integers(0, i - 1), max_size=3, unique=True)) if i else []
        sealed = draw(st.integers(0, 9)) == 0
        steps.append(Step(f"{i:064x}", {"i": i}, {"of": [steps[p].key for p in parents]}, sealed=sealed))
    stored = draw(st.sets(st.integers(0, n - 1)))
    failing = draw(st.sets(st.integers(0, n - 1), max_size=2))
    return steps, {steps[i].key for i in stored}, {steps[i].key for i in failing}


def expected(steps, stored, failing):
    """State of every step at the end, by recursion over the definition."""
    states = {}
    for each in steps:
        sources = [states[key] for key in each.input_keys() if key not in stored]
        if each.key in stored:
            states[each.key] = "done"
        elif each.sealed:
            states[each.key] = "sealed"
        elif any(state != "done" for state in sources):
            states[each.key] = "blocked"
        else:
            states[each.key] = "failed" if each.key in failing else "done"
    return states


@settings(max_examples=300, deadline=None)
@given(graphs())
def test_every_step_ends_as_its_inputs_allow(graph):
    steps, stored, failing = graph
    records = set(stored)
    frontier = Frontier(steps, records.__contains__, lambda key: None)
    ran = []
    while (key := frontier.peek()) is not None:
        frontier.take(key)
        assert all(source in records for source in frontier.steps[key].input_keys())
        ran.append(key)
        if key in failing:
            frontier.failed(key)
        else:
            records.add(key)
            frontier.done(key)
    assert len(ran) == len(set(ran)) and not set(ran) & stored
    assert frontier.state == expected(steps, stored, failing)


def test_longest_first_then_plan_order():
    steps = [step(x=float(i)) for i in range(5)]
    cost = {steps[0].key: 1.0, steps[1].key: 5.0, steps[2].key: 1.0, steps[3].key: 5.0, steps[4].key: 9.0}
    frontier = Frontier(steps, lambda key: False, lambda key: None, lambda each: cost[each.key])
    order = []
    while (key := frontier.peek()) is not None:
        frontier.take(key)
        order.append(steps.index(frontier.steps[key]))
    assert order == [4, 1, 3, 0, 2]


def record(key, outcome):
    return Record(key, None, {"outcome": outcome})


@pytest.fixture
def plan():
    base = step("train", rounds=3)
    keys = [at_key(base.key, i) for i in (1, 2)]
    train = Step(base.key, base.spec, publishes=tuple(keys))
    return train, keys, [step("add", {"of": key}) for key in keys], step("add", {"of": train.key}, x=5.0)


def test_published_checkpoints_release_their_users_early(plan):
    train, keys, users, end = plan
    frontier = Frontier([train, *users, end], lambda key: False, lambda key: None)
    frontier.take(train.key)
    assert frontier.peek() is None
    frontier.published(keys[1])
    assert frontier.peek() == users[1].key
    frontier.take(users[1].key)
    assert sorted(frontier.failed(train.key)) == sorted([users[0].key, end.key])


def test_a_lost_checkpoint_is_replayed_only_if_somebody_needs_it(plan):
    train, keys, users, end = plan
    have = {train.key, keys[0]}
    assert Frontier([train, users[0], end], have.__contains__, lambda key: record(key, "ok")).replay == set()
    frontier = Frontier([train, *users, end], have.__contains__, lambda key: record(key, "ok"))
    assert frontier.replay == {train.key} and frontier.state[train.key] == "ready"
    assert frontier.state[users[0].key] == frontier.state[end.key] == "ready"  # their records are there
    assert frontier.state[users[1].key] == "waiting" and frontier.cached == 0
    have.add(users[1].key)
    done = Frontier([train, *users], have.__contains__, lambda key: record(key, "ok"))
    assert done.replay == set() and done.cached == 2


def test_weights_that_were_given_up_are_made_again_for_who_opens_them():
    train = step("train")
    user, reader = step("add", {"of": train.key}), step("add", {"trials": [train.key]}, hints={"values_only": True})
    have, given_up = {train.key}, {train.key}

    def opened(*steps):
        return Frontier(
            steps, have.__contains__, lambda key: record(key, "ok"), None, lambda key: key in have - given_up
        )

    calm = opened(train, reader)
    assert calm.replay == set() and calm.state[reader.key] == "ready" and calm.cached == 1
    frontier = opened(train, user, reader)
    assert frontier.replay == {train.key} and frontier.cached == 0
    assert frontier.state[user.key] == "waiting" and frontier.state[reader.key] == "ready"
    frontier.take(train.key)
    assert frontier.done(train.key) == [train.key]  # it ended and its weights are still not there
    again = opened(train, user)
    given_up.clear()
    again.take(train.key)
    assert again.done(train.key) == [] and again.state[user.key] == "ready"
    given_up.add(train.key)
    kept = step("train", hints={"weights": True})
    assert opened(kept).replay == {train.key}
    with pytest.raises(EngineError, match="whose weights were given up"):
        opened(user)


def test_users_of_checkpoints_that_a_divergence_prevented(plan):
    train, keys, users, _ = plan
    frontier = Frontier([train, *users], lambda key: False, lambda key: None)
    frontier.take(train.key)
    assert frontier.done(train.key, "diverged") == []
    assert frontier.refused_inputs == {user.key: [key] for user, key in zip(users, keys, strict=True)}
    assert frontier.state[users[0].key] == "ready"
    later = Frontier([train, *users], {train.key}.__contains__, lambda key: record(key, "diverged"))
    assert later.replay == set() and later.refused_inputs == frontier.refused_inputs


def test_checkpoints_that_were_promised_and_not_left(plan):
    train, keys, users, _ = plan
    frontier = Frontier([train, *users], {keys[0]}.__contains__, lambda key: None)
    frontier.take(train.key)
    assert frontier.done(train.key) == [keys[1]]


def test_companions_are_ready_steps_of_the_group():
    steps = [step("company", group="g" if i % 2 else "h", seed=i) for i in range(8)]
    frontier = Frontier(steps, lambda key: False, lambda key: None)
    frontier.take(steps[1].key)
    assert frontier.companions(steps[3].key, 5) == [steps[5].key, steps[7].key]
    assert frontier.companions(steps[3].key, 1) == [steps[5].key]
    assert frontier.companions(steps[3].key, 0) == []
