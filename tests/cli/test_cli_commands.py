"""Each command: what it answers when all is well, and one clear line when it is not."""

from __future__ import annotations

import csv
import inspect
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from lab import STUDY, clean_error, environment, said

import crucis
from crucis.cli.parser import COMMANDS, parse
from crucis.errors import CrucisError
from crucis.study.load import load_study

FAULTY = (
    STUDY.format(seeds=2).replace("train: supervised", "train: supervized").replace("between: net", "between: nett")
)


def python(code: str, *arguments: str, cwd=None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        cwd=cwd,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_everywhere(command):
    answer = said([*([command] if command else []), "--help"])
    assert answer.code == 0
    assert "usage: crucis" in answer.out
    assert "Traceback" not in answer.all


def test_version_and_no_command():
    assert said(["--version"]).out.strip() == f"crucis {crucis.__version__}"
    assert said([]).code == 2
    assert said(["rum"]).code == 2


@pytest.mark.parametrize(
    "words",
    [
        ["check", "nowhere.yaml"], ["plan", "nowhere.yaml"], ["run", "nowhere.yaml"], ["status", "nowhere.yaml"],
        ["table", "nowhere.yaml"], ["report", "nowhere.yaml"], ["explain", "nowhere.yaml", "seeds"],
        ["diff", "nowhere.yaml", "nowhere.yaml"], ["verify", "nowhere.yaml"], ["reproduce", "nowhere.yaml"],
        ["unseal", "nowhere.yaml"], ["fmt", "nowhere.yaml"], ["show", "nowhere"], ["new", "nowhere"],
        ["list", "nowhere"], ["gc"], ["gc", "--keep", "soon"], ["verify"], ["verify", "abcdef"],
        ["reproduce", "abcdef"], ["show", "abcdef"], ["work", "nowhere.json", "--store", "there"],
        ["revise", "nowhere"], ["run", "."], ["check", "."], ["fmt", "."], ["new", "study", "no/such/folder.yaml"],
        ["schema", "--output", "no/such/folder.json"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_is_not_there_is_said_in_one_line(lab, words, monkeypatch):
    monkeypatch.chdir(lab.folder)
    answer = said(words)
    clean_error(answer)
    assert 1 <= len(answer.err.strip().splitlines()) <= 2, answer.err
    assert not (lab.folder / ".crucis").exists() or words[0] == "work"


@pytest.mark.parametrize(
    "command", ["check", "plan", "run", "status", "table", "report", "unseal", "verify", "reproduce"]
)
def test_all_faults_of_a_study_with_their_places(lab, command):
    lab.write(FAULTY)
    answer = lab(command)
    clean_error(answer, "study.yaml:8:18", "supervised", "study.yaml:11", "nett", "2 faults; nothing was run.")
    assert not (lab.folder / ".crucis").exists()


def test_options_that_cannot_be(lab):
    lab.study()
    clean_error(lab("run", "--workers", "0"), "--workers 0")
    clean_error(lab("run", "--device", "gpu"), "--device gpu")
    clean_error(lab("run", "--set", "seedz=3"), "seeds")
    clean_error(lab("run", "--set", "seeds=42"), "--yes")
    clean_error(lab("run", "--preset", "fast"), "preset")
    clean_error(lab("run", "--store", str(lab.folder / "study.yaml")), "store")
    assert not lab.bodies()


def test_a_device_that_is_not_here_costs_no_step(lab):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    lab.study()
    clean_error(lab("run", "--device", "cuda"), "--device cuda")
    assert not (lab.store / "failures").exists() or not list((lab.store / "failures").iterdir())


# -- writing a study -----------------------------------------------------------------------------------------------


def test_new_check_fmt(lab):
    path = lab.folder / "mine.yaml"
    assert said(["new", "study", str(path)]).code == 0
    check = said(["check", str(path)])
    assert check.code == 0
    assert "no fault" in check.out
    clean_error(said(["new", "study", str(path)]), "exists")
    assert said(["fmt", str(path), "--check"]).code in (0, 1)
    before = said(["plan", str(path), "--format", "json"])
    assert said(["fmt", str(path)]).code == 0
    assert said(["fmt", str(path), "--check"]).code == 0
    assert said(["plan", str(path), "--format", "json"]).out == before.out
    copy = lab.folder / "persist.yaml"
    assert said(["new", "persist", str(copy)]).code == 0
    assert said(["check", str(copy), "--preset", "demo"]).code == 0


def test_check_as_json(lab):
    lab.write(FAULTY)
    answer = lab("check", "--format", "json")
    assert answer.code == 2
    found = json.loads(answer.out)
    assert [(fault["line"], fault["path"].split(".")[0]) for fault in found] == [(8, "stages"), (11, "analysis")]
    lab.study()
    assert json.loads(lab("check", "--format", "json").out) == []


def test_the_schema_accepts_studies_and_sees_a_wrong_key(lab):
    target = lab.folder / "schema.json"
    assert said(["schema", "--output", str(target)]).code == 0
    schema = json.loads(target.read_text())
    assert schema == json.loads(said(["schema"]).out)
    study = yaml.safe_load(STUDY.format(seeds=2))
    jsonschema.validate(study, schema)
    study["stages"]["model"]["lrr"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(study, schema)


def test_list_and_show():
    everything = said(["list"]).out
    for name in ("mlp", "digits", "supervised", "loss_landscape", "second_task", "paired_t", "sgd-cosine", "persist"):
        assert name in everything
    assert "mlp" in said(["list", "nets"]).out
    assert "second_task" in said(["list", "perturbations"]).out
    page = said(["show", "mlp"])
    assert page.code == 0
    assert "widths" in page.out
    assert "Columns" in said(["show", "loss_landscape"]).out
    shown = said(["show", "persist", "--preset", "demo", "--set", "let.grid=7"])
    assert yaml.safe_load(shown.out)["factors"]["data"] == ["digits"]
    clean_error(said(["show", "mpl"]), "mlp")


def test_explain_says_where_a_value_comes_from(lab):
    lab.write(STUDY.format(seeds=2).replace("batch: 256", "recipe: sgd-cosine, batch: 256"))
    whole = lab("explain", "model")
    assert re.search(r"batch = 256  \(adapted from 128 \(recipe: sgd-cosine\)\)  \[4 steps\]", whole.out), whole.out
    assert re.search(r'optimiser = "sgd"  \(recipe: sgd-cosine\)', whole.out), whole.out
    assert re.search(r"label_smoothing = 0.0  \(default\)", whole.out), whole.out
    assert 'net = {"mlp": {"widths": [8]}}  (written)  [2 steps]' in whole.out
    assert "LeafRef" not in whole.out
    one = lab("explain", "stages.model.for")
    assert re.search(r"for = .*2 epochs.*\(written\)", one.out), one.out
    assert "seeds = 2 (written)" in lab("explain", "seeds").out
    assert "changed" in lab("explain", "seeds", "--set", "seeds=3").out
    clean_error(lab("explain", "stages.model.lrr"), "lrr")
    clean_error(lab("explain", "stages.modle"), "model")


# -- reading what was run ------------------------------------------------------------------------------------------


def test_table_of_one_analysis_as_the_report_shows_it(finished):
    name = next(iter(load_study(str(finished.folder / "study.yaml")).analysis))
    (read,) = [list(csv.DictReader(io.StringIO(finished("table", "--analysis", name, "--format", "csv").out)))]
    assert read and "n" in read[0] and "absent" in read[0]
    lines = finished("table", "--analysis", name, "--format", "md").out.splitlines()
    assert len(lines) == 2 + len(read) and {line.count(" | ") for line in lines} == {lines[0].count(" | ")}
    assert finished("table", "--analysis", name, "--format", "latex").out.count("rule") == 3
    clean_error(finished("table", "--analysis", name[:-1] + "q"), name)
    clean_error(finished("table", "--format", "md"), "--analysis NAME")


def test_table_in_three_forms_and_from_python(finished):
    rows = json.loads(finished("table", "--format", "json").out)
    assert len(rows) == 4
    assert {(row["net"], row["seed"]) for row in rows} == {(n, s) for n in ("small", "wide") for s in ("42", "123")}
    for row in rows:
        assert row["model.state"] == row["scores.state"] == "ok"
        assert row["model.accuracy"] == row["scores.accuracy"]
        assert row["model.parameters"] == {"small": 64 * 8 + 8 + 80 + 10, "wide": 64 * 12 + 12 + 120 + 10}[row["net"]]
    read = list(csv.DictReader(io.StringIO(finished("table", "--format", "csv").out)))
    assert [float(row["model.loss"]) for row in read] == [row["model.loss"] for row in rows]
    text = finished("table").out.splitlines()
    assert len(text) == 6
    assert text[-1].endswith("columns of curves are in --format csv and json.")
    assert text[0].split()[:2] == ["net", "seed"]

    frame = crucis.table(finished.folder / "study.yaml")
    assert list(frame["model.accuracy"]) == [row["model.accuracy"] for row in rows]
    assert frame["scores.examples"].sum() == 4 * rows[0]["scores.examples"]


def test_status_plan_and_load(finished):
    assert finished("status").out.strip() == "first: 8 ok"
    plan = finished("plan", "--steps")
    assert plan.out.count(" cached  ") == 8
    assert "Power: which" in plan.out
    key, body = next(iter(finished.bodies().items()))
    record = crucis.load(key[:10], store=finished.store)
    assert (record.key, record.values) == (key, body["values"])
    assert json.loads(said(["show", key[:10], "--store", str(finished.store)]).out)["content"] == body["content"]
    with pytest.raises(CrucisError, match="no record"):
        crucis.load("0000000000", store=finished.store)


def test_python_runs_a_study(lab):
    path = lab.study(seeds=1)
    page = crucis.run(path, workers=1)
    assert page == lab.folder / "report" / "first" / "index.html"
    written = page.read_bytes()
    assert crucis.run(path, workers=1).read_bytes() == written
    lab.write("def build(input, classes):\n    raise RuntimeError('no')\n", "net.py")
    lab.edit("{mlp: {widths: [12]}}", "./net.py")
    with pytest.raises(CrucisError, match=r"1 steps? failed"):
        crucis.run(path, workers=1)


def test_python_offers_what_the_command_line_offers():
    """Every option of `crucis run` but its progress is a parameter of `crucis.run`, with an equal default."""
    parsed = vars(parse(["run", "first.yaml"]))
    names = {name: name for name in parsed if name not in ("run", "quiet", "version")} | {"study": "source"}
    parameters = inspect.signature(crucis.run).parameters
    assert set(parameters) == set(names.values())
    for option, name in names.items():
        ours, theirs = parameters[name].default, parsed[option]
        assert option == "study" or ours == theirs or (not ours and not theirs) or (option, ours) == ("ranks", 1), name


def test_python_runs_a_part_with_a_tracker(lab, monkeypatch):
    pytest.importorskip("tensorboard")
    path = lab.study(seeds=1)
    nets = list(load_study(path).factors["net"].labels)
    page = crucis.run(path, workers=1, only={"net": nets[0]}, track=["tensorboard"], stages=["model"], profile=True)
    assert not page.exists() and len(lab.bodies()) == 1
    assert list((lab.folder / "tracking" / "tensorboard").rglob("events.*"))
    monkeypatch.setenv("CRUCIS_TRACK", "tensorboard=elsewhere")
    assert crucis.run(path, workers=1, device="cpu").is_file()
    assert list((lab.folder / "elsewhere").rglob("events.*")) or list(Path("elsewhere").rglob("events.*"))
    for wrong, says in (({"only": {"net": "none"}}, "no level 'none'"), ({"stages": ["x"]}, "no such stage"),
                        ({"track": ["tensorbord"]}, "no tracker"), ({"workers": 0}, "at least one worker"),
                        ({"device": "cuda:99"}, "--device cuda:99"),
                        ({"again": ["0000"]}, "--again 0000")):  # fmt: skip
        with pytest.raises(CrucisError, match=says):
            crucis.run(path, **{"workers": 1, **wrong})


def test_verify_finds_a_flipped_byte_and_the_next_run_repairs(lab):
    lab.study(seeds=1)
    assert lab("run").code == 0
    contents = lab.contents()
    clean = lab("verify")
    assert clean.code == 0
    assert "4 records checked, 0 problems" in clean.out
    victim = next((lab.store / "steps").glob("*/*/model.safetensors"))
    key = victim.parent.name
    assert said(["verify", key[:12], "--store", str(lab.store)]).code == 0
    victim.chmod(0o644)
    data = bytearray(victim.read_bytes())
    data[-5] ^= 1
    victim.write_bytes(data)
    found = said(["verify", "--store", str(lab.store)])
    assert found.code == 1
    assert "4 records checked, 1 problem" in found.out
    assert key[:12] in found.out
    assert "model.safetensors" in found.out
    assert "Problem(" not in found.out
    assert len(lab.bodies()) == 3
    again = lab("run")
    assert again.code == 0, again.all
    assert "3 cached, 1 run" in again.out
    assert lab.contents() == contents


def test_reproduce_equal_and_with_a_doctored_record(lab):
    lab.study(seeds=1)
    assert lab("run").code == 0
    whole = lab("reproduce", "--workers", "1")
    assert whole.code == 0, whole.all
    assert "run 1: 4 records recomputed, bitwise equal" in whole.out
    key = next(iter(lab.of_kind("measure/classification")))
    doctor(lab, key)
    one = said(["reproduce", key[:12], "--store", str(lab.store), "--workers", "1"])
    assert one.code == 1, one.all
    assert "accuracy 0.123 became" in one.out
    model = next(iter(lab.of_kind("train/supervised")))
    doctor(lab, model, "model.safetensors")
    two = said(["reproduce", model[:12], "--store", str(lab.store), "--workers", "1"])
    assert two.code == 1, two.all
    assert re.search(r"model\.safetensors: '.*weight.*' differs first at \[\d+, \d+\], 1 of \d+ entries", two.out), (
        two.out
    )


def doctor(lab, key, file=None):
    """Change a finished record and make its seal and digests fit: a lie that no checksum sees."""
    from crucis.engine import disk, drafts

    folder = lab.store / "steps" / key[:2] / key
    body = drafts.unsealed((folder / "record.json").read_text(encoding="utf-8"))
    del body["seal"]
    if file:
        data = bytearray((folder / file).read_bytes())
        data[-5] ^= 1
        (folder / file).chmod(0o644)
        (folder / file).write_bytes(data)
        body["files"][file]["sha256"] = disk.file_sha256(str(folder / file))
    else:
        body["values"]["accuracy"] = 0.123
    body["content"] = drafts.content_digest(body)
    (folder / "record.json").chmod(0o644)
    (folder / "record.json").write_bytes(drafts.sealed_text(body))


def test_gc_keeps_what_studies_need_and_moves_the_rest(lab):
    lab.study(seeds=1)
    assert lab("run").code == 0
    place = ["--store", str(lab.store)]
    survey = said(["gc", *place])
    assert survey.code == 0
    assert "4 records stay" in survey.out
    for plan in (lab.store / "plans").glob("*.json"):
        plan.unlink()
    for label in (lab.store / "latest").glob("*.json"):
        label.unlink()
    survey = said(["gc", "--keep", "0d", *place])
    assert len(lab.bodies()) == 4
    assert "To act" in survey.out
    acted = said(["gc", "--keep", "0d", "--yes", *place])
    assert acted.code == 0, acted.all
    assert "4 records stay" not in acted.out
    assert lab("run").code == 0
    assert len(lab.bodies()) == 4


def test_diff_counts_what_is_shared(lab):
    lab.study()
    lab.write((lab.folder / "study.yaml").read_text().replace("widths: [12]", "widths: [13]"), "other.yaml")
    answer = lab("diff", str(lab.folder / "other.yaml"))
    assert answer.code == 0
    assert "4 steps shared, 4 only in" in answer.out
    assert "model: 2 shared, 4 and 4 in all" in answer.out


# -- what planning costs -------------------------------------------------------------------------------------------

HEAVY = "{'torch', 'pandas', 'matplotlib', 'sklearn', 'timm', 'torchvision', 'statsmodels'}"
GUARDED = f"""
import sys
from pathlib import Path
from crucis.cli import main
code = main(sys.argv[1:])
print('heavy:', sorted({HEAVY} & set(sys.modules)), 'exit:', code)
"""


def test_planning_imports_nothing_heavy(lab):
    text = STUDY.format(seeds=2).replace("wide: {mlp: {widths: [12]}}", "wide: ./net.py")
    lab.write("import torch\n\n\ndef build(input, classes):\n    return torch.nn.Linear(3, classes)\n", "net.py")
    lab.write(text)
    for command in (["plan"], ["check"], ["status"], ["table"], ["show"], ["explain"]):
        words = [*command, str(lab.folder / "study.yaml"), *(["model"] if command == ["explain"] else [])]
        assert python(GUARDED, *words).splitlines()[-1] == "heavy: [] exit: 0", command


def test_a_plan_of_ten_thousand_steps(lab):
    """How long it takes is measured in benchmarks/plan.py."""
    levels = "\n".join(f"    w{n}: {{mlp: {{widths: [{n}]}}}}" for n in range(1, 251))
    lab.write(
        f"study: many\nseeds: 20\nfactors:\n  net:\n{levels}\nstages:\n"
        "  model: {train: supervised, net: $net, data: digits, for: 2 epochs}\n"
        "  scores: {measure: classification, of: model}\n"
    )
    said_lines = python(GUARDED, "plan", str(lab.folder / "study.yaml")).splitlines()
    assert said_lines[0] == "many: 10000 steps, 0 cached, 10000 to run"
    assert said_lines[-1] == "heavy: [] exit: 0"
    assert not [line for line in said_lines if "Traceback" in line]
