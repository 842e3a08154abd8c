"""Claims held against the facts. Expected outcomes are worked out by hand from the papers."""

import json
from itertools import pairwise

import pytest

from crucis.cli import main
from crucis.train.published import facts
from crucis.train.published.claims_file import ClaimsError, read
from crucis.train.published.derivations import derivations
from crucis.train.published.judging import Claim, judge
from crucis.train.published.quantities import unit_of
from crucis.train.published.references import ASIDE

RIGHT = [
    # 600,000 x 256 / 1,281,167 = 119.889 epochs
    ("resnet-imagenet", "schedule.total", 120, "epochs", None),
    ("resnet-imagenet", "schedule.total", 119.89, "epochs", "paper"),
    ("resnet-imagenet", "schedule.total", 600000, "iterations", "he2016"),
    # 64,000 x 128 / 50,000 = 163.84; 32,000 x 128 / 50,000 = 81.92
    ("resnet-cifar", "schedule.total", 163.84, "epochs", None),
    ("resnet-cifar", "schedule.total", 164, "epochs", "reimplementation"),
    ("resnet-cifar", "schedule.milestones", [81.92, 122.88], "epochs", None),
    ("resnet-cifar", "schedule.milestones", [80, 121], "epochs", "fb-resnet-torch"),
    ("resnet-cifar", "schedule.milestone_1", 32000, "iterations", None),
    ("resnet-cifar", "optimizer.nesterov", True, None, "reimplementation"),
    # 200 x 50,000 / 128 = 78,125, or 200 x 390 = 78,000 without the last partial batch
    ("wrn-28-10-cifar", "schedule.total", 78125, "iterations", "paper"),
    ("wrn-28-10-cifar", "schedule.total", 78000, "iterations", "paper"),
    # 90 x 1,281,167 / 256 = 450,410.27
    ("densenet121", "schedule.total", 450410, "iterations", None),
    ("densenet121", "schedule.total", 450000, "iterations", None),
    ("vgg-imagenet", "schedule.total", 74, "epochs", None),
    ("vgg-imagenet", "schedule.total", 73.93, "epochs", None),
    ("resnet-imagenet", "result.top1_error.resnet18", 0.2788, "fraction", None),
    ("resnet-imagenet", "optimizer.name", "SGD", None, None),
    ("swin-t", "optimizer.grad_clip_norm", 5, None, "authors-code"),
    ("deit-ti-s", "reg.label_smoothing", 10, "%", "paper"),
    # 600,000 x 256 = 153,600,000 images; 300 x 1,281,167 = 384,350,100
    ("resnet-imagenet", "schedule.total", 153600000, "images", None),
    ("deit-ti-s", "schedule.total", 384350100, "images", None),
    # floor(1,281,167 / 256) = 5,004 full batches, 5,005 with the rest
    ("resnet-imagenet", "schedule.iterations_per_epoch", 5004, "iterations", None),
    ("resnet-imagenet", "schedule.iterations_per_epoch", 5005, "iterations", None),
    # trainings beside the recipe's count with their own batch: 90 x 1,281,167 / 16,384 = 7,037.66 and
    # 300 x 1,281,167 / 256 = 1,501,367.6; fine-tuning is on ImageNet-1k: 20,000 x 512 / 1,281,167 = 7.99
    ("mae-vitb16", "linprobe.total", 7038, "iterations", None),
    ("mobilenet-v2", "torchvision.total", 1501368, "iterations", None),
    ("vit-b16-imagenet-21k", "finetune.total_imagenet", 7.993, "epochs", None),
    ("mobilenet-v2", "schedule.total_8_gpus", 419.62, "epochs", None),  # 700,000 x 8 x 96 / 1,281,167
    # 0.97 ^ (1 / 2.4) = 0.98739; 0.98 ^ (96 / 1,281,167) = 0.9999984862
    ("efficientnet-b0", "schedule.gamma", 0.98739, "per epoch", None),
    ("mobilenet-v2", "schedule.gamma", 0.9999984862, "per iteration", None),
    # sentences that give numbers, and words for true and none
    ("resnet-imagenet", "aug.resize_shorter_side", [256, 480], "pixels", None),
    ("wrn-28-10-cifar", "reg.dropout", 0, None, None),
    ("wrn-28-10-cifar", "reg.dropout", 0.3, None, None),
    ("resnet-imagenet", "aug.crop", 224, None, None),
    ("resnet-imagenet-torch", "optimizer.nesterov", "yes", None, None),
    ("resnet-imagenet", "ema.decay", False, None, None),
    ("ewc-permuted-mnist", "schedule.total.fig3a", 20, "epochs", None),
]  # fmt: skip
WRONG = [
    ("resnet-imagenet", "schedule.total", 90, "epochs", None, "fb-resnet-torch"),
    ("resnet-imagenet", "schedule.total", 119.88, "epochs", None, ""),
    ("resnet-imagenet", "schedule.total", 600001, "iterations", None, ""),
    ("resnet-cifar", "schedule.milestones", [80, 121], "epochs", None, "fb-resnet-torch"),
    ("resnet-cifar", "schedule.milestones", [32000], "iterations", None, ""),
    ("vgg-imagenet", "weight_decay.value", 1e-4, None, "paper", "tv-ref"),
    ("mae-vitb16", "schedule.total", 1600, "epochs", None, "schedule.total_released"),
    ("swin-t", "optimizer.grad_clip_norm", 5.0, None, None, "authors-code"),
    ("resnet-imagenet", "result.top1_error.resnet18", 0.2788, "%", None, ""),
    ("deit-ti-s", "weight_decay.coupling", "l2", None, None, ""),
    ("densenet121", "schedule.total", 450411, "iterations", None, ""),
    ("resnet-imagenet-torch", "optimizer.nesterov", 1, None, None, ""),
    ("mae-vitb16", "linprobe.total", 28151, "iterations", None, ""),  # that would be at batch 4,096
    ("vit-b16-imagenet-1k", "finetune.total_imagenet", 63.94, "epochs", None, ""),
    ("vit-b16-imagenet-21k", "finetune.total_imagenet", 0.73, "epochs", None, ""),
    ("mobilenet-v2", "schedule.total_8_gpus", 52.45, "epochs", None, ""),
    ("efficientnet-b0", "schedule.gamma", 0.97, "per epoch", None, ""),
    ("resnet-imagenet", "schedule.total", 115305030, "images", None, "fb-resnet-torch"),
    ("wrn-28-10-cifar", "reg.dropout", 0.5, None, None, ""),
    ("resnet-imagenet", "ema.decay", 0.9999, None, None, ""),
    # 150,136.76 and 300,273.52, or 150,120 and 300,240, and no mixture
    ("resnet-imagenet-torch", "schedule.milestones", [150137, 300240], "iterations", None, ""),
    ("deit-ti-s", "lr.base", 0.001, None, None, "rate at batch 1024: 0.0005 x 1024 / 512 = 0.001"),
]  # fmt: skip


