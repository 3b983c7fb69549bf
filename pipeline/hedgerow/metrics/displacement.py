"""How far apart do two maps draw the same boundary, and which way has it moved? Distances in metres on the ground.

Every boundary pixel of either map looks for the nearest one of the other map. Distances say how far (`assd`, `hd95`),
the side on which the candidate lies says whether parcels grew (`border_shift`), and the direction whether the map moved
(`border_shift_east`, `border_shift_north`). B(L) marks the left or upper pixel of a border, in both maps alike.

Boundary pixels beside nodata count too: nothing reaches into nodata here, and no reach would be wide enough to know
what the other map would have drawn there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._borders import Border, Steps, border_of, diagonal_m, parcels_of
from hedgerow.metrics._levels import Histogram, binned, histogram
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.metrics._registration import registration_booking, registration_values
from hedgerow.records import FIELD, OTHER, Better, Regions, Value

SHARE = 0.95
"""How many of the boundary pixels are at most as far away as `hd95`."""

BETTER: Mapping[str, Better] = {
    "assd": "lower",
    "hd95": "lower",
    "border_shift": "zero",
    "border_shift_east": "zero",
    "border_shift_north": "zero",
}

_NO_OUTSIDE = "no border of the reference parts a parcel from another class"


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: distances have no tolerance."""


def build(config: Config) -> DisplacementMetric:  # noqa: ARG001
    return DisplacementMetric()


@dataclass(frozen=True, slots=True)
class Displacement:
    """Boundary pixels, the sums of their distances to the other map, and the scores, all in metres.

    A score is None where there is nothing to compare; the shifts are None, too, for masks, which have no inside.
    """

    n_reference: int
    n_test: int
    to_test_m: float
    to_reference_m: float
    assd: float | None
    hd95: float | None
    border_shift: float | None
    border_shift_east: float | None
    border_shift_north: float | None
    flag: str | None = None


def displacement(
    test: NDArray[Any],
    reference: NDArray[Any],
    *,
    pixel_size_m: tuple[float, float] = (1.0, 1.0),
    valid: NDArray[np.bool_] | None = None,
) -> Displacement:
    """Return how far apart, in metres, the boundaries of `test` and `reference` lie.

    assd is the mean distance of all boundary pixels of either map to the other map. hd95 is the larger of the two
    directed 95th percentiles, to 1/16 px. border_shift is the median signed distance from the reference's borders
    between a field and what is none to the candidate's nearest border: + outside of the field, - inside.
    border_shift_east (_north) is the median way east (north) to it, over borders that part left from right (upper from
    lower) neighbours; rows grow southwards.

    Args:
        test: boundary pixels (height, width) bool; or labels (height, width) of integers: each number above 0 is a
            field, all else is none.
        reference: the same kind of array, of the same shape.
        pixel_size_m: (height, width) of a pixel in metres.
        valid: (height, width), True = valid; all else makes no boundary.

    Raises:
        ScoreError: the arrays have different shapes, or are not both bool or both integers.

    Source: Heimann et al. 2009 (average symmetric surface distance); Huttenlocher et al. 1993 (ranked Hausdorff
    distance), here at rank 95 %.
    """
    valid = np.ones(test.shape, np.bool_) if valid is None else valid
    _check(test, reference, valid)
    if test.dtype == np.bool_:
        borders = Border.of(test & valid, pixel_size_m), Border.of(reference & valid, pixel_size_m)
        sums = totals(_distance_bookings(*borders, _steps(*borders), diagonal_m(valid, pixel_size_m)))
    else:
        views = (view_of_labels(_fields(labels), valid, pixel_size_m) for labels in (test, reference))
        sums = totals(DisplacementMetric().book(Pair(*views)))
    n_ref, n_test, to_test_m, to_reference_m = sum_of(sums, "n_ref", "n_test", "to_test_m", "to_ref_m")
    values = DisplacementMetric().conclude(sums)
    scores = {value.name: value.value for value in values}
    return Displacement(round(n_ref), round(n_test), to_test_m, to_reference_m, flag=values[0].flag, **scores)


