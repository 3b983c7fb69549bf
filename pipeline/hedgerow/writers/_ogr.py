"""How does a layer go through GDAL's vector drivers? One call of pyogrio, read back; its errors in our words."""

import shutil
from pathlib import Path
from typing import Any

from geopandas import GeoDataFrame
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError
from pyogrio.errors import GeometryError as OgrGeometryError

from hedgerow.errors import GeometryError
from hedgerow.writers._layers import geometry_type
from hedgerow.writers._readback import Totals, missing, totals_of

ERRORS = (DataLayerError, DataSourceError, FeatureError, FieldError, OgrGeometryError, ValueError)
_ROOM_MB = 16


def put(
    frame: GeoDataFrame, path: Path, layer: str, *, driver: str, stored: str | None = None, **options: Any
) -> list[Path]:
    """Write one layer with a GDAL driver, read it back, and return its file.

    Args:
        frame: the layer.
        path: the file to write, or to add the layer to.
        layer: name of the layer.
        driver: GDAL's name of the format.
        stored: what the file itself calls the layer; None: `layer`.
        options: the driver's own.

    Raises:
        GeometryError: the driver cannot hold the layer, or the disk has not taken all of it.
    """
    put_unread(frame, path, layer, driver=driver, **options)
    check_whole(totals_of(frame), path, stored or layer, driver)
    return [path]


def put_unread(frame: GeoDataFrame, path: Path, layer: str, *, driver: str, **options: Any) -> None:
    """Write one layer as `put` does, without reading it back: tiles hold pieces of features.

    Raises:
        GeometryError: the driver cannot hold the layer.
    """
    kind = geometry_type(frame, layer)
    try:
        frame.to_file(
            path, layer=layer, driver=driver, engine="pyogrio", geometry_type=kind,
            promote_to_multi=kind.startswith("Multi"), index=False, **options,
        )  # fmt: skip
    except ERRORS as error:
        raise GeometryError(
            f"{path.name}: layer {layer!r} cannot be written as {driver}: {error}. {advice(path, driver)}"
        ) from error


def advice(path: Path, driver: str) -> str:
    """Say what a person can do about a file that could not be written."""
    free_mb = shutil.disk_usage(path.parent).free >> 20
    if free_mb < _ROOM_MB:
        return f"Only {free_mb} MiB are left on the disk: make room, or choose another place"
    return "Look whether a quota of the disk is used up" + ("" if driver == "GPKG" else ", or try --to gpkg")


def check_whole(totals: Totals, path: Path, layer: str, driver: str) -> None:
    """Read a layer back.

    Raises:
        GeometryError: it does not hold what these totals say.
    """
    try:
        gone = missing(totals, path, layer)
    except (*ERRORS, RuntimeError, OSError) as error:
        gone = str(error)
    if gone:
        raise GeometryError(
            f"{path.name}: layer {layer!r} does not come back whole from {driver}: {gone}. {advice(path, driver)}"
        )
