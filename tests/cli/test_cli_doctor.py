"""`crucis doctor` on real records: exit codes, order, and the form for machines."""

from __future__ import annotations

import json


def test_findings_in_words_and_for_machines(finished):
    answer = finished("doctor", "--quick")
    assert answer.code == 1, answer.all  # two seeds are too few
    assert answer.out.startswith("first: 1 serious")
    assert "!! 2 seeds" in answer.out and "-> crucis run study.yaml --set seeds=3" in answer.out
    assert max(map(len, answer.out.splitlines())) <= 100
    found = json.loads(finished("doctor", "--quick", "--format", "json").out)
    assert [one["rule"] for one in found if one["grade"] == "serious"] == ["few_seeds"]
    assert all({"rule", "grade", "says", "action", "evidence", "keys"} == set(one) for one in found)


def test_nothing_serious_is_no_error(finished):
    answer = finished("doctor", "--quick", "--set", "seeds=3")
    assert answer.code == 0 and "2 steps of 12 have no record" not in answer.out
    assert "have no record yet" in answer.out
