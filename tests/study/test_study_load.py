"""From text to a Study: protocols, overrides, constants, factors, generators, stages, what a stage gets in a cell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crucis import shelf
from crucis.errors import StudyError
from crucis.study.binding import BindingError, bind, convert, leaf_of
from crucis.study.dump import dump
from crucis.study.load import check_study, load_study, study_from_text
from crucis.study.merge import protocols
from crucis.study.spec import Dollar, LeafRef, Ref, Study

MODEL = "stages:\n  m: {train: supervised, net: $net, data: digits}\n"
WORKED = sorted((Path(__file__).parent / "worked").glob("*.yaml"))
BASE = """
study: base
question: of the base
let: {grid: 5, length: 3 epochs, net: {mlp: {widths: [8]}}}
factors: {data: [digits, spirals], lr: [0.1, 0.01]}
stages:
  a: {train: supervised, net: $net, data: $data, for: $length, lr: $lr, select: accuracy}
  b: {measure: size, of: a@at=best}
derive: {x: log(b.parameters)}
presets:
  tiny: {factors.data: [digits], let.length: 1 epochs, drop: [stages.b, derive.x]}
"""


def good(words: str, folder: Path = Path(), **options: Any) -> Study:
    study, faults = study_from_text(words, folder, **options)
    assert study is not None, [str(fault) for fault in faults]
    return study


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


# --- protocols, overrides, constants -------------------------------------------------------------------------


def test_the_smallest_study() -> None:
    study = good(
        "study: first\nfactors: {net: [mlp, convnet]}\nstages:\n"
        "  model: {train: supervised, net: $net, data: digits}\n"
        "analysis:\n  which: {compare: paired_t, of: model.accuracy, between: net}\n"
    )
    assert study.seeds == (42, 123, 456)
    assert study.factors["net"].labels == ("mlp", "convnet")
    stage = study.stages["model"]
    assert (stage.verb, stage.leaf, stage.mentions) == ("train", LeafRef("train", "supervised"), ("net",))
    assert stage.params == {"net": Dollar("net"), "data": "digits"}
    assert study.analysis["which"].of == (Ref("model", "accuracy"),)
    assert study.place("stages.model.data").line == 4


def test_from_set_drop_and_own_entries(base: Path) -> None:
    study = good(
        "study: mine\nfrom: ./base.yaml\nset: {let.grid: 7, stages.a.for: 9 steps, stages.a.batch: 32}\n"
        "drop: [stages.b, derive.x]\nstages:\n  c: {measure: size, of: a}\n", base
    )  # fmt: skip
    assert (study.name, study.question, study.protocol) == ("mine", "of the base", "./base.yaml")
    assert list(study.stages) == ["a", "c"]
    assert study.stages["a"].params["for"] == "9 steps"
    assert study.stages["a"].params["batch"] == 32
    assert study.stages["a"].params["net"] == {"mlp": {"widths": [8]}}
    assert study.changed == ("let.grid", "stages.a.for", "stages.a.batch", "stages.b", "derive.x")
    assert "from" not in study.resolved
    assert "let" not in study.resolved


def test_order_of_overrides(base: Path) -> None:
    words = "study: s\nfrom: ./base.yaml\nset: {let.length: 5 epochs}\n"
    assert good(words, base).stages["a"].params["for"] == "5 epochs"
    tiny = good(words, base, preset="tiny")
    assert tiny.stages["a"].params["for"] == "1 epochs"
    assert (tiny.preset, list(tiny.stages), tiny.factors["data"].labels) == ("tiny", ["a"], ("digits",))
    last = good(words, base, preset="tiny", sets=["let.length=7 steps", "seeds=[1, 2]"])
    assert last.stages["a"].params["for"] == "7 steps"
    assert last.seeds == (1, 2)


def test_a_protocol_stands_alone(base: Path) -> None:
    (base / "second.yaml").write_text("study: t\nfrom: ./base.yaml\n")
    _, faults = study_from_text("study: s\nfrom: ./second.yaml\n", base)
    assert [fault.code for fault in faults] == ["nested-from"]


def test_faults_of_a_base_stand_in_its_file(base: Path) -> None:
    _, faults = study_from_text("study: s\nfrom: ./base.yaml\nset: {let.length: 5}\n", base, file="s.yaml")
    assert [(fault.file, fault.line, fault.path) for fault in faults] == [("s.yaml", 3, "stages.a.for")]
    (base / "broken.yaml").write_text("study: t\nstages:\n  a: {train: supervised, net: mpl, data: digits}\n")
    _, faults = study_from_text("study: s\nfrom: ./broken.yaml\n", base, file="s.yaml")
    assert [(fault.file, fault.line, fault.path) for fault in faults] == [("./broken.yaml", 3, "stages.a.net")]


def test_constants_are_values_and_parts_of_values() -> None:
    study = good(
        "study: s\nlet: {n: 8, wide: [$n, 16], when: 50%, of: {net: {mlp: {widths: $wide}}}}\nstages:\n"
        "  m: {train: supervised, net: $of.net, data: digits}\n"
        "  s: {measure: size, of: m@at=$when, because: $n reasons}\n"
        "derive: {x: log(s.parameters)}\n"
    )
    assert study.stages["m"].params["net"] == {"mlp": {"widths": [8, 16]}}
    assert study.stages["s"].of["of"].axis("at") == "50%"
    assert study.stages["s"].because == "$n reasons"


@pytest.mark.parametrize(
    ("words", "code"),
    [("let: {a: $b, b: $a}", "circle"), ("let: {a: {b: 1}}\nseeds: $a.c", "no-field"), ("let: [1]", "wrong-type"),
     ("let: {A: 1}", "bad-name"), ("let: {seed: 1}", "reserved-name")],
)  # fmt: skip
def test_constants_that_are_none(words: str, code: str) -> None:
    _, faults = study_from_text(
        f"study: s\n{words}\nstages:\n  m: {{train: supervised, net: mlp, data: digits}}\n", Path()
    )
    assert code in [fault.code for fault in faults]


# --- factors -------------------------------------------------------------------------------------------------


def test_levels_and_labels(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(input, classes, *, rank: int = 8): ...\n")
    study = good(
        "study: s\nfactors:\n  net: [{mlp: {widths: [8]}}, ./mine.py]\n  lr: [0.1, 1e-3]\n"
        "stages:\n  m: {train: supervised, net: $net, data: digits, lr: $lr}\n", tmp_path
    )  # fmt: skip
    assert study.factors["net"].labels == ("mlp", "mine")
    assert study.factors["lr"].labels == ("0.1", "0.001")
    assert [level.fields for level in study.factors["net"].levels] == [None, None]


def test_fields_and_leaves_are_told_apart() -> None:
    study = good(
        "study: s\nfactors:\n  a: {x: {net: mlp}, y: {net: convnet, width: 3}}\n"
        "  b: {x: {mlp: {widths: [8]}}, y: mlp}\n"
        "stages:\n  m: {train: supervised, net: $a.net, data: digits}\n"
        "  n: {train: supervised, net: $b, data: digits}\n"
    )
    assert [level.fields for level in study.factors["a"].levels] == [{"net": "mlp"}, {"net": "convnet", "width": 3}]
    assert [level.fields for level in study.factors["b"].levels] == [None, None]


def test_generators() -> None:
    study = good(
        "study: s\nfactors:\n  a:\n    one: {net: mlp, family: m}\n"
        "    deep: {generate: grid, of: wrn, depth: [10, 16], widen: [1, 2], fields: {family: w}}\n"
        "    both: {generate: zip, of: wrn, depth: [10, 16], widen: [3, 4], fields: {family: z}}\n"
        "stages:\n  m: {train: supervised, net: $a.net, data: digits}\n"
    )
    factor = study.factors["a"]
    assert factor.labels == ("one", "deep-10-1", "deep-10-2", "deep-16-1", "deep-16-2", "both-10-3", "both-16-4")
    level = factor.level("deep-16-1")
    assert level.fields == {"net": {"wrn": {"depth": 16, "widen": 1}}, "depth": 16, "widen": 1, "family": "w"}
    bound = bind(study, study.stages["m"], {"a": "both-16-4"})
    assert bound.params["net"] == LeafRef("nets", "wrn", {"depth": 16, "widen": 4})


def test_a_generator_is_a_whole_factor() -> None:
    study = good(
        "study: s\nfactors:\n  a: {generate: grid, of: wrn, depth: [10, 16]}\n"
        "stages:\n  m: {train: supervised, net: $a.net, data: digits}\n"
    )
    assert study.factors["a"].labels == ("wrn-10", "wrn-16")


@pytest.mark.parametrize(
    ("words", "seeds"),
    [("5", (42, 123, 456, 1003, 1004)), ("[7]", (7,)), ("{fresh: 2}", (900001, 900002)), ("[3, 1]", (3, 1))],
)
def test_seeds(words: str, seeds: tuple[int, ...]) -> None:
    assert good(f"study: s\nseeds: {words}\nfactors: {{net: [mlp]}}\n{MODEL}").seeds == seeds


@pytest.mark.parametrize(
    "words", ["0", "-1", "1.5", "true", "x", "[]", "[1, 1]", "[-1]", "[x]", "{fresh: 0}", "{old: 3}"]
)
def test_seeds_that_are_none(words: str) -> None:
    _, faults = study_from_text(f"study: s\nseeds: {words}\nfactors: {{net: [mlp]}}\n{MODEL}", Path())
    assert len(faults) == 1
    assert faults[0].path.startswith("seeds")


def test_filters() -> None:
    study = good(
        "study: s\nfactors:\n  a: {x: {net: mlp, f: 1}, y: {net: convnet, f: 2}, z: {net: mlp}}\n  lr: [0.1, 1e-2]\n"
        "only: {a.f: [1, 2], lr: 0.1}\nexcept: [{a: y}, {lr: 0.01, a: x}]\n"
        "stages:\n  m: {train: supervised, net: $a.net, data: digits, lr: $lr, only: {a: x}}\n"
    )
    assert study.only == ({("a", "f"): (1, 2), ("lr", None): (0.1,)},)
    assert study.exclude == ({("a", None): ("y",)}, {("lr", None): (0.01,), ("a", None): ("x",)})
    assert study.stages["m"].only == ({("a", None): ("x",)},)


def test_a_missing_field_matters_only_where_a_stage_needs_it() -> None:
    head = "study: s\nfactors:\n  a: {x: {net: mlp, for: 3 epochs}, y: {net: mlp}}\n"
    stage = "stages:\n  m: {train: supervised, net: $a.net, data: digits, for: $a.for"
    good(f"{head}{stage}, only: {{a: x}}}}\n")
    good(f"{head}except: {{a: y}}\n{stage}}}\n")
    _, faults = study_from_text(f"{head}{stage}}}\n", Path())
    assert [fault.code for fault in faults] == ["no-field"]
    words = f"{head}{stage}, only: {{a: x}}}}\n  n: {{train: supervised, of: m, data: digits, for: $a.for}}\n"
    good(words)  # what rests on an excluded step is excluded with it


# --- stages --------------------------------------------------------------------------------------------------


def test_like_repeats_and_is_resolved() -> None:
    study = good(
        "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, lr: 0.5}\n"
        "  n: {like: m, lr: 0.1}\n  p: {perturb: second_task, of: m, data: digits, record_at: [1]}\n"
        "  q: {like: p, record_at: [2], pool: none}\n"
    )
    assert study.stages["n"].params == {"net": "mlp", "data": "digits", "lr": 0.1}
    assert study.stages["q"].of == {"of": Ref("m")}
    assert study.resolved["stages"]["n"] == {"train": "supervised", "net": "mlp", "data": "digits", "lr": 0.1}


def test_inputs_and_mentions(tmp_path: Path) -> None:
    (tmp_path / "gap.py").write_text("COLUMNS = {}\ndef measure(specimen, *, width: float = 1.0): ...\n")
    study = good(
        "study: s\nfactors: {net: [mlp, convnet], moment: [0%, 50%], lr: [0.1]}\nstages:\n"
        "  m: {train: supervised, net: $net, data: digits, lr: $lr}\n"
        "  g: {measure: ./gap.py, of: {start: m, end: m@at=$moment}, pool: [seed], width: 8/255}\n", tmp_path
    )  # fmt: skip
    stage = study.stages["g"]
    assert stage.of == {"start": Ref("m"), "end": Ref("m", at=(("at", Dollar("moment")),))}
    assert (stage.mentions, stage.pool) == (("moment",), ("seed",))
    assert bind(study, stage, {"moment": "50%"}).params == {"width": 8 / 255}
    assert leaf_of(study, stage.leaf).own  # type: ignore[arg-type]


def test_bound_parameters_have_their_declared_types(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def build(input, classes, *, rank: int = 8, drop: float = 0.0): ...\n")
    study = good(
        "study: s\nfactors: {lr: [1, 50%]}\nstages:\n"
        "  m: {train: {supervised: {clip: none}}, net: {./net.py: {rank: 4e0, drop: 1/4}}, data: digits, lr: $lr,\n"
        "      optimiser: {sgd: {momentum: 0}}, view: {share: 50%, labels: {noise: 1/5}}, for: 3 epoch,\n"
        "      recipe: sgd-cosine, augment: [flip, crop], warmup: 5%}\n", tmp_path
    )  # fmt: skip
    bound = bind(study, study.stages["m"], {"lr": "50%"})
    assert bound.params == {
        "clip": None, "lr": 0.5, "length": "3 epochs", "warmup": 0.05,
        "optimiser": LeafRef("optimisers", "sgd", {"momentum": 0.0}),
        "augment": [LeafRef("augment", "flip", {}), LeafRef("augment", "crop", {})],
        "net": LeafRef("nets", "./net.py", {"rank": 4, "drop": 0.25}), "data": LeafRef("data", "digits", {}),
        "view": {"share": 0.5, "labels": {"noise": 0.2}}, "recipe": "sgd-cosine",
    }  # fmt: skip
    assert type(bound.params["net"].params["rank"]) is int
    assert type(bind(study, study.stages["m"], {"lr": "1"}).params["lr"]) is float


def test_binding_refuses_what_a_cell_lacks() -> None:
    study = good(
        "study: s\nfactors:\n  a: {x: {net: mlp, for: 3 epochs}, y: {net: mlp}}\nexcept: {a: y}\n"
        "stages:\n  m: {train: supervised, net: $a.net, data: digits, for: $a.for}\n"
    )
    with pytest.raises(BindingError, match="missing in the level y"):
        bind(study, study.stages["m"], {"a": "y"})
    with pytest.raises(BindingError, match="nothing is called 'a'"):
        bind(study, study.stages["m"], {})


@pytest.mark.parametrize(
    ("annotation", "raw", "value"),
    [
        ("int", 3, 3), ("int", 5e4, 50000), ("float", 3, 3.0), ("float", "50%", 0.5), ("float", "8/255", 8 / 255),
        ("bool", True, True), ("str", "x", "x"), ("int | None", "none", None), ("list[int]", [1, 2.0], [1, 2]),
        ("list[float]", [1, "5%"], [1.0, 0.05]), ("Literal['a', 'b']", "b", "b"), ("Literal[1, 2] | None", 2, 2),
        ("Length", "30 epochs", "30 epochs"), ("Length", "1 epoch", "1 epochs"), ("Length", "plateau", "plateau"),
        ("LengthOrShare", "5%", 0.05), ("LengthOrShare", "3 epochs", "3 epochs"), ("LengthOrShare", 0, 0.0),
        ("int | list[int]", 3, 3), ("int | list[int]", [3], [3]), ("Literal['none', 'id']", "none", "none"),
        ("Optional[float]", "none", None), ("'Length'", "2 steps", "2 steps"), ("int | str", "x", "x"),
        ("types.Length", "2 steps", "2 steps"), ("list[list[int]]", [[1], [2]], [[1], [2]]),
        ("Any", {"a": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_conversions(annotation: str, raw: Any, value: Any) -> None:
    found = convert(shelf.Param("p", annotation), raw, Path())
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "raw", "words"),
    [
        ("int", "3", "Remove the quotes"), ("int", 3.5, "an integer"), ("int", True, "an integer"), ("int",
        "50%", "an integer"),
        ("float", "x", "a number"), ("float", False, "a number"), ("bool", "yes", "true or false"),
        ("bool", 1, "true or false"),
        ("str", 3, "Quote it"), ("int", "none", "an integer"), ("list[int]", 3, "Write [3]"), ("list[int]",
        ["x"], "an integer"),
        ("int", [1], "a list, where one p is expected"), ("Literal['ab', 'cd']", "abc", "Did you mean 'ab'"),
        ("Literal['a']", 3, "one of a"), ("Length", 30, "a length has a unit"), ("Length", "3 weeks",
        "a length such as"),
        ("LengthOrShare", 3, "a length has a unit"), ("float", {"uniform": [0, 1]}, "stands for a search"),
        ("float", {"a": 1}, "a number"), ("list[int]", {"a": 1}, "a list of int"),
    ],
)  # fmt: skip
def test_conversions_refused(annotation: str, raw: Any, words: str) -> None:
    with pytest.raises(BindingError) as caught:
        convert(shelf.Param("p", annotation), raw, Path())
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("limits", "inside", "out"),
    [
        ("(0, 2]", [0.1, 2], [0, 2.1, -1]),
        ("[0, 1)", [0, 0.9], [1, -0.1]),
        ("[1, inf)", [1, 1e9], [0.5]),
        ("[, 3]", [-9], [4]),
    ],
)
def test_ranges(limits: str, inside: list[float], out: list[float]) -> None:
    for value in inside:
        convert(shelf.Param("p", "float", limits=limits), value, Path())
        convert(shelf.Param("p", "list[float]", limits=limits), [value], Path())
    for value in out:
        for annotation, raw in (("float", value), ("list[float]", [value])):
            with pytest.raises(BindingError, match="outside"):
                convert(shelf.Param("p", annotation, limits=limits), raw, Path())


# --- the whole -----------------------------------------------------------------------------------------------


def test_resolved_text_is_read_back_as_the_same_study(base: Path) -> None:
    sources = [(good("study: s\nfrom: ./base.yaml\nset: {let.grid: 9}\n", base), base)]
    sources += [(load_study(name), Path()) for name in protocols() if check_study(name)[0] is not None]
    for study, folder in sources:
        again = good(dump(study.resolved), folder)
        for part in ("resolved", "factors", "stages", "derive", "analysis", "claims", "seeds", "only", "exclude"):
            assert getattr(again, part) == getattr(study, part), part
        assert list(again.resolved) == list(study.resolved)


@pytest.mark.parametrize("path", WORKED, ids=lambda path: path.stem)
def test_worked_studies_wait_only_for_what_is_not_there_yet(path: Path) -> None:
    """Their faults name verbs, leaves and choices of later versions; nothing in them is misread."""
    _, faults = check_study(path)
    waiting = [fault for fault in faults if fault.code in ("later", "unknown-name", "not-a-choice", "no-file")]
    others = [fault for fault in faults if fault not in waiting and not fault.note]
    assert bool(waiting) == (path.stem not in ("persist", "resnet20-replication", "tune-wrn"))  # they lack nothing
    # A budget of the capacity study is a plateau, and which one ends a search's trial it does not say yet.
    others = [fault for fault in others if not (fault.code == "contradiction" and "plateau" in str(fault))]
    assert [str(fault) for fault in others if "volume-law.each" not in fault.path] == []
    for fault in waiting:
        if fault.code == "unknown-name":
            assert "All: crucis list" in fault.text
            assert "Did you mean" not in fault.text.replace("'hjepa'. Did you mean 'i_jepa'", "")  # a neighbour by now


def test_shipped_protocols_are_read() -> None:
    assert "persist" in protocols()


def test_a_study_error_shows_all(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("study: s\nseeds: x\nstages: {m: {}}\n")
    with pytest.raises(StudyError) as caught:
        load_study(path)
    assert caught.value.exit_code == 2
    assert caught.value.report().splitlines()[-1] == "2 faults; nothing was run."


def test_checking_is_light() -> None:
    code = (
        "import sys; from crucis.study.load import check_study; check_study('persist'); "
        "print([name for name in ('torch', 'pandas', 'matplotlib', 'scipy', 'sklearn', 'timm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
