"""What is measured on? Parcels and images as large as wanted, always the same ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from bench_clock import ROOT
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window
from scipy.ndimage import distance_transform_edt, gaussian_filter

PLACE: dict[str, Any] = {"crs": "EPSG:32633", "transform": Affine(1, 0, 500_000, 0, -1, 5_500_000)}
"""Where all of it lies: pixels of 1 m."""


def parcels(side: int) -> tuple[NDArray[np.int32], GeoBox]:
    """Return a label raster of about 2,600 ragged parcels, (side, side), and its grid."""
    rng = np.random.default_rng(1)
    seeds = np.zeros((side, side), np.int32)
    places = rng.integers(0, side, (2650, 2))
    seeds[places[:, 0], places[:, 1]] = np.arange(1, len(places) + 1)
    rows, cols = distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    dy, dx = (gaussian_filter(rng.standard_normal((side, side)), 15) * 60 for _ in range(2))
    y, x = np.mgrid[:side, :side]
    y, x = np.clip(y + dy, 0, side - 1).astype(int), np.clip(x + dx, 0, side - 1).astype(int)
    labels = seeds[rows, cols][y, x].astype(np.int32)
    return labels, GeoBox((side, side), PLACE["transform"], PLACE["crs"])


def label_raster(path: Path, side: int) -> Path:
    """Write a label raster of `side` x `side` px, never whole in memory: the parcels again and again, mirrored."""
    labels, _ = parcels(3000)
    count = int(labels.max()) + 1
    with _created(path, side, count=1, dtype="int32") as out:
        for row, col, window in _steps(side, len(labels)):
            piece = labels[:: -1 if row % 2 else 1, :: -1 if col % 2 else 1] + count * (row * 1000 + col)
            out.write(piece[: window.height, : window.width].astype(np.int32), 1, window=window)
    return path


def mosaic(path: Path, side: int) -> Path:
    """Write a raster of `side` x `side` px by repeating an aerial sample tile, mirrored so that seams are smooth."""
    with rasterio.open(ROOT / "sample_tiles" / "aerial_1m_b.tif") as dataset:
        tile = dataset.read()
    block = np.concatenate([tile, tile[:, ::-1]], axis=1)
    block = np.concatenate([block, block[:, :, ::-1]], axis=2)
    with _created(path, side, count=3, dtype="uint8", photometric="RGB") as out:
        for _, _, window in _steps(side, block.shape[1]):
            out.write(block[:, : window.height, : window.width], window=window)
    return path


def _created(path: Path, side: int, **profile: Any) -> Any:
    tiled = {"driver": "GTiff", "tiled": True, "compress": "deflate", **PLACE}
    return rasterio.open(path, "w", height=side, width=side, **tiled, **profile)


def _steps(side: int, step: int) -> Iterator[tuple[int, int, Window]]:
    """Yield row, column and window of squares of `step` px, cut at the far edges."""
    for row, y in enumerate(range(0, side, step)):
        for col, x in enumerate(range(0, side, step)):
            yield row, col, Window(x, y, min(step, side - x), min(step, side - y))
