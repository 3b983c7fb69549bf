"""How well do the bands along the boundaries overlap? Boundary IoU, of two masks or of two maps of regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hedgerow.edges.distance import band
from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

DEFAULT_PX = 2

BETTER: Mapping[str, Better] = {"boundary_iou": "higher"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Half width `d_px` of the band, in pixels (chessboard)."""

    d_px: int = Field(DEFAULT_PX, ge=0)


def build(config: Config) -> BoundaryIouMetric:
    return BoundaryIouMetric(config.d_px)


@dataclass(frozen=True, slots=True)
class BoundaryIou:
    """Pixels of both bands, of either, and of each; iou is None when neither mask has a boundary."""

    intersection: int
    union: int
    n_reference: int
    n_test: int
    iou: float | None
    flag: str | None = None


def boundary_iou(
    test: NDArray[Any],
    reference: NDArray[Any],
    *,
    d: int = DEFAULT_PX,
    border: Literal["ignore", "reference"] = "ignore",
) -> BoundaryIou:
    """Return the boundary IoU of two masks (height, width).

    The band of a mask are its pixels within `d` (chessboard) of a pixel outside of it.

    Args:
        test: mask, non-zero = inside.
        reference: mask of the same shape.
        d: width of the band in px.
        border: `ignore`: the image frame is no boundary; `reference`: it is, as in the paper.

    Source: Cheng et al. 2021, equation 3, with d in px instead of a share of the diagonal.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"masks of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    if d < 1:
        raise ScoreError(f"a band of d = {d} px is empty: give at least 1")
    bands = [_inner_band(np.ascontiguousarray(mask != 0), d, border) for mask in (test, reference)]
    shared, either = bands[0] & bands[1], bands[0] | bands[1]
    inter, union, n_ref, n_test = (int(np.count_nonzero(mask)) for mask in (shared, either, bands[1], bands[0]))
    value = ratio("", inter, union, n_reference=n_ref, n_candidate=n_test, what="boundaries")
    return BoundaryIou(inter, union, n_ref, n_test, value.value, value.flag)


@dataclass(frozen=True, slots=True)
class BoundaryIouMetric:
    """Boundary IoU of two region views: bands round the region boundaries, shared where the class is the same too."""

    d_px: int = DEFAULT_PX

    @property
    def name(self) -> str:
        return "boundary_iou" if self.d_px == DEFAULT_PX else f"boundary_iou@{self.d_px}px"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("d_px", self.d_px),)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        counted = pair.reference.valid_within(self.d_px)
        test, reference = (self._band(view) & counted for view in (pair.candidate, pair.reference))
        same_class = pair.candidate.classes == pair.reference.classes
        shared = test & reference & same_class
        return [booked(test | reference, either=None, shared=shared, n_ref=reference, n_test=test)]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        shared, either, n_ref, n_test = sum_of(sums, "shared", "either", "n_ref", "n_test")
        return [ratio(self.name, shared, either, n_reference=n_ref, n_candidate=n_test, what="boundaries")]

    def _band(self, view: View) -> NDArray[np.bool_]:
        return band(view.boundary, self.d_px)


def _inner_band(mask: NDArray[np.bool_], d: int, border: Literal["ignore", "reference"]) -> NDArray[np.bool_]:
    outside = 0 if border == "reference" else 1
    core = cv2.erode(
        mask.view(np.uint8),
        np.ones((3, 3), np.uint8),
        iterations=d,
        borderType=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return np.asarray(mask & (core == 0))
