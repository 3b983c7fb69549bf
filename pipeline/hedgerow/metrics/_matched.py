"""Which objects are the same in both maps, and what is a mean over them worth? Outlines side by side, one rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.contingency import Objects, Overlaps, unions
from hedgerow.edges.views import Pair
from hedgerow.metrics._booking import Booking
from hedgerow.metrics._outlines import Polygons, outlines
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Value


@dataclass(frozen=True, eq=False)
class Matched:
    """The pairs of objects with IoU above one half: one entry each.

    `test` and `reference` are their outlines in metres, `iou` that of their pixels; `row` and `col` are the centre of
    the reference object, on which a pair is booked.
    """

    test: Polygons
    reference: Polygons
    iou: NDArray[np.float64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.iou)

    def booked(self, chosen: NDArray[Any] | slice = slice(None), **values: NDArray[Any]) -> Booking:
        """Book values on the centres of the chosen pairs."""
        return Booking(self.row[chosen], self.col[chosen], values)


def matched(pair: Pair) -> Matched:
    """Return the matched objects of a pair; ask for them by `pair.once(matched)`."""
    shapes = pair.candidate.once(outlines), pair.reference.once(outlines)
    return side_by_side(pair.candidate.objects, pair.reference.objects, pair.matches, shapes)


def side_by_side(found: Objects, wanted: Objects, cells: Overlaps, shapes: tuple[Polygons, Polygons]) -> Matched:
    """Return the pairs of objects in `cells`; `shapes` are the outlines of all found and all wanted objects."""
    test, reference = cells.a - 1, cells.b - 1
    iou = cells.px / unions(found, wanted, cells)
    return Matched(shapes[0][test], shapes[1][reference], iou, wanted.row[reference], wanted.col[reference])


def objects_booked(found: Objects, wanted: Objects) -> list[Booking]:
    """Count the objects of either map on their centres, as sums n_test and n_ref."""
    return [_counted(found, "n_test"), _counted(wanted, "n_ref")]


def mean_of_matched(name: str, sums: Mapping[str, float], total: str, count: str, *, worst: float, unit: str) -> Value:
    """Return the mean `total` / `count` of two sums under the rule for empty maps.

    Objects in neither map, or in both and none matched: no value. Objects in exactly one: the worst value. Always with
    a flag.
    """
    n_ref, n_test, part, whole = sum_of(sums, "n_ref", "n_test", total, count)
    flag = emptiness(n_ref, n_test, "objects")
    if flag and (n_ref or n_test):
        return Value(name, worst, unit, round(n_ref), flag)
    if not whole:
        return not_applicable(name, flag or "no matched objects to compare", unit=unit)
    return Value(name, part / whole, unit, round(whole))


def _counted(objects: Objects, name: str) -> Booking:
    return Booking(objects.row, objects.col, {name: np.ones(len(objects))})
