"""How does a synthetic scene get to disk? A GeoTIFF and its truth beside it, each whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyogrio
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp

from hedgerow.errors import SourceError

_LAYER = "fields"


class Written(Protocol):
    """What of a scene is written."""

    @property
    def image(self) -> NDArray[Any]: ...
    @property
    def bands(self) -> tuple[str, ...]: ...
    @property
    def geobox(self) -> GeoBox: ...
    @property
    def truth(self) -> Any: ...


def write(scene: Written, folder: Path, stem: str) -> tuple[Path, Path]:
    """Write STEM.tif and STEM.gpkg (layer `fields`, column `class`) into an existing folder and return their paths.

    Raises:
        SourceError: the folder cannot be written to.
    """
    picture, truth = folder / f"{stem}.tif", folder / f"{stem}.gpkg"
    try:
        with _whole(picture) as path:
            _write_picture(scene, path)
        with _whole(truth) as path:
            _write_truth(scene, path)
    except OSError as error:
        raise SourceError(f"cannot write {picture.name} to {folder}: {error}; choose another folder") from error
    return picture, truth


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a temporary name in the same folder; take its place at the end, or leave nothing."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write_picture(scene: Written, path: Path) -> None:
    count, height, width = scene.image.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, dtype=scene.image.dtype,
        crs=str(scene.geobox.crs), transform=scene.geobox.transform, compress="deflate", predictor=2, zlevel=9,
        interleave="pixel", photometric="RGB" if scene.image.dtype == np.uint8 else "MINISBLACK",
        **({"alpha": "YES"} if "alpha" in scene.bands else {}),
    ) as file:  # fmt: skip
        file.colorinterp = [ColorInterp[band] for band in scene.bands]
        file.descriptions = scene.bands
        file.write(scene.image)


def _write_truth(scene: Written, path: Path) -> None:
    # GeoPackages hold the time of their last change: a fixed one makes equal scenes equal files.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    try:
        scene.truth.to_file(path, layer=_LAYER, driver="GPKG", engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
