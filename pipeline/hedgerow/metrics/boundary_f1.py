"""How many boundary pixels have a partner nearby? Boundary precision, recall and F at one tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hedgerow.edges.distance import Radius, eroded, radius_m, radius_px, within
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

DEFAULT_PX = 2.0

BETTER: Mapping[str, Better] = {"boundary_f1": "higher"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """The tolerance (Euclidean) in pixels, or in metres if `tolerance_m` is given."""

    tolerance_px: float = Field(DEFAULT_PX, ge=0)
    tolerance_m: float | None = Field(None, gt=0)


def build(config: Config) -> BoundaryF1Metric:
    return BoundaryF1Metric(config.tolerance_px, config.tolerance_m)


@dataclass(frozen=True, slots=True)
class BoundaryF1:
    """Boundary pixels of either set and how many of them are matched; ratios are None when both sets are empty."""

    n_reference: int
    n_test: int
    matched_reference: int
    matched_test: int
    precision: float | None
    recall: float | None
    f1: float | None
    flag: str | None = None


def boundary_f1(
    test: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    *,
    tolerance_px: float = DEFAULT_PX,
    valid: NDArray[np.bool_] | None = None,
) -> BoundaryF1:
    """Return the boundary F of two sets of boundary pixels (height, width).

    F = 2PR / (P + R) with P the share of tested pixels within the tolerance of a reference pixel and R the reverse.

    Source: Csurka et al. 2013; Perazzi et al. 2016 (DAVIS), with the tolerance in px, not as a share of the diagonal.
    """
    if test.shape != reference.shape or test.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ScoreError(f"boundaries are bool masks of one shape, got {test.shape} {test.dtype}, {reference.shape}")
    radius = radius_px(tolerance_px)
    counted = np.ones_like(test) if valid is None else eroded(valid, tolerance_px)
    near = (within(test, radius), within(reference, radius))
    sums = totals(_bookings((test, reference), near, counted))
    n_test, n_reference, hit_test, hit_reference = sum_of(sums, "n_test", "n_ref", "hit_test", "hit_ref")
    precision, recall, f1 = (v.value for v in _values("", sums))
    flag = _values("", sums)[-1].flag
    return BoundaryF1(
        round(n_reference), round(n_test), round(hit_reference), round(hit_test), precision, recall, f1, flag
    )


@dataclass(frozen=True, slots=True)
class BoundaryF1Metric:
    """Boundary F of the region boundaries; each boundary pixel is booked where it lies."""

    tolerance_px: float = DEFAULT_PX
    tolerance_m: float | None = None

    @property
    def name(self) -> str:
        if self.tolerance_m is not None:
            return f"boundary_f1@{self.tolerance_m:g}m"
        return "boundary_f1" if self.tolerance_px == DEFAULT_PX else f"boundary_f1@{self.tolerance_px:g}px"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        if self.tolerance_m is not None:
            return (("tolerance_m", self.tolerance_m),)
        return (("tolerance_px", self.tolerance_px),)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        radius = self._radius(pair.pixel_size_m)
        sets = pair.candidate.boundary, pair.reference.boundary
        near = pair.candidate.near("boundary", radius), pair.reference.near("boundary", radius)
        return _bookings(sets, near, pair.reference.valid_within(max(radius)))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        return _values(self.name, sums)[-1:]

    def _radius(self, pixel_size_m: tuple[float, float]) -> Radius:
        if self.tolerance_m is not None:
            return radius_m(self.tolerance_m, pixel_size_m)
        return radius_px(self.tolerance_px)


def _bookings(
    sets: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    near: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    counted: NDArray[np.bool_],
) -> list[Booking]:
    (test, reference), (near_test, near_reference) = sets, near
    return [
        booked(test & counted, n_test=None, hit_test=near_reference),
        booked(reference & counted, n_ref=None, hit_ref=near_test),
    ]


def _values(name: str, sums: Mapping[str, float]) -> list[Value]:
    """Precision, recall and F, in this order."""
    n_test, n_ref, hit_test, hit_ref = sum_of(sums, "n_test", "n_ref", "hit_test", "hit_ref")
    # 2PR/(P+R) with one division, so that two perfect shares give exactly 1.
    parts = ((hit_test, n_test), (hit_ref, n_ref), (2 * hit_test * hit_ref, hit_test * n_ref + hit_ref * n_test))
    return [ratio(name, part, whole, n_reference=n_ref, n_candidate=n_test, what="boundaries") for part, whole in parts]
