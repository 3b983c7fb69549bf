"""How good is the network so far? A quick look at held-out crops; the model card's scores come from `compare`."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hedgerow.records import BORDER, FIELD
from hedgerow.training.batches import Batch

_TOLERANCE_PX = 2

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, classes, height, width) and sets of classes (n, height, width) to one number."""


@torch.inference_mode()
def judge(
    model: nn.Module, held_out: Mapping[str, Sequence[Batch]], losses: Sequence[tuple[Loss, float]]
) -> dict[str, float]:
    """Return for each held-out set the loss, the IoU of `field` and the F1 of `border` (2 px), and the mean of the F1s.

    The mean is `border_f1`; it is missing where nothing is held out.
    """
    model.eval()
    out: dict[str, float] = {}
    for name, batches in held_out.items():
        logits = [model(batch.images).float() for batch in batches]
        allowed = [batch.allowed for batch in batches]
        total = sum(float(w * term(x, y)) for x, y in zip(logits, allowed, strict=True) for term, w in losses)
        out[f"{name}_loss"] = total / len(batches)
        guess, truth = torch.cat(logits), torch.cat(allowed)
        out[f"{name}_field_iou"] = _field_iou(guess, truth)
        out[f"{name}_border_f1"] = _border_f1(guess, truth)
    if held_out:
        out["border_f1"] = sum(out[f"{name}_border_f1"] for name in held_out) / len(held_out)
    return out


def _field_iou(logits: Tensor, allowed: Tensor) -> float:
    guess = logits[:, :BORDER].argmax(dim=1) == FIELD
    is_field, may_be = allowed == 1 << FIELD, (allowed & (1 << FIELD)) != 0
    counted = (is_field | ~may_be) & (allowed != 1 << BORDER)
    both = (guess & is_field & counted).sum()
    return float(both / ((guess | is_field) & counted).sum().clamp(min=1))


def _border_f1(logits: Tensor, allowed: Tensor) -> float:
    guess = (torch.softmax(logits, dim=1)[:, BORDER] >= 0.5).float()
    truth = (allowed == 1 << BORDER).float()
    known = ((allowed & (1 << BORDER)) == 0) | (truth > 0)
    precision = (guess * _grown(truth) * known).sum() / (guess * known).sum().clamp(min=1)
    recall = (truth * _grown(guess)).sum() / truth.sum().clamp(min=1)
    return float(2 * precision * recall / (precision + recall).clamp(min=1e-9))


def _grown(mask: Tensor) -> Tensor:
    side = 2 * _TOLERANCE_PX + 1
    return F.max_pool2d(mask[:, None], side, stride=1, padding=_TOLERANCE_PX)[:, 0]
