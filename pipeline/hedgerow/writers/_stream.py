"""How is a layer written that never is whole in memory? Its parts go through GDAL one by one, as Arrow batches."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from geopandas import GeoDataFrame
from pyogrio import write_arrow

from hedgerow.errors import GeometryError
from hedgerow.writers._layers import Parts, geometry_type
from hedgerow.writers._ogr import ERRORS, advice, check_whole
from hedgerow.writers._readback import Total, add, totals_of

Change = Callable[[GeoDataFrame], GeoDataFrame]


def put_parts(
    parts: Parts, path: Path, layer: str, *, driver: str, change: Change | None = None, **options: Any
) -> list[Path]:
    """Write one layer part by part with a GDAL driver, read it back, and return its file.

    Args:
        parts: the layer; its geometries are of one type.
        path: the file to write, or to add the layer to.
        layer: name of the layer.
        driver: GDAL's name of the format.
        change: what becomes of each part before it is written.
        options: the driver's own.

    Raises:
        GeometryError: the driver cannot hold the layer, or the disk has not taken all of it.
        Exception: what making a part has raised.
    """
    stream = _Stream(parts, change)
    try:
        write_arrow(
            pa.RecordBatchReader.from_batches(stream.schema, stream.batches()), path, layer=layer, driver=driver,
            geometry_name=stream.head.geometry.name, geometry_type=geometry_type(stream.head, layer),
            crs=None if stream.head.crs is None else stream.head.crs.to_wkt(), **options,
        )  # fmt: skip
    except (*ERRORS, RuntimeError) as error:
        if stream.error is not None:
            raise stream.error from None
        raise GeometryError(
            f"{path.name}: layer {layer!r} cannot be written as {driver}: {error}. {advice(path, driver)}"
        ) from error
    check_whole(stream.totals, path, layer, driver)
    return [path]


class _Stream:
    """The parts of a layer as Arrow batches; counts what has gone by, and keeps the error that GDAL would swallow."""

    def __init__(self, parts: Parts, change: Change | None) -> None:
        self._parts = parts
        self._change = change
        self.head = change(parts.head) if change else parts.head
        self.schema = _arrow(self.head).schema
        self.totals: dict[str, Total] = {}
        self.error: BaseException | None = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for part in self._parts:
                changed = self._change(part) if self._change else part
                add(self.totals, totals_of(changed))
                yield from _arrow(changed).cast(self.schema).to_batches()
        except BaseException as error:
            self.error = error
            raise


def _arrow(frame: GeoDataFrame) -> pa.Table:
    return pa.table(frame.to_arrow(index=False, geometry_encoding="WKB"))
