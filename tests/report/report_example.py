"""A page with invented but plausible content: eight networks, three seeds, one of each kind of verdict, holes.

`python tests/report/report_example.py FOLDER` writes it.
"""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

import numpy as np

from crucis.report import content as c

NETS = ("mlp", "convnet", "resnet-8", "wrn-10-1", "wrn-10-2", "vit-micro", "mixer-micro", "timm-test_resnet")
FAMILY = dict(zip(NETS, ("dense", "conv", "conv", "conv", "conv", "token", "token", "conv"), strict=True))
PARAMETERS = (9_930, 19_466, 77_754, 78_330, 310_042, 61_322, 45_210, 470_986)
SEEDS = (1, 2, 3)
STEPS = (0, 1, 2, 5, 10, 25, 50, 100, 250, 500)


def key(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def keys(stage: str) -> tuple[str, ...]:
    return tuple(key(stage, net, seed) for net in NETS for seed in SEEDS)


def _retention(rng: np.random.Generator) -> c.Retention:
    lines, says = [], []
    for index, net in enumerate(NETS):
        half = 8 * 1.75**index
        curves = [
            [1.0]
            + [
                float(np.clip(1 / (1 + (step / (half * rng.uniform(0.7, 1.4))) ** 0.9) + rng.normal(0, 0.012), 0, 1.02))
                for step in STEPS[1:]
            ]
            for _ in SEEDS
        ]
        mean = np.mean(curves, axis=0)
        half_width = np.std(curves, axis=0, ddof=1) * 1.6
        lines.append(c.Line(net, STEPS, tuple(mean), tuple(mean - half_width), tuple(mean + half_width), n=3))
        says.append(f"AURC {float(np.trapezoid(mean, STEPS) / 500):.2f}")
    return c.Retention(tuple(lines), summary=tuple(says))


def _slice(rng: np.random.Generator, label: str, steep: float, rough: float, size: int = 25) -> c.Slice:
    a = np.linspace(-1, 1, size)
    x, y = np.meshgrid(a, a, indexing="ij")
    turn = rng.uniform(0, math.pi)
    u, v = x * math.cos(turn) + y * math.sin(turn), -x * math.sin(turn) + y * math.cos(turn)
    bumps = sum(
        rough * math.cos(rng.uniform(0, 6)) * np.sin(f * u * 3 + rng.uniform(0, 6)) * np.cos(f * v * 2.5)
        for f in (1.0, 1.7, 2.6)
    )
    loss = 0.03 + steep * (u**2 + 0.35 * v**2) + np.abs(bumps) * (u**2 + v**2)
    return c.Slice(label, tuple(a), tuple(a), tuple(map(tuple, loss)))


def _bars(rng: np.random.Generator, label: str, many: int) -> c.Bars:
    births = rng.uniform(0.1, 2.0, many)
    h0 = ((0.03, math.inf), *((float(b), float(b + rng.exponential(0.25))) for b in births))
    h1 = tuple((float(b + 0.8), float(b + 0.8 + rng.exponential(0.2))) for b in births[: many // 2])
    return c.Bars(label, h0, h1, floor=0.08)


def _scatter(rng: np.random.Generator) -> c.Scatter:
    panels = []
    for name, says, log in (
        ("Parameters", "rho = 0.83 [0.31, 0.97], n = 8, p = 0.042 (Bonferroni over 4)", True),
        ("Total persistence of loops", "rho = −0.12 [−0.78, 0.66], n = 8, p = 1.0 (Bonferroni over 4)", False),
    ):
        x = np.log(PARAMETERS) if log else rng.exponential(0.8, 8)
        y = 0.15 + 0.075 * np.arange(8) + rng.normal(0, 0.03, 8)
        slope, base = np.polyfit(x, y, 1)
        grid = np.linspace(x.min(), x.max(), 40)
        band = 0.06 + 0.05 * np.abs(grid - x.mean()) / np.ptp(x)
        line = base + slope * grid
        points = tuple(
            c.Dot(
                net,
                math.exp(u) if log else float(u),
                float(v),
                y_low=float(v - 0.05),
                y_high=float(v + 0.05),
                group=FAMILY[net],
            )
            for net, u, v in zip(NETS, x, y, strict=True)
        )
        fit = c.Fit(np.exp(grid) if log else grid, line, line - band, line + band, "least squares")
        axis = c.Axis("trained weights", scale="log") if log else c.Axis("total persistence, H1", "nats")
        panels.append(c.ScatterPanel(name, points, axis, c.Axis("retention after 100 steps", "fraction"), fit, says))
    return c.Scatter(tuple(panels))


def _figures(rng: np.random.Generator) -> tuple[c.Figure, ...]:
    epochs = tuple(range(1, 31))
    curves = []
    for index, net in enumerate(NETS):
        lines = []
        for split, top in (("training", 0.99), ("validation", 0.95 - 0.01 * index)):
            mean = np.array([top - (top - 0.1) * math.exp(-epoch / (3 + index * 0.6)) for epoch in epochs])
            width = 0.05 * np.exp(-np.array(epochs) / 12)
            lines.append(c.Line(split, epochs, mean, mean - width, mean + width, n=3))
        curves.append(c.LinePanel(net, tuple(lines)))
    slices = tuple(_slice(rng, net, 2 * 1.6**i, 0.2 * i) for i, net in enumerate(NETS))
    more = tuple(_slice(rng, f"{net}, slice {s}", 2 * 1.6**i, 0.2 * i) for i, net in enumerate(NETS) for s in (1, 2, 3))
    bars = tuple(_bars(rng, net, 4 + 3 * i) for i, net in enumerate(NETS))
    effects = tuple(
        c.Effect(metric, c.Estimate(value, low, high), "retention after 100 steps", f"p = {p} (Bonferroni), n = 8")
        for metric, value, low, high, p in (
            ("parameters", 0.83, 0.31, 0.97, "0.042"),
            ("task_a.accuracy", 0.21, -0.58, 0.80, "1.0"),
            ("ripser.h0_total", 0.40, -0.42, 0.86, "1.0"),
        )
    )
    effects = (*effects, c.Effect("ripser.h1_total", c.Absent("refused", "all values are tied"), effects[0].group))
    clouds = tuple(
        c.Cloud(
            net,
            tuple(0.9 - 0.012 * i + rng.normal(0, 0.01, 3)),
            c.Estimate(0.9 - 0.012 * i, 0.87 - 0.012 * i, 0.93 - 0.012 * i),
            FAMILY[net],
        )
        for i, net in sorted(enumerate(NETS), key=lambda pair: FAMILY[pair[1]])
    )
    return (
        c.Figure(
            "retention",
            "How long the first task is remembered",
            _retention(rng),
            "Share of the accuracy on digits 0 to 4 that is left after so many steps on digits 5 to 9. Line: mean "
            "over 3 seeds; band: 95 % interval; grey: the other networks. The horizontal axis starts at 0 and is "
            "logarithmic from the first recorded step. AURC is the area under the curve, divided by 500.",
            keys("task_b"),
        ),
        c.Figure(
            "association",
            "What goes with remembering",
            _scatter(rng),
            "One point per network, mean of 3 seeds; thin lines: 95 % intervals over seeds. Line and band: least "
            "squares and its 95 % interval. rho: Spearman's rank correlation with bootstrap interval.",
            keys("ripser"),
        ),
        c.Figure(
            "landscape",
            "The loss around the trained networks",
            c.Contour(slices),
            "Loss of the first task on a plane through the trained weights (dot), spanned by two random directions "
            "with the norm of each filter; seed 1, slice 1, 25 x 25 points, 256 images. Same colours everywhere.",
            keys("landscape")[::3],
        ),
        c.Figure(
            "effects",
            "Rank correlation of each metric with retention",
            c.Forest(effects, c.Axis("Spearman's rho", low=-1, high=1)),
            "Square: estimate; line: 95 % bootstrap interval; grey: the interval contains 0.",
            keys("ripser"),
        ),
        c.Figure(
            "diagrams",
            "Persistence of the landscapes",
            c.Diagram(bars),
            "Every point is a basin (H0) or an enclosed ridge (H1) of the slice above; the farther from the "
            "diagonal, the deeper or higher it is.",
            keys("ripser")[::3],
            main=False,
        ),
        c.Figure("barcode", "The same as bars", c.Barcode(bars[:4]), "Longest first.", keys("ripser")[:4], main=False),
        c.Figure(
            "accuracy",
            "Accuracy on the first task",
            c.Dots(clouds, c.Axis("accuracy", "fraction")),
            "Grey dots: single seeds; square and line: mean and 95 % interval.",
            keys("task_a"),
            main=False,
        ),
        c.Figure(
            "learning",
            "Learning curves of the first task",
            c.Curves(tuple(curves), c.Axis("epoch"), c.Axis("accuracy", "fraction")),
            "Mean and 95 % interval over 3 seeds.",
            keys("task_a"),
            main=False,
        ),
        c.Figure(
            "learning-one",
            "Learning curve of the convnet",
            c.Curves((curves[1],), c.Axis("epoch"), c.Axis("accuracy", "fraction")),
            "Mean and 95 % interval over 3 seeds.",
            keys("task_a")[3:6],
            main=False,
        ),
        c.Figure(
            "strategies",
            "Three strategies",
            c.Retention(
                tuple(
                    c.Line(name, line.x, line.y, line.low, line.high, 3)
                    for name, line in zip(("naive", "cosine decay", "EWC"), _retention(rng).lines[2:5], strict=True)
                )
            ),
            "convnet.",
            keys("task_b")[:3],
            main=False,
        ),
        c.Figure(
            "all-slices",
            "All slices",
            c.Contour(more, columns=6),
            "Three slices of seed 1.",
            keys("landscape"),
            main=False,
        ),
        c.Figure(
            "surfaces",
            "Three landscapes in perspective",
            c.Surface((slices[0], slices[4], slices[7])),
            "The slices of the landscape figure; height and colour are the loss.",
            keys("landscape")[:3],
            main=False,
        ),
    )


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
        figures=_figures(rng),
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
