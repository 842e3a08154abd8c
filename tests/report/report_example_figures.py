"""The invented pictures of the example page: eight networks, three seeds, one figure of each kind."""

from __future__ import annotations

import hashlib
import math

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


def _hunted(behind: tuple[str, ...]) -> list[c.Figure]:
    """A search of 24 trials over two numbers and a choice, two groups of them in the history."""
    rng = np.random.default_rng(4)
    space = (
        c.Varied("lr", "log", 1e-4, 1.0),
        c.Varied("optimiser", "choice", 0.0, 2.0, ("sgd", "adamw", "rmsprop")),
        c.Varied("momentum", "linear", 0.8, 0.99),
    )
    every = []
    for label in ("baseline", "method"):
        values = [[10 ** rng.uniform(-4, 0), float(i % 3), rng.uniform(0.8, 0.99) if i % 3 == 0 else math.nan]
                  for i in range(24)]  # fmt: skip
        reached = [0.9 - 0.05 * (math.log10(row[0]) + 2) ** 2 + rng.normal(0, 0.01) for row in values]
        reached[5] = math.nan
        full = [i % 4 != 3 for i in range(24)]
        whole = [y if ok and math.isfinite(y) else -1.0 for y, ok in zip(reached, full, strict=True)]
        best = [max(whole[: i + 1]) for i in range(24)]
        winner = int(np.argmax(whole))
        every.append(c.Trials(label, space, values, reached, full, best, winner, "accuracy", "fraction"))
    about = "On the validation split; rings ended after a shorter training."
    return [
        c.Figure("search-history", "Two searches in their order", c.History(tuple(every)), about, behind, main=False),
        c.Figure("search-slices", "Each parameter alone", c.Slices(every[0]), about, behind, main=False),
        c.Figure("search-parallel", "All parameters", c.Parallel(every[0]), about, behind, main=False),
        c.Figure("search-plane", "Two parameters", c.Plane(every[0], 0, 2), about, behind, main=False),
    ]


def figures(rng: np.random.Generator) -> tuple[c.Figure, ...]:
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
        *_hunted(keys("task_a")[:3]),
        c.Figure(
            "null",
            "What permutation gives",
            c.Histogram(
                tuple(
                    c.HistogramPanel(
                        f"model {name}", rng.standard_normal(999), mark, f"observed {mark}, 999 permutations"
                    )
                    for name, mark in (("B", 2.4), ("C", -0.3), ("D", 0.9))
                ),
                c.Axis("gain in R2 over the base"),
            ),
            "The line is the observed gain.",
            main=False,
        ),
        c.Figure(
            "pairs",
            "All associations at once",
            c.Heat(
                ("ripser.h0_total", "ripser.h1_total", "task_a.parameters"),
                tuple(f"step={step}" for step in (10, 100, 1000, 5000)),
                ((0.61, -0.2, None, 1.0), (-0.94, 0.0, 0.33, -1.0), (0.1, 0.2, 0.3, 0.004)),
                ((0.2, 0.9, None, 0.001), (0.01, 1.0, 0.7, 0.001), (1.0, 1.0, 0.8, 1.0)),
                0.05,
                "\u03c1",
            ),
            "Framed: below 0.05 after correction.",
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
            "ranks",
            "Which strategy remembers more",
            c.Ranks(
                (
                    c.RankPanel(
                        "",
                        (("naive", 1.3), ("cosine decay", 1.9), ("replay", 3.2), ("EWC", 3.6)),
                        1.05,
                        20,
                        ((1.3, 1.9), (3.2, 3.6)),
                    ),
                )
            ),
            "Mean rank of each strategy over 20 rows; levels under one bar cannot be told apart.",
            keys("task_b")[:3],
            main=False,
        ),
        c.Figure(
            "ramps",
            "Which learning rates the networks stand",
            c.Ramps(
                tuple(
                    c.RampPanel(
                        name,
                        tuple(
                            c.RampLine(tuple(10.0**k for k in range(-7, 1)), (*[2.3 + seed / 50] * 5, 1.7, 0.4, top))
                            for seed in range(3)
                        ),
                        c.Estimate(limit, limit / 1.3, limit * 1.3),
                        c.Estimate(limit / 20),
                        (limit / 10, limit / 3),
                    )
                    for name, limit, top in (("small", 0.4, 9.0), ("wide", 0.6, 3.0))
                )
            ),
            "Smoothed loss of three seeds while the learning rate rises.",
            keys("task_b")[:3],
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
