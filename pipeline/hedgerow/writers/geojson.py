"""Borders as GeoJSON (RFC 7946): one file per layer, always longitude and latitude on WGS84, 7 decimals (1 cm)."""

from collections.abc import Sequence
from pathlib import Path

from geopandas import GeoDataFrame
from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.errors import GeometryError
from hedgerow.writers._layers import FilePerLayer
from hedgerow.writers._ogr import put


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".geojson", _put)


def _put(frame: GeoDataFrame, path: Path, layer: str) -> Sequence[Path]:
    if frame.crs is None:
        raise GeometryError(f"{path.name}: GeoJSON is in WGS84 and layer {layer!r} has no CRS to come from: assign one")
    return put(frame.to_crs("EPSG:4326"), path, layer, driver="GeoJSON", RFC7946="YES")
