"""Where does the region change? Crack edges of one tile, as straight directed segments between corners.

A crack is a unit edge between two pixels of different regions. Straight runs of cracks between nodes (turns and
junctions) are segments; a run that crosses the tile line is cut there. A tile owns the cracks on its upper and left
line, and those on its lower and right line only where the raster ends, so every crack of a raster has one owner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.arcs.network import Ids

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Segments:
    """Straight runs of cracks. Corners are flat indices into the tile's (height + 1, width + 1) corner grid.

    Each runs from `start` to `end` with the smaller id on its left; `along_row` says whether it runs east-west.
    """

    start: Ids
    end: Ids
    left: Ids
    right: Ids
    along_row: Mask
    cracks: Ids
    border_sum: Ids


@dataclass(frozen=True)
class Corners:
    """Which cracks leave each corner (height + 1, width + 1) of a tile, in the four directions."""

    west: Mask
    east: Mask
    north: Mask
    south: Mask

    @property
    def node(self) -> Mask:
        """Turns and junctions: cracks along the row and along the column meet."""
        return (self.west | self.east) & (self.north | self.south)

    @property
    def junction(self) -> Mask:
        """Corners where three or four cracks meet."""
        return self.node & ((self.west & self.east) | (self.north & self.south))


def corners(ids: NDArray[np.integer]) -> Corners:
    """Find the cracks at every corner of a tile from its ids with a one-pixel apron (height + 2, width + 2)."""
    above_below = ids[1:] != ids[:-1]
    left_right = ids[:, 1:] != ids[:, :-1]
    return Corners(
        west=above_below[:, :-1], east=above_below[:, 1:], north=left_right[:-1], south=left_right[1:]
    )  # fmt: skip


def segments(
    ids: NDArray[np.integer], at: Corners, border: NDArray[np.uint8] | None, *, last_row: bool, last_col: bool
) -> Segments:
    """Return the segments that a tile owns.

    Args:
        ids: region ids (height + 2, width + 2) of the tile with a one-pixel apron.
        at: the tile's corners.
        border: border probability (height + 2, width + 2), 0..255; None: all zero.
        last_row: whether the raster ends below the tile.
        last_col: whether the raster ends on its right.
    """
    node = at.node
    rows = slice(0, node.shape[0] - (not last_row))
    cols = slice(0, node.shape[1] - (not last_col))
    across = _segments_along_rows(ids, node[rows], at.west[rows], at.east[rows], border)
    # Columns are the rows of the transposed raster: what was above is then on the left.
    turned = None if border is None else border.T
    down = _segments_along_rows(ids.T, node[:, cols].T, at.north[:, cols].T, at.south[:, cols].T, turned)
    return _merged(across, _turned_back(down, node.shape))


def _segments_along_rows(
    ids: NDArray[np.integer], node: Mask, west: Mask, east: Mask, border: NDArray[np.uint8] | None
) -> Segments:
    row, col, stop = _runs(node, west, east)
    above, below = ids[row, col + 1].astype(np.int64), ids[row + 1, col + 1].astype(np.int64)
    width = ids.shape[1] - 1
    first, last = row * width + col, row * width + stop
    eastward = above < below
    return Segments(
        start=np.where(eastward, first, last),
        end=np.where(eastward, last, first),
        left=np.minimum(above, below),
        right=np.maximum(above, below),
        along_row=np.ones(len(row), bool),
        cracks=stop - col,
        border_sum=np.zeros(len(row), np.int64) if border is None else _border_sums(border, row, col, stop),
    )


def _runs(node: Mask, west: Mask, east: Mask) -> tuple[Ids, Ids, Ids]:
    """Row, first and last corner of every straight run: from one stop to the next where a crack leads east."""
    stops = node.copy()
    stops[:, 0] |= east[:, 0]
    stops[:, -1] |= west[:, -1]
    row, col = np.nonzero(stops)
    first = np.flatnonzero(east[row, col] & (col < stops.shape[1] - 1))
    return row[first], col[first], col[first + 1]


def _border_sums(border: NDArray[np.uint8], row: Ids, col: Ids, stop: Ids) -> Ids:
    """Sum of the border probability of the pixels on both sides of each run."""
    totals = np.zeros(border.shape, np.int32)
    np.cumsum(border[:, 1:], axis=1, dtype=np.int32, out=totals[:, 1:])
    sums = totals[row, stop] - totals[row, col] + totals[row + 1, stop] - totals[row + 1, col]
    return np.asarray(sums, np.int64)


def _turned_back(found: Segments, shape: tuple[int, int]) -> Segments:
    """Segments of the transposed raster in the corners of the raster; mirroring swaps the direction, not the sides."""
    height, width = shape
    start, end = (corner % height * width + corner // height for corner in (found.end, found.start))
    along_row = np.zeros(len(start), bool)
    return Segments(start, end, found.left, found.right, along_row, found.cracks, found.border_sum)


def _merged(a: Segments, b: Segments) -> Segments:
    return Segments(*(np.concatenate([getattr(a, name), getattr(b, name)]) for name in Segments.__annotations__))
