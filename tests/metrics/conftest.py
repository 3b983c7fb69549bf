"""Small worlds for scores: parcels from nearest seeds, and the same parcels drawn a little differently."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from hedgerow.edges.layers import boundary_of
from hedgerow.edges.views import Pair, View
from hedgerow.records import Regions

MapOf = Callable[..., View]


def parcels(seed: int, *, shape: tuple[int, int], move: float) -> Regions:
    rng = np.random.default_rng(seed)
    seeds = rng.uniform((0, 0), shape, (max(shape[0] * shape[1] // 600, 3), 2))
    classes = rng.integers(0, 3, len(seeds) + 1).astype(np.uint8)
    seeds = seeds + np.random.default_rng(seed + 1).normal(0, move, seeds.shape) if move else seeds
    y, x = np.indices(shape)
    distance = (y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2
    return Regions((distance.argmin(axis=-1) + 1).astype(np.int32), classes)


def drawn(regions: Regions, valid: np.ndarray | None = None, *, sigma: float = 1.0, size_m: float = 10.0) -> View:
    lines = cv2.dilate(boundary_of(regions.labels).astype(np.uint8) * 255, np.ones((3, 3)))
    p = cv2.GaussianBlur(lines, (0, 0), sigma)
    return View(p, regions, np.ones(p.shape, bool) if valid is None else valid, (size_m, size_m))


@pytest.fixture(scope="session")
def map_of() -> MapOf:
    """Draws a map: the parcels of a seed, whose seeds were moved by so many px."""

    def make(seed: int = 0, *, shape: tuple[int, int] = (96, 120), move: float = 0.0, **how: object) -> View:
        return drawn(parcels(seed, shape=shape, move=move), **how)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def pair(map_of: MapOf) -> Pair:
    return Pair(map_of(3, move=2.0), map_of(3))


@pytest.fixture(scope="session")
def pair_with_nodata(map_of: MapOf) -> Pair:
    valid = np.ones((96, 120), bool)
    valid[20:45, 30:80] = False
    valid[:, :4] = False
    return Pair(map_of(5, move=1.5, valid=valid), map_of(5, valid=valid))
