"""How much of a class was found, however rare it is? Soft Dice over the pixels whose class is known.

Source: Milletari et al. 2016 (V-Net), squared denominator; pixels that may or may not be the class are left out.
"""

import torch
from pydantic import BaseModel, Field, field_validator
from torch import Tensor

from hedgerow.losses._partial import membership
from hedgerow.records import CLASSES
from hedgerow.registry import unknown


class Config(BaseModel, frozen=True, extra="forbid"):
    """Options."""

    classes: tuple[str, ...] = Field(("field", "border"), min_length=1)

    @field_validator("classes")
    @classmethod
    def _known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        for name in classes:
            if name not in CLASSES:
                raise ValueError(unknown("class", name, CLASSES))
        return classes


class Dice:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.indexes = [CLASSES.index(name) for name in config.classes]

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return 1 - mean Dice over the classes; arguments as for cross_entropy."""
        probabilities = torch.softmax(logits, dim=1)
        sets = membership(allowed)
        certain = sets.sum(dim=1) == 1
        return 1 - torch.stack([self._of(c, probabilities, sets, certain) for c in self.indexes]).mean()

    def _of(self, c: int, probabilities: Tensor, sets: Tensor, certain: Tensor) -> Tensor:
        known = certain | ~sets[:, c]
        p = probabilities[:, c] * known
        t = (sets[:, c] & certain).to(p.dtype)
        return (2 * (p * t).sum() + 1) / ((p * p).sum() + (t * t).sum() + 1)


def build(config: Config) -> Dice:
    """Return the loss."""
    return Dice(config)
