"""Which straight line does each piece of border follow? The one through the corners that were dropped between its ends.

The ends themselves say little: they lie where a border turns, and there a raster, or a network, rounds it off.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Ids, offsets_of, ranges

_LONG_ENOUGH = 4.0
"""A piece this many times as long as what is left out at each end has enough in between."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lines:
    """Lines through `middle` (k, 2), x and y, in the direction `angle` (k,), radians, along their piece."""

    middle: Floats
    angle: Floats


def fitted(xy: Floats, first: Ids, last: Ids, *, aside: float) -> Lines:
    """Return the line of each piece of border by total least squares over its length.

    Args:
        xy: (n, 2) all points.
        first, last: (k,) places of the ends of each piece; the points between them belong to it.
        aside: what is left out at each end of a long piece, in units of the points.
    """
    piece = np.repeat(np.arange(len(first)), last - first)
    segment = ranges(first, last)
    middle, way = (xy[segment] + xy[segment + 1]) / 2, xy[segment + 1] - xy[segment]
    weight = np.hypot(*way.T) * _counts(xy, first, last, piece, middle, aside)
    offsets = offsets_of(last - first)[:-1]
    total = np.add.reduceat(weight, offsets)
    centre = np.add.reduceat(middle * weight[:, None], offsets) / total[:, None]
    arm = middle - centre[piece]
    # Spread of a segment: that of its middle, and its own along its way.
    spread = weight[:, None] * np.stack([arm[:, 0] ** 2, arm[:, 1] ** 2, arm[:, 0] * arm[:, 1]], axis=1)
    spread += weight[:, None] / 12 * np.stack([way[:, 0] ** 2, way[:, 1] ** 2, way[:, 0] * way[:, 1]], axis=1)
    xx, yy, both = np.add.reduceat(spread, offsets).T
    angle = np.arctan2(2 * both, xx - yy) / 2
    chord = xy[last] - xy[first]
    backwards = np.cos(angle) * chord[:, 0] + np.sin(angle) * chord[:, 1] < 0
    return Lines(centre, np.where(backwards, angle + np.pi, angle))


def _counts(xy: Floats, first: Ids, last: Ids, piece: Ids, middle: Floats, aside: float) -> NDArray[np.bool_]:
    """Segments that are neither near the first nor near the last end, where the piece is long enough to have some."""
    near = [np.hypot(*(middle - xy[end][piece]).T) < aside for end in (first, last)]
    inner = ~(near[0] | near[1])
    some = np.add.reduceat(inner.astype(np.int64), offsets_of(last - first)[:-1]) > 0
    long = np.hypot(*(xy[last] - xy[first]).T) > _LONG_ENOUGH * aside
    return np.asarray(inner | ~(some & long)[piece])
