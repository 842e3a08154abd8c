"""The built-in protocol, whole but tiny, and the circumstances of a run that are (or are not) part of a result."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from lab import STUDY

from crucis.data.open import open_data
from crucis.data.view import apply_view
from crucis.nets import convnet, mlp
from crucis.nets.weights import restore
from crucis.study.spec import LeafRef

TINY = """
study: tiny
from: persist
set:
  seeds: 2
  let.length: 2 epochs
  let.grid: 5
  let.slices: 1
  let.images: 32
  let.probes: 2
  let.between: 3
  let.steps: [1, 2]
  let.moment: 2
  let.end: 2
  let.batch: 64
  let.lr: 0.05
  factors.data: [digits]
  factors.strategy: [naive, ewc]
  factors.arch:
    small: {net: {mlp: {widths: [8]}}, family: mlp}
    wide:  {net: {mlp: {widths: [16]}}, family: mlp}
    tiny:  {net: {convnet: {widths: [4]}}, family: convnet}
drop:   # what three networks cannot answer, and rosters that they are not part of
  - analysis.diverse
  - analysis.ladder
  - analysis.ladder-size
  - analysis.ladder-h1
  - analysis.partial
  - analysis.prediction
  - analysis.by-family
  - analysis.across
  - claims.same-everywhere
  - claims.topology-predicts
  - claims.topology-adds
  - claims.larger-forget-more
  - claims.wider-forget-more
  - claims.basins-foretell-ewc
"""


@pytest.fixture
def persist(lab):
    lab.write(TINY)
    return lab


def test_the_protocol_runs_to_its_report_and_its_columns_agree(persist):
    answer = persist("run")
    assert answer.code == 0, answer.all
    assert answer.out.count("\nINCONCLUSIVE") + answer.out.count("\nSUPPORTED") + answer.out.count("\nREFUTED") == 2
    rows = json.loads(persist("table", "--format", "json").out)
    assert len(rows) == 12
    for row in rows:
        assert {row[name] for name in row if name.endswith(".state")} == {"ok"}
        assert row["task_b.accuracy_before"] == pytest.approx(row["task_a.best_accuracy"])
        for step in ("1", "2"):
            left = row[f"task_b.accuracy_a@{step}"] / row["task_b.accuracy_before"]
            assert row[f"task_b.retention@{step}"] == pytest.approx(left)
        assert row["ripser.h0_total"] >= 0
    landscapes = persist.of_kind("measure/loss_landscape")
    assert len(landscapes) == 6
    for key, body in landscapes.items():
        _assert_centre(persist, key, body)
    again = persist("run")
    assert "0 run" in again.out
    assert again.out.splitlines()[1:] == answer.out.splitlines()[1:]


def _assert_centre(lab, key, body):
    """The middle of the grid is the loss of the network that was trained, computed here by hand."""
    folder = lab.store / "steps" / key[:2] / key
    with np.load(folder / "landscape.npz") as file:
        losses, index = file["losses"], file["index"]
    assert losses.shape == (1, 5, 5)
    assert len(index) == 32
    assert losses[0, 2, 2] == body["values"]["centre"]

    mark = lab.bodies()[body["spec"]["inputs"]["of"]]
    training = lab.bodies()[mark["spec"]["of"]]["spec"] if mark["spec"]["kind"] == "at" else mark["spec"]
    data = open_data(LeafRef("data", "digits", {}), folder=lab.folder, root=None)
    data = apply_view(data, training["data"]["view"], training["seed"])
    net = {"mlp": mlp, "convnet": convnet}[training["net"]["leaf"]]
    model = net.build(data.shape, data.classes, **training["net"]["params"])
    restore(model, lab.store / "steps" / mark["key"][:2] / mark["key"] / "model.safetensors")
    x = torch.from_numpy(data.train.x[index].astype(np.float32) / 255).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values).reshape(1, -1, 1, 1) for values in (data.mean, data.std))
    with torch.no_grad():
        logits = model.eval()((x - mean) / std)
    loss = torch.nn.functional.cross_entropy(logits.double(), torch.from_numpy(data.train.y[index]))
    assert body["values"]["centre"] == pytest.approx(float(loss), rel=1e-5)


def test_fast_is_another_result_and_a_device_is_none(lab):
    lab.study(seeds=1)
    strict = lab.keys()
    assert lab.keys("--device", "cpu") == strict
    fast = lab.keys("--fast")
    assert not set(fast.values()) & set(strict.values())
    assert lab("run", "--device", "cpu").code == 0
    answer = lab("run", "--fast")
    assert answer.code == 0, answer.all
    assert "0 cached, 4 run" in answer.out
    models = lab.of_kind("train/supervised").values()
    assert {body["numerics"]["determinism"] for body in models} == {"strict", "fast"}
    assert "4 cached, 0 run" in lab("run").out


def test_the_sets_of_a_command_are_repeated_in_what_to_do_next(lab):
    lab.write("def build(input, classes):\n    raise RuntimeError('no')\n", "net.py")
    lab.write(STUDY.format(seeds=2).replace("{mlp: {widths: [12]}}", "./net.py"))
    answer = lab("run", "--set", "seeds=1", "--stages", "model")
    assert answer.code == 3
    assert "--set 'seeds=1'" in answer.out
    assert "no claim is judged" in answer.out


def test_slices_of_a_landscape_are_units_of_an_analysis(lab):
    lab.write(
        """
study: slices
factors: {arch: {a: {net: {mlp: {widths: [4]}}}, b: {net: {mlp: {widths: [8]}}}}}
seeds: 2
stages:
  model: {train: supervised, net: $arch.net, data: digits, for: 1 epochs, batch: 256}
  plane: {measure: loss_landscape, of: model, grid: 5, slices: 3, images: 32}
analysis:
  by: {compare: kruskal_wallis, of: plane.roughness, between: arch, unit: slice}
  alike: {describe: agreement, of: plane.roughness, unit: arch, along: slice}
"""
    )
    assert lab("run").code == 0
    found = lab("table", "--analysis", "by", "--format", "csv").out.splitlines()
    assert "refused" not in found[1], found
    cells = dict(zip(found[0].split(","), found[1].split(","), strict=True))
    assert int(cells["n"]) == 6  # three slices of two networks, seeds averaged
    assert "refused" not in lab("table", "--analysis", "alike", "--format", "csv").out
