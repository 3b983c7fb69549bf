"""What do the four class probabilities of a pixel say? Checks and comparisons that the tracers share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import GeometryError
from hedgerow.records import BORDER, CLASSES


def checked(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the pixels if they are class probabilities.

    Raises:
        GeometryError: they are no uint8 array (classes, height, width).
    """
    if pixels.ndim != 3 or len(pixels) != len(CLASSES) or pixels.dtype != np.uint8:
        raise GeometryError(
            f"class probabilities must be uint8 with bands {', '.join(CLASSES)}, got {pixels.shape} {pixels.dtype}: "
            f"for a label raster choose the tracer `arcs`"
        )
    return pixels


def strongest(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the likeliest region class (height, width) and its probability; ties go to the first in class order."""
    best, kind = pixels[0], np.zeros(pixels.shape[1:], np.uint8)
    for k in range(1, BORDER):
        kind[pixels[k] > best] = k
        best = np.maximum(best, pixels[k])
    return kind, best
