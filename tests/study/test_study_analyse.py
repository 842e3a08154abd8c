"""Analyses over a fake source: pairing, averaging, absence, families, derive, own estimates."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from crucis.errors import CrucisError
from crucis.study.analyse import analyse
from crucis.study.expressions import parse
from crucis.study.results import turned
from crucis.study.spec import Analysis, Factor, LeafRef, Level, Ref, Study
from crucis.study.table import Point

SEEDS = (42, 123, 456, 1003, 1004)


class Fake:
    """Columns by name; a value None is absent with the state given in `states`."""

    def __init__(self, factors, columns, states=None, numerics=None):
        self.factors, self.columns, self.states = factors, columns, states or {}
        self.numerics = numerics or {}

    def points(self, ref):
        out = []
        for (labels, seed), value in self.columns[ref.name, ref.column].items():
            key = (*labels.values(), seed) if isinstance(labels, dict) else (labels, seed)
            state = self.states.get((ref.name, *key), "ok")
            axes = labels if isinstance(labels, dict) else dict(labels)
            flat = (ref.name, *axes.values(), seed)
            state = self.states.get(flat, "ok")
            numerics = self.numerics.get(flat, "a")
            out.append(
                Point(axes, seed, value if state == "ok" else None, state, "key-" + "-".join(map(str, flat)), numerics)
            )
        return out

    def field(self, factor, label, field):
        return (self.factors[factor].level(label).fields or {}).get(field)

    def labels(self, axis):
        return self.factors[axis].labels if axis in self.factors else ()


def factor(name, *labels, **fields):
    levels = tuple(Level(label, label, {k: v[i] for k, v in fields.items()} or None) for i, label in enumerate(labels))
    return Factor(name, levels)


def column(axes, function, seeds=SEEDS):
    names = list(axes)
    return {
        (tuple(zip(names, labels, strict=True)), seed): function(*labels, seed)
        for labels in itertools.product(*axes.values())
        for seed in seeds
    }


def study(factors, analyses, derive=None, folder=Path()):
    return Study(
        "s", folder, "s.yaml", factors={f.name: f for f in factors},
        analysis={a.name: a for a in analyses},
        derive={name: parse(text) for name, text in (derive or {}).items()},
    )  # fmt: skip


def leaf(verb, name, **params):
    return LeafRef(verb, name, params)


NETS = factor("net", "mlp", "convnet", "wrn")
RNG = np.random.default_rng(5)
NOISE = {key: RNG.normal() for key in itertools.product(("mlp", "convnet", "wrn"), SEEDS)}
SHARED = {seed: RNG.normal() for seed in SEEDS}
BASE = {"mlp": 0.5, "convnet": 0.7, "wrn": 0.8}
ACC = column({"net": NETS.labels}, lambda net, seed: BASE[net] + 0.1 * SHARED[seed] + 0.01 * NOISE[net, seed])


def accuracies(net):
    return np.array([ACC[(("net", net),), seed] for seed in SEEDS])


def which(**changes):
    given = {"of": (Ref("model", "accuracy"),), "between": "net"} | changes
    return Analysis("which", "compare", given.pop("leaves", (leaf("compare", "paired_t"),)), **given)


def run(analyses, columns=None, states=None, factors=(NETS,), derive=None, numerics=None, folder=Path()):
    made = study(factors, analyses if isinstance(analyses, list) else [analyses], derive, folder)
    return analyse(made, Fake(made.factors, columns or {("model", "accuracy"): ACC}, states, numerics))


def test_pairs_of_all_levels_agree_with_scipy_and_holm():
    result = run(which())["which"]
    assert [(row.axes["net"], row.axes["against"]) for row in result.rows] == [
        ("convnet", "mlp"), ("wrn", "mlp"), ("wrn", "convnet")]  # fmt: skip
    raw = []
    for row in result.rows:
        a, b = accuracies(row.axes["net"]), accuracies(row.axes["against"])
        expected = stats.ttest_rel(a, b)
        ci = expected.confidence_interval(0.95)
        assert row.values["effect"] == pytest.approx((a - b).mean(), abs=1e-12)
        assert row.values["p_raw"] == pytest.approx(expected.pvalue, rel=1e-10)
        assert (row.values["low"], row.values["high"]) == pytest.approx((ci.low, ci.high), abs=1e-12)
        assert (row.n, row.n_planned, row.values["n_planned"]) == (5, 5, 5)
        raw.append(row.values["p_raw"])
    assert [row.values["p"] for row in result.rows] == pytest.approx(multipletests(raw, method="holm")[1])
    assert (result.family_size, result.correction) == (3, "holm")


def test_pairing_is_used():
    row = run(which(against="mlp"))["which"].rows[0]
    unpaired = stats.ttest_ind(accuracies("convnet"), accuracies("mlp"))
    assert row.values["p_raw"] < 1e-3 < unpaired.pvalue
    assert row.data["seeds"] == list(SEEDS)


def test_order_of_points_does_not_matter():
    shuffled = dict(reversed(list(ACC.items())))
    one, two = run(which())["which"], run(which(), {("model", "accuracy"): shuffled})["which"]
    by = {tuple(row.axes.items()): row.values["effect"] for row in two.rows}
    assert {tuple(row.axes.items()): row.values["effect"] for row in one.rows} == pytest.approx(by)


@pytest.mark.parametrize("state", ["failed", "missing", "diverged", "refused"])
def test_one_absent_seed_makes_its_contrasts_incomplete_by_name(state):
    states = {("model", "wrn", 456): state}
    result = run(which(), states=states)["which"]
    first, second, third = result.rows
    assert not first.incomplete and first.n == 5
    for row in (second, third):
        assert (row.n, row.n_planned) == (4, 5)
        assert [(m.key, m.state, m.seed) for m in row.missing] == [("key-model-wrn-456", state, 456)]
    kept = [i for i, seed in enumerate(SEEDS) if seed != 456]
    expected = (accuracies("wrn") - accuracies("mlp"))[kept].mean()
    assert second.values["effect"] == pytest.approx(expected)
    assert result.incomplete and "2 of 3 rows" in result.notes[0]


def test_excluded_by_design_is_counted_and_complete():
    states = {("model", "wrn", seed): "excluded" for seed in SEEDS}
    row = run(which(against="mlp"), states=states)["which"].rows[1]
    assert not row.incomplete and row.excluded == 5 and row.n == row.n_planned == 0
    assert row.refused.code == "not_applicable" and row.values["effect"] is None


def test_sealed_values_make_the_analysis_wait():
    result = run(which(against="mlp"), states={("model", "convnet", 42): "sealed"})["which"]
    assert result.sealed and result.rows[0].refused.code == "sealed" and result.rows[0].values["effect"] is None
    assert result.rows[1].values["effect"] is not None
    assert result.family_size == 2  # a sealed test still counts
    assert result.rows[1].values["p"] == pytest.approx(2 * result.rows[1].values["p_raw"])


def test_mixed_hardware_is_flagged():
    result = run(which(against="mlp"), numerics={("model", "convnet", 42): "b"})["which"]
    assert [row.mixed for row in result.rows] == [True, False]
    assert any("Mixed hardware" in note for note in result.notes)


def test_each_and_field_filters_and_families():
    data = factor("data", "digits", "mnist")
    nets = factor("net", "mlp", "convnet", "wrn", kind=["dense", "conv", "conv"])
    acc = column(
        {"net": nets.labels, "data": data.labels}, lambda n, d, s: BASE[n] + 0.01 * NOISE[n, s] + (d == "mnist")
    )
    every = which(each=("data",), only=({("net", "kind"): ("conv",)},), family="f")
    other = Analysis("two", "compare", (leaf("compare", "permutation"),), of=(Ref("model", "accuracy"),), between="net",
                     against="mlp", each=("data",), exclude=({("net", None): ("wrn",)},), family="f",
                     correction="bonferroni")  # fmt: skip
    results = run([every, other], {("model", "accuracy"): acc}, factors=(nets, data))
    assert [dict(row.axes) for row in results["which"].rows] == [
        {"metric": "model.accuracy", "data": d, "net": "wrn", "against": "convnet"} for d in data.labels]  # fmt: skip
    assert results["which"].family_size == results["two"].family_size == 4
    row = results["two"].rows[0]
    assert row.values["p_raw"] == 2 / 32 and row.values["p"] == 8 / 32
    assert row.values["low"] is None  # five pairs have no finite 95 % interval


def test_between_a_field_pairs_what_else_agrees():
    arch = factor("arch", "a2", "a4", "b2", "b4", depth=[2, 4, 2, 4], skip=["none", "none", "identity", "identity"])
    value = column({"arch": arch.labels}, lambda a, s: 0.1 * (a[0] == "b") * int(a[1]) + 0.01 * s % 7)
    one = which(of=(Ref("m", "bits"),), between="arch.skip", against="none", each=("arch.depth",))
    result = run(one, {("m", "bits"): value}, factors=(arch,))["which"]
    assert [(row.axes["arch.depth"], row.n) for row in result.rows] == [("2", 5), ("4", 5)]
    both = run(
        which(of=(Ref("m", "bits"),), between="arch.skip", against="none"), {("m", "bits"): value}, factors=(arch,)
    )
    assert both["which"].rows[0].refused.code == "not_applicable"


def plane(n=10, seeds=SEEDS[:3]):
    nets = factor("net", *(f"n{i}" for i in range(n)))
    noise = np.random.default_rng(1)
    x = column({"net": nets.labels}, lambda a, s: float(a[1:]) + 0.1 * noise.normal(), seeds)
    y = column({"net": nets.labels}, lambda a, s: float(a[1:]) + 2.0 * noise.normal(), seeds)
    size = {((("net", label),), None): float((i * 7) % n) for i, label in enumerate(nets.labels)}
    return nets, {("h", "trace"): x, ("b", "ret"): y, ("s", "size"): size}


def mean_by_net(nets, values, seeds=SEEDS[:3]):
    return np.array([np.mean([values[(("net", label),), s] for s in seeds]) for label in nets.labels])


def association(**changes):
    given = {"of": (Ref("h", "trace"),), "targets": (Ref("b", "ret"),)} | changes
    return Analysis("a", "correlate", given.pop("leaves", (leaf("correlate", "spearman"),)), **given)


def test_correlation_averages_seeds_and_carries_their_spread():
    nets, columns = plane()
    result = run(association(), columns, factors=(nets,))["a"]
    (row,) = result.rows
    x, y = mean_by_net(nets, columns["h", "trace"]), mean_by_net(nets, columns["b", "ret"])
    expected = stats.spearmanr(x, y)
    assert row.values["rho"] == pytest.approx(expected.statistic, abs=1e-12)
    assert row.values["p_raw"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert (row.n, row.n_planned, row.axes) == (10, 10, {"metric": "h.trace", "with": "b.ret"})
    by_seed = [columns["b", "ret"][(("net", "n0"),), s] for s in SEEDS[:3]]
    assert row.data["y_se"][0] == pytest.approx(np.std(by_seed, ddof=1) / math.sqrt(3))


def test_a_missing_seed_uses_the_shared_ones_and_says_so():
    nets, columns = plane()
    (row,) = run(association(), columns, {("b", "n3", 123): "diverged"}, factors=(nets,))["a"].rows
    assert row.n == 10 and [(m.state, m.seed) for m in row.missing] == [("diverged", 123)]
    kept = [columns["h", "trace"][(("net", "n3"),), s] for s in (42, 456)]
    assert row.data["x"][3] == pytest.approx(np.mean(kept))  # x drops the seed that y lacks


def test_a_unit_without_any_seed_is_missing_not_dropped():
    nets, columns = plane()
    (row,) = run(association(), columns, {("b", "n3", s): "failed" for s in SEEDS[:3]}, factors=(nets,))["a"].rows
    assert (row.n, row.n_planned, len(row.missing)) == (9, 10, 3)


def test_several_methods_are_an_axis_and_corrected_on_their_own():
    nets, columns = plane()
    both = association(leaves=(leaf("correlate", "spearman"), leaf("correlate", "kendall")),
                       of=(Ref("h", "trace"), Ref("s", "size")), correction="bonferroni")  # fmt: skip
    result = run(both, columns, factors=(nets,))["a"]
    assert [row.axes["method"] for row in result.rows] == ["spearman", "spearman", "kendall", "kendall"]
    assert result.family_size == 2
    for row in result.rows:
        assert row.values["p"] == pytest.approx(min(1, 2 * row.values["p_raw"]))
    assert "tau" in result.rows[2].values and "rho" not in result.rows[2].values


def test_partial_correlation_gets_its_given_column():
    nets, columns = plane()
    one = association(leaves=(leaf("correlate", "partial_spearman"),), given=(Ref("log_size"),))
    (row,) = run(one, columns, factors=(nets,), derive={"log_size": "log2(s.size + 1)"})["a"].rows
    ranks = [stats.rankdata(v) for v in (mean_by_net(nets, columns["h", "trace"]),
             mean_by_net(nets, columns["b", "ret"]), [(i * 7) % 10 for i in range(10)])]  # fmt: skip
    rxy, rxz, ryz = (np.corrcoef(ranks[i], ranks[j])[0, 1] for i, j in ((0, 1), (0, 2), (1, 2)))
    expected = (rxy - rxz * ryz) / math.sqrt((1 - rxz**2) * (1 - ryz**2))
    assert row.values["rho"] == pytest.approx(expected, abs=1e-10)
    assert row.data["residual"] and np.corrcoef(row.data["x"], row.data["y"])[0, 1] == pytest.approx(expected)


def test_an_unanswered_axis_is_refused_in_words():
    nets, columns = plane()
    strategy = factor("strategy", "naive", "ewc")
    columns["b", "ret"] = column(
        {"net": nets.labels, "strategy": strategy.labels}, lambda n, s, seed: float(n[1:]) + len(s), SEEDS[:3]
    )
    (row,) = run(association(), columns, factors=(nets, strategy))["a"].rows
    assert row.refused.code == "not_applicable" and "strategy" in row.refused.text
    looped = run(association(each=("strategy",)), columns, factors=(nets, strategy))["a"]
    assert [row.axes["strategy"] for row in looped.rows] == ["naive", "ewc"] and looped.rows[0].n == 10
    spread = run(association(targets=(Ref("b", "ret", (("strategy", "*"),)),)), columns, factors=(nets, strategy))["a"]
    assert [row.axes["strategy"] for row in spread.rows] == ["naive", "ewc"]
    fixed = run(association(targets=(Ref("b", "ret", (("strategy", "ewc"),)),)), columns, factors=(nets, strategy))["a"]
    assert "strategy" not in fixed.rows[0].axes and fixed.rows[0].n == 10


def test_derive_joins_seed_by_seed_and_passes_absence_on():
    half = column({"net": NETS.labels}, lambda net, seed: BASE[net] / 2)
    columns = {("model", "accuracy"): ACC, ("model", "half"): half}
    one = Analysis("d", "describe", (leaf("describe", "summary"),), of=(Ref("gain"),))
    rows = run(one, columns, {("model", "wrn", 42): "failed"}, derive={"gain": "2 * (model.accuracy - model.half)"})[
        "d"
    ].rows
    assert [row.axes["net"] for row in rows] == list(NETS.labels)
    assert rows[0].values["mean"] == pytest.approx(2 * (accuracies("mlp").mean() - 0.25))
    assert rows[0].values["low"] == pytest.approx(
        stats.t.interval(0.95, 4, 2 * (accuracies("mlp").mean() - 0.25), 2 * stats.sem(accuracies("mlp")))[0]
    )
    assert rows[2].n == 4 and [m.seed for m in rows[2].missing] == [42]


def test_derive_without_a_finite_number_is_refused_not_nan():
    one = Analysis("d", "describe", (leaf("describe", "summary"),), of=(Ref("bad"),))
    rows = run(one, derive={"bad": "log(model.accuracy - model.accuracy)"})["d"].rows
    assert rows[0].refused.code == "too_few" and rows[0].n == 0
    assert {m.why for m in rows[0].missing} == {"'log' of these values is no finite number"}


def test_reduction_over_a_starred_axis_is_unknown_if_one_value_is():
    steps = column({"net": ("mlp", "wrn"), "step": ("10", "100")}, lambda n, k, s: float(k), SEEDS[:2])
    one = Analysis("d", "describe", (leaf("describe", "summary"),), of=(Ref("m"),))
    rows = run(one, {("b", "ret"): steps}, {("b", "wrn", "100", 42): "failed"}, derive={"m": "mean(b.ret@step=*)"})[
        "d"
    ].rows
    assert rows[0].values["mean"] == 55 and rows[0].values["sd"] == 0
    assert rows[1].n == 1 and rows[1].values["mean"] == 55 and len(rows[1].missing) == 1


def test_a_failed_step_without_own_axes_is_missing_at_every_label():
    class Source(Fake):
        def points(self, ref):
            good = [Point({"net": "mlp", "step": k}, 42, 1.0, "ok", "k1") for k in ("10", "100")]
            return [*good, Point({"net": "wrn"}, 42, None, "failed", "k2")]

    one = Analysis("d", "describe", (leaf("describe", "summary"),), of=(Ref("b", "ret", (("step", "*"),)),))
    made = study([NETS], [one])
    rows = analyse(made, Source(made.factors, {}))["d"].rows
    assert [(row.axes["step"], row.axes["net"], row.n, len(row.missing)) for row in rows] == [
        ("10", "mlp", 1, 0), ("10", "wrn", 0, 1), ("100", "mlp", 1, 0), ("100", "wrn", 0, 1)]  # fmt: skip


def test_an_analysis_may_read_another_and_inherits_its_holes():
    nets, columns = plane()
    first = association(of=(Ref("h", "trace"), Ref("s", "size")))
    second = Analysis("over", "describe", (leaf("describe", "summary"),), of=(Ref("a", "rho"),), unit="metric")
    result = run([second, first], columns, {("b", "n1", 42): "failed"}, factors=(nets,))
    (row,) = result["over"].rows
    assert row.n == 2 and row.values["mean"] == pytest.approx(np.mean([r.values["rho"] for r in result["a"].rows]))
    assert row.incomplete


def test_a_circle_of_analyses_is_an_error():
    one = Analysis("a", "describe", (leaf("describe", "summary"),), of=(Ref("b", "mean"),))
    two = Analysis("b", "describe", (leaf("describe", "summary"),), of=(Ref("a", "mean"),))
    with pytest.raises(CrucisError, match="read one another"):
        run([one, two])


def test_own_estimate(tmp_path):
    (tmp_path / "gap.py").write_text(
        "import numpy as np\n"
        "COLUMNS = {'gap': {'unit': 'fraction', 'interval': ['low', 'high']}, 'low': {}, 'high': {}}\n"
        "def estimate(table, *, power: float = 1.0):\n"
        "    x = table.columns['model.accuracy']\n"
        "    nets = np.array(table.axes['net'])\n"
        "    gap = (x[nets == 'wrn'].mean() - x[nets == 'mlp'].mean()) ** power\n"
        "    return {'gap': gap, 'low': gap - 1, 'high': gap + 1}\n"
    )
    one = Analysis("own", "estimate", (leaf("estimate", "./gap.py", power=2.0),), of=(Ref("model", "accuracy"),))
    result = run(one, folder=tmp_path)["own"]
    expected = (accuracies("wrn").mean() - accuracies("mlp").mean()) ** 2
    assert result.rows[0].values["gap"] == pytest.approx(expected)
    assert result.kinds["gap"] == "estimate" and result.rows[0].n == 15
    (tmp_path / "gap.py").write_text("def estimate(table):\n    return {'gap': float('nan')}\n")
    assert run(which_own(), folder=tmp_path)["own"].rows[0].refused.code == "not_finite"
    (tmp_path / "gap.py").write_text("def estimate(table):\n    raise KeyError('x')\n")
    with pytest.raises(CrucisError, match=r"analysis.own: ./gap.py: KeyError"):
        run(which_own(), folder=tmp_path)


def which_own():
    return Analysis("own", "estimate", (leaf("estimate", "./gap.py"),), of=(Ref("model", "accuracy"),))


def test_units_follow_the_column_and_ratio():
    result = run(which(leaves=(leaf("compare", "paired_t", scale="ratio"),)))["which"]
    assert result.units["effect"] == "ratio" and result.units["p"] == "probability"
    row = result.rows[0]
    expected = np.exp(np.log(accuracies("convnet") / accuracies("mlp")).mean())
    assert row.values["effect"] == pytest.approx(expected)


def test_renaming_an_analysis_changes_no_number():
    seeds = tuple(range(20))
    acc = column({"net": NETS.labels}, lambda n, s: BASE[n] + math.sin(s * len(n)) * 0.3, seeds)
    one, two = which(leaves=(leaf("compare", "permutation"),)), which(leaves=(leaf("compare", "permutation"),))
    object.__setattr__(two, "name", "other")
    a, b = run([one], {("model", "accuracy"): acc}), run([two], {("model", "accuracy"): acc})
    assert [row.values for row in a["which"].rows] == [row.values for row in b["other"].rows]


def test_a_contrast_may_be_read_from_its_other_side():
    first = which(leaves=(leaf("compare", "paired_t", scale="ratio"),))
    second = Analysis("back", "describe", (leaf("describe", "summary"),),
                      of=(Ref("which", "effect", (("net", "mlp"), ("against", "wrn"))),))  # fmt: skip
    result = run([first, second])
    forward = next(r for r in result["which"].rows if (r.axes["net"], r.axes["against"]) == ("wrn", "mlp"))
    assert result["back"].rows[0].values["mean"] == pytest.approx(1 / forward.values["effect"])
    back = next(r for r in turned(result["which"]) if (r.axes["net"], r.axes["against"]) == ("mlp", "wrn"))
    swapped = run(
        which(of=(Ref("model", "accuracy"),), against="wrn", leaves=(leaf("compare", "paired_t", scale="ratio"),))
    )
    direct = next(r for r in swapped["which"].rows if r.axes["net"] == "mlp")
    for name in ("effect", "low", "high", "dz", "dz_low", "dz_high", "g", "p_raw"):
        assert back.values[name] == pytest.approx(direct.values[name], rel=1e-6), name


def test_a_parameter_that_no_leaf_heeds_is_an_error():
    with pytest.raises(CrucisError, match=r"analysis.which.cost: paired_t does not heed 'cost' yet"):
        run(which(params={"cost": ["model.seconds"]}))
    assert run(which(params={"scale": "ratio"}))["which"].units["effect"] == "ratio"
