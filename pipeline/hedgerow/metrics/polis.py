"""How far do the outlines of matched objects lie apart? The PoLiS distance, from vertices to the other's boundary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic import BaseModel
from shapely import Polygon

from hedgerow.edges.views import MATCH_IOU, Pair
from hedgerow.metrics._booking import Booking
from hedgerow.metrics._borders import diagonal_m
from hedgerow.metrics._matched import matched, mean_of_matched, objects_booked
from hedgerow.metrics._outlines import Polygons, one_polygon, vertices
from hedgerow.metrics._policy import sum_of
from hedgerow.records import Better, Value

BETTER: Mapping[str, Better] = {"polis": "lower"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: objects match at IoU above one half; outlines are simplified by a pixel's diagonal."""


def build(config: Config) -> PolisMetric:  # noqa: ARG001
    return PolisMetric()


def polis(one: Polygon, other: Polygon) -> float:
    """Return the PoLiS distance of two polygons, in their unit; 0 for one shape, whatever its vertices.

    The mean distance from the q vertices of A to the boundary of B, and from the r vertices of B to that of A, halved
    and added. The vertex that closes a ring is not counted twice; holes have vertices and are boundary like the shell.

    Raises:
        ScoreError: one of them is no polygon, or empty.

    Source: Avbelj, Müller and Bamler 2015, equation 2.
    """
    return float(distances(one_polygon(one), one_polygon(other))[0])


def distances(one: Polygons, other: Polygons) -> NDArray[np.float64]:
    """Return the PoLiS distance (n,) of each pair of polygons."""
    return np.asarray((_directed(one, other) + _directed(other, one)) / 2)


def _directed(of: Polygons, to: Polygons) -> NDArray[np.float64]:
    """Mean distance of the vertices of each polygon to the boundary of its partner."""
    found = vertices(of)
    boundaries = shapely.boundary(to)
    shapely.prepare(boundaries)
    away = shapely.distance(boundaries[found.polygon], shapely.points(found.xy))
    return np.bincount(found.polygon, weights=away, minlength=len(of)) / found.per_polygon(len(of))


@dataclass(frozen=True, slots=True)
class PolisMetric:
    """Mean PoLiS distance of matched objects, in metres; a pair is booked on the centre of the reference object."""

    @property
    def name(self) -> str:
        return "polis"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("iou", MATCH_IOU), ("simplified_by", "pixel diagonal"))

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        found = pair.once(matched)
        apart = distances(found.test, found.reference)
        counts = objects_booked(pair.candidate.objects, pair.reference.objects)
        diagonal = diagonal_m(pair.valid, pair.pixel_size_m)
        return [
            *(_with_diagonal(booking, diagonal) for booking in counts),
            found.booked(polis_m=apart, matched=np.ones(len(found))),
        ]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test, diagonal = sum_of(sums, "n_ref", "n_test", "diagonal_m")
        worst = diagonal / max(n_ref + n_test, 1)
        return [mean_of_matched("polis", sums, "polis_m", "matched", worst=worst, unit="m")]


def _with_diagonal(counted: Booking, diagonal: float) -> Booking:
    """Book the diagonal of the scene (m) on every object: its mean is the worst value where a map has no object."""
    diagonals = np.full(len(counted.rows), diagonal)
    return Booking(counted.rows, counted.cols, {**counted.values, "diagonal_m": diagonals})
