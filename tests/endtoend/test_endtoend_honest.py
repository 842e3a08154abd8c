"""What a page says of itself must be true: which analysis was registered, what was opened, what has no interval."""

from __future__ import annotations

from crucis.engine.store import Store

ESTIMATE = '''"""Middle of a sample."""
COLUMNS = {{"middle": {{"unit": "same", "range": [None, None], "axes": []{more}}}}}


def estimate(table):
    """A number, whatever the data."""
    return {{"{name}": {value}}}
'''
STUDY = """\
study: first
seeds: 2
stages:
  model: {train: supervised, net: {mlp: {widths: [4]}}, data: digits, batch: 512, for: 1 epochs}
analysis:
  mid: {estimate: ./middle.py, of: model.accuracy}
claims:
  high: mid.middle > 0.3
"""
SEALED = """\
study: NAME
seeds: 1
stages:
  model: {train: supervised, net: {mlp: {widths: [4]}}, data: digits, batch: 512, for: 1 epochs}
  final: {measure: classification, of: model, split: test}
analysis:
  held: {describe: summary, of: final.accuracy}
"""


def middle(lab, value, *, name="middle", more=', "exact": True'):
    lab.write(ESTIMATE.format(value=value, name=name, more=more), "middle.py")


def test_an_edited_estimate_is_another_analysis(lab):
    lab.write(STUDY)
    middle(lab, 0.9)
    assert "SUPPORTED" in lab("run").out
    middle(lab, 0.1)
    again = lab("run")
    assert "REFUTED" in again.out
    assert "after the data" in again.out
    assert "after the data" in lab.page()


def test_an_estimate_without_an_interval_decides_nothing(lab):
    lab.write(STUDY)
    middle(lab, 0.9, more="")
    answer = lab("run")
    assert "INCONCLUSIVE" in answer.out
    assert "no interval" in answer.out


def test_columns_that_are_not_declared_are_refused(lab):
    lab.write(STUDY)
    middle(lab, 0.9, name="midle")
    answer = lab("run")
    assert "INCONCLUSIVE" in answer.out
    assert "midle" in lab.page()


def test_a_rename_does_not_open_the_seal(lab):
    lab.write(SEALED.replace("NAME", "one"))
    assert lab("run").code == 4
    assert lab("unseal").code == 0
    lab.write(SEALED.replace("NAME", "two"), "two.yaml")
    answer = lab("run", study="two.yaml")
    assert answer.code == 4, answer.all
    assert "1 steps wait for the seal" in answer.out
    page = lab.page("two")
    assert "Other studies of this store opened the test split of digits 1 time." in page
    table = lab("table", "--format", "csv", study="two.yaml").out
    assert "sealed" in table
    assert "final.accuracy" not in table
    assert "final.accuracy" in lab("table", "--format", "csv").out


def test_the_digest_is_that_of_the_first_registration_and_going_back_is_going_back(lab):
    lab.study()
    assert lab("run").code == 0
    first = Store(lab.store).lines("registrations-first")[0]["digest"][:12]
    lab.edit("which.effect@net=wide > 0", "which.effect@net=wide < 0")
    changed = lab("run")
    assert "after the data" in changed.out
    second = Store(lab.store).lines("registrations-first")[1]["digest"][:12]
    page = lab.page()
    assert page.index(first) < page.index(second)
    lab.edit("which.effect@net=wide < 0", "which.effect@net=wide > 0")
    back = lab("run")
    assert "after the data" not in back.out
    assert "after the data" not in lab.page()


def test_a_changed_plan_counts_the_results_that_were_seen(lab):
    lab.study()
    assert lab("run").code == 0
    lab.edit("for: 2 epochs", "for: 1 epochs")
    lab.edit("which.effect@net=wide > 0", "which.effect@net=wide < 0")
    assert "after the data" in lab("run").out
