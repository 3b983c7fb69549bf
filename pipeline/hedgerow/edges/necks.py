"""How wide is an area here? Enough to be a body, only enough to be its core, or no more than a passage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

PASSAGE, CORE, BODY = range(3)

BODY_WIDTH = 4.0
"""A body is at least this many times as wide as a passage: ragged areas are not taken apart."""

_ROUNDING = 1e-9


def widths(keys: NDArray[np.int32], *, neck_m: float, pixel_m: tuple[float, float]) -> NDArray[np.uint8]:
    """Return PASSAGE, CORE or BODY per pixel (height, width); PASSAGE where there is no key.

    Args:
        keys: equal neighbouring keys above 0 are one area, 0 is none.
        neck_m: what is less wide is a passage, metres.
        pixel_m: (height, width) of a pixel.
    """
    depth = np.zeros(keys.shape)
    for key in np.unique(keys[keys > 0]):
        own = keys == key
        # Without any other pixel there is nothing to measure from: it is wide.
        depth[own] = np.inf if own.all() else distance_transform_edt(own, sampling=pixel_m)[own]
    radius = neck_m / 2 * (1 + _ROUNDING)
    return ((depth > radius).astype(np.uint8) + (depth > BODY_WIDTH * radius)).astype(np.uint8)


def reach_px(neck_m: float, pixel_m: tuple[float, float]) -> int:
    """Return how many pixels around a block `widths` must see."""
    return int(np.ceil(BODY_WIDTH * neck_m / 2 / min(pixel_m))) + 1
