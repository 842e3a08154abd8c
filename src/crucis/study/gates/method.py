"""Gate 2: whether a method is ready for wide evaluation."""

from __future__ import annotations

import operator

from ...canon import digest
from ..claims import judged
from ..directions import directions
from ..judgement import Unknown, number
from ..results import AnalysisResult, ResultRow
from ..spec import Binary, Column, Gate, Number
from .case import Case, entry, file_digest
from .decision import FAILS, HOLDS, UNKNOWN, Evidence, Lines
from .guide import commands_of, passes
from .implemented import implemented
from .integrity import integrity, unsealed
from .tables import ALPHA, LEAST_COMPONENTS, LEAST_FILLED, MOST_STEPS

_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def lines(case: Case, gate: Gate) -> Lines:
    """All lines of gate 2."""
    found = Lines()
    integrity(case, found)
    implemented(case, gate, found)
    _ablated(case, gate, found)
    _significant(case, gate, found)
    _not_worse(case, gate, found)
    unsealed(case, gate, found)
    _reproduced(case, gate, found)
    _card(case, gate, found)
    _review(case, gate, found)
    _guide(case, gate, found)
    _check(case, gate, found)
    return found


def _ablated(case: Case, gate: Gate, found: Lines) -> None:
    """At least five components with a value each, in the rows of the attribution (axis `component`)."""
    result = case.results.get(gate.params["ablation"])
    rows = list(result.rows) if result else []
    named = {row.axes["component"]: row for row in rows if "component" in row.axes}
    whole = [
        name for name in named
        if all(not r.incomplete and r.refused is None for r in rows if r.axes.get("component") == name)
    ]  # fmt: skip
    evidence = _behind(case, gate.params["ablation"])
    measured = f"{len(whole)} of {len(named)} components"
    if len(named) >= LEAST_COMPONENTS and len(whole) < LEAST_COMPONENTS:
        lacking = sorted(named.keys() - set(whole))
        found.add("ablated", None, f"Incomplete: {', '.join(lacking)}.", measured=measured, evidence=evidence)
    elif not named and any(row.refused is not None or row.incomplete for row in rows):
        found.add("ablated", None, f"'{gate.params['ablation']}' has no number yet.", evidence=evidence)
    else:
        found.add("ablated", len(whole) >= LEAST_COMPONENTS,
                  f"{len(whole)} components were ablated, at least {LEAST_COMPONENTS} are asked.",
                  measured=measured, evidence=evidence, mend="declare and ablate more components")  # fmt: skip


def _behind(case: Case, analysis: str) -> tuple[Evidence, ...]:
    """The records that an analysis rests on."""
    from ..provenance import stages_behind

    stages = stages_behind(case.session.study, analysis)
    return case.evidence([node for stage in stages for node in case.nodes(stage)])


def _unknown_row(row: ResultRow) -> str:
    """Why a row says nothing, or an empty text."""
    if row.refused is not None:
        return row.refused.text
    if row.incomplete:
        return f"incomplete, n = {row.n} of {row.n_planned}"
    if row.mixed:
        return "its records come from unlike hardware"
    return ""


def _by_design(row: ResultRow) -> bool:
    """Whether the study plans nothing for this row, as for an arm that its test stage leaves out."""
    return row.n_planned == 0 and row.refused is not None and row.refused.code == "not_applicable"


def _place(row: ResultRow) -> str:
    return ", ".join(row.axes.values()) or "the comparison"


def _words(row: ResultRow) -> str:
    v = row.values
    ends = " [" + ", ".join(number(e) if (e := v.get(name)) is not None else "?" for name in ("low", "high")) + "]"
    p = v.get("p")
    return f"{_place(row)}: {number(v.get('effect') or 0.0)}{ends}" + (f", p = {p:.3g}" if p is not None else "")


def _rows(case: Case, gate: Gate) -> tuple[AnalysisResult | None, list[ResultRow], str]:
    result = case.results.get(gate.params["of"])
    rows = [row for row in result.rows if not _by_design(row)] if result else []
    why = next((f"{_place(row)}: {text}" for row in rows if (text := _unknown_row(row))), "")
    return result, rows, why or ("" if rows else "the comparison has no row")


