"""How does a raster look on another grid? Codes by the nearest pixel, probabilities by what is valid of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.warp import reproject

from hedgerow.geo.metres import ground_sampling_distance_m

_MOSTLY = 0.5
"""A pixel is valid when more than this share of what it is made of is."""


def resampled(
    pixels: NDArray[Any], valid: NDArray[np.bool_], source: GeoBox, target: GeoBox, *, smooth: bool
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return pixels and valid mask on the target's grid.

    Args:
        pixels: (bands, height, width); bytes where smooth.
        valid: (height, width), True = valid; what lies beyond the source becomes invalid.
        source, target: the grids.
        smooth: False takes the nearest pixel; True the area average where the target's pixels are larger, else bilinear
            interpolation, both over the valid pixels only.
    """
    if not smooth:
        near = _on_grid(valid[None].astype(np.uint8), source, target, Resampling.nearest)[0] != 0
        return _on_grid(pixels, source, target, Resampling.nearest), near
    coarser = ground_sampling_distance_m(target) > ground_sampling_distance_m(source)
    method = Resampling.average if coarser else Resampling.bilinear
    weight = _on_grid(valid[None].astype(np.float32), source, target, method)
    total = _on_grid(np.where(valid, pixels, 0).astype(np.float32), source, target, method)
    usable = weight[0] > _MOSTLY
    mean = np.rint(np.divide(total, weight, out=np.zeros_like(total), where=usable))
    return np.clip(mean, 0, 255).astype(np.uint8), usable


def _on_grid(pixels: NDArray[Any], source: GeoBox, target: GeoBox, method: Resampling) -> NDArray[Any]:
    out = np.zeros((len(pixels), int(target.shape[0]), int(target.shape[1])), pixels.dtype)
    reproject(
        pixels, out, src_transform=source.transform, src_crs=str(source.crs), dst_transform=target.transform,
        dst_crs=str(target.crs), resampling=method, tolerance=0,
    )  # fmt: skip
    return out
