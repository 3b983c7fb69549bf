"""How do truth polygons look on a grid? Labels by burning areas, borders by burning lines of one pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from hedgerow.errors import ScoreError
from hedgerow.records import OTHER, Regions

_BACKGROUND = 1  # label of what no polygon covers; 0 is nodata
_FIRST = 2

FRAME_PX = 2
"""Width of the rim in which a truth that was cut to the image may end: its outlines there are no borders.

Hand-drawn fields that reach the frame end up to 1 px inside of it (measured on ten aerial tiles)."""


def burned_regions(geometries: Sequence[Any] | NDArray[Any], classes: Sequence[int], geobox: GeoBox) -> Regions:
    """Burn polygons as regions; where they overlap a little, the later one wins. What none covers is class other.

    The rim of 2 px along the frame repeats the pixels inside of it: a field cut to the image is not bordered there.

    Args:
        geometries: shapely polygons in the grid's CRS.
        classes: region class (other, field, forest) of each polygon.
        geobox: the grid.
    """
    shapes = np.asarray(geometries, dtype=object)
    if len(shapes) != len(classes):
        raise ScoreError(f"{len(shapes)} polygons but {len(classes)} classes: give one class for each polygon")
    numbered = [(shape, _FIRST + k) for k, shape in enumerate(shapes) if _drawable(shape)]
    labels = _burn(numbered, geobox, fill=_BACKGROUND, dtype="int32")
    inner = (slice(FRAME_PX, -FRAME_PX),) * 2
    if labels[inner].size:
        labels = np.pad(labels[inner], FRAME_PX, mode="edge")
    return Regions(labels, np.array([OTHER, OTHER, *classes], dtype=np.uint8))


def burned_line(geometries: Sequence[Any] | NDArray[Any], geobox: GeoBox) -> NDArray[np.bool_]:
    """Burn the outlines of polygons as lines of one pixel (height, width).

    The rim of 2 px along the frame stays empty, for the same reason.
    """
    outlines = shapely.boundary(np.asarray(geometries, dtype=object))
    line = _burn([(outline, 1) for outline in outlines if _drawable(outline)], geobox, fill=0, dtype="uint8")
    inside = np.zeros(line.shape, dtype=np.bool_)
    inner = (slice(FRAME_PX, -FRAME_PX),) * 2
    inside[inner] = line[inner] != 0
    return inside


def _drawable(geometry: Any) -> bool:
    return geometry is not None and not geometry.is_empty


def _burn(shapes: list[tuple[Any, int]], geobox: GeoBox, *, fill: int, dtype: str) -> NDArray[Any]:
    out = np.full((geobox.shape[0], geobox.shape[1]), fill, dtype=dtype)
    if shapes:
        rasterize(shapes, out=out, transform=geobox.transform, all_touched=False)
    return out
