"""How do parcels get straight borders and right angles without tearing the coverage? Shared corners move, once for all.

None of the steps knows of tiles. Borders that are nearly straight become straight (`straighten`). Every straight piece
follows a line through what was there before (`lines`), and in a nearly right-angled parcel it is told to run along or
across the parcel's axis (`axes`). The corners then go where the lines of their borders meet (`adjust`), and a border
that others end at stays straight there. Wishes that would move a corner too far are given up. Where polygons would not
fit together afterwards, their corners stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.adjust import Wishes, between, moves, on_line, parallel
from hedgerow.arcs.axes import Sides, directions
from hedgerow.arcs.clearance import Borders
from hedgerow.arcs.faces import Faces, doubled_areas, polygons
from hedgerow.arcs.lines import Lines, fitted
from hedgerow.arcs.network import Arcs, Ids
from hedgerow.arcs.straighten import bends, from_far_corner, taking_points

_FIRM, _SOFT, _REST = 1e4, 1.0, 0.05
"""Weights of a direction, of a fitted line, and of staying where one is."""
_THROUGH = np.radians(12.0)
"""A border that turns by less where another one ends is meant to be straight there."""
_ROUNDS = 20
_LEAST_AREA = 0.5
"""Share of its area that a polygon must keep, and each hole."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Place = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Regularized:
    """Arcs with their corners moved, and how many corners had to stay because their polygons would not fit."""

    arcs: Arcs
    corners_kept: int


@dataclass(frozen=True)
class _Graph:
    """Corners (n, 2) as x and y in metres, which of them each point is, and the sides that join them."""

    corner: Floats
    of_point: Ids
    first: Ids
    last: Ids
    lines: Lines
    sides: Sides


def regularized(
    arcs: Arcs,
    found: Faces,
    *,
    move_m: float,
    pixel_m: tuple[float, float],
    shape: tuple[int, int],
    in_crs: Place,
) -> Regularized:
    """Return the arcs with straight borders and right angles where they were nearly so.

    Args:
        arcs: exact or simplified arcs.
        found: their faces.
        move_m: how far a border may stray from a straight line to become it, and a corner move after that, metres.
            Less than a pixel hardly changes anything; 0 changes nothing.
        pixel_m: (height, width) of a pixel.
        shape: (height, width) of the raster, px: corners on its frame move along it only.
        in_crs: turns points (row, col) into the x and y that are written: the polygons are checked as they will be.
    """
    if move_m <= 0 or not len(arcs):
        return Regularized(arcs, 0)
    arcs = from_far_corner(arcs, pixel_m)
    keep = bends(arcs, distance_m=move_m, pixel_m=pixel_m)
    straight = taking_points(arcs, keep)
    graph = _graph(arcs, straight, np.flatnonzero(keep), move_m, pixel_m)
    fixed = np.zeros(graph.corner.shape, bool)
    fixed[graph.of_point] = ((straight.points <= 0) | (straight.points >= shape))[:, ::-1]
    wishes = _wishes(graph, directions(graph.sides, int(found.region.max(initial=0)) + 1, move=move_m), move_m)
    move = _moves(wishes, graph.corner, fixed, move_m)
    return _fitting(straight, found, graph.of_point, move[:, ::-1] / pixel_m, in_crs)


def _graph(arcs: Arcs, straight: Arcs, place: Ids, aside_m: float, pixel_m: tuple[float, float]) -> _Graph:
    """Corners and sides of the straight arcs; `place` is where their points lie among those of the arcs before."""
    _, at, of_point = np.unique(straight.points, axis=0, return_index=True, return_inverse=True)
    of_point = of_point.ravel()
    begins = np.ones(len(place), bool)
    begins[straight.offsets[1:] - 1] = False
    point = np.flatnonzero(begins)
    arc = np.repeat(np.arange(len(straight)), np.diff(straight.offsets) - 1)
    xy = straight.points[:, ::-1] * pixel_m[::-1]
    lines = fitted(arcs.points[:, ::-1] * pixel_m[::-1], place[point], place[point + 1], aside=aside_m)
    length = np.hypot(*(xy[point + 1] - xy[point]).T)
    sides = Sides(lines.angle, length, straight.left[arc], straight.right[arc])
    return _Graph(xy[at], of_point, of_point[point], of_point[point + 1], lines, sides)


def _wishes(graph: _Graph, direction: Floats, move_m: float) -> Wishes:
    told = np.flatnonzero(~np.isnan(direction))
    angle = np.where(np.isnan(direction), graph.lines.angle, direction)
    long = np.flatnonzero(graph.sides.length > 2 * move_m)  # a shorter side's line may lie anyhow
    lines = [
        on_line(end[long], graph.lines.middle[long], angle[long], weight=_SOFT) for end in (graph.first, graph.last)
    ]
    through = between(*_straight_through(graph, move_m), graph.corner, weight=_FIRM)
    return Wishes.all_of(*lines, parallel(graph.first[told], graph.last[told], direction[told], weight=_FIRM), through)


