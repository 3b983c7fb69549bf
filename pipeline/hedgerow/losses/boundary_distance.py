"""How far off the outline lies what was drawn wrongly? Kervadec's boundary loss, in shares of a largest distance.

    mean over classes of  mean over known pixels of  (p - t) phi,      phi = clip(signed distance, -cap, cap) / cap

with p the probability of the class, t 1 where a pixel is of it and 0 elsewhere, and the signed distance (px) that to
the outline of the target, which runs between pixels: 1/2, 3/2, ... outside, -1/2, -3/2, ... inside. Both factors have
the same sign, so the loss is never negative and 0 for the target itself. It is 1 where every pixel is wrong and at
least `cap_px` off: thanks to the cap and the mean, a weight means the same for every size of crop, and a class that is
absent from a crop is just `cap_px` away everywhere.

The outline may run beside any pixel that may or may not be of the class: distances are measured to such pixels, too,
so they are never larger than to the true outline in the crop. They cost nothing themselves.

Source: Kervadec et al. 2019 (arXiv:1812.07032), the boundary loss, with the term kept that does not depend on the
network. As in the paper it is meant beside a term of regions, such as dice.
"""

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from hedgerow.losses._maps import Map, Mask, distance_px, mapped
from hedgerow.losses._partial import ClassNames, membership, of_class, probabilities_of
from hedgerow.records import CLASSES


class Config(BaseModel, frozen=True, extra="forbid"):
    """Whose outlines, and from which distance on wrong is wrong."""

    classes: ClassNames = ("field", "border")
    cap_px: float = Field(20.0, ge=1)
    """Pixels farther than this from the outline weigh no more."""


class BoundaryDistance:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.cap_px = config.cap_px
        self.indexes = [CLASSES.index(name) for name in config.classes]

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the mean distance of what is wrong, in shares of the cap; arguments as for cross_entropy."""
        probabilities, sets = probabilities_of(logits), membership(allowed)
        return torch.stack([self._of(probabilities[:, c], *of_class(sets, c)) for c in self.indexes]).mean()

    def _of(self, probability: Tensor, is_class: Tensor, known: Tensor) -> Tensor:
        phi = mapped(signed_distance_px, is_class, known).clamp(-self.cap_px, self.cap_px) / self.cap_px
        return ((probability - is_class.to(probability.dtype)) * phi).sum() / known.sum().clamp(min=1)


def signed_distance_px(is_class: Mask, known: Mask) -> Map:
    """Return the distance to the outline (height, width): below 0 inside, above 0 outside, 0 where not known."""
    inside, outside = distance_px(~is_class) - 0.5, distance_px(is_class | ~known) - 0.5
    return np.where(is_class, -inside, np.where(known, outside, np.float32(0)))


def build(config: Config) -> BoundaryDistance:
    """Return the loss."""
    return BoundaryDistance(config)
