"""Have the lines still as many pieces and holes? Betti numbers of both line sets, and how much they differ.

b0 counts the pieces of a line set (8-connected), b1 the holes: 4-connected areas of background that no way leads out
of. The frame closes no hole, and nodata is background like any other. Pieces and holes are found over the whole scene
and booked on one pixel each, so the Betti numbers of tiles add up to the scene's; the absolute difference is taken of
the sums. It can be 0 by chance: a piece of noise in one place cancels a gap in another, so read it beside continuity.
A tile or a scene counts what begins there. There is no score per kind of border: one piece has many kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, totals
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Better, Value

BETTER: Mapping[str, Better] = {
    "betti_error": "lower",
    "betti_0_ratio": "higher",
    "betti_0": "neither",
    "betti_1": "neither",
    "betti_0_reference": "neither",
    "betti_1_reference": "neither",
}

_COUNTS = ("betti_0", "betti_1", "betti_0_reference", "betti_1_reference")


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: lines are 8-connected, background 4-connected."""


def build(config: Config) -> BettiMetric:  # noqa: ARG001
    return BettiMetric()


@dataclass(frozen=True, slots=True)
class BettiError:
    """Pieces (0) and holes (1) of both line sets, and the scores; scores are None when both sets are empty."""

    betti_0: int
    betti_1: int
    betti_0_reference: int
    betti_1_reference: int
    betti_error: float | None
    betti_0_ratio: float | None
    flag: str | None = None


def betti_error(
    test: NDArray[np.bool_], reference: NDArray[np.bool_], *, valid: NDArray[np.bool_] | None = None
) -> BettiError:
    """Return the Betti numbers of two line sets (height, width), True = line, and their difference.

    betti_error = |b0 - b0'| + |b1 - b1'|, betti_0_ratio = min(b0, b0') / max(b0, b0'). With b0 - b1 the Euler number.

    Args:
        test: bool mask of lines; it is taken as it is, not thinned.
        reference: bool mask of the same shape.
        valid: (height, width), True = valid; all else is background.

    Raises:
        ScoreError: the line sets are not bool, or of different shapes.

    Source: Hu et al. 2019 (Betti error, there of patches and b1), here of whole scenes and of b0 and b1.
    """
    valid = np.ones(test.shape, np.bool_) if valid is None else valid
    if not test.shape == reference.shape == valid.shape or test.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ScoreError(
            f"line sets of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}, valid {valid.shape}: "
            "give bool masks of one shape (height, width)"
        )
    sums = totals(_bookings(_topology(test & valid), _topology(reference & valid)))
    error, share, *_ = BettiMetric().conclude(sums)
    b0, b1, b0_ref, b1_ref = (round(s) for s in sum_of(sums, *_COUNTS))
    return BettiError(b0, b1, b0_ref, b1_ref, error.value, share.value, error.flag)


@dataclass(frozen=True, slots=True)
class BettiMetric:
    """Betti numbers of the line sets; a piece is booked on its first pixel, a hole on the line above its first."""

    @property
    def name(self) -> str:
        return "betti_error"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return ()

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        return _bookings(pair.candidate.once(_topology_of), pair.reference.once(_topology_of))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        b0, b1, b0_ref, b1_ref = counts = sum_of(sums, *_COUNTS)
        flag = emptiness(b0_ref, b0, "pieces of line")
        if not b0 and not b0_ref:
            return [not_applicable(name, str(flag)) for name in BETTER]
        numbers = (abs(b0 - b0_ref) + abs(b1 - b1_ref), min(b0, b0_ref) / max(b0, b0_ref), *counts)
        return [Value(name, number, "1", round(b0_ref), flag) for name, number in zip(BETTER, numbers, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Topology:
    """One pixel (flat index) of the line for each piece and for each hole of a line set (height, width)."""

    pieces: NDArray[np.int64]
    holes: NDArray[np.int64]
    width_px: int


def _topology_of(view: View) -> _Topology:
    return _topology(view.line)


def _topology(line: NDArray[np.bool_]) -> _Topology:
    return _Topology(_pieces(line), _holes(line), line.shape[1])


def _pieces(line: NDArray[np.bool_]) -> NDArray[np.int64]:
    pixels = np.flatnonzero(line)
    return pixels[_first_of_each(_components(line, connectivity=8).ravel()[pixels])]


def _holes(line: NDArray[np.bool_]) -> NDArray[np.int64]:
    # With a frame of background one pixel wide, all that reaches the frame is one area: the outside.
    framed = _components(np.pad(~line, 1, constant_values=True), connectivity=4)
    background, outside = framed[1:-1, 1:-1], framed[0, 0]
    # Above the first pixel of a hole is line: a pixel that is valid even where the hole is all nodata.
    above = np.flatnonzero(line[:-1] & ~line[1:] & (background[1:] != outside))
    return above[_first_of_each(background[1:].ravel()[above])]


def _first_of_each(numbers: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return where each number comes first."""
    return np.asarray(np.unique(numbers, return_index=True)[1], dtype=np.int64)


def _components(mask: NDArray[np.bool_], *, connectivity: int) -> NDArray[np.int32]:
    return np.asarray(cv2.connectedComponents(mask.view(np.uint8), connectivity=connectivity)[1])


def _bookings(test: _Topology, reference: _Topology) -> list[Booking]:
    parts = (test.pieces, test.holes, reference.pieces, reference.holes)
    return [
        Booking(*np.divmod(pixels, test.width_px), {name: np.ones(len(pixels))})
        for name, pixels in zip(_COUNTS, parts, strict=True)
    ]