def _sign(case: Case, gate: Gate, row: ResultRow) -> float:
    """1 where larger is better, -1 where smaller is: as the gate says, else as the comparison's column does."""
    if gate.params["better"]:
        return 1.0 if gate.params["better"] == "higher" else -1.0
    study = case.session.study
    analysis = study.analysis[gate.params["of"]]
    known = directions(study, analysis, list(analysis.of))
    return 1.0 if known.get(row.axes.get("metric", ""), known[str(analysis.of[0])]) else -1.0


def _significant(case: Case, gate: Gate, found: Lines) -> None:
    """An improvement with p < 0.05, corrected, in every row of the comparison."""
    result, rows, why = _rows(case, gate)
    evidence = _behind(case, gate.params["of"])
    if result is None or why:
        found.add("significant", None, f"{why}.", evidence=evidence)
        return
    lacking = [row for row in rows if row.values.get("p") is None or row.values.get("effect") is None]
    missed = [
        row for row in rows
        if row not in lacking and not (row.values["p"] < ALPHA and _sign(case, gate, row) * row.values["effect"] > 0)  # type: ignore[operator]
    ]  # fmt: skip
    correction = f"{result.correction} over {result.family_size} tests" if result.family_size > 1 else "one test"
    if result.correction == "none" and result.family_size > 1:
        found.add("significant", False, f"{result.family_size} tests without a correction.", evidence=evidence,
                  mend="correction: holm")  # fmt: skip
        return
    outcome = False if missed else None if lacking else True
    says = f"An improvement with p < {ALPHA} in every row"
    if missed or lacking:
        says = f"No significant improvement in {_words(missed[0])}" if missed else f"No p-value in {_place(lacking[0])}"
    found.add("significant", outcome, f"{says} ({correction}).", measured="; ".join(map(_words, rows[:4])),
              evidence=evidence, mend="crucis doctor names the power and the number of seeds")  # fmt: skip


def _not_worse(case: Case, gate: Gate, found: Lines) -> None:
    """No row in which the method lies below the baseline; where only its interval does, nothing can be said."""
    _, rows, why = _rows(case, gate)
    evidence = _behind(case, gate.params["of"])
    if why:
        found.add("not-worse", None, f"{why}.", evidence=evidence)
        return
    ranked = sorted(rows, key=lambda row: _sign(case, gate, row) * float(row.values.get("effect") or 0.0))
    worst = ranked[0]
    effect = worst.values.get("effect")
    found.add("not-worse", None if effect is None else _sign(case, gate, worst) * effect >= 0,
              f"The least favourable row is {_words(worst)}.", measured=_words(worst), evidence=evidence)  # fmt: skip


def _reproduced(case: Case, gate: Gate, found: Lines) -> None:
    wanted = gate.params["reproduce"]
    line, why = case.find(gate, "reproduce", case.state)
    if line is None:
        found.add("reproduced", None, f"{why}.")
        return
    equal = sum(line["equal"])
    found.add("reproduced", equal >= wanted, f"{equal} of {wanted} reproductions of the whole study are equal bit for "
              "bit." + "".join(f" {text}." for text in line["differences"][:2]), measured=f"{equal} of {wanted}",
              evidence=(entry(line),), mend=f"crucis reproduce {case.named}")  # fmt: skip


def _card(case: Case, gate: Gate, found: Lines) -> None:
    """At least 90 % of the card is filled, and what it says of measured things is what the records say now."""
    from ..cards.method_card import judge_card

    name = gate.params["card"]
    if not case.path(name).is_file():
        found.add("card", False, f"There is no {name}.", mend=f"crucis card {case.named} --method")
        return
    share, empty, stale = judge_card(case, case.path(name).read_text(encoding="utf-8"))
    says = f"{share:.0%} of its sections are filled, at least {LEAST_FILLED:.0%} are asked."
    says += f" Empty: {', '.join(empty)}." if empty else ""
    if stale:
        says += f" Not what the records say: {', '.join(stale)}."
    found.add("card", share >= LEAST_FILLED and not stale, says, measured=f"{share:.0%}", evidence=(case.file(name),),
              mend=f"crucis card {case.named} --method, then write the marked sections")  # fmt: skip


