"""Does each map's line run inside the other map's band? clDice: centre lines against masks, blind to width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.thinning import thinned
from hedgerow.edges.views import LINE_THRESHOLD, Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import ratio, sum_of
from hedgerow.records import Better, Value

BETTER: Mapping[str, Better] = {"cldice": "higher"}


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: a mask is p >= 128, its line the one that all line scores use."""


def build(config: Config) -> ClDiceMetric:  # noqa: ARG001
    return ClDiceMetric()


@dataclass(frozen=True, slots=True)
class ClDice:
    """Line pixels of either mask and how many lie inside the other mask; ratios are None when both are empty."""

    n_reference: int
    n_test: int
    hit_reference: int
    hit_test: int
    precision: float | None
    sensitivity: float | None
    cldice: float | None
    flag: str | None = None


def cldice(test: NDArray[np.bool_], reference: NDArray[np.bool_], *, valid: NDArray[np.bool_] | None = None) -> ClDice:
    """Return the centre-line Dice of two masks (height, width) of borders, True = border.

    clDice = 2 Tp Ts / (Tp + Ts), with Tp (precision) the share of the test's centre line inside the reference's mask
    and Ts (sensitivity) the share of the reference's centre line inside the test's mask; range 0..1.

    Args:
        test: bool mask; it is thinned to its centre line here.
        reference: bool mask of the same shape.
        valid: (height, width), True = valid; all else is background.

    Raises:
        ScoreError: the masks are not bool, or of different shapes.

    Source: Shit et al. 2021 (the measure, not the loss: hard masks, thinned lines).
    """
    valid = np.ones(test.shape, np.bool_) if valid is None else valid
    if not test.shape == reference.shape == valid.shape or test.dtype != np.bool_ or reference.dtype != np.bool_:
        raise ScoreError(
            f"masks of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}, valid {valid.shape}: "
            "give bool masks of one shape (height, width)"
        )
    masks = test & valid, reference & valid
    sums = totals(_bookings(masks, (thinned(masks[0]), thinned(masks[1]))))
    n_ref, n_test, hit_ref, hit_test = (round(s) for s in sum_of(sums, "n_ref", "n_test", "hit_ref", "hit_test"))
    precision, sensitivity, both = _values(sums)
    return ClDice(n_ref, n_test, hit_ref, hit_test, precision.value, sensitivity.value, both.value, both.flag)


@dataclass(frozen=True, slots=True)
class ClDiceMetric:
    """clDice of the line views; each pixel of a line set is booked where it lies."""

    @property
    def name(self) -> str:
        return "cldice"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("threshold", LINE_THRESHOLD),)

    @property
    def by_layer(self) -> bool:
        return True

    def book(self, pair: Pair) -> Sequence[Booking]:
        masks = pair.candidate.once(_mask_of), pair.reference.once(_mask_of)
        return _bookings(masks, (pair.candidate.line, pair.reference.line))

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        return _values(sums)[-1:]


def _mask_of(view: View) -> NDArray[np.bool_]:
    return np.asarray(view.p >= LINE_THRESHOLD)


def _bookings(
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]], lines: tuple[NDArray[np.bool_], NDArray[np.bool_]]
) -> list[Booking]:
    (test, reference), (line_test, line_reference) = masks, lines
    return [
        booked(line_test, n_test=None, hit_test=reference),
        booked(line_reference, n_ref=None, hit_ref=test),
    ]


def _values(sums: Mapping[str, float]) -> list[Value]:
    """Precision, sensitivity and clDice, in this order."""
    n_test, n_ref, hit_test, hit_ref = sum_of(sums, "n_test", "n_ref", "hit_test", "hit_ref")
    # 2 Tp Ts / (Tp + Ts) with one division, so that two perfect shares give exactly 1.
    both = (2 * hit_test * hit_ref, hit_test * n_ref + hit_ref * n_test)
    shares = (("precision", hit_test, n_test), ("sensitivity", hit_ref, n_ref), ("cldice", *both))
    return [
        ratio(name, part, whole, n_reference=n_ref, n_candidate=n_test, what="lines") for name, part, whole in shares
    ]
