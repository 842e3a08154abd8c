"""Deep Q-learning against references: values of a small Markov chain, updates in float64, penalties in closed form,
even draws of the memory; and interrupted trainings that go on bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from train_cases import Ctx, Quirky, contents, images

from crucis.data.arcade import bricks, emulators
from crucis.data.batches import Resident
from crucis.data.open import open_data
from crucis.errors import Divergence, Stopped
from crucis.nets import dqn
from crucis.nets.blocks import NetError
from crucis.study.spec import LeafRef
from crucis.train.optimisers.rmsprop import optimiser as rmsprop
from crucis.train.optimisers.rmsprop_tf import optimiser as rmsprop_tf
from crucis.train.protocols.q_learning import train
from crucis.train.qlearning.elastic import Elastic, fisher, squares
from crucis.train.qlearning.learning import seen, td_errors, update
from crucis.train.qlearning.memory import Batch, Memory
from crucis.train.qlearning.settings import Unchecked, contradictions, resolve
from crucis.train.run import Job
from crucis.train.settings import SettingsError, completed

torch.set_num_threads(1)


def settings(**params):
    return resolve(completed("train/q_learning", params))


def batch_of(n=6, states=4, actions=2, seed=0):
    """Observations that are one-hot states, as uint8 (n, 1, 1, states)."""
    draw = np.random.default_rng(seed)
    before, after = (torch.from_numpy(np.eye(states, dtype=np.uint8)[draw.integers(states, size=n)] * 255)
                     for _ in range(2))  # fmt: skip
    return Batch(before[:, None, None], after[:, None, None], torch.from_numpy(draw.integers(actions, size=n)),
                 torch.from_numpy(draw.normal(size=n).astype(np.float32) * 2),
                 torch.from_numpy(draw.random(n) < 0.3))  # fmt: skip


def table(states=4, actions=2, seed=0):
    """A network that is a table of values: one weight per state and action."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(states, actions, bias=False))


# --- updates against float64 ---


def reference(weights, target, batch, given, form, steps):
    """The same updates of a table in numpy float64, each by its formula."""
    w, goal_net = weights.astype(np.float64).T, target.astype(np.float64).T  # (states, actions)
    before, after = (part.reshape(len(part), -1).argmax(1).numpy() for part in (batch.before, batch.after))
    actions, rewards = batch.actions.numpy(), batch.rewards.numpy().astype(np.float64)
    square, mean = np.zeros_like(w) if form == "plain" else np.ones_like(w), np.zeros_like(w)
    for _ in range(steps):
        best = (w if given.double else goal_net)[after].argmax(1)
        goal = rewards + given.discount * goal_net[after, best] * ~batch.over.numpy()
        error = goal - w[before, actions]
        slope = np.clip(error, -1, 1) if given.loss == "huber" else error
        gradient = np.zeros_like(w)
        np.add.at(gradient, (before, actions), -slope / len(error))
        if given.clip_value is not None:
            gradient = np.clip(gradient, -given.clip_value, given.clip_value)
        if given.clip is not None:
            gradient = gradient * min(1.0, given.clip / (np.linalg.norm(gradient) + 1e-6))
        square = 0.95 * square + 0.05 * gradient**2
        mean = 0.95 * mean + 0.05 * gradient
        spread = square - mean**2
        root = np.sqrt(spread) + 0.01 if form == "plain" else np.sqrt(spread + 0.01)
        w = w - given.lr * gradient / root
    return w.T


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("loss", ["huber", "squared"])
@pytest.mark.parametrize(("form", "make"), [("plain", rmsprop), ("tf", rmsprop_tf)])
@pytest.mark.parametrize("bounds", [(None, None), (0.2, None), (None, 0.3), (0.2, 0.3)])
def test_updates_are_those_of_the_formulas(double, loss, form, make, bounds):
    given = settings(lr=0.05, loss=loss, double=double, clip_value=bounds[0], clip=bounds[1], discount=0.9)
    net, target, batch = table(seed=1), table(seed=2), batch_of(8)
    start, fixed = (part[1].weight.detach().numpy().copy() for part in (net, target))
    group = [{"params": list(net.parameters()), "lr": given.lr, "weight_decay": 0.0}]
    rule = make(group, smoothing=0.95, eps=0.01, centred=True)
    for _ in range(5):
        update(net, target, rule, batch, given)
    expected = reference(start, fixed, batch, given, form, 5)
    assert np.allclose(net[1].weight.detach().numpy(), expected, rtol=0, atol=2e-6)
    assert not np.allclose(expected, start, atol=1e-3)
    assert np.array_equal(target[1].weight.detach().numpy(), fixed)


