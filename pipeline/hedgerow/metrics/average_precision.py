"""Are the objects that the model is sure of the right ones? Average precision over the ranking by confidence.

An object's confidence is the mean probability of its class over its pixels. Objects are accepted from the surest down;
precision as a function of recall is read at 101 recalls. Ranks do not add up over tiles, but counts do: each object is
counted at its confidence, in steps of 1/256, under the highest IoU threshold that it passes. Objects on one step enter
together, so their order never matters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.contingency import Objects, Overlaps, matches, objects_of, overlaps, unions
from hedgerow.edges.views import MATCH_IOU, Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._levels import BINS_PER_UNIT, binned, histogram
from hedgerow.metrics._policy import emptiness, sum_of
from hedgerow.records import CLASSES, FIELD, FOREST, Better, Value

STEPS = 256
"""Confidences are told apart in steps of 1/256, as fine as the probabilities are written."""

_PER_ONE = 20
_THRESHOLDS = tuple(range(10, 20))
"""IoU thresholds in twentieths: .50, .55, ... .95. Integers keep `IoU > t` exact."""

RECALLS = 100
"""Precision is read at recall 0/100, 1/100, ... 100/100."""

BETTER: Mapping[str, Better] = {
    "object_ap": "higher",
    "object_ap50": "higher",
    "object_ap75": "higher",
}

Curves = NDArray[np.float64]


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: thresholds and recalls are those of COCO."""


def build(config: Config) -> AveragePrecisionMetric:  # noqa: ARG001
    return AveragePrecisionMetric()


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """Objects of either raster, and AP at IoU .50:.05:.95, .50 and .75; None when neither raster has an object."""

    n_reference: int
    n_test: int
    ap: float | None
    ap50: float | None
    ap75: float | None
    flag: str | None = None


