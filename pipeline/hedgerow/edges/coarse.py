"""What does a map look like at half or a quarter of the resolution? Blocks of pixels become one.

Blocks start at the scene's origin, whatever the tiles; incomplete ones at the right and lower frame are dropped.
Probabilities are averaged, regions vote: the label with the largest share of a block takes it.
"""

from __future__ import annotations

from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.views import View
from hedgerow.errors import ScoreError
from hedgerow.records import Regions

T = TypeVar("T", bound=np.generic)


def halved(view: View) -> View:
    """Return the view at half the resolution."""
    return coarse_view(view, 2)


def quartered(view: View) -> View:
    """Return the view at a quarter of the resolution: its blocks of 16 px vote themselves, not by halves of halves."""
    return coarse_view(view, 4)


def coarse_view(view: View, k: int) -> View:
    """Return the view on pixels `k` times as long; one is valid where all of its block is.

    Raises:
        ScoreError: the view has no whole block.
    """
    if min(view.shape) < k:
        raise ScoreError(f"a map of {view.shape} px has no block of {k} x {k}: compare larger maps")
    height_m, width_m = view.pixel_size_m
    regions = Regions(block_majority(view.regions.labels, k), view.regions.class_of)
    valid = reduce(np.logical_and, _members(view.valid, k))
    return View(block_means(view.p, k), regions, valid, (height_m * k, width_m * k))


def block_means(image: NDArray[np.uint8], k: int) -> NDArray[np.uint8]:
    """Return the mean of each whole k x k block (height // k, width // k), rounded to the nearest, halves up."""
    total = np.zeros((image.shape[0] // k, image.shape[1] // k), dtype=np.uint32)
    for member in _members(image, k):
        total += member
    return ((total + k * k // 2) // (k * k)).astype(np.uint8)


def block_majority(labels: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    """Return the most frequent label of each whole k x k block; among equals the one met first, row by row.

    So the result does not depend on how regions are numbered.
    """
    members = _members(labels, k)
    winners = members[0].copy()
    mixed = np.nonzero(reduce(np.logical_or, (member != members[0] for member in members[1:])))
    voters = np.stack([member[mixed] for member in members], axis=1)
    votes = np.stack([np.count_nonzero(voters == voter[:, None], axis=1) for voter in voters.T], axis=1)
    winners[mixed] = np.take_along_axis(voters, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    return winners


def _members(raster: NDArray[T], k: int) -> list[NDArray[T]]:
    """Return the first, second, ... pixels of all whole blocks, row by row within a block."""
    height, width = (side // k * k for side in raster.shape)
    return [raster[row:height:k, col:width:k] for row in range(k) for col in range(k)]
