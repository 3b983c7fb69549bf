"""Static quantization by extremes: every activation's grid spans all that was seen of it (simulated).

Symmetric weights per output channel, asymmetric activations per tensor; attention has four sites: q, k, softmax, v.
Source: Jacob et al. 2018 (arXiv 1712.05877), without their moving averages.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from hedgerow.quantization.calibrated import calibrated
from hedgerow.quantization.observers import extremes
from hedgerow.quantization.sites import BitRule


class Config(BitRule):
    """Bits and granularity."""


class MinMax:
    """Post-training quantizer."""

    simulated = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def apply(self, model: nn.Module, calibration: Sequence[Tensor]) -> nn.Module:
        """Return a quantized copy calibrated on images (bands, height, width)."""
        return calibrated(model, self.config, calibration, extremes)[0]


def build(config: Config) -> MinMax:
    """Return the quantizer."""
    return MinMax(config)
