"""Borders as shapefiles: one per layer, short column names from a fixed dictionary, every part read back.

A shapefile column has at most ten characters and a text at most 254 bytes, and no file may pass 2 GB: a larger layer
goes to NAME_part1.shp, NAME_part2.shp, and so on. Beside each file lie its `.prj`, a `.cpg` that says UTF-8, and
`NAME_columns.csv`, which gives the full names back.
"""

import csv
import glob
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from geopandas import GeoDataFrame
from numpy.typing import NDArray
from pandas.api.types import is_numeric_dtype
from pydantic import BaseModel, Field

from hedgerow.contracts import Writer
from hedgerow.errors import ConfigError, GeometryError
from hedgerow.writers._layers import FilePerLayer, geometry_type
from hedgerow.writers._ogr import put
from hedgerow.writers._parts import part_path, whole_of

SHORT_NAMES: Mapping[str, str] = {
    "id": "id", "class": "class", "area_m2": "area_m2", "perimeter_m": "perim_m", "confidence": "conf",
    "source": "source", "left_id": "left_id", "right_id": "right_id", "class_pair": "pair", "length_m": "length_m",
    "open": "open",
}  # fmt: skip
"""Full name to shapefile name; other columns must fit as they are."""

_LONGEST_NAME = 10
_LONGEST_TEXT_BYTES = 254
_HEADER_BYTES, _DBF_HEADER_BYTES = 100, 9_000  # the latter: 32 for each of 255 columns, and more
_NUMBER_BYTES, _TEXT_BYTES = 24, 80  # of a dBASE row while GDAL writes; it trims texts at the end


class Config(BaseModel, frozen=True, extra="forbid"):
    """How large a file may be."""

    limit_bytes: int = Field(2**31 - 1, gt=0, lt=2**31)
    """No `.shp` and no `.dbf` passes this: a larger layer is split."""


def build(config: Config) -> Writer:
    """Return the writer."""
    return FilePerLayer(".shp", partial(_put, limit_bytes=config.limit_bytes), _check_place)


def _put(frame: GeoDataFrame, path: Path, layer: str, *, limit_bytes: int) -> Sequence[Path]:
    short = _shortened(frame, layer)
    widths = _widths(short, layer)
    _check_kind(short, layer)
    cuts = list(_cuts(_shape_bytes(short), 1 + sum(widths), limit_bytes, layer))
    paths = [path] if len(cuts) == 1 else [part_path(path, number) for number in range(1, len(cuts) + 1)]
    made: list[Path] = []
    for part, rows in zip(paths, cuts, strict=True):
        put(
            short.iloc[rows], part, layer, driver="ESRI Shapefile", stored=part.stem, ENCODING="UTF-8", RESIZE="YES"
        )  # fmt: skip
        dictionary = part.with_name(f"{part.stem}_columns.csv")
        _write_dictionary(frame, short, dictionary)
        sidecars = {file for file in part.parent.glob(f"{glob.escape(part.stem)}.*") if file != part}
        made += [part, *sorted(sidecars), dictionary]
    return made


def _check_place(files: Sequence[Path]) -> None:
    """Refuse to lay parts beside older files that would be read instead of them, or as more of them."""
    parts = [file for file in files if file.suffix == ".shp"]
    if len(parts) == 1:
        return
    whole = whole_of(parts[0])
    for older in (whole, part_path(whole, len(parts) + 1)):
        if older.exists():
            raise ConfigError(
                f"{older}: is there from an earlier export, and would be taken for a part of {len(parts)} files "
                f"from {parts[0].name} on: remove it, or choose another name"
            )


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


def _widths(short: GeoDataFrame, layer: str) -> list[int]:
    """Return the bytes that each column takes of a row."""
    return [_width(short[name], name, layer) for name in short.columns.drop(short.geometry.name)]


def _width(column: pd.Series, name: str, layer: str) -> int:
    if is_numeric_dtype(column):
        return _NUMBER_BYTES
    widest = max((len(str(text).encode()) for text in column.dropna().unique()), default=0)
    if widest > _LONGEST_TEXT_BYTES:
        raise GeometryError(
            f"layer {layer!r}: column {name!r} holds a text of {widest} bytes and a shapefile at most "
            f"{_LONGEST_TEXT_BYTES}: use --to gpkg"
        )
    return max(widest, _TEXT_BYTES)


def _check_kind(short: GeoDataFrame, layer: str) -> None:
    if geometry_type(short, layer) == "Unknown":
        kinds = ", ".join(sorted(short.geom_type.dropna().unique()))
        raise GeometryError(f"layer {layer!r} mixes {kinds} and a shapefile holds one type: use --to gpkg")


def _shape_bytes(short: GeoDataFrame) -> NDArray[np.int64]:
    """Return what each shape takes: 52 bytes, 4 per ring or part, 16 per vertex."""
    parts, of_row = shapely.get_parts(short.geometry.to_numpy(), return_index=True)
    rings = 1 + np.where(
        shapely.get_type_id(parts) == shapely.GeometryType.POLYGON, shapely.get_num_interior_rings(parts), 0
    )
    content = 4 * rings + 16 * shapely.get_num_coordinates(parts)
    return 52 + np.bincount(of_row, weights=content, minlength=len(short)).astype(np.int64)


def _cuts(shape_bytes: NDArray[np.int64], row_bytes: int, limit_bytes: int, layer: str) -> Iterator[slice]:
    """Yield runs of rows, each as long as a `.shp` and a `.dbf` below the limit hold."""
    ends = np.cumsum(shape_bytes)
    most_rows = (limit_bytes - _DBF_HEADER_BYTES) // row_bytes
    start = 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + limit_bytes - _HEADER_BYTES, side="right"))
        stop = min(stop, start + most_rows)
        if stop <= start:
            raise GeometryError(
                f"layer {layer!r}: one shape needs {int(shape_bytes[start])} bytes, more than a shapefile of "
                f"{limit_bytes} holds: use --to gpkg"
            )
        yield slice(start, stop)
        start = stop
    if not len(ends):
        yield slice(0, 0)


def _write_dictionary(frame: GeoDataFrame, short: GeoDataFrame, path: Path) -> None:
    pairs = zip(short.columns, frame.columns, strict=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("column", "full_name"))
        rows.writerows((s, f) for s, f in pairs if f != frame.geometry.name)
