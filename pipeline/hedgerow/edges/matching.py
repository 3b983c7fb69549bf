"""Which pixel of one set belongs to which of the other? ERQA's matching of edges, and greedy one-to-one pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import ScoreError

Mask = NDArray[np.bool_]
Offset = tuple[int, int]
Version = Literal["1.0", "1.1"]

ERQA_OFFSETS: tuple[Offset, ...] = tuple((i, j) for i in (0, -1, 1) for j in (0, -1, 1))
"""The 3 x 3 neighbourhood in ERQA's order."""

NEAREST_FIRST: tuple[Offset, ...] = tuple(sorted(ERQA_OFFSETS, key=lambda offset: offset[0] ** 2 + offset[1] ** 2))
"""The 3 x 3 neighbourhood (distances up to sqrt 2), nearest first."""


@dataclass(frozen=True, slots=True)
class EdgeMatch:
    """Edges kept, misplaced and missing, as masks (height, width).

    `tp` marks pixels of the reference in version 1.1 and of the tested image in version 1.0, `fp` those of the tested
    image, `fn` those of the reference.
    """

    tp: Mask
    fp: Mask
    fn: Mask


def match_edges(
    tested: Mask, reference: Mask, *, version: Version = "1.1", shift_compensation: bool = True, wrap: bool = False
) -> EdgeMatch:
    """Match edge pixels as ERQA does.

    Args:
        tested: edges of the tested image.
        reference: edges of the reference image.
        version: 1.0 lets many tested pixels share a reference pixel, 1.1 pairs them one to one.
        shift_compensation: whether edges may be one pixel apart.
        wrap: whether the frame's opposite sides are neighbours, as in the reference implementation.

    Source: Kirillova et al. 2021 (ERQA), as in the package `erqa` 1.1.2.
    """
    if version == "1.0":
        tp = tested & (_grown(reference, wrap=wrap) if shift_compensation else reference)
        return EdgeMatch(tp=tp, fp=tested & ~tp, fn=reference & ~tp)
    if version != "1.1":
        raise ScoreError(f"there is no ERQA version {version!r}: choose '1.0' or '1.1'")
    offsets = ERQA_OFFSETS if shift_compensation else ERQA_OFFSETS[:1]
    fp, fn = unmatched_one_to_one(tested, reference, offsets, wrap=wrap)
    return EdgeMatch(tp=reference & ~fn, fp=fp, fn=fn)


def unmatched_one_to_one(
    tested: Mask, reference: Mask, offsets: Sequence[Offset], *, wrap: bool = False
) -> tuple[Mask, Mask]:
    """Pair pixels greedily, one offset after the other, and return what is left over of (tested, reference)."""
    left_tested, left_reference = _with_spare_column(tested), _with_spare_column(reference)
    buffer = np.empty(left_tested.size, np.uint8)
    for offset in offsets:
        _pair_off(left_tested.ravel(), left_reference.ravel(), offset[0] * left_tested.shape[1] + offset[1], buffer)
        for here, there in _across_the_frame(tested.shape, offset) if wrap else ():
            both = left_tested[here] & left_reference[there]
            left_tested[here] ^= both
            left_reference[there] ^= both
    return left_tested[:, :-1].view(np.bool_), left_reference[:, :-1].view(np.bool_)


def _with_spare_column(mask: Mask) -> NDArray[np.uint8]:
    """Return a copy (height, width + 1): along the flattened pixels, a step past either end of a row finds nothing."""
    copy = np.zeros((mask.shape[0], mask.shape[1] + 1), np.uint8)
    copy[:, :-1] = mask
    return copy


def _pair_off(tested: NDArray[np.uint8], reference: NDArray[np.uint8], step: int, buffer: NDArray[np.uint8]) -> None:
    """Take out, in place, each flattened pixel k of one set whose partner k - step is in the other."""
    if abs(step) >= len(tested):
        return
    here, there = (
        tested[max(step, 0) : len(tested) + min(step, 0)],
        reference[max(-step, 0) : len(tested) - max(step, 0)],
    )
    both = np.bitwise_and(here, there, out=buffer[: len(here)])
    here ^= both
    there ^= both


def _across_the_frame(
    shape: tuple[int, ...], offset: Offset
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Where pixels (y, x) meet pixels (y - i, x - j) on the other side of the frame: up to three pairs of windows."""
    pairs = product(_axis_meetings(shape[0], offset[0]), _axis_meetings(shape[1], offset[1]))
    for (rows, other_rows), (cols, other_cols) in islice(pairs, 1, None):
        yield (rows, cols), (other_rows, other_cols)


def _axis_meetings(length: int, step: int) -> Iterator[tuple[slice, slice]]:
    """Within the axis first, then over its ends."""
    yield slice(max(step, 0), length + min(step, 0)), slice(max(-step, 0), length - max(step, 0))
    if step:
        first, last = slice(0, 1), slice(length - 1, length)
        yield (first, last) if step > 0 else (last, first)


def _grown(mask: Mask, *, wrap: bool) -> Mask:
    kernel = np.ones((3, 3), np.uint8)
    if not wrap:
        return cv2.dilate(mask.view(np.uint8), kernel).view(np.bool_)
    return cv2.dilate(np.pad(mask, 1, mode="wrap").view(np.uint8), kernel).view(np.bool_)[1:-1, 1:-1]
