"""Are the borders as right from afar as from close by? Boundary F and ERQA at full, half and quarter resolution.

A noisy outline is wrong in its pixels and right in its shape: it gains when pixels are averaged, and a border that is
lost gains nothing. `scale_consistency` says how much boundary F depends on the resolution, not how high it is: read it
beside `boundary_f1`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.coarse import halved, quartered
from hedgerow.edges.views import Pair, View, view_of_labels
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._policy import not_applicable
from hedgerow.metrics.boundary_f1 import BoundaryF1Metric
from hedgerow.metrics.erqa import ErqaMetric
from hedgerow.records import FIELD, Better, Regions, Value

COARSER = {2: halved, 4: quartered}

_F1, _ERQA = BoundaryF1Metric(), ErqaMetric()

BETTER: Mapping[str, Better] = {"scale_consistency": "higher"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: resolutions 1, 1/2 and 1/4, tolerance 2 px of each."""


def build(config: Config) -> ScaleConsistencyMetric:  # noqa: ARG001
    return ScaleConsistencyMetric()


@dataclass(frozen=True, slots=True)
class ScaleConsistency:
    """Boundary F at three resolutions (None: no boundaries in either map) and 1 - (largest - smallest)."""

    n: int
    f1: float | None
    f1_half: float | None
    f1_quarter: float | None
    scale_consistency: float | None
    flag: str | None = None


def scale_consistency(
    test: NDArray[Any], reference: NDArray[Any], *, valid: NDArray[np.bool_] | None = None
) -> ScaleConsistency:
    """Return how much the boundary F of two label rasters (height, width) depends on the resolution.

    scale_consistency = 1 - (max - min) of boundary F at resolutions 1, 1/2 and 1/4, in [0, 1], tolerance 2 px of each.
    A coarse pixel has the label with the largest share of its block (blocks from the upper left corner, incomplete ones
    dropped); every value is a label, 0 too. `valid` (height, width): True = valid.

    Raises:
        ScoreError: the shapes differ, or the rasters are not of whole numbers.
    """
    if test.shape != reference.shape or test.ndim != 2 or not all(a.dtype.kind in "biu" for a in (test, reference)):
        raise ScoreError(
            f"rasters of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give two label rasters of "
            "one (height, width), of whole numbers"
        )
    counted = np.ones(test.shape, np.bool_) if valid is None else valid
    pair = Pair(_view(test, counted), _view(reference, counted))
    sums = totals(ScaleConsistencyMetric().book(pair))
    full, half, quarter = (_f1(sums, k).value for k in (1, *COARSER))
    value = ScaleConsistencyMetric().conclude(sums)[0]
    return ScaleConsistency(value.n, full, half, quarter, value.value, value.flag)


@dataclass(frozen=True, slots=True)
class ScaleConsistencyMetric:
    """Boundary F and ERQA of coarser maps; what was counted on a coarse pixel is booked in the middle of its block."""

    @property
    def name(self) -> str:
        return "scale_consistency"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("resolutions", ("1", *(f"1/{k}" for k in COARSER))), *_F1.parameters, *_ERQA.parameters)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        bookings = _at_scale(_F1.book(pair), 1)
        for k in _scales(pair):
            small = _coarser(pair, k)
            bookings += _at_scale([*_F1.book(small), *_ERQA.count(small)], k)
        return bookings

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        fs = [_f1(sums, k) for k in (1, *COARSER)]
        edges = [_renamed(_ERQA.conclude(_of_scale(sums, k))[0], k) for k in COARSER]
        return [_consistency(fs), *fs[1:], *edges]


def _consistency(fs: Sequence[Value]) -> Value:
    full, used = fs[0], [f for f in fs if f.value is not None]
    if len(used) < 2:
        return not_applicable("scale_consistency", full.flag or "boundaries at one resolution only")
    terms = tuple(f.name for f in used)
    if full.flag and full.value is not None:  # a map without boundaries is equally wrong at all resolutions
        return Value("scale_consistency", 0.0, "1", full.n, full.flag, terms)
    numbers = [f.value for f in used if f.value is not None]
    return Value("scale_consistency", 1 - (max(numbers) - min(numbers)), "1", full.n, terms_used=terms)


def _f1(sums: Mapping[str, float], k: int) -> Value:
    return _renamed(_F1.conclude(_of_scale(sums, k))[0], k)


def _renamed(value: Value, k: int) -> Value:
    return value if k == 1 else replace(value, name=value.name + _suffix(k))


def _suffix(k: int) -> str:
    return "@1" if k == 1 else f"@1/{k}"


def _of_scale(sums: Mapping[str, float], k: int) -> dict[str, float]:
    suffix = _suffix(k)
    return {name.removesuffix(suffix): total for name, total in sums.items() if name.endswith(suffix)}


def _scales(pair: Pair) -> list[int]:
    """Return the coarser resolutions at which the maps have a pixel at all."""
    return [k for k in COARSER if min(pair.shape) >= k]


def _coarser(pair: Pair, k: int) -> Pair:
    return Pair(pair.candidate.once(COARSER[k]), pair.reference.once(COARSER[k]))


def _at_scale(bookings: Sequence[Booking], k: int) -> list[Booking]:
    """Move what was booked on pixels `k` px long to the middles of their blocks, under names that say so."""
    return [
        Booking(b.rows * k + k // 2, b.cols * k + k // 2, {name + _suffix(k): v for name, v in b.values.items()})
        for b in bookings
    ]


def _view(labels: NDArray[Any], valid: NDArray[np.bool_]) -> View:
    values, number = np.unique(labels, return_inverse=True)
    regions = Regions(
        number.reshape(labels.shape).astype(np.int32) + np.int32(1), np.full(len(values) + 1, FIELD, np.uint8)
    )
    return view_of_labels(regions, valid, (1.0, 1.0))