@pytest.mark.parametrize(("recipe", "key", "claimed", "unit", "reference"), RIGHT)
def test_right(recipe, key, claimed, unit, reference):
    assert judge(Claim(recipe, key, claimed, unit, reference)).outcome == "right"


@pytest.mark.parametrize(("recipe", "key", "claimed", "unit", "reference", "elsewhere"), WRONG)
def test_wrong_and_whose_value_it_is(recipe, key, claimed, unit, reference, elsewhere):
    found = judge(Claim(recipe, key, claimed, unit, reference))
    assert found.outcome == "wrong"
    assert elsewhere in " ".join(found.elsewhere)
    assert bool(elsewhere) == bool(found.elsewhere)


@pytest.mark.parametrize(
    ("recipe", "key", "claimed"),
    [("vit-b16-imagenet-1k", "torchvision.warmup", 9384), ("vit-b16-imagenet-1k", "mae_scratch.total", 93600),
     ("efficientnet-b0", "schedule.decay_every", 751)],
)  # fmt: skip
def test_iterations_without_a_batch_to_count_them_with_are_unknown(recipe, key, claimed):
    found = judge(Claim(recipe, key, claimed, "iterations"))
    assert found.outcome == "unknown" and "nothing that turns this into iterations" in found.text
    assert "epochs" in found.correct[0]


