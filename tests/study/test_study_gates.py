"""Gates: what their text may say, how lines become a decision, and that nothing edited afterwards makes one pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crucis.engine.drafts import RECORD
from crucis.study import chain, registry
from crucis.study import session as sessions
from crucis.study.cards import checklists, method_card, model_card
from crucis.study.gates import decision as d
from crucis.study.gates import integrity, method
from crucis.study.gates.case import Case, ledger_of
from crucis.study.gates.gather import _check as gather_check
from crucis.study.gates.gather import _guide as gather_guide
from crucis.study.gates.gather import gather
from crucis.study.gates.guide import commands_of
from crucis.study.gates.judge import decisions
from crucis.study.load import check_study, study_from_text
from crucis.study.results import AnalysisResult, Reason, ResultRow
from crucis.study.spec import Gate

MODEL = "study: s\nstages:\n  m: {train: supervised, net: mlp, data: digits, for: 1 epochs}\n"
NEED = "of: m.accuracy, reported: 80%, source: A 2020"

# -- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gate", "code", "words"),
    [
        ("{gate: replicatio}", "unknown-name", "Did you mean 'replication'?"),
        ("{of: m.accuracy}", "no-verb", "replication, method, archive"),
        ("{gate: replication, of: m.accuracy, reported: 80%}", "missing", "needs 'source'"),
        (f"{{gate: replication, {NEED}, tolerence: 1%}}", "unknown-key", "Did you mean 'tolerance'?"),
        (f"{{gate: replication, {NEED}, tolerance: 2}}", "wrong-type", "a share between 0 and 1"),
        (f"{{gate: replication, {NEED.replace('80%', '0')}}}", "out-of-range", "relative to 0"),
        (f'{{gate: replication, {NEED}, waive: {{package: "A. Person, a reason"}}}}', "wrong-type", "name, date"),
        (f'{{gate: replication, {NEED}, waive: {{pakage: "A, 2026-01-31, b"}}}}', "unknown-name", "mean 'package'"),
        (f'{{gate: replication, {NEED}, waive: {{records: "A, 2026-01-31, b"}}}}', "integrity", "nobody can"),
        (f'{{gate: replication, {NEED}, waive: {{ledger: "A, 2026-01-31, b"}}}}', "integrity", "nobody can"),
        (f'{{gate: replication, {NEED}, mitigate: {{records: "b, 2026-01-31"}}}}', "critical", "not mitigated"),
        (f"{{gate: replication, {NEED.replace('m.acc', 'x.acc')}}}", "unknown-name", "x"),
        ("{gate: archive, of: [h], licence: MIT, cite: c.cff}", "unknown-name", "no other gate 'h'"),
        ("{gate: method, of: a, ablation: b, card: c.md, review: [m.accuracy], guide: g.md}", "no-criterion",
         "no stated threshold"),
        ('{gate: method, of: a, ablation: b, card: c.md, review: {m.accuracy: "> 0.1"}, guide: g.md}', "unknown-name",
         "no analysis 'a'"),
    ],
)  # fmt: skip
def test_faults(tmp_path: Path, gate: str, code: str, words: str) -> None:
    study, faults = study_from_text(f"{MODEL}gates: {{g: {gate}}}\n", tmp_path)
    assert study is None
    assert any(fault.code == code and words in fault.text for fault in faults), [str(fault) for fault in faults]
    assert all(fault.line >= 4 for fault in faults)


def test_a_gate_is_registered_and_its_waivers_are_not(tmp_path: Path) -> None:
    def text(gate: str) -> dict[str, Any]:
        study, faults = study_from_text(f"{MODEL}gates: {{g: {gate}}}\n", tmp_path)
        assert study is not None, faults
        return registry.registered_text(study)

    plain = text(f"{{gate: replication, {NEED}}}")
    assert plain["gates"]["g"]["reported"] == "80%"
    assert text(f'{{gate: replication, {NEED}, waive: {{package: "A, 2026-01-31, b, c"}}}}') == plain
    assert text(f"{{gate: replication, {NEED}, tolerance: 2%}}") != plain


# -- decision -------------------------------------------------------------------------------------------------------

_GATE = Gate("g", "replication", {})


def _lines(**outcomes: str) -> list[d.Line]:
    return [d.Line(check, outcomes.get(check, "holds"), "") for check in ("records", "reaches", "within", "package")]


@pytest.mark.parametrize(
    ("outcomes", "notes", "expected"),
    [
        ({}, {}, "APPROVED"),
        ({"reaches": "fails"}, {}, "REJECTED"),
        ({"reaches": "cannot tell"}, {}, "INCONCLUSIVE"),
        ({"within": "fails"}, {}, "REJECTED"),
        ({"within": "fails"}, {"mitigate": {"within": ("more seeds", "2026-01-31")}}, "CONDITIONAL"),
        ({"within": "fails", "package": "fails"}, {"mitigate": {"within": ("x", "2026-01-31")}}, "REJECTED"),
        ({"within": "fails", "records": "cannot tell"}, {"mitigate": {"within": ("x", "2026-01-31")}}, "INCONCLUSIVE"),
        ({"reaches": "fails"}, {"waive": {"reaches": ("A", "2026-01-31", "why")}}, "APPROVED with 1 waiver"),
        ({"reaches": "fails"}, {"mitigate": {"reaches": ("x", "2026-01-31")}}, "REJECTED"),
        ({}, {"waive": {"reaches": ("A", "2026-01-31", "why")}}, "APPROVED"),
    ],
)
def test_decisions(outcomes: dict[str, str], notes: dict[str, Any], expected: str) -> None:
    found = d.decide(Gate("g", "replication", {}, **notes), _lines(**outcomes))
    assert found.words == expected
    assert bool(found.waivers) == ("waiver" in expected)
    if found.waivers:
        assert found.waivers == ("reaches (fails): waived by A on 2026-01-31: why",)


def test_commands_of_a_guide() -> None:
    text = "```bash\n# no\n$ a \\\n  b\n\nc\n```\n```python\nd\n```\n```console\n$ e\noutput\n```\n"
    assert commands_of(text) == ("a b", "c", "e")
    assert commands_of("no block") == ()


# -- checks of gate 2 on results ------------------------------------------------------------------------------------


def _row(effect: float, p: float | None, low: float = 0.0, **more: Any) -> ResultRow:
    values = {"effect": effect, "low": low, "high": effect + 1, "p": p}
    return ResultRow({"arm": "full", "against": "baseline"}, values, more.pop("n", 5), 5, **more)


def _absent() -> ResultRow:
    return ResultRow({"arm": "only-a"}, {}, 0, 0, refused=Reason("not_applicable", "absent by design"))


def _method(rows: list[ResultRow], check: Any, better: str = "higher", **result: Any) -> d.Line:
    found = AnalysisResult("final", "compare", ("paired_t",), tuple(rows), **result)
    case = SimpleNamespace(results={"final": found, "importance": found}, nodes=lambda stage: [],
                           evidence=lambda nodes: (), session=SimpleNamespace(study=None))  # fmt: skip
    lines = d.Lines()
    check(case, Gate("g", "method", {"of": "final", "ablation": "importance", "better": better}), lines)
    return lines.items[0]


@pytest.fixture(autouse=True)
def _no_stages(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "rows" in request.fixturenames:
        monkeypatch.setattr(method, "_behind", lambda case, analysis: ())


@pytest.mark.parametrize(
    ("rows", "better", "significant", "not_worse"),
    [
        ([_row(0.1, 0.01)], "higher", "holds", "holds"),
        ([_row(0.1, 0.01)], "lower", "fails", "fails"),
        ([_row(-0.1, 0.01)], "lower", "holds", "holds"),
        ([_row(0.1, 0.05)], "higher", "fails", "holds"),
        ([_row(0.1, 0.01), _row(-0.01, 0.9)], "higher", "fails", "fails"),
        ([_row(0.1, None)], "higher", "cannot tell", "holds"),
        ([_row(0.1, 0.01, refused=Reason("sealed", "sealed"))], "higher", "cannot tell", "cannot tell"),
        ([_row(0.1, 0.01, mixed=True)], "higher", "cannot tell", "cannot tell"),
        ([], "higher", "cannot tell", "cannot tell"),
        ([_row(0.1, 0.01), _absent()], "higher", "holds", "holds"),
        ([_absent()], "higher", "cannot tell", "cannot tell"),
    ],
)
def test_improvement(rows: list[ResultRow], better: str, significant: str, not_worse: str) -> None:
    assert _method(rows, method._significant, better).outcome == significant
    assert _method(rows, method._not_worse, better).outcome == not_worse


def test_an_uncorrected_family_is_not_significant(rows: None) -> None:
    line = _method([_row(0.1, 0.01)], method._significant, family_size=4, correction="none")
    assert line.outcome == "fails"
    assert "without a correction" in line.says


@pytest.fixture
def rows() -> None:
    """Asks for the replacement above in a test without rows of its own."""


@pytest.mark.parametrize(("count", "outcome"), [(0, "fails"), (4, "fails"), (5, "holds"), (7, "holds")])
def test_components(rows: None, count: int, outcome: str) -> None:
    found = [ResultRow({"component": f"c{i}", "method": m}, {"effect": 0.1}, 5, 5) for i in range(count) for m in "ab"]
    assert _method(found, method._ablated).outcome == outcome


# -- a study that ran -----------------------------------------------------------------------------------------------

TINY = """study: tiny
stages:
  m: {train: supervised, net: {mlp: {widths: [4]}}, data: digits, for: 1 epochs}
