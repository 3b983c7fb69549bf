"""Which arcs bound which region? Rings of arcs around each region, and polygons made of them.

Arcs know their regions, so no point has to be looked up and no hole has to be searched for its shell: walk along an
arc with the region on the left, turn left at every junction, and the ring closes. Rings are found once, on the
exact arcs; polygons are then built from any points that keep the arcs' topology, exact or simplified, and
neighbours share every point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.chains import walked
from hedgerow.arcs.network import Arcs, Ids, corner_keys, offsets_of, ranges, run_sums

_AT_ONCE = 1 << 16  # arcs of which the points are widened at a time


@dataclass(frozen=True)
class Faces:
    """The rings of every region. Side 2 i is arc i forward, side 2 i + 1 is arc i backward; the region is on its left.

    Ring r is `sides[offsets[r]:offsets[r + 1]]` and bounds region `region[r]`. Rings are sorted by region, each
    shell first.
    """

    sides: Ids
    offsets: Ids
    region: Ids
    area_px: NDArray[np.float64]

    @property
    def ids(self) -> Ids:
        """The regions that have a polygon, ascending."""
        return np.unique(self.region)


def faces(arcs: Arcs) -> Faces:
    """Find the rings of all regions (ids above 0) of exact arcs; each region is one 4-connected area."""
    chains = walked(_following_side(arcs))
    sides, offsets = _simple_rings(arcs, chains.order, chains.offsets)
    region = _region_of_side(arcs)[sides[offsets[:-1]]]
    area = _ring_areas(arcs, sides, offsets)
    order = np.lexsort((sides[offsets[:-1]], area < 0, region))
    order = order[region[order] > 0]
    taken = sides[ranges(offsets[order], offsets[order + 1])]
    return Faces(taken, offsets_of(np.diff(offsets)[order]), region[order], area[order])


def polygons(found: Faces, arcs: Arcs, points: NDArray[np.float64]) -> NDArray[Any]:
    """Build one polygon per region, in the order of `found.ids`.

    Args:
        found: the rings of the arcs.
        arcs: the arcs, exact or simplified.
        points: (n, 2) x and y of `arcs.points`.
    """
    if not len(found.region):
        return np.zeros(0, object)
    place, per_side = _side_points(arcs, found.sides)
    ring = np.repeat(np.repeat(np.arange(len(found.region)), np.diff(found.offsets)), per_side)
    rings = np.asarray(shapely.linearrings(points[place], indices=ring), object)
    _, polygon = np.unique(found.region, return_inverse=True)
    return np.asarray(shapely.polygons(rings, indices=polygon), object)


def picked(found: Faces, arcs: Arcs, rings: Ids) -> tuple[Faces, Arcs]:
    """Return some rings, in the order given, and only the arcs that they need."""
    sides = found.sides[ranges(found.offsets[rings], found.offsets[rings + 1])]
    own, place = np.unique(sides // 2, return_inverse=True)
    offsets = offsets_of(np.diff(found.offsets)[rings])
    return Faces(2 * place + sides % 2, offsets, found.region[rings], found.area_px[rings]), arcs.taking(own)


def _region_of_side(arcs: Arcs) -> Ids:
    return np.stack([arcs.left, arcs.right], axis=1).ravel()


def _following_side(arcs: Arcs) -> Ids:
    """Find the side that goes on where each one ends: left if there is one, else straight on, else right."""
    heading_out, heading_in = _headings(arcs)
    _, corner = np.unique(np.r_[corner_keys(arcs.starts), corner_keys(arcs.ends)], return_inverse=True)
    first, last = corner[: len(arcs)], corner[len(arcs) :]
    start, end = np.stack([first, last], axis=1).ravel(), np.stack([last, first], axis=1).ravel()
    leaving = np.full((int(corner.max(initial=-1)) + 1, 4), -1, np.int64)
    leaving[start, heading_out] = np.arange(len(start))
    following = np.full(len(start), -1, np.int64)
    for turn in (-1, 0, 1):  # the last that exists wins: right, straight, left
        ahead = leaving[end, (heading_in + turn) % 4]
        following = np.where(ahead >= 0, ahead, following)
    return following


def _headings(arcs: Arcs) -> tuple[Ids, Ids]:
    """Heading of each side as it leaves its first and reaches its last corner: 0 east, 1 north, 2 west, 3 south."""
    first = _heading(arcs.starts, arcs.points[arcs.offsets[:-1] + 1])
    last = _heading(arcs.points[arcs.offsets[1:] - 2], arcs.ends)
    out = np.stack([first, (last + 2) % 4], axis=1).ravel()
    into = np.stack([last, (first + 2) % 4], axis=1).ravel()
    return out, into


def _heading(here: NDArray[np.int32], there: NDArray[np.int32]) -> Ids:
    rows, cols = (there - here).T
    return np.where(rows == 0, np.where(cols > 0, 0, 2), np.where(rows < 0, 1, 3)).astype(np.int64)


def _simple_rings(arcs: Arcs, sides: Ids, offsets: Ids) -> tuple[Ids, Ids]:
    """Cut rings that pass a corner twice into rings that do not, so that a touching hole is its own."""
    starts = corner_keys(np.stack([arcs.starts, arcs.ends], axis=1).reshape(-1, 2))[sides]
    ring = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    twice = _repeats(ring, starts)
    if not len(twice):
        return sides, offsets
    kept = np.setdiff1d(np.arange(len(offsets) - 1), twice)
    parts = [sides[ranges(offsets[kept], offsets[kept + 1])]]
    lengths = np.diff(offsets)[kept].tolist()
    for r in twice.tolist():
        here = slice(offsets[r], offsets[r + 1])
        for loop in _loops(starts[here].tolist(), sides[here].tolist()):
            parts.append(np.asarray(loop, np.int64))
            lengths.append(len(loop))
    return np.concatenate(parts), offsets_of(np.asarray(lengths, np.int64))


def _repeats(ring: Ids, corner: Ids) -> Ids:
    """Rings in which a corner occurs twice."""
    order = np.lexsort((corner, ring))
    same = (np.diff(ring[order]) == 0) & (np.diff(corner[order]) == 0)
    return np.unique(ring[order][1:][same])


def _loops(corners: list[int], sides: list[int]) -> list[list[int]]:
    """Cut a closed walk at corners passed before: what lies between two visits is a ring of its own."""
    loops: list[list[int]] = []
    path: list[int] = []
    at: dict[int, int] = {}
    for corner, side in zip(corners, sides, strict=True):
        if corner in at:
            cut = at[corner]
            loops.append(path[cut:])
            del path[cut:]
            at = {known: place for known, place in at.items() if place <= cut}
        at[corner] = len(path)
        path.append(side)
    return [*loops, path]


def _ring_areas(arcs: Arcs, sides: Ids, offsets: Ids) -> NDArray[np.float64]:
    """Signed area of each ring in pixels, positive for shells: the region is on the left, row 0 on top."""
    arc_area = doubled_areas(arcs)
    doubled = np.where(sides % 2 == 0, 1, -1) * arc_area[sides // 2]
    return run_sums(doubled, offsets) / 2


def doubled_areas(arcs: Arcs) -> NDArray[Any]:
    """Return twice the area (m,) between each arc and the origin, positive where anticlockwise with row 0 on top.

    Whole numbers, exactly, while the corners lie on the grid.
    """
    parts = [_doubled_areas(arcs, first, min(first + _AT_ONCE, len(arcs))) for first in range(0, len(arcs), _AT_ONCE)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _doubled_areas(arcs: Arcs, first: int, stop: int) -> NDArray[Any]:
    starts = arcs.offsets[first : stop + 1] - arcs.offsets[first]
    points = arcs.points[arcs.offsets[first] : arcs.offsets[stop]]
    row, col = points.astype(np.promote_types(points.dtype, np.int64)).T
    cross = np.zeros_like(row)
    cross[:-1] = col[1:] * row[:-1] - col[:-1] * row[1:]
    cross[starts[1:] - 1] = 0
    return np.asarray(np.add.reduceat(cross, starts[:-1]))


def _side_points(arcs: Arcs, sides: Ids) -> tuple[Ids, Ids]:
    """Positions in `arcs.points` along the sides, each without its last corner (the next side starts there)."""
    first, stop = arcs.offsets[sides // 2], arcs.offsets[sides // 2 + 1]
    lengths = stop - first - 1
    step = ranges(np.zeros(len(sides), np.int64), lengths)
    back = np.repeat(sides % 2 == 1, lengths)
    start = np.repeat(np.where(sides % 2 == 1, stop - 1, first), lengths)
    return start + np.where(back, -step, step), lengths
