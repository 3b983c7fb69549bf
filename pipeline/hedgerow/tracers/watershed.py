"""How do probabilities become instances? Seeds where a region is sure, then a flood that meets on border ridges.

Touching fields do not fuse: a faint line between two of them parts their seeds, and the flood gives each its side
of the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from skimage.segmentation import watershed

from hedgerow.contracts import Tracer
from hedgerow.records import BORDER
from hedgerow.tracers._probabilities import checked, strongest

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings of the seeded watershed; probabilities are fractions."""

    max_seed_border: float = Field(0.3, gt=0, le=1)
    """Seeds lie where the border probability is below this."""

    min_seed_share: float = Field(0.5, ge=0, le=1)
    """Seeds lie where the likeliest region class has at least this share of what is not border."""

    min_seed_px: int = Field(16, ge=1)
    """Seeds smaller than this over the whole scene are flooded by their neighbours."""

    halo_px: int = Field(128, ge=1)
    """What the flood sees around each block."""


@dataclass(frozen=True)
class WatershedTracer:
    """Seeded watershed over the border probability, 4-connected (Meyer 1994, as in scikit-image)."""

    config: Config

    @property
    def halo_px(self) -> int:
        """What `flood` must see around a block."""
        return self.config.halo_px

    @property
    def min_seed_px(self) -> int:
        """Seeds smaller than this do not grow."""
        return self.config.min_seed_px

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return 1 + class (height, width) where a region class is sure, 0 elsewhere."""
        kind, best = strongest(checked(pixels))
        inside = pixels[BORDER] < self.config.max_seed_border * 255
        total = pixels[:BORDER].sum(axis=0, dtype=np.uint16)
        sure = best >= np.float32(self.config.min_seed_share) * total
        return np.where(valid & inside & sure, kind.astype(np.int32) + 1, 0)

    def class_of(self, key: int) -> int:
        """Return the region class of a key."""
        return key - 1

    def flood(self, markers: NDArray[np.int32], pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Let the markers grow over the rising border probability until they meet; 0 where no marker can reach."""
        rest = valid & (markers == 0)
        if not rest.any() or not markers.any():
            return markers
        # Only what is left needs flooding: the rim of the markers is enough to start from, and much quicker.
        near = cv2.dilate(rest.view(np.uint8), _CROSS).view(np.bool_) & valid
        flooded = watershed(pixels[BORDER], np.where(near, markers, 0), mask=near, connectivity=1)  # type: ignore[no-untyped-call]
        return np.where(rest, flooded, markers).astype(np.int32, copy=False)


def build(config: Config) -> Tracer:
    """Make the tracer."""
    return WatershedTracer(config)
