"""Does the border probability look the same, window by window? Structural similarity as scikit-image defines it.

An image without borders is still an image: its similarity is what the definition says, with a flag, because a small
line more or less hardly shows in a mean over all windows. Only where neither map shows anything is there no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hedgerow.edges.distance import eroded
from hedgerow.edges.views import Pair, View
from hedgerow.errors import ScoreError
from hedgerow.metrics._booking import Booking, booked, totals
from hedgerow.metrics._policy import emptiness, not_applicable, sum_of
from hedgerow.records import Better, Value

WINDOW_PX = 7
DATA_RANGE = 255

REACH_PX = WINDOW_PX // 2
"""A window counts where it lies inside the frame and the valid area: so far from either."""

BETTER: Mapping[str, Better] = {"ssim": "higher"}

# With N pixels in a window, N^2 times a product of means and N (N - 1) times a sample covariance are whole numbers that
# fit in 32 bits: the two constants of the definition are scaled alike, and nothing is rounded before the last division.
_N = WINDOW_PX**2
_C1 = (0.01 * DATA_RANGE) ** 2 * _N**2
_C2 = (0.03 * DATA_RANGE) ** 2 * _N * (_N - 1)


class Config(BaseModel, frozen=True, extra="forbid"):
    """Nothing to choose: a uniform window of 7 px, sample covariance, values 0..255."""


def build(config: Config) -> SsimMetric:  # noqa: ARG001
    return SsimMetric()


@dataclass(frozen=True, slots=True)
class Ssim:
    """Windows compared and their mean similarity in [-1, 1]; None where there is no window or both images are blank."""

    n: int
    ssim: float | None
    flag: str | None = None


def ssim(test: NDArray[np.uint8], reference: NDArray[np.uint8], *, valid: NDArray[np.bool_] | None = None) -> Ssim:
    """Return the mean structural similarity of two images (height, width) uint8.

    Per window of 7 x 7 px with means m, sample variances v and sample covariance c,
    (2 m_T m_R + C1) (2 c + C2) / ((m_T^2 + m_R^2 + C1) (v_T + v_R + C2)), C1 = (0.01 * 255)^2, C2 = (0.03 * 255)^2;
    the mean is taken over the windows inside the frame and the valid area (height, width; True = valid).

    Raises:
        ScoreError: the shapes differ or the pixels are not uint8.

    Source: Wang et al. 2004, equation 13; window and covariance as `skimage.metrics.structural_similarity`.
    """
    if test.shape != reference.shape or test.ndim != 2 or test.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ScoreError(
            f"images of {test.shape} {test.dtype} and {reference.shape} {reference.dtype}: give uint8, 2-D"
        )
    counted = np.ones(test.shape, np.bool_) if valid is None else eroded(valid, REACH_PX)
    if valid is not None:
        test, reference = (np.where(valid, image, np.uint8(0)) for image in (test, reference))
    booking = _booking((test, _moments(test)), (reference, _moments(reference)), counted)
    (value,) = SsimMetric().conclude(totals([booking]))
    return Ssim(value.n, value.value, value.flag)


@dataclass(frozen=True, slots=True)
class SsimMetric:
    """Structural similarity of the border probability; a window is booked on its middle."""

    @property
    def name(self) -> str:
        return "ssim"

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        return (("window_px", WINDOW_PX), ("data_range", DATA_RANGE))

    @property
    def by_layer(self) -> bool:
        return False

    def book(self, pair: Pair) -> Sequence[Booking]:
        test, reference = ((view.p, view.once(_moments_of_view)) for view in (pair.candidate, pair.reference))
        return [_booking(test, reference, pair.reference.valid_within(REACH_PX))]

    def conclude(self, sums: Mapping[str, float]) -> Sequence[Value]:
        similarity, windows, shown_test, shown_ref = sum_of(sums, "similarity", "windows", "shown_test", "shown_ref")
        if not windows:
            return [not_applicable(self.name, f"no window of {WINDOW_PX} px lies in the valid area")]
        flag = emptiness(shown_ref, shown_test, "border probabilities")
        if flag is not None and shown_ref == shown_test == 0:
            return [not_applicable(self.name, flag)]
        return [Value(self.name, similarity / windows, "1", round(windows), flag)]


@dataclass(frozen=True, slots=True)
class _Moments:
    """Per window: the sum of its pixels, and N times the sum of their squares less the square of their sum."""

    total: NDArray[np.int32]
    spread: NDArray[np.int32]


def _moments_of_view(view: View) -> _Moments:
    return _moments(view.p)


def _moments(image: NDArray[np.uint8]) -> _Moments:
    total = _window_sums(image)
    return _Moments(total, _N * _window_sums(_product(image, image)) - total * total)


def _booking(
    test: tuple[NDArray[np.uint8], _Moments], reference: tuple[NDArray[np.uint8], _Moments], counted: NDArray[np.bool_]
) -> Booking:
    (image_t, t), (image_r, r) = test, reference
    totals_product = t.total * r.total
    shared = _N * _window_sums(_product(image_t, image_r)) - totals_product
    above = (2 * totals_product + _C1) * (2 * shared + _C2)
    below = (t.total * t.total + r.total * r.total + _C1) * (t.spread + r.spread + _C2)
    at = booked(_inside(counted), similarity=above / below, windows=None, shown_test=t.total > 0, shown_ref=r.total > 0)
    return Booking(at.rows + REACH_PX, at.cols + REACH_PX, at.values)


def _product(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.uint16]:
    return np.multiply(a, b, dtype=np.uint16)


def _window_sums(image: NDArray[Any]) -> NDArray[np.int32]:
    """Return the exact sums of whole windows, (height - 6, width - 6)."""
    return np.asarray(_inside(cv2.boxFilter(image, cv2.CV_32S, (WINDOW_PX, WINDOW_PX), normalize=False)))


def _inside(raster: NDArray[Any]) -> NDArray[Any]:
    return raster[REACH_PX:-REACH_PX, REACH_PX:-REACH_PX]
