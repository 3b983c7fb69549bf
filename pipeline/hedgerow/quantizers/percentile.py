"""Static quantization by percentiles: rare extremes are clipped, so that the rest gets finer steps (simulated).

Source: range clipping as in McKinstry et al. 2018 (arXiv 1809.04191), on both tails. Everything else as in minmax.
"""

from collections.abc import Sequence

from pydantic import Field
from torch import Tensor, nn

from hedgerow.quantization.calibrated import calibrated
from hedgerow.quantization.grids import QSpec
from hedgerow.quantization.observers import RangeObserver
from hedgerow.quantization.sites import BitRule


class Config(BitRule):
    """Bits, granularity and how much is kept."""

    percentile: float = Field(99.9, gt=50, le=100)
    """Upper percentile of the range; the lower is 100 minus it."""


class Percentile:
    """Post-training quantizer."""

    simulated = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def apply(self, model: nn.Module, calibration: Sequence[Tensor]) -> nn.Module:
        """Return a quantized copy calibrated on images (bands, height, width)."""
        return calibrated(model, self.config, calibration, self._range)[0]

    def _range(self, observer: RangeObserver, spec: QSpec) -> tuple[float, float]:  # noqa: ARG002
        return observer.percentiles(self.config.percentile / 100)


def build(config: Config) -> Percentile:
    """Return the quantizer."""
    return Percentile(config)
