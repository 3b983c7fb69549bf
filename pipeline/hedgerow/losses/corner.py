"""How wrong is the class of a pixel at the corners of fields? Cross-entropy weighted by the target's Harris response.

    sum over known pixels of  w (-log p(set))  /  sum of w

where w is the largest Harris response of the target's border map within `radius_px`, as a share of that of an ideal
corner, at most 1: corners, crossings and ends of borders count, straight borders and plain land do not. A crop without
corners costs nothing: give it beside cross_entropy.

Source: Harris and Stephens 1988, equation 13, on the same integers as the scores (`edges.harris.harris_response`); the
weighting is our own. A response that would see beyond the frame or a pixel of which nothing is known is no corner.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor

from hedgerow.edges.harris import IDEAL_CORNER, REACH_PX, harris_response
from hedgerow.losses._maps import Map, Mask, mapped
from hedgerow.losses._partial import is_known, membership, of_class, set_cost, weighted_mean
from hedgerow.records import BORDER


class Config(BaseModel, frozen=True, extra="forbid"):
    """What a corner is, and how far around it counts."""

    threshold: float = Field(0.1, ge=0, lt=1)
    """Share of an ideal corner's response below which there is none: the steps of a slanting border reach 0.06, angles
    from 15 to 90 degrees at least 0.18."""
    radius_px: int = Field(3, ge=1)
    """How far from the corner, which lies between pixels, a pixel still counts (chessboard distance)."""


class Corner:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the weighted mean over known pixels; arguments as for cross_entropy."""
        sets = membership(allowed)
        known = is_known(sets)
        border, _ = of_class(sets, BORDER)
        return weighted_mean(set_cost(logits, sets), mapped(self.weight, border, known) * known)

    def weight(self, border: Mask, known: Mask) -> Map:
        """Return w (height, width) of one crop."""
        response = harris_response(np.where(border, np.uint8(255), np.uint8(0))) / IDEAL_CORNER
        corner = (response >= self.config.threshold) & _sees_only(known)
        strength = np.where(corner, np.clip(response, 0, 1), 0).astype(np.float32)
        return np.asarray(_window_maximum(strength, self.config.radius_px, self.config.radius_px - 1, 0), np.float32)


def _sees_only(known: Mask) -> Mask:
    """Return the corners of pixels, named by the pixel below and right of them, that see no unknown pixel."""
    unknown = _window_maximum((~known).view(np.uint8), REACH_PX, REACH_PX, 1)
    return np.asarray(unknown == 0)


def _window_maximum(values: NDArray[Any], half: int, before: int, beyond: int) -> NDArray[Any]:
    """Return the maximum over windows of 2 x half px a side, `before` of them before the pixel itself."""
    kernel = np.ones((2 * half, 2 * half), np.uint8)
    grown = cv2.dilate(values, kernel, anchor=(before, before), borderType=cv2.BORDER_CONSTANT, borderValue=beyond)
    return np.asarray(grown)


def build(config: Config) -> Corner:
    """Return the loss."""
    return Corner(config)
