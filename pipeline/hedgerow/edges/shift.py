"""By how many pixels is one image displaced against another? The best of all whole shifts in a small window.

Two ways to tell: by the least squared error of pixels, as ERQA does before it looks at edges, or by how many edge
pixels meet. The second adds up over tiles, pixel by pixel of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Shift = tuple[int, int]

REACH_PX = 3

_PARTS = 4


def scan_order(reach_px: int = REACH_PX) -> tuple[Shift, ...]:
    """Return the shifts (rows, columns) as ERQA scans them: ties go to the first, so flat images take (-3, -3)."""
    steps = range(-reach_px, reach_px + 1)
    return tuple((i, j) for i in steps for j in steps)


def smallest_first(reach_px: int = REACH_PX) -> tuple[Shift, ...]:
    """Return the same shifts, shortest first: ties go to the smallest displacement."""
    return tuple(sorted(scan_order(reach_px), key=lambda shift: shift[0] ** 2 + shift[1] ** 2))


SMALLEST_FIRST = smallest_first()


def best_shift(tested: NDArray[np.uint8], reference: NDArray[np.uint8], shifts: Iterable[Shift]) -> Shift:
    """Return the shift (rows, columns) of the tested image with the least mean squared error on the common crop.

    Ties go to the first of `shifts`, which must include (0, 0). (1, 0) means that the tested image shows one row
    further down what the reference shows.
    """
    rows, cols = tested.shape[:2]
    best, least = (0, 0), inf
    # Most images lie where they belong: what is already worse than no shift need not be added up to its end.
    unmoved = _mean_squared_error(tested, reference, inf)
    for shift in (shift for shift in shifts if abs(shift[0]) < rows and abs(shift[1]) < cols):
        error = _mean_squared_error(*crops(tested, reference, shift), min(unmoved, least))
        if error < least:
            best, least = shift, error
    return best


def crops(tested: NDArray[Any], reference: NDArray[Any], shift: Shift) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the parts of (tested, reference) that show the same place after undoing `shift`."""
    (i, j), (rows, cols) = shift, tested.shape[:2]
    return (
        tested[max(i, 0) : rows + min(i, 0), max(j, 0) : cols + min(j, 0)],
        reference[max(-i, 0) : rows - max(i, 0), max(-j, 0) : cols - max(j, 0)],
    )


def meetings(
    tested: NDArray[np.bool_], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> dict[Shift, NDArray[np.bool_]]:
    """Say for each shift within 3 px which of the pixels (rows, cols) find a pixel of `tested` displaced by it.

    (1, 0) asks one row further down. What lies outside the frame is never found.
    """
    reach, width = REACH_PX, tested.shape[1] + 2 * REACH_PX
    framed = cv2.copyMakeBorder(tested.view(np.uint8), reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    # The frame is wide enough that every shift is one step along the flattened pixels.
    flat, start = framed.view(np.bool_).ravel(), (rows + reach) * width + cols + reach
    return {(i, j): flat[start + (i * width + j)] for i, j in SMALLEST_FIRST}


def most_met(met: Mapping[Shift, float]) -> Shift | None:
    """Return the shift with the highest count; ties go to the smallest displacement, then to the first scanned.

    None when nothing meets at any shift: there is no telling.
    """
    best = max(SMALLEST_FIRST, key=lambda shift: met.get(shift, 0))
    return best if met.get(best, 0) else None


def _mean_squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8], limit: float) -> float:
    """Return the mean squared error, or infinity as soon as part of the rows show that it exceeds `limit`."""
    # The sum is a whole number below 2^53, so this equals the mean of squares in any order and any number of channels.
    squares = 0.0
    for first in range(min(_PARTS, len(a))):
        squares += cv2.norm(a[first::_PARTS], b[first::_PARTS], cv2.NORM_L2SQR)
        if squares / a.size > limit:
            return inf
    return squares / a.size
