"""What a study's text says: strict YAML, numbers, labels, and the places of everything."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crucis.errors import Faults
from crucis.study import scalars
from crucis.study.dump import dump
from crucis.study.load import check_study
from crucis.study.references import parse_ref
from crucis.study.spec import Dollar, Place
from crucis.study.text import MAX_DEPTH, read
from crucis.study.tree import BAD, plain, walk


def values(words: str) -> Any:
    faults = Faults()
    tree = read(words, "s.yaml", faults)
    assert not faults.items, [str(fault) for fault in faults.items]
    assert tree is not None
    return plain(tree)


def codes(words: str) -> list[str]:
    faults = Faults()
    read(words, "s.yaml", faults)
    return [fault.code for fault in faults.items]


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001), ("5e4", 50000.0), ("1E6", 1e6), (".5", 0.5), ("-3", -3), ("+3", 3), ("260_000", 260000),
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("off", "off"), ("y", "y"), ("True", "True"),
        ("true", True), ("false", False), ("12:30", "12:30"), ("2026-01-31", "2026-01-31"), ("1.2.3", "1.2.3"),
        ("50%", "50%"), ("8/255", "8/255"), ("30 epochs", "30 epochs"), ("90 s", "90 s"), ("none", "none"),
        ("'1'", "1"), ('"null"', "null"), ("0", 0), ("0.5", 0.5), ("0x1F", 31), ("0o17", 15), ("1_000.5", 1000.5),
        ("a:b", "a:b"), ("$net", "$net"), ("./mine.py", "./mine.py"), ("x@at=50%", "x@at=50%"), ("''", ""),
    ],
)  # fmt: skip
def test_words(word: str, value: Any) -> None:
    found = values(f"a: {word}\nb: [{word}]\n")
    assert found == {"a": value, "b": [value]}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 010", "leading-zero"), ("a: 00", "leading-zero"), ("a: 01.5", "leading-zero"), ("a: null", "no-value"),
        ("a: ~", "no-value"), ("a:", "no-value"), ("a: {b: }", "no-value"), ("a: .nan", "not-finite"),
        ("a: -.inf", "not-finite"), ("a: 1e400", "too-large"), (f"a: {'9' * 5000}", "too-large"), ("a: 1\na: 2",
        "twice"),
        ("a: &x 1", "anchor"), ("a: *x", "alias"), ("<<: {a: 1}", "merge-key"), ("a: !!int 3", "tag"),
        ("a: !t x", "tag"),
        ("--- {a: 1}\n--- {b: 2}", "second-document"), ("a:\t1", "tab"), ("\ta: 1", "tab"), ("", "empty"),
        ("# x\n", "empty"),
        ("- a", "not-a-mapping"), ("a", "not-a-mapping"), ("{a: {b: 1}: 2}", "yaml"), ("{[a]: 2}", "bad-key"),
        ("? {a: 1}\n: 2", "bad-key"), ("a: [1", "yaml"), ("a: 'x", "yaml"), ("a: @x", "yaml"), ("a: `x`", "yaml"),
        ("a: %x", "yaml"), ("a: b\n c: d", "yaml"), ("a: \x01", "yaml"), ("a: b: c", "second-colon"), ("'': 1",
        "bad-key"),
        ("%TAG ! x\n---\na: 1", "tag"), ("a: {x: y: {z: 1}}", "inner-mapping"), ("a: &x [1]\n", "anchor"),
    ],
)  # fmt: skip
def test_refused(text: str, code: str) -> None:
    assert code in codes(text)


def test_the_file_has_limits() -> None:
    assert codes("a: " + "x" * (1 << 20)) == ["too-long"]
    deep = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert "too-deep" in codes(f"a: {deep}")
    assert codes(f"a: {deep[1:-1]}") == []
    assert "too-deep" in codes("a: " + "[" * 100_000)


def test_one_document_with_its_mark_is_fine() -> None:
    assert values("%YAML 1.2\n---\na: 1\n...\n") == {"a": 1}
    assert values("\ufeffa: 1\n".removeprefix("\ufeff")) == {"a": 1}


def test_faults_leave_the_rest_readable() -> None:
    faults = Faults()
    tree = read("a: null\nb: {c: *d, e: 1}\nf: [010, 2]\n", "s.yaml", faults)
    assert tree is not None
    assert plain(tree) == {"a": BAD, "b": {"c": BAD, "e": 1}, "f": [BAD, 2]}
    assert [(fault.line, fault.column, fault.path) for fault in faults.items] == [
        (1, 4, "a"),
        (2, 8, ""),
        (3, 5, "f[0]"),
    ]


def test_places_of_keys_and_values() -> None:
    tree = read("a: 1\nbb:\n  c: [x, {d: é}]\n  'e': 2\n", "s.yaml", Faults())
    assert tree is not None
    found = {path: (item.place.line, item.place.column, key.line, key.column) for path, item, key in walk(tree)}
    assert found == {
        "a": (1, 4, 1, 1), "bb": (3, 3, 2, 1), "bb.c": (3, 6, 3, 3), "bb.c[0]": (3, 7, 3, 7), "bb.c[1]": (3, 10, 3, 10),
        "bb.c[1].d": (3, 14, 3, 11), "bb.e": (4, 8, 4, 3),
    }  # fmt: skip
    assert tree.place == Place("s.yaml", 1, 1)


plain_data = st.recursive(
    st.one_of(
        st.booleans(), st.integers(-(2**62), 2**62), st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
        st.sampled_from(["1e-3", "null", "~", "010", "50%", "a: b", "x #y", "- z", "@q", "true", ".inf", "",
        " a", "a,b", "12:30"]),
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["a", "b-c", "d", "1", "é"]), plain_data, min_size=1))
def test_what_is_written_is_read_back(data: dict[str, Any]) -> None:
    again = values(dump(data))
    assert again == data
    assert repr(again) == repr(data)  # order and types, too


@given(st.dictionaries(st.text("abcde", min_size=1), plain_data, min_size=1))
def test_a_second_reader_agrees_on_structure(data: dict[str, Any]) -> None:
    """Texts, lists and mappings as PyYAML's own loader sees them; numbers are where the two differ by design."""

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(key): shape(item) for key, item in value.items()}
        return [shape(item) for item in value] if isinstance(value, list) else None

    assert shape(yaml.load(dump(data), yaml.BaseLoader)) == shape(data)


