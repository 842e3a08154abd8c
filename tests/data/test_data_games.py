"""Games against what is known of them: exhaustive play, closed forms, and the same play twice."""

import importlib.util
import itertools

import numpy as np
import pytest

from crucis.data.arcade import bricks, catch, dodge, emulators
from crucis.data.arcade.boards import NAMES, Boards
from crucis.data.arcade.player import Player
from crucis.errors import CrucisError
from crucis.seeds import rng
from crucis.testing.data import check_data

REPEAT = 4


def returns(name, episodes, policy, seed=3):
    """Points of whole games under `policy(player, draw)` -> actions."""
    player, draw = Player(name, episodes, seed, "test"), np.random.default_rng(seed)
    live, total = np.ones(episodes, bool), np.zeros(episodes)
    while live.any():
        points, over = player.step(policy(player, draw))
        total += points * live
        live &= ~over
    return total


def chance(player, draw):
    return draw.integers(3, size=len(player.seen))


def outcome(game, state, moves):
    """Points of one game under the moves of successive agent steps, and whether it is over."""
    s = {key: np.array([value]) for key, value in state.items()}
    total, over = 0.0, False
    for move in moves:
        for _ in range(REPEAT):
            if not over:
                points, ended = game.advance(s, np.array([move]))
                total, over = total + points[0], bool(ended[0])
    return total, over, {key: int(value[0]) for key, value in s.items()}


