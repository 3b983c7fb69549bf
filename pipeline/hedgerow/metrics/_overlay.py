"""Which edges are kept, missing and misplaced? A picture of an edge match, in the colours of ERQA's authors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.matching import EdgeMatch

RGB = tuple[int, int, int]

KEPT: RGB = (255, 255, 255)
MISSING: RGB = (0, 0, 255)
MISPLACED: RGB = (255, 0, 0)


def overlay_of(
    match: EdgeMatch, *, kept: RGB = KEPT, missing: RGB = MISSING, misplaced: RGB = MISPLACED
) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) uint8 RGB: white kept, blue missing, red misplaced, on black.

    The masks of a match never share a pixel. Where they were widened to be seen, misplaced edges are painted over kept
    ones and missing edges over both, so that nothing wrong is hidden.
    """
    picture = np.zeros((*match.tp.shape, 3), np.uint8)
    for edges, colour in ((match.tp, kept), (match.fp, misplaced), (match.fn, missing)):
        picture[edges] = colour
    return picture
