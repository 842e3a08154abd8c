"""Published recipes in a study: references, refusals with a place, audits of what is planned and of a record."""

import json

import pytest

from crucis.cli import main
from crucis.errors import CrucisError
from crucis.records import Record
from crucis.study.auditing import audit_record
from crucis.study.load import check_study
from crucis.train import recipes
from crucis.train.published.rates import Rates
from crucis.train.settings import resolve

STUDY = """\
study: published
question: Does the recipe train?
stages:
  model: {train: supervised, net: {resnet_cifar: {depth: 8, width: 4}}, data: shapes, recipe: RECIPE}
seeds: 1
"""


def study(tmp_path, recipe):
    path = tmp_path / "published.yaml"
    path.write_text(STUDY.replace("RECIPE", recipe), encoding="utf-8")
    return path


@pytest.mark.parametrize("recipe", ["resnet-cifar", "{resnet-cifar: {reference: paper}}", "sgd-cosine",
                                    "{wrn-28-10-cifar: {reference: authors-code}}"])  # fmt: skip
def test_a_study_names_a_recipe_and_a_reference(tmp_path, recipe):
    assert not check_study(str(study(tmp_path, recipe)))[1]


@pytest.mark.parametrize(
    ("recipe", "says"),
    [("mobilenet-v3", "Write for: and augment: beside it"), ("resnet-cifr", "Did you mean 'resnet-cifar'"),
     ("{resnet-cifar: {reference: papr}}", "Did you mean 'paper'"),
     ("{resnet-cifar: {from: paper}}", "'reference' only"),
     ("{resnet-cifar: paper}", "'reference' only"),
     ("mae-vitb16", "is a recipe of the protocol mae, and this stage trains by supervised. Write train: mae"),
     ("ewc-atari", "recipe of the protocol q_learning, and this stage")],
)  # fmt: skip
def test_what_cannot_be_trained_is_one_fault_at_its_place(tmp_path, recipe, says):
    faults = check_study(str(study(tmp_path, recipe)))[1]
    assert len(faults) == 1
    assert faults[0].line == 4
    assert says in faults[0].text


@pytest.mark.parametrize(
    ("train", "recipe", "faulty"),
    [("mae", "mae-vitb16", False), ("moco_v3", "mocov3-vit", False), ("mae", "adamw-cosine", False),
     ("dino", "{dino-vits16: {}}, for: 2 epochs", False), ("dino", "dino-vits16", True), ("mae", "simclr-r50", True)],
)  # fmt: skip
def test_self_supervised_recipes_belong_to_their_protocols(tmp_path, train, recipe, faulty):
    path = study(tmp_path, recipe)
    text = path.read_text(encoding="utf-8").replace("train: supervised", f"train: {train}")
    path.write_text(text.replace("{resnet_cifar: {depth: 8, width: 4}}", "{vit: {width: 16}}"), encoding="utf-8")
    faults = check_study(str(path))[1]
    assert [fault.line for fault in faults] == ([4] if faulty else [])


def test_what_no_source_gives_is_one_fault_until_it_is_written(tmp_path):
    faults = check_study(str(study(tmp_path, "mobilenet-v2")))[1]
    assert [(fault.line, fault.code) for fault in faults] == [(4, "missing-parameter")]
    assert "no source that is followed gives the length of the training); augment (the sources" in faults[0].text
    faults = check_study(str(study(tmp_path, "mobilenet-v2, augment: [flip]")))[1]
    assert [fault.text.rpartition(". ")[2] for fault in faults] == ["Write for: beside it."]
    assert not check_study(str(study(tmp_path, "mobilenet-v2, for: 5 epochs, augment: [flip]")))[1]


def test_a_vision_transformers_recipe_is_planned_with_its_warmup(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(study(tmp_path, "vit-b16-imagenet-1k, batch: 64, for: 4 epochs, because: small data"))
    assert main(["recipes", "audit", path, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    lines = {line["key"]: line for line in found["lines"]}
    assert (
        lines["optimizer.name"]["outcome"] == "derived" and "decoupled chosen here" in lines["optimizer.name"]["text"]
    )
    assert lines["weight_decay.coupling"]["outcome"] == "unknown"
    assert lines["optimizer.grad_clip_norm"]["outcome"] == lines["weight_decay.value"]["outcome"] == "exact"
    assert lines["schedule.warmup"]["outcome"] == "derived"
    assert "the same share of 4 epochs" in lines["schedule.warmup"]["text"]


def test_the_audit_of_a_plan(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = str(study(tmp_path, "resnet-cifar, because: no CIFAR here"))
    assert main(["recipes", "audit", path, "--format", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["ran"] is False
    assert {line["key"] for line in found["lines"] if line["outcome"] == "adapted"} == {"dataset"}
    assert main(["recipes", "audit", path, "--set", "stages.model.lr=0.2", "--recipe", "resnet-cifar@he2016"]) == 0
    assert "lr.base" in capsys.readouterr().out
    assert main(["recipes", "audit", str(study(tmp_path, "resnet-cifar, lr: 0.2"))]) == 1
    assert "deviates from the recipe in dataset, lr.base, lr at every step" in capsys.readouterr().out
    assert main(["recipes", "audit", str(study(tmp_path, "sgd-cosine"))]) == 2
    assert "names a published recipe" in capsys.readouterr().err


def test_the_audit_of_a_record(tmp_path):
    params, _ = recipes.with_recipe("wrn-28-10-cifar", {})
    settings = resolve(params, 50000)
    rates = Rates.of([settings.lr * factor for factor in settings.multipliers()])
    group = {"options": {"momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}, "tensors": 9, "weights": 99}
    ran = {
           "optimiser": "SGD", "groups": [group], "not_decayed": [], "rates": rates.as_dict(), "updates": 78000,
           "batch": 128, "n_train": 50000, "steps_per_epoch": 390, "label_smoothing": 0.0, "clip": None, "ema": None,
           "augment": [{"name": "crop", "padding": 4, "fill": "reflect"}, {"name": "flip", "probability": 0.5}],
    }  # fmt: skip
    body = {"spec": {"kind": "train/supervised", "params": params}, "notes": {"trained": ran}}
    found = audit_record(Record("a" * 64, tmp_path, body), "wrn-28-10-cifar")
    assert found.verdict.startswith("the recipe, as far as its sources speak")
    ran["not_decayed"] = ["norm.weight"]
    found = audit_record(Record("a" * 64, tmp_path, body), "wrn-28-10-cifar")
    assert found.verdict.startswith("deviates from the recipe in weight_decay.applies_to (")
    with pytest.raises(CrucisError, match="--recipe NAME"):
        audit_record(Record("a" * 64, tmp_path, body), None)
    with pytest.raises(CrucisError, match="house recipe"):
        audit_record(Record("a" * 64, tmp_path, body), "sgd-cosine")


def test_the_report_holds_what_ran_against_the_publication(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, "resnet-cifar, for: 2 steps, batch: 8, because: a shorter training on other pictures")
    assert main(["run", str(path)]) == 0
    page = (tmp_path / "report" / "published" / "index.html").read_text(encoding="utf-8")
    assert '<section id="recipes">' in page
    assert "1 training, as it ran: an adaptation of the recipe" in page
    rows = (tmp_path / "report" / "published" / "tables" / "audit-resnet-cifar-1.csv").read_text("utf-8").splitlines()
    assert any(row.startswith("adapted,batch_size,128 images,8") for row in rows)
    assert any(row.startswith("exact,optimizer.momentum,0.9,0.9") for row in rows)
