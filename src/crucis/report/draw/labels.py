"""Names beside points without overlap: candidates around each point, the cheapest free one wins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

Box = tuple[float, float, float, float]  # left, bottom, right, top, in points

_ANGLES = (20, 160, -20, 200, 60, 120, -60, 240, 90, 270, 0, 180)
_REACHES = (5.0, 9.0, 15.0, 23.0, 33.0, 45.0)


def _clash(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _candidate(x: float, y: float, size: tuple[float, float], angle: float, reach: float) -> Box:
    """The box of a text whose near edge is `reach` away from the point in that direction."""
    dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    width, height = size
    cx = x + dx * reach + (0.5 * width if dx > 0.2 else -0.5 * width if dx < -0.2 else 0.0)
    cy = y + dy * (reach + 0.5 * height)
    return cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2


def _crosses(start: tuple[float, float], end: tuple[float, float], box: Box) -> bool:
    """Whether the segment passes through the box (sampled; the boxes are far wider than a sample's step)."""
    for step in range(13):
        x = start[0] + (end[0] - start[0]) * step / 12
        y = start[1] + (end[1] - start[1]) * step / 12
        if box[0] < x < box[2] and box[1] < y < box[3]:
            return True
    return False


def place(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    frame: Box,
    disliked: Sequence[Box] = (),
    radius: float = 4.0,
) -> list[Box | None]:
    """A box per label, or None where no place is free. No box touches another, a point or the edge.

    Args:
        points: positions in points (1/72 inch).
        sizes: width and height of each label, in points.
        frame: the boxes stay inside.
        disliked: boxes that a label covers only if it finds no other place near by.
        radius: half the side of the square around every point that stays free.

    Crowded points choose first, so that they keep the near places. O(n^2 * candidates).
    """
    dots = [(x - radius, y - radius, x + radius, y + radius) for x, y in points]
    crowd = [sum(math.hypot(x - u, y - v) < 40 for u, v in points) for x, y in points]
    order = sorted(range(len(points)), key=lambda index: (-crowd[index], points[index][0], index))
    taken: list[Box | None] = [None] * len(points)
    for index in order:
        others = [box for box in taken if box is not None]
        free = list(_free(points[index], sizes[index], frame, others, dots))
        pleasant = (box for box in free if not any(_clash(box, other) for other in disliked))
        taken[index] = next(pleasant, free[0] if free else None)
    return taken


def _free(
    point: tuple[float, float], size: tuple[float, float], frame: Box, others: Sequence[Box], dots: Sequence[Box]
) -> Iterator[Box]:
    """The places around a point that are free, nearest first."""
    for reach in _REACHES:
        for angle in _ANGLES:
            box = _candidate(*point, size, angle, reach)
            inside = box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]
            if not inside or any(_clash(box, other) for other in (*others, *dots)):
                continue
            near = nearest_edge(box, *point)
            if reach <= 9 or not any(_crosses(point, near, other) for other in others):
                yield box


def nearest_edge(box: Box, x: float, y: float) -> tuple[float, float]:
    """The point of the box that is closest to (x, y)."""
    return min(max(x, box[0]), box[2]), min(max(y, box[1]), box[3])
