"""Do the borders still run the same way? The median difference of border directions at matched line pixels.

The direction at a pixel is that in which p changes least around it: the minor axis of the structure tensor. Directions
have no sign, so they are compared as vectors of the doubled angle, and two of them differ by 0 to 90 degrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.distance import eroded
from hedgerow.edges.thinning import thinned
from hedgerow.edges.views import LINE_THRESHOLD, Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._levels import binned, histogram
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Better, Value

SIGMA_PX = 2.0
TOLERANCE_PX = 2
WORST_DEG = 90.0

_KERNEL_PX = 13
REACH_PX = 1 + _KERNEL_PX // 2
"""How far a direction sees: 1 px of gradient, 6 px (three sigma) of smoothing."""

Field = NDArray[np.float32]
"""(2, height, width): a vector of the doubled angle of the gradient at each pixel; (0, 0) where there is none."""

BETTER: Mapping[str, Better] = {"angle_consistency": "lower"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: sigma and tolerance are 2 px."""


def build(config: Config) -> AngleConsistencyMetric:  # noqa: ARG001
    return AngleConsistencyMetric()


@dataclass(frozen=True, slots=True)
class AngleConsistency:
    """Line pixels of either image, those with a direction in both, and their median difference in degrees."""

    n_reference: int
    n_test: int
    matched: int
    median_deg: float | None
    flag: str | None = None


def angle_consistency(
    test: NDArray[np.uint8], reference: NDArray[np.uint8], *, valid: NDArray[np.bool_] | None = None
) -> AngleConsistency:
    """Return how far the borders in two images of border probability (height, width), uint8, are turned.

    Lines are the pixels >= 128, thinned. At each line pixel of the reference with a tested one within 2 px (Euclidean)
    the direction there is compared with that at the nearest tested line pixel (at the mean of several equally near).
    The result is the median of the absolute differences, 0..90 degrees, counted in bins of 1/16 degree.

    Source: structure tensor after Bigün and Granlund 1987, of Scharr gradients, smoothed with sigma 2 px.
    """
    if test.shape != reference.shape or test.ndim != 2 or test.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ScoreError(
            f"images of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give uint8, 2-D"
        )
    known = np.ones(test.shape, np.bool_) if valid is None else valid
    images = [np.where(known, image, np.uint8(0)) for image in (test, reference)]
    lines = [thinned(image >= LINE_THRESHOLD) for image in images]
    seen = eroded(known, REACH_PX)
    fields = [directions_of(image, seen) for image in images]
    sums = totals(_bookings((lines[0], lines[1]), (fields[0], fields[1]), seen))
    (value,) = AngleConsistencyMetric().conclude(sums)
    n_ref, n_test, matched = (round(s) for s in sum_of(sums, "n_ref", "n_test", "matched"))
    return AngleConsistency(n_ref, n_test, matched, value.value, value.flag)


def directions(view: View) -> Field:
    """Return the border directions of a view; ask for them by `view.once(directions)`."""
    return directions_of(view.p, view.valid_within(REACH_PX))


def directions_of(p: NDArray[np.uint8], seen: NDArray[np.bool_]) -> Field:
    """Return (J_xx - J_yy, 2 J_xy) of the structure tensor J of an image, 0 where not `seen`.

    Scharr's gradient is the 3 x 3 one that turns best with the image: on soft lines its direction is off by 0.2
    degrees at most, Sobel's by 1.6. Its products are integers below 2^24, exact before the smoothing.
    """
    dx = cv2.Scharr(p, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
    dy = cv2.Scharr(p, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
    field = np.stack([_smoothed(dx * dx - dy * dy), _smoothed(2 * dx * dy)])
    field[:, ~seen] = 0
    return field


@dataclass(frozen=True, slots=True)
class AngleConsistencyMetric:
    """Difference of border directions; each is counted on the line pixel of the reference where it was read."""

    @property
    def name(self) -> str:
        return "angle_consistency"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("sigma_px", SIGMA_PX), ("tolerance_px", TOLERANCE_PX))

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        lines = pair.candidate.line, pair.reference.line
        fields = pair.candidate.once(directions), pair.reference.once(directions)
        return _bookings(lines, fields, pair.reference.valid_within(REACH_PX))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test, matched = sum_of(sums, "n_ref", "n_test", "matched")
        flag = emptiness(n_ref, n_test, "lines")
        if flag and (n_ref or n_test):
            return [Value(self.name, WORST_DEG, "deg", round(n_ref), flag)]
        median = histogram(sums, "difference").median()
        if median is None:
            return [not_applicable(self.name, flag or f"no lines within {TOLERANCE_PX} px of each other", unit="deg")]
        return [Value(self.name, median, "deg", round(matched))]


def _smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(values, (_KERNEL_PX, _KERNEL_PX), SIGMA_PX, borderType=cv2.BORDER_REPLICATE))


def _bookings(
    lines: tuple[NDArray[np.bool_], NDArray[np.bool_]], fields: tuple[Field, Field], counted: NDArray[np.bool_]
) -> list[Booking]:
    test, reference = lines
    rows, cols = np.nonzero(reference & counted)
    here = fields[1][:, rows, cols].astype(np.float64)
    there = _nearest(test, fields[0], rows, cols)
    both = here.any(axis=0) & there.any(axis=0)
    levels = {"difference": binned(_difference(here[:, both], there[:, both]))}
    return [
        Booking(rows[both], cols[both], {"matched": np.ones(int(both.sum()))}, levels),
        booked(reference & counted, n_ref=None),
        booked(test & counted, n_test=None),
    ]


def _difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle (n,) in degrees, 0..90, between directions given by vectors (2, n) of the doubled angle."""
    across = np.abs(a[0] * b[1] - a[1] * b[0])
    along = a[0] * b[0] + a[1] * b[1]
    return np.asarray(np.degrees(np.arctan2(across, along)) / 2)


def _nearest(
    line: NDArray[np.bool_], field: Field, rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum (2, n) of the vectors at the nearest line pixels of each pixel; 0 where none is within the tolerance."""
    framed = np.pad(line, TOLERANCE_PX)
    found = np.zeros((2, len(rows)))
    missing = np.arange(len(rows))
    for circle in _circles():
        hits = np.zeros(len(missing), np.bool_)
        for down, right in circle:
            row, col = rows[missing] + down, cols[missing] + right
            hit = framed[row + TOLERANCE_PX, col + TOLERANCE_PX]
            found[:, missing[hit]] += field[:, row[hit], col[hit]]
            hits |= hit
        missing = missing[~hits]
    return found


def _circles() -> list[list[tuple[int, int]]]:
    """Steps (rows, columns) within the tolerance, those of one length together, the shortest first."""
    reach = range(-TOLERANCE_PX, TOLERANCE_PX + 1)
    squares = sorted({y * y + x * x for y in reach for x in reach if y * y + x * x <= TOLERANCE_PX**2})
    return [[(y, x) for y in reach for x in reach if y * y + x * x == square] for square in squares]
