"""Do outlines keep their directions and their corners? Max tangent angle error, and the angles at matched corners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel
from shapely import Polygon

from hedgerow.arcs.network import ranges
from hedgerow.edges.views import MATCH_IOU, Pair
from hedgerow.metrics._booking import Booking
from hedgerow.metrics._corner_angles import CORNER_TURN_DEG, DECIMALS, corners, cross, dot, matched_corners
from hedgerow.metrics._levels import binned, histogram
from hedgerow.metrics._matched import matched, mean_of_matched, objects_booked
from hedgerow.metrics._outlines import Polygons, one_polygon, vertices
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.metrics._projection import nearest_points
from hedgerow.records import Better, Value

SPACING_PX = 2.0
STRETCH = 2.0
CORNER_REACH_PX = 3.0

WORST_TANGENT_DEG = 90.0
WORST_CORNER_DEG = 360.0

BETTER: Mapping[str, Better] = {"max_tangent_angle": "lower", "corner_angle_difference": "lower"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: samples every 2 px, corners that turn by more than 30 degrees, matched within 3 px."""


def build(config: Config) -> OutlineAnglesMetric:  # noqa: ARG001
    return OutlineAnglesMetric()


def max_tangent_angle(test: Polygon, reference: Polygon, *, spacing: float = SPACING_PX) -> float | None:
    """Return the largest angle, 0..90 degrees, between the contour of `test` and that of `reference`.

    The tested contour is cut into segments about as long as `spacing` (in the unit of the polygons; vertices stay),
    whose ends go to the nearest points of the reference's contour. The angle is that between a segment and what became
    of it. Segments that came out half as long or shorter, or twice as long or longer, are left out.

    Returns:
        The angle, or None where no segment is left.

    Raises:
        ScoreError: one of them is no polygon, or empty.

    Source: Girard et al. 2021 (frame field learning), with the matched reference alone as target.
    """
    angle = tangent_angles(one_polygon(test), one_polygon(reference), spacing)[0]
    return None if angle < 0 else float(angle)


def tangent_angles(test: Polygons, reference: Polygons, spacing: float) -> NDArray[np.float64]:
    """Return the max tangent angle (n,) in degrees of each pair of polygons; -1 where no segment is left."""
    at = _samples(test, spacing)
    nearest = nearest_points(at.xy, at.polygon, reference)
    before, after = at.xy[at.following] - at.xy, nearest[at.following] - nearest
    was, now = np.hypot(*before.T), np.hypot(*after.T)
    kept = (now * STRETCH > was) & (now < was * STRETCH)
    largest = np.full(len(test), -1.0)
    np.maximum.at(largest, at.polygon[kept], _unsigned_angle(before[kept], after[kept]))
    return largest


def corner_angle_differences(
    test: Polygon, reference: Polygon, *, reach: float = CORNER_REACH_PX
) -> NDArray[np.float64]:
    """Return by how much the interior angles of matched corners of two polygons differ, in degrees (n,).

    A corner is a vertex where the outline turns by more than 30 degrees. Two corners match when each is the other's
    nearest and they are at most `reach` apart (in the unit of the polygons).

    Raises:
        ScoreError: one of them is no polygon, or empty.
    """
    return matched_corners(corners(one_polygon(test)), corners(one_polygon(reference)), reach)[1]


@dataclass(frozen=True, slots=True)
class OutlineAnglesMetric:
    """Mean of the max tangent angles and median of the corner angle differences, over matched objects.

    Everything is booked on the centre of the reference object. Corners where the outline meets the frame or nodata
    are no corners of a border and are left out.
    """

    @property
    def name(self) -> str:
        return "outline_angles"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (
            ("iou", MATCH_IOU),
            ("simplified_by", "pixel diagonal"),
            ("spacing_px", SPACING_PX),
            ("corner_turn_deg", CORNER_TURN_DEG),
            ("corner_reach_px", CORNER_REACH_PX),
        )

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        found = pair.once(matched)
        pixel_m = float(np.sqrt(pair.pixel_size_m[0] * pair.pixel_size_m[1]))
        angles = tangent_angles(found.test, found.reference, SPACING_PX * pixel_m)
        test, reference = (corners(of).seen_in(pair) for of in (found.test, found.reference))
        which, difference = matched_corners(test, reference, CORNER_REACH_PX * pixel_m)
        return [
            *objects_booked(pair.candidate.objects, pair.reference.objects),
            found.booked(tangent=np.maximum(angles, 0), tangents=(angles >= 0).astype(np.float64)),
            Booking(found.row[which], found.col[which], {}, {"corner": binned(difference)}),
        ]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        tangent = mean_of_matched("max_tangent_angle", sums, "tangent", "tangents", worst=WORST_TANGENT_DEG, unit="deg")
        return [tangent, _corner_value("corner_angle_difference", sums)]


def _corner_value(name: str, sums: Mapping[str, float]) -> Value:
    n_ref, n_test = sum_of(sums, "n_ref", "n_test")
    flag = emptiness(n_ref, n_test, "objects")
    if flag and (n_ref or n_test):
        return Value(name, WORST_CORNER_DEG, "deg", round(n_ref), flag)
    corners = histogram(sums, "corner")
    median = corners.median()
    if median is None:
        return not_applicable(name, flag or "no matched corners in matched objects", unit="deg")
    return Value(name, median, "deg", round(corners.total))


@dataclass(frozen=True, eq=False)
class _Samples:
    """Points (m, 2) along contours: whose they are, and where the next one of the ring is."""

    xy: NDArray[np.float64]
    polygon: NDArray[np.int64]
    following: NDArray[np.int64]


def _samples(of: Polygons, spacing: float) -> _Samples:
    """Cut each edge into equal parts about as long as the spacing; vertices stay."""
    at = vertices(of)
    step = at.xy[at.following] - at.xy
    parts = np.maximum(np.rint(np.hypot(*step.T) / spacing), 1).astype(np.int64)
    edge = np.repeat(np.arange(len(parts)), parts)
    along = ranges(np.zeros(len(parts), np.int64), parts) / parts[edge]
    first = np.cumsum(parts) - parts
    following = np.arange(1, len(edge) + 1)
    following[first + parts - 1] = first[at.following]
    return _Samples(at.xy[edge] + step[edge] * along[:, None], at.polygon[edge], following)


def _unsigned_angle(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle (n,) in degrees, 0..90, between lines along vectors (n, 2)."""
    return np.asarray(np.round(np.degrees(np.arctan2(np.abs(cross(a, b)), np.abs(dot(a, b)))), DECIMALS))
