"""Borders as shapefiles: one per layer, short column names from a fixed dictionary, every part read back and counted.

A shapefile column has at most ten characters and a text at most 254 bytes, and no file may pass 2 GB. Beside each file
lie its `.prj`, a `.cpg` that says UTF-8, and `NAME_columns.csv`, which gives the full names back.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyogrio
import shapely
from geopandas import GeoDataFrame
from pandas.api.types import is_numeric_dtype
from pydantic import BaseModel

from hedgerow.contracts import Writer
from hedgerow.errors import GeometryError
from hedgerow.writers._layers import FilePerLayer, geometry_type
from hedgerow.writers._ogr import put

SHORT_NAMES: Mapping[str, str] = {
    "id": "id", "class": "class", "area_m2": "area_m2", "perimeter_m": "perim_m", "confidence": "conf",
    "source": "source", "left_id": "left_id", "right_id": "right_id", "class_pair": "pair", "length_m": "length_m",
    "open": "open",
}  # fmt: skip
"""Full name to shapefile name; other columns must fit as they are."""

_LONGEST_NAME = 10
_LONGEST_TEXT_BYTES = 254
_LARGEST_FILE_BYTES = 2**31 - 1


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(_config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".shp", _put)


def _put(frame: GeoDataFrame, path: Path, layer: str) -> Sequence[Path]:
    short = _shortened(frame, layer)
    _check_widths(short, layer)
    _check_kind_and_size(short, layer)
    put(short, path, layer, driver="ESRI Shapefile", ENCODING="UTF-8", RESIZE="YES")
    _write_dictionary(frame, short, path.with_name(f"{path.stem}_columns.csv"))
    _check_read_back(short, path, layer)
    return sorted(path.parent.glob(f"{path.stem}[._]*"), key=lambda part: (part.suffix != ".shp", part.name))


def _shortened(frame: GeoDataFrame, layer: str) -> GeoDataFrame:
    """Short names, and truth values as 0 and 1: a shapefile's logical type is read by few."""
    flags = {name: "int32" for name in frame.columns if frame[name].dtype == bool}
    short = frame.astype(flags).rename(columns=dict(SHORT_NAMES))
    names = [str(name) for name in short.columns if name != short.geometry.name]
    long = [name for name in names if len(name.encode()) > _LONGEST_NAME]
    if long or len({name.lower() for name in names}) < len(names):
        raise GeometryError(
            f"layer {layer!r}: a shapefile holds distinct column names of at most {_LONGEST_NAME} bytes, "
            f"not {', '.join(long or names)}: rename them, or use --to gpkg"
        )
    return short


def _check_widths(short: GeoDataFrame, layer: str) -> None:
    for name in short.columns.drop(short.geometry.name):
        if is_numeric_dtype(short[name]):
            continue
        widest = max((len(str(text).encode()) for text in short[name].dropna()), default=0)
        if widest > _LONGEST_TEXT_BYTES:
            raise GeometryError(
                f"layer {layer!r}: column {name!r} holds a text of {widest} bytes and a shapefile at most "
                f"{_LONGEST_TEXT_BYTES}: use --to gpkg"
            )


def _check_kind_and_size(short: GeoDataFrame, layer: str) -> None:
    if geometry_type(short, layer) == "Unknown":
        kinds = ", ".join(sorted(short.geom_type.dropna().unique()))
        raise GeometryError(f"layer {layer!r} mixes {kinds} and a shapefile holds one type: use --to gpkg")
    # The file format: 100 bytes of header; 8 + 44 per shape, 4 per ring or part, 16 per vertex.
    geometries = short.geometry.to_numpy()
    parts = shapely.get_num_geometries(geometries).sum() + shapely.get_num_interior_rings(geometries).sum()
    size = 100 + 52 * len(short) + 4 * int(parts) + 16 * int(shapely.get_num_coordinates(geometries).sum())
    if size > _LARGEST_FILE_BYTES:
        raise GeometryError(f"layer {layer!r} needs {size / 2**30:.1f} GB and a shapefile holds 2: use --to gpkg")


def _write_dictionary(frame: GeoDataFrame, short: GeoDataFrame, path: Path) -> None:
    pairs = zip(short.columns, frame.columns, strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("column", "full_name"))
        rows.writerows((s, f) for s, f in pairs if f != frame.geometry.name)


def _check_read_back(short: GeoDataFrame, path: Path, layer: str) -> None:
    """Count what was written: the driver drops what it cannot hold with a warning at most."""
    info = pyogrio.read_info(path)
    lost = [name for name in short.columns.drop(short.geometry.name) if name not in info["fields"]]
    if info["features"] != len(short) or lost:
        raise GeometryError(
            f"{path.name}: layer {layer!r} came back with {info['features']} of {len(short)} features and without "
            f"{', '.join(lost) or 'loss of'} columns: use --to gpkg"
        )
