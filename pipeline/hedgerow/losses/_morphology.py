"""How do grey maps grow and shrink? The largest and the smallest value of every 3 x 3 window; the frame adds nothing.

Two ways to the same values: maxima of shifted copies take a sixth of the time of pooling forward, and 15 times as much
backward. So they serve what needs no gradient.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def grown(values: Tensor) -> Tensor:
    """Return the maximum over 3 x 3 windows of (n, height, width)."""
    if values.requires_grad:
        return F.max_pool2d(values[:, None], kernel_size=3, stride=1, padding=1)[:, 0]
    return _along(_along(values, -1), -2)


def shrunk(values: Tensor) -> Tensor:
    """Return the minimum over 3 x 3 windows of (n, height, width)."""
    return -grown(-values)


def neighbours(values: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return the values before and after each along one axis; the frame repeats its own."""
    last = values.shape[dim] - 1
    before = torch.cat([values.narrow(dim, 0, 1), values.narrow(dim, 0, last)], dim)
    return before, torch.cat([values.narrow(dim, 1, last), values.narrow(dim, last, 1)], dim)


def _along(values: Tensor, dim: int) -> Tensor:
    before, after = neighbours(values, dim)
    return torch.maximum(torch.maximum(before, after), values)
