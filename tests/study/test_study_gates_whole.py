"""Gates 2 and 3 of a real study, from its text to APPROVED, and what an edit of any piece of evidence does to them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gate_cases as g
import pytest

from crucis.engine.drafts import RECORD
from crucis.engine.store import Store
from crucis.study import chain, registry
from crucis.study.doctor import gates as doctor_gates
from crucis.study.doctor.case import Case as DoctorCase
from crucis.study.gates.case import ledger_of
from crucis.study.gates.tables import CHECKS
from crucis.study.restoring import restore


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with all evidence; read only."""
    return g.prepare(tmp_path_factory.mktemp("ready"))


@pytest.fixture
def copy(ready: Path, tmp_path: Path) -> Path:
    """The study to be tampered with."""
    target = tmp_path / "copy"
    shutil.copytree(ready, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


# -- what is approved -----------------------------------------------------------------------------------------------


def test_a_method_is_approved_by_lines_that_say_why(ready: Path) -> None:
    found = g.decided(ready)
    assert found.words == "APPROVED", [(item.check, item.outcome, item.says) for item in found.checks]
    assert [item.check for item in found.checks] == list(CHECKS["method"])
    says = {item.check: (item.measured, item.says) for item in found.checks}
    assert says["records"][0] == "30 of 30"
    assert says["implemented"][0] == "21 of 21 networks trained, 5 parts act"
    assert "outputs and gradients equal" in says["implemented"][1]
    assert says["ablated"][0] == "5 of 5 components"
    assert says["unsealed-once"] == ("1 time", "The test split was opened 1 time.")
    assert says["reproduced"][0] == "1 of 1"
    assert says["card"][0] == "100%"
    assert "asked > 0.2" in says["review"][0] and "asked < 0.6" in says["review"][0]
    assert says["guide"] == ("2 steps", "30 of 30 records came out equal in an empty folder.")
    assert says["check"][0] == "1 of 1"


def test_the_numbers_of_the_comparison_are_those_of_the_records(ready: Path) -> None:
    from scipy import stats

    case = g.case(ready)
    scores: dict[str, list[float]] = {"full": [], "baseline": []}
    for node in sorted(case.nodes("test"), key=lambda node: node.instance.seed or 0):
        record = case.session.store.read(node.key)
        assert record is not None
        scores[node.instance.cell["arm"]].append(float(record.values["accuracy"]))
    p = stats.ttest_rel(scores["full"], scores["baseline"]).pvalue
    gain = sum(scores["full"]) / 3 - sum(scores["baseline"]) / 3
    line = g.line(g.decided(ready), "significant")
    assert p < 0.05
    assert f"full, baseline: {gain:.4g} [" in line.measured and f"p = {p:.3g}" in line.measured


def test_every_piece_of_evidence_exists_and_has_its_digest(ready: Path) -> None:
    case = g.case(ready)
    ledger = {line["digest"] for line in case.ledger[0]}
    for gate in ("ready", "out"):
        for line in g.decided(ready, gate).checks:
            assert line.evidence, (gate, line)
            for item in line.evidence:
                if item.kind == "record":
                    record = case.session.store.read(item.name)
                    assert record is not None and record.body["content"] == item.digest
                elif item.kind == "ledger" and item.name.startswith("evidence"):
                    assert item.digest in ledger
                elif item.kind == "file":
                    assert (ready / item.name).is_file() and g.case(ready).file(item.name).digest == item.digest


def test_an_archive_is_approved_and_its_bundle_comes_to_life(ready: Path, tmp_path: Path) -> None:
    found = g.decided(ready, "out")
    assert found.words == "APPROVED", [(item.check, item.outcome, item.says) for item in found.checks]
    assert g.line(found, "bundle").says == "30 of 30 records in small.zip."
    bundle = next(ready / e.name for e in g.line(found, "bundle").evidence if e.kind == "file")
    back = restore(bundle, tmp_path / "back", trust=True)
    assert len(back.taken) == 30 and Store(back.store).verify() == []


# -- what an edit does ----------------------------------------------------------------------------------------------


def _ledger(folder: Path, name: str) -> list[Path]:
    return sorted((folder / ".crucis" / "ledger" / name).glob("*.json"))


def _evidence(folder: Path) -> list[Path]:
    return _ledger(folder, ledger_of(g.opened(folder)))


def _edit(path: Path, change: Callable[[dict], dict]) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def edit_a_record(folder: Path) -> None:
    path = next(p for p in (folder / ".crucis" / "steps").rglob(RECORD) if '"robust_accuracy":0.' in p.read_text())
    path.write_text(path.read_text().replace('"robust_accuracy":0.', '"robust_accuracy":0.9', 1))


def edit_a_file_of_a_record(folder: Path) -> None:
    path = next((folder / ".crucis" / "steps").rglob("membership.npz"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def edit_evidence(folder: Path) -> None:
    _edit(_evidence(folder)[2], lambda line: {**line, "equal": [True, True, True]})


def edit_evidence_with_a_new_digest(folder: Path) -> None:
    from crucis.canon import digest

    def change(line: dict) -> dict:
        body = {**{k: v for k, v in line.items() if k != "digest"}, "who": "else"}
        return {**body, "digest": digest(body)}

    _edit(_evidence(folder)[0], change)


def remove_evidence(folder: Path) -> None:
    _evidence(folder)[1].unlink()


def edit_the_card(folder: Path) -> None:
    text = (folder / "card.md").read_text()
    head, _, tail = text.partition("| test | ")
    number = tail.split("|")[3]
    (folder / "card.md").write_text(head + "| test | " + tail.replace(number, " 0.999 ", 1))


def edit_an_unsealing(folder: Path) -> None:
    _edit(_ledger(folder, "unsealings")[0], lambda line: {**line, "time": "2020-01-01T00:00:00Z"})


def unseal_again_and_remove_that(folder: Path) -> None:
    session = g.opened(folder)
    registry.unseal(session.plan, session.store)
    _ledger(folder, "unsealings")[-1].unlink()


def unseal_again(folder: Path) -> None:
    session = g.opened(folder)
    registry.unseal(session.plan, session.store)


def edit_the_method(folder: Path) -> None:
    path = folder / "method.py"
    path.write_text(path.read_text().replace("2.0)", "3.0)"))


@pytest.mark.parametrize(
    ("edit", "check", "outcome", "decision"),
    [
        (edit_a_record, "records", "fails", "REJECTED"),
        (edit_a_file_of_a_record, "records", "fails", "REJECTED"),
        (edit_evidence, "ledger", "fails", "REJECTED"),
        (edit_evidence_with_a_new_digest, "ledger", "fails", "REJECTED"),
        (remove_evidence, "ledger", "fails", "REJECTED"),
        (edit_the_card, "card", "fails", "REJECTED"),
        (edit_an_unsealing, "ledger", "fails", "REJECTED"),
        (unseal_again_and_remove_that, "ledger", "fails", "REJECTED"),
        (unseal_again, "unsealed-once", "fails", "REJECTED"),
        (edit_the_method, "records", "cannot tell", "REJECTED"),  # the card does not say what is there now
    ],
)
def test_nothing_that_is_edited_afterwards_is_approved(
    copy: Path, edit: Callable[[Path], None], check: str, outcome: str, decision: str
) -> None:
    edit(copy)
    found = g.decided(copy)
    assert g.line(found, check).outcome == outcome, g.line(found, check)
    assert found.outcome == decision, found.because
    assert g.decided(copy, "out").outcome != "APPROVED"


def test_evidence_written_for_other_records_is_none(copy: Path) -> None:
    case = g.case(copy)
    body = {"kind": "reproduce", "gate": "ready", "about": "0" * 64, "equal": [True], "records": 30, "differences": []}
    chain.append(case.session.store, ledger_of(case.session), body)
    assert "gathered before something changed" in g.line(g.decided(copy), "reproduced").says


def test_a_waiver_of_integrity_is_refused_and_another_is_printed(copy: Path) -> None:
    from crucis.errors import CrucisError

    text = (copy / "study.yaml").read_text()
    for check in ("records", "ledger"):
        note = f'    reproduce: 1\n    waive: {{{check}: "A. Person, 2026-01-31, it is fine"}}'
        (copy / "study.yaml").write_text(text.replace("    reproduce: 1", note))
        with pytest.raises(CrucisError, match="nobody can waive"):
            g.opened(copy)
    note = '    reproduce: 1\n    waive: {unsealed-once: "A. Person, 2026-01-31, a new test set came"}'
    (copy / "study.yaml").write_text(text.replace("    reproduce: 1", note))
    unseal_again(copy)
    found = g.decided(copy)
    assert g.line(found, "unsealed-once").outcome == "waived"
    assert found.waivers == ("unsealed-once (fails): waived by A. Person on 2026-01-31: a new test set came",)


def test_a_comparison_on_the_validation_split_is_rejected(copy: Path) -> None:
    text = (copy / "study.yaml").read_text()
    (copy / "study.yaml").write_text(text.replace("    of: final\n", "    of: chosen\n"))
    line = g.line(g.decided(copy), "unsealed-once")
    assert line.outcome == "fails"
    assert line.says == "'chosen' reads model.accuracy, which is not measured on the test split."


# -- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("if self.gate is not None:\n            hidden = hidden *", "if False:\n            hidden = hidden *",
         "gate: remove changes nothing"),
        ("out = self.last(hidden)", "out = self.last(hidden) + 1", "largest difference"),
    ],
)  # fmt: skip
def test_a_part_that_is_not_used_and_a_method_above_its_baseline(
    copy: Path, before: str, after: str, words: str
) -> None:
    from crucis.study.gates.implemented import _parts, check_parts

    text = (copy / "method.py").read_text()
    assert before in text
    (copy / "method.py").write_text(text.replace(before, after))
    outcome, says = _parts(check_parts(g.case(copy))["findings"], ["direct", "gate", "norm", "scale", "square"])
    assert outcome is False
    assert words in says


