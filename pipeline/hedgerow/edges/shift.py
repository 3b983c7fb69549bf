"""By how many pixels is one image displaced against another? The best of all whole shifts in a small window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Shift = tuple[int, int]

REACH_PX = 3


def scan_order(reach_px: int = REACH_PX) -> tuple[Shift, ...]:
    """Return the shifts (rows, columns) as ERQA scans them: ties go to the first, so flat images take (-3, -3)."""
    steps = range(-reach_px, reach_px + 1)
    return tuple((i, j) for i in steps for j in steps)


def smallest_first(reach_px: int = REACH_PX) -> tuple[Shift, ...]:
    """Return the same shifts, shortest first: ties go to the smallest displacement."""
    return tuple(sorted(scan_order(reach_px), key=lambda shift: shift[0] ** 2 + shift[1] ** 2))


def best_shift(tested: NDArray[np.uint8], reference: NDArray[np.uint8], shifts: Iterable[Shift]) -> Shift:
    """Return the shift (rows, columns) of the tested image with the least mean squared error on the common crop.

    (1, 0) means that the tested image shows one row further down what the reference shows.
    """
    rows, cols = tested.shape[:2]
    possible = [shift for shift in shifts if abs(shift[0]) < rows and abs(shift[1]) < cols]
    return min(possible, key=lambda shift: _mean_squared_error(*crops(tested, reference, shift)), default=(0, 0))


def crops(tested: NDArray[Any], reference: NDArray[Any], shift: Shift) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the parts of (tested, reference) that show the same place after undoing `shift`."""
    (i, j), (rows, cols) = shift, tested.shape[:2]
    return (
        tested[max(i, 0) : rows + min(i, 0), max(j, 0) : cols + min(j, 0)],
        reference[max(-i, 0) : rows - max(i, 0), max(-j, 0) : cols - max(j, 0)],
    )


def _mean_squared_error(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    # The sum is a whole number below 2^53, so this equals the mean of squares in any order and any number of channels.
    return float(cv2.norm(a, b, cv2.NORM_L2SQR)) / a.size
