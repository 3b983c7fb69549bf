"""How do probabilities become regions, the simple way? Connected pixels of one class; borders go to the nearest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from scipy.ndimage import distance_transform_edt

from hedgerow.contracts import Tracer
from hedgerow.records import BORDER
from hedgerow.tracers._probabilities import checked, strongest


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings of the plain connected components."""

    halo_px: int = Field(64, ge=1)
    """How far from a component a border pixel can lie and still be given to it."""

    min_seed_px: int = Field(1, ge=1)
    """Components smaller than this over the whole scene go to their neighbours."""


@dataclass(frozen=True)
class ComponentsTracer:
    """Likeliest of the four classes; pixels of class border belong to the nearest component."""

    halo_px: int
    min_seed_px: int

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return 1 + class (height, width), 0 where border is the likeliest class or the pixel is invalid."""
        kind, best = strongest(checked(pixels))
        return np.where(valid & (best >= pixels[BORDER]), kind.astype(np.int32) + 1, 0)

    def class_of(self, key: int) -> int:
        """Return the region class of a key."""
        return key - 1

    def flood(self, markers: NDArray[np.int32], pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:  # noqa: ARG002
        """Give every valid pixel to the nearest marker within the halo."""
        rest = valid & (markers == 0)
        if not rest.any() or not markers.any():
            return markers
        distance, (row, col) = distance_transform_edt(markers == 0, return_indices=True)
        return np.where(rest & (distance <= self.halo_px), markers[row, col], markers)


def build(config: Config) -> Tracer:
    """Make the tracer."""
    return ComponentsTracer(config.halo_px, config.min_seed_px)