# -- the doctor -----------------------------------------------------------------------------------------------------


def _rejected(folder: Path) -> list:
    from crucis.study import session as sessions

    session = g.opened(folder)
    return list(doctor_gates.rejected(DoctorCase(session, sessions.conclude(session), False)))


def test_the_doctor_names_the_check_and_what_mends_it(ready: Path, copy: Path) -> None:
    assert _rejected(ready) == []
    (copy / "card.md").unlink()
    first = _rejected(copy)[0]
    assert first.grade == "serious"
    assert first.says.startswith("gate 'ready' is REJECTED: card")
    assert first.action == f"crucis card {copy / 'study.yaml'} --method"
    assert first.evidence[0] == "card: There is no ./card.md"


# -- the page -------------------------------------------------------------------------------------------------------


def test_each_line_of_the_page_opens_its_evidence(ready: Path) -> None:
    import re

    from crucis.study import session as sessions

    page = sessions.write_report(g.opened(ready))
    html = page.read_text()
    gates = html[html.index('<section id="gates">') : html.index("</section>", html.index('<section id="gates">'))]
    anchors = set(re.findall(r' id="([^"]+)"', html))
    links = re.findall(r'<a href="([^"]+)">', gates)
    lines = re.findall(r"<tr><td><code>([a-z-]+)</code>.*?</tr>", gates, re.DOTALL)
    assert lines == [*CHECKS["method"], *CHECKS["archive"]]
    assert gates.count("of evidence</summary>") == len(lines)
    assert len([link for link in links if link.startswith("#record-")]) > 100
    for link in links:
        assert link[1:] in anchors if link.startswith("#") else (page.parent / link).is_file(), link
    assert {"../../card.md", "../../.crucis/ledger/unsealings/1.json"} <= set(links)


