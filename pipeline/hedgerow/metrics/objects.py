"""How many fields and forests are found whole? Object precision, recall and F1 at IoU above one half."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hedgerow.edges.contingency import Objects, Overlaps, matches, objects_of, overlaps
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

DEFAULT_IOU = 0.5

BETTER: Mapping[str, Better] = {
    "object_precision": "higher",
    "object_recall": "higher",
    "object_f1": "higher",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Two objects match when their IoU exceeds `iou`, strictly; from one half on a partner is unique."""

    iou: float = Field(DEFAULT_IOU, ge=0.5, lt=1)


def build(config: Config) -> ObjectMetric:
    return ObjectMetric(config.iou)


@dataclass(frozen=True, slots=True)
class ObjectCounts:
    """Objects matched, superfluous and missed; ratios are None when neither raster has an object."""

    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    flag: str | None = None


def objects(test: NDArray[Any], reference: NDArray[Any], *, iou: float = DEFAULT_IOU) -> ObjectCounts:
    """Return the object scores of two rasters (height, width): masks, or labels with 0 as background.

    Each 4-connected area of one value is an object; a match needs IoU > `iou`.

    Source: Kerner et al. 2024 (Fields of The World), from one contingency table instead of pairs of polygons.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"rasters of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    sums = totals(_bookings(found, wanted, overlaps(found.labels, wanted.labels), iou))
    tp, fp, fn = (round(s) for s in sum_of(sums, "tp", "fp", "fn"))
    precision, recall, f1 = _values("", sums)
    return ObjectCounts(tp, fp, fn, precision.value, recall.value, f1.value, f1.flag)


@dataclass(frozen=True, slots=True)
class ObjectMetric:
    """Object scores over fields and forests; an object is booked on its centre, a match on the reference's."""

    iou: float = DEFAULT_IOU

    @property
    def name(self) -> str:
        return "object" if self.iou == DEFAULT_IOU else f"object@{self.iou:g}"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", self.iou),)

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        return _bookings(pair.candidate.objects, pair.reference.objects, pair.overlaps, self.iou)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        return _values(self.name, sums)


def _bookings(found: Objects, wanted: Objects, shared: Overlaps, iou: float) -> list[Booking]:
    # A match lies on one pixel only, the reference's centre: so no tile can have more matches than objects.
    pairs = matches(found, wanted, shared, iou)
    matched, used = np.zeros(len(wanted)), np.zeros(len(found))
    matched[pairs.b - 1], used[pairs.a - 1] = 1, 1
    return [
        Booking(found.row, found.col, {"fp": 1 - used}),
        Booking(wanted.row, wanted.col, {"tp": matched, "fn": 1 - matched}),
    ]


def _values(name: str, sums: Mapping[str, float]) -> list[Value]:
    tp, fp, fn = sum_of(sums, "tp", "fp", "fn")
    parts = (("precision", tp, tp + fp), ("recall", tp, tp + fn), ("f1", 2 * tp, 2 * tp + fp + fn))
    stem, at, threshold = name.partition("@")
    return [
        ratio(
            f"{stem}_{kind}{at}{threshold}",
            part,
            whole,
            n_reference=tp + fn,
            n_candidate=tp + fp,
            what="objects",
            of_candidate=kind == "precision",
        )
        for kind, part, whole in parts
    ]
