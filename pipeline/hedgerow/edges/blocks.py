"""Where do scene-sized arrays live when they do not fit in memory? In a folder of blocks on a fixed grid.

The grid is anchored at the raster's origin and knows nothing of tiles, so what is computed per block cannot depend
on the tile size. A block store is a path and three numbers: it pickles into any process, and blocks are written
independently.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import GeometryError
from hedgerow.geo.windows import Window, grid, whole

BLOCK_PX = 1024
"""Side of the blocks on which everything scene-wide is computed."""

Index = tuple[int, int]


@dataclass(frozen=True)
class ArrayReader:
    """An array in memory, (height, width) or (bands, height, width), read by windows."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.array.shape[-2], self.array.shape[-1]

    def read(self, window: Window) -> NDArray[Any]:
        """Return a view of the window's pixels."""
        return self.array[(..., *window.slices)]


@dataclass(frozen=True)
class BlockStore:
    """An array (…, height, width) as one `.npy` file per block; reads any window, assembled from the blocks it touches.

    With `renumbered`, each block has a table beside it, and `read` returns `table[stored value]`: so ids that were
    local to a block become ids of the scene without rewriting a pixel.
    """

    folder: Path
    shape: tuple[int, int]
    block_px: int = BLOCK_PX
    renumbered: bool = False

    def blocks(self) -> Iterator[tuple[Index, Window]]:
        """Yield ((row, col), window) of every block in row-major order."""
        return grid(self.shape, self.block_px)

    def write(self, index: Index, array: NDArray[Any]) -> None:
        """Store one whole block; the folder is made when needed."""
        expected = self._window(index).shape
        if array.shape[-2:] != expected:
            raise GeometryError(f"block {index} of {self.folder} is {expected}, got an array of shape {array.shape}")
        self.folder.mkdir(parents=True, exist_ok=True)
        np.save(self._file(index), array)

    def renumber(self, tables: Iterable[tuple[Index, NDArray[Any]]]) -> BlockStore:
        """Put a table beside each block and return the store that reads through them."""
        for index, table in tables:
            np.save(self._table(index), table)
        return replace(self, renumbered=True)

    def read(self, window: Window) -> NDArray[Any]:
        """Return (…, height, width) of a window that lies inside the raster."""
        if not whole(self.shape).contains(window):
            raise GeometryError(f"window {window} reaches beyond the raster of shape {self.shape}: clip it first")
        parts = [(self._window(index), index) for index in self._touched(window)]
        pieces = [(box, self._part(index, box, window)) for box, index in parts]
        if len(pieces) == 1:
            return pieces[0][1]
        return _assembled(pieces, window)

    def _touched(self, window: Window) -> Iterator[Index]:
        size = self.block_px
        for row in range(window.y0 // size, -(-window.y1 // size)):
            for col in range(window.x0 // size, -(-window.x1 // size)):
                yield row, col

    def _part(self, index: Index, box: Window, window: Window) -> NDArray[Any]:
        stored = np.load(self._file(index), mmap_mode="r")
        part = stored[(..., *_overlap(box, window).inside(box).slices)]
        return np.load(self._table(index))[part] if self.renumbered else np.array(part)

    def _window(self, index: Index) -> Window:
        y0, x0 = index[0] * self.block_px, index[1] * self.block_px
        return Window(y0, x0, y0 + self.block_px, x0 + self.block_px).clipped(self.shape)

    def _file(self, index: Index) -> Path:
        return self.folder / f"r{index[0]:05d}c{index[1]:05d}.npy"

    def _table(self, index: Index) -> Path:
        return self._file(index).with_suffix(".table.npy")


def read_padded(reader: Any, window: Window, px: int, fill: int = 0) -> NDArray[Any]:
    """Read a window grown by `px` on every side; what lies beyond the raster is `fill`."""
    grown = window.padded(px)
    inside = grown.clipped(reader.shape)
    pixels = reader.read(inside)
    if inside == grown:
        return np.asarray(pixels)
    out = np.full((*pixels.shape[:-2], *grown.shape), fill, pixels.dtype)
    out[(..., *inside.inside(grown).slices)] = pixels
    return out


def _overlap(a: Window, b: Window) -> Window:
    return Window(max(a.y0, b.y0), max(a.x0, b.x0), min(a.y1, b.y1), min(a.x1, b.x1))


def _assembled(pieces: list[tuple[Window, NDArray[Any]]], window: Window) -> NDArray[Any]:
    if not pieces:
        raise GeometryError(f"window {window} is empty: there is nothing to read")
    leading = pieces[0][1].shape[:-2]
    out = np.empty((*leading, *window.shape), np.result_type(*(part.dtype for _, part in pieces)))
    for box, part in pieces:
        out[(..., *_overlap(box, window).inside(window).slices)] = part
    return out
