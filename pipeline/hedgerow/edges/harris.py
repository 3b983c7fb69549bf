"""Where are the corners of an image, and how strong are they? Harris, in exact integers.

With uint8 pixels the response is a whole number times a constant: 25 det(M) - tr(M)^2 for k = 1/25. It stays below
2^53, so float64 holds it exactly and a tile's response is the scene's; OpenCV's float32 differs between the two.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.distance import window_maximum

REACH_PX = 2
"""How far one response sees: 1 px of Sobel, 1 px of the 2 x 2 sum (up and left)."""

IDEAL_CORNER = 0.1083984375
"""The response at the corner of an ideal 0-255 box: what thresholds are relative to."""

_INVERSE_K = 25  # k = 0.04
_GRADIENT_SCALE = 1.0 / (4 * 2 * 255)  # OpenCV's, for ksize 3, block size 2 and uint8 pixels
_RESPONSE_SCALE = _GRADIENT_SCALE**4 / _INVERSE_K


def harris_response(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the Harris response det(M) - 0.04 tr(M)^2 (height, width) of a uint8 image (height, width).

    Equal to `cv2.cornerHarris(image, blockSize=2, ksize=3, k=0.04)` but for that function's float32 rounding.

    Source: Harris and Stephens 1988, equation 13; scale, block and border as in OpenCV.
    """
    dx = cv2.Sobel(image, cv2.CV_64F, 1, 0, ksize=3)
    dy = cv2.Sobel(image, cv2.CV_64F, 0, 1, ksize=3)
    xx, yy, xy = _block_sum(dx * dx), _block_sum(dy * dy), _block_sum(dx * dy)
    trace = xx + yy
    response: NDArray[np.float64] = _INVERSE_K * (xx * yy - xy * xy) - trace * trace
    response *= _RESPONSE_SCALE
    return response


def local_maxima(response: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """Return the pixels above `threshold` that no pixel of their 3 x 3 window exceeds; plateaus count whole."""
    return np.asarray((response > threshold) & (response >= window_maximum(response, 1)))


def _block_sum(products: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(cv2.boxFilter(products, cv2.CV_64F, (2, 2), normalize=False))
