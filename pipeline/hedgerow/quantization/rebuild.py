"""How does a quantized network come back from disk? Its plan says which sites to wrap; then the weights fit in."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import nn

from hedgerow.errors import ModelError
from hedgerow.quantization.sites import SitePlan, quantized_copy


def wrapped(module: nn.Module, quantization: Mapping[str, Any]) -> nn.Module:
    """Return a float network wrapped by a stored plan; its codes, scales and zero-points are still to be loaded.

    Raises:
        ModelError: plan and network do not belong together.
    """
    try:
        return quantized_copy(module, SitePlan.model_validate(quantization))
    except (ValidationError, AttributeError, AssertionError) as error:
        reason = " ".join(str(error).split()) or "a site is no Linear or Conv2d"
        raise ModelError(f"the card's quantization does not fit its backbone: {reason}. Quantize it again") from error