def test_the_published_update_of_sums_is_that_of_means_with_a_smaller_eps():
    """Mnih et al. divide the sum over the batch by the root of its variance plus 0.01; here it is the mean."""
    size, given = 8, settings(lr=0.05, discount=0.9)
    net, target, batch = table(seed=1), table(seed=2), batch_of(size)
    w, fixed = (part[1].weight.detach().double().clone() for part in (net, target))
    rule = rmsprop_tf([{"params": list(net.parameters()), "lr": given.lr, "weight_decay": 0.0}], smoothing=0.95,
                      eps=0.01 / size**2, centred=True)  # fmt: skip
    square, mean = torch.full_like(w, size**2), torch.zeros_like(w)  # rmsprop_tf begins at 1 for means
    before, after = (part.reshape(size, -1).argmax(1) for part in (batch.before, batch.after))
    for _ in range(20):
        update(net, target, rule, batch, given)
        delta = batch.rewards + 0.9 * fixed.T[after].max(1).values * ~batch.over - w[batch.actions, before]
        total = torch.zeros_like(w).index_put((batch.actions, before), delta.clamp(-1, 1), accumulate=True)
        square, mean = 0.95 * square + 0.05 * total**2, 0.95 * mean + 0.05 * total
        w = w + 0.05 * total / (square - mean**2 + 0.01).sqrt()
    assert torch.allclose(net[1].weight.double(), w, rtol=0, atol=1e-5)
    assert not torch.allclose(w.float(), table(seed=1)[1].weight, atol=1e-3)


def test_errors_by_hand():
    """One state that ends and one that goes on."""
    net, target = table(2), table(2)
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 0.0]]))  # Q(s0) = (1, 3), Q(s1) = (2, 0)
        target[1].weight.copy_(torch.tensor([[5.0, 7.0], [6.0, 8.0]]))  # target: (5, 6) and (7, 8)
    eye = torch.eye(2, dtype=torch.uint8)[:, None, None] * 255
    batch = Batch(eye, eye.flip(0), torch.tensor([1, 0]), torch.tensor([0.5, -1.0]), torch.tensor([False, True]))
    plain = td_errors(net, target, batch, settings(discount=0.5))
    assert plain.tolist() == [0.5 + 0.5 * 8 - 3, -1.0 - 2]
    double = td_errors(net, target, batch, settings(discount=0.5, double=True))
    assert double.tolist() == [0.5 + 0.5 * 7 - 3, -1.0 - 2]  # at s1 the network itself takes action 0


def test_values_of_a_small_chain_are_those_of_value_iteration():
    """Five states in a row, left and right; the right end pays 1 and ends, the left end pays 0.6 and ends."""
    states, discount = 5, 0.8
    rows = []
    for s in range(states):
        for a, to in ((0, s - 1), (1, s + 1)):
            over = not 0 <= to < states
            rows.append((s, a, min(max(to, 0), states - 1), 1.0 if to == states else 0.6 if to < 0 else 0.0, over))
    values = np.zeros((states, 2))
    for _ in range(200):
        for s, a, to, reward, over in rows:
            values[s, a] = reward + (0.0 if over else discount * values[to].max())
    eye = (torch.eye(states, dtype=torch.uint8) * 255)[:, None, None]
    before, actions, after, rewards, over = (torch.tensor([row[k] for row in rows]) for k in (0, 1, 2, 3, 4))
    given, draw = settings(lr=0.1, discount=discount, double=True), np.random.default_rng(0)
    net, target = table(states), table(states)
    rule = torch.optim.SGD(net.parameters(), lr=0.5)
    for step in range(1500):
        which = torch.from_numpy(draw.integers(len(rows), size=4))
        update(net, target, rule, Batch(eye[before[which]], eye[after[which]], actions[which], rewards[which],
                                        over[which]), given)  # fmt: skip
        if step % 20 == 0:
            target.load_state_dict(net.state_dict())
    found = net(seen(eye, "cpu")).detach().numpy()
    assert np.allclose(found, values, atol=2e-3)
    assert (found.argmax(1) == values.argmax(1)).all() and set(values.argmax(1)) == {0, 1}


