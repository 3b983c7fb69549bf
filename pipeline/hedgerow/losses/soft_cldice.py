"""Are the border lines connected as they should be? Dice of centre lines, on soft skeletons of the border class.

    1 - 2 P S / (P + S),    P = sum(S_p t) / sum(S_p),    S = sum(S_t p) / sum(S_t)

with p the border probability, t the target and S_x the soft skeleton of x: what every shrinking step takes away that
growing does not bring back. P (topology precision) falls with lines that are not there, S (topology sensitivity) with
gaps. A line may be moved by up to half its width, or thinned, at no cost: lines are counted, not places. An area
too wide for a centre line costs nothing either, so give it beside dice, as the paper does.

Source: Shit et al. 2021 (arXiv:2003.07311), equations 1 and 2 and algorithm 1, with windows of 3 x 3 for both pools and
1 added to all sums. Pixels that may or may not be border are 0 in p and in t.
"""

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from hedgerow.losses._morphology import grown, shrunk
from hedgerow.losses._partial import membership, of_class, probabilities_of
from hedgerow.records import BORDER


class Config(BaseModel, frozen=True, extra="forbid"):
    """Options."""

    iterations: int = Field(3, ge=1)
    """Shrinking steps: bands up to 2 x iterations + 2 px wide have a centre line."""


class SoftClDice:
    """Callable loss."""

    def __init__(self, config: Config) -> None:
        self.iterations = config.iterations

    def __call__(self, logits: Tensor, allowed: Tensor) -> Tensor:
        """Return 1 - clDice of the border class over the batch; arguments as for cross_entropy."""
        border, known = of_class(membership(allowed), BORDER)
        p = probabilities_of(logits)[:, BORDER] * known
        t = border.to(p.dtype)
        precision = _share(soft_skeleton(p, self.iterations), t)
        sensitivity = _share(soft_skeleton(t, self.iterations), p)
        return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def soft_skeleton(values: Tensor, iterations: int) -> Tensor:
    """Return the soft skeleton (n, height, width) of values in [0, 1]; of a 0/1 map it is 0/1."""
    skeleton = torch.zeros_like(values)
    for _ in range(iterations + 1):
        smaller = shrunk(values)
        lost = torch.relu(values - grown(smaller))
        skeleton = skeleton + (1 - skeleton) * lost
        values = smaller
    return skeleton


def _share(skeleton: Tensor, mask: Tensor) -> Tensor:
    return ((skeleton * mask).sum() + 1) / (skeleton.sum() + 1)


def build(config: Config) -> SoftClDice:
    """Return the loss."""
    return SoftClDice(config)