def _straight_through(graph: _Graph, move_m: float) -> tuple[Ids, Ids, Ids]:
    """Corners where a nearly straight border passes and another ends, and the two that it comes from and goes to."""
    here, there = np.r_[graph.first, graph.last], np.r_[graph.last, graph.first]
    order = np.lexsort((there, here))
    there = there[order]
    degree = np.bincount(here, minlength=len(graph.corner))
    start = np.cumsum(degree) - degree
    trios = [np.zeros((3, 0), np.int64)]
    for i in range(int(degree.max(initial=0))):
        for j in range(i):
            corner = np.flatnonzero(degree > max(i, 2))
            trios.append(np.stack([corner, there[start[corner] + i], there[start[corner] + j]]))
    trio = np.concatenate(trios, axis=1)
    at, one, other = (graph.corner[k] for k in trio)
    ahead, back = one - at, at - other
    across = abs(ahead[:, 0] * back[:, 1] - ahead[:, 1] * back[:, 0])
    straight = np.arctan2(across, (ahead * back).sum(axis=1)) <= _THROUGH
    corner, a, b = trio[:, straight & (across <= move_m * np.hypot(*(ahead + back).T))]
    return corner, a, b


def _moves(wishes: Wishes, at: Floats, fixed: Mask, move_m: float) -> Floats:
    """Moves (n, 2) of the corners, x and y in metres, none longer than `move_m`."""
    for _ in range(_ROUNDS):
        move = moves(wishes, at, fixed, rest=_REST)
        length = np.hypot(*move.T)
        if (length <= move_m).all():
            return move
        # Only where it is worst: the neighbours may come to rest without it.
        wishes = wishes.without((length > move_m) & (length >= wishes.most_around(length)))
    return np.where((length > move_m)[:, None], 0.0, move)


def _fitting(arcs: Arcs, found: Faces, of_point: Ids, move: Floats, in_crs: Place) -> Regularized:
    """Move the corners (n, 2) in pixels; those that would make borders cross or polygons misfit stay, and are counted.

    Crossings are local and most of what happens, and so are rings that shrink: a small hole of nodata can turn inside
    out without any crossing. What is left after them, an island on the wrong side or a parcel that shrinks, takes back
    the corners of its polygons.
    """
    before = shapely.area(polygons(found, arcs, in_crs(arcs.points)))
    rings_before = _ring_areas(arcs, found)
    moved: Mask = np.asarray(move.any(axis=1))
    wanted = int(np.count_nonzero(moved))
    tried = arcs
    while moved.any():
        tried = replace(arcs, points=arcs.points + (move * moved[:, None])[of_point])
        shrunk = _ring_areas(tried, found) < _LEAST_AREA * rings_before
        stay = moved & (_crossing(tried, of_point) | _corners_of_rings(arcs, found, of_point, shrunk))
        if not stay.any():
            bad = _misfits(polygons(found, tried, in_crs(tried.points)), before)
            if not bad.any():
                break
            stay = moved & _corners_of(arcs, found, of_point, bad)
        moved = moved & ~stay if stay.any() else np.zeros_like(moved)
    return Regularized(tried if moved.any() else arcs, wanted - int(np.count_nonzero(moved)))


def _crossing(arcs: Arcs, of_point: Ids) -> Mask:
    """Corners (n,) of segments that meet where they do not share a corner."""
    one, other = Borders.of(arcs).meeting_each_other()
    ends = np.stack([of_point[one], of_point[one + 1], of_point[other], of_point[other + 1]])
    apart = (ends[:2, None] != ends[None, 2:]).all(axis=(0, 1))
    return _mask(ends[:, apart], of_point)


def _misfits(coverage: NDArray[Any], before: Floats) -> Mask:
    """Polygons that are invalid, have lost much of their area, or do not match their neighbours."""
    bad = ~shapely.is_valid(coverage) | (shapely.area(coverage) < _LEAST_AREA * before)
    if not bad.any():
        bad = ~shapely.is_empty(shapely.coverage_invalid_edges(coverage))
    return np.asarray(bad)


def _corners_of(arcs: Arcs, found: Faces, of_point: Ids, bad: Mask) -> Mask:
    region = found.ids[bad]
    beside = np.isin(arcs.left, region) | np.isin(arcs.right, region)
    return _mask(of_point[np.repeat(beside, np.diff(arcs.offsets))], of_point)


def _ring_areas(arcs: Arcs, found: Faces) -> Floats:
    """Areas of the rings, px; negative once a ring has turned inside out."""
    around = np.where(found.sides % 2 == 0, 1.0, -1.0) * doubled_areas(arcs)[found.sides // 2]
    return np.asarray(np.add.reduceat(around, found.offsets[:-1]) / 2 * np.sign(found.area_px))


def _corners_of_rings(arcs: Arcs, found: Faces, of_point: Ids, bad: Mask) -> Mask:
    beside = np.zeros(len(arcs), bool)
    beside[found.sides[np.repeat(bad, np.diff(found.offsets))] // 2] = True
    return _mask(of_point[np.repeat(beside, np.diff(arcs.offsets))], of_point)


def _mask(corner: Ids, of_point: Ids) -> Mask:
    mask = np.zeros(int(of_point.max(initial=-1)) + 1, bool)
    mask[corner] = True
    return mask
