"""Are the borders as steep as before? Gradient of the candidate over that of the reference, along matched edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.canny import canny, gradient_magnitude
from hedgerow.edges.distance import radius_px, window_maximum, within
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

TOLERANCE_PX = 2

BETTER: Mapping[str, Better] = {
    "sharpness": "higher",
    "sharpness_raw": "one",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: tolerance and window are 2 px."""


def build(config: Config) -> SharpnessMetric:  # noqa: ARG001
    return SharpnessMetric()


@dataclass(frozen=True, slots=True)
class Sharpness:
    """Edge pixels of the reference, those with a tested edge nearby, and the two ratios."""

    n_reference: int
    n_test: int
    matched: int
    sharpness: float | None
    sharpness_raw: float | None
    flag: str | None = None


def sharpness(
    test: NDArray[np.uint8], reference: NDArray[np.uint8], *, valid: NDArray[np.bool_] | None = None
) -> Sharpness:
    """Return the sharpness of `test` relative to `reference`, both (height, width) uint8.

    At each Canny edge pixel of the reference with a tested edge within 2 px, the largest Sobel magnitude within +-2 px
    of either image is read; sharpness = sum of min(G_T, G_R) / sum of G_R, that is the mean of min(G_T / G_R, 1)
    weighted by G_R. The raw form is not capped: above 1 means over-sharpened or noisy.
    """
    if test.shape != reference.shape or test.ndim != 2 or test.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ScoreError(
            f"images of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give uint8, 2-D"
        )
    edges = canny(test, valid), canny(reference, valid)
    near = within(edges[0], radius_px(TOLERANCE_PX))
    sums = totals(_bookings(edges, near, (gradient_magnitude(test, valid), gradient_magnitude(reference, valid))))
    n_ref, n_test, matched = (round(s) for s in sum_of(sums, "n_ref", "n_test", "matched"))
    capped, raw = SharpnessMetric().conclude(sums)
    return Sharpness(n_ref, n_test, matched, capped.value, raw.value, capped.flag)


@dataclass(frozen=True, slots=True)
class SharpnessMetric:
    """Sharpness of the border probability; gradients are booked on the reference's edge pixels."""

    @property
    def name(self) -> str:
        return "sharpness"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("tolerance_px", TOLERANCE_PX), ("window_px", TOLERANCE_PX))

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        near = pair.candidate.near("edges", radius_px(TOLERANCE_PX))
        edges = pair.candidate.edges, pair.reference.edges
        return _bookings(edges, near, (pair.candidate.gradient, pair.reference.gradient))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test, was = sum_of(sums, "n_ref", "n_test", "was")
        return [
            ratio(name, part, was, n_reference=n_ref, n_candidate=n_test, what="edges")
            for name, part in zip(("sharpness", "sharpness_raw"), sum_of(sums, "kept", "now"), strict=True)
        ]


def _bookings(
    edges: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    near_test: NDArray[np.bool_],
    gradients: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> list[Booking]:
    test, reference = edges
    peaks = [window_maximum(gradient, TOLERANCE_PX) for gradient in gradients]
    edge = booked(reference & near_test, now=peaks[0], was=peaks[1], matched=None)
    now, was = (edge.values[name].astype(np.float64) for name in ("now", "was"))
    values = {"now": now, "was": was, "kept": np.minimum(now, was), "matched": edge.values["matched"]}
    return [
        Booking(edge.rows, edge.cols, values),
        booked(reference, n_ref=None),
        booked(test, n_test=None),
    ]
