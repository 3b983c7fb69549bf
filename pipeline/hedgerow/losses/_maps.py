"""How far is each pixel from a marked one? Maps of the target, made on the CPU crop by crop, without gradient."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]


def mapped(make: Callable[..., Map], *masks: Tensor) -> Tensor:
    """Return `make` of every crop's masks as one float32 tensor (n, height, width) on the masks' device.

    Args:
        make: takes as many (height, width) bool arrays as there are masks, returns one of float32.
        masks: (n, height, width) bool.
    """
    crops = zip(*(mask.cpu().numpy() for mask in masks), strict=True)
    return torch.from_numpy(np.stack([make(*crop) for crop in crops])).to(masks[0].device)


def distance_px(mask: Mask) -> Map:
    """Return the Euclidean distance (px) to the nearest pixel of `mask`; infinite where there is none.

    Squared distances are whole numbers. Rounding to them makes OpenCV's transform exact, up to 1000 px and more, and
    equal in every run: its last bits depend on where in memory the mask lies. With that it takes half the time of
    SciPy's, which counts in a training step.
    """
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    rough = cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(rough, dtype=np.float64))).astype(np.float32)
