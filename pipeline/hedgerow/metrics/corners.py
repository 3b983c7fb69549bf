"""How much of the corners' strength is kept, and at the right place? Harris corners, retained, spurious, repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hedgerow.edges.distance import eroded, window_maximum
from hedgerow.edges.harris import IDEAL_CORNER, REACH_PX, harris_response, local_maxima
from hedgerow.edges.matching import NEAREST_FIRST, unmatched_one_to_one
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import not_applicable, ratio, sum_of
from hedgerow.records import Better, Value

TOLERANCE_PX = 1
"""Strength is looked for within 1 px; a match is within 1.5 px, which on the grid are the same 3 x 3 pixels."""

DEFAULT_POWER = 0.25
DEFAULT_THRESHOLD = 0.01

BETTER: Mapping[str, Better] = {
    "corner_retention": "higher",
    "corner_retention_raw": "one",
    "corner_precision": "higher",
    "corner_repeatability": "higher",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Which corners count, and how strength is read.

    The response grows with the fourth power of contrast; its fourth root (`power` 1/4) is linear in contrast.
    `threshold` is a share of the response at an ideal corner: absolute, so that all tiles agree.
    """

    power: float = Field(DEFAULT_POWER, gt=0, le=1)
    threshold: float = Field(DEFAULT_THRESHOLD, gt=0, lt=1)


def build(config: Config) -> CornerMetric:
    return CornerMetric(config.power, config.threshold)


@dataclass(frozen=True, slots=True)
class Corners:
    """Corners of either image, pairs within 1.5 px, and the ratios; None where there is nothing to compare."""

    n_reference: int
    n_test: int
    matched: int
    retention: float | None
    retention_raw: float | None
    precision: float | None
    recall: float | None
    repeatability: float | None
    flag: str | None = None


def corners(
    test: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    *,
    power: float = DEFAULT_POWER,
    threshold: float = DEFAULT_THRESHOLD,
    valid: NDArray[np.bool_] | None = None,
) -> Corners:
    """Return how the corners of `reference` survive in `test`, both (height, width) uint8.

    retention = sum over reference corners of min(S_T, S_R) / sum of S_R, with S = max(R, 0)^power and S_T the largest
    within 1 px; retention_raw is the literal sum S_T / sum S_R at power 1 and can exceed 1. repeatability = one-to-one
    matches within 1.5 px / the smaller number of corners.

    Source: Harris and Stephens 1988; Schmid, Mohr and Bauckhage 2000 (repeatability).
    """
    if test.shape != reference.shape or test.ndim != 2 or test.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ScoreError(
            f"images of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give uint8, 2-D"
        )
    counted = np.ones(test.shape, np.bool_) if valid is None else eroded(valid, REACH_PX + TOLERANCE_PX)
    metric = CornerMetric(power, threshold)
    sums = totals(_bookings(harris_response(test), harris_response(reference), counted, metric))
    matched, alone, missed = (round(s) for s in sum_of(sums, "matched", "alone", "missed"))
    values = {value.name: value for value in metric.conclude(sums)}
    retention, raw, precision, repeated = (values[n].value for n in metric.names)
    recall = ratio("", matched, matched + missed, n_reference=matched + missed, n_candidate=matched + alone, what="")
    flag = values[metric.names[-1]].flag
    return Corners(matched + missed, matched + alone, matched, retention, raw, precision, recall.value, repeated, flag)


@dataclass(frozen=True, slots=True)
class CornerMetric:
    """Corner scores of the border probability; strengths are booked on the reference's corners."""

    power: float = DEFAULT_POWER
    threshold: float = DEFAULT_THRESHOLD

    @property
    def name(self) -> str:
        return "corner" + self._suffix

    @property
    def names(self) -> tuple[str, str, str, str]:
        """Names of the values, in order."""
        stems = ("corner_retention", "corner_retention_raw", "corner_precision", "corner_repeatability")
        retention, raw, precision, repeatability = (stem + self._suffix for stem in stems)
        return retention, raw, precision, repeatability

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("retention_power", self.power), ("threshold", self.threshold), ("tolerance_px", TOLERANCE_PX))

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        counted = pair.reference.valid_within(REACH_PX + TOLERANCE_PX)
        return _bookings(pair.candidate.harris, pair.reference.harris, counted, self)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        matched, alone, missed = sum_of(sums, "matched", "alone", "missed")
        n_test, n_ref = matched + alone, matched + missed
        retention, raw, precision, repeatability = self.names
        return [
            _retention(retention, *sum_of(sums, "kept", "strength"), n_ref=n_ref, n_test=n_test),
            _retention(raw, *sum_of(sums, "kept_raw", "strength_raw"), n_ref=n_ref, n_test=n_test),
            ratio(precision, matched, n_test, n_reference=n_ref, n_candidate=n_test, what="corners", of_candidate=True),
            ratio(repeatability, matched, min(n_ref, n_test), n_reference=n_ref, n_candidate=n_test, what="corners"),
        ]

    @property
    def _suffix(self) -> str:
        parts = [f"p{self.power:g}"] if self.power != DEFAULT_POWER else []
        parts += [f"t{self.threshold:g}"] if self.threshold != DEFAULT_THRESHOLD else []
        return "@" + ",".join(parts) if parts else ""


def _bookings(
    test: NDArray[np.float64], reference: NDArray[np.float64], counted: NDArray[np.bool_], metric: CornerMetric
) -> list[Booking]:
    floor = metric.threshold * IDEAL_CORNER
    wanted, found = (local_maxima(response, floor) & counted for response in (reference, test))
    alone, missed = unmatched_one_to_one(found, wanted, NEAREST_FIRST)
    corner = booked(wanted, was=reference, now=window_maximum(test, TOLERANCE_PX))
    was, now = corner.values["was"], np.maximum(corner.values["now"], 0)
    strength = was**metric.power
    values = {
        "strength": strength,
        "kept": np.minimum(now**metric.power, strength),
        "strength_raw": was,
        "kept_raw": now,
    }
    return [
        Booking(corner.rows, corner.cols, values),
        booked(wanted & ~missed, matched=None),
        booked(missed, missed=None),
        booked(alone, alone=None),
    ]


def _retention(name: str, kept: float, strength: float, *, n_ref: float, n_test: float) -> Value:
    """Nothing to retain has no value, even if the candidate shows corners: precision and repeatability punish those."""
    if not n_ref:
        return not_applicable(name, "no corners in the reference" if n_test else "no corners in either map")
    return ratio(name, kept, strength, n_reference=n_ref, n_candidate=n_test, what="corners")