def _review(case: Case, gate: Gate, found: Lines) -> None:
    """Every column of the review against its threshold, for the method's side of every row of the comparison."""
    _, rows, _ = _rows(case, gate)
    sides = [{k: v for k, v in row.axes.items() if k not in ("against", "metric", "method")} for row in rows] or [{}]
    outcomes, words, evidence = [], [], []
    for ref, sign, limit in gate.params["review"]:
        evidence += list(_stage_evidence(case, ref.name))
        for side in {tuple(sorted(s.items())): s for s in sides}.values():
            condition = Binary(sign, Column(ref), Number(limit, f"{limit:g}"))
            _, value = judged(condition, case.session.study, case.results, case.readings, side)
            at = f"{ref} ({', '.join(side.values())})" if side else str(ref)
            if isinstance(value, Unknown):
                outcomes.append(UNKNOWN)
                words.append(f"{at}: {value.because}")
            else:  # the threshold is for the mean; the interval is printed beside it
                outcomes.append(HOLDS if _COMPARE[sign](value.value, limit) else FAILS)
                words.append(f"{at} = {value.value:.4g} [{value.low:.4g}, {value.high:.4g}], asked {sign} {limit:g}")
    outcome = next((word for word in (FAILS, UNKNOWN) if word in outcomes), HOLDS)
    first = next((w for o, w in zip(outcomes, words, strict=True) if o == outcome), "")
    says = "Every column of the review meets its threshold" if outcome == HOLDS else first
    found.add("review", outcome, f"{says}.", measured="; ".join(words[:6]), evidence=dict.fromkeys(evidence))


def _stage_evidence(case: Case, name: str) -> tuple[Evidence, ...]:
    return case.evidence(case.nodes(name)) if name in case.session.study.stages else ()


def check_about(case: Case, gate: Gate) -> str:
    """What the commands of `check` are about: the study's files, but for the documents, and the commands."""
    documents = {gate.params["card"].removeprefix("./"), gate.params["guide"].removeprefix("./")}
    own = {name: found for name, found in case.own_files.items() if name.removeprefix("./") not in documents}
    return digest([own, list(gate.params["check"])])


def guide_about(case: Case, gate: Gate) -> str:
    """What an execution of the guide is about: its text, the study's files and the records it must give."""
    return digest([file_digest(case.path(gate.params["guide"])), check_about(case, gate), case.state])


def _guide(case: Case, gate: Gate, found: Lines) -> None:
    name = gate.params["guide"]
    if not case.path(name).is_file():
        found.add("guide", False, f"There is no {name}.", mend=f"crucis card {case.named} --guide")
        return
    steps = commands_of(case.path(name).read_text(encoding="utf-8"))
    evidence = (case.file(name),)
    if not 1 <= len(steps) <= MOST_STEPS:
        found.add("guide", False, f"{len(steps)} commands in its shell blocks, 1 to {MOST_STEPS} are asked.",
                  measured=f"{len(steps)} steps", evidence=evidence)  # fmt: skip
        return
    line, why = case.find(gate, "guide", guide_about(case, gate))
    if line is None:
        found.add("guide", None, f"{why} --commands.", measured=f"{len(steps)} steps", evidence=evidence)
        return
    bad = next((run for run in line["runs"] if not passes(run["command"], run["code"])), None)
    good = bad is None and not line["differing"] and line["equal"] > 0
    says = (
        f"'{bad['command']}' ended with {bad['code']}" if bad
        else f"{line['equal']} of {line['planned']} records came out equal in an empty folder"
    )  # fmt: skip
    found.add("guide", good and line["equal"] == line["planned"], f"{says}.", measured=f"{len(steps)} steps",
              evidence=(*evidence, entry(line)))  # fmt: skip


def _check(case: Case, gate: Gate, found: Lines) -> None:
    commands = gate.params["check"]
    if not commands:
        found.add("check", True, "The study names no command.")
        return
    line, why = case.find(gate, "check", check_about(case, gate))
    if line is None:
        found.add("check", None, f"{why} --commands.")
        return
    bad = [run for run in line["runs"] if run["code"]]
    says = (
        f"'{bad[0]['command']}' ended with {bad[0]['code']}"
        if bad
        else f"{len(commands)} command{'s' * (len(commands) != 1)} ended with 0"
    )
    found.add("check", not bad, f"{says}.", measured=f"{len(commands) - len(bad)} of {len(commands)}",
              evidence=(entry(line),), mend=bad[0]["command"] if bad else "")  # fmt: skip
