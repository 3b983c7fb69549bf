"""Which borders are nearly straight? Stretches that stay within a distance of their chord become it.

Every arc is cut where it strays farthest from its chord until each piece stays within the distance, as Douglas and
Peucker do; a piece that could not become its chord without meeting another border is cut again. Then cuts that turn
out to be needless are taken back, the least first: where two of them lie beside one corner, one goes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.chords import Pieces, clear, farthest
from hedgerow.arcs.clearance import Borders
from hedgerow.arcs.network import Arcs, Ids, corner_keys, is_ring, offsets_of, ranges

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def straightened(arcs: Arcs, *, distance_m: float, pixel_m: tuple[float, float]) -> Arcs:
    """Return the arcs with fewer points, none farther than a distance from the new line; junctions stay.

    Args:
        arcs: exact or simplified arcs, on whole corners.
        distance_m: how far a dropped corner may lie from the line, metres. 0 keeps every corner.
        pixel_m: (height, width) of a pixel.

    Source: Douglas and Peucker 1973, held back where hulls meet other borders.
    """
    if distance_m <= 0 or not len(arcs):
        return arcs
    turned = from_far_corner(arcs, pixel_m)
    return taking_points(turned, bends(turned, distance_m=distance_m, pixel_m=pixel_m))


def taking_points(arcs: Arcs, keep: Mask) -> Arcs:
    """Return the arcs with some of their points (n,) only; the ends of each must be among them."""
    return replace(arcs, points=arcs.points[keep], offsets=offsets_of(keep)[arcs.offsets])


def from_far_corner(arcs: Arcs, pixel_m: tuple[float, float]) -> Arcs:
    """Turn the rings so that they start at the corner farthest from where they started: a corner of the whole shape."""
    ring = np.flatnonzero(is_ring(arcs))
    first, last = arcs.offsets[:-1][ring], arcs.offsets[1:][ring] - 1
    corner, _ = farthest(Borders.of(arcs, pixel_m).points, Pieces(first, last))
    count = last - first
    step = ranges(np.zeros(len(ring), np.int64), count + 1) + np.repeat(corner - first, count + 1)
    points = arcs.points.copy()
    points[ranges(first, last + 1)] = arcs.points[np.repeat(first, count + 1) + step % np.repeat(count, count + 1)]
    return replace(arcs, points=points)


def bends(arcs: Arcs, *, distance_m: float, pixel_m: tuple[float, float]) -> Mask:
    """Return the points (n,) that stay when nearly straight stretches become straight."""
    borders = Borders.of(arcs, pixel_m)
    whole, must = _to_begin_with(arcs, borders.points)
    keep = np.zeros(len(arcs.points), bool)
    keep[whole.first] = keep[whole.last] = True
    needed = keep.copy()
    cut, _ = farthest(borders.points, whole.where(must))
    keep[cut] = True
    todo = whole.where(~must).and_also(whole.where(must).halves(cut)).with_inner_points()
    while len(todo):
        corner, distance = farthest(borders.points, todo)
        bad = distance > distance_m
        straight = np.flatnonzero(~bad)
        bad[straight[~clear(borders, todo.taking(straight))]] = True
        keep[corner[bad]] = True
        todo = todo.where(bad).halves(corner[bad]).with_inner_points()
    return _without_needless(arcs, borders.points, keep, needed, whole.where(must), distance_m)


def _to_begin_with(arcs: Arcs, xy: Floats) -> tuple[Pieces, Mask]:
    """Whole open arcs and halves of closed ones, and which of them must be cut lest they fall on another line.

    Of open arcs with the same ends one may become straight. Both halves of what is closed are cut: small islands keep
    four corners, of three they would lose half their area.
    """
    whole = Pieces(arcs.offsets[:-1], arcs.offsets[1:] - 1)
    ends = np.sort(np.stack([corner_keys(arcs.starts), corner_keys(arcs.ends)]), axis=0)
    closed = ends[0] == ends[1]
    half, _ = farthest(xy, whole.where(closed))
    halves = whole.where(closed).halves(half)
    pieces = whole.where(~closed).and_also(halves)
    must = np.r_[_bend_more(ends[:, ~closed], farthest(xy, whole.where(~closed))[1]), np.ones(len(halves), bool)]
    return pieces, must & pieces.have_inner_points


def _bend_more(ends: Ids, bend: Floats) -> Mask:
    """All arcs but the straightest, the first of equals, of those with the same ends (2, n)."""
    order = np.lexsort((bend, ends[1], ends[0]))
    more = np.ones(len(bend), bool)
    more[order[np.flatnonzero((np.diff(ends[:, order], axis=1, prepend=-1) != 0).any(axis=0))]] = False
    return more


def _without_needless(arcs: Arcs, xy: Floats, keep: Mask, needed: Mask, bent: Pieces, distance_m: float) -> Mask:
    """Take back cuts without which the stretch would still become its chord; neighbours one after another.

    What stands in the way now are borders as they are by now: straight ones leave more room. The last cut of what must
    be `bent` stays.
    """
    keep = keep.copy()
    other_end = np.full(len(keep), -1)
    other_end[bent.first] = bent.last
    while True:
        place = np.flatnonzero(keep)
        now = Borders(xy[place], offsets_of(keep)[arcs.offsets])
        free = np.flatnonzero(~needed[place])
        free = free[other_end[place[free - 1]] != place[free + 1]]
        _, distance = farthest(xy, Pieces(place[free - 1], place[free + 1]))
        near = distance <= distance_m
        free, distance = free[near], distance[near]
        spare = np.full(len(place), np.inf)
        could = clear(now, Pieces(free - 1, free + 1))
        spare[free[could]] = distance[could]
        least = np.flatnonzero((spare[1:-1] < spare[:-2]) & (spare[1:-1] <= spare[2:]))
        if not len(least):
            return keep
        keep[place[least + 1]] = False
