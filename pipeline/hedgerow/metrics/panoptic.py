"""How many objects are found, and how well do they fit? Panoptic quality, and the two factors that it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.contingency import Objects, Overlaps, matches, objects_of, overlaps, unions
from hedgerow.edges.views import MATCH_IOU, Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._fixed_point import fixed_point
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import CLASSES, FIELD, FOREST, Better, Value

BETTER: Mapping[str, Better] = {
    "panoptic_quality": "higher",
    "segmentation_quality": "higher",
    "recognition_quality": "higher",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: objects of one class match when their IoU exceeds one half."""


def build(config: Config) -> PanopticMetric:  # noqa: ARG001
    return PanopticMetric()


@dataclass(frozen=True, slots=True)
class PanopticQuality:
    """Objects matched, superfluous and missed, the matched ones' sum of IoU, and the ratios; None = no object."""

    tp: int
    fp: int
    fn: int
    iou_sum: float
    panoptic_quality: float | None
    segmentation_quality: float | None
    recognition_quality: float | None
    flag: str | None = None


def panoptic_quality(test: NDArray[Any], reference: NDArray[Any]) -> PanopticQuality:
    """Return the panoptic quality of two rasters (height, width) of one class: masks, or labels with 0 as background.

    Each 4-connected area of one value is an object; a match needs IoU > 0.5. PQ = sum of the matches' IoU
    / (TP + FP/2 + FN/2) = SQ x RQ, with SQ = the mean IoU of the matches and RQ = TP / (TP + FP/2 + FN/2).

    Source: Kirillov et al. 2019, equation 1.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"rasters of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    pairs = matches(found, wanted, overlaps(found.labels, wanted.labels), MATCH_IOU)
    one_class = [np.full(len(objects), FIELD, np.uint8) for objects in (found, wanted)]
    sums = totals(_bookings(_Segments(found, one_class[0]), _Segments(wanted, one_class[1]), pairs))
    iou, tp, fp, fn = _of_class(sums, FIELD)
    values = PanopticMetric().conclude(sums)
    quality, fit, recognition = (value.value for value in values)
    return PanopticQuality(round(tp), round(fp), round(fn), iou, quality, fit, recognition, values[0].flag)


@dataclass(frozen=True, slots=True)
class PanopticMetric:
    """The mean over the classes (field, forest) that occur; a match is booked on the reference object's centre."""

    @property
    def name(self) -> str:
        return "panoptic"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", MATCH_IOU),)

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        found, wanted = (_Segments(view.objects, view.object_classes) for view in (pair.candidate, pair.reference))
        return _bookings(found, wanted, pair.matches)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        # A class without a match has no mean IoU: it counts as 0, as everywhere where PQ is averaged over classes.
        occurring = [counts for c in (FIELD, FOREST) if any((counts := _of_class(sums, c))[1:])]
        iou, tp, fp, fn = np.array(occurring, dtype=np.float64).reshape(-1, 4).T
        n_ref, flag = float((tp + fn).sum()), emptiness(float((tp + fn).sum()), float((tp + fp).sum()), "objects")
        if not occurring:
            return [not_applicable(name, str(flag)) for name in BETTER]
        size = tp + (fp + fn) / 2
        shares = iou / size, iou / np.maximum(tp, 1), tp / size
        return [
            Value(name, float(share.mean()), "1", round(n_ref), flag)
            for name, share in zip(BETTER, shares, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Segments:
    objects: Objects
    class_of: NDArray[np.uint8]

    def booking(self, **values: NDArray[np.float64]) -> Booking:
        """Book values of the objects on their centres, under a name for each class."""
        shares = {
            f"{name}_{CLASSES[c]}": value * (self.class_of == c)
            for name, value in values.items()
            for c in (FIELD, FOREST)
        }
        return Booking(self.objects.row, self.objects.col, shares)


def _bookings(found: _Segments, wanted: _Segments, pairs: Overlaps) -> list[Booking]:
    same = found.class_of[pairs.a - 1] == wanted.class_of[pairs.b - 1]
    a, b = pairs.a[same] - 1, pairs.b[same] - 1
    used, matched, iou = np.zeros(len(found.objects)), np.zeros(len(wanted.objects)), np.zeros(len(wanted.objects))
    used[a], matched[b] = 1, 1
    iou[b] = fixed_point(pairs.px / unions(found.objects, wanted.objects, pairs))[same]
    return [found.booking(fp=1 - used), wanted.booking(tp=matched, fn=1 - matched, iou=iou)]


def _of_class(sums: Mapping[str, float], number: int) -> tuple[float, ...]:
    """Return the sum of IoU and the objects matched, superfluous and missed of one class."""
    return sum_of(sums, *(f"{name}_{CLASSES[number]}" for name in ("iou", "tp", "fp", "fn")))
