"""What do the pixels of a raster mean that is to be traced? Labels, classes or probabilities, read by windows.

Every reader holds a path and a grid: it pickles into any process and opens the file there.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as RasterWindow

from hedgerow.errors import SourceError
from hedgerow.geo.windows import Window
from hedgerow.records import CLASSES, FIELD, OTHER
from hedgerow.sources._codes import OWN_CODES, codes_told
from hedgerow.sources.geotiff import _GDAL_OPTIONS, _open_in_thread

KINDS = ("labels", "classes", "probability")

_LARGEST_LABEL = 2**31 - 2
_KIND_HELP = (
    "pass --as probability if it holds probabilities (bytes, or floats from 0 to 1), or round it to whole numbers and "
    f"pass --as labels (each value a field) or --as classes ({codes_told(OWN_CODES)})"
)


@dataclass(frozen=True)
class Header:
    """What a file says of itself before a pixel is read."""

    path: Path
    geobox: GeoBox
    count: int
    dtype: np.dtype[Any]
    names: tuple[str | None, ...]
    tag: str | None
    """What the HEDGEROW tag says the raster is."""


@dataclass(frozen=True)
class Valid:
    """The valid mask of a raster, nodata value and mask combined: (height, width) bool, True = valid."""

    path: Path
    shape: tuple[int, int]

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Return the mask of a window that lies inside."""
        return np.asarray(_pixels(self.path, window, mask=True) != 0)


@dataclass(frozen=True)
class Finite(Valid):
    """The same, and pixels that are NaN or infinite in a band are invalid as well.

    GDAL takes the last of four bands of bytes for alpha, unless told otherwise: here it is a probability.
    """

    def read(self, window: Window) -> NDArray[np.bool_]:
        """Return the mask of a window that lies inside."""
        finite: NDArray[np.bool_] = np.isfinite(_pixels(self.path, window)).all(axis=0)
        return finite if _has_alpha(self.path) else finite & Valid.read(self, window)


@dataclass(frozen=True)
class _Raster:
    path: Path
    geobox: GeoBox

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.geobox.shape[0], self.geobox.shape[1]

    @property
    def valid(self) -> Valid:
        """Which pixels say anything."""
        return Valid(self.path, self.shape)


@dataclass(frozen=True)
class Labels(_Raster):
    """A label raster: (height, width) integers of at most 31 bits, 0 where invalid values would not fit."""

    def read(self, window: Window) -> NDArray[Any]:
        """Return the labels of a window that lies inside.

        Raises:
            SourceError: a label beyond 31 bits.
        """
        pixels: NDArray[Any] = _pixels(self.path, window)[0]
        if not _fits(pixels):
            pixels = np.where(self.valid.read(window), pixels, pixels.dtype.type(0))
        if not _fits(pixels):
            low, high = pixels.min(), pixels.max()
            raise SourceError(f"{self.path}: labels from {low} to {high} do not fit 31 bits: number them anew from 1")
        return pixels


@dataclass(frozen=True)
class Classes(_Raster):
    """A class raster, as certain probabilities (classes, height, width) uint8: 255 for the pixel's class."""

    class_of_code: tuple[int, ...] = OWN_CODES
    """Class of the codes 0, 1, 2, ..."""

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the classes of a window that lies inside.

        Raises:
            SourceError: a valid pixel has a code that stands for no class.
        """
        pixels: NDArray[Any] = _pixels(self.path, window)[0]
        strange = pixels[~np.isin(pixels, np.arange(len(self.class_of_code))) & self.valid.read(window)]
        if strange.size:
            found = ", ".join(map(str, np.unique(strange)[:5]))
            codes = codes_told(self.class_of_code)
            raise SourceError(
                f"{self.path}: {found} stands for no class ({codes}): say what the codes are with --as "
                "classes=other,field,border (of 0, 1, 2), or pass --as labels"
            )
        certain = np.zeros((len(CLASSES), *pixels.shape), np.uint8)
        for code, c in enumerate(self.class_of_code):
            certain[c][pixels == code] = 255
        return certain


@dataclass(frozen=True)
class Probabilities(_Raster):
    """Probabilities of all classes, or of `field` alone; bytes, or floats from 0 to 1."""

    @property
    def valid(self) -> Finite:
        """Which pixels say anything."""
        return Finite(self.path, self.shape)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the probabilities of a window that lies inside, (classes, height, width) uint8.

        Raises:
            SourceError: a valid float outside 0 to 1.
        """
        pixels = self._as_bytes(window)
        if len(pixels) == len(CLASSES):
            return np.asarray(pixels)
        spread = np.zeros((len(CLASSES), *window.shape), np.uint8)
        spread[FIELD], spread[OTHER] = pixels[0], 255 - pixels[0]
        return spread

    def _as_bytes(self, window: Window) -> NDArray[np.uint8]:
        pixels: NDArray[Any] = _pixels(self.path, window)
        if pixels.dtype == np.uint8:
            return np.asarray(pixels)
        known = np.where(np.isfinite(pixels), pixels, 0)
        if not _within_unit(known):  # a nodata value, as -9999, is no probability
            known = np.where(self.valid.read(window), known, 0)
        if not _within_unit(known):
            raise SourceError(
                f"{self.path}: values from {known.min():g} to {known.max():g} are no probabilities: scale them to 0..1"
            )
        return np.asarray(np.rint(known * 255), np.uint8)


