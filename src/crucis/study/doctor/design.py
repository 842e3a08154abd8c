"""Rules about the design: seeds, baselines, tests that can never answer, looks at the test set, unlike budgets."""

from __future__ import annotations

from collections.abc import Iterator

from .. import registry
from ..power import design_power
from .case import Case
from .finding import Finding, some

_LEAST_SEEDS = 3
_UNLIKE = 1.01  # ratio of examples seen


def few_seeds(case: Case) -> Iterator[Finding]:
    """Fewer than three replicates."""
    count = len(case.study.seeds)
    if count < _LEAST_SEEDS:
        yield Finding(
            "few_seeds", "serious", f"{count} seed{'s' * (count != 1)}: no spread can be estimated that anyone should "
            "believe", f"crucis run {case.file} --set seeds={_LEAST_SEEDS} (finished steps are kept)",
        )  # fmt: skip


def no_baseline(case: Case) -> Iterator[Finding]:
    """Something is varied and nothing is held against it."""
    study = case.study
    varied = [name for name, factor in study.factors.items() if len(factor.levels) > 1]
    if varied and not any(
        one.verb in ("compare", "correlate", "predict", "attribute") for one in study.analysis.values()
    ):
        yield Finding(
            "no_baseline", "advice", f"{some(varied)} varied, but no analysis compares the levels",
            f"add to the study: analysis: {{which: {{compare: paired_t, of: ..., between: {varied[0]}, against: "
            f"{study.factors[varied[0]].labels[0]}}}}}",
        )  # fmt: skip


def no_claim(case: Case) -> Iterator[Finding]:
    """Analyses that answer no stated question."""
    if case.study.analysis and not case.study.claims:
        yield Finding(
            "no_claim", "note", "the study claims nothing, so no verdict can be given",
            "state before the next run what would count as success: claims: {better: which.effect@net=LEVEL > 0.5%}",
        )  # fmt: skip


def out_of_reach(case: Case) -> Iterator[Finding]:
    """Tests that cannot be significant whatever the data say."""
    for power in design_power(case.study, case.plan):
        if power.smallest_p > power.alpha:
            yield Finding(
                "out_of_reach", "serious",
                f"{power.analysis} ({power.method}) can never be significant: with n = {power.n} no p is below "
                f"{power.smallest_p:.3g}, and the level is {power.alpha:.3g}",
                "add seeds, compare fewer things in one family, or use paired_t",
            )  # fmt: skip


def opened_twice(case: Case) -> Iterator[Finding]:
    """A test split that was looked at more than once."""
    name = registry.ledger(case.study, case.session.store)
    own = [line for line in registry.unsealings(case.session.store) if line["study"] == name]
    if len(own) > 1:
        yield Finding(
            "opened_twice", "serious", f"the test split was unsealed {len(own)} times for this study",
            "its test numbers are selected ones; confirm on data that nobody has seen, or report validation",
            tuple(f"{line['time'][:10]}: registration {line['registration'][:12]}" for line in own),
        )  # fmt: skip


def after_the_data(case: Case) -> Iterator[Finding]:
    """Analyses, claims and seeds that came when results were there."""
    registration = registry.current(case.study, case.session.store)
    late = registry.late(case.study, registration)
    if late:
        claims = [name for name in late if name in case.study.claims]
        yield Finding(
            "after_the_data", "serious" if claims else "advice",
            f"added or changed after results existed: {some([f'{name} ({date})' for name, date in late.items()])}",
            "call them exploratory, and confirm with fresh seeds in a study registered before it runs",
        )  # fmt: skip
    if registration is not None and registration.extended:
        yield Finding(
            "extended", "advice", "seeds were added after a look at results, so p-values are too small",
            "confirm with as many fresh seeds (seeds: {fresh: 5}), registered before the run",
        )  # fmt: skip


def unequal_budgets(case: Case) -> Iterator[Finding]:
    """Arms of a comparison that saw unlike numbers of training examples."""
    for analysis in case.study.analysis.values():
        if analysis.verb != "compare" or not analysis.between:
            continue
        seen = _examples_seen(case, {ref.name for ref in analysis.of}, analysis.between.partition(".")[0])
        totals = {label: max(counts) for label, counts in seen.items()}
        if len(totals) > 1 and max(totals.values()) > _UNLIKE * min(totals.values()):
            most, least = max(totals, key=lambda label: totals[label]), min(totals, key=lambda label: totals[label])
            yield Finding(
                "unequal_budgets", "serious",
                f"{analysis.name}: '{most}' saw {totals[most]:,} training examples and '{least}' {totals[least]:,}",
                "give both the same 'for' and batch, or say that the comparison is at unlike budgets",
                tuple(f"{label}: {total:,}" for label, total in totals.items()),
            )  # fmt: skip


def _examples_seen(case: Case, stages: set[str], factor: str) -> dict[str, set[int]]:
    """Level of the factor -> training examples seen by the trainings behind these stages."""
    wanted = case.plan.with_inputs([node for node in case.plan.nodes if node.instance.stage in stages])
    out: dict[str, set[int]] = {}
    for node in wanted:
        label = node.instance.cell.get(factor)
        if label is not None and node.spec["kind"].startswith("train/") and node.facts is not None:
            params = node.bound.leaf.params
            batch = int(node.spec["params"].get("batch", params["batch"].default if "batch" in params else 1))
            out.setdefault(label, set()).add(node.facts.total * min(batch, node.facts.info.size("train")))
    return out


def mixed_hardware(case: Case) -> Iterator[Finding]:
    """Values that were computed on unlike hardware or libraries and stand in one contrast."""
    blocks = {}
    for node in case.plan.by_key.values():
        record = case.record(node)
        if record is not None:
            block = record.body.get("numerics", {})
            blocks[block.get("hash")] = block
    mixed = [name for name, result in case.conclusion.results.items() if any(row.mixed for row in result.rows)]
    if mixed and len(blocks) > 1:
        first, *others = blocks.values()
        fields = sorted({name for other in others for name in {*first, *other} - {"hash"}
                         if first.get(name) != other.get(name)})  # fmt: skip
        yield Finding(
            "mixed_hardware", "advice", f"{some(mixed)}: records of {len(blocks)} kinds of hardware or libraries stand "
            "in one contrast", "compute one side again where the other was made, or set allow_mixed in the claim",
            tuple(f"{name}: {', '.join(sorted({str(block.get(name, '')) for block in blocks.values()}))}"
                  for name in fields),
        )  # fmt: skip
