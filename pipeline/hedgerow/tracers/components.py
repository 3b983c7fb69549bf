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
from hedgerow.tracers._seeded import Seeded


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings of the plain connected components."""

    halo_px: int = Field(64, ge=1)
    """How far from a component a border pixel can lie and still be given to it, and how far weak borders and passages
    are followed."""

    border_low: float | None = Field(None, gt=0, le=1)
    """Pixels of at least this border probability are border as well where they are connected with pixels that are;
    None: only where border is the likeliest class."""

    neck_m: float = Field(0.0, ge=0)
    """Passages narrower than this, metres, part a component where both sides are four times as wide; 0: none does."""

    min_seed_px: int = Field(1, ge=1)
    """Components smaller than this over the whole scene go to their neighbours."""


@dataclass(frozen=True)
class ComponentsTracer(Seeded):
    """Likeliest of the four classes; pixels of class border belong to the nearest component."""

    config: Config

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return 1 + class (height, width), 0 where border is the likeliest class or the pixel is invalid."""
        kind, best = strongest(checked(pixels))
        border = self.parting(best < pixels[BORDER], pixels[BORDER])
        return np.where(valid & ~border, kind.astype(np.int32) + 1, 0)

    def flood(self, markers: NDArray[np.int32], pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:  # noqa: ARG002
        """Give every valid pixel to the nearest marker within the halo."""
        rest = valid & (markers == 0)
        if not rest.any() or not markers.any():
            return markers
        distance, (row, col) = distance_transform_edt(markers == 0, return_indices=True)
        return np.where(rest & (distance <= self.halo_px), markers[row, col], markers)


def build(config: Config) -> Tracer:
    """Make the tracer."""
    return ComponentsTracer(config)
