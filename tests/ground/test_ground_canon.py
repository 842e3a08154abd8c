import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crucis.canon import canonical, digest, sha256, step_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
def test_canonical_is_json_that_reads_back_to_itself(value):
    try:
        text = canonical(value)
    except ValueError as error:
        assert "normalisation" in str(error) or "surrogate" in str(error)
        return
    assert canonical(json.loads(text)) == text


@given(st.dictionaries(st.text(alphabet="abcdef", min_size=1, max_size=3), st.integers(), min_size=2))
def test_order_of_keys_does_not_count(mapping):
    turned = dict(reversed(list(mapping.items())))
    assert digest(mapping) == digest(turned)


def test_bool_int_float_are_three_things():
    assert len({digest(True), digest(1), digest(1.0)}) == 3


def test_minus_zero_is_zero():
    assert canonical(-0.0) == canonical(0.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_not_finite_is_refused_with_its_path(value):
    with pytest.raises(ValueError, match=r"a\.b\[1\]"):
        canonical({"a": {"b": [0, value]}})


@pytest.mark.parametrize("value", [b"x", {1, 2}, date(2026, 1, 1), Path("x"), object(), np.float32(0.1), np.ones(2)])
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(TypeError, match="x"):
        canonical({"x": value})


def test_numpy_scalars_by_value():
    assert canonical([np.bool_(True), np.int16(3), np.float64(0.5)]) == canonical([True, 3, 0.5])


def test_text_keys_only_and_no_two_that_meet():
    with pytest.raises(TypeError, match="no text"):
        canonical({1: 2})
    with pytest.raises(ValueError, match="normalisation"):
        canonical({"e\u0301": 1, "\u00e9": 2})
    assert canonical("e\u0301") == canonical("\u00e9")
    with pytest.raises(ValueError, match="surrogate"):
        canonical("\ud800")


def test_published_vector():
    spec = {"kind": "train/supervised", "seed": 42, "params": {"lr": 0.1, "é": [1, True]}}
    text = '{"kind":"train/supervised","params":{"lr":0.1,"é":[1,true]},"seed":42}'
    assert canonical(spec) == text
    assert step_key(spec) == sha256("crucis-step-1\n" + text)
