"""Has a file taken everything? Counts and sums of what went in, against those of what comes back.

GDAL 3.12 says nothing when the last bytes of a file find no room on the disk: the file is there, and short. Formats
may order rows anew and narrow types, so columns are compared by how many values they hold and what these add up to.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyogrio
from geopandas import GeoDataFrame

Total = tuple[int, float]
"""How many values are there, and their sum: of absolute numbers, of bytes of texts."""

Totals = Mapping[str, Total]
"""The total of each column, and of the geometries."""

_EQUAL = 1e-9
"""Relative: a dBASE number has 15 decimals, or as many as 24 characters hold."""
_BATCH_ROWS = 4_096
_GEOMETRY = ""  # no column bears this name


def lost(frame: GeoDataFrame, path: Path, layer: str) -> str:
    """Say in words what of `frame` is not in the file; nothing if all of it is."""
    return missing(totals_of(frame), path, layer)


def missing(wanted: Totals, path: Path, layer: str) -> str:
    """Say in words what of these totals is not in the file; nothing if all of it is."""
    there = _totals_of_file(path, layer)
    for name, (count, total) in wanted.items():
        got_count, got = there.get(name, (0, 0.0))
        if got_count != count:
            what = f"values of {name}" if name else "geometries"
            return f"{got_count} of {count} {what}"
        if not np.isclose(got, total, rtol=_EQUAL, atol=0.0):
            return f"other values of {name}"
    return ""


def totals_of(frame: GeoDataFrame) -> dict[str, Total]:
    """Return the totals of all columns that have one."""
    totals: dict[str, Total] = {_GEOMETRY: (int(frame.geometry.notna().sum()), 0.0)}
    for name in frame.columns.drop(frame.geometry.name):
        try:
            total = _total(pa.array(frame[name], from_pandas=True))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            continue  # a column of mixed values has no sum
        if total is not None:
            totals[str(name)] = total
    return totals


def add(totals: dict[str, Total], more: Totals) -> None:
    """Add the totals of further rows."""
    for name, (count, summed) in more.items():
        before = totals.get(name, (0, 0.0))
        totals[name] = (before[0] + count, before[1] + summed)


def _totals_of_file(path: Path, layer: str) -> Mapping[str, Total]:
    totals: dict[str, Total] = {}
    for name, total in _batch_totals(path, layer):
        add(totals, {name: total})
    return totals


def _batch_totals(path: Path, layer: str) -> Iterator[tuple[str, Total]]:
    with pyogrio.open_arrow(path, layer=layer, batch_size=_BATCH_ROWS, use_pyarrow=True) as (meta, batches):
        for batch in batches:
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if name in (meta["geometry_name"], "wkb_geometry"):
                    yield _GEOMETRY, (len(column) - column.null_count, 0.0)
                elif (total := _total(column)) is not None:
                    yield name, total


def _total(values: Any) -> Total | None:
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # Empty and missing are one in dBASE, which drops spaces at the end as well.
        lengths = pc.binary_length(pc.utf8_rtrim(values, characters=" "))
        return pc.sum(pc.greater(lengths, 0)).as_py() or 0, float(pc.sum(lengths).as_py() or 0)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = pc.drop_null(values).cast(pa.float64(), safe=False)
        numbers = numbers.filter(pc.invert(pc.is_nan(numbers)))
        return len(numbers), float(pc.sum(pc.abs(numbers)).as_py() or 0)
    return None