def test_the_page_is_written_again_when_a_document_changed(copy: Path) -> None:
    from crucis.study import session as sessions

    assert "APPROVED" in sessions.write_report(g.opened(copy)).read_text()
    (copy / "card.md").unlink()
    assert "There is no ./card.md" in sessions.write_report(g.opened(copy)).read_text()


# -- the command line -----------------------------------------------------------------------------------------------


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    from crucis.cli import main

    code = main(list(words))
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command_prints_every_line_and_ends_with_0_only_where_all_are_approved(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copy)
    code, text = _said(capsys, "gate", "study.yaml", "--known")
    assert code == 0, text
    assert "ready (method): APPROVED. All 12 checks hold." in text
    assert all(f"+ {check} " in text for check in CHECKS["method"])
    code, text = _said(capsys, "gate", "study.yaml", "out", "--known", "--format", "json")
    assert code == 0
    (found,) = json.loads(text)
    assert [line["check"] for line in found["checks"]] == list(CHECKS["archive"])
    (copy / "card.md").unlink()
    code, text = _said(capsys, "gate", "study.yaml", "ready", "--known")
    assert code == 1
    assert "x card" in text and "to mend it: crucis card study.yaml --method" in text
    code, text = _said(capsys, "gate", "study.yaml", "redy")
    assert code == 2 and "Did you mean 'ready'?" in text


def test_the_command_writes_cards_and_checklists(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copy)
    before = (copy / "card.md").read_text()
    code, text = _said(capsys, "card", "study.yaml", "--method")
    assert code == 0 and "100% filled" in text
    assert (copy / "card.md").read_text() == before
    assert _said(capsys, "card", "study.yaml", "--checklist", "neurips", "--output", "n.md")[0] == 0
    assert "small" in (copy / "n.md").read_text()
    code, text = _said(capsys, "card", "study.yaml", "--model", "modl")
    assert code == 2 and "Did you mean 'model'?" in text


def test_the_hub_reads_the_model_card(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(copy)
    code, text = _said(capsys, "card", "study.yaml", "--model", "model@arm=full", "--output", "hub/README.md")
    assert code == 0, text
    card = hub.ModelCard.load("hub/README.md")
    assert card.data.license == "mit"
    results = {item.metric_name: item for item in card.data.eval_results}
    beside = {
        f"{e['stage']}.{e['column']}": e for e in json.loads((copy / "hub" / "results.json").read_text())["results"]
    }
    assert results.keys() == beside.keys() and "test.accuracy" in results
    for name, item in results.items():
        assert item.metric_value == pytest.approx(beside[name]["mean"])
        assert item.dataset_name == "digits"
    again = hub.ModelCardData(**card.data.to_dict() | {"model_name": card.data.model_name})
    assert again.library_name == "pytorch"


def test_the_doctor_reads_real_attributions_and_comparisons(ready: Path) -> None:
    from crucis.study import session as sessions
    from crucis.study.doctor.rules import RULES

    session = g.opened(ready)
    case = DoctorCase(session, sessions.conclude(session), False)
    found = [item for rule in RULES for item in rule(case)]
    assert not [item for item in found if item.rule in ("under_baseline", "gate")], found