def test_a_wrong_claim_is_answered_with_value_arithmetic_and_source():
    found = judge(Claim("resnet-imagenet", "schedule.total", 90, "epochs"))
    assert found.correct == ("119.89 epochs",)
    assert found.arithmetic == ("600,000 x 256 / 1,281,167 = 119.89 epochs",)
    assert "Deep Residual Learning" in found.source[0]
    assert "Sec 3.4" in found.source[0]


@pytest.mark.parametrize(
    ("recipe", "key", "claimed", "reference"),
    [("resnet-imagenet", "schedule.milestones", [30, 60], None), ("resnet-cifar", "optimizer.nesterov", True, None),
     ("efficientnet-b0", "schedule.total", 350, "paper"), ("efficientnet-b0", "ema.decay", 0.9999, "tan2019eff"),
     ("resnet-imagenet", "reg.label_smoothing", 0.1, None), ("resnet-cifar", "learning_rate", 0.1, None)],
)  # fmt: skip
def test_what_no_paper_says_is_unknown(recipe, key, claimed, reference):
    assert judge(Claim(recipe, key, claimed, "epochs" if "schedule" in key else None, reference)).outcome == "unknown"


def test_an_alias_is_offered_its_key():
    assert "'lr.base'" in judge(Claim("resnet-cifar", "learning_rate", 0.1)).text


def test_another_references_key_is_not_published():
    found = judge(Claim("vgg-imagenet", "weight_decay.value", 5e-4, None, "authors-code"))
    assert found.outcome == "not published"
    assert "paper" in found.elsewhere[0]
    # 0.9 is authors' code's only; the paper gives the momentum nowhere
    assert judge(Claim("simclr-r50", "optimizer.momentum", 0.9, None, "paper")).outcome == "not published"


def test_the_learning_rate_at_another_batch_follows_the_recipes_rule():
    at = lambda name, rate, batch: judge(Claim(name, "lr.base", rate, batch=batch)).outcome  # noqa: E731
    assert at("deit-ti-s", 0.001, 1024) == "right"  # 5e-4 x 1024 / 512
    assert at("deit-ti-s", 0.0005, 1024) == "wrong"
    assert at("simclr-r50", 4.8, 4096) == "right"  # 0.3 x 4096 / 256
    assert at("resnet-cifar", 0.1, 128) == "right"
    assert at("efficientnet-b0", 0.128, 2048) == "right"  # 0.016 x 2048 / 256
    assert at("efficientnet-b0", 0.1, 2048) == "wrong"  # one digit rounds it, by 22 %
    assert at("ewc-permuted-mnist", 0.1, 128) == "unknown"  # no reference has one rate
    assert at("resnet-cifar", 0.2, 256) == "not published"


def test_a_rate_of_one_reference_is_not_another_ones():
    at = lambda who: judge(Claim("efficientnet-b0", "lr.base", 0.128, None, who, 2048)).outcome  # noqa: E731
    assert at("authors-code") == "right"  # 0.016 x 2048 / 256
    assert at("paper") == "not published"  # its 0.256 has no batch in the paper
    assert at("reimplementation") == "not published"


