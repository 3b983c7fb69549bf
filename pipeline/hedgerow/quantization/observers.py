"""Which range does a tensor take? Counts over fixed bins, so that the order of tiles never matters.

The bins are the upper bits of the float's own representation: 128 bins per octave and sign, 0.8 % apart at most, the
same for every tensor. Counts add up exactly; percentiles come from them in one pass over the data.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hedgerow.errors import ModelError
from hedgerow.quantization.grids import FakeQuantize, QSpec, grid_over
from hedgerow.quantization.sites import SitePlan

_SHARES = (0.99999, 0.9999, 0.999, 0.998, 0.995)
"""Percentiles that `least_error` tries."""

_SAMPLE = 1 << 20
"""Values of one tensor that are counted: a softmax map of one tile can hold thirty times as many."""

_SHIFT = 16
_BINS = 1 << (32 - _SHIFT)


class RangeObserver:
    """Extremes and distribution of all values seen, in whatever order they came."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.counts: NDArray[np.int64] = np.zeros(_BINS, np.int64)

    @property
    def empty(self) -> bool:
        """Whether nothing was seen."""
        return self.low > self.high

    def update(self, x: Tensor) -> None:
        """Take a tensor in: its extremes exactly, its distribution from at most a million evenly spaced values.

        Raises:
            ModelError: a value is not finite; no grid spans it.
        """
        values = x.detach().float().flatten().cpu().numpy()
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ModelError(f"activations from {low} to {high} while calibrating: check the weights and the scaling")
        self.low, self.high = min(self.low, low), max(self.high, high)
        step = values.size // _SAMPLE | 1  # odd, so that it walks through all rows and columns of a map
        self.counts += np.bincount(_bin_of(values[::step]), minlength=_BINS)

    def extremes(self) -> tuple[float, float]:
        """Return the smallest and largest value."""
        return self.low, self.high

    def percentiles(self, share: float) -> tuple[float, float]:
        """Return the values below which 1 - share and share of all values lie, never beyond the extremes."""
        cumulated = np.cumsum(self.counts)
        first = np.searchsorted(cumulated, round((1 - share) * cumulated[-1], 6), side="right")
        last = np.searchsorted(cumulated, share * cumulated[-1])
        low, high = _value_of(np.asarray([first, last]))
        return max(float(low), self.low), min(float(high), self.high)

    def least_error(self, spec: QSpec) -> tuple[float, float]:
        """Return, of the extremes and some percentiles, the range whose grid rounds with least squared error.

        Source: the range search of RepQ-ViT (Li et al. 2023, arXiv 2212.08254), over a few more candidates.
        """
        used = np.flatnonzero(self.counts)
        values = torch.from_numpy(np.clip(_value_of(used), self.low, self.high))
        counts = torch.from_numpy(self.counts[used])

        def error(ends: tuple[float, float]) -> float:
            scale, zero_point = grid_over(torch.tensor(ends[0]), torch.tensor(ends[1]), spec)
            rounded = FakeQuantize(spec, scale, zero_point)(values)
            return float((counts * (rounded - values).double().square()).sum())

        return min((self.extremes(), *map(self.percentiles, _SHARES)), key=error)


def extremes(observer: RangeObserver, spec: QSpec) -> tuple[float, float]:  # noqa: ARG001  (any grid spans all)
    """Return the range that clips nothing."""
    return observer.extremes()


@torch.inference_mode()
def observe(model: nn.Module, plan: SitePlan, images: Sequence[Tensor]) -> dict[str, RangeObserver]:
    """Run float images (bands, height, width) through the FP32 network and watch every activation site.

    Raises:
        ModelError: an activation is not finite; the text names its site.
    """
    observers = {name: RangeObserver() for name in (*plan.layers, *plan.taps)}
    hooks = []
    for name, observer in observers.items():
        module = model.get_submodule(name)
        hooks.append(module.register_forward_hook(partial(_look, name, observer)))
    try:
        for image in images:
            model(image[None])
    finally:
        for hook in hooks:
            hook.remove()
    return observers


def _look(name: str, observer: RangeObserver, _module: nn.Module, inputs: tuple[Tensor, ...], _out: Tensor) -> None:
    try:
        observer.update(inputs[0])
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error


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
