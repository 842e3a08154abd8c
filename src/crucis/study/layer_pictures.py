"""Pictures of profiles: what share of a network's forward time each of its layers takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from ..records import Record
from ..report import content as c

#: Layers in one picture, the slowest ones.
_MOST_LAYERS = 20
#: Networks that get a picture.
_MOST_CELLS = 6


def layers(stage: str, groups: Mapping[str, Sequence[Record]]) -> Iterator[c.Figure]:
    """One picture per network: its slowest layers in the order of the network, a dot per seed and their mean."""
    for k, (label, records) in enumerate(list(groups.items())[:_MOST_CELLS]):
        tables = [{**record.arrays("layers.npz"), **record.arrays("times.npz")} for record in records]
        names = [tuple(table["name"].tolist()) for table in tables]
        if len(set(names)) > 1:  # seeds of one cell have one network; anything else has no common layers
            continue
        shares = np.array([table["forward"] / table["forward"].sum() for table in tables])
        mean = shares.mean(0)
        chosen = np.sort(np.argsort(-mean, kind="stable")[:_MOST_LAYERS])
        kinds = tables[0]["kind"]
        clouds = tuple(
            c.Cloud(f"{names[0][i]} ({kinds[i]})", shares[:, i].tolist(), c.Estimate(float(mean[i]))) for i in chosen
        )
        rest = (
            f" The other {len(mean) - len(chosen)} take {1 - mean[chosen].sum():.1%}."
            if len(mean) > len(chosen)
            else ""
        )
        yield c.Figure(
            f"{stage}-layers-{k + 1}", f"Where the time goes in {label}",
            c.Dots(clouds, c.Axis("share of the forward time", "fraction", low=0.0)),
            f"Each layer's own work, median of repeated passes on one thread; a dot per seed, and their mean.{rest}",
            tuple(record.key for record in records), main=False,
        )  # fmt: skip
