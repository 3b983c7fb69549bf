"""How wrong is the class of a pixel? Cross-entropy that understands partial labels.

A target pixel is a set of classes that it may have, as bits (1 << class). The loss is -log of the probability of the
set: a tile where only fields were drawn does not teach that its forest is `other`, and an unknown pixel (all bits)
costs nothing. With one bit set it is plain cross-entropy. Source: partial-label learning, Jin and Ghahramani 2002.
"""

from collections.abc import Mapping
from typing import Self

import torch
from pydantic import BaseModel, Field, PositiveFloat, model_validator
from torch import Tensor

from hedgerow.losses._partial import ANY, ClassName, membership, set_cost, weighted_mean
from hedgerow.records import CLASSES


class Config(BaseModel, frozen=True, extra="forbid"):
    """Weights of pixels whose class is certain; all other known pixels weigh 1."""

    border_weight: float = Field(3.0, gt=0)
    """Weight of border pixels."""
    class_weights: Mapping[ClassName, PositiveFloat] = Field(default_factory=dict)
    """Weights by class; one for `border` stands in place of border_weight."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        if "border" in self.class_weights and "border_weight" in self.model_fields_set:
            raise ValueError("border has a weight in border_weight and in class_weights: give one of them")
        return self


class CrossEntropy:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        by_name = {"border": config.border_weight, **config.class_weights}
        self.weight_of = torch.ones(ANY + 1)
        for c, name in enumerate(CLASSES):
            self.weight_of[1 << c] = by_name.get(name, 1.0)
        self.weight_of[[0, ANY]] = 0.0

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the weighted mean over known pixels.

        Args:
            logits: (n, classes, height, width).
            allowed: (n, height, width) uint8 sets of classes.
        """
        weight = self.weight_of.to(allowed.device)[(allowed & ANY).long()]
        return weighted_mean(set_cost(logits, membership(allowed)), weight)


def build(config: Config) -> CrossEntropy:
    """Return the loss."""
    return CrossEntropy(config)