@dataclass(frozen=True, slots=True)
class DisplacementMetric:
    """Distances of the region boundaries; each boundary pixel is booked where it lies, a shift on the reference's."""

    @property
    def name(self) -> str:
        return "displacement"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("share", SHARE),)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        borders = pair.candidate.once(border_of), pair.reference.once(border_of)
        steps = _steps(*borders)
        shifts = [] if steps[1] is None else _shift_bookings(pair.reference, steps[1])
        return [*_distance_bookings(*borders, steps, diagonal_m(pair.valid, pair.pixel_size_m)), *shifts]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test = sum_of(sums, "n_ref", "n_test")
        empty = emptiness(n_ref, n_test, "boundaries")
        return [
            *_distances(sums, empty),
            _shift(histogram(sums, "border_shift"), empty),
            *registration_values(sums, empty),
        ]


def _distances(sums: Mapping[str, float], empty: str | None) -> list[Value]:
    """Give assd and hd95; a tile or layer with one map only counts its distances to what the other shows elsewhere."""
    n_ref, n_test, lone, to_test_m, to_ref_m = sum_of(sums, "n_ref", "n_test", "lone", "to_test_m", "to_ref_m")
    if not n_ref and not n_test:
        return [not_applicable(name, str(empty), unit="m") for name in ("assd", "hd95")]
    missed = f"{round(lone)} boundary pixels count the scene's diagonal, where the other map has no boundary"
    flag = missed if lone else empty
    directed = (histogram(sums, name).quantile(SHARE) for name in ("to_test", "to_ref"))
    farthest = max(level for level in directed if level is not None)
    mean = (to_test_m + to_ref_m) / (n_test + n_ref)
    return [Value(name, m, "m", round(n_ref), flag) for name, m in (("assd", mean), ("hd95", farthest))]


def _shift(shifts: Histogram, empty: str | None) -> Value:
    median = shifts.median()
    if median is None:
        return not_applicable("border_shift", empty or _NO_OUTSIDE, unit="m")
    return Value("border_shift", median, "m", round(shifts.total), empty)


def _steps(test: Border, reference: Border) -> tuple[Steps | None, Steps | None]:
    return test.steps_to(reference), reference.steps_to(test)


def _distance_bookings(
    test: Border, reference: Border, steps: tuple[Steps | None, Steps | None], diagonal: float
) -> list[Booking]:
    return [
        _distance_booking(test, steps[0], diagonal, count="n_test", name="to_ref"),
        _distance_booking(reference, steps[1], diagonal, count="n_ref", name="to_test"),
    ]


def _distance_booking(border: Border, steps: Steps | None, diagonal: float, *, count: str, name: str) -> Booking:
    """Book each boundary pixel with its distance; if the other map has none with the diagonal, so that a miss costs."""
    if steps is None:
        distance = level = np.full(len(border), diagonal)
    else:
        distance = border.length_m(steps)
        level = binned(distance, _metre(border))
    alone = np.full(len(border), float(steps is None))
    sums = {count: np.ones(len(border)), "lone": alone, f"{name}_m": distance}
    return Booking(border.rows, border.cols, sums, levels={name: level})


def _shift_bookings(reference: View, steps: Steps) -> list[Booking]:
    border, parcel = reference.once(border_of), reference.once(parcels_of)
    inside = reference.regions.labels[border.rows + steps[:, 0], border.cols + steps[:, 1]] == parcel
    outward_m = binned(np.where(inside, -1.0, 1.0) * border.length_m(steps), _metre(border))
    sided = parcel != 0
    shift = Booking(border.rows[sided], border.cols[sided], {}, levels={"border_shift": outward_m[sided]})
    return [shift, registration_booking(reference, steps)]


def _metre(border: Border) -> float:
    """Return the geometric mean of the pixel's sides."""
    return float(np.sqrt(border.size_m[0] * border.size_m[1]))


def _fields(labels: NDArray[np.integer[Any]]) -> Regions:
    """Return a label raster as regions: what is not above 0 is `other`, each number above 0 a field."""
    numbers, dense = np.unique(np.maximum(labels, 0), return_inverse=True)
    class_of = np.r_[OTHER, np.where(numbers > 0, FIELD, OTHER)].astype(np.uint8)
    return Regions(dense.reshape(labels.shape).astype(np.int32) + 1, class_of)


def _check(test: NDArray[Any], reference: NDArray[Any], valid: NDArray[np.bool_]) -> None:
    masks = test.dtype == reference.dtype == np.bool_
    labels = all(np.issubdtype(array.dtype, np.integer) for array in (test, reference))
    if test.ndim != 2 or not test.shape == reference.shape == valid.shape or not (masks or labels):
        raise ScoreError(
            f"boundaries of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}, valid {valid.shape}: "
            "give bool masks of boundary pixels, or integer labels, of one shape (height, width)"
        )
