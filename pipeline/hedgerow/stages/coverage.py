"""Is the map one valid coverage? Asked cell by cell, so that no more polygons than those of one cell are in memory.

Two polygons that do not fit together touch or overlap, so their boxes meet. Every polygon is looked at in the cell of
its box's centre, beside everything that meets the box of that cell's polygons; polygons larger than a cell are looked
at as such neighbours, and once among themselves. So every pair that could fail is seen together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from hedgerow.arcs.faces import Faces, picked, polygons
from hedgerow.arcs.network import Arcs, Ids
from hedgerow.contracts import Each
from hedgerow.errors import GeometryError

_CELL_PX = 1024
_CELL_SIDES = 4
"""Cells are this many times as large as most polygons, where that is more: few are then larger than a cell."""

Boxes = NDArray[np.integer | np.floating]


@dataclass(frozen=True)
class Cell:
    """Rings of polygons that are looked at together; the `members` (regions, ascending) are this cell's own."""

    found: Faces
    arcs: Arcs
    members: Ids


def covered_area(found: Faces, arcs: Arcs, transform: Affine, *, each: Each) -> float:
    """Return the sum of the areas of all polygons, in square units of the CRS.

    Raises:
        GeometryError: they are no valid coverage.
    """
    return float(sum(each(CheckCell(transform), cells(found, arcs))))


@dataclass(frozen=True)
class CheckCell:
    """A task: assert that the polygons of a cell fit together, and add up the areas of its own."""

    transform: Affine

    def __call__(self, cell: Cell) -> float:
        """Return the area of the members in square units of the CRS."""
        coverage = polygons(cell.found, cell.arcs, in_crs(cell.arcs.points, self.transform))
        _assert_coverage(coverage)
        return float(shapely.area(coverage[np.isin(cell.found.ids, cell.members)]).sum())


def in_crs(corners: NDArray[np.int32], transform: Affine) -> NDArray[np.float64]:
    """Return x and y (n, 2) of corners (row, col): one formula for all, so equal corners stay equal to the last bit."""
    a = transform
    row, col = corners.astype(np.float64).T
    return np.stack([a.a * col + a.b * row + a.c, a.d * col + a.e * row + a.f], axis=1)


def cells(found: Faces, arcs: Arcs) -> Iterator[Cell]:
    """Yield the polygons of a map in cells, each with what it may touch."""
    if not len(found.region):
        return
    ring_box = _ring_boxes(found, arcs)
    shell = np.flatnonzero(np.diff(found.region, prepend=-1))
    box, ids = ring_box[:, shell], found.region[shell]
    cell, large = _cell_of(box)
    for k in np.unique(cell[~large]):
        mine = np.flatnonzero((cell == k) & ~large)
        yield _cell(found, arcs, ring_box, ids[mine], box[:, mine])
    if large.any():
        rings = np.flatnonzero(np.isin(found.region, ids[large]))
        yield Cell(*picked(found, arcs, rings), ids[large])


def _cell(found: Faces, arcs: Arcs, ring_box: Boxes, members: Ids, box: Boxes) -> Cell:
    top, left, bottom, right = ring_box
    meets = (top <= box[2].max()) & (bottom >= box[0].min()) & (left <= box[3].max()) & (right >= box[1].min())
    # A neighbour's holes elsewhere hold nothing that is looked at here; its shell meets the frame where a hole does.
    return Cell(*picked(found, arcs, np.flatnonzero(meets)), members)


def _cell_of(box: Boxes) -> tuple[Ids, NDArray[np.bool_]]:
    """Number of the cell of each box, and which boxes are larger than a cell."""
    side = np.maximum(box[2] - box[0], box[3] - box[1])
    cell_px = max(_CELL_PX, int(_CELL_SIDES * np.percentile(side, 90)))
    row, col = ((box[k] + box[k + 2]).astype(np.int64) // (2 * cell_px) for k in (0, 1))
    return row * (int(col.max()) + 1) + col, side > cell_px


def _ring_boxes(found: Faces, arcs: Arcs) -> Boxes:
    """First row, first column, last row and last column of each ring's corners: (4, rings)."""
    arc, rings = found.sides // 2, found.offsets[:-1]
    low, high = (
        edge.reduceat(edge.reduceat(arcs.points, arcs.offsets[:-1])[arc], rings) for edge in (np.minimum, np.maximum)
    )
    return np.ascontiguousarray(np.concatenate([low, high], axis=1).T)


def _assert_coverage(coverage: NDArray[Any]) -> None:
    if len(coverage) and not shapely.coverage_is_valid(coverage):
        bad = shapely.get_parts(shapely.coverage_invalid_edges(coverage))
        where = shapely.get_coordinates(bad[~shapely.is_empty(bad)])[0]
        raise GeometryError(
            f"the polygons are no valid coverage, first near x {where[0]:.6f}, y {where[1]:.6f}: "
            f"trace again with a smaller simplify tolerance, and report the raster"
        )
