"""What a run says while it goes: alerts, reactions and warnings of trainings; and which options a run before had."""

from __future__ import annotations

from lab import said

NET = """\
import math

import torch
from torch import nn


class Wounded(nn.Module):
    def __init__(self, features, classes, at):
        super().__init__()
        self.dense, self.at, self.passes = nn.Linear(features, classes), at, 0

    def forward(self, x):
        self.passes += self.training and torch.is_grad_enabled()
        return self.dense(x.flatten(1)) * (math.nan if self.training and self.passes == self.at else 1)


def build(input, classes, *, at: int = 0):
    return Wounded(math.prod(input), classes, at)
"""
STUDY = """\
study: told
seeds: 1
factors: {do: [stop, lower_lr]}
stages:
  model:
    train: supervised
    net: {./wounded.py: {at: 3}}
    data: digits
    batch: 256
    for: 1 epochs
    evaluate_every: 1 steps
    on_not_finite: $do
    watch: {lr > 0: [log, {mail: me@example.org}], gpu_memory > 90%: log}
"""


def test_a_run_says_what_happens_in_its_trainings(lab, monkeypatch):
    monkeypatch.delenv("CRUCIS_SMTP", raising=False)
    (lab.folder / "wounded.py").write_text(NET, encoding="utf-8")
    lab.write(STUDY)
    answer = said(["run", str(lab.folder / "study.yaml"), "--workers", "1", "--device", "cpu"])
    assert answer.code == 0, answer.all
    heard = [line for line in answer.err.splitlines() if "lower_lr" in line and not line.startswith("[")]
    assert "alert: model lower_lr seed 42 lr > 0.0 (lr = 0.1) at step 1" in heard
    went_back = "restore because of loss_not_finite at step 3, back to 2, factor 0.5"
    assert f"reaction: model lower_lr seed 42 {went_back}" in heard
    assert any(line.startswith("warn: ") and "did not reach me@example.org: " in line for line in heard)
    assert any(line.startswith("warn: ") and "no rule on it will hold" in line for line in heard)
    page = lab.page("told")
    assert "how trainings of model reacted" in page and "1 of 2 trainings reacted" in page and "back to 2" in page
    assert "diverged: model stop seed 42" in lab("status").out and "not finite (step 3)" in lab("status").out


def test_options_of_the_run_before_are_told(lab):
    lab.write("study: told\nseeds: 1\nstages: {model: {train: supervised, net: mlp, data: digits, for: 1 epochs}}\n")
    assert lab("run", "--fast").code == 0
    for command in ("status", "table", "report"):
        answer = lab(command)
        assert "the last run of this study was given --fast" in answer.err and f"crucis {command} " in answer.err
        assert "the last run" not in lab(command, "--fast").err
    assert lab("run").code == 0
    assert "the last run" not in lab("status").err
