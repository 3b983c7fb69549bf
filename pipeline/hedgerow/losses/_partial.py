"""Which classes may a pixel have? Sets of classes, written as bits (1 << class)."""

import torch
from torch import Tensor

from hedgerow.records import CLASSES


def membership(allowed: Tensor) -> Tensor:
    """Return (n, classes, height, width) bool from sets written as bits."""
    bits = torch.tensor([1 << c for c in range(len(CLASSES))], dtype=torch.uint8, device=allowed.device)
    return (allowed[:, None] & bits[None, :, None, None]) != 0
