"""How are probabilities kept on disk? A tiled cloud-optimised GeoTIFF, bytes 0..255, written and read by windows.

An internal mask says which pixels are invalid; there is no nodata value, since 0 is a probability. The COG driver
wants a whole raster, so windows go to a plain tiled GeoTIFF first: GDAL's block cache bounds the memory.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window as RasterWindow

from hedgerow.errors import GeometryError, SourceError
from hedgerow.geo.windows import Window
from hedgerow.records import CLASSES
from hedgerow.writers._staging import staged

TAG = {"HEDGEROW": "probability"}
BLOCK_PX = 512

_GDAL = {"GDAL_TIFF_INTERNAL_MASK": True, "GDAL_CACHEMAX": 128}


class ProbabilityRaster:
    """Writes one probability raster window by window; it appears at `path` when the block ends without an error.

    What is never written stays invalid. One thread at a time.
    """

    def __init__(self, path: Path, geobox: GeoBox) -> None:
        self._path = path
        self._geobox = geobox
        self._drafting = _draft(path, geobox)

    def __enter__(self) -> Self:
        self._dataset = self._drafting.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drafting.__exit__(kind, error, trace)

    def write(self, window: Window, data: NDArray[np.uint8], valid: NDArray[np.bool_]) -> None:
        """Write a window: `data` (classes, height, width) uint8, `valid` (height, width), True = valid.

        Raises:
            GeometryError: shapes or types that do not fit, or a window outside the raster.
        """
        if data.shape != (len(CLASSES), *window.shape) or valid.shape != window.shape or data.dtype != np.uint8:
            raise GeometryError(
                f"{self._path.name}: window {window} needs uint8 {(len(CLASSES), *window.shape)} and a mask "
                f"{window.shape}, got {data.dtype} {data.shape} and {valid.shape}"
            )
        if window.clipped((self._geobox.shape[0], self._geobox.shape[1])) != window:
            raise GeometryError(f"{self._path.name}: window {window} lies outside the raster {self._geobox.shape}")
        part = _raster_window(window)
        self._dataset.write(np.where(valid, data, np.uint8(0)), window=part)
        self._dataset.write_mask(np.where(valid, np.uint8(255), np.uint8(0)), window=part)


class ProbabilityFile:
    """The pixels of a probability raster, read by windows: (classes, height, width) uint8.

    Opens on the first read, one handle per thread; pickles as its path.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self._dataset.shape[0], self._dataset.shape[1]

    @property
    def geobox(self) -> GeoBox:
        """CRS, transform, shape."""
        crs = self._dataset.crs
        return GeoBox(self.shape, self._dataset.transform, crs.to_wkt() if crs else None)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the bands, in order."""
        return tuple(name or "" for name in self._dataset.descriptions)

    @property
    def valid(self) -> "ValidFile":
        """The mask of the same file, as a reader of its own."""
        return ValidFile(self.path)

    def read(self, window: Window) -> NDArray[Any]:
        """Return the probabilities of a window that lies inside, 0 where invalid."""
        with rasterio.Env(**_GDAL):  # GDAL's cache keeps to its bound only while this says so
            return np.asarray(self._dataset.read(window=_raster_window(window)))

    @property
    def _dataset(self) -> DatasetReader:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = _open(self.path)
        return handle


class ValidFile(ProbabilityFile):
    """The valid mask of a probability raster, read by windows: (height, width) bool, True = valid."""

    def read(self, window: Window) -> NDArray[Any]:
        """Return the mask of a window that lies inside."""
        with rasterio.Env(**_GDAL):
            return np.asarray(self._dataset.dataset_mask(window=_raster_window(window)) != 0)


def _open(path: Path) -> DatasetReader:
    try:
        dataset = rasterio.open(path)
    except RasterioError as error:
        raise SourceError(f"{path}: no probability raster can be read there: {error}") from error
    if dataset.descriptions != CLASSES:
        bands = ", ".join(str(name) for name in dataset.descriptions)
        dataset.close()
        raise SourceError(f"{path}: bands are {bands}; a probability raster has {', '.join(CLASSES)}")
    return dataset


@contextmanager
def _draft(path: Path, geobox: GeoBox) -> Iterator[DatasetWriter]:
    """Yield a plain raster to write into; it becomes the COG at `path` afterwards."""
    with staged(path) as folder:
        draft = folder / "draft.tif"
        with rasterio.open(draft, "w", **_profile(geobox)) as dataset:
            _describe(dataset)
            yield dataset
        _translate(draft, folder / path.name)
        draft.unlink()


def _describe(dataset: DatasetWriter) -> None:
    dataset.colorinterp = [ColorInterp.gray] + [ColorInterp.undefined] * (len(CLASSES) - 1)
    dataset.descriptions = CLASSES
    dataset.update_tags(**TAG)
    # A raster without a mask counts as all valid: begin with one that says the opposite.
    with rasterio.Env(**_GDAL):
        dataset.write_mask(np.zeros((1, 1), np.uint8), window=RasterWindow(0, 0, 1, 1))


def _profile(geobox: GeoBox) -> dict[str, Any]:
    height, width = geobox.shape
    return {
        "driver": "GTiff", "dtype": "uint8", "count": len(CLASSES), "height": height, "width": width,
        "crs": str(geobox.crs) if geobox.crs else None, "transform": geobox.transform,
        "tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX, "interleave": "pixel", "sparse_ok": True,
        "photometric": "MINISBLACK", "alpha": "NO", "BIGTIFF": "IF_SAFER",
    }  # fmt: skip


def _translate(draft: Path, path: Path) -> None:
    with rasterio.Env(**_GDAL):
        rasterio.shutil.copy(
            draft, path, driver="COG", COMPRESS="DEFLATE", PREDICTOR="2", BLOCKSIZE=str(BLOCK_PX),
            RESAMPLING="AVERAGE", BIGTIFF="IF_SAFER", NUM_THREADS="1",
        )  # fmt: skip


def _raster_window(window: Window) -> RasterWindow:
    height, width = window.shape
    return RasterWindow(window.x0, window.y0, width, height)
