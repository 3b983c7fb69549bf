"""What is a border before it has a CRS? An arc: a chain of corner points with one region on each side.

Corners are the points between pixels: corner (row, col) is the upper left corner of pixel (row, col). Arcs end at
junctions, where three or four cracks meet; arcs without a junction are rings, closed, starting at their smallest
corner (row, then column). An arc runs so that the smaller id is on its left, as seen on the raster with row 0 on
top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_AT_ONCE = 1 << 15
"""Arcs of which the points are copied at a time: their places take four times the room of the points."""


@dataclass(frozen=True)
class Arcs:
    """Arcs of one raster, or of one part of it.

    `points` (n, 2) are (row, col), int32 while they are corners of the grid, else float64; arc i owns
    `points[offsets[i]:offsets[i + 1]]`. `left` and `right` (m,) are region ids, 0 = outside. `cracks` (m, 2) counts
    unit edges along rows and along columns before any simplification, and `border_sum` (m,) adds up the border
    probability (0..255) of the two pixels at each of them.
    """

    points: NDArray[Any]
    offsets: Ids
    left: Ids
    right: Ids
    cracks: Ids
    border_sum: Ids

    def __len__(self) -> int:
        return len(self.left)

    @property
    def starts(self) -> NDArray[np.int32]:
        """(m, 2) first corner of each arc."""
        return self.points[self.offsets[:-1]]

    @property
    def ends(self) -> NDArray[np.int32]:
        """(m, 2) last corner of each arc; equal to the first where the arc is closed."""
        return self.points[self.offsets[1:] - 1]

    def lengths_m(self, pixel_m: tuple[float, float]) -> NDArray[np.float64]:
        """Return lengths (m,) on pixels of (height, width) metres, of exact arcs: only turns lie between their ends.

        Measured through the midpoints of the unit edges. A line of pixel edges is up to 1.41 times as long as the
        straight line that it follows; this one at most 1.08 times on square pixels, 1.18 times on pixels twice as long
        as wide.
        """
        height, width = pixel_m
        turns = np.diff(self.offsets) - 2
        turns[(self.starts == self.ends).all(axis=1)] += 1
        edges = self.cracks[:, 0] * width + self.cracks[:, 1] * height
        return np.asarray(edges - turns * (height + width - math.hypot(height, width)) / 2, np.float64)

    def taking(self, order: Ids) -> Arcs:
        """Return the arcs at `order`, in that order."""
        offsets = offsets_of(np.diff(self.offsets)[order])
        points = np.empty((offsets[-1], 2), self.points.dtype)
        for first in range(0, len(order), _AT_ONCE):
            some = order[first : first + _AT_ONCE]
            place = ranges(self.offsets[some], self.offsets[some + 1])
            points[offsets[first] : offsets[first] + len(place)] = self.points[place]
        return Arcs(
            points,
            offsets,
            self.left[order],
            self.right[order],
            self.cracks[order],
            self.border_sum[order],
        )


def no_arcs() -> Arcs:
    """Return the arcs of a raster without any region."""
    none = np.zeros(0, np.int64)
    return Arcs(np.zeros((0, 2), np.int32), np.zeros(1, np.int64), none, none, np.zeros((0, 2), np.int64), none)


def concatenated(parts: list[Arcs]) -> Arcs:
    """Return all arcs of all parts, one after another."""
    parts = [no_arcs(), *parts]
    return Arcs(
        np.concatenate([part.points for part in parts]),
        offsets_of(np.concatenate([np.diff(part.offsets) for part in parts])),
        np.concatenate([part.left for part in parts]),
        np.concatenate([part.right for part in parts]),
        np.concatenate([part.cracks for part in parts]),
        np.concatenate([part.border_sum for part in parts]),
    )


def rings_from_smallest_corner(arcs: Arcs, first_ring: int) -> Arcs:
    """Turn the rings (all arcs from `first_ring` on) so that they start at their smallest corner."""
    starts, stops = arcs.offsets[first_ring:-1], arcs.offsets[first_ring + 1 :] - 1  # without the closing corner
    if not len(starts):
        return arcs
    lengths = stops - starts
    keys = corner_keys(arcs.points[ranges(starts, stops)])
    firsts = offsets_of(lengths)
    smallest = np.minimum.reduceat(keys, firsts[:-1])
    shift = np.flatnonzero(keys == np.repeat(smallest, lengths)) - firsts[:-1]
    step = ranges(np.zeros(len(lengths), np.int64), lengths + 1)
    place = np.repeat(starts, lengths + 1) + (step + np.repeat(shift, lengths + 1)) % np.repeat(lengths, lengths + 1)
    points = np.concatenate([arcs.points[: starts[0]], arcs.points[place]])
    return replace(arcs, points=points)


def is_ring(arcs: Arcs) -> NDArray[np.bool_]:
    """Find closed arcs, on whole corners, of which no other arc shares the first corner: they have no junction."""
    starts, ends = corner_keys(arcs.starts), corner_keys(arcs.ends)
    corner, degree = np.unique(np.r_[starts, ends], return_counts=True)
    return np.asarray((starts == ends) & np.isin(starts, corner[degree == 2]))


def corner_keys(points: NDArray[np.integer]) -> Ids:
    """Return one number per corner (row, col), ordered by row, then column."""
    return (points[:, 0].astype(np.int64) << 32) + points[:, 1]


def offsets_of(lengths: NDArray[np.integer | np.bool_]) -> Ids:
    """Return where runs of these lengths start in their concatenation, and its end."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def ranges(starts: Ids, stops: Ids) -> Ids:
    """Return `arange(start, stop)` of every pair, concatenated."""
    lengths = stops - starts
    firsts = offsets_of(lengths)
    return np.arange(firsts[-1]) + np.repeat(starts - firsts[:-1], lengths)


def run_sums(values: NDArray[np.integer], offsets: Ids) -> Ids:
    """Return the sum over each run (`offsets` as of `offsets_of`), exactly; `values` may have further axes."""
    shape = (1, *values.shape[1:])
    totals = np.concatenate([np.zeros(shape, np.int64), np.cumsum(values, axis=0, dtype=np.int64)])
    return np.asarray(totals[offsets[1:]] - totals[offsets[:-1]])
