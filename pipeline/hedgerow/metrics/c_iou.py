"""Are the objects as simple as they should be? IoU weighed by how many vertices their outlines have (C-IoU)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.contingency import matches, objects_of, overlaps
from hedgerow.edges.views import MATCH_IOU, Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._matched import Matched, matched, mean_of_matched, objects_booked, side_by_side
from hedgerow.metrics._outlines import outlines_of, vertices
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

BETTER: Mapping[str, Better] = {"c_iou": "higher", "vertex_ratio": "one"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: objects match at IoU above one half; outlines are simplified by a pixel's diagonal."""


def build(config: Config) -> CIouMetric:  # noqa: ARG001
    return CIouMetric()


@dataclass(frozen=True, slots=True)
class CIou:
    """Objects of either raster, those matched, and their scores; None when neither raster has an object."""

    n_reference: int
    n_test: int
    matched: int
    c_iou: float | None
    vertex_ratio: float | None
    flag: str | None = None


def c_iou(test: NDArray[Any], reference: NDArray[Any], *, pixel_size_m: tuple[float, float] = (1.0, 1.0)) -> CIou:
    """Return the C-IoU of two rasters (height, width): masks, or labels with 0 as background.

    Each 4-connected area of one value is an object. c_iou = mean over the objects of the reference of
    IoU (1 - |N' - N| / (N' + N)), 0 where none is matched at IoU above one half; N' and N are the vertices of the
    simplified outlines, shells and holes, the closing vertices left out. vertex_ratio = sum of N' / sum of N over the
    matched objects.

    Source: Zorzi et al. 2022 (PolyWorld), who take both once per image: there the union of all polygons is compared
    and all vertices are counted, so that polygons too simple here make up for polygons too ragged there.
    """
    if test.shape != reference.shape or test.ndim != 2:
        raise ScoreError(f"rasters of shape {test.shape} and {reference.shape}: give two of one (height, width)")
    found, wanted = objects_of(test), objects_of(reference)
    cells = matches(found, wanted, overlaps(found.labels, wanted.labels), MATCH_IOU)
    shapes = outlines_of(found, pixel_size_m), outlines_of(wanted, pixel_size_m)
    sums = totals([*objects_booked(found, wanted), _booking(side_by_side(found, wanted, cells, shapes))])
    score, simplicity = CIouMetric().conclude(sums)
    return CIou(len(wanted), len(found), len(cells.a), score.value, simplicity.value, score.flag)


@dataclass(frozen=True, slots=True)
class CIouMetric:
    """C-IoU per reference object, a missed one counting 0, and the vertices of matched objects, now over before."""

    @property
    def name(self) -> str:
        return "c_iou"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", MATCH_IOU), ("simplified_by", "pixel diagonal"))

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        counts = objects_booked(pair.candidate.objects, pair.reference.objects)
        return [*counts, _booking(pair.once(matched))]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test, total = sum_of(sums, "n_ref", "n_test", "c_iou")
        return [
            ratio("c_iou", total, n_ref, n_reference=n_ref, n_candidate=n_test, what="objects"),
            mean_of_matched("vertex_ratio", sums, "vertices_test", "vertices_ref", worst=0.0, unit="1"),
        ]


def _booking(pairs: Matched) -> Booking:
    now, was = (vertices(of).per_polygon(len(pairs)) for of in (pairs.test, pairs.reference))
    simplicity = 1 - np.abs(now - was) / (now + was)
    return pairs.booked(c_iou=pairs.iou * simplicity, vertices_test=now, vertices_ref=was)
