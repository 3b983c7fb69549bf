"""What does a border file hold? Its layers come back under their full names, whatever the format."""

from collections.abc import Sequence
from itertools import count, takewhile
from pathlib import Path

import geopandas
import pandas as pd
import pyogrio
from geopandas import GeoDataFrame
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError
from pyproj.exceptions import CRSError

from hedgerow.errors import ConfigError, GeometryError, SourceError
from hedgerow.records import FieldMap
from hedgerow.registry import unknown
from hedgerow.writers._layers import COLUMNS
from hedgerow.writers._parts import part_path, whole_of
from hedgerow.writers._select import selected

_PARQUET = (".parquet", ".geoparquet")
_FOR_VIEWING = (".pmtiles", ".mbtiles", ".mvt", ".pbf")


def parts_of(path: Path) -> list[Path]:
    """Return the files that `path` stands for: itself, or NAME_part1.shp, NAME_part2.shp, ... where it was split."""
    return [path] if path.exists() else list(takewhile(Path.exists, (part_path(path, n) for n in count(1))))


def read_layers(path: Path, *, layer: str | None = None, where: str | None = None) -> dict[str, GeoDataFrame]:
    """Return every layer of a vector file that has geometries, or only `layer`.

    The name of a lone layer may come from its file (`NAME_fields.shp`); shapefiles of ours get their full names back,
    and the parts of one that was split (`NAME_fields_part1.shp`, ...) are read under the name of the whole.

    Args:
        path: the file.
        layer: only this layer.
        where: only features for which this SQL holds (see `_select.selected`).

    Raises:
        SourceError: there is no such file, or nothing that can be read.
        ConfigError: no layer of that name, or a condition that cannot be asked of a layer.
    """
    parts = parts_of(path)
    if not parts:
        raise SourceError(f"{path}: there is no such file")
    if path.suffix.lower() in _FOR_VIEWING:
        raise SourceError(f"{path}: holds polygons cut into tiles, for viewing: give the file that it was made from")
    names = _layer_names(path, parts[0])
    if not names:
        raise SourceError(f"{path}: holds no layer with geometries")
    if layer is not None and layer not in names:
        raise ConfigError(f"{path}: {unknown('layer', layer, tuple(names))}")
    layers = {name: _joined(parts, stored) for name, stored in names.items() if layer in (None, name)}
    return {name: selected(frame, where, layer=name) for name, frame in layers.items()} if where else layers


def read_map(path: Path, *, arm: str = "fp32") -> FieldMap:
    """Return the map that a file with layers `fields` and `borders` holds."""
    layers = read_layers(path)
    missing = [name for name in COLUMNS if name not in layers]
    if missing:
        raise SourceError(f"{path}: a map has layers fields and borders; this file lacks {', '.join(missing)}")
    return FieldMap(fields=layers["fields"], borders=layers["borders"], arm=arm)


def reprojected(layers: dict[str, GeoDataFrame], crs: str) -> dict[str, GeoDataFrame]:
    """Return the layers in another CRS; lengths and areas stay, they are geodesic.

    Raises:
        ConfigError: `crs` names no CRS.
        GeometryError: a layer has no CRS to come from.
    """
    without = [name for name, frame in layers.items() if frame.crs is None]
    if without:
        raise GeometryError(f"layer {', '.join(without)} has no CRS: it cannot be brought to {crs}; assign one first")
    try:
        return {name: frame.to_crs(crs) for name, frame in layers.items()}
    except CRSError as error:
        raise ConfigError(f"no CRS is called {crs!r}: give one as EPSG:25832 or as WKT ({error})") from error


def _layer_names(path: Path, first: Path) -> dict[str, str | None]:
    """Map the name of each layer to what the file itself calls it; None: a format of one layer."""
    if path.suffix.lower() in _PARQUET:
        return {_by_file_name(path, path.stem): None}
    try:
        stored = [str(name) for name, kind in pyogrio.list_layers(first) if kind is not None]
    except (DataSourceError, DataLayerError) as error:
        raise SourceError(f"{path}: no vector file can be read there: {error}") from error
    if path.suffix.lower() == ".shp":
        return {_by_file_name(path, path.stem): None}
    return {_by_file_name(path, stored[0]): stored[0]} if len(stored) == 1 else {name: name for name in stored}


def _by_file_name(path: Path, stored: str) -> str:
    # Formats of one layer forget its name or take the file's: `NAME_fields.shp` and its parts hold `fields`.
    ending = whole_of(path).stem.rpartition("_")[2]
    return ending if stored not in COLUMNS and ending in COLUMNS else stored


def _joined(parts: Sequence[Path], stored: str | None) -> GeoDataFrame:
    frames = [_read(part, stored) for part in parts]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _read(path: Path, stored: str | None) -> GeoDataFrame:
    try:
        if path.suffix.lower() in _PARQUET:
            return geopandas.read_parquet(path)
        frame = geopandas.read_file(path, layer=stored, engine="pyogrio")
    except (OSError, ValueError, DataSourceError, DataLayerError, FeatureError, FieldError) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error
    dictionary = path.with_name(f"{path.stem}_columns.csv")
    if path.suffix.lower() == ".shp" and dictionary.exists():
        table = pd.read_csv(dictionary)
        frame = frame.rename(columns=dict(zip(table["column"], table["full_name"], strict=True)))
        frame = frame.astype({"open": "bool"}) if "open" in frame.columns else frame
    return frame
