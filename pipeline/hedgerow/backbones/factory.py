"""Can I bring my own network? Yes: `module:factory` names a function that returns an nn.Module.

The module maps (n, bands, height, width) in [0, 1] to logits (n, 4, height, width): other, field, forest, border. One
of other bands, range, size or classes will do where the settings say what it takes and gives.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from pydantic import Field
from torch import nn

from hedgerow.backbones._adapter import Adapted, Fit
from hedgerow.errors import ModelError


class Config(Fit):
    """Where the factory is, and what its network takes and gives."""

    factory: str
    arguments: Mapping[str, Any] = Field(default_factory=dict)
    """What the factory is called with, by name."""


def build(config: Config) -> nn.Module:
    """Import the module, call its factory and, if the settings say so, fit what comes back to our bands and classes.

    Raises:
        ModelError: nothing there, the factory fails, or what comes back is no nn.Module.
    """
    module_name, _, name = config.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"{config.factory}: {error}. The module must be importable (PYTHONPATH)") from error
    try:
        module = factory(**config.arguments)
    except Exception as error:
        given = ", ".join(config.arguments) or "no argument"
        raise ModelError(f"{config.factory} failed: {type(error).__name__}: {error} (it was given {given})") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{config.factory}: returned {type(module).__name__}, a torch.nn.Module is needed")
    fit = Fit(**{name: getattr(config, name) for name in Fit.model_fields})
    return (module if fit == Fit() else Adapted(module, fit)).eval()