def average_precision(
    test: NDArray[Any], reference: NDArray[Any], *, probability: NDArray[np.uint8] | None = None
) -> AveragePrecision:
    """Return the AP of two rasters (height, width) of one class: masks, or labels with 0 as background.

    Each 4-connected area of one value is an object; one of `test` is right at threshold t if its IoU with one of
    `reference` exceeds t. AP = the mean of p(r) over the recalls r = 0, .01, ... 1, with p(r) the highest precision
    that any confidence limit reaches at a recall of at least r, else 0.

    Args:
        test: the tested raster.
        reference: the reference, of the same shape.
        probability: (height, width) 0..255, whose mean over an object ranks it; None = all rank equal.

    Source: Lin et al. 2014 (COCO), with IoU > t instead of >= t and ties entering together.
    """
    shapes = {test.shape, reference.shape, test.shape if probability is None else probability.shape}
    if len(shapes) > 1 or test.ndim != 2:
        raise ScoreError(f"rasters of shapes {sorted(shapes)}: give all of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    pairs = matches(found, wanted, overlaps(found.labels, wanted.labels), MATCH_IOU)
    sure = None if probability is None else _means(probability, found)
    of_field = [np.full(len(objects), FIELD, np.uint8) for objects in (found, wanted)]
    ranked = _Ranked(found, of_field[0], sure)
    values = AveragePrecisionMetric().conclude(totals(_bookings(ranked, wanted, of_field[1], pairs)))
    ap, ap50, ap75 = (value.value for value in values)
    return AveragePrecision(len(wanted), len(found), ap, ap50, ap75, values[0].flag)


@dataclass(frozen=True, slots=True)
class AveragePrecisionMetric:
    """AP of fields and forests, the mean over the classes that the reference holds.

    A candidate object that matches (same class, IoU > 0.5) is booked on its partner's centre, any other on its own.
    """

    @property
    def name(self) -> str:
        return "average_precision"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", "0.50:0.05:0.95"), ("recalls", RECALLS + 1), ("confidence_step", 1 / STEPS))

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        found, wanted = pair.candidate, pair.reference
        ranked = _Ranked(found.objects, found.object_classes, found.once(confidences))
        return _bookings(ranked, wanted.objects, wanted.object_classes, pair.matches)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_test, n_ref, unranked = sum_of(sums, "n_test", "n_ref", "unranked")
        flag = emptiness(n_ref, n_test, "objects")
        if not n_ref:
            return [Value(name, 0.0 if n_test else None, "1", 0, flag) for name in BETTER]
        held = [(c, n) for c in (FIELD, FOREST) if (n := sums.get(f"n_{CLASSES[c]}", 0))]
        ap = np.mean([_interpolated(*_counts(sums, c), n) for c, n in held], axis=0)
        chosen = float(ap.mean()), float(ap[0]), float(ap[_THRESHOLDS.index(15)])
        return [
            Value(name, value, "1", round(n_ref), flag or _tied(unranked, n_test, value))
            for name, value in zip(BETTER, chosen, strict=True)
        ]


def confidences(view: View) -> NDArray[np.float64] | None:
    """Return the mean probability of each object's class over its pixels, 0 to 1; None = the view has only p."""
    if view.probabilities is None:
        return None
    of_class = np.where(view.classes == FOREST, view.probabilities[FOREST], view.probabilities[FIELD])
    return _means(of_class, view.objects)


@dataclass(frozen=True, slots=True)
class _Ranked:
    objects: Objects
    class_of: NDArray[np.uint8]
    confidence: NDArray[np.float64] | None

    @property
    def level(self) -> NDArray[np.float64]:
        """The step of each object's confidence; 1 for all where the map has none."""
        if self.confidence is None:
            return np.ones(len(self.objects))
        return binned(self.confidence, BINS_PER_UNIT / STEPS)

    def booking(self, members: NDArray[np.int64], name: str, places: Objects, at: NDArray[np.int64]) -> Booking:
        """Count members at their confidence, each on the centre of an object of `places`."""
        counts = {"n_test": np.ones(len(members)), "unranked": np.full(len(members), float(self.confidence is None))}
        return Booking(places.row[at], places.col[at], counts, {name: self.level[members]})


def _means(values: NDArray[np.uint8], objects: Objects) -> NDArray[np.float64]:
    total = np.bincount(objects.labels.ravel(), weights=values.ravel(), minlength=len(objects) + 1)[1:]
    return np.asarray(total / objects.area_px / 255)


def _bookings(found: _Ranked, wanted: Objects, wanted_class: NDArray[np.uint8], pairs: Overlaps) -> list[Booking]:
    same = found.class_of[pairs.a - 1] == wanted_class[pairs.b - 1]
    a, b = pairs.a[same] - 1, pairs.b[same] - 1
    passed = _highest_passed(pairs.px, unions(found.objects, wanted, pairs))[same]
    alone = np.ones(len(found.objects), np.bool_)
    alone[a] = False
    bookings = [_wanted(wanted, wanted_class)]
    for c in (FIELD, FOREST):
        false = np.flatnonzero(alone & (found.class_of == c))
        bookings.append(found.booking(false, _name("alone", c), found.objects, false))
        for step in _THRESHOLDS:
            true = (passed == step) & (found.class_of[a] == c)
            bookings.append(found.booking(a[true], _name("passed", c, step), wanted, b[true]))
    return bookings


def _wanted(wanted: Objects, class_of: NDArray[np.uint8]) -> Booking:
    by_class = {f"n_{CLASSES[c]}": (class_of == c).astype(np.float64) for c in (FIELD, FOREST)}
    return Booking(wanted.row, wanted.col, {"n_ref": np.ones(len(wanted)), **by_class})


def _highest_passed(px: NDArray[np.int64], union_px: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the highest threshold, in twentieths, that each IoU exceeds: 20 px > t union, in integers."""
    return np.asarray(np.minimum((_PER_ONE * px - 1) // union_px, _THRESHOLDS[-1]))


def _name(what: str, number: int, step: int | None = None) -> str:
    return f"{what}_{CLASSES[number]}" + ("" if step is None else f"_{step / _PER_ONE:.2f}")


def _counts(sums: Mapping[str, float], number: int) -> tuple[Curves, Curves]:
    """Return how many objects are accepted from each confidence on, surest first: right ones, and all.

    Of shape (thresholds, steps) and (steps,).
    """
    passed = np.stack([_at_steps(sums, _name("passed", number, step)) for step in _THRESHOLDS])
    everyone = passed.sum(axis=0) + _at_steps(sums, _name("alone", number))
    right = np.cumsum(passed[::-1], axis=0)[::-1]  # who passes .75 passes .70 too
    return np.cumsum(right[:, ::-1], axis=1), np.cumsum(everyone[::-1])


def _at_steps(sums: Mapping[str, float], name: str) -> Curves:
    counted = histogram(sums, name)
    step = np.rint(counted.level * STEPS).astype(np.int64)
    return np.bincount(step, weights=counted.count, minlength=STEPS + 1).astype(np.float64)


def _interpolated(right: Curves, everyone: Curves, n_ref: float) -> Curves:
    """Return the mean precision over the recalls, for each threshold."""
    precision = right / np.maximum(everyone, 1)
    reached = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    never = np.zeros((len(right), 1))
    reached = np.concatenate([reached, never], axis=1)
    # A recall of j/100 is reached where 100 right ones >= j wanted ones: in integers, no recall is missed by rounding.
    first = np.stack([np.searchsorted(RECALLS * row, np.arange(RECALLS + 1) * n_ref) for row in right])
    return np.asarray(np.take_along_axis(reached, first, axis=1).mean(axis=1))


def _tied(unranked: float, n_test: float, value: float) -> str | None:
    """Say that there was no ranking, where one could have mattered."""
    if not unranked or value in (0.0, 1.0):
        return None
    return (
        "no confidences: all objects tie" if unranked == n_test else "some maps have no confidences: their objects tie"
    )
