"""Where are the edges of an image? Canny exactly as OpenCV computes it, with nodata taken out before hysteresis.

OpenCV's own passes give both parts: with equal thresholds every local maximum above them survives, so `Canny(t, t)` is
the set of all candidates above t. Candidates near nodata are removed, and a component that still holds a seed is kept.
Removing them afterwards would leak: a weak edge that touches the rim of nodata would already have been seeded by it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.distance import eroded

LOW, HIGH = 100, 200
"""The thresholds of ERQA (L1 norm of the 3 x 3 Sobel gradient of uint8 pixels)."""

REACH_PX = 2
"""How far one Canny candidate sees: 1 px of Sobel, 1 px of non-maximum suppression."""


def canny(
    image: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None, *, low: float = LOW, high: float = HIGH
) -> NDArray[np.bool_]:
    """Return the edge pixels (height, width) of an image.

    Args:
        image: (height, width), or (height, width, 3) in BGR order, uint8.
        valid: True = valid; None means that all pixels are.
        low: a candidate's gradient must exceed it.
        high: a seed's gradient must exceed it.

    Source: Canny 1986, in the form of OpenCV's `cv2.Canny(image, low, high)` (aperture 3, L1 gradient).
    """
    if valid is None or valid.all():
        return _opencv(image, low, high)
    far_from_nodata = eroded(valid, REACH_PX)
    candidates = _opencv(image, low, low) & far_from_nodata
    seeds = _opencv(image, high, high) & far_from_nodata
    return linked(candidates, seeds)


def linked(candidates: NDArray[np.bool_], seeds: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the 8-connected components of `candidates` that hold at least one seed (hysteresis)."""
    _, component = cv2.connectedComponents(candidates.view(np.uint8), connectivity=8)
    kept = np.zeros(int(component.max(initial=0)) + 1, dtype=np.bool_)
    kept[component[seeds & candidates]] = True
    found: NDArray[np.bool_] = kept[component]
    return found


def gradient_magnitude(image: NDArray[np.uint8], valid: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Return the L2 norm of the 3 x 3 Sobel gradient (height, width) float32; 0 where it would see nodata.

    The squares are integers below 2^24, so each value is the correctly rounded root of an exact sum.
    """
    dx = cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, borderType=cv2.BORDER_REPLICATE)
    magnitude = np.sqrt(dx * dx + dy * dy)
    if valid is not None and not valid.all():
        magnitude[~eroded(valid, 1)] = 0
    return magnitude


def steepest(image: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the 3 x 3 Sobel gradient (dx, dy), each (height, width) int16, as Canny sees it.

    In colour it is that of the channel where |dx| + |dy| is largest, of the first among equals.
    """
    first, *others = (image,) if image.ndim == 2 else (np.asarray(c, np.uint8) for c in cv2.split(image))
    dx, dy = _sobel(first)
    largest = np.abs(dx) + np.abs(dy)
    for channel in others:
        gx, gy = _sobel(channel)
        norm = np.abs(gx) + np.abs(gy)
        # All bits set where this channel wins: choosing by bits costs the same whatever the image, branches do not.
        wins = -(norm > largest).astype(np.int16)
        dx ^= (dx ^ gx) & wins
        dy ^= (dy ^ gy) & wins
        np.maximum(largest, norm, out=largest)
    return dx, dy


def as_mask(edges: NDArray[Any]) -> NDArray[np.bool_]:
    """Turn OpenCV's 0 and 255 into False and True."""
    return np.asarray(edges != 0)


def _opencv(image: NDArray[np.uint8], low: float, high: float) -> NDArray[np.bool_]:
    # OpenCV chooses the channel pixel by pixel, at twice the cost.
    return as_mask(cv2.Canny(image, low, high) if image.ndim == 2 else cv2.Canny(*steepest(image), low, high))


def _sobel(channel: NDArray[np.uint8]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    dx, dy = cv2.spatialGradient(channel, ksize=3, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(dx, np.int16), np.asarray(dy, np.int16)
