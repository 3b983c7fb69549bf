"""Are the fields too large or too small? Area error and bias of matched objects, in percent and in hectares a field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.contingency import Objects, Overlaps, matches, objects_of, overlaps
from hedgerow.edges.views import MATCH_IOU, Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Better, Value

M2_PER_HA = 10_000.0

BETTER: Mapping[str, Better] = {
    "area_error": "lower",
    "area_bias": "zero",
    "area_bias_ha": "zero",
}

_UNITS = {"area_error": "%", "area_bias": "%", "area_bias_ha": "ha"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: objects match when their IoU exceeds one half."""


def build(config: Config) -> AreaMetric:  # noqa: ARG001
    return AreaMetric()


@dataclass(frozen=True, slots=True)
class Areas:
    """Objects of either raster, pairs of them, the differences in percent and in hectares; None = nothing matched."""

    n_reference: int
    n_test: int
    matched: int
    area_error: float | None
    area_bias: float | None
    area_bias_ha: float | None
    flag: str | None = None


def areas(test: NDArray[Any], reference: NDArray[Any], *, pixel_size_m: tuple[float, float] = (1.0, 1.0)) -> Areas:
    """Return how the areas differ in two rasters (height, width): masks, or labels with 0 as background.

    Each 4-connected area of one value is an object, two of them match when IoU > 0.5. Over the matched pairs, with
    areas T and R: error = 100 sum |T - R| / sum R and bias = 100 sum (T - R) / sum R in %, and the bias in hectares is
    the mean of T - R. What is lost or superfluous does not count, unless one raster shows nothing at all: then its
    areas are 0 (-100 % for a lost, +100 % for an invented map), flagged.

    Args:
        test: the tested raster.
        reference: the reference, of the same shape.
        pixel_size_m: (height, width) of a pixel in metres.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"rasters of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    pairs = matches(found, wanted, overlaps(found.labels, wanted.labels), MATCH_IOU)
    values = AreaMetric().conclude(totals(_bookings(found, wanted, pairs, pixel_size_m)))
    error, bias, bias_ha = (value.value for value in values)
    return Areas(len(wanted), len(found), len(pairs.px), error, bias, bias_ha, values[0].flag)


@dataclass(frozen=True, slots=True)
class AreaMetric:
    """Areas of matched fields and forests; a pair is booked on the reference object's centre."""

    @property
    def name(self) -> str:
        return "area"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", MATCH_IOU),)

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        return _bookings(pair.candidate.objects, pair.reference.objects, pair.matches, pair.pixel_size_m)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        matched, alone, missed = sum_of(sums, "matched", "alone", "missed")
        if matched:
            apart, larger, reference = sum_of(sums, "apart_m2", "larger_m2", "ref_m2")
            return _values((100 * apart / reference, 100 * larger / reference, larger / matched / M2_PER_HA), matched)
        flag = emptiness(missed, alone, "objects")
        if bool(missed) == bool(alone):
            return [not_applicable(name, flag or "no object is matched", unit=unit) for name, unit in _UNITS.items()]
        invented_m2, lost_m2 = sum_of(sums, "alone_m2", "missed_m2")
        each_ha = (invented_m2 - lost_m2) / (alone + missed) / M2_PER_HA
        return _values((100.0, 100.0 if alone else -100.0, each_ha), missed, flag)


def _bookings(found: Objects, wanted: Objects, pairs: Overlaps, pixel_size_m: tuple[float, float]) -> list[Booking]:
    pixel_m2 = pixel_size_m[0] * pixel_size_m[1]
    found_px, wanted_px = found.area_px[pairs.a - 1], wanted.area_px[pairs.b - 1]
    larger_m2 = (found_px - wanted_px) * pixel_m2
    values = {
        "matched": np.ones(len(wanted_px)),
        "ref_m2": wanted_px * pixel_m2,
        "larger_m2": larger_m2,
        "apart_m2": np.abs(larger_m2),
    }
    return [
        Booking(wanted.row[pairs.b - 1], wanted.col[pairs.b - 1], values),
        _without_partner("alone", found, pairs.a, pixel_m2),
        _without_partner("missed", wanted, pairs.b, pixel_m2),
    ]


def _without_partner(name: str, objects: Objects, paired: NDArray[np.int64], pixel_m2: float) -> Booking:
    rest = np.setdiff1d(np.arange(len(objects)), paired - 1)
    values = {name: np.ones(len(rest)), f"{name}_m2": objects.area_px[rest] * pixel_m2}
    return Booking(objects.row[rest], objects.col[rest], values)


def _values(numbers: tuple[float, float, float], n: float, flag: str | None = None) -> list[Value]:
    return [
        Value(name, number, unit, round(n), flag) for (name, unit), number in zip(_UNITS.items(), numbers, strict=True)
    ]
