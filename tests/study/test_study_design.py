from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crucis.study import design
from crucis.study.design import DesignError, Instance, InstanceRef, cells, instances, matches, seeded, stage_factors
from crucis.study.expressions import reference
from crucis.study.spec import Dollar, Factor, LeafRef, Level, Stage, Study


def factor(name, *levels):
    made = []
    for level in levels:
        label, fields = level if isinstance(level, tuple) else (level, None)
        made.append(Level(label, label if fields is None else fields, fields))
    return Factor(name, tuple(made))


def stage(name, verb="measure", of=None, **rest):
    of = {role: reference(text) for role, text in ({"of": of} if isinstance(of, str) else of or {}).items()}
    rest.setdefault("leaf", LeafRef(verb, "none-such"))
    return Stage(name, verb, of=of, **rest)


def study(factors=(), stages=(), **rest):
    rest.setdefault("seeds", (42, 123))
    return Study(
        "s", Path(), "s.yaml", factors={f.name: f for f in factors}, stages={s.name: s for s in stages}, **rest
    )  # fmt: skip


ARCH = factor(
    "arch", ("small", {"family": "mlp", "net": {"mlp": {}}}), ("wide", {"family": "wrn"}), ("deep", {"family": "wrn"})
)
DATA, STRATEGY = factor("data", "digits", "mnist"), factor("strategy", "naive", "ewc")


def persist(**rest):
    return study(
        [ARCH, DATA, STRATEGY],
        [
            stage("barrier", of={"start": "a@at=best", "end": "b@strategy=naive"}),
            stage("a", "train", params={"net": Dollar("arch", "net"), "data": Dollar("data")}),
            stage("b", "perturb", of="a@at=best", params={"strategy": Dollar("strategy")}),
            stage("land", of="a@at=best"),
            stage("apart", of="a@at=best", pool=("seed",)),
        ],
        **rest,
    )


def test_cells_are_the_product_without_what_filters_take():
    assert len(cells(persist())) == 12
    chosen = persist(
        only=({("arch", "family"): ("wrn",)},), exclude=({("arch", None): ("wide",), ("data", None): ("mnist",)},)
    )
    assert [tuple(cell.values()) for cell in cells(chosen)] == [
        ("wide", "digits", "naive"), ("wide", "digits", "ewc"), ("deep", "digits", "naive"),
        ("deep", "digits", "ewc"), ("deep", "mnist", "naive"), ("deep", "mnist", "ewc"),
    ]  # fmt: skip


def test_a_study_without_factors_has_one_cell():
    assert cells(study()) == [{}]


def test_filters_compare_by_value():
    lr = Factor("lr", (Level("0.1", 0.1), Level("1e-3", 0.001), Level("8_255", "8/255")))
    arch = factor("arch", ("a", {"missing": 0}), ("b", {"missing": 1}), ("c", None))
    made = study([lr, arch])
    cell = {"lr": "1e-3", "arch": "b"}
    assert matches(made, ({("lr", None): (0.001,)},), cell)
    assert matches(made, ({("lr", None): ("1e-3",), ("arch", "missing"): (0, 1)},), cell)
    assert not matches(made, ({("arch", "missing"): (0,)},), cell)
    assert matches(made, ({("lr", None): (0.1,)}, {("arch", None): ("b",)}), cell)
    assert not matches(made, ({("arch", "missing"): (0, 1)},), {"lr": "0.1", "arch": "c"})
    assert not matches(made, ({("arch", "missing"): (True,)},), cell)
    assert not matches(made, ({("arch", None): ("b",)},), {"lr": "0.1"})
    assert matches(made, ({("lr", None): ("8/255",)},), {"lr": "8_255"})


def test_a_stage_is_crossed_with_what_it_mentions_and_nothing_else():
    made = persist()
    assert design.stage_order(made) == ["a", "b", "barrier", "land", "apart"]
    assert stage_factors(made, "a") == ("arch", "data")
    assert stage_factors(made, "b") == ("arch", "data", "strategy")
    assert stage_factors(made, "barrier") == ("arch", "data")
    assert seeded(made, "land") and not seeded(made, "apart")


