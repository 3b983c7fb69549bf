"""How many pixels have the right class? IoU, precision and recall of one class, and the agreement of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import emptiness, ratio
from hedgerow.records import FIELD, OTHER, REGION_CLASSES, Better, Value

_MANY = len(REGION_CLASSES)

_CELLS = tuple(f"{wanted}>{found}" for wanted in REGION_CLASSES for found in REGION_CLASSES)
"""The cells of the confusion matrix, named by the class in the reference and in the candidate, row by row."""

BETTER: Mapping[str, Better] = {
    "pixel_iou": "higher",
    "pixel_precision": "higher",
    "pixel_recall": "higher",
    "pixel_agreement": "higher",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """The class whose pixels count; the agreement of all classes comes with `field`."""

    target: Literal["field", "forest"] = "field"


def build(config: Config) -> PixelMetric:
    return PixelMetric(REGION_CLASSES.index(config.target))


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels of the target hit, superfluous and missed, those of equal class, and the ratios; None = none to count."""

    tp: int
    fp: int
    fn: int
    n_valid: int
    agreeing: int
    iou: float | None
    precision: float | None
    recall: float | None
    agreement: float | None
    flag: str | None = None


def pixels(
    test: NDArray[Any], reference: NDArray[Any], *, target: int = FIELD, valid: NDArray[np.bool_] | None = None
) -> Pixels:
    """Return the pixel scores of two class rasters (height, width): 0 other, 1 field, 2 forest; or of two masks.

    IoU = TP / (TP + FP + FN), precision = TP / (TP + FP), recall = TP / (TP + FN), with the counts of one class;
    agreement = the share of valid pixels whose class is the same. A map with nothing but 0 agrees with none: if the
    other shows something, every ratio is 0 and flagged.

    Args:
        test: classes of the tested map.
        reference: classes of the reference, of the same shape.
        target: the class that IoU, precision and recall count.
        valid: (height, width), True = valid; None = all. What has no class (3 in Fields of The World) is not valid.

    Raises:
        ScoreError: the shapes differ, or a valid pixel has another value than 0, 1 or 2.

    Source: Kerner et al. 2024 (Fields of The World), class 1 of a confusion matrix summed over all images.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"class rasters of {test.shape} and {reference.shape}: give two of one (height, width)")
    counted = np.ones(test.shape, np.bool_) if valid is None else valid
    for raster in (test, reference):
        _check(raster[counted])
    matrix = _confusion(totals(_bookings(test, reference, counted)))
    tp, fp, fn = _of_target(matrix, target)
    iou, precision, recall = _ratios("", matrix, target)
    flag, agreement = iou.flag, _agreement(matrix).value
    return Pixels(
        tp, fp, fn, int(matrix.sum()), int(np.trace(matrix)), iou.value, precision.value, recall.value, agreement, flag
    )


@dataclass(frozen=True, slots=True)
class PixelMetric:
    """Pixel scores of the region classes; every valid pixel is booked where it lies, once."""

    target: int = FIELD

    @property
    def name(self) -> str:
        return "pixel" if self.target == FIELD else f"pixel@{REGION_CLASSES[self.target]}"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("target", REGION_CLASSES[self.target]),)

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        return _bookings(pair.candidate.classes, pair.reference.classes, pair.valid)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        matrix = _confusion(sums)
        values = _ratios(self.name, matrix, self.target)
        return [*values, _agreement(matrix)] if self.target == FIELD else values


def _check(values: NDArray[Any]) -> None:
    if values.size and not (values.min() >= 0 and values.max() < _MANY):
        raise ScoreError(
            f"a class raster has values from {values.min()} to {values.max()}: "
            f"expected 0 to {_MANY - 1}; give what has no class as invalid (`valid`)"
        )


def _bookings(test: NDArray[Any], reference: NDArray[Any], valid: NDArray[np.bool_]) -> list[Booking]:
    cell = _MANY * reference.astype(np.uint8) + test.astype(np.uint8)
    return [booked((cell == number) & valid, **{name: None}) for number, name in enumerate(_CELLS)]


def _confusion(sums: Mapping[str, float]) -> NDArray[np.int64]:
    """Return pixels by class, (in the reference, in the candidate)."""
    return np.array([round(sums.get(name, 0)) for name in _CELLS]).reshape(_MANY, _MANY)


def _of_target(matrix: NDArray[np.int64], target: int) -> tuple[int, int, int]:
    tp = int(matrix[target, target])
    return tp, int(matrix[:, target].sum()) - tp, int(matrix[target].sum()) - tp


def _ratios(name: str, matrix: NDArray[np.int64], target: int) -> list[Value]:
    tp, fp, fn = _of_target(matrix, target)
    stem, at, suffix = name.partition("@")
    return [
        ratio(
            f"{stem}_{kind}{at}{suffix}",
            tp,
            whole,
            n_reference=tp + fn,
            n_candidate=tp + fp,
            what=f"{REGION_CLASSES[target]} pixels",
        )
        for kind, whole in (("iou", tp + fp + fn), ("precision", tp + fp), ("recall", tp + fn))
    ]


def _agreement(matrix: NDArray[np.int64]) -> Value:
    """Return the share on the diagonal. Its support are all valid pixels, its emptiness that of fields and forests."""
    n_reference, n_candidate = (int(np.delete(matrix, OTHER, axis=axis).sum()) for axis in (0, 1))
    total, flag = int(matrix.sum()), emptiness(n_reference, n_candidate, "field and forest pixels")
    if not n_reference and not n_candidate:
        return Value("pixel_agreement", None, "1", 0, flag)
    return Value("pixel_agreement", 0.0 if flag else int(np.trace(matrix)) / total, "1", total, flag)
