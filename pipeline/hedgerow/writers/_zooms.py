"""At which zooms is a map worth seeing? From where it is more than a dot to where its corners are told apart."""

from collections.abc import Iterable, Sequence
from math import ceil, log2

import numpy as np
import shapely
from geopandas import GeoDataFrame
from pyproj import Transformer

Bounds = tuple[float, float, float, float]
"""(west, south, east, north)."""

MERCATOR = "EPSG:3857"
LARGEST_ZOOM = 22
TILE_STEPS = 4096
"""Coordinates in a vector tile are whole numbers below this."""

_WORLD = 40_075_016.685578488  # side of the square of all tiles, in units of EPSG:3857
FARTHEST = _WORLD / 2 * (1 + 1e-6)
"""No coordinate of EPSG:3857 lies beyond this; the rest is rounding."""

_SMALLEST_SHARE = 1 / 16
_STEPS_PER_EDGE = 8
_SAMPLE = 20_000  # features whose edges are looked at
_NOWHERE: Bounds = (-180.0, -85.0, 180.0, 85.0)


def zooms_of(layers: Sequence[GeoDataFrame], smallest: int | None, largest: int | None) -> tuple[int, int]:
    """Return the smallest and the largest zoom for layers in EPSG:3857; what is given is kept.

    At the smallest the map is a sixteenth of a tile wide or high, or more; at the largest the median edge has eight
    steps of the tile's grid, or more.
    """
    extent, edge = _extent(layers), _median_edge(layers)
    low = _zoom(_WORLD * _SMALLEST_SHARE / extent) if extent else 0
    high = _zoom(_WORLD * _STEPS_PER_EDGE / TILE_STEPS / edge) if edge else 0
    low = min(low, LARGEST_ZOOM if largest is None else largest) if smallest is None else smallest
    return low, max(low, high) if largest is None else max(low, largest)


def bounds_in_degrees(layers: Iterable[GeoDataFrame]) -> Bounds:
    """Return the box around layers in EPSG:3857, in longitude and latitude; the world where they are empty."""
    boxes = np.array([frame.total_bounds for frame in layers if len(frame)])
    if not len(boxes):
        return _NOWHERE
    to_degrees = Transformer.from_crs(MERCATOR, "EPSG:4326", always_xy=True)
    west, south = to_degrees.transform(*boxes[:, :2].min(axis=0))
    east, north = to_degrees.transform(*boxes[:, 2:].max(axis=0))
    return west, south, east, north


def _zoom(tiles_across: float) -> int:
    return int(np.clip(ceil(log2(tiles_across)), 0, LARGEST_ZOOM))


def _extent(layers: Iterable[GeoDataFrame]) -> float:
    boxes = np.array([frame.total_bounds for frame in layers if len(frame)])
    return float((boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)).max()) if len(boxes) else 0.0


def _median_edge(layers: Iterable[GeoDataFrame]) -> float:
    geometries = np.concatenate([frame.geometry.to_numpy()[:_SAMPLE] for frame in layers])
    points, of = shapely.get_coordinates(geometries, return_index=True)
    edges = np.hypot(*np.diff(points, axis=0).T)[np.diff(of) == 0] if len(points) else np.zeros(0)
    return float(np.median(edges)) if len(edges) else 0.0