def test_steps_of_a_small_persist():
    found, lost = instances(persist())
    counts = {name: sum(one.stage == name for one in found) for name in ("a", "b", "barrier", "land", "apart")}
    assert counts == {"a": 12, "b": 24, "barrier": 12, "land": 12, "apart": 6}
    assert lost == {}
    barrier = next(one for one in found if one.stage == "barrier")
    cell = {"arch": "small", "data": "digits"}
    assert barrier == Instance("barrier", cell, 42, {
        "start": InstanceRef("a", cell, 42, "best"),
        "end": InstanceRef("b", {**cell, "strategy": "naive"}, 42),
    })  # fmt: skip
    apart = next(one for one in found if one.stage == "apart")
    assert apart.seed is None
    assert apart.inputs["of"] == [InstanceRef("a", cell, seed, "best") for seed in (42, 123)]


def test_exclusion_propagates_and_is_counted_by_cause():
    made = persist(exclude=({("arch", None): ("deep",), ("strategy", None): ("naive",)},))
    land = replace(made.stages["land"], only=({("data", None): ("mnist",)},), exclude=({("arch", None): ("small",)},))
    found, lost = instances(replace(made, stages={**made.stages, "land": land, "after": stage("after", of="land")}))
    assert lost == {
        "except": 2,
        "stages.barrier.of.end": 4,
        "stages.land.only": 6,
        "stages.land.except": 2,
        "stages.after.of": 8,
    }
    assert sum(one.stage == "after" for one in found) == 4


def test_axes_may_be_fixed_by_a_level():
    group = factor("group", "baseline", "method")
    arm = factor("arm", ("full", {"group": "method"}), ("base", {"group": "baseline"}))
    moment = Factor("moment", (Level("0%", "0%"), Level("half", 0.5), Level("12-epochs", "12 epochs")))
    made = study(
        [group, arm, moment],
        [
            stage("tuned", "train", params={"net": Dollar("group")}, pool=("seed",)),
            stage("model", "train", of="tuned@group=$arm.group", params={"net": Dollar("arm")}),
            stage("look", of="model@at=$moment@seed=123"),
        ],
    )
    assert stage_factors(made, "model") == ("arm",)
    assert stage_factors(made, "look") == ("arm", "moment")
    assert seeded(made, "model") and not seeded(made, "look")
    found, _ = instances(made)
    reached = {tuple(one.cell.values()): one.inputs["of"] for one in found if one.stage == "model"}
    assert reached[("full",)].cell == {"group": "method"} and reached[("base",)].cell == {"group": "baseline"}
    looks = [one.inputs["of"] for one in found if one.stage == "look"][:3]
    assert [one.at for one in looks] == ["0%", "50%", "12epochs"]
    assert {one.seed for one in looks} == {123}


def test_a_stage_with_its_own_seeds_hands_them_on():
    made = study(
        [],
        [stage("a", "train", seeds=(7,)), stage("c", of="a"), stage("d", of={"x": "a", "y": "b"}), stage("b", "train")],
    )
    found, lost = instances(made)
    assert [one.seed for one in found if one.stage == "c"] == [7]
    assert design.stage_seeds(made, "d") == (7, 42, 123)
    assert lost == {"stages.d.of.x": 2, "stages.d.of.y": 1}


def test_pooling_a_factor_hands_over_a_list_in_the_order_of_the_file():
    made = persist()
    made = replace(made, stages={**made.stages, "pair": stage("pair", of="b@data=mnist", pool=("strategy", "seed"))})
    one = next(one for one in instances(made)[0] if one.stage == "pair")
    assert one.cell == {"arch": "small"}
    assert [(ref.cell["strategy"], ref.seed) for ref in one.inputs["of"]] == [
        ("naive", 42), ("naive", 123), ("ewc", 42), ("ewc", 123),
    ]  # fmt: skip


def test_a_circle_is_named():
    made = study([], [stage("x", of="a"), stage("a", of="b"), stage("b", of="a")])
    with pytest.raises(DesignError, match=r"a circle: a -> b -> a. A stage cannot work on its own result.") as caught:
        design.stage_order(made)
    assert caught.value.names == ("a", "b", "a")


# --- against an implementation that only knows the words of the grammar ----------------------------------------

FACTORS = (factor("p", "x", "y"), factor("q", "u", "v", "w"), factor("r", "1", "2"))
NAMES = tuple(f.name for f in FACTORS)
LABELS = {f.name: f.labels for f in FACTORS}
CONDITIONS = st.dictionaries(
    st.sampled_from(NAMES).map(lambda name: (name, None)), st.just(()), max_size=2
).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: st.lists(st.sampled_from(LABELS[key[0]]), min_size=1, max_size=2, unique=True).map(tuple) for key in keys}
    )
)  # fmt: skip
FILTERS = st.lists(CONDITIONS.filter(bool), max_size=2).map(tuple)


