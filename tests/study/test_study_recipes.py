"""Published recipes in a study: references, refusals with a place, audits of what is planned and of a record."""

import json
import shutil

import pytest

from crucis.cli import main
from crucis.engine.store import Store
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
    assert {line["key"] for line in found["lines"] if line["outcome"] == "adapted"} == {"dataset", "network"}
    assert main(["recipes", "audit", path, "--set", "stages.model.lr=0.2", "--recipe", "resnet-cifar@he2016"]) == 0
    assert "lr.base" in capsys.readouterr().out
    assert main(["recipes", "audit", path, "--recipe", "wrn-28-10-cifar"]) == 1  # the reason was for another recipe
    assert "deviates from the recipe in" in capsys.readouterr().out
    assert main(["recipes", "audit", str(study(tmp_path, "resnet-cifar, lr: 0.2"))]) == 1
    assert "deviates from the recipe in dataset, network, lr.base, lr at every step" in capsys.readouterr().out
    assert main(["recipes", "audit", str(study(tmp_path, "sgd-cosine"))]) == 2
    assert "names a published recipe" in capsys.readouterr().err


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_the_audit_of_a_record(tmp_path, store):
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
    (found,) = audit_record(store, Record("a" * 64, tmp_path, body), "wrn-28-10-cifar")
    assert found.verdict.startswith("the recipe, as far as its sources speak")
    ran["not_decayed"] = ["norm.weight"]
    (found,) = audit_record(store, Record("a" * 64, tmp_path, body), "wrn-28-10-cifar")
    assert found.verdict.startswith("deviates from the recipe in weight_decay.applies_to (")
    with pytest.raises(CrucisError, match="--recipe NAME"):
        audit_record(store, Record("a" * 64, tmp_path, body))
    with pytest.raises(CrucisError, match="house recipe"):
        audit_record(store, Record("a" * 64, tmp_path, body), "sgd-cosine")


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
    work = "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385"
    recipes_ = page.partition('<section id="recipes">')[2].partition("</section>")[0]
    assert recipes_.count(work) == 1 and f"[1] {work}" in recipes_ and "[1] Sec 4.2" in recipes_
    assert any(work in row for row in rows)  # the file has each citation whole
    capsys.readouterr()
    assert main(["recipes", "audit", str(path)]) == 0
    text = capsys.readouterr().out
    assert text.count(work) == 1 and "source: [1] Sec 4.2" in text


