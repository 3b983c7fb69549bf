"""Which region does each pixel belong to? Every 4-connected area of one label has one id, all over the scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hedgerow.contracts import WindowReader
from hedgerow.geo.windows import Window, whole
from hedgerow.records import Regions

VOID = 255
"""The class of an invalid area: it has an id, so that holes of nodata can be told apart, and is no region."""


@dataclass(frozen=True)
class Renumbered:
    """A reader whose ids are looked up in a table: regions that were merged answer to one id."""

    ids: WindowReader
    table: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.ids.shape

    def read(self, window: Window) -> NDArray[np.int32]:
        """Return the ids (height, width) of a window."""
        return np.asarray(self.table[self.ids.read(window)], np.int32)


@dataclass(frozen=True)
class RegionStore:
    """The regions of a scene: ids 1..count in raster order of their first pixel, then the invalid areas ("voids").

    `ids` reads the ids with voids; `class_of` and `area_px` are (count + voids + 1,), entry 0 unused; voids are of
    class VOID.
    """

    ids: WindowReader
    class_of: NDArray[np.uint8]
    area_px: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.ids.shape

    @property
    def count(self) -> int:
        """How many regions there are, voids not counted."""
        return int(np.count_nonzero(self.class_of[1:] != VOID))

    def read(self, window: Window) -> NDArray[np.int32]:
        """Return the region ids (height, width) of a window; 0 = invalid."""
        ids = self.ids.read(window)
        return np.where(ids > self.count, 0, ids).astype(np.int32, copy=False)

    def regions(self, window: Window | None = None) -> Regions:
        """Return a window (default: the whole scene) in memory, as the value that metrics read."""
        labels = self.read(window if window is not None else whole(self.shape))
        return Regions(labels, self.class_of[: self.count + 1])

    def merged(self, target: NDArray[np.int64]) -> RegionStore:
        """Return the regions after merging: region `i` has become part of region `target[i]`."""
        area_px = np.zeros_like(self.area_px)
        np.add.at(area_px, target, self.area_px)
        return RegionStore(Renumbered(self.ids, target), self.class_of, area_px)
