"""How do labels become regions? As they are: every 4-connected area of one value is a field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.contracts import Tracer
from hedgerow.errors import GeometryError
from hedgerow.records import FIELD

_LARGEST = 2**30 - 1


class Config(BaseModel, frozen=True, extra="forbid"):
    """Labels need no settings."""


@dataclass(frozen=True)
class LabelTracer:
    """Takes an integer label raster (height, width); every valid pixel is a seed of its own label."""

    halo_px: int = 0
    seed_reach_px: int = 0
    min_seed_px: int = 0
    neck_m: float = 0.0

    def seeds(self, pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return keys above 0 (height, width), one per label, 0 where invalid.

        Raises:
            GeometryError: the pixels are no integers, or too large to be labels.
        """
        labels = _flat(pixels)
        used = labels[valid]
        if used.size and (int(used.max()) > _LARGEST or int(used.min()) < -_LARGEST):
            raise GeometryError(
                f"labels from {used.min()} to {used.max()} do not fit: number them anew within {-_LARGEST}..{_LARGEST}"
            )
        signed = np.where(valid, labels, 0).astype(np.int64)
        # 0, 1, 2, … become 1, 3, 5, …; -1, -2, … become 2, 4, …
        keys = np.where(signed >= 0, 2 * signed + 1, -2 * signed)
        return np.where(valid, keys, 0).astype(np.int32)

    def class_of(self, key: int) -> int:  # noqa: ARG002
        """Every label is a field."""
        return FIELD

    def flood(self, markers: NDArray[np.int32], pixels: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[np.int32]:  # noqa: ARG002
        """Return the markers: no valid pixel is left over."""
        return markers


def build(config: Config) -> Tracer:  # noqa: ARG001
    """Make the tracer of label rasters."""
    return LabelTracer()


def _flat(pixels: NDArray[Any]) -> NDArray[Any]:
    labels = pixels[0] if pixels.ndim == 3 and len(pixels) == 1 else pixels
    if labels.ndim != 2 or not np.issubdtype(labels.dtype, np.integer):
        raise GeometryError(
            f"labels must be one band of integers, got {pixels.shape} {pixels.dtype}: "
            f"for probabilities choose the tracer `watershed` or `components`"
        )
    return labels
