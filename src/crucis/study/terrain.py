"""Figures of landscapes and of their topology: contours, surfaces, lines, persistence diagrams and barcodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..records import Record
from ..report import content as c

_MOST_PANELS = 24
_MOST_SURFACES = 6  # each is heavy
_MEANING = {
    "filter": "Directions are random and filter-normalised: 1 on an axis moves each filter by its own norm.",
    "raw": "Directions are random and not normalised.",
    "hessian": "Directions are those of largest curvature (eigenvectors of the Hessian), scaled to the norm of the "
    "weights.",
    "solutions": "0 on both axes is one network and 1 on the first axis another one.",
}

Groups = Mapping[str, Sequence[Record]]


def landscapes(stage: str, groups: Groups) -> Iterator[c.Figure]:
    """Slice 0 of the first seed of every network: contours and surfaces, or lines where the landscape has one axis."""
    first = [(label, records[0]) for label, records in list(groups.items())[:_MOST_PANELS]]
    arrays = {label: record.arrays("landscape.npz") for label, record in first}
    count, keys = next(iter(arrays.values()))["losses"].shape[0], tuple(record.key for _, record in first)
    kind = first[0][1].spec["params"].get("directions", "filter")
    says = (
        f"Mean cross-entropy on training examples of the first task (slice 0 of the first seed; {count} "
        f"slice{'s' * (count != 1)} per network and seed {'were' if count != 1 else 'was'} measured). {_MEANING[kind]}"
    )
    if next(iter(arrays.values()))["losses"].ndim == 2:
        panels = tuple(
            c.LinePanel(label, tuple(c.Line(f"slice {s}", a["coordinates"], row) for s, row in enumerate(a["losses"])))
            for label, a in arrays.items()
        )
        yield c.Figure(
            f"{stage}-lines", "The loss along lines through each solution",
            c.Curves(panels, c.Axis("along the direction"), c.Axis("loss", "nats")), says, keys,
        )  # fmt: skip
        return
    slices = tuple(c.Slice(label, a["coordinates"], a["coordinates"], a["losses"][0]) for label, a in arrays.items())
    yield c.Figure(
        f"{stage}-landscape", "The loss around each solution",
        c.Contour(slices, x=c.Axis("along direction 1"), y=c.Axis("along direction 2")),
        f"{says} The mark is the trained network.", keys,
    )  # fmt: skip
    more = f" The first {_MOST_SURFACES} of {len(slices)} networks." if len(slices) > _MOST_SURFACES else ""
    yield c.Figure(
        f"{stage}-surface", "The same landscapes as surfaces", c.Surface(slices[:_MOST_SURFACES]),
        f"Height and colour are the loss of the figure before, on one scale for all.{more}",
        keys[:_MOST_SURFACES], main=False,
    )  # fmt: skip


def diagrams(stage: str, groups: Groups) -> Iterator[c.Figure]:
    """Slice 0 of the first seed of every network: persistence diagrams and the same bars as barcodes."""
    panels, keys = [], []
    for label, records in list(groups.items())[:_MOST_PANELS]:
        arrays = records[0].arrays("diagrams.npz")
        h0, h1 = (tuple(map(tuple, arrays[name].astype(float))) for name in ("h0_0", "h1_0"))
        floor = records[0].values.get("floor") or records[0].spec["params"].get("noise_floor")
        panels.append(c.Bars(label, h0, h1, floor))
        keys.append(records[0].key)
    params = next(iter(groups.values()))[0].spec["params"]
    which = f"({params.get('engine', stage)}, {params.get('complex', '')})"
    yield c.Figure(
        f"{stage}-diagram", f"Persistence diagrams {which}", c.Diagram(tuple(panels)),
        "Every point is a feature of the landscape (slice 0 of the first seed): a separate basin (H0) or an enclosed "
        "hill (H1), born at the loss on the horizontal axis and gone at the loss on the vertical one. The farther from "
        "the diagonal, the longer it persists. The deepest basin never ends. An empty panel is a landscape without "
        "such features.",
        tuple(keys), main=False,
    )  # fmt: skip
    if any(len(panel.h0) > 1 or len(panel.h1) for panel in panels):
        yield c.Figure(
            f"{stage}-barcode", f"Barcodes {which}", c.Barcode(tuple(panels)),
            "The same features as bars from birth to death, the longest first.", tuple(keys), main=False,
        )  # fmt: skip
