"""What is known of a pixel? Sets of possible classes as bits (1 << class), and costs that ask no more than that."""

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from hedgerow.records import CLASSES
from hedgerow.registry import unknown

ANY = (1 << len(CLASSES)) - 1
"""The set of all classes: nothing is known. The empty set says as little and is read as this one."""


def known_class(name: str) -> str:
    """Return the name of a class, or refuse it and offer the nearest."""
    if name not in CLASSES:
        raise ValueError(unknown("class", name, CLASSES))
    return name


ClassName = Annotated[str, AfterValidator(known_class)]
ClassNames = Annotated[tuple[ClassName, ...], Field(min_length=1)]


def membership(allowed: Tensor) -> Tensor:
    """Return (n, classes, height, width) bool from sets written as bits."""
    bits = torch.tensor([1 << c for c in range(len(CLASSES))], dtype=torch.uint8, device=allowed.device)
    sets = torch.where((allowed & ANY) == 0, ANY, allowed)
    return (sets[:, None] & bits[None, :, None, None]) != 0


def of_class(sets: Tensor, c: int) -> tuple[Tensor, Tensor]:
    """Return where a pixel is class `c` for certain, and where it is known whether it is.

    Args:
        sets: (n, classes, height, width) bool, see `membership`.
        c: index of the class.

    Returns:
        Two (n, height, width) bool; the second contains the first.
    """
    certain = sets[:, c] & (sets.sum(dim=1) == 1)
    return certain, certain | ~sets[:, c]


def wide(logits: Tensor) -> Tensor:
    """Return logits in at least single precision: 8 bits of mantissa are too few to sum over a crop."""
    return logits if logits.dtype == torch.float64 else logits.float()


def probabilities_of(logits: Tensor) -> Tensor:
    """Return the softmax (n, classes, height, width) in at least single precision."""
    return torch.softmax(wide(logits), dim=1)


def set_cost(logits: Tensor, sets: Tensor) -> Tensor:
    """Return -log of the probability of each pixel's set (n, height, width); 0 where it is the set of all classes."""
    log_probability = torch.log_softmax(wide(logits), dim=1)
    return -torch.logsumexp(log_probability.masked_fill(~sets, -torch.inf), dim=1)


def is_known(sets: Tensor) -> Tensor:
    """Return where anything is known (n, height, width) bool."""
    return ~sets.all(dim=1)


def weighted_mean(cost: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted mean over a batch; 0 where nothing has a weight."""
    return (cost * weight).sum() / weight.sum().clamp(min=1.0)
