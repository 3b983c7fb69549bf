"""What does one raster show on a mosaic's grid? Its own pixels where they fall together, else values in between.

A value depends on the place of its pixel alone, never on the window that is read: places come from a control lattice
that is anchored at the grid's origin, and every step after that works element by element. GDAL's warper would give each
window values of its own, since it approximates the places along each line that it is asked for.

A pixel is valid where the raster's pixel under its centre is. Its value is bilinear between valid pixels; where more
than two pixels of the raster lie along one of the grid, whole blocks of them are averaged first.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow.geo.windows import Window
from hedgerow.records import Patch
from hedgerow.sources._lattice import SAME_PX, Floats, between, extent, offset_px
from hedgerow.sources.geotiff import RasterSource

CONTROL_PX = 32
"""In another CRS the places of every 32nd corner are computed and the others interpolated, less than 1e-3 px off."""

FINER = 2.0
"""Pixels of the raster along one of the grid from which on blocks of them are averaged."""


@dataclass(frozen=True)
class Stored:
    """A raster whose pixels are pixels of the grid."""

    source: RasterSource
    window: Window
    """Where it lies on the grid."""
    how: str = "as stored"

    def read(self, window: Window) -> Patch:
        """Return the pixels of a part of `self.window`."""
        return self.source.read(window.inside(self.window))


@dataclass(frozen=True)
class Resampled:
    """A raster that is brought onto the grid as it is read."""

    source: RasterSource
    window: Window
    """Where it may hold pixels of the grid."""
    grid: GeoBox
    block: tuple[int, int]
    """(rows, columns) of the raster that are averaged to one before."""

    @property
    def how(self) -> str:
        """How its values come about."""
        return "bilinear" if self.block == (1, 1) else f"mean of {self.block[0]} x {self.block[1]} px, bilinear"

    def read(self, window: Window) -> Patch:
        """Return a part of `self.window`; pixels that the raster does not have are invalid and 0."""
        data = np.zeros((len(self.source.bands), *window.shape), self.source.dtype)
        valid = np.zeros(window.shape, np.bool_)
        rows, cols = self._places(window)
        inside = _within(rows, self.source.geobox.shape[0]) & _within(cols, self.source.geobox.shape[1])
        if inside.any():
            box = self._box_around(rows[inside], cols[inside])
            patch = self.source.read(box)
            height, width = self.source.geobox.shape
            pixel = _pixel(rows[inside], height) - box.y0, _pixel(cols[inside], width) - box.x0
            valid[inside] = patch.valid[pixel]
            data[:, valid] = _as_type(_means(patch, box, self.block, rows[valid], cols[valid]), data.dtype)
        return Patch(data, valid)

    def _places(self, window: Window) -> tuple[Floats, Floats]:
        """Return where the centres of a window's pixels lie in the raster: rows and columns (height, width)."""
        to_raster = between(self.grid, self.source.geobox)
        if self.grid.crs == self.source.geobox.crs:
            cols, rows = to_raster(*np.meshgrid(_centres(window.x0, window.x1), _centres(window.y0, window.y1)))
            return rows, cols
        y, x = _controls(window.y0, window.y1), _controls(window.x0, window.x1)
        cols, rows = to_raster(*np.meshgrid(x.astype(float), y.astype(float)))
        return _interpolated(rows, y[0], x[0], window), _interpolated(cols, y[0], x[0], window)

    def _box_around(self, rows: Floats, cols: Floats) -> Window:
        """Return the pixels that the values at these places are made of, in whole blocks."""
        by, bx = self.block
        low = int(rows.min() // by) - 1, int(cols.min() // bx) - 1
        high = int(rows.max() // by) + 2, int(cols.max() // bx) + 2
        height, width = self.source.geobox.shape
        return Window(low[0] * by, low[1] * bx, high[0] * by, high[1] * bx).clipped((height, width))


Placed = Stored | Resampled


def placed(source: RasterSource, grid: GeoBox) -> Placed:
    """Say how a raster is read on a grid."""
    window = extent(source.geobox, grid)
    if offset_px(source.geobox, grid) is not None:
        return Stored(source, window)
    return Resampled(source, window, grid, _block(source.geobox, grid))


def _block(raster: GeoBox, grid: GeoBox) -> tuple[int, int]:
    """Return how many (rows, columns) of a raster make a pixel of the grid at its centre: 1 up to FINER."""
    height, width = raster.shape
    col, row = between(raster, grid)(np.asarray([width / 2]), np.asarray([height / 2]))
    cols, rows = between(grid, raster)(col + np.array([0.0, 1.0, 0.0]), row + np.array([0.0, 0.0, 1.0]))
    along = [float(np.hypot(side[1] - side[0], side[2] - side[0])) for side in (rows, cols)]
    by, bx = (round(length) if length > FINER else 1 for length in along)
    return by, bx


def _centres(start: int, stop: int) -> Floats:
    return np.arange(start, stop, dtype=np.float64) + 0.5


def _controls(start: int, stop: int) -> NDArray[np.int64]:
    """Return the multiples of CONTROL_PX around pixels start..stop."""
    first, last = start // CONTROL_PX, -(-stop // CONTROL_PX)
    return np.arange(first, last + 1) * CONTROL_PX


def _interpolated(values: Floats, y0: int, x0: int, window: Window) -> Floats:
    """Return values at pixel centres (height, width) from those at control corners, the first at (y0, x0)."""
    row, down = _cell(window.y0, window.y1, y0)
    col, right = _cell(window.x0, window.x1, x0)
    with np.errstate(invalid="ignore"):  # a corner without a place makes its cells places nowhere
        across = values[row] * (1 - down[:, None]) + values[row + 1] * down[:, None]
        return np.asarray(across[:, col] * (1 - right) + across[:, col + 1] * right)


def _cell(start: int, stop: int, first: int) -> tuple[NDArray[np.int64], Floats]:
    """Return for each pixel centre the control cell that it lies in, and how far along (0..1)."""
    pixels = np.arange(start, stop)
    return (pixels - first) // CONTROL_PX, (pixels % CONTROL_PX + 0.5) / CONTROL_PX


def _within(places: Floats, size: int) -> NDArray[np.bool_]:
    """Say which places lie on a side of a raster, a hair outside included: neighbours must leave no gap."""
    return np.asarray((places >= -SAME_PX) & (places <= size + SAME_PX))


def _pixel(places: Floats, size: int) -> NDArray[np.int64]:
    return np.clip(np.floor(places), 0, size - 1).astype(np.int64)


def _means(patch: Patch, box: Window, block: tuple[int, int], rows: Floats, cols: Floats) -> Floats:
    """Return bilinear means of the valid pixels (bands, n) at places around which there are some.

    Args:
        patch: the pixels of `box`, which begins with a whole block.
        box: where they lie in the raster.
        block: (rows, columns) that are averaged to one.
        rows, cols: places in the raster (n,).
    """
    weight = _block_sums(patch.valid[None].astype(np.float64), block)
    total = _block_sums(np.where(patch.valid, patch.data, 0).astype(np.float64), block)
    # Shares are those of places in the raster, never in the box: only whole numbers depend on the window.
    top, down = _taps(rows / block[0], box.y0 // block[0])
    left, right = _taps(cols / block[1], box.x0 // block[1])
    # Beyond the frame there is nothing: a rim of 0 makes every tap a pixel.
    stack = np.pad(np.concatenate([total, weight]), ((0, 0), (1, 1), (1, 1)))
    flat, width = stack.reshape(len(stack), -1), stack.shape[2]
    first = (top + 1) * width + left + 1
    sums = np.zeros((len(stack), len(rows)))
    for dy, dx in product((0, 1), (0, 1)):
        share = (down if dy else 1 - down) * (right if dx else 1 - right)
        sums += share * flat.take(first + dy * width + dx, axis=1)
    return np.asarray(sums[:-1] / sums[-1])


def _taps(places: Floats, first: int) -> tuple[NDArray[np.int64], Floats]:
    """Return the pixel, from `first` on, whose centre comes before each place, and how far it is to the next (0..1)."""
    before = np.floor(places - 0.5)
    return before.astype(np.int64) - first, places - 0.5 - before


def _block_sums(values: Floats, block: tuple[int, int]) -> Floats:
    """Return sums over blocks from the first row and column; beyond the last there is 0."""
    by, bx = block
    if block == (1, 1):
        return values
    bands, height, width = values.shape
    filled = np.pad(values, ((0, 0), (0, -height % by), (0, -width % bx)))
    return np.asarray(filled.reshape(bands, -(-height // by), by, -(-width // bx), bx).sum(axis=(2, 4)))


def _as_type(values: Floats, dtype: Any) -> NDArray[Any]:
    return (np.rint(values) if np.dtype(dtype).kind in "iu" else values).astype(dtype)
