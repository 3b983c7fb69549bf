"""Are the borders still in one piece? Coherence, longest fraction, gaps, completeness, correctness and quality.

Everything compares two line sets: the reference R and the candidate T, one pixel wide. A pixel of R is matched when T
has one within the tolerance. The matched pixels of a component of R fall into fragments; gaps up to the bridge length
do not part them, but still count as unmatched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from hedgerow.edges.distance import eroded, radius_px, within
from hedgerow.edges.views import Pair
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._levels import histogram
from hedgerow.metrics._policy import emptiness, not_applicable, ratio, sum_of
from hedgerow.records import Better, Value

DEFAULT_TOLERANCE_PX = 2.0
DEFAULT_BRIDGE_PX = 3

MANY_FALSE = 0.5
"""Share of correct lines below which what is kept of the reference's says little, and a flag says so."""

_RATIOS = ("continuity", "longest_fraction", "completeness", "correctness", "quality")
_GAPS = ("gaps", "gaps_per_km", "gap_mean", "gap_max")

BETTER: Mapping[str, Better] = {
    "continuity": "higher",
    "longest_fraction": "higher",
    "completeness": "higher",
    "correctness": "higher",
    "quality": "higher",
    "gaps": "neither",  # two gaps that meet are one: where all is lost there is a single one
    "gaps_per_km": "neither",
    "gap_mean": "lower",
    "gap_max": "lower",
}

SCENE_WIDE = frozenset({"continuity", "longest_fraction"})
"""One gap changes them at every pixel of a border: see `stages.measure.scene_wide`."""


class Config(BaseModel, frozen=True, extra="forbid"):
    """How far a line may stray (Euclidean) and how long a gap may be before it parts a border."""

    tolerance_px: float = Field(DEFAULT_TOLERANCE_PX, ge=0)
    bridge_px: int = Field(DEFAULT_BRIDGE_PX, ge=0)


def build(config: Config) -> ContinuityMetric:
    return ContinuityMetric(config.tolerance_px, config.bridge_px)


@dataclass(frozen=True, slots=True)
class Continuity:
    """Line lengths (pixel counts), gaps longer than the bridge, the ratios, and the length of gaps in metres."""

    n_reference: int
    n_test: int
    matched_reference: int
    matched_test: int
    gaps: int
    gap_px: int
    continuity: float | None
    longest_fraction: float | None
    completeness: float | None
    correctness: float | None
    quality: float | None
    gaps_per_km: float | None
    gap_mean: float | None
    gap_max: float | None
    flag: str | None = None


def continuity(
    test: NDArray[np.bool_],
    reference: NDArray[np.bool_],
    *,
    tolerance_px: float = DEFAULT_TOLERANCE_PX,
    bridge_px: int = DEFAULT_BRIDGE_PX,
    pixel_size_m: tuple[float, float] = (1.0, 1.0),
    valid: NDArray[np.bool_] | None = None,
) -> Continuity:
    """Return how the lines of `reference` survive in `test`: two line sets (height, width), one pixel wide.

    continuity = sum over components c of (sum over fragments k of l_ck^2 / L_c) / sum of L_c: the chance that two
    random points of one border are both kept and still linked. A gap is an 8-connected piece of unmatched reference
    line of more than `bridge_px` pixels; a pixel is as long as the geometric mean of its sides.

    Source: Jaeger 2000 (effective mesh size); Heipke et al. 1997 (completeness, correctness, quality, gap statistics).
    """
    if test.shape != reference.shape or test.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ScoreError(f"line sets are bool masks of one shape, got {test.shape} {test.dtype}, {reference.shape}")
    counted = np.ones_like(test) if valid is None else eroded(valid, tolerance_px)
    radius = radius_px(tolerance_px)
    lines = _Lines(test, reference, within(test, radius), within(reference, radius))
    sums = totals(_bookings(lines, counted, bridge_px, pixel_size_m))
    values = ContinuityMetric(tolerance_px, bridge_px).conclude(sums)
    concluded = {name: value.value for name, value in zip((*_RATIOS, *_GAPS), values, strict=True) if name != "gaps"}
    n_ref, n_test, hit_ref, hit_test, gaps, gap_px = (
        round(s) for s in sum_of(sums, "n_ref", "n_test", "hit_ref", "hit_test", "gaps", "gap_px")
    )
    return Continuity(
        n_reference=n_ref,
        n_test=n_test,
        matched_reference=hit_ref,
        matched_test=hit_test,
        gaps=gaps,
        gap_px=gap_px,
        **concluded,
        flag=values[0].flag,
    )


