"""Parameters that a leaf cannot do without may stand beside the verb of an analysis."""

from __future__ import annotations

import pytest

from crucis.study.load import check_study

STUDY = """\
study: s
factors:
  arch: {a: {net: mlp}, b: {net: {mlp: {widths: [8]}}}}
seeds: 6
stages:
  model: {train: supervised, net: $arch.net, data: spirals, for: 2 epochs}
analysis:
  same: {compare: LEAF, of: model.accuracy, between: arch, against: a MORE}
"""


@pytest.mark.parametrize(
    ("leaf", "more", "fault"),
    [
        ("equivalence", ", margin: 2%", None),
        ("[rope, wilcoxon]", ", margin: 0.02", None),
        ("{equivalence: {margin: 0.02}}", "", None),
        ("equivalence", "", "'equivalence' needs margin"),
        ("equivalence", ", margin: -1", "margin"),
        ("[paired_t, wilcoxon]", ", margin: 0.02", None),
        ("wilcoxon", ", margin: 0.02", "'margin' comes with a later version"),
    ],
)
def test_margin(tmp_path, leaf, more, fault):
    path = tmp_path / "s.yaml"
    path.write_text(STUDY.replace("LEAF", leaf).replace(" MORE", more), encoding="utf-8")
    study, faults = check_study(path)
    texts = [str(one) for one in faults if not one.note]
    if fault is None:
        assert not texts
        one = study.analysis["same"]
        assert 0.02 in [one.params.get("margin"), *(ref.params.get("margin") for ref in one.leaves)]
    else:
        assert any(fault in text for text in texts)