gates:
  near: {gate: replication, of: m.accuracy, reported: REPORTED, source: none, tolerance: 50%, repeat: 1}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with its repetition gathered; its reported value is its own mean."""
    folder = tmp_path_factory.mktemp("ran")
    for name in ("README.md", "LICENSE"):
        (folder / name).write_text("text\n")
    (folder / "s.yaml").write_text(TINY.replace("REPORTED", "1"))
    session = sessions.open_session(folder / "s.yaml", store=folder / ".crucis")
    outcome = sessions.execute(session, workers=1)
    found = [session.store.read(node.key) for node in session.plan.nodes]
    assert outcome.exit_code == 0 and all(found), (outcome, sessions.conclude(session).readings.study.folder)
    mean = sum(record.values["accuracy"] for record in found if record) / 3
    (folder / "s.yaml").write_text(TINY.replace("REPORTED", f"{mean:.6f}"))
    case = _case(folder)
    assert (
        gather(case, case.session.study.gates["near"], lambda text: None, commands=False, again=False, workers=1) == 1
    )
    return folder


def _case(folder: Path) -> Case:
    session = sessions.open_session(folder / "s.yaml", store=folder / ".crucis")
    found = sessions.conclude(session)
    return Case(session, found.readings, found.results, found.verdicts, deep=True)


def _line(folder: Path, check: str) -> d.Line:
    return next(line for line in decisions(_case(folder))["near"].checks if line.check == check)


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    shutil.copytree(ran, target)
    for path in target.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


def test_gate_one_approves_and_each_line_names_what_exists(ran: Path) -> None:
    case = _case(ran)
    found = decisions(case)["near"]
    assert found.words == "APPROVED", found
    for line in found.checks:
        assert line.evidence, line
        for item in line.evidence:
            if item.kind == "record":
                record = case.session.store.read(item.name)
                assert record is not None
                assert record.body["content"] == item.digest
            elif item.kind == "ledger":
                assert item.digest in {entry["digest"] for entry in case.ledger[0]}
            else:
                assert (ran / item.name).is_file()


def test_a_far_value_is_rejected_with_its_gap(copy: Path) -> None:
    (copy / "s.yaml").write_text(TINY.replace("REPORTED", "1e6"))
    found = decisions(_case(copy))["near"]
    assert found.outcome == "REJECTED"
    assert "reaches" in found.because
    assert "misses" in next(line.says for line in found.checks if line.check == "reaches")


def test_an_edited_record_does_not_pass(copy: Path) -> None:
    path = next(iter((copy / ".crucis" / "steps").rglob(RECORD)))
    path.write_text(path.read_text().replace('"accuracy":0.', '"accuracy":0.9'))
    found = decisions(_case(copy))["near"]
    assert found.outcome == "REJECTED"
    assert "differ from what was committed" in _line(copy, "records").says


def _ledger_files(folder: Path) -> list[Path]:
    case = _case(folder)
    return sorted((folder / ".crucis" / "ledger" / ledger_of(case.session)).glob("*.json"))


def test_an_edited_ledger_is_no_evidence(copy: Path) -> None:
    case = _case(copy)
    chain.append(case.session.store, ledger_of(case.session), {"kind": "other", "gate": "near", "about": ""})
    assert _line(copy, "repeatable").outcome == "holds"
    path = _ledger_files(copy)[0]
    body = json.loads(path.read_text())
    path.write_text(json.dumps({**body, "equal": [True, True, True]}))
    line = _line(copy, "repeatable")
    assert line.outcome == "cannot tell"
    assert "line 1" in line.says
    path.unlink()
    assert "removed or replaced" in _line(copy, "repeatable").says


def test_evidence_of_other_records_is_none(copy: Path) -> None:
    path = _ledger_files(copy)[0]
    body = {k: v for k, v in json.loads(path.read_text()).items() if k not in ("digest", "before", "number")}
    path.unlink()
    case = _case(copy)
    chain.append(case.session.store, ledger_of(case.session), {**body, "about": "0" * 64})
    assert "gathered before something changed" in _line(copy, "repeatable").says


# -- cards ----------------------------------------------------------------------------------------------------------


def test_a_method_card_keeps_what_persons_wrote_and_refuses_edited_numbers(ran: Path) -> None:
    case = _case(ran)
    first = method_card.card(case)
    share, empty, stale = method_card.judge_card(case, first)
    assert set(empty) == {"Comparison and ablation", *method_card.WRITTEN}
    assert share == pytest.approx(0.5)
    assert stale == []
    words = "It reads digits of eight by eight pixels and nothing else."
    written = first
    for asked in method_card.WRITTEN.values():
        written = written.replace(f"{method_card.MARK}\n<!-- {asked} -->", words)
    assert method_card.judge_card(case, written)[0] == pytest.approx(0.9)
    assert method_card.card(case, written) == written
    mean = next(m for m in method_card.measured(case.readings) if m.column == "accuracy").words
    assert method_card.judge_card(case, written.replace(mean, "0.99"))[2] == ["Performance"]


def test_a_model_card_has_the_form_of_the_hub_and_more_beside_it(ran: Path) -> None:
    case = _case(ran)
    text, beside = model_card.model_card(case.readings, "m", licence="mit")
    import yaml

    head = yaml.safe_load(text.split("---\n")[1])
    assert model_card.faults(head) == []
    values = {m["name"]: m["value"] for m in head["model-index"][0]["results"][0]["metrics"]}
    found = {entry["column"]: entry for entry in json.loads(beside)["results"]}
    records = [case.session.store.read(key) for key in found["accuracy"]["records"]]
    mean = sum(record.values["accuracy"] for record in records if record) / 3
    assert values["m.accuracy"] == pytest.approx(mean)
    assert found["accuracy"]["n"] == 3
    assert found["accuracy"]["interval"][0] < mean < found["accuracy"]["interval"][1]
    assert {record.key: record.body["content"] for record in records if record} == found["accuracy"]["records"]
    assert model_card.faults({"model-index": [{"name": "", "results": [{"metrics": [{"type": "a"}]}]}]})


def test_checklists_answer_what_records_show_and_leave_the_rest(ran: Path) -> None:
    case = _case(ran)
    for kind, count in (("neurips", 16), ("acm", 4)):
        answers = checklists.checklist(case, kind)
        assert len(answers) == count
        assert any(item.answer == checklists.OPEN for item in answers)
        assert checklists.OPEN in checklists.text_of("tiny", kind, answers)
    compute = checklists.checklist(case, "neurips")[7]
    assert compute.answer == "Yes"
    assert "3 steps" in compute.because


# -- commands, guide, seal ------------------------------------------------------------------------------------------


def _gate_two(**params: Any) -> Gate:
    return Gate("two", "method", {"card": "./card.md", "guide": "./README.md", "check": (), "reproduce": 1, **params})


def test_commands_run_only_when_asked_and_a_failing_one_fails_the_check(copy: Path) -> None:
    gate = _gate_two(check=("echo fine", "exit 3", "touch never"))
    case = _case(copy)
    lines = d.Lines()
    method._check(case, gate, lines)
    assert lines.items[0].outcome == "cannot tell"
    body = gather_check(case, gate)
    assert [(run["command"], run["code"]) for run in body["runs"]] == [("echo fine", 0), ("exit 3", 3)]
    assert body["runs"][0]["output"] == "fine\n"
    assert not (copy / "never").exists()
    about = method.check_about(case, gate)
    chain.append(case.session.store, ledger_of(case.session), {"kind": "check", "gate": "two", "about": about, **body})
    case, lines = _case(copy), d.Lines()
    method._check(case, gate, lines)
    assert lines.items[0].outcome == "fails"
    assert "'exit 3' ended with 3" in lines.items[0].says


def test_the_guide_is_executed_in_an_empty_folder(copy: Path) -> None:
    (copy / "README.md").write_text("```bash\ncrucis run s.yaml --quiet --workers 1\n```\n")
    case, gate = _case(copy), _gate_two()
    body = gather_guide(case, gate)
    assert [run["code"] for run in body["runs"]] == [0], body
    assert (body["equal"], body["planned"], body["differing"]) == (3, 3, [])
    about = method.guide_about(case, gate)
    chain.append(case.session.store, ledger_of(case.session), {"kind": "guide", "gate": "two", "about": about, **body})
    case, lines = _case(copy), d.Lines()
    method._guide(case, gate, lines)
    assert lines.items[0].outcome == "holds"
    (copy / "README.md").write_text("```bash\na\nb\nc\nd\ne\nf\n```\n")
    method._guide(case, gate, lines)
    assert "6 commands" in lines.items[1].says


@pytest.mark.parametrize(
    ("opened", "noted", "ledger", "once"),
    [
        (0, 0, "holds", "cannot tell"), (1, 1, "holds", "holds"), (2, 2, "holds", "fails"), (1, 2, "fails", "holds"),
        (2, 1, "fails", "fails"), (0, 1, "fails", "cannot tell"), (1, 0, "cannot tell", "holds"),
    ],
)  # fmt: skip
def test_the_seal_is_broken_once_in_both_ledgers(
    monkeypatch: pytest.MonkeyPatch, opened: int, noted: int, ledger: str, once: str
) -> None:
    from crucis.canon import digest

    lines = [{"study": "s", "who": "a", "time": f"{i}"} for i in range(2)]
    monkeypatch.setattr(registry, "ledger", lambda study, store: "s")
    monkeypatch.setattr(registry, "unsealings", lambda store: [{**line, "who": "b"} for line in lines[:opened]])
    monkeypatch.setattr(integrity, "_not_on_test", lambda case, analysis: "")
    chained = [
        {"kind": "unsealed", "line": digest(chain.unnamed({**line, "study": "t"})), "number": 1, "digest": ""}
        for line in lines[:noted]
    ]
    session = SimpleNamespace(study=SimpleNamespace(file="s.yaml"), store=None, plan=None)
    case, found = SimpleNamespace(session=session, ledger=(chained, ""), named="s.yaml"), d.Lines()
    integrity.ledger(case, found)  # type: ignore[arg-type]
    integrity.unsealed(case, Gate("g", "method", {"of": "a"}), found)  # type: ignore[arg-type]
    assert [item.outcome for item in found.items] == [ledger, once]


@pytest.mark.parametrize(
    ("gate", "codes"),
    [
        ("{gate: replication, of: null, reported: 91.25%, source: table 6}", ["no-value"]),
        ("{gate: replication, of: model.accuracy, reported: null, source: table 6}", ["no-value"]),
        ("{gate: archive, of: null, licence: MIT, cite: ./CITATION.cff}", ["no-value"]),
    ],
)
def test_a_gate_on_nothing_is_one_fault(tmp_path: Path, gate: str, codes: list[str]) -> None:
    path = tmp_path / "g.yaml"
    text = f"study: g\nstages:\n  model: {{train: supervised, net: mlp, data: digits}}\ngates:\n  again: {gate}\n"
    path.write_text(text, encoding="utf-8")
    (tmp_path / "CITATION.cff").write_text("cff-version: 1.2.0\n", encoding="utf-8")
    assert [fault.code for fault in check_study(str(path))[1]] == codes


@pytest.mark.parametrize("what", ["review: []", "review: null", "of: null", "ablation: null"])
def test_a_method_without_a_part_of_its_text_is_told_and_nothing_breaks(tmp_path: Path, what: str) -> None:
    path = tmp_path / "g.yaml"
    path.write_text(
        "study: g\nstages:\n  model: {train: supervised, net: mlp, data: digits}\n"
        f"gates:\n  again: {{gate: method, card: ./card.md, guide: ./README.md, {what}}}\n",
        encoding="utf-8",
    )
    assert check_study(str(path))[1]
