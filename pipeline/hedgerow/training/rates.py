"""Which weights learn how fast? All at one rate, or those of the trunk at a share of it, down to not at all."""

import torch
from torch import nn

from hedgerow.errors import ModelError
from hedgerow.training.plan import Optimizer


def freeze(model: nn.Module, settings: Optimizer) -> None:
    """Take from the trunk what it would need to learn, where its share of the rate is 0.

    Raises:
        ModelError: a share other than 1 is asked for, and the network has no trunk.
    """
    trunk = _trunk(model)
    if settings.trunk_lr != 1 and not trunk:
        raise ModelError(
            f"optimizer.trunk_lr is {settings.trunk_lr:g}, but {type(model).__name__} has no trunk (`vit` and `hub` "
            "have): leave it out"
        )
    for name, parameter in model.named_parameters():
        if settings.trunk_lr == 0 and name in trunk:
            parameter.requires_grad_(False)


def learning(model: nn.Module) -> nn.Module:
    """Put the network in training mode, but for what is frozen: that drops nothing by chance."""
    for part in model.train().modules():
        weights = list(part.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            part.eval()
    return model


def adamw(model: nn.Module, settings: Optimizer) -> torch.optim.Optimizer:
    """Return an AdamW that forgets weights of two or more dimensions slowly; each group has its `share` of the rate."""
    trunk = _trunk(model) if settings.trunk_lr != 1 else frozenset[str]()
    groups = [
        {
            "params": [p for n, p in model.named_parameters() if (p.ndim > 1, n in trunk) == (decayed, inside)],
            "weight_decay": settings.weight_decay if decayed else 0,
            "share": settings.trunk_lr if inside else 1.0,
        }
        for inside in (False, True)
        for decayed in (True, False)
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.lr)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["share"]


def _trunk(model: nn.Module) -> frozenset[str]:
    """Return the names of the weights of the trunk, as the network tells them."""
    parts = tuple(getattr(model, "trunk_parts", ()))
    return frozenset(name for name, _ in model.named_parameters() if name.startswith(parts))
