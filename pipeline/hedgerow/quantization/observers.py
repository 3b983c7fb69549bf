"""Which range does a tensor take? Counts over fixed bins, so that the order of tiles never matters.

The bins are the upper bits of the float's own representation: 128 bins per octave and sign, 0.8 % apart at most, the
same for every tensor. Counts add up exactly; percentiles come from them in one pass over the data.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hedgerow.quantization.sites import SitePlan

_SHIFT = 16
_BINS = 1 << (32 - _SHIFT)


class RangeObserver:
    """Extremes and distribution of all values seen; two observers add up."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.counts: NDArray[np.int64] = np.zeros(_BINS, np.int64)

    def update(self, x: Tensor) -> None:
        """Take a tensor in."""
        values = x.detach().float().flatten().cpu().numpy()
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.counts += np.bincount(_bin_of(values), minlength=_BINS)

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and largest value."""
        return self.low, self.high

    def percentiles(self, share: float) -> tuple[float, float]:
        """Return the values below which 1 - share and share of all values lie, never beyond the extremes."""
        cumulated = np.cumsum(self.counts)
        ends = np.searchsorted(cumulated, np.asarray([1 - share, share]) * cumulated[-1])
        low, high = _value_of(np.minimum(ends, _BINS - 1))
        return max(float(low), self.low), min(float(high), self.high)


@torch.inference_mode()
def observe(model: nn.Module, plan: SitePlan, images: Sequence[Tensor]) -> dict[str, RangeObserver]:
    """Run float images (bands, height, width) through the FP32 network and watch every activation site."""
    observers = {name: RangeObserver() for name in (*plan.layers, *plan.taps)}
    hooks = []
    for name, observer in observers.items():
        module = model.get_submodule(name)
        hooks.append(module.register_forward_hook(lambda _m, inputs, _out, o=observer: o.update(inputs[0])))
    try:
        for image in images:
            model(image[None])
    finally:
        for hook in hooks:
            hook.remove()
    return observers


def _bin_of(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number the bins so that larger values have larger numbers."""
    bits = values.view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    return (ordered >> _SHIFT).astype(np.int64)


def _value_of(bins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the value in the middle of each bin."""
    ordered = ((bins.astype(np.uint32) << _SHIFT) | np.uint32(1 << (_SHIFT - 1))).astype(np.uint32)
    bits = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered).astype(np.uint32)
    return bits.view(np.float32)
