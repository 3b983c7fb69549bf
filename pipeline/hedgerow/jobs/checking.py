"""Are the pixels of a raster what they are said to be? Checked, and brought to the type in which they are scored."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import ScoreError
from hedgerow.jobs import mapfiles
from hedgerow.jobs.mapfiles import RasterFile
from hedgerow.sources._codes import codes_told

log = logging.getLogger(__name__)

_LARGEST_LABEL = 2**31 - 2
_FULL = 255

Pixels = NDArray[Any]


def checked(file: RasterFile, stored: Pixels, valid: NDArray[np.bool_]) -> tuple[Pixels, NDArray[np.bool_]]:
    """Return the pixels of a raster as its kind is scored, 0 where invalid, and where they are valid.

    Args:
        file: what the raster is.
        stored: (bands, height, width), as read.
        valid: (height, width), True = valid.

    Returns:
        (bands, height, width): bytes 0 to 255 for masks and probabilities, class codes as bytes, labels as int32; and
        the valid mask, without pixels that are not a number.

    Raises:
        ScoreError: values that this kind does not have.
    """
    if stored.dtype.kind == "f":
        valid = _numbers(file.path, stored, valid)
    _tell_of_nodata(file, stored, valid)
    plain = _PLAIN[file.kind](file, np.where(valid, stored, stored.dtype.type(0)), valid)
    return np.where(valid, plain, plain.dtype.type(0)), valid


def _numbers(path: Path, stored: Pixels, valid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    nan = np.isnan(stored).any(axis=0)
    surprising = int(np.count_nonzero(nan & valid))
    if surprising:
        log.warning("%s: %d pixels are NaN, though it is not the nodata value: taken as nodata", path, surprising)
    return np.asarray(valid & ~nan)


def _tell_of_nodata(file: RasterFile, stored: Pixels, valid: NDArray[np.bool_]) -> None:
    codes = file.kind in (mapfiles.MASK, mapfiles.CLASS_CODES, mapfiles.LABELS)
    if codes and file.nodata == 0 and not valid.all() and not stored[0][~valid].any():
        log.warning(
            "%s: 0 is its nodata value, so background is left out of the comparison; "
            "if 0 means `no field`, unset it (`rio edit-info --unset-nodata %s`)",
            file.path,
            file.path.name,
        )


def _as_bytes(file: RasterFile, plain: Pixels, valid: NDArray[np.bool_]) -> Pixels:
    """A probability: floats from 0 to 1, or whole numbers from 0 to 255."""
    low, high = _range(plain, valid)
    if plain.dtype.kind == "f":
        if low < 0 or high > 1:
            raise ScoreError(
                f"{file.path}: values from {low:g} to {high:g}; a probability lies in [0, 1], or is a byte"
            )
        return np.rint(plain.astype(np.float64) * _FULL).astype(np.uint8)
    if low < 0 or high > _FULL:
        raise ScoreError(
            f"{file.path}: values from {low:g} to {high:g}; a probability in whole numbers lies in 0 to {_FULL}"
        )
    if high == 1:
        log.warning("%s: holds 0 and 1 of %d: hardly a probability; say so if it is a mask", file.path, _FULL)
    return plain.astype(np.uint8)


def _as_mask(file: RasterFile, plain: Pixels, valid: NDArray[np.bool_]) -> Pixels:
    """A mask: 0 and one other value, whatever it is."""
    inside = np.unique(plain[0][valid & (plain[0] != 0)])
    if len(inside) > 1:
        raise ScoreError(
            f"{file.path}: holds {inside[0]:g}, {inside[1]:g} and more; a mask holds 0 and one other value"
        )
    if len(inside) and plain.dtype.kind != "f" and inside[0] == 1:
        log.warning("%s: a 0/1 mask is rendered as 0/255", file.path)
    return np.where(plain != 0, np.uint8(_FULL), np.uint8(0))


def _as_classes(file: RasterFile, plain: Pixels, valid: NDArray[np.bool_]) -> Pixels:
    low, high = _range(_whole(file, plain, "class codes"), valid)
    if low < 0 or high >= len(file.class_of_code):
        raise ScoreError(
            f"{file.path}: codes from {low:g} to {high:g}; classes are {codes_told(file.class_of_code)}: say what the "
            "codes are with --as classes=other,field,border (of 0, 1, 2)"
        )
    return np.asarray(file.class_of_code, np.uint8)[plain.astype(np.intp)]


def _as_labels(file: RasterFile, plain: Pixels, valid: NDArray[np.bool_]) -> Pixels:
    low, high = _range(_whole(file, plain, "labels"), valid)
    if low < -_LARGEST_LABEL or high > _LARGEST_LABEL:
        raise ScoreError(
            f"{file.path}: labels from {low:.0f} to {high:.0f} do not fit 31 bits: number them anew from 1"
        )
    return plain.astype(np.int32)


def _as_written(_: RasterFile, plain: Pixels, __: NDArray[np.bool_]) -> Pixels:
    return plain


def _whole(file: RasterFile, plain: Pixels, what: str) -> Pixels:
    if plain.dtype.kind == "f" and (odd := plain[plain != np.rint(plain)]).size:
        raise ScoreError(f"{file.path}: holds {odd[0]:g}; {what} are whole numbers")
    return plain


def _range(plain: Pixels, valid: NDArray[np.bool_]) -> tuple[float, float]:
    values = plain[0][valid]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)


_PLAIN: Mapping[str, Callable[[RasterFile, Pixels, NDArray[np.bool_]], Pixels]] = {
    mapfiles.PROBABILITIES: _as_written,
    mapfiles.PROBABILITY: _as_bytes,
    mapfiles.MASK: _as_mask,
    mapfiles.CLASS_CODES: _as_classes,
    mapfiles.LABELS: _as_labels,
}
