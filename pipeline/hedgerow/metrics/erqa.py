"""Which share of the edges is restored? ERQA (Kirillova et al. 2021), in a form for maps and in the original form.

Profile `geo`: no global shift is undone (it would hide registration errors up to 3 px) but the shift at which most
edges meet is reported, nothing wraps round the frame, nodata is taken out before hysteresis. Profile `reference`: as
the package `erqa` 1.1.2, except that no hit at all gives 0 instead of NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, model_validator

from hedgerow.edges.canny import HIGH, LOW, canny
from hedgerow.edges.detection import FIXED, HIGH_QUANTILE, LOW_QUANTILE, Detection, Thresholds
from hedgerow.edges.matching import EdgeMatch, Version, match_edges
from hedgerow.edges.shift import Shift, best_shift, crops, scan_order
from hedgerow.edges.views import Pair, View
from hedgerow.metrics._booking import Booking, booked
from hedgerow.metrics._edge_scores import counts, meetings_booked, ratios, shift_values
from hedgerow.metrics._erqa_images import Options, Profile, match_images
from hedgerow.metrics._overlay import overlay_of
from hedgerow.metrics._policy import not_applicable, sum_of
from hedgerow.records import Better, Value

BETTER: Mapping[str, Better] = {
    "erqa": "higher",
    "erqa_reference": "higher",
    "erqa_jaccard": "higher",
    "erqa_precision": "higher",
    "erqa_recall": "higher",
    # Counts grow with the scene, and an empty map has no misplaced edge: they tell, the ratios judge.
    "erqa_tp": "neither",
    "erqa_fp": "neither",
    "erqa_fn": "neither",
    "erqa_shift_y": "zero",
    "erqa_shift_x": "zero",
    "erqa_shift_m": "lower",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Which of the two forms; version 1.1 pairs edges one to one, 1.0 lets them share.

    Thresholds and cleaning as in `edges.detection.Detection`, for profile `geo` only.
    """

    profile: Profile = "geo"
    version: Version = "1.1"
    thresholds: Thresholds = "fixed"
    low_quantile: float = Field(LOW_QUANTILE, ge=0, le=1)
    high_quantile: float = Field(HIGH_QUANTILE, ge=0, le=1)
    clean_px: int = Field(0, ge=0)

    @property
    def detection(self) -> Detection:
        """How edges are found."""
        return Detection(self.thresholds, self.low_quantile, self.high_quantile, self.clean_px)

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.low_quantile > self.high_quantile:
            raise ValueError("low_quantile exceeds high_quantile")
        if self.profile == "reference" and self.detection != FIXED:
            raise ValueError("profile 'reference' has fixed thresholds and no clean_px: use profile 'geo'")
        return self


def build(config: Config) -> ErqaMetric:
    return ErqaMetric(config.profile, config.version, config.detection)


@dataclass(frozen=True, slots=True)
class Erqa:
    """Counts of edge pixels and what follows from them; a ratio is None when neither image has an edge (profile geo).

    `shift_yx` (rows, columns), + = the tested image lies further down or right: the displacement that was undone or,
    where none was, the one within 3 px at which most edges meet, as a diagnostic; None where no edge meets another.
    `thresholds` (low, high): those of Canny.
    """

    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    jaccard: float | None
    shift_yx: Shift | None
    flag: str | None = None
    thresholds: tuple[int, int] = (LOW, HIGH)


def erqa(
    test: NDArray[Any],
    reference: NDArray[Any],
    *,
    profile: Profile = "geo",
    version: Version = "1.1",
    global_compensation: bool | None = None,
    shift_compensation: bool | None = None,
    valid: NDArray[np.bool_] | None = None,
    thresholds: Thresholds = "fixed",
    low_quantile: float = LOW_QUANTILE,
    high_quantile: float = HIGH_QUANTILE,
    clean_px: int = 0,
) -> Erqa:
    """Return the edge restoration of `test` with respect to `reference`.

    Args:
        test: (height, width) or (height, width, 3) in BGR order, uint8; a bool mask is rendered as 0 and 255, a float
            image in [0, 1] as round(255 p). Profile geo takes 0 and 1 in uint8 for a mask, with a warning.
        reference: the same shape.
        profile: `geo` or `reference` (see above); decides what None means below.
        version: `1.1` pairs edges one to one, `1.0` lets them share.
        global_compensation: undo the best whole shift within 3 px first (geo: no, reference: yes).
        shift_compensation: edges one pixel apart match (both: yes).
        valid: True = valid (height, width); edges within 2 px of nodata are left out. Profile geo only.
        thresholds: `fixed` (100 and 200) or `adaptive`, from the gradients of the reference. Profile geo only.
        low_quantile: adaptive only; the share of the reference's gradients that an edge pixel must reach.
        high_quantile: adaptive only; the share that one pixel of each edge must reach.
        clean_px: drop 8-connected pieces of fewer edge pixels from both images. Profile geo only.

    Raises:
        ScoreError: the shapes differ, the pixels are of another type or range, or options do not go together.

    Source: Kirillova et al. 2021, ERQA: Edge-Restoration Quality Assessment for Video Super-Resolution.
    """
    options = Options(
        profile, version, global_compensation, shift_compensation, valid,
        thresholds, low_quantile, high_quantile, clean_px,
    )  # fmt: skip
    found = match_images(test, reference, options)
    tp, fp, fn = (int(np.count_nonzero(mask)) for mask in (found.match.tp, found.match.fp, found.match.fn))
    values = ratios(tp, fp, fn)
    nothing = 0.0 if profile == "reference" else None
    f1, jaccard, precision, recall = (nothing if value.value is None else value.value for value in values)
    flag = values[0].flag if profile == "geo" else None
    return Erqa(tp, fp, fn, precision, recall, f1, jaccard, found.shift, flag, found.thresholds)


