"""Rules about steps that did not end well: failures, exhausted memory, divergence, refusals, unequal repetitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ...errors import CrucisError
from ...records import Record
from ..plan import Node
from ..reproduction import reproduce_record
from .case import Case
from .finding import Finding, some

_UNEQUAL = ("not_reproducible", "replay_differs")
_CAUSES = (
    ("numpy was", "another NumPy", "install the versions of the record's environment (crucis show KEY)"),
    ("torch was", "another PyTorch", "install the versions of the record's environment (crucis show KEY)"),
    ("model was", "another processor or GPU", "compare on one kind of machine"),
    ("capability was", "another processor", "compare on one kind of machine"),
)


def _notes(case: Case, node: Node) -> list[dict[str, str]]:
    return list(case.session.store.failures(node.key))


def failed(case: Case) -> Iterator[Finding]:
    """Steps that raised an error: grouped by what was raised."""
    groups: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in case.nodes("failed"):
        note = _notes(case, node)[-1]
        if note.get("class") != "memory" and note.get("code") not in _UNEQUAL:
            first = str(note.get("text", "")).strip().splitlines()
            groups[str(note.get("code", "unknown")), first[0] if first else ""].append(node)
    for (code, text), nodes in groups.items():
        key = nodes[0].key[:12]
        yield Finding(
            "failed", "serious", f"{_steps(len(nodes))} failed with {code}: {text}",
            f"read the traceback (crucis show {key}), mend it, then crucis run {case.file} --again failed",
            (some([case.label(node) for node in nodes]),), tuple(node.key for node in nodes),
        )  # fmt: skip


def _steps(count: int) -> str:
    return f"{count} step{'s' * (count != 1)}"


def out_of_memory(case: Case) -> Iterator[Finding]:
    """Steps that ran out of memory, and which changes would fit here, measured."""
    groups: dict[str, list[Node]] = defaultdict(list)
    for node in case.nodes("failed"):
        if _notes(case, node)[-1].get("class") == "memory":
            groups[node.instance.stage].append(node)
    for stage, nodes in groups.items():
        note = _notes(case, nodes[0])[-1]
        says = f"{_steps(len(nodes))} of '{stage}' ran out of memory ({note.get('code', 'out_of_memory')})"
        if note.get("peak_ram_mb"):
            says += f" at {note['peak_ram_mb']} MiB"
        action, evidence = _fitting(case, nodes[0])
        yield Finding("out_of_memory", "serious", says, action, evidence, tuple(node.key for node in nodes))


def _fitting(case: Case, node: Node) -> tuple[str, tuple[str, ...]]:
    """The next action, and the peak of each option on this machine."""
    again = f"then crucis run {case.file} --again failed"
    if not node.spec["kind"].startswith("train/") or node.inputs:
        return f"give it a machine with more memory, or fewer workers (--workers 1), {again}", ()
    if not case.measure:
        return f"measure which change would fit: crucis doctor {case.file} (without --quick)", ()
    from ..pilot import peaks

    found = peaks(case.session, node)
    lines = [f"{option.name}: {option.text}" for option in found.options]
    lines.append(f"measured here over a few optimiser steps; {found.limit_mb} MiB may be used")
    good = [option for option in found.options if option.fits(found.limit_mb) and option.changes]
    if found.options and found.options[0].fits(found.limit_mb) and not found.options[0].changes:
        return f"alone it fits here: run fewer at once (crucis run {case.file} --workers 1 --again failed)", tuple(
            lines
        )
    if not good:
        return "nothing that the trainer offers would fit; take a smaller network or a machine with more memory", (
            *lines,
        )
    best = good[0]
    return f"write {best.name} in the stage '{node.instance.stage}' ({best.price}), {again}", tuple(lines)


def diverged(case: Case) -> Iterator[Finding]:
    """Trainings whose loss left the finite numbers: where, and at which learning rate others held."""
    groups: dict[str, list[Node]] = defaultdict(list)
    for node in case.nodes("diverged"):
        groups[node.instance.stage].append(node)
    for stage, nodes in groups.items():
        records = [record for node in nodes if (record := case.record(node)) is not None]
        steps = [int(record.body["notes"]["diverged_at"]) for record in records
                 if record.body["notes"].get("diverged_at") is not None]  # fmt: skip
        rates = sorted({_rate(node) for node in nodes})
        held = [_rate(node) for node in case.nodes("ok") if node.instance.stage == stage]
        where = f" at optimiser step {min(steps)}" + (f" to {max(steps)}" if max(steps) > min(steps) else "") \
            if steps else ""  # fmt: skip
        says = f"{_steps(len(nodes))} of '{stage}' diverged{where} (lr {', '.join(f'{rate:g}' for rate in rates)})"
        lower = max((rate for rate in held if rate < rates[0]), default=rates[0] / 3)
        early = steps and max(steps) <= 50
        more = ", with a longer warmup (warmup: 10%)" if early else ", or clip the gradient (clip: 1.0)"
        yield Finding(
            "diverged", "serious", says, f"lower the learning rate (lr: {lower:.2g}){more}",
            _last_good(records), tuple(node.key for node in nodes),
        )  # fmt: skip


def _rate(node: Node) -> float:
    """The learning rate that a training used."""
    default = node.bound.leaf.params["lr"].default if "lr" in node.bound.leaf.params else 0.0
    return float(node.spec["params"].get("lr", default) or 0.0)


def _last_good(records: list[Record]) -> tuple[str, ...]:
    losses = [record.body["notes"]["last_good"] for record in records if record.body["notes"].get("last_good")]
    return (f"last finite loss {', '.join(f'{loss:.3g}' for loss in losses[:5])}",) if losses else ()


def refused(case: Case) -> Iterator[Finding]:
    """Measurements that could not tell."""
    groups: dict[tuple[str, str], list[Node]] = defaultdict(list)
    for node in case.nodes("refused"):
        record = case.record(node)
        reason = (record.body.get("reason") or {}) if record is not None else {}
        if reason.get("code") != "input_refused":  # the cause is reported where it is
            groups[node.instance.stage, str(reason.get("code", ""))].append(node)
    for (stage, code), nodes in groups.items():
        why = case.conclusion.readings.why(nodes[0])
        yield Finding(
            "refused", "advice", f"{_steps(len(nodes))} of '{stage}' could not tell ({code}): {why}",
            "the rows stay and are counted; change what the reason names, or leave these cells out (except)",
            (some([case.label(node) for node in nodes]),), tuple(node.key for node in nodes),
        )  # fmt: skip


def not_deterministic(case: Case) -> Iterator[Finding]:
    """Two computations of one key that differ: the first differing tensor, and the likely cause."""
    for node in case.plan.by_key.values():
        notes = [note for note in _notes(case, node) if note.get("code") in _UNEQUAL]
        if not notes:
            continue
        evidence = [f"noted on {notes[-1].get('time', '')[:10]}: {some(list(map(str, notes[-1].get('parts', []))), 5)}"]
        cause, action = _guess(node, " ".join(evidence))
        if case.measure and case.record(node) is not None:
            try:
                with TemporaryDirectory(prefix="crucis-doctor-") as folder:
                    again = reproduce_record(case.session.store, node.key, Path(folder), workers=1)
                evidence += again.lines[:1] or ["computed again just now: bitwise equal"]
                cause, action = _guess(node, " ".join(evidence))
            except CrucisError as error:
                evidence.append(f"could not be computed again: {error}")
        yield Finding(
            "not_deterministic", "serious", f"{case.label(node)} is not deterministic; likely cause: {cause}", action,
            tuple(evidence), (node.key,),
        )  # fmt: skip


def _guess(node: Node, text: str) -> tuple[str, str]:
    for word, cause, action in _CAUSES:
        if word in text:
            return cause, action.replace("KEY", node.key[:12])
    if node.spec.get("determinism") == "fast":
        return "--fast allows kernels that are not deterministic", "run without --fast"
    if node.bound.leaf.own or "source" in (node.spec.get("net") or {}):
        return "a file of yours draws from a global generator, reads a clock or another file", \
            "draw from specimen.stream or torch's own streams only, and name files it reads in FILES"  # fmt: skip
    return "a kernel that is not deterministic on this device", "run it on the CPU and compare: --device cpu"


def missing(case: Case) -> Iterator[Finding]:
    """Steps that have not run yet."""
    nodes, sealed = case.nodes("missing"), case.nodes("sealed")
    if nodes:
        yield Finding(
            "missing", "advice", f"{_steps(len(nodes))} of {len(case.plan.by_key)} have no record yet; nothing that "
            "rests on them is judged", f"crucis run {case.file}", keys=tuple(node.key for node in nodes),
        )  # fmt: skip
    elif sealed:
        yield Finding(
            "sealed", "note", f"{_steps(len(sealed))} wait for the test split to be unsealed",
            f"when nothing will change any more: crucis unseal {case.file}", keys=tuple(node.key for node in sealed),
        )  # fmt: skip
