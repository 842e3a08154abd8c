"""A page with invented but plausible content: eight networks, three seeds, one of each kind of verdict, holes.

`python tests/report/report_example.py FOLDER` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from report_example_figures import NETS, PARAMETERS, SEEDS, figures, key, keys

from crucis.report import content as c


def _association() -> c.Analysis:
    columns = (
        c.Column("metric"),
        c.Column("rho", "estimate"),
        c.Column("n", "n"),
        c.Column("p", "p"),
        c.Column("p_raw", "p"),
        c.Column("ties", "n"),
    )
    rows = (
        c.Row(("log_params", c.Estimate(0.8333, 0.3112, 0.9744), 8, 0.0417, 0.0104, 0), keys("task_a")),
        c.Row(("task_a.accuracy", c.Estimate(0.2143, -0.5831, 0.8022), 8, 1.0, 0.6103, 0), keys("task_a")),
        c.Row(("ripser.h0_total", c.Estimate(0.4048, -0.4204, 0.8612), 8, 1.0, 0.3199, 1), keys("ripser")),
        c.Row(
            (
                "ripser.h1_total",
                c.Absent("refused", "all values are tied"),
                7,
                c.Absent("refused"),
                c.Absent("refused"),
                6,
            ),
            keys("ripser"),
            ("incomplete",),
        ),
    )
    return c.Analysis(
        "association",
        "correlate: spearman",
        "How the ranks of four properties of a network go with its retention after 100 steps of the second task.",
        c.Table(columns, rows),
        "Spearman's rank correlation over networks (means of 3 seeds); 95 % intervals by 10,000 bootstrap samples; "
        "p by permutation of networks.",
        "Bonferroni over 4 tests",
        ("The smallest correlation that could have been significant with 8 networks and 4 tests is 0.86.",),
        missing=("ripser.h1_total of mlp, seed 3: refused, the persistence diagram is empty",),
        keys=keys("task_b") + keys("ripser"),
    )


def _others() -> tuple[c.Analysis, ...]:
    given = c.Table(
        (c.Column("metric"), c.Column("given"), c.Column("rho", "estimate"), c.Column("n", "n"), c.Column("p", "p")),
        (c.Row(("ripser.h0_total", "log_params", c.Estimate(-0.0893, -0.7411, 0.6389), 8, 0.849)),),
    )
    pairs = c.Table(
        (
            c.Column("first"),
            c.Column("second"),
            c.Column("effect", "estimate", "fraction"),
            c.Column("n pairs", "n"),
            c.Column("p", "p"),
        ),
        tuple(
            c.Row((a, b, c.Estimate(d, d - w, d + w), 3, p))
            for a, b, d, w, p in (
                ("convnet", "mlp", 0.0312, 0.0188, 0.0213),
                ("resnet-8", "mlp", 0.0401, 0.0511, 0.0873),
                ("vit-micro", "mlp", -0.0623, 0.0299, 0.0004),
            )
        ),
    )
    return (
        c.Analysis(
            "partial",
            "correlate: partial_spearman",
            "The same, with the number of weights held constant.",
            given,
            "Partial Spearman correlation, bootstrap interval.",
            "none (one test)",
            keys=keys("ripser"),
        ),
        c.Analysis(
            "accuracy-by-net",
            "compare: paired_t",
            "Accuracy on the first task, pair by pair over seeds.",
            pairs,
            "Paired t test over seeds; 95 % interval of the mean difference.",
            "Holm over 3 tests",
            after_data="2026-02-11",
            exploratory=True,
            keys=keys("task_a"),
        ),
    )


def _verdicts() -> tuple[c.Verdict, ...]:
    return (
        c.Verdict(
            "size-matters",
            "Larger networks forget more slowly",
            "supported",
            "The rank correlation of weights with retention is 0.83 [0.31, 0.97] over 8 networks, above 0 "
            "throughout its interval.",
            (
                c.Criterion("association.rho@metric=log_params > 0", "holds", c.Estimate(0.8333, 0.3112, 0.9744)),
                c.Criterion(
                    "association.p@metric=log_params < 0.05",
                    "holds",
                    0.0417,
                    "p = 0.042, Bonferroni over 4 tests, n = 8",
                ),
            ),
        ),
        c.Verdict(
            "all-remember",
            "Every network keeps half of its accuracy for 100 steps",
            "refuted",
            "The mlp keeps 0.11 [0.07, 0.15] after 100 steps, below 0.5 throughout its interval.",
            parts=(
                c.Part(
                    "mlp",
                    "refuted",
                    "0.11 [0.07, 0.15] is below 0.5.",
                    (c.Criterion("ret > 0.5", "fails", c.Estimate(0.1123, 0.071, 0.1533)),),
                ),
                c.Part(
                    "convnet",
                    "inconclusive",
                    "0.46 [0.38, 0.54] contains 0.5.",
                    (c.Criterion("ret > 0.5", "cannot tell", c.Estimate(0.4611, 0.381, 0.5402)),),
                ),
            ),
        ),
        c.Verdict(
            "topology-adds",
            "Topology predicts forgetting beyond parameter count",
            "inconclusive",
            "With the number of weights held constant, the correlation of total persistence with retention is "
            "−0.09 [−0.74, 0.64]: neither above nor below 0. For the loops it cannot be computed.",
            (
                c.Criterion(
                    "partial.rho@metric=ripser.h0_total > 0", "cannot tell", c.Estimate(-0.0893, -0.7411, 0.6389)
                ),
                c.Criterion(
                    "partial.rho@metric=ripser.h1_total > 0", "cannot tell", c.Absent("refused", "all values are tied")
                ),
            ),
            notes=("Records of this claim come from one kind of hardware.",),
        ),
    )


def _stage_tables(rng: np.random.Generator) -> tuple[c.StageTable, ...]:
    columns = (
        c.Column("net"),
        c.Column("accuracy", "estimate", "fraction"),
        c.Column("loss", "estimate", "nats"),
        c.Column("parameters", "number"),
        c.Column("seconds", "number", "seconds"),
        c.Column("n", "n"),
    )
    rows = []
    for index, net in enumerate(NETS):
        accuracy, loss = 0.981 - 0.013 * index, 0.0612 * 1.3**index
        rows.append(
            c.Row(
                (
                    net,
                    c.Estimate(accuracy, accuracy - 0.0092, accuracy + 0.0101),
                    c.Estimate(loss, loss * 0.8, loss * 1.23),
                    PARAMETERS[index],
                    float(1.7 * 1.8**index + rng.uniform()),
                    3,
                ),
                tuple(key("task_a", net, seed) for seed in SEEDS),
            )
        )
    topology = (
        c.Column("net"),
        c.Column("h0_total", "estimate", "nats"),
        c.Column("h1_total", "estimate", "nats"),
        c.Column("n", "n"),
    )
    holes = [
        c.Row(
            (
                net,
                c.Estimate(0.4 * i + 0.11, 0.3 * i + 0.05, 0.5 * i + 0.2),
                c.Absent("refused", "the diagram is empty") if i == 0 else c.Estimate(0.04 * i, 0.03 * i, 0.06 * i),
                2 if i == 0 else 3,
            ),
            marks=("incomplete",) if i == 0 else (),
        )
        for i, net in enumerate(NETS)
    ]
    return (
        c.StageTable(
            "task_a",
            "Training on the digits 0 to 4 for 30 epochs; metrics on the validation split.",
            c.Table(columns, tuple(rows)),
            ("Mean over 3 seeds with its 95 % t interval.",),
            keys=keys("task_a"),
        ),
        c.StageTable(
            "ripser",
            "Persistent homology of three slices of the loss landscape.",
            c.Table(topology, tuple(holes)),
            missing=("mlp, seed 3: refused, the diagram is empty",),
            keys=keys("ripser"),
        ),
    )


def page() -> c.Page:
    """The whole example."""
    rng = np.random.default_rng(20)
    stages = (
        c.StageCount("task_a", "train supervised on digits 0 to 4, 30 epochs, recipe sgd-cosine", 24, 24),
        c.StageCount("landscape", "measure loss_landscape, 25 x 25 points, 3 slices", 24, 24),
        c.StageCount("ripser", "measure persistence with Ripser, complex of cells", 24, 23, refused=1),
        c.StageCount("task_b", "perturb second_task on digits 5 to 9, 500 steps", 24, 23, failed=1),
        c.StageCount("final", "measure evaluate on the test split", 24, sealed=24),
    )
    return c.Page(
        title="PERSIST on digits",
        study="persist",
        preset="demo",
        question="Does the topology of the loss landscape predict forgetting, beyond parameter count?",
        summary=(
            "Eight tiny networks learned the digits 0 to 4, then 5 to 9, with three seeds each. How much of the "
            "first task survived went with the size of the network; whether topology adds to that, eight networks "
            "cannot tell.",
        ),
        verdicts=_verdicts(),
        figures=figures(rng),
        design=c.Design(
            (c.Factor("arch", NETS), c.Factor("data", ("digits",), "8 x 8 grey images, 1,797 of them")),
            SEEDS,
            8,
            stages,
            (c.Excluded(6, "the stage 'barrier' has only: {arch.family: conv}"),),
            (
                c.Problem(
                    "ripser",
                    "mlp",
                    3,
                    "refused",
                    "degenerate: the persistence diagram is empty",
                    key("ripser", "mlp", 3),
                ),
                c.Problem(
                    "task_b",
                    "vit-micro",
                    2,
                    "failed",
                    "MemoryError in second_task.py:88 (attempt 2 of 2)",
                    key("task_b", "vit", 2),
                ),
            ),
        ),
        changes=(
            c.Change("factors.data", "preset demo", "[cifar100, cub200, resisc45]", "[digits]"),
            c.Change("let.grid", "preset demo", "51", "25"),
            c.Change("stages.fisher", "drop"),
        ),
        registration=c.Registration(
            key("registration"), "2026-02-10", (c.Amendment("2026-02-11", "analysis 'accuracy-by-net' added", True),), 0
        ),
        power=(
            "With 8 networks and 4 tests corrected together, a rank correlation must reach 0.86 to be significant; "
            "with 3 seeds, a difference of 2.4 standard deviations is found in 80 % of studies.",
        ),
        analyses=(_association(), *_others()),
        stages=_stage_tables(rng),
        limits=(
            "Eight tiny networks on one data set of 8 x 8 images: nothing is said about networks of practical size.",
            "A correlation over architectures is no cause: architectures differ in more than size and topology.",
            "Each landscape is a random plane through a space of ten thousands of dimensions.",
        ),
        sources=tuple(
            c.Source(
                key(stage, net, seed),
                stage,
                net,
                seed,
                "refused" if (stage, net, seed) == ("ripser", "mlp", 3) else "ok",
            )
            for stage in ("task_a", "landscape", "ripser", "task_b")
            for net in NETS
            for seed in SEEDS
        ),
        environment=(
            c.Fact("Crucis", "0.1.0"),
            c.Fact("Python", "3.11.9"),
            c.Fact("PyTorch", "2.13.0, CPU"),
            c.Fact("processor", "2 cores, x86-64, AVX2"),
            c.Fact("numerics", "fp32, deterministic, one thread per step"),
        ),
        cost=(
            c.Cost("task_a", 24, 214.2, 14_200_000),
            c.Cost("landscape", 24, 96.0, 1_900_000),
            c.Cost("ripser", 24, 1.31, 120_000),
            c.Cost("task_b", 24, 61.7, 300_000),
        ),
        commands=("crucis run persist --preset demo",),
        citations=(
            "Li, Xu, Taylor, Studer, Goldstein: Visualizing the Loss Landscape of Neural Nets, 2018, arXiv:1712.09913",
        ),
    )


if __name__ == "__main__":
    from crucis.report import build

    print(build(page(), Path(sys.argv[1])))
