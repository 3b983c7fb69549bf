"""What counts as an edge? Fixed or adaptive thresholds, and no pieces that are too small.

Adaptive thresholds are quantiles of the reference's gradient, one pair per scene, and hold for both maps: a candidate
that is only paler than its reference loses edges, as it should. Quantiles are taken over the pixels that have a
gradient at all, so they do not depend on how much flat land a scene has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.canny import HIGH, LOW, canny, steepest
from hedgerow.edges.distance import eroded
from hedgerow.errors import ScoreError

if TYPE_CHECKING:
    from hedgerow.edges.views import View

Thresholds = Literal["fixed", "adaptive"]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

LOW_QUANTILE, HIGH_QUANTILE = 0.5, 0.8
"""Lines 3 px wide, blurred by 2 px, keep 99 % of the edges that fixed thresholds find; at 0.7 and 0.9, 85 %."""

_STEEPEST = 2040
"""The largest L1 norm of the 3 x 3 Sobel gradient of uint8 pixels, reached where both parts are extreme."""


@dataclass(frozen=True, slots=True)
class Detector:
    """Thresholds of one scene and the least size of a piece; called with a view, it returns the view's edges.

    Equal detectors are equal keys: `view.once(detector)` detects once.
    """

    low: int = LOW
    high: int = HIGH
    clean_px: int = 0

    def edges(self, image: NDArray[np.uint8], valid: Mask | None = None) -> Mask:
        """Return the edge pixels (height, width) of an image; see `edges.canny.canny`."""
        return opened(canny(image, valid, low=self.low, high=self.high), self.clean_px)

    def __call__(self, view: View) -> Mask:
        return view.edges if self == Detector() else self.edges(view.p, view.valid)


@dataclass(frozen=True, slots=True)
class Detection:
    """How edges are found, before a scene is seen.

    Attributes:
        thresholds: `fixed` (100 and 200, as ERQA) or `adaptive`.
        low_quantile: adaptive only; the share of the reference's gradients that a candidate pixel must reach.
        high_quantile: adaptive only; the same for a seed.
        clean_px: 8-connected pieces of fewer edge pixels are dropped, from both maps.
    """

    thresholds: Thresholds = "fixed"
    low_quantile: float = LOW_QUANTILE
    high_quantile: float = HIGH_QUANTILE
    clean_px: int = 0

    def __post_init__(self) -> None:
        if self.thresholds not in ("fixed", "adaptive"):
            raise ScoreError(f"there are no thresholds {self.thresholds!r}: choose 'fixed' or 'adaptive'")
        if not 0 <= self.low_quantile <= self.high_quantile <= 1:
            raise ScoreError(
                f"quantiles {self.low_quantile:g} and {self.high_quantile:g}: give low <= high, both in [0, 1]"
            )
        if self.clean_px < 0:
            raise ScoreError(
                f"clean_px is {self.clean_px}: give the least number of pixels of a piece, 0 for no cleaning"
            )

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What tells the names of scores apart; nothing by default."""
        quantiles = (self.low_quantile, self.high_quantile)
        usual = quantiles == (LOW_QUANTILE, HIGH_QUANTILE)
        adaptive = "adaptive" if usual else f"adaptive{quantiles[0]:g}-{quantiles[1]:g}"
        found = [adaptive] if self.thresholds == "adaptive" else []
        return (*found, f"clean{self.clean_px}px") if self.clean_px else tuple(found)

    @property
    def parameters(self) -> tuple[tuple[str, str | int | float], ...]:
        """What the edges depend on, as recorded with every score."""
        adaptive = (
            ("thresholds", "adaptive"),
            ("low_quantile", self.low_quantile),
            ("high_quantile", self.high_quantile),
        )
        pair = (("low", LOW), ("high", HIGH)) if self.thresholds == "fixed" else adaptive
        return (*pair, ("clean_px", self.clean_px)) if self.clean_px else pair

    def of_image(self, reference: NDArray[np.uint8], valid: Mask | None = None) -> Detector:
        """Return what detects the edges of this reference and its candidates."""
        return self._of(gradient_counts(reference, valid) if self.thresholds == "adaptive" else None)

    def of_view(self, reference: View) -> Detector:
        """Return what detects the edges of this reference and its candidates; gradients are counted once per view."""
        return self._of(reference.once(_view_counts) if self.thresholds == "adaptive" else None)

    def _of(self, counts: Counts | None) -> Detector:
        if counts is None:
            return Detector(clean_px=self.clean_px)
        low, high = adaptive_thresholds(counts, self.low_quantile, self.high_quantile)
        return Detector(low, high, self.clean_px)


FIXED = Detection()
"""As ERQA detects edges."""


def gradient_counts(image: NDArray[np.uint8], valid: Mask | None = None) -> Counts:
    """Count the pixels of each gradient 0..2040: the L1 norm of the 3 x 3 Sobel gradient, as Canny sees it.

    In colour it is that of the channel where it is largest. Pixels whose gradient would see nodata are left out.
    """
    dx, dy = steepest(image)
    steepness = np.abs(dx) + np.abs(dy)
    seen = steepness if valid is None or valid.all() else steepness[eroded(valid, 1)]
    return np.bincount(seen.ravel(), minlength=_STEEPEST + 1)


def adaptive_thresholds(counts: Counts, low: float, high: float) -> tuple[int, int]:
    """Return Canny's thresholds so that pixels at or above two quantiles of all gradients but 0 exceed them.

    A quantile is a gradient that occurs: the lowest that at least this share does not exceed. A mask has few distinct
    gradients, and those equal to a quantile must stay edges. A flat reference has none and takes the fixed pair, so
    that edges of the candidate are found, and count as misplaced.

    Args:
        counts: pixels of each gradient (2041,).
        low: quantile of candidates, in [0, 1].
        high: quantile of seeds.
    """
    reached = np.cumsum(counts[1:])
    if not reached[-1]:
        return LOW, HIGH
    # Entry k counts gradients up to k + 1, and Canny asks for more than its threshold: so k is the threshold.
    wanted = [max(share * reached[-1] * (1 - 1e-12), 1) for share in (low, high)]
    at_low, at_high = map(int, np.searchsorted(reached, wanted))
    return at_low, at_high


def opened(edges: Mask, least_px: int) -> Mask:
    """Return the edges without their 8-connected pieces of fewer than `least_px` pixels (area opening).

    Source: Vincent 1993.
    """
    if least_px <= 1:
        return edges
    _, piece, box, _ = cv2.connectedComponentsWithStats(edges.view(np.uint8), connectivity=8)
    kept = box[:, cv2.CC_STAT_AREA] >= least_px
    kept[0] = False
    found: Mask = kept[piece]
    return found


def _view_counts(view: View) -> Counts:
    return gradient_counts(view.p, view.valid)
