"""The shipped facts: complete, consistent, every derived value recomputed."""

import math
import re

import pytest

from crucis.train.published import facts, formulas

ALL = [(recipe.id, fact) for recipe in facts.recipes().values() for fact in recipe.facts]
DERIVED = [(name, fact) for name, fact in ALL if fact.role == "derived"]


def test_there_are_24_recipes_with_872_facts():
    assert len(facts.recipes()) == 24
    assert len(ALL) == 872
    assert len(DERIVED) == 79


@pytest.mark.parametrize(("name", "fact"), DERIVED, ids=lambda x: x if isinstance(x, str) else x.key)
def test_a_derived_value_follows_from_its_formula(name, fact):
    # Independent of the evaluator: Python itself, on a text that has only numbers, operators and floor.
    assert re.fullmatch(r"[\d.e+\-*/() ]*", fact.formula.replace("floor", ""))
    exact = eval(fact.formula, {"floor": math.floor})
    assert formulas.evaluate(fact.formula) == exact
    digits = 5e-5 if "." in f"{fact.value!r}" else 0.5
    assert abs(exact - fact.value) <= max(digits, 5e-3 if fact.value > 1 else 0)


def test_every_role_and_source_is_known():
    for name, fact in ALL:
        assert fact.role in facts.ROLES, (name, fact)
        key = re.split(r"[: ]", fact.source)[0]
        assert key in facts.sources() or key in facts.BARE_SOURCES, (name, fact)
        assert (fact.formula is not None) == (fact.role == "derived")
        assert isinstance(fact.verified, bool)


def test_what_a_paper_leaves_open_is_not_given_as_the_papers():
    for recipe in facts.recipes().values():
        for key in recipe.not_reported:
            assert all(fact.role != "paper" for fact in recipe.of(key)), (recipe.id, key)


@pytest.mark.parametrize("text", ["__import__('os')", "floor(1, 2)", "a*2", "2 if 1 else 3", "'x'*3", "True*2"])
def test_only_arithmetic_is_evaluated(text):
    with pytest.raises(ValueError, match="no arithmetic"):
        formulas.evaluate(text)


@pytest.mark.parametrize(
    ("exact", "written", "fits"),
    [(119.8893, 119.89, True), (119.8893, 120, True), (119.8893, 119.9, True), (119.8893, 119.88, False),
     (119.8893, 119, False), (450410.273, 450410, True), (450410.273, 450411, False), (1e-4, 1e-4, True)],
)  # fmt: skip
def test_a_written_number_stands_for_what_rounds_to_it(exact, written, fits):
    assert formulas.rounds_to(exact, written) is fits


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(facts.NoSuchRecipe, match="resnet-cifar"):
        facts.get("resnet-cifr")
