"""Which weak border pixels count? Those that are connected with a strong one (hysteresis, Canny 1986).

Only over so many steps: a block that is read with that much of its surroundings gives the pixels of the whole scene.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))


def with_weak(strong: NDArray[np.bool_], weak: NDArray[np.bool_], *, steps: int) -> NDArray[np.bool_]:
    """Return the strong pixels (height, width), and the weak ones that reach one over at most `steps` weak pixels.

    Lines may be diagonal: pixels that touch at a corner are connected.
    """
    found, allowed = strong.astype(np.uint8), (strong | weak).astype(np.uint8)
    for _ in range(steps):
        more = np.minimum(np.asarray(cv2.dilate(found, _SQUARE), np.uint8), allowed)
        if np.array_equal(more, found):
            break
        found = more
    return found.astype(bool)
