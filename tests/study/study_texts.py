"""Two studies that have no fault; tests break them one word at a time."""

from __future__ import annotations

from pathlib import Path

from crucis.study.load import study_from_text

PERSIST = """
study: persist
factors:
  arch:
    small: {net: {mlp: {widths: [8]}}, family: mlp, depth: 1}
    big:   {net: {mlp: {widths: [64, 64]}}, family: mlp, depth: 2}
    cnn:   {net: convnet, family: cnn, depth: 3}
    deep:  {net: {mlp: {widths: [64, 64, 64]}}, family: mlp, depth: 4}
  data: [digits, shapes]
stages:
  task_a: {train: supervised, net: $arch.net, data: $data, view: {classes: first-half}, for: 2 epochs, select: accuracy}
  landscape: {measure: loss_landscape, of: task_a@at=best, grid: 5, slices: 3}
  ripser: {measure: persistence, of: landscape, engine: ripser, complex: cells}
  task_b: {perturb: second_task, of: task_a@at=best, data: $data, view: {classes: second-half}, record_at: [10, 25, 50]}
  test: {measure: classification, of: task_a, split: test}
derive:
  ret: task_b.retention@step=50
  log_params: log(task_a.parameters)
  gap: task_a.train_accuracy - test.accuracy
analysis:
  association: {correlate: [spearman, kendall], of: [ripser.*, arch.depth], with: [ret], each: data}
  partial:
    {correlate: partial_spearman, of: ripser.h1_total, with: [task_b.retention@step=*], given: log_params, each: data}
  which: {compare: paired_t, of: task_a.accuracy, between: arch, against: small, each: data}
  many: {describe: summary, of: [task_a.accuracy, ret]}
claims:
  a: {holds_if: [association.rho@method=spearman@metric=ripser.h1_total > 0.3], each: data}
  b: which.effect@arch=big@data=digits > 1%
"""

FIRST = """
study: first
factors: {net: [mlp, convnet]}
stages:
  model: {train: supervised, net: $net, data: digits}
analysis:
  which: {compare: paired_t, of: model.accuracy, between: net}
"""


def read(text, folder=Path()):
    """The study of a text that has no fault, and its notes."""
    study, faults = study_from_text(text, folder, file="s.yaml")
    assert study is not None, "\n".join(map(str, faults))
    return study


def faults_of(old, new, base=PERSIST, folder=Path()):
    """The faults (no notes) after one change of a text."""
    assert base.count(old) >= 1, old
    _, faults = study_from_text(base.replace(old, new, 1), folder, file="s.yaml")
    return [fault for fault in faults if not fault.note]
