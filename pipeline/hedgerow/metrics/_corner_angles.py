"""At which angle does an outline turn, and which corner of another outline is the same? Corners and their partners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hedgerow.edges.views import Pair
from hedgerow.metrics._outlines import Polygons, vertices

CORNER_TURN_DEG = 30.0
"""A vertex is a corner where the outline turns by more than this."""

DECIMALS = 6
"""Angles are rounded to a millionth of a degree: coordinates are rounded too, and equal outlines differ by nothing."""


@dataclass(frozen=True, eq=False)
class Corners:
    """Vertices (m, 2) where outlines turn: whose they are, and their interior angles in degrees, 0..360."""

    xy: NDArray[np.float64]
    polygon: NDArray[np.int64]
    interior: NDArray[np.float64]

    def seen_in(self, pair: Pair) -> Corners:
        """Return the corners, in metres, between four valid pixels: the others are made by the frame or by nodata."""
        height, width = pair.pixel_size_m
        row, col = np.rint(self.xy[:, 1] / height).astype(int), np.rint(self.xy[:, 0] / width).astype(int)
        framed = np.pad(pair.valid, 1)
        seen = framed[row, col] & framed[row, col + 1] & framed[row + 1, col] & framed[row + 1, col + 1]
        return Corners(self.xy[seen], self.polygon[seen], self.interior[seen])


def corners(of: Polygons) -> Corners:
    """Return the corners of polygons, shells and holes."""
    at = vertices(of)
    leaving = at.xy[at.following] - at.xy
    reaching = np.empty_like(leaving)
    reaching[at.following] = leaving
    turn = np.degrees(np.arctan2(cross(reaching, leaving), dot(reaching, leaving)))
    inward = np.where(_inside_is_left(of)[at.ring], turn, -turn)
    corner = np.abs(turn) > CORNER_TURN_DEG
    return Corners(at.xy[corner], at.polygon[corner], np.round(180 - inward[corner], DECIMALS))


def matched_corners(test: Corners, reference: Corners, reach: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return whose each matched corner is, and the absolute difference of the interior angles there, in degrees.

    Two corners of matched polygons (of one number) match when each is the other's nearest, at most `reach` away.
    """
    if not len(test.xy) or not len(reference.xy):
        return np.zeros(0, np.int64), np.zeros(0)
    reach *= 1 + _ROUNDING
    # The polygon's number is a third coordinate that no corner can reach across.
    places = [np.column_stack([c.xy, c.polygon * (4 * reach)]) for c in (test, reference)]
    back = cKDTree(places[1]).query(places[0])[1]
    apart, there = cKDTree(places[0]).query(places[1])
    mine = np.flatnonzero((apart <= reach) & (back[there] == np.arange(len(there))))
    difference = np.abs(test.interior[there[mine]] - reference.interior[mine])
    return reference.polygon[mine], np.round(difference, DECIMALS)


def cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cross product (n,) of vectors (n, 2)."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


def dot(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the scalar product (n,) of vectors (n, 2)."""
    return np.asarray((a * b).sum(axis=1))


# A corner exactly at the reach is within it, however the metres were rounded.
_ROUNDING = 1e-9


def _inside_is_left(of: Polygons) -> NDArray[np.bool_]:
    """Say of each ring whether the polygon lies on its left: of anticlockwise shells and clockwise holes."""
    rings, polygon = shapely.get_rings(of, return_index=True)
    hole = np.concatenate([[False], polygon[1:] == polygon[:-1]])
    return np.asarray(shapely.is_ccw(rings) != hole)
