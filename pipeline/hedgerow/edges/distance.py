"""How far is it to the nearest marked pixel, and which one is it? Exact Euclidean distances; the frame is no nodata."""

from __future__ import annotations

from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Radius = tuple[float, float]
"""Half axes (rows, columns), in pixels, of the ellipse that a tolerance draws on the pixel grid."""

# A disk dilation costs as much as the disk has pixels; from this radius on the distance transform is cheaper.
_LARGEST_KERNEL_PX = 12

# A pixel that lies exactly on the circle belongs to it, however the metres were rounded.
_ROUNDING = 1e-9


def radius_px(tolerance_px: float) -> Radius:
    """Return the radius of a tolerance in pixels: a circle on the grid."""
    return float(tolerance_px), float(tolerance_px)


def radius_m(tolerance_m: float, pixel_size_m: tuple[float, float]) -> Radius:
    """Return the radius of a tolerance in metres on pixels of (height, width) metres: a circle on the ground."""
    return tolerance_m / pixel_size_m[0], tolerance_m / pixel_size_m[1]


def within(mask: NDArray[np.bool_], radius: Radius) -> NDArray[np.bool_]:
    """Return the pixels whose Euclidean distance to the nearest pixel of `mask` is at most `radius`."""
    if max(radius) <= _LARGEST_KERNEL_PX:
        return cv2.dilate(mask.view(np.uint8), _ellipse(radius)).view(np.bool_)
    if not mask.any():
        return np.zeros_like(mask)
    sampling = (1 / radius[0], 1 / radius[1])
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=sampling) <= 1 + _ROUNDING)


def eroded(valid: NDArray[np.bool_], px: float) -> NDArray[np.bool_]:
    """Return the valid pixels with no invalid pixel within `px` (chessboard distance); the frame counts as valid."""
    side = 2 * ceil(px) + 1
    if valid.all() or side == 1:
        return valid
    return cv2.erode(valid.view(np.uint8), np.ones((side, side), np.uint8)).view(np.bool_)


def band(mask: NDArray[np.bool_], px: int) -> NDArray[np.bool_]:
    """Return the pixels within `px` of `mask` by chessboard distance."""
    return cv2.dilate(mask.view(np.uint8), np.ones((2 * px + 1, 2 * px + 1), np.uint8)).view(np.bool_)


def window_maximum(values: NDArray[Any], px: int) -> NDArray[Any]:
    """Return the largest value within `px` (chessboard distance) of each pixel."""
    return np.asarray(cv2.dilate(values, np.ones((2 * px + 1, 2 * px + 1), np.uint8)))


def distance_to(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the exact Euclidean distance (px) to the nearest pixel of `mask`; infinite where there is none."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask))


def nearest(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return (rows, columns) of the nearest pixel of `mask`, for every pixel. `mask` must not be empty."""
    found = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return found[0], found[1]


def _ellipse(radius: Radius) -> NDArray[np.uint8]:
    reach_y, reach_x = (int(np.floor(r * (1 + _ROUNDING))) for r in radius)
    y = np.arange(-reach_y, reach_y + 1)[:, None] / max(radius[0], _ROUNDING)
    x = np.arange(-reach_x, reach_x + 1)[None, :] / max(radius[1], _ROUNDING)
    return (y * y + x * x <= 1 + _ROUNDING).astype(np.uint8)
