"""Can I bring my own network? Yes: `module:factory` names a function that returns an nn.Module.

The module maps (n, bands, height, width) in [0, 1] to logits (n, 4, height, width): other, field, forest, border.
"""

import importlib

from pydantic import BaseModel
from torch import nn

from hedgerow.errors import ModelError


class Config(BaseModel, frozen=True, extra="forbid"):
    """Where the factory is."""

    factory: str


def build(config: Config) -> nn.Module:
    """Import the module and call its factory without arguments.

    Raises:
        ModelError: nothing there, the factory fails, or what comes back is no nn.Module.
    """
    module_name, _, name = config.factory.partition(":")
    try:
        factory = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModelError(f"{config.factory}: {error}. The module must be importable (PYTHONPATH)") from error
    try:
        module = factory()
    except Exception as error:
        raise ModelError(f"{config.factory}() failed: {type(error).__name__}: {error}; it takes no argument") from error
    if not isinstance(module, nn.Module):
        raise ModelError(f"{config.factory}: returned {type(module).__name__}, a torch.nn.Module is needed")
    return module.eval()
