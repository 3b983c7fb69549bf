"""Where do the pixels of one raster lie on the grid of another? Nothing is opened or read here."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pyproj.exceptions import ProjError

from hedgerow.geo.windows import Window

SAME_PX = 0.01
"""Grids that differ by no more than this share of a pixel are one grid; a place this far outside is still inside."""

_POINTS_PER_SIDE = 65

Floats = NDArray[np.float64]
ToPixels = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""From columns and rows of a raster to those of another; not finite where there is no such place."""


def extent(geobox: GeoBox, grid: GeoBox) -> Window:
    """Return the pixels of a grid, also beyond its frame, whose centre may lie in another raster.

    Raises:
        ProjError: there is no way from one CRS to the other.
    """
    at = offset_px(geobox, grid)
    if at is not None:
        return Window(at[0], at[1], at[0] + int(geobox.shape[0]), at[1] + int(geobox.shape[1]))
    cols, rows = between(geobox, grid)(*outline(geobox))
    if not np.isfinite([cols, rows]).all():
        raise ProjError("a place on its frame has none there")
    # Pixel i has its centre at i + 0.5.
    low = [int(np.ceil(side.min() - 0.5 - SAME_PX)) for side in (rows, cols)]
    high = [int(np.floor(side.max() - 0.5 + SAME_PX)) + 1 for side in (rows, cols)]
    return Window(*low, *(max(pair) for pair in zip(low, high, strict=True)))


def offset_px(geobox: GeoBox, grid: GeoBox) -> tuple[int, int] | None:
    """Return (row, column) of a raster's first pixel on a grid; None where their pixels do not fall together."""
    if geobox.crs != grid.crs:
        return None
    height, width = geobox.shape
    on_grid = ~grid.transform @ geobox.transform
    corners = [(0, 0), (width, 0), (0, height), (width, height)]
    there = np.array([on_grid @ corner for corner in corners])
    if not np.isfinite(there).all():
        return None
    col, row = np.rint(there[0])
    same = np.abs(there - (col, row) - corners).max() <= SAME_PX
    return (int(row), int(col)) if same else None


def between(source: GeoBox, target: GeoBox) -> ToPixels:
    """Return the way from the pixels of one raster to those of another: (columns, rows) to (columns, rows)."""
    if source.crs == target.crs:
        direct = ~target.transform @ source.transform
        return lambda cols, rows: _applied(direct, cols, rows)
    across = _transformer(str(source.crs), str(target.crs))
    to_plane, to_pixels = source.transform, ~target.transform
    return lambda cols, rows: _applied(to_pixels, *across.transform(*_applied(to_plane, cols, rows)))


def outline(geobox: GeoBox) -> tuple[Floats, Floats]:
    """Return columns and rows of points along the frame: straight lines of one CRS are curves in another."""
    height, width = geobox.shape
    along, ends = np.linspace(0, 1, _POINTS_PER_SIDE), np.repeat([0.0, 1.0], _POINTS_PER_SIDE)
    across = np.tile(along, 2)
    return np.concatenate([across, ends]) * width, np.concatenate([ends, across]) * height


@lru_cache(maxsize=64)
def _transformer(source: str, target: str) -> Transformer:
    return Transformer.from_crs(source, target, always_xy=True)


def _applied(a: Affine, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Apply an affine element by element: the same input gives the same output in an array of any size."""
    with np.errstate(invalid="ignore"):  # a place that the other CRS does not have is infinite
        return a.a * x + a.b * y + a.c, a.d * x + a.e * y + a.f
