"""No quantization: the FP32 network itself is an arm like any other."""

import copy
from collections.abc import Sequence

from pydantic import BaseModel
from torch import Tensor, nn


class Config(BaseModel, frozen=True, extra="forbid"):
    """There is nothing to set."""


class NoQuantizer:
    """Returns an equal copy."""

    simulated = False

    def apply(self, model: nn.Module, calibration: Sequence[Tensor]) -> nn.Module:  # noqa: ARG002
        """Return a copy of the model; no calibration is needed."""
        return copy.deepcopy(model).eval()


def build(config: Config) -> NoQuantizer:  # noqa: ARG001
    """Return the quantizer."""
    return NoQuantizer()
