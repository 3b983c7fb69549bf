"""How many pixels do two label rasters share, label by label? One table serves every score of objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label


@dataclass(frozen=True, slots=True)
class Objects:
    """Numbered 4-connected areas of one map, 1..n.

    `labels` (height, width), 0 = no object; `area_px`, `row` and `col` (of the centre, rounded down) have an entry per
    object, that of object k at k - 1.
    """

    labels: NDArray[np.int32]
    area_px: NDArray[np.int64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.area_px)


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pixels shared by object `a[k]` of one map and object `b[k]` of another: `px[k]`, all at least 1.

    Number 0 on either side is what belongs to no object.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    px: NDArray[np.int64]

    def of_objects(self) -> Overlaps:
        """Return the overlaps of an object with an object."""
        both = (self.a > 0) & (self.b > 0)
        return Overlaps(self.a[both], self.b[both], self.px[both])


def objects_of(labels: NDArray[Any]) -> Objects:
    """Return the 4-connected areas of equal label, numbered; label 0 (or False) is background."""
    areas = np.asarray(label(labels, background=0, connectivity=1), dtype=np.int32)  # type: ignore[no-untyped-call]
    start, length = _runs(areas)
    row, first_col = np.divmod(start, max(areas.shape[1], 1))
    number = areas.ravel()[start]

    def added(values: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(number, weights=values, minlength=1)[1:].astype(np.int64)

    area_px = added(length)
    cols = length * first_col + length * (length - 1) // 2  # the sum of the columns of a run
    return Objects(labels=areas, area_px=area_px, row=added(length * row) // area_px, col=added(cols) // area_px)


def overlaps(a: NDArray[np.int32], b: NDArray[np.int32]) -> Overlaps:
    """Return the contingency table of two label rasters of one shape, without its empty cells."""
    columns = int(b.max(initial=0)) + 1
    start, length = _runs(a, b)
    code = a.ravel()[start].astype(np.int64) * columns + b.ravel()[start]
    pairs, cell = np.unique(code, return_inverse=True)
    px = np.bincount(cell, weights=length, minlength=len(pairs)).astype(np.int64)
    return Overlaps(pairs // columns, pairs % columns, px)


def matches(found: Objects, wanted: Objects, shared: Overlaps, iou: float) -> Overlaps:
    """Return the overlaps of object pairs with IoU > `iou`, strictly: from one half on a partner is unique."""
    cells = shared.of_objects()
    hit = cells.px > iou * unions(found, wanted, cells)
    return Overlaps(cells.a[hit], cells.b[hit], cells.px[hit])


def unions(found: Objects, wanted: Objects, cells: Overlaps) -> NDArray[np.int64]:
    """Return the pixels that either object of each overlapping pair covers."""
    return found.area_px[cells.a - 1] + wanted.area_px[cells.b - 1] - cells.px


def _runs(*rasters: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return start (flat index) and length of the runs, within a row, on which no raster (height, width) changes.

    Counting a run at once leaves some ten thousand runs to add up or sort instead of a million pixels.
    """
    starts = np.zeros(rasters[0].shape, np.bool_)
    starts[:, :1] = True
    for raster in rasters:
        starts[:, 1:] |= raster[:, 1:] != raster[:, :-1]
    start = np.flatnonzero(starts)
    return start, np.diff(start, append=starts.size)
