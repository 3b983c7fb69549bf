"""Are these two images comparable, and what do they look like as bytes? Masks and probabilities become 0..255."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow.errors import ScoreError

Bytes = NDArray[np.uint8]


def check(test: NDArray[Any], reference: NDArray[Any], valid: NDArray[np.bool_] | None) -> None:
    """Refuse what cannot be compared pixel by pixel.

    Args:
        test: (height, width), or (height, width, 3) in BGR order.
        reference: the same shape.
        valid: True = valid (height, width), or None.

    Raises:
        ScoreError: shapes differ, or are none of these.
    """
    if test.shape != reference.shape or not test.size:
        raise ScoreError(
            f"images of shape {test.shape} and {reference.shape} cannot be compared: crop them to one grid"
        )
    if test.ndim not in (2, 3) or (test.ndim == 3 and test.shape[2] != 3):
        raise ScoreError(f"images of shape {test.shape}: give (height, width), or (height, width, 3) in BGR order")
    if valid is not None and (valid.shape != test.shape[:2] or valid.dtype != np.bool_):
        raise ScoreError(f"the valid mask is {valid.shape} {valid.dtype}: give bool {test.shape[:2]}")


def filled(image: NDArray[Any], valid: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return an image with 0 where invalid."""
    if valid is None:
        return image
    return np.where(valid if image.ndim == 2 else valid[..., None], image, image.dtype.type(0))


def as_bytes(image: NDArray[Any], which: str, *, stretch_masks: bool = True) -> Bytes:
    """Return an image as uint8: bytes as they are, True as 255, a probability p as round(255 p).

    Args:
        image: uint8, bool, or float in [0, 1].
        which: what to call it in a message.
        stretch_masks: whether a uint8 image of 0 and 1 only is taken for a mask and rendered as 0 and 255.

    Raises:
        ScoreError: another type, or a float outside [0, 1].
    """
    if image.dtype == np.uint8:
        return _stretched(image, which) if stretch_masks and image.max() == 1 else image
    if image.dtype == np.bool_:
        return image.view(np.uint8) * np.uint8(255)
    if image.dtype.kind != "f":
        raise ScoreError(
            f"the {which} image is {image.dtype}: give uint8, a bool mask, or a probability in [0, 1] as float"
        )
    return _rendered(image, which)


def _stretched(mask: Bytes, which: str) -> Bytes:
    warnings.warn(
        f"the {which} image holds 0 and 1 only: taken for a mask and rendered as 0/255. Give bool for a mask, or a "
        "probability in [0, 1] as float, to say which it is",
        stacklevel=6,  # where `erqa` was called
    )
    return mask * np.uint8(255)


def _rendered(probability: NDArray[Any], which: str) -> Bytes:
    low, high = float(probability.min()), float(probability.max())
    if not (low >= 0 and high <= 1):  # NaN fails both
        raise ScoreError(
            f"the {which} image has values from {low:g} to {high:g}; a float image is a probability in [0, 1], without "
            "NaN: give values 0..255 as uint8, and mark nodata in `valid`"
        )
    exact = probability.astype(np.promote_types(probability.dtype, np.float32), copy=False)
    return np.asarray(np.rint(exact * 255), dtype=np.uint8)