# --- memory and exploration ---


def filled(size, steps, stack=3, every=4):
    """A memory of steps whose frames are their numbers; games of `every` steps."""
    memory = Memory(size, stack, (1, 1))
    for k in range(steps):
        memory.add(np.full((1, 1), k + 1, np.uint8), k % every, k % 2, float(k), k % every == every - 1)
    return memory


@pytest.mark.parametrize(("size", "steps"), [(50, 20), (10, 10), (10, 14), (10, 99), (12, 13)])
def test_a_memory_gives_back_what_was_put_in(size, steps):
    memory = filled(size, steps)
    assert len(memory) == min(size, steps - 1)
    first = steps - 1 - len(memory)
    found = memory.at(np.arange(first, steps - 1))
    for row, k in enumerate(range(first, steps - 1)):

        def observed(j):
            return [j + 1 - back if back <= j % 4 else 0 for back in (2, 1, 0)]

        assert found.before[row].flatten().tolist() == observed(k)
        assert bool(found.over[row]) == (k % 4 == 3)
        if not found.over[row]:
            assert found.after[row].flatten().tolist() == observed(k + 1)
        assert (int(found.actions[row]), float(found.rewards[row])) == (k % 2, float(k))


def test_transitions_are_drawn_evenly():
    memory, draws = filled(10, 99), 40000
    drawn = memory.draw(draws, np.random.default_rng(1)).rewards.numpy().astype(int)
    counts = np.bincount(drawn)[88:]
    assert len(counts) == 10 and drawn.min() == 88
    assert ((counts - draws / 10) ** 2 / (draws / 10)).sum() < 27.9  # chi squared of 9 degrees, p = 0.001


def test_a_memory_survives_its_state():
    one, two = filled(10, 25), Memory(10, 3, (1, 1))
    two.take(one.state())
    first, second = (m.draw(50, np.random.default_rng(2)) for m in (one, two))
    assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in ("before", "after", "rewards"))


def test_what_followed_a_game_that_was_broken_off_is_never_drawn():
    """Play stops in the midst of a game, and goes on later with the first frame of another."""
    memory = filled(50, 6)  # games of 4 steps: steps 4 and 5 are of one that goes on
    memory.leave()
    for k in range(6, 16):
        memory.add(np.full((1, 1), k + 1, np.uint8), (k - 6) % 4, 0, float(k), (k - 6) % 4 == 3)
    drawn = memory.draw(4000, np.random.default_rng(0)).rewards.numpy().astype(int)
    counts = np.bincount(drawn, minlength=15)
    assert counts[5] == 0 and (np.delete(counts, 5) > 4000 / 14 * 0.7).all()
    again = Memory(50, 3, (1, 1))
    again.take(memory.state())
    assert 5 not in again.draw(4000, np.random.default_rng(0)).rewards
    ended = filled(50, 8)  # the last step ended its game, so that nothing is unknown
    ended.leave()
    ended.add(np.zeros((1, 1), np.uint8), 0, 0, 8.0, False)
    assert 7 in ended.draw(200, np.random.default_rng(0)).rewards


