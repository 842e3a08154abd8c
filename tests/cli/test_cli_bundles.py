"""`crucis bundle`, `restore` and what follows, on real records: elsewhere in a handful of commands."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
from lab import Lab, clean_error, said

from crucis.engine.store import Store

OWN = '''"""Norm of the weights."""
from crucis.records import Result

COLUMNS = {"norm": {"unit": "1", "range": [0, None], "axes": [], "headline": True}}


def measure(specimen, *, power: int = 2):
    """The norm."""
    model, data = specimen.network()
    return Result(values={"norm": sum(float(p.detach().abs().pow(power).sum()) for p in model.parameters())})
'''


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """The usual study with a measurement of the user's, after its run, and its bundle. Read only."""
    lab = Lab(tmp_path_factory.mktemp("bundled"))
    Store(lab.store)  # beside the study, whatever lies above it
    lab.study()
    lab.write(OWN, "norm.py")
    lab.edit("analysis:", "  norm: {measure: ./norm.py, of: model}\nanalysis:")
    assert lab("run").code == 0
    answer = lab("bundle", "--output", str(lab.folder / "first.zip"))
    assert answer.code == 0, answer.all
    assert "12 of 12 records" in answer.out and "norm.py, study.yaml" in answer.out
    return lab


def test_equal_content_gives_equal_bytes(bundled, tmp_path):
    for name in ("a.zip", "b.zip"):
        assert bundled("bundle", "-o", str(tmp_path / name)).code == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert (tmp_path / "a.zip").read_bytes() == (bundled.folder / "first.zip").read_bytes()


def test_nothing_tells_where_it_was_made(bundled):
    from crucis.engine import machine

    with zipfile.ZipFile(bundled.folder / "first.zip") as archive:
        names = archive.namelist()
        whole = b"".join(archive.read(name) for name in names)
    assert names[0] == "bundle.json"
    assert str(bundled.folder).encode() not in whole
    assert machine.host().encode() not in whole
    assert b"host-001" in whole


def test_elsewhere_in_five_commands(bundled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    there = Lab(tmp_path / "first")
    shutil.copy(bundled.folder / "first.zip", tmp_path / "first.zip")

    answer = said(["restore", "first.zip", "first", "--trust"])
    assert answer.code == 0, answer.all
    assert "--- norm.py" in answer.out and "def measure(specimen, *, power: int = 2):" in answer.out
    assert "12 taken" in answer.out and "crucis run study.yaml" in answer.out
    assert there.contents() == bundled.contents()
    assert there.report() == {
        name: data for name, data in bundled.report().items() if not name.startswith(".")
    }  # fmt: skip

    monkeypatch.chdir(there.folder)
    assert "12 records checked, 0 problems" in said(["verify"]).out
    ran = there("run")
    assert ran.code == 0 and "12 cached, 0 run" in ran.out
    page = there.page()
    assert "12 of 12 records came in the bundle" in page and '<em class="tag">imported</em>' in page
    assert "rests on 4 imported records" in page

    again = there("reproduce", "--workers", "1")
    assert again.code == 0, again.all
    assert "12 records recomputed, bitwise equal" in again.out and "claim wide-wins" in again.out
    assert there("report").code == 0
    assert there.report() == bundled.report()
    assert there("bundle", "-o", str(tmp_path / "second.zip")).code == 0
    assert (tmp_path / "second.zip").read_bytes() == (tmp_path / "first.zip").read_bytes()


def test_without_trust_the_code_stays_in_the_archive(bundled, tmp_path):
    path = str(bundled.folder / "first.zip")
    answer = said(["restore", path, str(tmp_path / "there")])
    assert answer.code == 0 and "can run something here: norm.py" in answer.out
    assert "def measure" not in answer.out and not (tmp_path / "there/norm.py").exists()
    assert not list((tmp_path / "there/.crucis/code").iterdir())
    clean_error(said(["reproduce", path, "wide-wins"]), "norm.py", "--trust")


def test_an_archive_is_verified_where_it_lies(bundled, tmp_path):
    path = bundled.folder / "first.zip"
    answer = said(["verify", str(path)])
    assert answer.code == 0 and "12 records of 'first', every size" in answer.out
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "flipped.zip").write_bytes(data)
    clean_error(said(["verify", str(tmp_path / "flipped.zip")]), "flipped.zip is")


def test_a_claim_of_an_archive(bundled):
    answer = said(["reproduce", str(bundled.folder / "first.zip"), "wide-wins", "--trust", "--workers", "1"])
    assert answer.code == 0, answer.all
    assert "4 records recomputed, bitwise equal" in answer.out
    assert "again, every number bitwise equal" in answer.out


def test_parts_of_a_study(bundled):
    key = next(iter(bundled.of_kind("train/supervised")))
    one = bundled("reproduce", key[:12], "--workers", "1")
    assert one.code == 0 and "1 record recomputed, bitwise equal" in one.out
    figure = bundled("reproduce", "which-effects", "--workers", "1")
    assert figure.code == 0 and "figure which-effects: every number bitwise equal" in figure.out
    clean_error(bundled("reproduce", "wich"), "Did you mean 'which'?")
    clean_error(said(["reproduce", key[:12], "which"]), "after its study")


def test_a_claim_that_rests_on_a_false_record_comes_out_otherwise(bundled, tmp_path, monkeypatch):
    """A record whose numbers lie but whose seals fit passes every check and fails when it is computed again."""
    from crucis.engine import drafts

    there = tmp_path / "there"
    assert said(["restore", str(bundled.folder / "first.zip"), str(there), "--trust"]).code == 0
    lab = Lab(there)
    key = sorted(lab.of_kind("train/supervised"))[0]
    path = lab.store / "steps" / key[:2] / key / "record.json"
    body = {name: value for name, value in json.loads(path.read_text()).items() if name != "seal"}
    body["values"]["accuracy"] = 0.999
    body["content"] = drafts.content_digest(body)
    path.write_bytes(drafts.sealed_text(body))
    monkeypatch.chdir(there)
    assert "0 problems" in said(["verify"]).out
    answer = lab("reproduce", "wide-wins", "--workers", "1")
    assert answer.code == 1
    assert f"{key[:12]}): accuracy 0.999 became" in answer.out
    assert "claim wide-wins: comes out otherwise" in answer.out
    listed = json.loads(next((lab.store / "imports").glob("*.json")).read_text())
    assert key not in listed["confirmed"] and len(listed["confirmed"]) == 3


def test_what_cannot_be_bundled(bundled, tmp_path):
    lab = Lab(tmp_path / "inner")
    Store(lab.store)
    (tmp_path / "norm.py").write_text(OWN)
    lab.study()
    lab.edit("analysis:", "  norm: {measure: ../norm.py, of: model}\nanalysis:")
    clean_error(lab("bundle", "-o", str(tmp_path / "x.zip")), "outside its folder")
    assert not (tmp_path / "x.zip").exists()


def test_no_bundle(tmp_path):
    (tmp_path / "x.zip").write_text("no zip")
    clean_error(said(["restore", str(tmp_path / "x.zip"), str(tmp_path / "there")]), "it is no zip archive")
    clean_error(said(["restore", str(tmp_path / "y.zip")]), "no bundle")