def file(tmp_path, text):
    path = tmp_path / "claims.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_fault_of_a_file_has_its_line(tmp_path):
    path = file(
        tmp_path,
        """\
- {recipe: resnet-imagenet, key: schedule.total, claimed: 90}
- {recipe: resnet-imagnet, key: schedule.total, claimed: 90, unit: epochs}
- {recipe: resnet-imagenet, key: schedule.total, claimed: 90, unit: epocs}
- {recipe: resnet-imagenet, key: batch_size, claimed: .nan}
- {recipe: resnet-imagenet, key: lr.base, value: 0.1}
- {recipe: resnet-imagenet, key: lr.base, claimed: 0.1, reference: papr}
- {recipe: resnet-imagenet, key: optimizer.momentum, claimed: 0.9, batch: 64}
- 7
- {recipe: resnet-imagenet, key: schedule.total, claimed: 90, unit: pixels}
""",
    )
    with pytest.raises(ClaimsError) as caught:
        read(path)
    faults = caught.value.faults
    assert [fault.line for fault in faults] == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
    text = str(caught.value)
    for part in ("unit: iterations or unit: epochs", "'resnet-imagenet'", "'epoch", "finite", "'claimed' is missing",
                 "'paper'", "lr.base and lr.peak only", "got pixels"):  # fmt: skip
        assert part in text
    assert main(["recipes", "audit", "--claims", str(path)]) == 2


def test_aliases_of_aliases_and_deep_lists_are_one_fault(tmp_path):
    names = "abcdefghij"
    grow = ",".join(f"&{new} [{','.join(['*' + old] * 9)}]" for old, new in pairwise(names))
    for claimed in (f"[&a [1], {grow}]", "[" * 3000 + "]" * 3000):
        with pytest.raises(ClaimsError) as caught:
            read(file(tmp_path, f"- {{recipe: resnet-cifar, key: lr.base, claimed: {claimed}}}"))
        assert len(caught.value.faults) == 1 and len(str(caught.value)) < 300


def test_what_is_derived_rests_on_batches_that_the_sources_give():
    every = {key: text for recipe in facts.recipes().values() for key, _, text in derivations(recipe)
             if key.partition(".")[0] in ASIDE or key.endswith("gpus")}  # fmt: skip
    assert every["linprobe.total"].startswith("90 x 78 =") or "16,384" in every["linprobe.total"]
    assert every["schedule.total_8_gpus"] == "700,000 x 768 / 1,281,167 = 419.62 epochs"
    assert "mae_scratch.total" not in every  # its batch is no fact
    texts = [text for key, _, text in derivations(facts.get("efficientnet-b0")) if key == "schedule.gamma"]
    assert texts[0] == "0.97 ^ (1 / 2.4) = 0.98738886 per epoch, without stairs"
    assert texts[1].startswith("at batch 4096: 2.4 x 1,281,167 / 4,096 = 750.68 iterations; ")


def test_every_section_with_times_is_the_recipes_own_or_another_trainings():
    own = {"schedule", "teacher", "head", "replay", "target_update"}
    found = {fact.key.partition(".")[0] for one in facts.recipes().values() for fact in one.facts
             if unit_of(fact.unit) in ("iterations", "epochs")}  # fmt: skip
    assert found <= own | ASIDE


@pytest.mark.parametrize("text", ["", "{}", "- [", "a: 1", "[]", "\t- x"])
def test_no_list_of_claims_is_one_located_fault(tmp_path, text):
    with pytest.raises(ClaimsError) as caught:
        read(file(tmp_path, text))
    assert len(caught.value.faults) == 1


def test_yaml_texts_that_are_numbers_are_read_as_numbers(tmp_path):
    claims = read(
        file(
            tmp_path,
            """\
claims:
- {recipe: resnet-imagenet, key: weight_decay.value, claimed: 1e-4}
- {recipe: resnet-imagenet, key: schedule.total, claimed: "600,000", unit: steps}
- {recipe: resnet-imagenet, key: schedule.total, claimed: 120 epochs}
- {recipe: resnet-imagenet, key: ema.decay, claimed: null}
""",
        )
    )
    assert [claim.claimed for claim in claims] == [1e-4, 600000, 120, "none"]
    assert [claim.unit for claim in claims] == [None, "iterations", "epochs", None]
    assert {judge(claim).outcome for claim in claims} == {"right"}