@dataclass(frozen=True, slots=True)
class ContinuityMetric:
    """Scores of line sets; a matched pixel is booked with the share of its component that it is still linked to."""

    tolerance_px: float = DEFAULT_TOLERANCE_PX
    bridge_px: int = DEFAULT_BRIDGE_PX

    @property
    def name(self) -> str:
        return "continuity" + self._suffix

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("tolerance_px", self.tolerance_px), ("bridge_px", self.bridge_px))

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        radius = radius_px(self.tolerance_px)
        lines = _Lines(
            pair.candidate.line,
            pair.reference.line,
            pair.candidate.near("line", radius),
            pair.reference.near("line", radius),
        )
        return _bookings(lines, pair.reference.valid_within(self.tolerance_px), self.bridge_px, pair.pixel_size_m)

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        n_ref, n_test, hit_ref, hit_test = sum_of(sums, "n_ref", "n_test", "hit_ref", "hit_test")
        linked, longest = sum_of(sums, "linked", "longest")
        parts = (
            (linked, n_ref),
            (longest, n_ref),
            (hit_ref, n_ref),
            (hit_test, n_test),
            (hit_test, n_test + n_ref - hit_ref),
        )
        values = [
            ratio(
                name + self._suffix,
                part,
                whole,
                n_reference=n_ref,
                n_candidate=n_test,
                what="lines",
                of_candidate=name == "correctness",
            )
            for name, (part, whole) in zip(_RATIOS, parts, strict=True)
        ]
        if n_ref > 0 and 0 < hit_test < MANY_FALSE * n_test:
            values[:3] = [replace(value, flag=_false_lines(hit_test / n_test)) for value in values[:3]]
        return [*values, *self._gap_values(sums)]

    def _gap_values(self, sums: Mapping[str, float]) -> list[Value]:
        n_ref, n_test, gaps, length_m = sum_of(sums, "n_ref", "n_test", "gaps", "length_m")
        flag = emptiness(n_ref, n_test, "lines")
        units = dict(zip(_GAPS, ("1", "1/km", "m", "m"), strict=True))
        if not n_ref:
            return [not_applicable(name + self._suffix, str(flag), unit=unit) for name, unit in units.items()]
        gap_m = histogram(sums, "gap_m")
        mean = float(gap_m.level @ gap_m.count) / (gaps or 1.0)
        numbers = (gaps, 1000 * gaps / length_m, mean, float(gap_m.level.max(initial=0.0)))
        return [
            Value(name + self._suffix, number, unit, round(n_ref), flag)
            for (name, unit), number in zip(units.items(), numbers, strict=True)
        ]

    @property
    def _suffix(self) -> str:
        parts = [f"{self.tolerance_px:g}px"] if self.tolerance_px != DEFAULT_TOLERANCE_PX else []
        parts += [f"bridge{self.bridge_px}px"] if self.bridge_px != DEFAULT_BRIDGE_PX else []
        return "@" + ",".join(parts) if parts else ""


def _false_lines(correctness: float) -> str:
    """Say that a recall is cheap: who draws lines everywhere keeps every border."""
    return f"only {correctness:.0%} of the candidate's lines lie on the reference's"


@dataclass(frozen=True, slots=True)
class _Lines:
    test: NDArray[np.bool_]
    reference: NDArray[np.bool_]
    near_test: NDArray[np.bool_]
    near_reference: NDArray[np.bool_]


def _bookings(
    lines: _Lines, counted: NDArray[np.bool_], bridge_px: int, pixel_size_m: tuple[float, float]
) -> list[Booking]:
    reference, test = lines.reference & counted, lines.test & counted
    matched = reference & lines.near_test
    metre = float(np.sqrt(pixel_size_m[0] * pixel_size_m[1]))
    length = booked(reference, n_ref=None, hit_ref=matched)
    length_m = np.full(len(length.rows), metre)
    return [
        Booking(length.rows, length.cols, {**length.values, "length_m": length_m}),
        booked(test, n_test=None, hit_test=lines.near_reference),
        *_fragments(reference, matched, bridge_px, metre),
    ]


def _fragments(reference: NDArray[np.bool_], matched: NDArray[np.bool_], bridge_px: int, metre: float) -> list[Booking]:
    """Book what each matched pixel is linked to, whether it is in the longest fragment, and the gaps."""
    gaps = _components(reference & ~matched)
    gap_px = np.bincount(gaps.ravel())
    bridged = matched | ((gaps > 0) & (gap_px <= bridge_px)[gaps])
    component, fragment = _components(reference), _components(bridged)
    pixels = np.flatnonzero(matched)
    rows, cols = np.divmod(pixels, matched.shape[1])
    whole, part = component.ravel()[pixels], fragment.ravel()[pixels]
    length = np.bincount(component.ravel())
    kept = np.bincount(part, minlength=1)
    linked = kept[part] / length[whole]
    values = {"linked": linked, "longest": (part == _longest(whole, part, kept)[whole]).astype(np.float64)}
    return [Booking(rows, cols, values), _gap_booking(gaps, gap_px, bridge_px, metre)]


def _longest(whole: NDArray[np.int32], part: NDArray[np.int32], kept: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, by component, its longest fragment; the first of equals."""
    best = np.zeros(int(whole.max(initial=0)) + 1, dtype=np.int64)
    # Assigned from the shortest to the longest and, among equals, from the last to the first: the winner stays.
    order = np.lexsort((-part, kept[part]))
    best[whole[order]] = part[order]
    return best


def _gap_booking(gaps: NDArray[np.int32], gap_px: NDArray[np.int64], bridge_px: int, metre: float) -> Booking:
    """Book each gap that is longer than the bridge on its first pixel.

    Its length is a counted level: so the longest gap, too, can be read off added sums.
    """
    pixels = np.flatnonzero(gaps)
    number, first = np.unique(gaps.ravel()[pixels], return_index=True)
    long = gap_px[number] > bridge_px
    rows, cols = np.divmod(pixels[first[long]], gaps.shape[1])
    lengths = gap_px[number[long]].astype(np.float64)
    sums = {"gaps": np.ones(len(lengths)), "gap_px": lengths}
    return Booking(rows, cols, sums, levels={"gap_m": lengths * metre})


def _components(mask: NDArray[np.bool_]) -> NDArray[np.int32]:
    return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=8)[1])
