"""What is the centre line of a band? One-pixel skeletons on a fixed block grid, so that tiles never change them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from hedgerow.geo.windows import Window, grid

BLOCK_PX = 1024
HALO_PX = 32


def thinned(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the 8-connected skeleton (height, width) of a mask.

    Thinning is not local, so it is defined on blocks of 1024 px from the raster's origin, each with a halo of 32 px.

    Source: Zhang and Suen 1984, as in `skimage.morphology.skeletonize`.
    """
    lines = np.zeros(mask.shape, dtype=np.bool_)
    for _, core in grid((mask.shape[0], mask.shape[1]), BLOCK_PX):
        lines[core.slices] = _thinned_block(mask, core)
    return lines


def _thinned_block(mask: NDArray[np.bool_], core: Window) -> NDArray[np.bool_]:
    seen = core.padded(HALO_PX).clipped((mask.shape[0], mask.shape[1]))
    if not mask[seen.slices].any():
        return np.zeros(core.shape, dtype=np.bool_)
    lines = skeletonize(np.ascontiguousarray(mask[seen.slices]))  # type: ignore[no-untyped-call]
    return np.asarray(lines, dtype=np.bool_)[core.inside(seen).slices]
