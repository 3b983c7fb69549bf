"""How does a quantized network come back from disk? From its plan and its stored codes, scales and zero-points."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.errors import ModelError
from hedgerow.quantization.sites import SitePlan, quantized_copy


def requantized(module: nn.Module, quantization: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """Wrap a fresh float network by the plan and load everything into it.

    Raises:
        ModelError: plan, weights and network do not belong together.
    """
    try:
        twin = quantized_copy(module, SitePlan.model_validate(quantization))
        twin.load_state_dict(dict(state))
    except (ValidationError, AttributeError, AssertionError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise ModelError(f"quantized weights do not fit their card: {first}. Quantize the model again") from error
    return twin.eval()
