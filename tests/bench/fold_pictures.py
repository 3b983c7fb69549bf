"""Where is a map right, and where not? The image with the truth's outlines in yellow and the map's in cyan."""

from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from fold_scores import Case
from numpy.typing import NDArray

from hedgerow.edges.distance import band
from hedgerow.edges.layers import boundary_of

_TRUTH_BGR, _MAP_BGR, _BOTH_BGR = (0, 220, 255), (255, 220, 0), (80, 255, 80)
_SMALLEST_PX = 800

T = TypeVar("T", bound=np.generic)


def write_picture(case: Case, labels: NDArray[np.int32], path: Path) -> None:
    """Write a PNG; where both outlines lie on each other it is green.

    Args:
        case: the scene.
        labels: (height, width), one number per region, all above 0.
        path: of the PNG.
    """
    zoom = max(1, -(-_SMALLEST_PX // max(labels.shape)))
    picture = _finer((255 * case.rgb()[::-1].transpose(1, 2, 0)).astype(np.uint8), zoom)
    ours, theirs = (band(boundary_of(_finer(one, zoom)), 1) for one in (labels, case.truth_labels()))
    picture[theirs], picture[ours], picture[ours & theirs] = _TRUTH_BGR, _MAP_BGR, _BOTH_BGR
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(cv2.imencode(".png", picture)[1]))


def _finer(pixels: NDArray[T], zoom: int) -> NDArray[T]:
    return pixels.repeat(zoom, 0).repeat(zoom, 1)
