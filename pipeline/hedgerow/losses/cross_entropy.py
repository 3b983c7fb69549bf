"""How wrong is the class of a pixel? Cross-entropy that understands partial labels.

A target pixel is a set of classes that it may have, as bits (1 << class). The loss is -log of the probability of the
set: a tile where only fields were drawn does not teach that its forest is `other`, and an unknown pixel (all bits)
costs nothing. With one bit set it is plain cross-entropy. Source: partial-label learning, Jin and Ghahramani 2002.
"""

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from hedgerow.losses._partial import membership
from hedgerow.records import BORDER


class Config(BaseModel, frozen=True, extra="forbid"):
    """Options."""

    border_weight: float = Field(3.0, gt=0)
    """Weight of pixels that are border for certain; all others weigh 1."""


class CrossEntropy:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the weighted mean over known pixels.

        Args:
            logits: (n, classes, height, width).
            allowed: (n, height, width) uint8 sets of classes.
        """
        sets = membership(allowed)
        log_probability = torch.log_softmax(logits, dim=1)
        loss = -torch.logsumexp(log_probability.masked_fill(~sets, -1e4), dim=1)
        certain_border = allowed == 1 << BORDER
        weight = torch.where(certain_border, self.config.border_weight, 1.0) * (~sets.all(dim=1))
        return (loss * weight).sum() / weight.sum().clamp(min=1.0)


def build(config: Config) -> CrossEntropy:
    """Return the loss."""
    return CrossEntropy(config)