@pytest.mark.parametrize("size", [30, 7, 2])
def test_a_game_that_a_limit_broke_off_goes_on_into_its_last_frame(size):
    """Games of 3 steps, the second of which is broken off: frames 1 2 3 | 11 12 13 and last 14 | 21 22 23 | 31."""
    memory = Memory(size, 3, (1, 1))
    for game in range(4):
        for k in range(3 if game < 3 else 1):
            memory.add(np.full((1, 1), 10 * game + k + 1, np.uint8), k, 1, float(10 * game + k), k == 2 and game != 1)
        if game == 1:
            memory.close(np.full((1, 1), 14, np.uint8), 3)
    drawn = memory.draw(600, np.random.default_rng(0))
    known = [0, 1, 2, 10, 11, 12, None, 20, 21, 22][-size:]
    assert sorted(set(drawn.rewards.tolist())) == [one for one in known if one is not None]
    for row, reward in enumerate(drawn.rewards.tolist()):
        assert bool(drawn.over[row]) == (reward in (2, 22))
        if reward == 12:
            assert drawn.before[row].flatten().tolist() == [11, 12, 13]
            assert drawn.after[row].flatten().tolist() == [12, 13, 14]
    memory.leave()  # the newest is of a game that goes on, and is cut as ever
    assert memory.cut.sum() == 2


def test_a_ring_forgets_where_it_was_broken_off():
    memory = filled(3, 6)
    memory.leave()
    for k in range(6, 6 + memory.rows):
        memory.add(np.full((1, 1), k, np.uint8), 0, 0, float(k), False)
    assert not memory.cut.any()


def test_exploration_falls_in_a_straight_line():
    given = settings(epsilon=[1.0, 0.1, 9])
    assert [given.explores(k) for k in (0, 3, 9, 100)] == pytest.approx([1.0, 0.7, 0.1, 0.1])


# --- consolidation ---


def small_net(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


@pytest.mark.parametrize("kind", ["td_error", "value"])
def test_fisher_information_is_the_mean_of_squared_gradients(kind):
    net, target, batch = small_net(), small_net(5), batch_of(7)
    given = settings(ewc_fisher=kind, batch=7)
    found = squares(net, target, batch, given)
    expected = {name: torch.zeros_like(value) for name, value in net.named_parameters()}
    for i in range(7):
        one = Batch(*(getattr(batch, name)[i : i + 1] for name in ("before", "after", "actions", "rewards", "over")))
        outputs = net(seen(one.before, "cpu"))[0] if kind == "value" else [
            nn.functional.huber_loss(e := td_errors(net, target, one, given), torch.zeros_like(e))
        ]  # fmt: skip
        for out in outputs:
            grads = torch.autograd.grad(out, list(net.parameters()), retain_graph=True)
            for name, grad in zip(expected, grads, strict=True):
                expected[name] += grad**2
    assert all(torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-8) for name in expected)


def test_fisher_information_is_averaged_over_the_drawn_transitions():
    """The last layer of a table: with `value` each state's share of the draws stands behind each action."""
    memory = Memory(40, 1, (1, 4))
    for k in range(41):
        memory.add(np.eye(4, dtype=np.uint8)[[k % 4]] * 255, 0, 0, 0.0, True)
    given = settings(ewc_fisher="value", ewc_minibatches=5, batch=8)
    found = fisher(table(), table(), memory, given, np.random.default_rng(3))["1.weight"]
    draw = np.random.default_rng(3)
    states = np.concatenate([draw.integers(40, size=8) % 4 for _ in range(5)])
    assert torch.allclose(found, torch.from_numpy(np.bincount(states, minlength=4) / 40).float().expand(2, 4))


def test_the_penalty_is_its_closed_form_and_its_gradient():
    net = small_net()
    elastic = Elastic(net, settings(ewc_lambda=6.0))
    anchors = []
    for number, game in enumerate(("catch", "dodge")):
        anchors.append({name: value.detach().clone() for name, value in net.named_parameters()})
        elastic.leave(game, {name: torch.full_like(value, number + 1.0) for name, value in net.named_parameters()})
        with torch.no_grad():
            for value in net.parameters():
                value.add_(0.25)
    net.requires_grad_(False)
    expected = sum(6.0 / 2 * (k + 1.0) * float(((value - anchor[name]) ** 2).sum()) for k, anchor in enumerate(anchors)
                   for name, value in net.named_parameters())  # fmt: skip
    assert elastic.value("bricks") == pytest.approx(expected, rel=1e-6)
    assert elastic.value("dodge") == pytest.approx(
        3.0 * sum(float(((value - anchors[0][name]) ** 2).sum()) for name, value in net.named_parameters()), rel=1e-6
    )  # its own does not hold while it is played
    for value in net.parameters():
        value.grad = torch.zeros_like(value)
    elastic.pull("bricks")
    for name, value in net.named_parameters():
        by_hand = sum(6.0 * (k + 1.0) * (value.detach() - anchor[name]) for k, anchor in enumerate(anchors))
        assert torch.allclose(value.grad, by_hand, atol=1e-6)
    latest = Elastic(net, settings(ewc_lambda=1.0, ewc_penalties="latest"))
    for game in ("catch", "dodge"):
        latest.leave(game, {name: torch.ones_like(value) for name, value in net.named_parameters()})
    assert list(latest.held) == ["dodge"] and latest.stale("dodge")
    assert not Elastic(net, settings(ewc_recomputed="once")).held
    once = Elastic(net, settings(ewc_recomputed="once"))
    once.held["catch"] = {}
    assert not once.stale("catch") and once.stale("dodge")