@st.composite
def studies(draw):
    stages = []
    for index in range(draw(st.integers(1, 5))):
        verb = draw(st.sampled_from(["train", "measure"]))
        of = {}
        for role in ("of", "end")[: draw(st.integers(0, min(2, index)))]:
            at = "".join(
                f"@{name}={draw(st.sampled_from(LABELS[name]))}" for name in NAMES if draw(st.integers(0, 3)) == 0
            )
            of[role] = f"s{draw(st.integers(0, index - 1))}{at}{draw(st.sampled_from(['', '', '@seed=42']))}"
        mentions = draw(st.sets(st.sampled_from(NAMES), max_size=2))
        stages.append(
            stage(
                f"s{index}", verb, of=of, params={f"k{name}": Dollar(name) for name in mentions},
                only=draw(FILTERS), exclude=draw(FILTERS),
                pool=tuple(draw(st.sets(st.sampled_from([*NAMES, "seed"]), max_size=1)) - mentions),
            )
        )  # fmt: skip
    return study(FACTORS, stages, only=draw(FILTERS), exclude=draw(FILTERS))


def satisfied(filter, cell):
    return any(all(cell[name] in labels for (name, _), labels in group.items()) for group in filter)


def brute(made):
    """Steps as the words of section 10 define them: (stage, cell, seed) -> inputs as sets."""
    whole = [dict(zip(NAMES, row, strict=True)) for row in product(*LABELS.values())]
    alive = [
        c for c in whole if (not made.only or satisfied(made.only, c)) and not satisfied(made.exclude, c)
    ]  # fmt: skip
    axes, seeds, steps = {}, {}, {}
    for s in made.stages.values():
        fixes = {role: dict(ref.at) for role, ref in s.of.items()}
        axes[s.name] = {str(d.name) for d in s.params.values()}
        with_seed = s.verb == "train"
        for role, ref in s.of.items():
            axes[s.name] |= axes[ref.name] - set(fixes[role])
            with_seed |= seeds[ref.name] and "seed" not in fixes[role]
        axes[s.name] -= set(s.pool)
        seeds[s.name] = with_seed and "seed" not in s.pool
        for cell, seed in product(alive, made.seeds if seeds[s.name] else [None]):
            if (s.only and not satisfied(s.only, cell)) or satisfied(s.exclude, cell):
                continue
            own = {name: label for name, label in cell.items() if name in axes[s.name]}
            inputs = {}
            for role, ref in s.of.items():
                inputs[role] = [
                    place for place in steps
                    if place[0] == ref.name
                    and all(
                        label == fixes[role].get(name, own.get(name, label if name in s.pool else None))
                        for name, label in place[1]
                    )
                    and (
                        place[2] is None or place[2] == int(fixes[role].get("seed", seed or place[2]))
                    )
                ]  # fmt: skip
            if all(inputs.values()):
                steps[(s.name, tuple(sorted(own.items())), seed)] = inputs
    return steps


def place(one):
    return one.stage, tuple(sorted(one.cell.items())), one.seed


@given(studies())
@settings(max_examples=80, deadline=None)
def test_instances_are_those_of_the_definition(made):
    found, lost = instances(made)
    expected = brute(made)
    assert len({place(one) for one in found}) == len(found)
    assert {place(one) for one in found} == set(expected)
    for one in found:
        for role, refs in one.inputs.items():
            listed = refs if isinstance(refs, list) else [refs]
            assert sorted(map(place, listed), key=str) == sorted(expected[place(one)][role], key=str)
            assert isinstance(refs, list) or len(expected[place(one)][role]) == 1
    assert all(count > 0 for count in lost.values())
    assert [list(one.cell) for one in found] == [list(stage_factors(made, one.stage)) for one in found]


def test_work_grows_with_the_instances_and_not_faster():
    def calls(levels):
        big = factor("arch", *(f"n{i}" for i in range(levels)))
        made = study(
            [big, DATA, STRATEGY],
            [replace(s, params={**s.params, **({"net": Dollar("arch")} if s.name == "a" else {})}, only=(), exclude=())
             for s in persist().stages.values()],
        )  # fmt: skip
        count = 0

        def tracer(frame, event, argument):
            nonlocal count
            count += event == "call"

        sys.setprofile(tracer)
        try:
            found, _ = instances(made)
        finally:
            sys.setprofile(None)
        return count / len(found)

    assert calls(400) <= 1.2 * calls(100)
    assert calls(400) < 40
