"""Which polygon layers does a vector file hold, and what of them is near a place? Only that much is read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer

from hedgerow.errors import SourceError

Bounds = tuple[float, float, float, float]
"""(west, south, east, north) in the units of some CRS."""

_PARQUET = (".parquet", ".geoparquet")
_WGS84 = CRS.from_epsg(4326)


@dataclass(frozen=True, slots=True)
class PolygonLayer:
    """One layer before it is read: `load(bounds)` gives what its CRS has there."""

    name: str
    crs: CRS
    bounds: Bounds
    load: Callable[[Bounds], GeoDataFrame]

    @property
    def degrees(self) -> Bounds:
        """Where the layer lies, in longitude and latitude."""
        return transformed(self.bounds, self.crs, _WGS84)


def polygon_layers(path: Path) -> tuple[list[PolygonLayer], list[str]]:
    """Return the layers that may hold polygons, and the names of those that do not.

    Raises:
        SourceError: the file cannot be read, has no polygon layer, or a polygon layer has no CRS.
    """
    listed = _listed_parquet(path) if path.suffix.lower() in _PARQUET else _listed(path)
    layers = [_layer(path, name, info, load) for name, kind, info, load in listed if _polygonal(kind)]
    others = [f"{name} ({kind or 'no geometry'})" for name, kind, _, _ in listed if not _polygonal(kind)]
    if not layers:
        raise SourceError(f"{path}: polygons are wanted, and its layers are {', '.join(others) or 'none'}")
    return layers, others


def transformed(bounds: Bounds, source: CRS, target: CRS) -> Bounds:
    """Return the box around `bounds` in another CRS; infinite where it has no place there."""
    if not np.isfinite(bounds).all():
        return bounds
    west, south, east, north = Transformer.from_crs(source, target, always_xy=True).transform_bounds(*bounds)
    return float(west), float(south), float(east), float(north)


def degrees(bounds: Bounds, crs: CRS) -> Bounds:
    """Return the box around `bounds` in longitude and latitude."""
    return transformed(bounds, crs, _WGS84)


def polygon_parts(geometries: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the single polygons inside geometries of any kind, and from which geometry each came."""
    parts, origin = shapely.get_parts(geometries, return_index=True)
    inner, outer = shapely.get_parts(parts, return_index=True)  # a collection may hold multipolygons
    kept = (shapely.get_type_id(inner) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(inner)
    return inner[kept], origin[outer[kept]].astype(np.int64)


_Listed = tuple[str, str | None, Any, Callable[[Bounds], GeoDataFrame]]


def _listed(path: Path) -> Sequence[_Listed]:
    try:
        return [
            (
                str(name),
                kind,
                pyogrio.read_info(path, layer=name, force_total_bounds=True),
                _ogr_loader(path, str(name)),
            )
            for name, kind in pyogrio.list_layers(path)
        ]
    except (DataSourceError, DataLayerError) as error:
        raise SourceError(f"{path}: no vector file can be read there: {error}") from error


def _listed_parquet(path: Path) -> Sequence[_Listed]:
    try:
        frame = geopandas.read_parquet(path)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: no GeoParquet can be read there: {error}") from error
    kinds = ", ".join(sorted(frame.geom_type.dropna().unique())) or "Unknown"
    info = {"crs": frame.crs, "total_bounds": frame.total_bounds}
    return [(path.stem, kinds, info, lambda box: frame[_meets(frame, box)])]


def _ogr_loader(path: Path, layer: str) -> Callable[[Bounds], GeoDataFrame]:
    def load(box: Bounds) -> GeoDataFrame:
        return geopandas.read_file(path, layer=layer, bbox=box, engine="pyogrio")

    return load


def _meets(frame: GeoDataFrame, box: Bounds) -> NDArray[np.bool_]:
    return np.asarray(shapely.intersects(shapely.box(*frame.bounds.to_numpy().T), shapely.box(*box)))


def _layer(path: Path, name: str, info: Any, load: Callable[[Bounds], GeoDataFrame]) -> PolygonLayer:
    if info["crs"] is None:
        raise SourceError(
            f"{path}: layer {name!r} has no CRS, so its place is unknown: assign one (for instance `ogr2ogr -a_srs`)"
        )
    bounds = info["total_bounds"]
    # An empty shapefile says that it lies at 0, 0.
    nowhere = bounds is None or info.get("features") == 0
    west, south, east, north = (np.nan,) * 4 if nowhere else map(float, bounds)
    return PolygonLayer(name, CRS.from_user_input(info["crs"]), (west, south, east, north), load)


def _polygonal(kind: str | None) -> bool:
    return kind is not None and any(word in kind for word in ("Polygon", "Surface", "Unknown", "Collection"))