# --- whole trainings ---


def games(n=90):
    return open_data(LeafRef("data", "games", {"n": n}), folder=Path(), root=None)


def tiny(data):
    return lambda: dqn.build(data.shape, data.classes, filters=[4, 6], kernels=[4, 3], strides=[4, 1], width=16)


SHORT = {"games": ["catch", "dodge", "catch"], "length": "12 steps", "learn_after": 40, "batch": 8,
         "target_every": 30, "evaluate_every": "5 steps", "episodes": 3, "replay": 60, "epsilon": [1.0, 0.2, 50],
         "ewc_lambda": 50.0, "ewc_minibatches": 3, "lr": 0.001}  # fmt: skip


def played(folder, stops=(), build=None, **more):
    """A training that is stopped after so many agent steps, again and again, and then finishes."""
    data = games()
    job = Job(build or tiny(data), data, seed=1)
    params = completed("train/q_learning", {**SHORT, **more})
    for stop in stops:
        with pytest.raises(Stopped):
            train(job, Ctx(folder, stop_after=stop), **params)
    ctx = Ctx(folder)
    return train(job, ctx, **params), ctx


@pytest.mark.parametrize("more", [
    {}, {"ewc_fisher": "value", "double": True, "optimiser": "rmsprop_tf"},
    {"optimiser": "adam", "ewc_recomputed": "once", "clip_value": 0.1, "clip": 0.5},
])  # fmt: skip
def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path, more):
    whole, ctx = played(tmp_path / "whole", **more)
    for name, stops in (("first", [20]), ("middle", [101]), ("many", [57, 31, 44, 90])):
        parts, other = played(tmp_path / name, stops, **more)
        assert whole.values == parts.values and whole.uncertainty == parts.uncertainty
        assert contents(ctx) == contents(other)
        assert len(parts.notes["resumed_at"]) == len(stops) and parts.notes["trained"] == whole.notes["trained"]


def test_games_that_a_limit_breaks_off_are_learned_as_ones_that_go_on(tmp_path, monkeypatch):
    """Bricks of 6 frames, in which no ball is lost: no end is ever in the memory. A training that is interrupted right
    before and after such a game goes on bit for bit."""
    monkeypatch.setattr(bricks, "FRAMES", 6)
    kept, add = [], Memory.add
    monkeypatch.setattr(Memory, "add", lambda self, frame, *more: (kept.append(more), add(self, frame, *more))[1])
    more = {"games": ["bricks", "catch"], "action_repeat": 4}
    whole, ctx = played(tmp_path / "whole", **more)
    steps, ends = 40 + 4 * 12, (40 + 4 * 12) // 2
    assert whole.notes["trained"]["q_learning"]["limited"] == ends
    first = kept[: steps + ends]
    assert [age for age, *_ in first[:9]] == [0, 1, 2] * 3 and not any(over for *_, over in first)
    assert any(over for *_, over in kept[steps + ends :])  # catch has ends
    parts, other = played(tmp_path / "parts", [1, 2, 9, 60], **more)
    assert whole.values == parts.values and contents(ctx) == contents(other)
    assert parts.notes["trained"] == whole.notes["trained"]