def overlay(test: NDArray[Any], reference: NDArray[Any], **options: Any) -> NDArray[np.uint8]:
    """Return a picture of the match, (height, width, 3) uint8 RGB: white kept, blue missing, red misplaced, on black.

    Args:
        test: as for `erqa`.
        reference: as for `erqa`; where a shift was undone, the picture is in its frame.
        options: as for `erqa`.
    """
    return overlay_of(match_images(test, reference, Options(**options)).in_frame_of(reference))


@dataclass(frozen=True, slots=True)
class ErqaMetric:
    """ERQA on the border probability: kept and missing edges are booked on the reference, false ones where they are."""

    profile: Profile = "geo"
    version: Version = "1.1"
    detection: Detection = FIXED

    @property
    def name(self) -> str:
        return ("erqa" if self.profile == "geo" else "erqa_reference") + self._suffix

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("profile", self.profile), ("version", self.version), *self.detection.parameters)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        if self.profile == "reference":
            return _original_bookings(pair, self.version)
        return [*self.count(pair), meetings_booked(*self._edges(pair), pair.pixel_size_m)]

    def count(self, pair: Pair) -> list[Booking]:
        """Book the counts alone, without the search for a shift. Profile geo."""
        return _bookings(match_edges(*self._edges(pair), version=self.version))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        tp, fp, fn = sum_of(sums, "tp", "fp", "fn")
        if self.profile == "reference":
            # The function gives upstream's 0 for two images without edges; a kind of border that is not there has none.
            if not (tp or fp or fn):
                return [not_applicable(self.name, "no edges in either map")]
            return [Value(self.name, 2 * tp / (2 * tp + fp + fn) if tp else 0.0, "1", round(tp + fn))]
        end = self._suffix
        shift = f"erqa_shift_y{end}", f"erqa_shift_x{end}", f"erqa_shift_m{end}"
        return [*ratios(tp, fp, fn, end), *counts(tp, fp, fn, end), *shift_values(shift, sums, tp + fp)]

    def _edges(self, pair: Pair) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        detector = self.detection.of_view(pair.reference)
        return pair.candidate.once(detector), pair.reference.once(detector)

    @property
    def _suffix(self) -> str:
        parts = (*(("1.0",) if self.version == "1.0" else ()), *self.detection.suffixes)
        return "@" + ",".join(parts) if parts else ""


def _original_bookings(pair: Pair, version: Version) -> list[Booking]:
    shift = best_shift(pair.candidate.p, pair.reference.p, scan_order())
    images = crops(pair.candidate.p, pair.reference.p, shift)
    edges = (_edges(view, p) for view, p in zip((pair.candidate, pair.reference), images, strict=True))
    match = match_edges(*edges, version=version, wrap=True)
    return [_moved(booking, max(-shift[0], 0), max(-shift[1], 0)) for booking in _bookings(match)]


def _edges(view: View, cropped: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Edges of a crop, as upstream: nodata is 0. A crop that is the whole of a valid scene has its edges already."""
    return view.edges if view.all_valid and cropped.shape == view.shape else canny(cropped)


def _bookings(match: EdgeMatch) -> list[Booking]:
    return [booked(match.tp, tp=None), booked(match.fp, fp=None), booked(match.fn, fn=None)]


def _moved(booking: Booking, rows: int, cols: int) -> Booking:
    return Booking(booking.rows + rows, booking.cols + cols, booking.values)
