"""How can a grid be learned? Scale and zero-point by gradient descent through the rounding.

Straight-through gradients of LSQ+ (Bhalgat et al. 2020, arXiv 2004.09576): inside the range the scale's gradient is
the rounding residual, outside it is the end of the range; the zero-point moves only what is clipped. The zero-point is
real while it is learned and an integer after `snapped`.
"""

import torch
from torch import Tensor, nn

from hedgerow.quantization.grids import FakeQuantize


class LearnableGrid(nn.Module):
    """A fake quantizer of one tensor whose scale (by its logarithm) and zero-point are parameters."""

    def __init__(self, start: FakeQuantize) -> None:
        super().__init__()
        self.spec = start.spec
        self.log_scale = nn.Parameter(start.scale.detach().log().clone())
        self.zero_point = nn.Parameter(start.zero_point.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        scale, low, high = self.log_scale.exp(), self.spec.low, self.spec.high
        place = (x / scale + self.zero_point).clamp(low, high)
        code = place + (torch.round(place) - place).detach()
        return (code - self.zero_point) * scale

    def snap(self) -> None:
        """Round the zero-point; it stays an integer from here on."""
        with torch.no_grad():
            self.zero_point.copy_(torch.round(self.zero_point).clamp(self.spec.low, self.spec.high))
        self.zero_point.requires_grad_(False)

    def frozen(self) -> FakeQuantize:
        """Return the plain grid that was learned."""
        zero_point = torch.round(self.zero_point.detach()).clamp(self.spec.low, self.spec.high)
        return FakeQuantize(self.spec, self.log_scale.detach().exp(), zero_point)
