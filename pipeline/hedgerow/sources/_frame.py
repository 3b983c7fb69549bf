"""Which edges of truth are only the frame of the image? Those are opened: the polygon goes on beyond the frame.

Who draws fields on an image ends them where the image ends. Of the boundaries of 244 fields hand-drawn on ten aerial
tiles, 15 % run within 2 px of the frame: burned as they are, they would be the longest border of every tile.
"""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

FRAME_MARGIN_PX = 16
"""Truth ends this far outside the raster."""

FRAME_EDGE_PX = 2.0
"""An edge that runs along the frame no farther inside than this is taken for the frame."""

_SLIMMEST_ANGLE = 3.0
"""A border that meets the frame at more than atan(1/3), 18 degrees, does not run along it."""

_OVERLAP_PX = 1e-6


def opened_at_frame(polygons: NDArray[Any], shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Push every edge that runs along the frame outwards, and cut what lies beyond the margin.

    Args:
        polygons: (n,) valid polygons in pixel coordinates (x = column, y = row).
        shape: (height, width) of the raster.

    Returns:
        The geometries (n,), multipolygons where the cut makes parts; and (n,) bool, True = changed.
    """
    height, width = shape
    d, m = FRAME_EDGE_PX, FRAME_MARGIN_PX
    near = ~shapely.within(polygons, shapely.box(d, d, width - d, height - d))
    beyond = shapely.box(-m, -m, width + m, height + m)
    opened, changed = polygons.copy(), ~shapely.within(polygons, beyond)
    for i in np.flatnonzero(near):
        strips = _pushed_out(polygons[i], shape)
        changed[i] |= len(strips) > 0
        opened[i] = shapely.union_all([polygons[i], *strips])
    opened[changed] = shapely.intersection(opened[changed], beyond)
    return np.where(changed, opened, polygons), changed


def _pushed_out(polygon: Any, shape: tuple[int, int]) -> NDArray[Any]:
    """Return the strips between a polygon's edges along each side of the frame and the margin outside."""
    height, width = shape
    d, m = FRAME_EDGE_PX, FRAME_MARGIN_PX
    sides = (
        (shapely.box(0, 0, d, height), 0, -m),
        (shapely.box(width - d, 0, width, height), 0, width + m),
        (shapely.box(0, 0, width, d), 1, -m),
        (shapely.box(0, height - d, width, height), 1, height + m),
    )
    boundary = shapely.boundary(polygon)
    return np.concatenate([_strips(shapely.intersection(boundary, band), axis, to) for band, axis, to in sides])


def _strips(lines: Any, axis: int, to: float) -> NDArray[Any]:
    """Sweep segments that run along a side, outwards to `to`; `axis` is the coordinate that is swept."""
    points, line = shapely.get_coordinates(shapely.get_parts(lines), return_index=True)
    joined = line[1:] == line[:-1]
    start, end = points[:-1][joined], points[1:][joined]
    run = np.abs(end - start)
    along = run[:, 1 - axis] > _SLIMMEST_ANGLE * run[:, axis]
    start, end = start[along], end[along]
    far_start, far_end = start.copy(), end.copy()
    far_start[:, axis] = far_end[:, axis] = to
    # Begin a hair inside the polygon: the segment was cut by the band, and rounding must not part the strip from it.
    start[:, axis] -= np.sign(to) * _OVERLAP_PX
    end[:, axis] -= np.sign(to) * _OVERLAP_PX
    return np.asarray(shapely.polygons(np.stack([start, end, far_end, far_start], axis=1)), dtype=object).reshape(-1)
