"""Ablation generators: which arms a net with components becomes, and what fractions of all arms confound."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from crucis.study.ablation import label
from crucis.study.confounding import design, designs
from crucis.study.generators import add_one_in, factorial, fractional, leave_one_out
from crucis.study.load import study_from_text
from crucis.study.spec import Study

METHOD = """
COMPONENTS = {
    "gating": {"replace": ["remove", "identity"], "says": "weighs channels"},
    "shortcut": "remove",
    "norm": {"replace": "baseline"},
}


def build(input, classes, *, width: int = 4, without: dict[str, str] = {}):
    raise RuntimeError("nothing is run to make levels")
"""
STAGE = "stages:\n  m: {train: supervised, net: $arm.net, data: digits}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "method.py").write_text(METHOD)
    (tmp_path / "plain.py").write_text("def build(input, classes):\n    return None\n")
    return tmp_path


def read(folder: Path, generator: str) -> tuple[Study | None, list[str]]:
    study, faults = study_from_text(f"study: s\nfactors:\n  arm: {{{generator}}}\n{STAGE}", folder)
    return study, [f"{fault.path} {fault.code}: {fault.text}" for fault in faults]


def arms(folder: Path, generator: str) -> dict[str, dict]:
    study, faults = read(folder, generator)
    assert study is not None, faults
    return {level.label: dict(level.fields or {}) for level in study.factors["arm"].levels}


def test_leave_one_out_has_the_whole_method_and_the_baseline(folder: Path) -> None:
    found = arms(folder, "generate: leave_one_out, of: ./method.py, fields: {family: x}")
    assert list(found) == ["full", "without-gating", "without-shortcut", "without-norm", "baseline"]
    assert found["full"] == {
        "net": {"./method.py": {}}, "group": "method", "missing": 0, "gating": "in", "shortcut": "in", "norm": "in",
        "family": "x",
    }  # fmt: skip
    assert found["without-norm"]["net"] == {"./method.py": {"without": {"norm": "baseline"}}}
    assert (found["without-norm"]["missing"], found["without-norm"]["norm"]) == (1, "out")
    every = {"gating": "remove", "shortcut": "remove", "norm": "baseline"}
    assert found["baseline"]["net"] == {"./method.py": {"without": every}}
    assert (found["baseline"]["group"], found["baseline"]["missing"]) == ("baseline", 3)


def test_the_baseline_may_be_a_net_of_its_own(folder: Path) -> None:
    found = arms(
        folder,
        "generate: add_one_in, of: {./method.py: {width: 8}}, baseline: ./plain.py, replace: {gating: identity}",
    )
    assert list(found) == ["baseline", "only-gating", "only-shortcut", "only-norm", "full"]
    assert found["baseline"]["net"] == {"./plain.py": {}}
    assert found["only-norm"]["net"] == {
        "./method.py": {"width": 8, "without": {"gating": "identity", "shortcut": "remove"}}
    }


def test_a_factorial_has_every_arm_once(folder: Path) -> None:
    found = arms(folder, "generate: factorial, of: ./method.py")
    assert list(found) == [
        "full", "without-gating", "without-shortcut", "without-norm", "only-norm", "only-shortcut", "only-gating",
        "baseline",
    ]  # fmt: skip
    switches = {tuple(each[name] for name in ("gating", "shortcut", "norm")) for each in found.values()}
    assert switches == set(product(("in", "out"), repeat=3))


def test_components_that_are_not_listed_stay_in_and_nothing_is_called_a_baseline(folder: Path) -> None:
    found = arms(folder, "generate: factorial, of: ./method.py, components: [norm, gating]")
    assert list(found) == ["full", "without-norm", "without-gating", "none"]
    assert found["none"]["group"] == "method"
    assert "shortcut" not in found["none"]
    assert found["none"]["net"]["./method.py"]["without"] == {"norm": "baseline", "gating": "remove"}


def test_a_label_stands_before_the_arms(folder: Path) -> None:
    study, faults = study_from_text(
        "study: s\nfactors:\n  arm:\n    a: {generate: leave_one_out, of: ./method.py, components: [norm]}\n"
        f"    plain: {{net: ./plain.py}}\n{STAGE}", folder,
    )  # fmt: skip
    assert study is not None, faults
    assert study.factors["arm"].labels == ("a-full", "a-none", "plain")


def test_labels_name_what_is_inside() -> None:
    names = ["a", "b", "c", "d"]
    assert label(frozenset("bd"), names) == "with-a-c"
    labels = [label(missing, names) for missing in factorial.generate(names)]
    assert len(set(labels)) == 16


@pytest.mark.parametrize(
    ("generator", "answer"),
    [
        ("generate: factorial, of: ./method.py, components: [gatin]", "Did you mean 'gating'?"),
        ("generate: factorial, of: ./method.py, components: []", "expected a list of components"),
        ("generate: factorial, of: ./method.py, components: [norm, norm]", "twice"),
        ("generate: factorial, of: ./method.py, replace: {norm: identity}", "It offers: baseline."),
        ("generate: factorial, of: ./method.py, replace: {nrm: identity}", "Did you mean 'norm'?"),
        ("generate: factorial, of: ./method.py, replace: 3", "expected remove, identity or baseline"),
        ("generate: factorial, of: ./method.py, basline: mlp", "Did you mean 'baseline'?"),
        ("generate: factorial, of: ./method.py, baseline: ./plan.py", "no file ./plan.py"),
        ("generate: factorial, of: ./plain.py", "declares no COMPONENTS"),
        ("generate: factorial, of: mlpp", "Did you mean 'mlp'?"),
        ("generate: factorial", "a net that declares COMPONENTS"),
        ("generate: factorial, of: {./method.py: {without: {}}}", "what this generator varies"),
        ("generate: factorial, of: {./method.py: {widht: 3}}", "Did you mean 'width'"),
        ("generate: factorial, of: ./method.py, fields: {group: x}", "a field 'group' already"),
        ("generate: factorial, of: ./method.py, baseline: ./plain.py, components: [norm]", "gating, shortcut stay in"),
        ("generate: fractional, of: ./method.py, resolution: VI", "no choice 'VI'. Did you mean 'IV'? Choices: III"),
        ("generate: fractional, of: ./method.py, resolution: V", "The highest is III."),
        ("generate: fractionel, of: ./method.py", "Did you mean 'fractional'?"),
    ],
)
def test_one_fault_with_what_to_write(folder: Path, generator: str, answer: str) -> None:
    study, faults = read(folder, generator)
    assert study is None
    assert len(faults) == 1
    assert answer in faults[0]


@pytest.mark.parametrize(
    ("declaration", "answer"),
    [
        ("COMPONENTS = {'gating': 'remov'}", "Did you mean 'remove'?"),
        ("COMPONENTS = {'Gating': 'remove'}", "cannot name a component"),
        ("COMPONENTS = {'group': 'remove'}", "cannot name a component"),
        ("COMPONENTS = ['gating']", "a form that cannot be read"),
        ("COMPONENTS = {'gating': {'replaced': 'remove'}}", "a form that cannot be read"),
    ],
)
def test_declarations_that_cannot_be_used(folder: Path, declaration: str, answer: str) -> None:
    text = f"{declaration}\ndef build(input, classes, *, without: dict[str, str] = {{}}):\n    return None\n"
    (folder / "method.py").write_text(text)
    _, faults = read(folder, "generate: leave_one_out, of: ./method.py")
    assert len(faults) == 1
    assert answer in faults[0]


def test_build_must_be_able_to_leave_a_component_out(folder: Path) -> None:
    (folder / "method.py").write_text("COMPONENTS = {'a': 'remove'}\ndef build(input, classes):\n    return None\n")
    _, faults = read(folder, "generate: leave_one_out, of: ./method.py")
    assert "cannot leave any out. Write def build(input, classes, *, without" in faults[0]


def test_too_many_arms_ask_for_a_fraction(folder: Path) -> None:
    names = {f"c{i}": "remove" for i in range(11)}
    text = f"COMPONENTS = {names}\ndef build(input, classes, *, without: dict[str, str] = {{}}):\n    return None\n"
    (folder / "method.py").write_text(text)
    _, faults = read(folder, "generate: factorial, of: ./method.py")
    assert len(faults) == 1
    assert "2048 levels of 11 components are too many. Write generate: fractional" in faults[0]
    assert len(arms(folder, "generate: fractional, of: ./method.py, resolution: V")) == 128


# -- fractions ----------------------------------------------------------------------------------------------------


def matrix(names: list[str], runs: list[frozenset[str]]) -> np.ndarray:
    """Runs x components, +1 in and -1 out."""
    return np.array([[-1 if name in missing else 1 for name in names] for missing in runs])


@pytest.mark.parametrize("count", range(3, 12))
@pytest.mark.parametrize("resolution", ["III", "IV", "V"])
def test_the_resolution_of_a_fraction_is_what_it_says(count: int, resolution: str) -> None:
    """The contrasts of every pair of effects that the resolution keeps apart are orthogonal, computed from the runs."""
    names = [f"c{i}" for i in range(count)]
    least = {"III": 3, "IV": 4, "V": 5}[resolution]
    try:
        runs = fractional.generate(names, resolution=resolution)  # type: ignore[arg-type]
    except ValueError:
        assert (count, resolution) in {(3, "IV"), (3, "V"), (4, "V")}
        return
    x = matrix(names, runs)
    assert len(runs) == len(set(runs)) < 2**count
    assert frozenset() in runs
    shortest = next(
        size for size in range(1, count + 1)
        if any(abs(x[:, list(some)].prod(1).sum()) == len(runs) for some in combinations(range(count), size))
    )  # fmt: skip
    assert shortest >= least
    for size in range(1, least):
        for some in combinations(range(count), size):
            assert x[:, list(some)].prod(1).sum() == 0


#: Runs of the smallest fraction by factors and resolution: Box, Hunter, Hunter (2005), table 6.22.
PUBLISHED = {
    "III": {3: 4, 4: 8, 5: 8, 6: 8, 7: 8, 8: 16, 9: 16, 10: 16, 11: 16},
    "IV": {4: 8, 5: 16, 6: 16, 7: 16, 8: 16, 9: 32, 10: 32, 11: 32},
    "V": {5: 16, 6: 32, 7: 64, 8: 64, 9: 128, 10: 128, 11: 128},
}


@pytest.mark.parametrize(("resolution", "count"), [(r, n) for r, sizes in PUBLISHED.items() for n in sizes])
def test_a_fraction_is_as_small_as_the_published_one(resolution: str, count: int) -> None:
    runs = fractional.generate([f"c{i}" for i in range(count)], resolution=resolution)  # type: ignore[arg-type]
    assert len(runs) == PUBLISHED[resolution][count]


#: Words of length 3, 4, 5 ... in the defining relation of the minimum-aberration design: Fries, Hunter (1980);
#: Chen, Sun, Wu (1993), A catalogue of two-level and three-level fractional factorial designs.
PATTERNS = {(5, 2): [2, 1], (6, 2): [0, 3], (6, 3): [4, 3], (7, 2): [0, 1, 2], (7, 3): [0, 7], (8, 2): [0, 0, 2, 1],
            (8, 3): [0, 3, 4], (8, 4): [0, 14], (9, 4): [0, 6, 8], (9, 5): [4, 14, 8]}  # fmt: skip


@pytest.mark.parametrize(("count", "added"), list(PATTERNS))
def test_the_table_has_minimum_aberration(count: int, added: int) -> None:
    words = next(words for words in fractional.TABLE[count] if len(words) == added)
    lengths = [len(word) for word in fractional.relation(count, words)]
    pattern = PATTERNS[count, added]
    assert [lengths.count(size) for size in range(3, 3 + len(pattern))] == pattern


def test_aliases_are_effects_with_equal_contrasts() -> None:
    """Every group read from the runs is what the words of the generators say by symbolic multiplication."""
    names = tuple("ABCDEF")
    for resolution in ("III", "IV", "V"):
        runs = fractional.generate(names, resolution=resolution)  # type: ignore[arg-type]
        found = design("arm", names, matrix(list(names), runs))
        words = fractional.relation(6, fractional.words_for(names, resolution))
        assert found.regular
        assert [*map("".join, found.words)] == words
        assert found.resolution == len(words[0])
        effects = [frozenset(some) for size in (1, 2) for some in combinations(names, size)]
        same = [
            {a, b} for a, b in combinations(effects, 2) if (a ^ b) in {frozenset(word) for word in words}
        ]  # fmt: skip
        groups = [{frozenset(effect.split("*")) for effect in group} for group in found.aliases]
        assert all(any(pair <= group for group in groups) for pair in same)
        assert sum(len(group) * (len(group) - 1) // 2 for group in groups) == len(same)


def test_what_is_said_of_a_design() -> None:
    names = tuple("abcd")
    half = matrix(list(names), fractional.generate(names, resolution="IV"))
    assert str(design("arm", names, half)) == (
        "arm: 8 of 16 combinations of 4 components, resolution IV, I = a*b*c*d. "
        "Cannot be told apart: a*b = c*d; a*c = b*d; a*d = b*c."
    )
    whole = matrix(list(names), factorial.generate(names))
    assert str(design("arm", names, whole)).endswith("all effects and interactions stand apart.")
    single = matrix(list(names), leave_one_out.generate(names))
    assert not design("arm", names, single).regular
    quarter = matrix(list("abc"), fractional.generate("abc", resolution="III"))
    control = np.vstack([quarter, -np.ones((1, 3), dtype=int)])
    assert str(design("arm", tuple("abc"), control)) == str(design("arm", tuple("abc"), quarter))


def test_a_study_knows_its_design_and_filters_change_it(folder: Path) -> None:
    study, _ = read(folder, "generate: factorial, of: ./method.py")
    assert study is not None
    assert [found.runs for found in designs(study)] == [8]
    half, faults = study_from_text(
        "study: s\nfactors:\n  arm: {generate: factorial, of: ./method.py}\nonly: {arm: [full, only-gating, "
        f"only-shortcut, only-norm]}}\n{STAGE}", folder,
    )  # fmt: skip
    assert half is not None, faults
    assert designs(half)[0].words == (("gating", "shortcut", "norm"),)
    plain, _ = study_from_text(f"study: s\nfactors: {{arm: {{a: {{net: mlp}}}}}}\n{STAGE}", folder)
    assert plain is not None
    assert designs(plain) == []


def test_designs_of_one_component() -> None:
    assert leave_one_out.generate(["a"]) == [frozenset(), frozenset("a")]
    assert add_one_in.generate(["a"]) == [frozenset("a"), frozenset()]


def test_a_fraction_gets_the_baseline_as_a_control(folder: Path) -> None:
    found = arms(folder, "generate: fractional, of: ./method.py, resolution: III, baseline: ./plain.py")
    assert list(found) == ["full", "only-gating", "only-shortcut", "only-norm", "baseline"]
    assert found["baseline"]["net"] == {"./plain.py": {}}
