"""How wrong is the class of a pixel, above all near a border? Cross-entropy weighted by the distance to the border.

    sum over known pixels of  w (-log p(set))  /  sum of w,      w = 1 + w0 exp(-d^2 / (2 sigma^2))

where d is the Euclidean distance (px) to the nearest pixel of the crop that is border for certain. Where a crop has
none, w is 1 and this is plain cross-entropy. Source: Ronneberger et al. 2015 (U-Net), equation 2, whose d1 + d2, the
distances to the two nearest cells, is d here, since borders are a class; and divided by the sum of the weights, so that
a crop full of borders does not count more than one without.
"""

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from hedgerow.losses._maps import distance_px, mapped
from hedgerow.losses._partial import is_known, membership, of_class, set_cost, weighted_mean
from hedgerow.records import BORDER


class Config(BaseModel, frozen=True, extra="forbid"):
    """How much borders weigh, and how far that reaches; the paper's values."""

    w0: float = Field(10.0, ge=0)
    """What a border pixel weighs more than one far from any border."""
    sigma_px: float = Field(5.0, gt=0)
    """Distance at which exp(-1/2) = 61 % of w0 is left."""


class BorderCrossEntropy:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the weighted mean over known pixels; arguments as for cross_entropy."""
        sets = membership(allowed)
        return weighted_mean(set_cost(logits, sets), self.weight(sets) * is_known(sets))

    def weight(self, sets: Tensor) -> Tensor:
        """Return w (n, height, width) of sets (n, classes, height, width)."""
        border, _ = of_class(sets, BORDER)
        distance = mapped(distance_px, border)
        return 1 + self.config.w0 * torch.exp(-(distance**2) / (2 * self.config.sigma_px**2))


def build(config: Config) -> BorderCrossEntropy:
    """Return the loss."""
    return BorderCrossEntropy(config)
