"""Are fields cut up or run together? Over- and under-segmentation, fragmentation, and the total geometric error.

Every object of the reference is compared with its partner: the object of the candidate that covers most of it, and the
smaller of two that cover as much. An object that nothing covers has lost everything: both errors are 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.contingency import Objects, Overlaps, objects_of, overlaps
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._fixed_point import fixed_point
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Better, Value

WORST = 1.0

BETTER: Mapping[str, Better] = {
    "over_segmentation": "lower",
    "under_segmentation": "lower",
    "fragmentation": "lower",
    "gtc": "lower",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose."""


def build(config: Config) -> SegmentationMetric:  # noqa: ARG001
    return SegmentationMetric()


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Objects of either raster and the four errors, 0 (best) to 1; None when neither raster has an object."""

    n_reference: int
    n_test: int
    over_segmentation: float | None
    under_segmentation: float | None
    fragmentation: float | None
    gtc: float | None
    flag: str | None = None


def segmentation(test: NDArray[Any], reference: NDArray[Any]) -> Segmentation:
    """Return the segmentation errors of two rasters (height, width): masks, or labels with 0 as background.

    Each 4-connected area of one value is an object. For a reference object of area A with a partner of area B that
    shares I px with it: over-segmentation 1 - I/A, under-segmentation 1 - I/B, and of r tested objects that overlap it
    fragmentation (r - 1) / (A - 1), which is 0 where r = 0 or A = 1. Each is the mean over the reference objects.
    GTC, the global total error, is sqrt((over^2 + under^2) / 2) of every object, the mean weighted by A.

    Source: Persello and Bruzzone 2010 (over- and under-segmentation, fragmentation).
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"rasters of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    sums = totals(_bookings(found, wanted, overlaps(found.labels, wanted.labels), 1.0))
    values = SegmentationMetric().conclude(sums)
    over, under, fragmentation, gtc = (value.value for value in values)
    return Segmentation(len(wanted), len(found), over, under, fragmentation, gtc, values[0].flag)


@dataclass(frozen=True, slots=True)
class SegmentationMetric:
    """Segmentation errors over fields and forests; an object's errors are booked on its centre."""

    @property
    def name(self) -> str:
        return "segmentation"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return ()

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        pixel_m2 = pair.pixel_size_m[0] * pair.pixel_size_m[1]
        return _bookings(pair.candidate.objects, pair.reference.objects, pair.overlaps, pixel_m2)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, met, alone, area_m2 = sum_of(sums, "n_ref", "met", "alone", "area_m2")
        flag = emptiness(n_ref, met + alone, "objects")
        if not n_ref and not alone:
            return [not_applicable(name, str(flag)) for name in BETTER]
        over, under, pieces, total = sum_of(sums, "over", "under", "fragmentation", "gtc_m2")
        parts = ((over, n_ref), (under, n_ref), (pieces, n_ref), (total, area_m2))
        return [
            Value(name, WORST if flag else part / whole, "1", round(n_ref), flag)
            for name, (part, whole) in zip(BETTER, parts, strict=True)
        ]


def _bookings(found: Objects, wanted: Objects, table: Overlaps, pixel_m2: float) -> list[Booking]:
    cells = table.of_objects()
    shared_px, partner_px = _partners(found, wanted, cells)
    over, under = 1 - shared_px / wanted.area_px, 1 - shared_px / partner_px
    pieces = np.bincount(cells.b - 1, minlength=len(wanted))
    area_m2 = wanted.area_px * pixel_m2
    # What the candidate shows is known from the reference objects that it meets, and from its own that meet none.
    alone = np.setdiff1d(np.arange(len(found)), cells.a - 1)
    values = {
        "n_ref": np.ones(len(wanted)),
        "met": (pieces > 0).astype(np.float64),
        "over": fixed_point(over),
        "under": fixed_point(under),
        "fragmentation": fixed_point(np.maximum(pieces - 1, 0) / np.maximum(wanted.area_px - 1, 1)),
        "area_m2": area_m2,
        "gtc_m2": np.sqrt((over**2 + under**2) / 2) * area_m2,
    }
    return [
        Booking(found.row[alone], found.col[alone], {"alone": np.ones(len(alone))}),
        Booking(wanted.row, wanted.col, values),
    ]


def _partners(found: Objects, wanted: Objects, cells: Overlaps) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return, by reference object, the pixels shared with its partner (0 = it has none) and the partner's area."""
    partner_px = found.area_px[cells.a - 1]
    # Assigned from the least to the best partner: the last one stays.
    order = np.lexsort((-partner_px, cells.px))
    shared, area = np.zeros(len(wanted), np.int64), np.ones(len(wanted), np.int64)
    shared[cells.b[order] - 1], area[cells.b[order] - 1] = cells.px[order], partner_px[order]
    return shared, area
