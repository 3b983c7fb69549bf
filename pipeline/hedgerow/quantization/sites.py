"""What in a network can be quantized, and with how many bits? Inputs and weights of layers, and taps, by name.

Works on any nn.Module: every Linear and Conv2d is a layer, every `Tap` (q, k, v and softmax map of our ViT) a site.
"""

import copy
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from hedgerow.config import Settings
from hedgerow.errors import ModelError
from hedgerow.quantization.grids import FakeQuantize, QSpec, decode, encode, grid_over
from hedgerow.quantization.taps import Tap


class LayerPlan(Settings):
    """Grids of one Linear or Conv2d."""

    weight: QSpec
    input: QSpec


class SitePlan(Settings):
    """Everything that is to be quantized: a value that can be printed, stored and rebuilt from."""

    layers: Mapping[str, LayerPlan] = Field(default_factory=dict)
    taps: Mapping[str, QSpec] = Field(default_factory=dict)

    def bits_by_site(self) -> dict[str, str]:
        """Return one readable entry per site: 'W4 A4' for layers, 'A4' for taps."""
        layers = {name: f"W{plan.weight.bits} A{plan.input.bits}" for name, plan in self.layers.items()}
        return layers | {name: f"A{spec.bits}" for name, spec in self.taps.items()}

    def only(self, names: Collection[str]) -> "SitePlan":
        """Return the plan of these sites alone."""
        return SitePlan(
            layers={name: plan for name, plan in self.layers.items() if name in names},
            taps={name: spec for name, spec in self.taps.items() if name in names},
        )


class BitRule(Settings):
    """How many bits go where."""

    weight_bits: int = Field(8, ge=2, le=8)
    activation_bits: int = Field(8, ge=2, le=8)
    per_channel: bool = True
    """One weight scale per output channel; else one per tensor."""
    keep: Mapping[str, Annotated[int, Field(ge=2, le=8)]] = Field(
        default_factory=lambda: {"stem": 8, "patch_embed": 8, "head": 8}
    )
    """Top-level parts that get at least so many bits: the patch embedding and the final classifier break first."""


def plan_sites(model: nn.Module, rule: BitRule) -> SitePlan:
    """Lay out the grids of every layer and tap of a network."""

    def layer_plan(name: str) -> LayerPlan:
        floor = rule.keep.get(name.split(".")[0], 2)
        axis = 0 if rule.per_channel else None
        weight = QSpec(bits=max(rule.weight_bits, floor), symmetric=True, axis=axis)
        return LayerPlan(weight=weight, input=QSpec(bits=max(rule.activation_bits, floor)))

    modules = dict(model.named_modules())
    return SitePlan(
        layers={name: layer_plan(name) for name, m in modules.items() if isinstance(m, nn.Linear | nn.Conv2d)},
        taps={name: QSpec(bits=rule.activation_bits) for name, m in modules.items() if isinstance(m, Tap)},
    )


class QuantizedLayer(nn.Module):
    """A Linear or Conv2d whose weight is integer codes and whose input is fake-quantized."""

    codes: Tensor
    weight_scale: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d, plan: LayerPlan) -> None:
        super().__init__()
        self.plan = plan
        self.input_grid = FakeQuantize(plan.input)
        self.bias = layer.bias
        self._apply_weight = _kernel_of(layer)
        codes, scale = _weight_codes(layer.weight.detach(), plan.weight)
        self.register_buffer("codes", codes)
        self.register_buffer("weight_scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        return self._apply_weight(self.input_grid(x), self.weight(), self.bias)

    def weight(self) -> Tensor:
        """Return the weight that the codes stand for."""
        return decode(self.codes.float(), self.weight_scale, torch.zeros_like(self.weight_scale), self.plan.weight)

    def extra_repr(self) -> str:
        return f"shape={tuple(self.codes.shape)}, bits={self.plan.weight.bits}"


def quantized_copy(model: nn.Module, plan: SitePlan) -> nn.Module:
    """Return a copy with quantized weights and unset activation grids; the input model is untouched.

    The weight grid spans the largest magnitude of each channel (or tensor).
    """
    twin = copy.deepcopy(model)
    for name, layer_plan in plan.layers.items():
        _replace(twin, name, QuantizedLayer(_layer(twin, name), layer_plan))
    for name, spec in plan.taps.items():
        _replace(twin, name, FakeQuantize(spec))
    return twin.eval().requires_grad_(False)


def activation_grids(model: nn.Module, plan: SitePlan) -> dict[str, FakeQuantize]:
    """Return the fake quantizer of every activation site, by site name."""
    grids: dict[str, FakeQuantize] = {}
    for name in plan.layers:
        layer = model.get_submodule(name)
        assert isinstance(layer, QuantizedLayer)
        grids[name] = layer.input_grid
    for name in plan.taps:
        tap = model.get_submodule(name)
        assert isinstance(tap, FakeQuantize)
        grids[name] = tap
    return grids


def set_activation_grids(model: nn.Module, plan: SitePlan, grids: Mapping[str, nn.Module]) -> None:
    """Put other grids (learnable or learned ones) in the places of `activation_grids`."""
    for name in plan.layers:
        model.get_submodule(name).input_grid = grids[name].train(model.training)
    for name in plan.taps:
        _replace(model, name, grids[name].train(model.training))


def _weight_codes(weight: Tensor, spec: QSpec) -> tuple[Tensor, Tensor]:
    flat = weight.reshape(weight.shape[0], -1) if spec.axis == 0 else weight.reshape(1, -1)
    scale, zero = grid_over(flat.min(dim=1).values, flat.max(dim=1).values, spec)
    if spec.axis is None:
        scale, zero = scale[0], zero[0]
    return encode(weight, scale, zero, spec).to(torch.int8), scale


def _kernel_of(layer: nn.Linear | nn.Conv2d) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    if isinstance(layer, nn.Linear):
        return F.linear
    return _Convolution(layer)


class _Convolution:
    """The arithmetic of a Conv2d without its weight (a plain object, so that it is copied and pickled with ease)."""

    def __init__(self, layer: nn.Conv2d) -> None:
        if layer.padding_mode != "zeros":
            raise ModelError(f"{layer}: only zero padding can be quantized; pad the image before this layer instead")
        self.options: dict[str, Any] = {
            "stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "groups": layer.groups,
        }  # fmt: skip

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.conv2d(x, weight, bias, **self.options)


def _layer(model: nn.Module, name: str) -> nn.Linear | nn.Conv2d:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return layer


def _replace(model: nn.Module, name: str, new: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)
