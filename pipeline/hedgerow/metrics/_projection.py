"""Which point of another outline is nearest? Points projected onto polygon boundaries, many pairs at once.

Most outlines have few vertices: then trying every edge in one array operation is ten times as fast as asking GEOS for
each point. Outlines with many vertices are searched by GEOS's index.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.network import offsets_of, ranges
from hedgerow.metrics._outlines import Polygons, Vertices, vertices

FEW_VERTICES = 64
"""Up to here every edge is tried; both ways cost about the same there."""

_POINTS_AT_ONCE = 1 << 14

Points = NDArray[np.float64]


def nearest_points(xy: Points, polygon: NDArray[np.int64], of: Polygons) -> Points:
    """Return the nearest points (n, 2) on the boundaries of polygons, shells and holes.

    Args:
        xy: points (n, 2).
        polygon: onto which polygon each of them is projected (n,).
        of: the polygons.
    """
    edges = vertices(of)
    few = edges.per_polygon(len(of))[polygon] <= FEW_VERTICES
    found = np.empty_like(xy)
    for start in range(0, int(few.sum()), _POINTS_AT_ONCE):
        part = np.flatnonzero(few)[start : start + _POINTS_AT_ONCE]
        found[part] = _by_trying_all(xy[part], polygon[part], edges, len(of))
    found[~few] = _by_index(xy[~few], polygon[~few], of)
    return found


def _by_index(xy: Points, polygon: NDArray[np.int64], of: Polygons) -> Points:
    used, place = np.unique(polygon, return_inverse=True)
    boundaries = shapely.boundary(of[used])
    shapely.prepare(boundaries)
    # A shortest line has two ends, the one on the first geometry first.
    lines = shapely.shortest_line(boundaries[place], shapely.points(xy))
    return np.asarray(shapely.get_coordinates(lines)[::2])


def _by_trying_all(xy: Points, polygon: NDArray[np.int64], edges: Vertices, polygons: int) -> Points:
    per_polygon = edges.per_polygon(polygons)
    first = offsets_of(per_polygon)[polygon]
    tried = per_polygon[polygon]
    edge, point = ranges(first, first + tried), np.repeat(np.arange(len(xy)), tried)
    step = edges.xy[edges.following] - edges.xy
    (x, y), (dx, dy) = (xy[point] - edges.xy[edge]).T, step[edge].T
    along = np.clip((x * dx + y * dy) / np.maximum(dx * dx + dy * dy, np.finfo(np.float64).tiny), 0, 1)
    away = (x - along * dx) ** 2 + (y - along * dy) ** 2
    best = _first_minima(away, point, offsets_of(tried)[:-1])
    return np.asarray(edges.xy[edge[best]] + step[edge[best]] * along[best, None])


def _first_minima(
    values: NDArray[np.float64], group: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Position of the smallest value of each group, the first of equals."""
    smallest = np.flatnonzero(values == np.minimum.reduceat(values, starts)[group])
    return np.asarray(smallest[np.searchsorted(group[smallest], np.arange(len(starts)))])
