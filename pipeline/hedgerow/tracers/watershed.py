"""How do probabilities become instances? Seeds where a region is sure, then a flood that meets on border ridges.

Touching fields do not fuse: a faint line between two of them parts their seeds, and the flood gives each its side
of the line. Where the line has a gap, `border_low` and `neck_m` can part them still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator
from skimage.segmentation import watershed

from hedgerow.contracts import Tracer
from hedgerow.records import BORDER, FIELD
from hedgerow.tracers._probabilities import checked, strongest
from hedgerow.tracers._seeded import Seeded

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Config(BaseModel, frozen=True, extra="forbid"):
    """Settings of the seeded watershed; probabilities are fractions."""

    max_seed_border: float = Field(0.3, gt=0, le=1)
    """Seeds lie where the border probability is below this."""

    max_field_seed_border: float | None = Field(None, gt=0, le=1)
    """The same for the seeds of fields; None: as for all. Fields touch each other: a lower one lets fainter borders
    part them, while woods and all else keep their seeds where borders are broad."""

    border_low: float | None = Field(None, gt=0, le=1)
    """Nor do they where it is below `max_seed_border` but at least this, connected with pixels above; None: there they
    do."""

    neck_m: float = Field(0.0, ge=0)
    """Passages of a seed narrower than this, metres, part it where both sides are four times as wide; 0: none does."""

    min_seed_share: float = Field(0.5, ge=0, le=1)
    """Seeds lie where the likeliest region class has at least this share of what is not border."""

    min_seed_px: int = Field(16, ge=1)
    """Seeds smaller than this over the whole scene are flooded by their neighbours."""

    halo_px: int = Field(128, ge=1)
    """What the flood sees around each block, and how far weak borders and passages are followed."""

    @model_validator(mode="after")
    def _low_below_high(self) -> Config:
        for name in ("max_seed_border", "max_field_seed_border"):
            most = getattr(self, name)
            if self.border_low is not None and most is not None and self.border_low > most:
                raise ValueError(f"border_low {self.border_low} must not exceed {name} {most}")
        return self


@dataclass(frozen=True)
class WatershedTracer(Seeded):
    """Seeded watershed over the border probability, 4-connected (Meyer 1994, as in scikit-image)."""

    config: Config

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return 1 + class (height, width) where a region class is sure, 0 elsewhere."""
        kind, best = strongest(checked(pixels))
        total = pixels[:BORDER].sum(axis=0, dtype=np.uint16)
        sure = best >= np.float32(self.config.min_seed_share) * total
        border = self.parting(pixels[BORDER] >= self._limits()[kind], pixels[BORDER])
        return np.where(valid & ~border & sure, kind.astype(np.int32) + 1, 0)

    def _limits(self) -> NDArray[np.float32]:
        """Return the largest border probability of a seed, 0..255, by its class."""
        limits = np.full(BORDER, self.config.max_seed_border * 255, np.float32)
        if self.config.max_field_seed_border is not None:
            limits[FIELD] = self.config.max_field_seed_border * 255
        return limits

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