def test_what_a_training_tells(tmp_path):
    result, ctx = played(tmp_path)
    values, steps = result.values, 3 * (40 + 4 * 12)
    assert (values["steps"], values["agent_steps"], values["frames"]) == (36, steps, 4 * steps)
    assert list(values["returns"]["catch"]) == ["5", "10", "12", "17", "22", "24", "29", "34", "36"]
    assert list(values["returns"]["dodge"]) == ["17", "22", "24", "29", "34", "36"]
    assert values["learned_return"]["dodge"] == values["returns"]["dodge"]["24"]
    assert values["final_return"]["dodge"] == values["returns"]["dodge"]["36"]
    assert values["forgetting"]["dodge"] == values["learned_return"]["dodge"] - values["final_return"]["dodge"]
    span = {"catch": 1.0, "dodge": 3.0}
    shares = [(values["final_return"][g] - values["random_return"][g]) / (best - values["random_return"][g])
              for g, best in span.items()]  # fmt: skip
    assert values["score"] == pytest.approx(np.mean(shares))
    told = result.notes["trained"]["q_learning"]
    assert told["copies"] == steps // 30 and told["replay"] == 60 and set(told["penalties"]) == {"catch", "dodge"}
    assert told["penalties"]["dodge"]["agent_steps"] == 2 * (40 + 48)
    assert told["penalised"] == 2 * 12  # of all games but the first
    assert [name for name, _ in ctx.notes] == ["eval"] * 9
    table = np.load(ctx.out / "returns.npz")
    assert table["game"].tolist()[:6] == [0, 0, 0, 0, 1, 0]


def test_one_game_has_nothing_to_forget(tmp_path):
    result, _ = played(tmp_path, games=["catch"])
    assert "score" in result.values and "forgotten" not in result.values
    assert result.notes["left_out"] == {"forgotten": "no game came before the last"}


def test_agents_and_measurements_show_the_network_the_same():
    """Pixels of the data set as every instrument gathers them, and as an agent sees them."""
    data = games()
    assert (data.mean, data.std) == ((0.0,) * 4, (1.0,) * 4)
    gathered, _ = Resident.of(data, "train").gather(torch.arange(20))
    frames = torch.from_numpy(data.train.x[:20].transpose(0, 3, 1, 2).copy())
    assert torch.allclose(gathered, seen(frames, "cpu"), rtol=0, atol=1e-6) and gathered.max() > 0.9


def test_evaluations_leave_what_is_learned_alone(tmp_path):
    """However often and long it is evaluated, the same is learned."""
    often, seldom = (contents(played(tmp_path / name, **more)[1])["model.safetensors"]
                     for name, more in {"often": {"evaluate_every": "1 steps", "episodes": 5},
                                        "seldom": {"evaluate_every": "100 steps"}}.items())  # fmt: skip
    assert often == seldom


@pytest.mark.parametrize(("params", "data", "view", "says"), [
    ({"games": ["doge"]}, "games", None, "no game 'doge'; there are catch, dodge, bricks"),
    ({"games": ["cach"]}, "games", None, "Atari. Did you mean 'catch'?"),
    ({"length": "3 epochs"}, "games", None, "games have no epochs"),
    ({"games": ["atari/pong"]}, "games", None, "write data: atari"),
    ({"games": ["catch"]}, "digits", None, "write data: games"),
    ({"games": ["catch"]}, "games", {"n": 50}, "a view would be passed over"),
])  # fmt: skip
def test_what_can_never_begin_is_known_before(params, data, view, says):
    (found,) = contradictions(completed("train/q_learning", params), data, view)
    assert says in str(found)
    assert contradictions(completed("train/q_learning", {}), "games", None) == ()
    assert contradictions(completed("train/q_learning", {}), None, None) == ()