def header(path: Path) -> Header:
    """Read the header of a raster that has its place on earth.

    Raises:
        SourceError: it cannot be read, or has no CRS or no geotransform.
    """
    try:
        with warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning), rasterio.open(path) as dataset:
            if dataset.transform.is_identity and dataset.gcps[0]:
                raise SourceError(
                    f"{path}: has {len(dataset.gcps[0])} ground control points but no grid: "
                    f"rectify it first, for instance `rio warp {path.name} out.tif --dst-crs EPSG:XXXX`"
                )
            if dataset.crs is None:
                raise SourceError(f"{path}: has no CRS: assign one first, for instance `rio edit-info --crs EPSG:XXXX`")
            if dataset.transform.is_identity:
                raise SourceError(
                    f"{path}: has no geotransform, so its place is unknown: give it one first, "
                    f"for instance `rio edit-info --transform '[10, 0, WEST, 0, -10, NORTH]' {path.name}`"
                )
            geobox = GeoBox(dataset.shape, dataset.transform, dataset.crs.to_string())
            dtype = np.result_type(*dataset.dtypes)
            return Header(path, geobox, dataset.count, dtype, dataset.descriptions, dataset.tags().get("HEDGEROW"))
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot be read as a raster: {error}") from error


def kind_of(found: Header) -> str:
    """Return the kind of a raster of which nobody has said it: by its tag, else integers are labels.

    Raises:
        SourceError: neither tells.
    """
    if found.tag in KINDS:
        return found.tag
    if found.dtype.kind not in "iub" or found.count != 1:
        raise SourceError(
            f"{found.path}: {found.count} band(s) of {found.dtype}, and labels are one band of integers: {_KIND_HELP}"
        )
    return "labels"


def reader(found: Header, kind: str, class_of_code: tuple[int, ...]) -> Labels | Classes | Probabilities:
    """Return the reader of a raster of this kind; the codes are of classes only.

    Raises:
        SourceError: its bands cannot be what they are said to be.
    """
    if kind == "probability":
        _check_probabilities(found)
        return Probabilities(found.path, found.geobox)
    if found.count != 1 or found.dtype.kind not in "iub":
        raise SourceError(
            f"{found.path}: {found.count} band(s) of {found.dtype}, and {kind} are one band of integers: {_KIND_HELP}"
        )
    return Labels(found.path, found.geobox) if kind == "labels" else Classes(found.path, found.geobox, class_of_code)


def _check_probabilities(found: Header) -> None:
    names = ", ".join(name or "?" for name in found.names)
    four = found.count == len(CLASSES) and (found.names == CLASSES or not any(found.names))
    if not four and not (found.count == 1 and found.names[0] in (None, "", CLASSES[FIELD])):
        raise SourceError(
            f"{found.path}: its bands are {names}; probabilities have the bands {', '.join(CLASSES)}, or "
            f"{CLASSES[FIELD]} alone"
        )
    if found.dtype != np.uint8 and found.dtype.kind != "f":
        raise SourceError(f"{found.path}: bands are {found.dtype}; probabilities are bytes, or floats from 0 to 1")


def _fits(labels: NDArray[Any]) -> bool:
    return not labels.size or (int(labels.max()) <= _LARGEST_LABEL and int(labels.min()) >= -_LARGEST_LABEL)


def _within_unit(values: NDArray[Any]) -> bool:
    return not values.size or (values.min() >= 0 and values.max() <= 1)


def _pixels(path: Path, window: Window, *, mask: bool = False) -> NDArray[Any]:
    height, width = window.shape
    at = RasterWindow(window.x0, window.y0, width, height)
    try:
        dataset = _open_in_thread(path)
        with rasterio.Env(**_GDAL_OPTIONS):  # GDAL's cache keeps to its bound only while this says so
            return np.asarray(dataset.dataset_mask(window=at) if mask else dataset.read(window=at))
    except (RasterioError, OSError) as error:
        raise SourceError(f"{path}: cannot read {window}: {error}. Is the file whole?") from error


def _has_alpha(path: Path) -> bool:
    return MaskFlags.alpha in _open_in_thread(path).mask_flag_enums[0]


__all__ = ["KINDS", "Classes", "Header", "Labels", "Probabilities", "Valid", "header", "kind_of", "reader"]