def test_catch_is_always_won_by_some_play_and_random_play_has_its_exact_mean():
    """Every start and every sequence of five actions (19 frames), side by side."""
    places = range(catch.REACH, catch.SIDE - catch.REACH)
    plays = list(itertools.product(range(catch.SIDE), places, itertools.product((-1, 0, 1), repeat=5)))
    s = {"x": np.array([x for x, *_ in plays]), "y": np.zeros(len(plays), int), "p": np.array([p for _, p, _ in plays])}
    moves = np.array([moves for *_, moves in plays])
    for frame in range(catch.SIDE - 1):
        points, over = catch.advance(s, moves[:, frame // REPEAT])
        assert over.all() == over.any() == (frame == catch.SIDE - 2)
    by_start = points.reshape(-1, 3**5)
    assert set(by_start.max(1)) == {catch.BEST}
    found = returns("catch", 4000, chance)
    assert abs(found.mean() - by_start.mean()) < 4 * found.std() / np.sqrt(len(found))


def test_dodge_is_always_won_by_some_play_and_random_play_has_its_exact_mean():
    """Values over (place, place of the block, row, blocks outlived) from the end backwards."""
    memo = {}

    def value(state, combine):
        key = (combine.__name__, *state.values())
        if key not in memo:
            memo[key] = 0.0  # no state comes again
            found = []
            for move in (-1, 0, 1):
                points, over, after = outcome(dodge, state, (move,))
                found.append(points + (0.0 if over else value(after, combine)))
            memo[key] = float(combine(found))
        return memo[key]

    starts = []
    for p in range(dodge.PLAYER, dodge.SIDE - dodge.PLAYER):
        x = min(max(p, dodge.BLOCK), dodge.SIDE - 1 - dodge.BLOCK)
        starts.append({"x": x, "y": 0, "p": p, "w": 0})
    assert {value(state, np.max) for state in starts} == {dodge.BEST}
    exact = np.mean([value(state, np.mean) for state in starts])
    found = returns("dodge", 4000, chance)
    assert abs(found.mean() - exact) < 4 * found.std() / np.sqrt(len(found))
    assert (returns("dodge", 50, lambda player, _: np.zeros(len(player.seen), int)) == -1).all()


def test_bricks_can_all_be_broken_from_starts_all_over():
    """Depth first over agent steps, visited states once."""
    for x, dx in itertools.product(range(2, bricks.SIDE - 2, 3), (-1, 1)):
        first = {"x": x, "y": 10, "dx": dx, "dy": 1, "p": bricks.SIDE // 2, "b": (1 << bricks.BRICKS) - 1, "t": 0}
        heap, seen, won = [(first, 0.0)], set(), False
        while heap and not won:
            state, points = heap.pop()
            towards = int(np.sign(state["x"] - state["p"]))
            for move in sorted((-1, 0, 1), key=lambda m: -abs(m - towards)):  # the likeliest last, so taken first
                more, over, after = outcome(bricks, state, (move,))
                key = tuple(value for name, value in after.items() if name != "t")
                won = won or points + more == bricks.BEST
                if not over and key not in seen:
                    seen.add(key)
                    heap.append((after, points + more))
        assert won, (x, dx)
    found = returns("bricks", 500, chance)
    assert 0 < found.mean() < 2 and found.max() <= bricks.BEST


@pytest.mark.parametrize(("name", "least"), [("catch", 1.0), ("dodge", 3.0), ("bricks", 1.0)])
def test_the_player_who_loses_nothing(name, least):
    found = returns(name, 60, lambda player, _: player.engine.expert())
    assert found.min() >= least and found.max() <= Boards(name, 1, 0).best


def test_the_player_who_loses_nothing_keeps_the_ball():
    player, steps = Player("bricks", 60, 4, "test"), np.zeros(60)
    for _ in range(bricks.FRAMES // REPEAT):
        before = player.age.copy()
        points, over = player.step(player.engine.expert())
        assert not (over & (before < bricks.FRAMES // REPEAT - 1) & (points == 0)).any()
        steps += points
    assert steps.mean() > 3


def test_a_limit_of_frames_is_told_from_the_ends_of_a_game():
    """Every state of the last frame but one: the ball high, low over the paddle or beside it, the last brick before it
    or not. Without the limit the same games go on, or are over."""
    columns, rows, places = range(bricks.SIDE), range(bricks.SIDE - 1), range(bricks.REACH, bricks.SIDE - bricks.REACH)
    every = list(itertools.product(columns, rows, (-1, 1), (-1, 1), places, (1, 3, 31)))
    s = dict(zip(("x", "y", "dx", "dy", "p", "b"), map(np.array, zip(*every, strict=True)), strict=True))
    s["t"] = np.full(len(every), bricks.FRAMES - 1)
    free = {**{key: value.copy() for key, value in s.items()}, "t": np.zeros(len(every), int)}
    assert bricks.advance(s, np.zeros(len(every), int))[1].all()
    _, ends = bricks.advance(free, np.zeros(len(every), int))
    assert np.array_equal(bricks.limited(s), ~ends) and 0 < ends.sum() < len(every)
    assert (s["b"] == 0).any() and ((s["y"] == bricks.SIDE - 1) & (s["b"] > 0)).any()  # both kinds of ends are in it


def test_a_player_keeps_the_last_frame_of_a_game_that_was_broken_off(monkeypatch):
    """The same play with the limit and without it: what it shows last is what the other goes on from."""
    short = Player("bricks", 30, 5, "x")
    long = Player("bricks", 30, 5, "x")
    monkeypatch.setattr(bricks, "FRAMES", 6)  # in the midst of the second action
    assert not short.step(np.zeros(30, int))[1].any() and not short.limited.any() and short.ends is None
    _, over = short.step(np.zeros(30, int))
    monkeypatch.setattr(bricks, "FRAMES", 10**6)
    long.step(np.zeros(30, int))
    for _ in range(2):  # the two frames of that action that were played
        _, ended = long.engine.frame(np.zeros(30, int), np.ones(30, bool))
        assert not ended.any()
    assert over.all() and short.limited.all() and np.array_equal(short.ends, long.engine.paint())
    assert (short.age == 0).all() and not np.array_equal(short.seen[:, -1], short.ends)
    assert not Boards("catch", 3, 0).limited().any()


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_plays_the_same_among_any_others_and_after_a_state(name):
    few, many = Player(name, 2, 5, "x"), Player(name, 9, 5, "x")
    moves = rng(1, "moves").integers(3, size=(80, 9))
    for row in moves[:50]:
        one, two = few.step(row[:2]), many.step(row)
        assert np.array_equal(one[0], two[0][:2]) and np.array_equal(one[1], two[1][:2])
        assert np.array_equal(few.seen, many.seen[:2])
    again = Player(name, 9, 5, "x")
    again.take(many.state(), many.seen)
    for row in moves[50:]:
        one, two = many.step(row), again.step(row)
        assert np.array_equal(one[0], two[0]) and np.array_equal(many.seen, again.seen)
        assert np.array_equal(many.age, again.age)
    assert not np.array_equal(Player(name, 9, 6, "x").seen, Player(name, 9, 5, "x").seen)


def test_games_differ_in_what_is_seen():
    frames = [Player(name, 1, 0).seen[0, -1] for name in NAMES]
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(frames, 2))


def test_an_observation_is_the_last_frames_and_black_before_the_first():
    player = Player("catch", 1, 0)
    assert not player.seen[0, :3].any() and player.seen[0, 3].any()
    rows = [np.flatnonzero(player.seen[0, -1][:19].any(1))[0]]
    for step in range(3):
        player.step(np.array([0]))
        rows.append(np.flatnonzero(player.seen[0, -1][:19].any(1))[0])
        assert player.age[0] == step + 1
    assert rows == [0, 4, 8, 12]
    player.step(np.array([0]))
    assert player.step(np.array([0]))[1].all() and not player.seen[0, :3].any()


def test_the_data_sets_of_observations(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_data("games", {"n": 200})
    with pytest.raises(CrucisError, match=r"Did you mean 'catch'"):
        Player("catc", 1, 0)


@pytest.mark.skipif(importlib.util.find_spec("ale_py") is None, reason="needs the extra atari")
def test_atari_plays_the_same_twice_and_after_a_state(monkeypatch):
    players = [Player("atari/pong", 1, 5, "x") for _ in range(2)]
    moves = rng(1, "moves").integers(18, size=60)
    for move in moves[:40]:
        found = [player.step(np.array([move])) for player in players]
        assert np.array_equal(players[0].seen, players[1].seen) and found[0][0] == found[1][0]
    assert players[0].shape == (4, 84, 84) and players[0].actions == 18 and players[0].seen.std() > 10
    again = Player("atari/pong", 1, 99, "y")
    again.take(players[0].state(), players[0].seen)
    for move in moves[40:]:
        assert players[0].step(np.array([move]))[0] == again.step(np.array([move]))[0]
        assert np.array_equal(players[0].seen, again.seen)
    assert not players[0].limited.any() and players[0].ends is None
    monkeypatch.setattr(emulators, "LIMIT", 2)
    assert players[0].step(np.array([0]))[1].all() and players[0].limited.all() and players[0].ends.std() > 10
    engine = players[0].engine
    assert np.allclose(engine.rows.sum(1), 1) and np.allclose(engine.columns.sum(1), 1)
    with pytest.raises(CrucisError, match=r"Did you mean 'pong'"):
        Player("atari/pongg", 1, 0)


@pytest.mark.skipif(importlib.util.find_spec("ale_py") is None, reason="needs the extra atari")
def test_the_emulators_list_is_that_of_the_emulator():
    from ale_py import roms

    assert emulators.names() == tuple(sorted(roms.get_all_rom_ids())) and "pong" in emulators.names()


def test_atari_without_its_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ale_py", None)
    with pytest.raises(CrucisError, match=r"crucis\[atari\]"):
        Player("atari/pong", 1, 0)
    assert emulators.names() is None
