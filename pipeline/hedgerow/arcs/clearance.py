"""May a border move across this area? Only where no other border lies in it.

A move that sweeps an area without meeting anything else keeps the coverage as it is: nothing crosses, nothing is
jumped over. Two such moves do no harm to each other either, whatever they do inside their areas. Their outlines could
only meet where both are new, and closed lines cross an even number of times: two triangles, or two hulls, have but
one new side each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from hedgerow.arcs.network import Arcs, Ids

MARGIN = 1e-6
"""What is farther away than this (in units of the points) is clear: far above rounding, far below all that shows."""


@dataclass(frozen=True)
class Borders:
    """All segments of a map's arcs; segment i leads from point i to point i + 1. `points` (n, 2) are x and y."""

    points: NDArray[np.float64]
    offsets: Ids

    @classmethod
    def of(cls, arcs: Arcs, scale: tuple[float, float] = (1.0, 1.0)) -> Borders:
        """Return the segments of arcs, rows and columns scaled."""
        return cls(arcs.points[:, ::-1].astype(np.float64) * scale[::-1], arcs.offsets)

    def meeting(self, areas: Any) -> tuple[Ids, Ids]:
        """Return pairs of an area's place and a segment that lies within `MARGIN` of it."""
        area, place = self._tree.query(areas, predicate="dwithin", distance=MARGIN)
        return np.asarray(area, np.int64), self._segments[place]

    def meeting_each_other(self) -> tuple[Ids, Ids]:
        """Return pairs of segments within `MARGIN` of each other, those that share an end among them."""
        one, other = self.meeting(self._tree.geometries)
        one = self._segments[one]
        return one[one < other], other[one < other]

    @cached_property
    def _segments(self) -> Ids:
        last = np.zeros(len(self.points), bool)
        last[self.offsets[1:] - 1] = True
        return np.flatnonzero(~last)

    @cached_property
    def _tree(self) -> shapely.STRtree:
        first = self._segments
        lines: Any = shapely.linestrings(np.stack([self.points[first], self.points[first + 1]], axis=1))
        return shapely.STRtree(lines)