def test_the_command_ends_with_1_when_a_claim_is_wrong(tmp_path, capsys):
    wrong = "- {recipe: resnet-imagenet, key: schedule.total, claimed: 90, unit: epochs}"
    right = "- {recipe: resnet-imagenet, key: schedule.total, claimed: 120, unit: epochs}"
    assert main(["recipes", "audit", "--claims", str(file(tmp_path, right))]) == 0
    capsys.readouterr()
    assert main(["recipes", "audit", "--claims", str(file(tmp_path, wrong)), "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["correct"] == ["119.89 epochs"]


def test_list_and_show(capsys):
    assert main(["recipes", "list", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in rows].count("published") == 24
    assert {row["recipe"] for row in rows if row["kind"] == "house"} == {"sgd-cosine", "adamw-cosine"}
    for row in rows:
        assert main(["recipes", "show", row["recipe"]]) == 0
    text = capsys.readouterr().out
    assert "600,000 x 256 / 1,281,167 = 119.89 epochs" in text
    assert "(the references disagree)" in text


def shown(capsys, *written):
    assert main(["recipes", "show", *written]) == 0
    return capsys.readouterr().out


def test_show_tells_what_the_trainer_would_do_and_what_a_study_must_write(capsys):
    text = shown(capsys, "deit-ti-s").partition("what `train: supervised` with `recipe: deit-ti-s` does:")[2]
    for part in ("optimiser: {adamw: {eps: 1e-08}}", "for: 300 epochs", "warmup_from: 0.001", "repeats: 3",
                 "{rand_augment: {magnitude: 9, deviation: 0.5}}", "chosen without a source:"):  # fmt: skip
        assert part in text
    assert "a study must write:" not in text
    text = shown(capsys, "mobilenet-v2").partition("a study must write:")[2].partition("chosen without")[0]
    assert [line.split(":")[0].strip() for line in text.splitlines() if line] == ["for", "augment"]
    assert "for: 164 epochs" in shown(capsys, "resnet-cifar@reimplementation")
    text = shown(capsys, "ewc-atari")
    assert "what `train: q_learning` with `recipe: ewc-atari` does:" in text and "ewc_start: 5000000" in text
    assert "  games: no fact says which games" in text.partition("a study must write:")[2]
    found = json.loads(shown(capsys, "vgg-imagenet", "--format", "json"))
    assert found["parameters"]["for"] == "370000 steps" and list(found["to_write"]) == ["augment"]
    assert found["protocol"] == "supervised" and found["missing"] == [] and found["facts"]
    assert json.loads(shown(capsys, "dino-vits16", "--format", "json"))["protocol"] == "dino"
    assert "AdamW, linear warm-up" in shown(capsys, "adamw-cosine")
    assert main(["recipes", "show", "resnet-cifr"]) == 2
    assert "Did you mean 'resnet-cifar'" in capsys.readouterr().err


GIVEN = [(recipe, fact) for recipe in facts.recipes().values() for fact in recipe.facts if fact.role != "derived"]


def test_every_fact_is_right_of_its_own_source_and_wrong_when_changed():
    changed = 0
    for recipe, fact in GIVEN:
        source = fact.source.partition(":")[0]
        who = source if source in facts.sources() else fact.role
        unit = unit_of(fact.unit)
        assert judge(Claim(recipe.id, fact.key, fact.value, unit, who)).outcome == "right", (recipe.id, fact)
        if type(fact.value) in (int, float) and fact.value and len(recipe.of(fact.key)) == 1:
            found = judge(Claim(recipe.id, fact.key, fact.value * 1.01, unit, who))
            assert found.outcome == "wrong", (recipe.id, fact)
            changed += 1
    assert changed > 200


@pytest.mark.parametrize(
    "claimed", ["!!timestamp x", "!!float ''", "&a [*a]", "[[1]]", "{a: 1}", "9" * 400, ".inf", "''"]
)
def test_strange_values_are_texts_or_one_fault(tmp_path, claimed):
    path = file(tmp_path, f"- {{recipe: resnet-cifar, key: lr.base, claimed: {claimed}}}")
    try:
        assert judge(read(path)[0]).outcome == "wrong"
    except ClaimsError as error:
        assert [fault.line for fault in error.faults] == [1]