def audit_of(capsys, *words):
    capsys.readouterr()
    code = main(["recipes", "audit", *words, "--format", "json"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if code < 2 else out.err


def trained(tmp_path):
    bodies = [json.loads(path.read_bytes()) for path in tmp_path.glob(".crucis/steps/*/*/record.json")]
    return [body["key"] for body in bodies if body["spec"]["kind"] == "train/supervised"]


def test_a_record_answers_to_every_recipe_that_it_was_asked_for_by(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, "resnet-cifar, for: 2 steps, batch: 8")
    text = path.read_text(encoding="utf-8")
    assert main(["run", str(path)]) == 0
    (key,) = trained(tmp_path)
    code, (found,) = audit_of(capsys, key[:12])
    assert code == 1 and found["recipe"] == "resnet-cifar" and found["where"] == f"{key[:12]} (published: model)"
    lines = {line["key"]: line["outcome"] for line in found["lines"]}
    assert lines["batch_size"] == lines["dataset"] == "deviates"

    # The same training, asked for by another name of the recipe and with a reason: no new key, a second answer.
    other = text.replace("study: published", "study: again").replace("recipe: resnet-cifar",
        "because: small pictures, recipe: {resnet-cifar: {reference: paper}}")  # fmt: skip
    path.with_name("again.yaml").write_text(other, encoding="utf-8")
    assert main(["run", "again.yaml"]) == 0
    assert "1 cached, 0 run" in capsys.readouterr().out
    assert trained(tmp_path) == [key]
    _, found = audit_of(capsys, key[:12])
    assert [(one["recipe"], one["where"].partition(" ")[2]) for one in found] == [
        ("resnet-cifar@paper", "(again: model)"), ("resnet-cifar", "(published: model)")]  # fmt: skip
    lines = {line["key"]: line for line in found[0]["lines"]}
    assert lines["batch_size"]["outcome"] == "adapted" and lines["batch_size"]["text"] == "small pictures"
    # A third that names no recipe says nothing; a run that asks for nothing new writes nothing.
    assert main(["run", "again.yaml"]) == 0
    assert len(list(tmp_path.glob(".crucis/ledger/recipes-*/*.json"))) == 2
    capsys.readouterr()
    code, found = audit_of(capsys, key[:12], "--recipe", "wrn-28-10-cifar")
    assert code == 1 and [one["recipe"] for one in found] == ["wrn-28-10-cifar"]


def test_a_record_that_nobody_asked_for_by_a_published_recipe_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = study(tmp_path, "sgd-cosine, for: 1 steps, batch: 8")
    path.write_text(path.read_text(encoding="utf-8").replace("{resnet_cifar: {depth: 8, width: 4}}", "mlp"), "utf-8")
    assert main(["run", str(path)]) == 0
    capsys.readouterr()
    (key,) = trained(tmp_path)
    assert "sgd-cosine is a house recipe; no publication" in audit_of(capsys, key)[1]
    for ledger in tmp_path.glob(".crucis/ledger/recipes-*"):
        shutil.rmtree(ledger)
    assert "no study of this store asked for" in audit_of(capsys, key)[1]
    assert audit_of(capsys, key, "--recipe", "resnet-cifar")[0] == 1


def test_trials_of_a_search_and_two_stages_of_one_training_are_audited(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net = "net: {resnet_cifar: {depth: 8, width: 4}}, data: shapes, for: 2 steps, batch: 8"
    (tmp_path / "tuned.yaml").write_text(f"""\
study: tuned
stages:
  tune:
    search: random
    trials: 2
    trial: {{train: supervised, {net}, recipe: resnet-cifar, lr: {{log_uniform: [0.01, 0.1]}}, because: a search}}
    maximise: accuracy
  one: {{train: supervised, {net}, recipe: resnet-cifar}}
  two: {{train: supervised, {net}, recipe: resnet-cifar@paper}}
seeds: 1
""", encoding="utf-8")  # fmt: skip
    code, found = audit_of(capsys, "tuned.yaml")
    assert code == 1
    assert {(one["where"], one["recipe"]) for one in found} == {("one", "resnet-cifar"), ("two", "resnet-cifar@paper")}
    assert main(["run", "tuned.yaml"]) == 0
    capsys.readouterr()
    _, found = audit_of(capsys, "tuned.yaml")
    trials = [one for one in found if one["where"].startswith("tune.trial")]
    assert len(trials) == 2 and all(one["ran"] for one in found)
    adapted = [line["text"] for one in trials for line in one["lines"] if line["outcome"] == "adapted"]
    assert adapted and all(text.endswith("a search") for text in adapted)


OWN = """
def train(job, ctx, *, length: str = "3 epochs", batch: int = 32, lr: float = 0.1PARAMETERS):
    pass
"""


@pytest.mark.parametrize(
    ("parameters", "recipe", "lost"),
    [("", "sgd-cosine", None),  # what it sets is the default of the trainer
     ("", "adamw-cosine", "no parameter for optimiser, weight_decay of the recipe adamw-cosine"),
     (', optimiser: str = "sgd", weight_decay: float = 0.0', "adamw-cosine", None),
     ("", "resnet-cifar", "weight_decay, decay_on, schedule, warmup, augment of the recipe")],
)  # fmt: skip
def test_what_an_own_protocol_would_pass_over_of_a_recipe_is_a_fault(tmp_path, parameters, recipe, lost):
    path = study(tmp_path, recipe)
    path.write_text(path.read_text(encoding="utf-8").replace("train: supervised", "train: ./own.py"), encoding="utf-8")
    (tmp_path / "own.py").write_text(OWN.replace("PARAMETERS", parameters), encoding="utf-8")
    faults = [fault for fault in check_study(str(path))[1] if not fault.note]
    assert [fault.path for fault in faults] == ["stages.model.recipe"] * (lost is not None), list(map(str, faults))
    assert lost is None or lost in faults[0].text
