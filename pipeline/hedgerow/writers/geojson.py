"""Borders as GeoJSON (RFC 7946): one file per layer, always longitude and latitude on WGS84, 7 decimals (1 cm)."""

from collections.abc import Sequence
from pathlib import Path

from geopandas import GeoDataFrame
from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.errors import GeometryError
from hedgerow.writers._layers import FilePerLayer, Parts
from hedgerow.writers._ogr import put
from hedgerow.writers._stream import put_parts

WGS84 = "EPSG:4326"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".geojson", _put, crs=WGS84, put_parts=_put_parts)


def _put(frame: GeoDataFrame, path: Path, layer: str) -> Sequence[Path]:
    _check_placed(frame, path, layer)
    return put(frame.to_crs(WGS84), path, layer, driver="GeoJSON", RFC7946="YES")


def _put_parts(parts: Parts, path: Path, layer: str) -> Sequence[Path]:
    _check_placed(parts.head, path, layer)
    return put_parts(parts, path, layer, driver="GeoJSON", change=lambda part: part.to_crs(WGS84), RFC7946="YES")


def _check_placed(frame: GeoDataFrame, path: Path, layer: str) -> None:
    if frame.crs is None:
        raise GeometryError(f"{path.name}: GeoJSON is in WGS84 and layer {layer!r} has no CRS to come from: assign one")
