"""How do faces and arcs become the two layers of a field map? Each geometry is measured once, on the ellipsoid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray

from hedgerow.geo.metres import areas_and_perimeters_m, lengths_m
from hedgerow.records import CLASSES, class_pair


def fields_layer(
    polygons: NDArray[Any], kind: NDArray[np.uint8], confidence: NDArray[np.float64], *, source: str, crs: Any
) -> GeoDataFrame:
    """Return the `fields` layer: polygons (n,) of class `kind`, numbered 1..n."""
    area, perimeter = areas_and_perimeters_m(polygons, crs)
    columns = {
        "id": np.arange(1, len(polygons) + 1, dtype=np.int64),
        "class": _texts([CLASSES[k] for k in kind]),
        "area_m2": area,
        "perimeter_m": perimeter,
        "confidence": np.asarray(confidence, np.float64),
        "source": _texts([source] * len(polygons)),
    }
    return GeoDataFrame(pd.DataFrame(columns), geometry=list(polygons), crs=crs)


def borders_layer(
    lines: NDArray[Any],
    *,
    sides: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    confidence: NDArray[np.float64],
    is_open: NDArray[np.bool_],
    crs: Any,
) -> GeoDataFrame:
    """Return the `borders` layer: lines (n,), `sides` (n, 2) left and right field ids, `kinds` (n, 2) classes."""
    columns = {
        "id": np.arange(1, len(lines) + 1, dtype=np.int64),
        "left_id": sides[:, 0],
        "right_id": sides[:, 1],
        "class_pair": _texts([class_pair(int(a), int(b)) for a, b in kinds]),
        "length_m": lengths_m(lines, crs),
        "confidence": np.asarray(confidence, np.float64),
        "open": is_open,
    }
    return GeoDataFrame(pd.DataFrame(columns), geometry=list(lines), crs=crs)


def lines_of(points: NDArray[np.float64], offsets: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[Any]:
    """Build lines from the runs `chosen` of points (n, 2)."""
    lengths = np.diff(offsets)
    own = np.full(len(lengths), -1, np.int64)
    own[chosen] = np.arange(len(chosen))
    line = np.repeat(own, lengths)
    if not len(chosen):
        return np.zeros(0, object)
    return np.asarray(shapely.linestrings(points[line >= 0], indices=line[line >= 0]), object)


def _texts(values: list[str]) -> NDArray[Any]:
    return np.asarray(values, dtype=object)
