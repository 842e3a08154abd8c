"""Whatever is written in a study's file: it is either a study or a list of located faults, never a traceback."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crucis.canon import step_key
from crucis.errors import CrucisError, Faults
from crucis.study.load import study_from_text
from crucis.study.plan import make_plan
from crucis.study.spec import Study
from crucis.study.text import read
from crucis.study.tree import plain

WORKED = Path(__file__).parent / "worked"
#: What ends a line in YAML 1.1.
BREAKS = ("\n", "\r", "\x85", "\u2028", "\u2029")

SMALL = """
study: small
question: "is it: so?"
let: {grid: 5, steps: [10, 100], many: [m.accuracy, m.loss], backbone: {mlp: {widths: [8, 8]}}}
factors:
  arch:
    mlp: {net: mlp, family: mlp, for: 3 epochs}
    own: {net: {mlp: {widths: [128, 128]}}, family: mlp, for: 10 steps}
    gen: {generate: grid, of: resnet_cifar, depth: [20, 32], fields: {family: res, for: 20 steps}}
  data: [digits, shapes]
  lr: [0.1, 3e-2]
only: {arch.family: [mlp, res]}
except: [{arch: own, lr: 0.1}]
seeds: {fresh: 3}
stages:
  m: {train: supervised, net: $arch.net, data: $data, view: {classes: first-half, labels: {noise: 20%}},
      recipe: sgd-cosine, for: $arch.for, select: accuracy, lr: $lr,
      optimiser: {sgd: {momentum: 0.9}}, because: "no $reason"}
  s: {measure: size, of: m@at=best, only: {arch: mlp}}
  b: {perturb: second_task, of: m@at=best, data: $data, view: {classes: second-half}, record_at: $steps}
  c: {like: b, pool: lr}
  u: {measure: classification, net: $backbone, data: digits, seeds: [1, 2]}
derive:
  ret: b.retention@step=100@lr=0.1
  size: log(s.parameters) / 2 + abs(ret)
analysis:
  a: {correlate: [spearman, kendall], of: $many, with: [ret], each: [data, lr], correction: bonferroni}
  w: {compare: paired_t, of: m.accuracy, between: arch, against: mlp, each: [data, lr], confidence: 99%}
  l: {like: w, only: {lr: 0.03}}
claims:
  x: {says: "it holds: yes", holds_if: [w.effect@arch=gen-20@lr=0.03 > 1%, w.p@arch=gen-20@lr=0.1 < 0.05], each: data}
  y: u.accuracy > 0.5 and not u.accuracy < 10%
budget: 8 h
presets:
  tiny: {let.grid: 3, factors.data: [digits], seeds: 2, drop: [analysis.l]}
"""
TEXTS = [SMALL, *(path.read_text(encoding="utf-8") for path in sorted(WORKED.glob("*.yaml")))]
_WORDS = [
    "$net", "$arch.net", "$m.accuracy", "none", "1e-3", "50%", "8/255", "30 epochs", "", "~", "[", "{", "a: b",
    "@at=best",
    "m", "seed", "supervised", "like", "./x.py", "p:q", "m.*", "a" * 70, "-1", "0", "1e999", "\u00e9", "*", "&a", "!t",
    "- ",
]  # fmt: skip
_VALUES = st.recursive(
    st.one_of(
        st.sampled_from(_WORDS), st.integers(-3, 30), st.floats(allow_nan=False, width=32), st.booleans(), st.none()
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=3),
    max_leaves=4,
)


def outcome(words: str) -> Study | None:
    """The study, or None after faults; anything else fails the test."""
    study, faults = study_from_text(words, Path(__file__).parent / "nowhere", file="s.yaml")
    hard = [fault for fault in faults if not fault.note]
    assert (study is None) == bool(hard)
    for fault in faults:
        assert fault.text
        assert fault.code == fault.code.lower()
        assert "\n" not in str(fault)
        assert fault.line <= sum(words.count(end) for end in BREAKS) + 2
        assert not any(word in str(fault) for word in ("Traceback", "<class", "object at", "\0")), str(fault)
    if study is not None:
        planned(study)
    return study


def planned(study: Study) -> None:
    """A valid study gives a plan whose keys are what its specs say, or one clean error."""
    try:
        plan = make_plan(study)
    except CrucisError as error:
        assert str(error)
        assert all(line.strip() for line in str(error).split("\n"))  # one line for each stage that cannot be planned
        return
    for step in plan.steps():
        assert step.key == step_key(step.spec)


@st.composite
def scratched(draw: st.DrawFn) -> str:
    """A study's text with pieces cut out, doubled or written over."""
    words = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(words)))
        stop = min(len(words), start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["cut", "double", "word", "noise"]))
        piece = words[start:stop]
        if kind == "double":
            piece = piece * 2
        elif kind == "word":
            piece = draw(st.sampled_from(_WORDS))
        elif kind == "noise":
            piece = draw(st.text(max_size=4))
        else:
            piece = ""
        words = words[:start] + piece + words[stop:]
    return words


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    out = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        out += _paths(item, (*path, key))
    return out


TREES = [plain(read(words, "s", Faults())) for words in TEXTS]  # type: ignore[arg-type]


@st.composite
def rebuilt(draw: st.DrawFn) -> str:
    """A study of the right form with entries replaced, removed, renamed or copied elsewhere."""
    tree = copy.deepcopy(draw(st.sampled_from(TREES)))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(tree)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        place = tree
        for key in way:
            place = place[key]
        kind = draw(st.sampled_from(["replace", "remove", "rename", "copy"]))
        if kind == "replace":
            place[last] = draw(_VALUES)
        elif kind == "remove":
            del place[last]
        elif kind == "rename" and isinstance(place, dict):
            place[draw(st.sampled_from([*_WORDS, "net", "of", "for"]))] = place.pop(last)
        elif kind == "copy":
            place[last] = copy.deepcopy(_at(tree, draw(st.sampled_from(paths))))
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=draw(st.sampled_from([None, False])), width=200)


def _at(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        try:
            tree = tree[key]
        except (KeyError, IndexError, TypeError):
            return "gone"
    return tree


_MANY = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))


@_MANY
@given(scratched())
def test_scratched_text(words: str) -> None:
    outcome(words)


@_MANY
@given(rebuilt())
def test_rebuilt_studies(words: str) -> None:
    outcome(words)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: data.decode("latin-1")))
def test_any_text(words: str) -> None:
    outcome(words)


def test_the_small_study_is_sound() -> None:
    study, faults = study_from_text(SMALL, Path(__file__).parent, file="s.yaml", preset="tiny")
    assert not faults, [str(fault) for fault in faults]
    assert study is not None
    assert outcome(SMALL) is not None
