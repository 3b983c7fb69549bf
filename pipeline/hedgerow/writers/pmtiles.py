"""Borders as PMTiles: both layers as vector tiles in one file for web maps, in EPSG:3857; for viewing, not for work.

GDAL cuts each layer into tiles. A tile that shows both is the one behind the other, as protocol buffers allow.
"""

import gzip
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import numpy as np
from geopandas import GeoDataFrame
from pydantic import BaseModel, Field, model_validator

from hedgerow.contracts import Writer
from hedgerow.errors import GeometryError
from hedgerow.writers._layers import GEOMETRY_TYPE, Layers
from hedgerow.writers._ogr import put_unread
from hedgerow.writers._pmtiles import empty_tile, tile_number, write_pmtiles
from hedgerow.writers._together import Together
from hedgerow.writers._zooms import FARTHEST, LARGEST_ZOOM, MERCATOR, bounds_in_degrees, zooms_of

_LARGEST_TILE_BYTES = 5_000_000  # above these two GDAL leaves features out
_MOST_FEATURES = 10_000_000
_TYPES = {"b": "Boolean", "i": "Number", "u": "Number", "f": "Number"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Which zooms there are; viewers enlarge the tiles of the largest one further."""

    min_zoom: int | None = Field(None, ge=0, le=LARGEST_ZOOM)
    """None: the smallest at which the map is a sixteenth of a tile wide or high."""
    max_zoom: int | None = Field(None, ge=0, le=LARGEST_ZOOM)
    """None: the smallest at which the median edge is eight steps long, of the 4096 of a tile."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_zoom is not None and self.max_zoom is not None and self.min_zoom > self.max_zoom:
            raise ValueError(f"min_zoom {self.min_zoom} lies above max_zoom {self.max_zoom}")
        return self


def build(config: Config) -> Writer:
    """Return the writer."""
    return Together(".pmtiles", partial(_put, config=config), crs=MERCATOR)


def _put(layers: Layers, path: Path, *, config: Config) -> None:
    flat = {name: _flat(frame, path, name) for name, frame in layers.items()}
    zooms = zooms_of(list(flat.values()), config.min_zoom, config.max_zoom)
    with TemporaryDirectory(dir=path.parent) as scratch, ExitStack() as stack:
        filled = [(name, frame) for name, frame in flat.items() if len(frame)]
        places = [Path(scratch) / f"{path.stem}_{k}.mbtiles" for k in range(len(filled))]
        cut = [_cut(frame, place, name, zooms) for place, (name, frame) in zip(places, filled, strict=True)]
        files = [stack.enter_context(closing(sqlite3.connect(file))) for file in cut]
        tiles = _tiles(files) if files else [(tile_number(zooms[0], 0, 0), empty_tile(flat))]
        about = _metadata(path.stem, flat, zooms)
        write_pmtiles(tiles, path, bounds=bounds_in_degrees(flat.values()), zooms=zooms, metadata=about)


def _flat(frame: GeoDataFrame, path: Path, layer: str) -> GeoDataFrame:
    if frame.crs is None:
        raise GeometryError(
            f"{path.name}: tiles are in {MERCATOR} and layer {layer!r} has no CRS to come from: assign one"
        )
    flat = frame.to_crs(MERCATOR)
    if len(flat) and not np.abs(flat.total_bounds).max() <= FARTHEST:
        raise GeometryError(
            f"{path.name}: layer {layer!r} reaches beyond 85 degrees of latitude, where {MERCATOR} ends: use --to gpkg"
        )
    return flat


def _cut(frame: GeoDataFrame, path: Path, layer: str, zooms: tuple[int, int]) -> Path:
    """Cut a layer into tiles, one row of a database each."""
    put_unread(
        frame, path, layer, driver="MBTiles", MINZOOM=zooms[0], MAXZOOM=zooms[1], MAX_SIZE=_LARGEST_TILE_BYTES,
        MAX_FEATURES=_MOST_FEATURES,
    )  # fmt: skip
    return path


def _tiles(files: Sequence[sqlite3.Connection]) -> Iterator[tuple[int, bytes]]:
    """Yield the tiles of all layers in the order of their numbers; what several layers have there is joined."""
    there: dict[int, list[tuple[sqlite3.Connection, int]]] = {}
    for file in files:
        for zoom, column, row, key in file.execute("SELECT zoom_level, tile_column, tile_row, rowid FROM tiles"):
            number = tile_number(zoom, column, 2**zoom - 1 - row)  # MBTiles count rows from the south
            there.setdefault(number, []).append((file, key))
    for number in sorted(there):
        yield number, b"".join(_data(file, key) for file, key in there[number])


def _data(file: sqlite3.Connection, key: int) -> bytes:
    (packed,) = file.execute("SELECT tile_data FROM tiles WHERE rowid = ?", (key,)).fetchone()
    return gzip.decompress(packed)


def _metadata(name: str, layers: Mapping[str, GeoDataFrame], zooms: tuple[int, int]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "overlay",
        "format": "pbf",
        "vector_layers": [
            {"id": layer, "minzoom": zooms[0], "maxzoom": zooms[1], "fields": _fields(frame)}
            for layer, frame in layers.items()
        ],
        "tilestats": {"layerCount": len(layers), "layers": [_count(layer, frame) for layer, frame in layers.items()]},
    }


def _fields(frame: GeoDataFrame) -> dict[str, str]:
    return {str(c): _TYPES.get(frame[c].dtype.kind, "String") for c in frame.columns.drop(frame.geometry.name)}


def _count(layer: str, frame: GeoDataFrame) -> dict[str, Any]:
    attributes = [{"attribute": name, "type": kind.lower()} for name, kind in _fields(frame).items()]
    return {
        "layer": layer,
        "count": len(frame),
        "geometry": GEOMETRY_TYPE.get(layer, "Unknown"),
        "attributeCount": len(attributes),
        "attributes": attributes,
    }
