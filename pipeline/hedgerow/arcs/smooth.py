"""How do corners become curves, for both neighbours at once? By cutting them off, arc by arc.

Chaikin's corner cutting replaces a corner by two points on its legs, again and again. All that it ever does at a
corner stays within the triangle of the corner and the middles of its legs, so one look at that triangle says whether
the corner can be cut: where another border lies in it, the corner stays. Junctions and the frame of the raster stay
as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.clearance import Borders
from hedgerow.arcs.network import Arcs, Ids, offsets_of, ranges

REACH_PX = 4.0
"""A curve begins this far before its corner if nothing else is asked for: a raster knows no corner much better."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Smoothed:
    """Arcs whose points are no corners of the grid any more, and how many corners stayed because of another border."""

    arcs: Arcs
    corners_kept: int


@dataclass(frozen=True)
class _Corners:
    """Corners that could be cut: their place among the points, and those of their neighbours along the arc."""

    at: Ids
    before: Ids
    after: Ids

    def where(self, wanted: NDArray[np.bool_]) -> _Corners:
        return _Corners(self.at[wanted], self.before[wanted], self.after[wanted])


def smoothed(
    arcs: Arcs,
    ring: NDArray[np.bool_],
    *,
    rounds: int,
    pixel_m: tuple[float, float],
    shape: tuple[int, int],
    reach_m: float | None = None,
) -> Smoothed:
    """Return the arcs after some rounds of corner cutting; points become (row, col) with fractions.

    Args:
        arcs: exact, simplified or regularized arcs.
        ring: (m,) closed arcs without a junction: they have no ends that stay.
        rounds: how often corners are cut: a corner becomes 2 ** rounds points. 0 returns the arcs as they are.
        pixel_m: (height, width) of a pixel.
        shape: (height, width) of the raster, px: points on its frame stay.
        reach_m: a curve begins at most this far before its corner, and never beyond the middle of the leg; None: 4 px.

    Source: Chaikin 1974; the points are those of the quadratic B-spline with these corners (Riesenfeld 1975), written
    down at once with its blossom instead of round by round.
    """
    if rounds <= 0 or not len(arcs):
        return Smoothed(arcs, 0)
    points = arcs.points.astype(np.float64)
    reach = REACH_PX * float(np.sqrt(pixel_m[0] * pixel_m[1])) if reach_m is None else reach_m
    found = _corners(arcs, ring)
    found = found.where(_bends(points, found) & ~_on_frame(points[found.at], shape))
    first, last = (_towards(points, found.at, leg, reach, pixel_m) for leg in (found.before, found.after))
    free = _free(arcs, found, first, last)
    curves = _curves(first[free], points[found.at[free]], last[free], 2**rounds)
    return Smoothed(_with_curves(arcs, points, ring, found.at[free], curves), int(np.count_nonzero(~free)))


def _corners(arcs: Arcs, ring: NDArray[np.bool_]) -> _Corners:
    """All points but the ends of open arcs; the first point of a ring comes after its last but one."""
    first, last = arcs.offsets[:-1], arcs.offsets[1:] - 1
    inner = ranges(first + 1, last)
    start = first[ring]
    at = np.r_[inner, start]
    order = np.argsort(at)
    return _Corners(at[order], np.r_[inner - 1, last[ring] - 1][order], at[order] + 1)


def _bends(points: Floats, found: _Corners) -> NDArray[np.bool_]:
    (a, b), (c, d) = (points[found.before] - points[found.at]).T, (points[found.after] - points[found.at]).T
    return np.asarray(a * d != b * c)


def _on_frame(points: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((points <= 0) | (points >= shape)).any(axis=1))


def _towards(points: Floats, at: Ids, other: Ids, reach: float, pixel_m: tuple[float, float]) -> Floats:
    """Where the curve leaves the leg from `at` to `other`."""
    leg = points[other] - points[at]
    length = np.hypot(leg[:, 0] * pixel_m[0], leg[:, 1] * pixel_m[1])
    return np.asarray(points[at] + leg * np.minimum(0.5, reach / length)[:, None])


def _free(arcs: Arcs, found: _Corners, first: Floats, last: Floats) -> NDArray[np.bool_]:
    """Corners whose triangle holds nothing but their own legs."""
    borders = Borders.of(arcs)
    triangles = np.stack([first, borders.points[found.at][:, ::-1], last], axis=1)[..., ::-1]
    area, segment = borders.meeting(shapely.polygons(triangles))
    foreign = (segment != found.at[area]) & (segment != found.before[area])
    free = np.ones(len(found.at), bool)
    free[area[foreign]] = False
    return free


def _curves(first: Floats, corner: Floats, last: Floats, count: int) -> Floats:
    """Return (n, count, 2) points that stand for each corner: the control points of the curve's `count` equal parts."""
    s = np.arange(count)[:, None] / count
    t = s + 1 / count
    parts = (((1 - s) * (1 - t), first), (s * (1 - t) + t * (1 - s), corner), (s * t, last))
    return np.asarray(sum(weight * point[:, None] for weight, point in parts))


def _with_curves(arcs: Arcs, points: Floats, ring: NDArray[np.bool_], at: Ids, curves: Floats) -> Arcs:
    count = np.ones(len(points), np.int64)
    count[at] = curves.shape[1]
    place = offsets_of(count)
    new = np.repeat(points, count, axis=0)
    new[ranges(place[at], place[at + 1])] = curves.reshape(-1, 2)
    new[place[arcs.offsets[1:][ring] - 1]] = new[place[arcs.offsets[:-1][ring]]]  # rings are closed again
    return replace(arcs, points=new, offsets=place[arcs.offsets])
