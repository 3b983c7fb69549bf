"""Where do two regions meet, and what kind of border is it? Region boundaries and their layer, by class pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.distance import nearest
from hedgerow.records import FIELD, FOREST, OTHER, REGION_CLASSES, Regions, class_pair

ALL = "all"

PAIR_LAYERS = (
    class_pair(FIELD, FIELD),
    class_pair(FIELD, FOREST),
    class_pair(FIELD, OTHER),
    class_pair(FOREST, OTHER),
)
"""The kinds of border that are scored by themselves: layer code 1, 2, 3, 4. Code 0 (forest|forest, other|other, or no
border at all) counts in `all` only."""

LAYERS = (ALL, *PAIR_LAYERS)


def _codes() -> NDArray[np.uint8]:
    table = np.zeros((len(REGION_CLASSES), len(REGION_CLASSES)), dtype=np.uint8)
    for a in range(len(REGION_CLASSES)):
        for b in range(len(REGION_CLASSES)):
            pair = class_pair(a, b)
            table[a, b] = PAIR_LAYERS.index(pair) + 1 if pair in PAIR_LAYERS else 0
    return table


_CODE = _codes()


def boundary_of(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return B(L): the pixels whose right or lower neighbour has another label.

    Label 0 is nodata: neither nodata nor the frame makes a boundary.
    """
    boundary = np.zeros(labels.shape, dtype=np.bool_)
    boundary[:, :-1] = _meet(labels[:, :-1], labels[:, 1:])
    boundary[:-1] |= _meet(labels[:-1], labels[1:])
    return boundary


def layers_of(regions: Regions, boundary: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the layer code (height, width) of every pixel: that of the nearest boundary pixel.

    A boundary pixel has the class pair of itself and its right neighbour, or the lower one where the right one has the
    same label.
    """
    if not boundary.any():
        return np.zeros(boundary.shape, dtype=np.uint8)
    codes = np.zeros(boundary.shape, dtype=np.uint8)
    codes[boundary] = _boundary_codes(regions, boundary)
    spread: NDArray[np.uint8] = codes[nearest(boundary)]
    return spread


def _boundary_codes(regions: Regions, boundary: NDArray[np.bool_]) -> NDArray[np.uint8]:
    labels = regions.labels
    rows, cols = np.nonzero(boundary)
    here = labels[rows, cols]
    right = labels[rows, np.minimum(cols + 1, labels.shape[1] - 1)]
    below = labels[np.minimum(rows + 1, labels.shape[0] - 1), cols]
    other = np.where((right != here) & (right != 0), right, below)
    codes: NDArray[np.uint8] = _CODE[regions.class_of[here], regions.class_of[other]]
    return codes


def _meet(a: NDArray[np.int32], b: NDArray[np.int32]) -> NDArray[np.bool_]:
    return np.asarray((a != b) & (a != 0) & (b != 0))
