"""Are the edges as steep as they should be, and where they should be? Sobel gradients of probability against target.

    mean over classes of  sum (G_p - G_t)^2 / (sum G_p^2 + sum G_t^2 + 1)

with G_x the magnitude of the 3 x 3 Sobel gradient of x, over 4 (so that it is 1 beside a step from 0 to 1), as the
scores see it (`edges.canny.gradient_magnitude`); p is the probability of the class and t 1 where a pixel is of it. The
sums run over the pixels of whose windows everything is known. It is 0 for the target itself, close to 1 for a flat
map or edges elsewhere, however many edges there are. A map and its negative have the same edges: give it beside
cross_entropy.

Source: Sobel and Feldman 1968 for the gradient; the ratio is 1 - Dice with the squared denominator of Milletari et al.
2016, taken of gradients. Our own combination.
"""

import torch
from pydantic import BaseModel
from torch import Tensor

from hedgerow.losses._morphology import grown, neighbours
from hedgerow.losses._partial import ClassNames, membership, of_class, probabilities_of
from hedgerow.records import CLASSES

_FLAT = 1e-3  # the root has no slope at 0: gradients far below this count as none


class Config(BaseModel, frozen=True, extra="forbid"):
    """Options."""

    classes: ClassNames = ("field", "border")


class Edge:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.indexes = [CLASSES.index(name) for name in config.classes]

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return the difference of gradients, from 0 to 1; arguments as for cross_entropy."""
        probabilities, sets = probabilities_of(logits), membership(allowed)
        return torch.stack([_difference(probabilities[:, c], *of_class(sets, c)) for c in self.indexes]).mean()


def gradient_magnitude(values: Tensor) -> Tensor:
    """Return sqrt(dx^2 + dy^2 + e^2) - e of the 3 x 3 Sobel gradient over 4 (..., height, width), e = 0.001."""
    dx, dy = _slope(_smooth(values, -2), -1), _slope(_smooth(values, -1), -2)
    return (dx * dx + dy * dy + _FLAT**2).sqrt() - _FLAT


def _difference(probability: Tensor, is_class: Tensor, known: Tensor) -> Tensor:
    seen = 1 - grown((~known).to(probability.dtype))
    of_p = gradient_magnitude(probability) * seen
    of_t = gradient_magnitude(is_class.to(probability.dtype)) * seen
    return ((of_p - of_t) ** 2).sum() / ((of_p * of_p).sum() + (of_t * of_t).sum() + 1)


def _smooth(values: Tensor, dim: int) -> Tensor:
    before, after = neighbours(values, dim)
    return (before + 2 * values + after) / 4


def _slope(values: Tensor, dim: int) -> Tensor:
    before, after = neighbours(values, dim)
    return after - before


def build(config: Config) -> Edge:
    """Return the loss."""
    return Edge(config)
