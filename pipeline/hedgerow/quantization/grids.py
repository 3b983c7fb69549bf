"""Onto which values is a tensor rounded? A uniform grid of 2^bits steps: scale times (code minus zero-point).

One reference rounding serves everything: divide by the scale, round half to even (as ONNX does), add the zero-point,
clip. torch's own fake_quantize multiplies by 1/scale and differs at 18 of 2,000,001 points.
"""

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from hedgerow.config import Settings

_SMALLEST_SCALE = 1e-8  # a tensor that is zero everywhere still needs a grid


class QSpec(Settings):
    """What a grid looks like, without its numbers."""

    bits: int = Field(ge=2, le=8)
    symmetric: bool = False
    """Signed codes round zero (weights); else codes from 0 with an integer zero-point (activations)."""
    axis: int | None = None
    """One scale per index of this axis; None: one for the tensor."""

    @property
    def low(self) -> int:
        """Smallest code."""
        return -(1 << (self.bits - 1)) if self.symmetric else 0

    @property
    def high(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1 if self.symmetric else (1 << self.bits) - 1


def grid_over(low: Tensor, high: Tensor, spec: QSpec) -> tuple[Tensor, Tensor]:
    """Return scale and integer zero-point (as floats) of the grid that spans low..high and holds zero exactly."""
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    if spec.symmetric:
        scale = torch.maximum(-low, high) / spec.high
        return scale.clamp(min=_SMALLEST_SCALE), torch.zeros_like(scale)
    scale = ((high - low) / (spec.high - spec.low)).clamp(min=_SMALLEST_SCALE)
    return scale, torch.round(-low / scale).clamp(spec.low, spec.high)


def encode(x: Tensor, scale: Tensor, zero_point: Tensor, spec: QSpec) -> Tensor:
    """Return the integer codes (in a float tensor) of `x`."""
    s, z = _along(scale, x, spec), _along(zero_point, x, spec)
    return (x / s).round_().add_(z).clamp_(spec.low, spec.high)  # in place: activations are large


def decode(codes: Tensor, scale: Tensor, zero_point: Tensor, spec: QSpec) -> Tensor:
    """Return the values that codes stand for."""
    return (codes - _along(zero_point, codes, spec)) * _along(scale, codes, spec)


class FakeQuantize(nn.Module):
    """Rounds a tensor onto its grid and back: what an integer kernel would see, computed in float."""

    scale: Tensor
    zero_point: Tensor

    def __init__(self, spec: QSpec, scale: Tensor | None = None, zero_point: Tensor | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("scale", torch.ones(()) if scale is None else scale.float())
        self.register_buffer("zero_point", torch.zeros(()) if zero_point is None else zero_point.float())

    def forward(self, x: Tensor) -> Tensor:
        codes = self.codes(x)
        z, s = (_along(p, x, self.spec) for p in (self.zero_point, self.scale))
        return codes.sub_(z).mul_(s)

    def codes(self, x: Tensor) -> Tensor:
        """Return the integer codes of `x`."""
        return encode(x, self.scale, self.zero_point, self.spec)

    def extra_repr(self) -> str:
        return f"bits={self.spec.bits}, symmetric={self.spec.symmetric}"


def _along(parameter: Tensor, x: Tensor, spec: QSpec) -> Tensor:
    if spec.axis is None or parameter.ndim == 0:
        return parameter
    shape: list[Any] = [1] * x.ndim
    shape[spec.axis] = -1
    return parameter.reshape(shape)