# --- scalars -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "number"),
    [("50%", 0.5), ("8/255", 8 / 255), ("0.1%", 0.001), ("-0.5%", -0.005), (3, 3), (0.1, 0.1), ("3", None),
    (True, None),
     ("1/0", None), ("x", None), ("30 epochs", None), ("1_000%", 10.0)],
)  # fmt: skip
def test_numbers_where_one_is_due(value: Any, number: float | None) -> None:
    assert scalars.number(value) == number


@pytest.mark.parametrize(("text", "seconds"), [("90 s", 90), ("45 min", 2700), ("8 h", 28800), ("2 days", 172800),
                                                ("1.5 h", 5400), ("1 day", 86400)])  # fmt: skip
def test_times(text: str, seconds: float) -> None:
    assert scalars.seconds(text) == seconds


@pytest.mark.parametrize("value", [8, "8", "h", "8 hours", "-3 s", True, ["8 h"]])
def test_no_times(value: Any) -> None:
    with pytest.raises(ValueError, match=r"time"):
        scalars.seconds(value)


@pytest.mark.parametrize(
    ("value", "label"),
    [("mlp", "mlp"), (0.1, "0.1"), (1e-3, "0.001"), (10, "10"), ("30 epochs", "30-epochs"), ("8/255", "8_255"),
     ("./nets/mine.py", "mine"), ("package:net", "package_net"), (True, "true"), ("-1", None), (-1, None), ([1], None),
     ("50%", "50%"), ("a(b)", None)],
)  # fmt: skip
def test_labels(value: Any, label: str | None) -> None:
    assert scalars.label_of(value) == label


# --- references ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["model", "model@at=50%", "task_b.retention@step=100@strategy=naive", "ripser.*", "persist/ripser.h1_total",
     "a.b@step=*", "x@group=$arm.group", "x@net=$net", "r.rho@metric=ripser.h1_total@data=cifar100", "m@seed=42",
     "wrn-28-1", "reach@share=90%", "x@arch.family=wrn", "t.p@metric=persist/ripser.h1_total"],
)  # fmt: skip
def test_references_round_trip(text: str) -> None:
    assert str(parse_ref(text)) == text


def test_parts_of_a_reference() -> None:
    ref = parse_ref("use/name.column@lr=1e-3@at=$moment@net=$arch.net")
    assert (ref.use, ref.name, ref.column) == ("use", "name", "column")
    assert ref.at == (("lr", "0.001"), ("at", Dollar("moment")), ("net", Dollar("arch", "net")))


@pytest.mark.parametrize(
    "text", ["", "Model", "model.", "a.b.c", "model@", "model@at", "model@at=", "model@=x", "a b", "$model",
    "a@x=1@x=2",
             "a@x={}", "a-@", "a/b/c", "a@x=$Y", "a@x=$y.z.w", 3, None, ["a"]],
)  # fmt: skip
def test_no_references(text: Any) -> None:
    with pytest.raises(ValueError) as caught:
        parse_ref(text)
    assert str(caught.value).endswith(".")


@given(st.text(max_size=30))
def test_any_text_is_a_reference_or_a_sentence(text: str) -> None:
    try:
        ref = parse_ref(text)
    except ValueError as error:
        assert str(error)
    else:
        assert parse_ref(str(ref)) == ref


def test_a_colon_without_its_space_is_one_fault_that_says_so(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("study: s\nstages:\n  model: {train:supervised, net: mlp, data: digits}\n", encoding="utf-8")
    faults = check_study(str(path))[1]
    assert [(fault.code, fault.line) for fault in faults] == [("no-value", 3)]
    assert "write train: supervised" in faults[0].text
