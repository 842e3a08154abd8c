"""Times in a study: read as columns, left out when records are computed again."""

from __future__ import annotations

from lab import Lab

STUDY = """\
study: costs
seeds: 2
factors: {net: {small: {mlp: {widths: [4]}}, wide: {mlp: {widths: [32]}}}}
stages:
  model: {train: supervised, net: $net, data: digits, batch: 256, for: 1 epochs}
  scores: {measure: classification, of: model}
  cost: {measure: cost, of: model, batch: [1, 16], repeats: 5}
analysis:
  which: {compare: paired_t, of: [scores.f1, cost.latency_p50, cost.memory, cost.latency_p50@batch=16], between: net}
  size: {describe: summary, of: [cost.flops, cost.parameters], each: net}
"""


def test_costs_are_columns_and_reproduce_but_for_times(lab: Lab) -> None:
    lab.write(STUDY)
    assert lab("run", "--quiet").code == 0
    said = lab("reproduce")
    assert said.code == 0, said.all
    assert "12 records recomputed, bitwise equal (4 of them but for times, which no two runs share)" in said.out