def test_every_wrong_name_of_a_game_is_told_at_once(monkeypatch):
    """Of Atari by the emulator's own list, which is read without importing it; without one that is said and stops
    nothing."""

    def told(games, data="atari", shown=()):
        return contradictions(completed("train/q_learning", {"games": games}), data, None, shown)

    monkeypatch.setattr(emulators, "names", lambda: ("breakout", "pong"))
    found = [str(one) for one in told(["cach", "catch", "pong", "atari/brekout"])]
    assert ["catch" in one or "pong" in one or "breakout" in one for one in found] == [True] * 3
    assert found[0].startswith("games[0]: ") and found[1].endswith("Did you mean 'atari/pong'?") and found[2] == (
        "games[3]: the emulator has no game 'atari/brekout'. Did you mean 'atari/breakout'?")  # fmt: skip
    (other,) = told(["atari/pong"], shown=["ponk", "breakout"])
    assert other.parameter == "data" and "Did you mean 'atari/pong'?" in str(other)
    assert told(["atari/pong", "atari/breakout"]) == ()
    monkeypatch.setattr(emulators, "names", lambda: None)
    (note,) = told(["atari/pong", "atari/anything"])
    assert isinstance(note, Unchecked) and "crucis[atari]" in str(note) and "atari/anything" in str(note)
    assert not isinstance(told(["catch", "atari/pong"])[0], Unchecked)


def test_a_penalty_enters_the_loss_when_it_is_due(tmp_path):
    """Before its first step it changes nothing; without stiffness neither."""
    found = {
        name: played(tmp_path / name, **more)
        for name, more in {"late": {"ewc_start": 10**6}, "none": {"ewc_lambda": 0.0}, "on": {}}.items()
    }
    weights = {name: contents(ctx)["model.safetensors"] for name, (_, ctx) in found.items()}
    assert [result.notes["trained"]["q_learning"]["penalised"] for result, _ in found.values()] == [0, 0, 24]
    assert weights["late"] == weights["none"] != weights["on"]


def test_a_loss_that_is_not_finite_ends_it(tmp_path):
    with pytest.raises(Divergence, match="the loss is not finite"):
        played(tmp_path, optimiser={"sgd": {"momentum": 0.0, "nesterov": False}}, loss="squared", lr=100.0,
               length="200 steps")  # fmt: skip


@pytest.mark.parametrize(("more", "says"), [
    ({"ewc_penalties": "latest", "ewc_recomputed": "once"}, "write ewc_recomputed: switch"),
    ({"replay": 1}, "replay: .*at least 2"),
    ({"games": []}, "games: expected the names"), ({"length": "3 epochs"}, "games have no epochs"),
    ({"epsilon": [1.0, 0.1]}, "epsilon: expected"), ({"lr": 0.1, "lr_max": 0.01}, "more than lr_max"),
    ({"episodes": 1}, "at least 2"), ({"loss": "l1"}, "huber or squared"), ({"discount": 1.5}, "at most 1"),
])  # fmt: skip
def test_settings_that_mean_nothing_are_refused(more, says):
    with pytest.raises(SettingsError, match=says):
        settings(**more)


def test_games_networks_and_data_that_do_not_fit(tmp_path):
    params = completed("train/q_learning", SHORT)
    with pytest.raises(SettingsError, match="write data: games"):
        train(Job(tiny(games()), images(size=8), seed=1), Ctx(tmp_path), **params)
    with pytest.raises(SettingsError, match="a view would be passed over"):
        train(Job(tiny(games()), replace(games(), view={"n": 50}), seed=1), Ctx(tmp_path), **params)
    with pytest.raises(SettingsError, match="dropout would be passed over"):
        played(tmp_path, build=lambda: nn.Sequential(nn.Flatten(), nn.Dropout(0.1), nn.Linear(1600, 3)))
    with pytest.raises(SettingsError, match="batch norm"):
        played(tmp_path, build=lambda: Quirky(channels=4))
    with pytest.raises(NetError, match="smaller kernels"):
        dqn.build((4, 20, 20), 3)


def test_the_published_network_has_its_published_shapes():
    """84 -> 20 -> 9 -> 7 pixels; 3,136 features; 1,693,362 parameters with 18 actions."""
    net = dqn.build((4, 84, 84), 18)
    assert [tuple(part.weight.shape) for part in net if hasattr(part, "weight")] == [
        (32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 3136), (18, 512)
    ]  # fmt: skip
    assert dqn.count((4, 84, 84), 18) == sum(value.numel() for value in net.parameters()) == 1_693_362
