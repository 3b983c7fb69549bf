"""Which share of the edges is restored? ERQA (Kirillova et al. 2021), in a form for maps and in the original form.

Profile `geo`: no global shift is undone (it would hide registration errors up to 3 px), nothing wraps round the frame,
nodata is taken out before hysteresis. Profile `reference`: as the package `erqa` 1.1.2, except that no hit at all
gives 0 instead of NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.canny import canny
from hedgerow.edges.matching import EdgeMatch, Version, match_edges
from hedgerow.edges.shift import Shift, best_shift, crops, scan_order, smallest_first
from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

Profile = Literal["geo", "reference"]

BETTER: Mapping[str, Better] = {
    "erqa": "higher",
    "erqa_reference": "higher",
    "erqa_jaccard": "higher",
    "erqa_precision": "higher",
    "erqa_recall": "higher",
}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Which of the two forms; version 1.1 pairs edges one to one, 1.0 lets them share."""

    profile: Profile = "geo"
    version: Version = "1.1"


def build(config: Config) -> ErqaMetric:
    return ErqaMetric(config.profile, config.version)


@dataclass(frozen=True, slots=True)
class Erqa:
    """Counts of edge pixels and what follows from them; a ratio is None when neither image has an edge (profile geo).

    `shift_yx` (rows, columns): the displacement that was undone, or in profile geo the one that fits best within 3 px,
    as a diagnostic.
    """

    tp: int
    fp: int
    fn: int
    precision: float | None
    recall: float | None
    f1: float | None
    jaccard: float | None
    shift_yx: Shift
    flag: str | None = None


def erqa(
    test: NDArray[Any],
    reference: NDArray[Any],
    *,
    profile: Profile = "geo",
    version: Version = "1.1",
    global_compensation: bool | None = None,
    shift_compensation: bool | None = None,
    valid: NDArray[np.bool_] | None = None,
) -> Erqa:
    """Return the edge restoration of `test` with respect to `reference`.

    Args:
        test: (height, width) or (height, width, 3) in BGR order, uint8; a bool mask is rendered as 0 and 255.
        reference: the same shape.
        profile: `geo` or `reference` (see above); decides what None means below.
        version: `1.1` pairs edges one to one, `1.0` lets them share.
        global_compensation: undo the best whole shift within 3 px first (geo: no, reference: yes).
        shift_compensation: edges one pixel apart match (both: yes).
        valid: True = valid (height, width); edges within 2 px of nodata are left out. Profile geo only.

    Raises:
        ScoreError: the shapes differ or the pixels are not uint8.
    """
    test, reference = _image(test, "test"), _image(reference, "reference")
    _check(test, reference, profile, valid)
    undo = profile == "reference" if global_compensation is None else global_compensation
    if valid is not None:
        test, reference = _filled(test, valid), _filled(reference, valid)
    order = scan_order() if undo else smallest_first()
    shift = best_shift(test, reference, order) if undo or profile == "geo" else (0, 0)
    masks = crops(test, reference, shift) if undo else (test, reference)
    # A pixel that is valid in both crops only: each image carries its own copy of the mask.
    valids = (None, None) if valid is None else crops(valid, valid, shift) if undo else (valid, valid)
    common = None if valids[0] is None or valids[1] is None else valids[0] & valids[1]
    match = match_edges(
        canny(masks[0], common),
        canny(masks[1], common),
        version=version,
        shift_compensation=shift_compensation is not False,
        wrap=profile == "reference",
    )
    return _record(match, profile, shift)


@dataclass(frozen=True, slots=True)
class ErqaMetric:
    """ERQA on the border probability: kept and missing edges are booked on the reference, false ones where they are."""

    profile: Profile = "geo"
    version: Version = "1.1"

    @property
    def name(self) -> str:
        suffix = "" if self.version == "1.1" else f"@{self.version}"
        return ("erqa" if self.profile == "geo" else "erqa_reference") + suffix

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("profile", self.profile), ("version", self.version), ("low", 100), ("high", 200))

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        if self.profile == "geo":
            return _bookings(match_edges(pair.candidate.edges, pair.reference.edges, version=self.version))
        shift = best_shift(pair.candidate.p, pair.reference.p, scan_order())
        images = crops(pair.candidate.p, pair.reference.p, shift)
        edges = (_edges(view, p) for view, p in zip((pair.candidate, pair.reference), images, strict=True))
        match = match_edges(*edges, version=self.version, wrap=True)
        return [_moved(booking, max(-shift[0], 0), max(-shift[1], 0)) for booking in _bookings(match)]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        tp, fp, fn = sum_of(sums, "tp", "fp", "fn")
        if self.profile == "reference":
            f1 = 2 * tp / (2 * tp + fp + fn) if tp else 0.0
            return [Value(self.name, f1, "1", round(tp + fn))]
        names = (self.name, *(self.name.replace("erqa", f"erqa_{kind}") for kind in ("jaccard", "precision", "recall")))
        parts = ((2 * tp, 2 * tp + fp + fn), (tp, tp + fp + fn), (tp, tp + fp), (tp, tp + fn))
        return [
            ratio(name, part, whole, n_reference=tp + fn, n_candidate=tp + fp, what="edges")
            for name, (part, whole) in zip(names, parts, strict=True)
        ]


def _bookings(match: EdgeMatch) -> list[Booking]:
    return [booked(match.tp, tp=None), booked(match.fp, fp=None), booked(match.fn, fn=None)]


def _moved(booking: Booking, rows: int, cols: int) -> Booking:
    return Booking(booking.rows + rows, booking.cols + cols, booking.values)


def _edges(view: View, cropped: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Edges of a crop, as upstream: nodata is 0. A crop that is the whole of a valid scene has its edges already."""
    return view.edges if view.all_valid and cropped.shape == view.shape else canny(cropped)


def _record(match: EdgeMatch, profile: Profile, shift: Shift) -> Erqa:
    tp, fp, fn = (int(np.count_nonzero(mask)) for mask in (match.tp, match.fp, match.fn))
    values = ErqaMetric("geo").conclude({"tp": tp, "fp": fp, "fn": fn})
    nothing = 0.0 if profile == "reference" else None
    f1, jaccard, precision, recall = (nothing if v.value is None else v.value for v in values)
    flag = values[0].flag if profile == "geo" else None
    return Erqa(tp, fp, fn, precision, recall, f1, jaccard, shift, flag)


def _image(image: NDArray[Any], which: str) -> NDArray[np.uint8]:
    if image.dtype == np.bool_:
        return np.where(image, np.uint8(255), np.uint8(0))
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3):
        raise ScoreError(
            f"the {which} image is {image.shape} {image.dtype}: give uint8 (height, width) or (height, width, 3); "
            "a probability p becomes round(255 p)"
        )
    return image


def _check(
    test: NDArray[np.uint8], reference: NDArray[np.uint8], profile: Profile, valid: NDArray[np.bool_] | None
) -> None:
    if test.shape != reference.shape or not test.size:
        raise ScoreError(
            f"images of shape {test.shape} and {reference.shape} cannot be compared: crop them to one grid"
        )
    if valid is not None and profile == "reference":
        raise ScoreError("profile 'reference' knows no valid mask: use profile 'geo'")
    if valid is not None and (valid.shape != test.shape[:2] or valid.dtype != np.bool_):
        raise ScoreError(f"the valid mask is {valid.shape} {valid.dtype}: give bool {test.shape[:2]}")


def _filled(image: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(valid if image.ndim == 2 else valid[..., None], image, np.uint8(0))
