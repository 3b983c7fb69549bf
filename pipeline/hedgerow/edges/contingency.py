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
    flat = areas.ravel()
    size = np.bincount(flat)[1:]
    height, width = areas.shape
    rows, cols = np.arange(height)[:, None], np.arange(width)[None, :]
    return Objects(
        labels=areas,
        area_px=size.astype(np.int64),
        row=_means(flat, np.broadcast_to(rows, areas.shape), size),
        col=_means(flat, np.broadcast_to(cols, areas.shape), size),
    )


def overlaps(a: NDArray[np.int32], b: NDArray[np.int32]) -> Overlaps:
    """Return the contingency table of two label rasters of one shape, without its empty cells.

    Rasters are made of runs: counting each run once leaves a few thousand pairs to sort instead of a million pixels.
    """
    columns = int(b.max(initial=0)) + 1
    code = a.ravel().astype(np.int64) * columns + b.ravel()
    starts = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]])) if code.size else np.zeros(0, np.int64)
    runs = np.diff(np.append(starts, code.size))
    pairs, cell = np.unique(code[starts], return_inverse=True)
    px = np.bincount(cell, weights=runs, minlength=len(pairs)).astype(np.int64)
    return Overlaps(pairs // columns, pairs % columns, px)


def matches(found: Objects, wanted: Objects, shared: Overlaps, iou: float) -> Overlaps:
    """Return the overlaps of object pairs with IoU > `iou`, strictly: from one half on a partner is unique."""
    cells = shared.of_objects()
    hit = cells.px > iou * unions(found, wanted, cells)
    return Overlaps(cells.a[hit], cells.b[hit], cells.px[hit])


def unions(found: Objects, wanted: Objects, cells: Overlaps) -> NDArray[np.int64]:
    """Return the pixels that either object of each overlapping pair covers."""
    return found.area_px[cells.a - 1] + wanted.area_px[cells.b - 1] - cells.px


def _means(flat: NDArray[np.int32], values: NDArray[Any], size: NDArray[Any]) -> NDArray[np.int64]:
    total = np.bincount(flat, weights=values.ravel(), minlength=len(size) + 1)[1:]
    return np.asarray(np.floor(total / np.maximum(size, 1)), dtype=np.int64)
