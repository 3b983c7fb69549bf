"""Small worlds for losses: parcels of three classes whose borders are drawn three pixels wide."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from hedgerow.edges.layers import boundary_of
from hedgerow.losses._partial import ANY
from hedgerow.records import BORDER

World = Callable[..., Tensor]
SIDE = 64


def _canvas(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seeds, classes = rng.uniform(0, SIDE, (14, 2)), rng.permutation(np.arange(14) % 3)
    y, x = np.indices((SIDE, SIDE))
    labels = ((y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2).argmin(axis=-1)
    border = cv2.dilate(boundary_of(labels.astype(np.int32) + 1).view(np.uint8), np.ones((3, 3), np.uint8))
    return np.where(border > 0, 1 << BORDER, 1 << classes[labels]).astype(np.uint8)


@pytest.fixture(scope="session")
def world() -> World:
    """Cuts a crop of sets (1, side, side) out of the parcels of a seed, moved by (dy, dx) px.

    With `partial`, every other block of 5 x 5 pixels may also be of the classes in it; `unknown` is the share of pixels
    of which nothing is known.
    """

    def make(
        seed: int = 0, *, side: int = 40, dy: int = 0, dx: int = 0, partial: int = 0, unknown: float = 0.0
    ) -> Tensor:
        sets = _canvas(seed)[12 + dy : 12 + dy + side, 12 + dx : 12 + dx + side].copy()
        y, x = np.indices(sets.shape)
        sets[(y // 5 + x // 5) % 2 == 1] |= partial
        sets[np.random.default_rng(seed).random(sets.shape) < unknown] = ANY
        return torch.from_numpy(sets)[None]

    return make
