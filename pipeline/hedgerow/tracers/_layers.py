"""How do polygons and lines become the two layers of a field map? With exactly the promised columns, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray

from hedgerow.records import CLASSES, class_pair


def fields_layer(
    polygons: NDArray[Any],
    kind: NDArray[np.uint8],
    confidence: NDArray[np.float64],
    *,
    area_m2: NDArray[np.float64],
    perimeter_m: NDArray[np.float64],
    first_number: int = 1,
    source: str,
    crs: Any,
) -> GeoDataFrame:
    """Return rows of the `fields` layer: polygons (n,) of class `kind`, numbered from `first_number` on."""
    columns = {
        "id": np.arange(first_number, first_number + len(polygons), dtype=np.int64),
        "class": _texts([CLASSES[k] for k in kind]),
        "area_m2": area_m2,
        "perimeter_m": perimeter_m,
        "confidence": np.asarray(confidence, np.float64),
        "source": _texts([source] * len(polygons)),
    }
    return GeoDataFrame(pd.DataFrame(columns), geometry=list(polygons), crs=crs)


def borders_layer(
    lines: NDArray[Any],
    *,
    sides: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    length_m: NDArray[np.float64],
    confidence: NDArray[np.float64],
    is_open: NDArray[np.bool_],
    first_number: int = 1,
    crs: Any,
) -> GeoDataFrame:
    """Return rows of the `borders` layer: lines (n,), `sides` (n, 2) left and right field ids, `kinds` (n, 2)."""
    columns = {
        "id": np.arange(first_number, first_number + len(lines), dtype=np.int64),
        "left_id": sides[:, 0],
        "right_id": sides[:, 1],
        "class_pair": _texts([class_pair(int(a), int(b)) for a, b in kinds]),
        "length_m": length_m,
        "confidence": np.asarray(confidence, np.float64),
        "open": is_open,
    }
    return GeoDataFrame(pd.DataFrame(columns), geometry=list(lines), crs=crs)


def lines_of(points: NDArray[np.float64], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Build a line from each run of points (n, 2)."""
    if len(offsets) < 2:
        return np.zeros(0, object)
    line = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.asarray(shapely.linestrings(points, indices=line), object)


def joined(parts: Sequence[GeoDataFrame]) -> GeoDataFrame:
    """Return one layer out of its parts, of which there is one at least."""
    return parts[0] if len(parts) == 1 else GeoDataFrame(pd.concat(parts, ignore_index=True))


def _texts(values: list[str]) -> NDArray[Any]:
    return np.asarray(values, dtype=object)
