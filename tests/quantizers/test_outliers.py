"""Outlier channels: the same function with six loud channels; who measures ranges by extremes is deafened by them.

The injection is function-preserving: six channels of each LayerNorm are scaled by 20, the next layer's weights divided.
"""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hedgerow import registry

LOUD, GAIN = 6, 20.0


def with_outliers(model: nn.Module, seed: int = 0) -> nn.Module:
    loud = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    for block in loud.blocks:
        for norm, layer in ((block.norm1, block.attn.qkv), (block.norm2, block.mlp.fc1)):
            channels = torch.randperm(norm.weight.numel(), generator=generator)[:LOUD]
            norm.weight[channels] *= GAIN
            norm.bias[channels] *= GAIN
            layer.weight[:, channels] /= GAIN
    return loud


@torch.inference_mode()
def tokens_of(model: nn.Module, images: list[Tensor]) -> Tensor:
    """What the trunk hands to the decoder: only there do the outliers live."""
    seen: list[Tensor] = []
    hook = model.norm.register_forward_hook(lambda _m, _i, out: seen.append(out))
    model(torch.stack(images))
    hook.remove()
    return seen[0]


def relative_error(kind: str, model: nn.Module, world: Any) -> float:
    recipe = {"kind": kind, "weight_bits": 4, "activation_bits": 4}
    quantized = registry.build("quantizers", recipe).apply(model, world.calibration)
    want = tokens_of(model, world.test)
    return float((tokens_of(quantized, world.test) - want).square().sum() / want.square().sum())


def test_the_injection_leaves_the_function_as_it_is(worlds: tuple[Any, Any]) -> None:
    for world in worlds:
        with torch.inference_mode():
            want, got = (m(torch.stack(world.test)) for m in (world.model, with_outliers(world.model)))
        torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))


def test_minmax_at_4_bits_is_deafened_by_outliers(worlds: tuple[Any, Any]) -> None:
    for world in worlds:
        plain, loud = (relative_error("minmax", m, world) for m in (world.model, with_outliers(world.model)))
        assert loud > 20 * plain  # measured: 98 to 350 times


@pytest.mark.parametrize("kind", ["minmax", "percentile"])
def test_8_bits_stand_outliers(kind: str, worlds: tuple[Any, Any]) -> None:
    for world in worlds:
        recipe = {"kind": kind, "weight_bits": 8, "activation_bits": 8}
        loud = with_outliers(world.model)
        quantized = registry.build("quantizers", recipe).apply(loud, world.calibration)
        with torch.inference_mode():
            want, got = (m(torch.stack(world.test)).argmax(1) for m in (loud, quantized))
        assert float((got == want).float().mean()) >= 0.97
