"""What does a tile look like? The image, two maps, and an overlay of what was kept, lost and misplaced.

Every picture is small enough for a page that is sent by mail: at most 512 px a side and about 140 kB.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterWindow
from skimage.morphology import skeletonize

from hedgerow import registry
from hedgerow.contracts import Source
from hedgerow.errors import HedgerowError
from hedgerow.geo.windows import Window
from hedgerow.records import BORDER, CLASSES

RGB = NDArray[np.uint8]

LARGEST_SIDE_PX = 512
LARGEST_BYTES = 140_000

CLASS_COLOURS = {"other": (232, 228, 218), "field": (233, 196, 106), "forest": (86, 134, 92), "border": (38, 28, 20)}
KEPT, MISSING, MISPLACED = (255, 255, 255), (72, 140, 255), (255, 72, 56)
TOLERANCE_PX = 1
"""How far a line may lie from its reference and still count as kept in the overlay (chessboard distance)."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Lines of an arm against those of the reference: the picture, and the counts of pixels behind it."""

    picture: RGB
    kept: int
    missing: int
    misplaced: int


def class_map(probabilities: NDArray[np.uint8], valid: NDArray[np.bool_]) -> RGB:
    """Mix the class colours by their probabilities; invalid pixels are white.

    Args:
        probabilities: (classes, height, width) uint8.
        valid: (height, width), True = valid.
    """
    colours = np.asarray([CLASS_COLOURS[name] for name in CLASSES], dtype=np.float32)
    weights = probabilities.astype(np.float32)
    mixed = np.tensordot(weights / np.maximum(weights.sum(axis=0), 1), colours, axes=(0, 0))
    return np.where(valid[..., None], mixed, 255).astype(np.uint8)


def overlay(arm: NDArray[np.uint8], reference: NDArray[np.uint8]) -> Overlay:
    """Compare the border lines (probability >= 128, thinned) of two rasters (classes, height, width).

    White: the reference's lines that the arm kept within one pixel; blue: those it lost; red: the arm's own. Lines are
    drawn three pixels wide, losses over gains over what was kept, so that nothing wrong is hidden.
    """
    tested, wanted = (_thinned(raster[BORDER] >= 128) for raster in (arm, reference))
    missing = wanted & ~_wider(tested, TOLERANCE_PX)
    misplaced = tested & ~_wider(wanted, TOLERANCE_PX)
    kept = wanted & ~missing
    picture = np.zeros((*wanted.shape, 3), np.uint8)
    for lines, colour in ((kept, KEPT), (misplaced, MISPLACED), (missing, MISSING)):
        picture[_wider(lines, 1)] = colour
    return Overlay(picture, int(kept.sum()), int(missing.sum()), int(misplaced.sum()))


def image_of(record: Mapping[str, Any], window: Window) -> RGB | None:
    """Return the imagery of a window as the network saw it, or None where it is gone or of another size.

    Args:
        record: an input of the manifest; for each band that is shown the file (`band_files`, else `path`), its place in
            there (`display_bands`, from 0) and its range (`scaling`: `low` and `high`), in the same order; of an image
            made of `members`, the settings of its `source` instead of files.
        window: in pixels of the input.
    """
    ranges = record.get("scaling") or {}
    try:
        stored = _read_through(record["source"], window) if record.get("members") else _read(record, window)
    except (HedgerowError, RasterioError, OSError, IndexError, ValueError):
        return None
    spread = list(zip_longest(stored, ranges.get("low", ())[:3], ranges.get("high", ())[:3]))[: len(stored)]
    shown = [_stretched(pixels, low, high) for pixels, low, high in spread]
    return np.stack(shown if len(shown) == 3 else shown[:1] * 3, axis=-1)


def worst_part(window: Window, picture: RGB) -> Window:
    """Return the part of a window, at most LARGEST_SIDE_PX a side, with most wrong pixels of its overlay."""
    wrong = ((picture == MISSING).all(axis=-1) | (picture == MISPLACED).all(axis=-1)).astype(np.int64)
    height, width = (min(side, LARGEST_SIDE_PX) for side in wrong.shape)
    sums = np.pad(wrong.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    row, col = np.unravel_index(int(inside.argmax()), inside.shape)
    y0, x0 = window.y0 + int(row), window.x0 + int(col)
    return Window(y0, x0, y0 + height, x0 + width)


def png(picture: RGB) -> str:
    """Return a data URI of a picture of few colours, without loss."""
    return _uri("png", cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1])


def jpeg(picture: RGB) -> str:
    """Return a data URI of a photograph-like picture: the best quality that stays below LARGEST_BYTES."""
    for quality in (88, 80, 70, 60, 45, 30):
        encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        if encoded.nbytes <= LARGEST_BYTES:
            break
    return _uri("jpeg", encoded)


def _thinned(lines: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(skeletonize(lines))  # type: ignore[no-untyped-call]


def _wider(lines: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    kernel = np.ones((2 * px + 1, 2 * px + 1), np.uint8)
    return np.asarray(cv2.dilate(lines.astype(np.uint8), kernel) > 0)


def _read(record: Mapping[str, Any], window: Window) -> list[NDArray[Any]]:
    bands = [int(band) for band in record.get("display_bands") or (0, 1, 2)][:3]
    files = record.get("band_files") or [record.get("path")] * len(bands)
    return [_band(Path(str(file)), band, window) for file, band in zip(files, bands, strict=False)]


def _read_through(settings: Mapping[str, Any], window: Window) -> list[NDArray[Any]]:
    source: Source = _source(json.dumps(settings, sort_keys=True))
    if window.clipped((source.geobox.shape[0], source.geobox.shape[1])) != window:
        raise ValueError("the files are not those that were mapped")
    return list(source.read(window).data[:3])


@lru_cache(maxsize=4)
def _source(settings: str) -> Any:
    """Build a source from its settings as JSON: the headers of many files are opened once for all pictures."""
    return registry.build("sources", json.loads(settings))


def _band(file: Path, band: int, window: Window) -> NDArray[Any]:
    height, width = window.shape
    with rasterio.open(file) as dataset:
        if window.clipped(dataset.shape) != window:
            raise ValueError("the file is not the one that was mapped")
        return np.asarray(dataset.read(band + 1, window=RasterWindow(window.x0, window.y0, width, height)))


def _stretched(pixels: NDArray[Any], low: float | None, high: float | None) -> NDArray[np.uint8]:
    """Spread the run's own range over 0..255; without one, percentiles of what is shown."""
    numbers = np.nan_to_num(pixels.astype(np.float32))
    if low is None or high is None:
        low, high = (float(q) for q in np.percentile(numbers, (2, 98)))
    return np.asarray((np.clip((numbers - low) / max(high - low, 1e-9), 0, 1) * 255).astype(np.uint8))


def _uri(kind: str, encoded: NDArray[np.uint8]) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
