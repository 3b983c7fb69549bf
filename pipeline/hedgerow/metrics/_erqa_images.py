"""How do the edges of two images match, under the options of ERQA? Shift, edges and match of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hedgerow.edges.detection import FIXED, HIGH_QUANTILE, LOW_QUANTILE, Detection, Thresholds
from hedgerow.edges.matching import EdgeMatch, Version, match_edges
from hedgerow.edges.shift import Shift, best_shift, crops, meetings, most_met, scan_order
from hedgerow.errors import ScoreError
from hedgerow.metrics._images import Bytes, as_bytes, check, filled

Profile = Literal["geo", "reference"]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Options:
    """The options of `metrics.erqa.erqa`, described there."""

    profile: Profile = "geo"
    version: Version = "1.1"
    global_compensation: bool | None = None
    shift_compensation: bool | None = None
    valid: Mask | None = None
    thresholds: Thresholds = "fixed"
    low_quantile: float = LOW_QUANTILE
    high_quantile: float = HIGH_QUANTILE
    clean_px: int = 0

    def __post_init__(self) -> None:
        if self.profile not in ("geo", "reference"):
            raise ScoreError(f"there is no profile {self.profile!r}: choose 'geo' or 'reference'")
        if self.original and (self.valid is not None or self.detection != FIXED):
            raise ScoreError(
                "profile 'reference' knows no valid mask, adaptive thresholds or clean_px: use profile 'geo'"
            )

    @property
    def original(self) -> bool:
        """Whether everything is as upstream."""
        return self.profile == "reference"

    @property
    def undo(self) -> bool:
        """Whether the best whole shift is undone first."""
        return self.original if self.global_compensation is None else self.global_compensation

    @property
    def detection(self) -> Detection:
        """How edges are found."""
        return Detection(self.thresholds, self.low_quantile, self.high_quantile, self.clean_px)


@dataclass(frozen=True, slots=True, eq=False)
class ImageMatch:
    """The match of two images' edges, in the frame that is left after `undone` was undone.

    `shift`: the displacement that was undone or, where none was, the one at which most edges meet (None: none meets).
    """

    match: EdgeMatch
    shift: Shift | None
    undone: Shift
    thresholds: tuple[int, int]

    def in_frame_of(self, reference: NDArray[Any]) -> EdgeMatch:
        """Return the match with its masks where they lie in the whole reference image."""
        return EdgeMatch(*(self._placed(mask, reference) for mask in (self.match.tp, self.match.fp, self.match.fn)))

    def _placed(self, mask: Mask, reference: NDArray[Any]) -> Mask:
        whole = np.zeros(reference.shape[:2], np.bool_)
        crops(whole, whole, self.undone)[1][:] = mask
        return whole


def match_images(test: NDArray[Any], reference: NDArray[Any], options: Options) -> ImageMatch:
    """Return how the edges of `test` match those of `reference`."""
    check(test, reference, options.valid)
    one = _bytes(test, "test", options)
    other = _bytes(reference, "reference", options)
    undone = best_shift(one, other, scan_order()) if options.undo else (0, 0)
    common = _common(options.valid, undone)
    detector = options.detection.of_image(crops(one, other, undone)[1], common)
    edges, wanted = (detector.edges(image, common) for image in crops(one, other, undone))
    match = match_edges(
        edges,
        wanted,
        version=options.version,
        shift_compensation=options.shift_compensation is not False,
        wrap=options.original,
    )
    found = undone if options.undo or options.original else displacement(edges, wanted)
    return ImageMatch(match, found, undone, (detector.low, detector.high))


def displacement(tested: Mask, reference: Mask) -> Shift | None:
    """Return the shift of the tested edges at which most edges of the reference meet one; None where none does."""
    rows, cols = np.divmod(np.flatnonzero(reference), reference.shape[1])
    return most_met({shift: int(np.count_nonzero(met)) for shift, met in meetings(tested, rows, cols).items()})


def _bytes(image: NDArray[Any], which: str, options: Options) -> Bytes:
    return as_bytes(filled(image, options.valid), which, stretch_masks=not options.original)


def _common(valid: Mask | None, shift: Shift) -> Mask | None:
    """Return where both crops are valid: each image carries its own copy of the mask."""
    if valid is None:
        return None
    one, other = crops(valid, valid, shift)
    both: Mask = one & other
    return both
