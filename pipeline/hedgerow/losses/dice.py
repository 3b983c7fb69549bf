"""How much of a class was found, however rare it is? Soft Dice over the pixels whose class is known.

Source: Milletari et al. 2016 (V-Net), squared denominator; pixels that may or may not be the class are left out.
"""

import torch
from pydantic import BaseModel
from torch import Tensor

from hedgerow.losses._partial import ClassNames, membership, of_class, probabilities_of
from hedgerow.records import CLASSES


class Config(BaseModel, frozen=True, extra="forbid"):
    """Options."""

    classes: ClassNames = ("field", "border")


class Dice:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.indexes = [CLASSES.index(name) for name in config.classes]

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return 1 - mean Dice over the classes; arguments as for cross_entropy."""
        probabilities, sets = probabilities_of(logits), membership(allowed)
        return 1 - torch.stack([_dice(probabilities[:, c], *of_class(sets, c)) for c in self.indexes]).mean()


def _dice(probability: Tensor, is_class: Tensor, known: Tensor) -> Tensor:
    p, t = probability * known, is_class.to(probability.dtype)
    return (2 * (p * t).sum() + 1) / ((p * p).sum() + (t * t).sum() + 1)


def build(config: Config) -> Dice:
    """Return the loss."""
    return Dice(config)
