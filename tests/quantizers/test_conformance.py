"""What every quantizer promises: the moment a file exists in the family, it is held to this."""

import copy
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.contracts import Quantizer
from hedgerow.errors import ModelError
from hedgerow.quantization.calibrated import plan_of
from hedgerow.quantization.grids import FakeQuantize
from hedgerow.quantization.sites import QuantizedLayer

KINDS = registry.available("quantizers")
REAL = [kind for kind in KINDS if kind != "none"]
BRIEF = {"steps": 6, "crop_px": 64}
"""Options that make a learning quantizer quick, for those that have them."""


def fields(kind: str) -> Mapping[str, Any]:
    return registry.module_of("quantizers", kind).Config.model_fields


def built(kind: str, bits: int | None = None, **options: Any) -> Quantizer:
    chosen = {name: value for name, value in (BRIEF | options).items() if name in fields(kind)}
    if bits is not None:
        chosen |= {name: bits for name in ("weight_bits", "activation_bits") if name in fields(kind)}
    quantizer: Quantizer = registry.build("quantizers", {"kind": kind, **chosen})
    return quantizer


WITH_BITS = [kind for kind in REAL if {"weight_bits", "activation_bits"} <= set(fields(kind))]
WITHOUT_CHANCE = [kind for kind in REAL if "seed" not in fields(kind)]


def fingerprint(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def logits_of(model: nn.Module, images: list[Tensor]) -> Tensor:
    out: Tensor = model(torch.stack(images))
    return out


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def four_bits(kind: str, world: Any) -> nn.Module:
    return built(kind, 4).apply(world.model, world.calibration)


def test_the_input_model_and_images_are_untouched(kind: str, world: Any) -> None:
    model, images = copy.deepcopy(world.model), [image.clone() for image in world.calibration]
    before, modules, modes = fingerprint(model), list(model.modules()), [m.training for m in model.modules()]
    quantized = built(kind).apply(model, images)
    assert fingerprint(model) == before
    assert [m.training for m in model.modules()] == modes
    assert all(a is b for a, b in zip(model.modules(), modules, strict=True))
    assert not any(m._forward_hooks for m in model.modules())
    assert all(torch.equal(a, b) for a, b in zip(images, world.calibration, strict=True))
    own = {p.data_ptr() for p in model.parameters()}
    assert not own & {p.data_ptr() for p in quantized.parameters()}


def test_shape_and_type_are_kept_and_it_comes_back_in_eval_mode(four_bits: nn.Module, world: Any) -> None:
    assert not any(module.training for module in four_bits.modules())
    for shape in ((64, 64), (40, 72), (33, 17)):
        image = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            want, got = world.model(image), four_bits(image)
        assert (got.shape, got.dtype) == (want.shape, want.dtype)
        assert got.isfinite().all()


def test_the_same_seed_gives_the_same_model(kind: str, four_bits: nn.Module, world: Any) -> None:
    torch.manual_seed(12345)  # whatever the global stream is
    again = built(kind, 4).apply(world.model, world.calibration)
    assert fingerprint(again) == fingerprint(four_bits)
    assert torch.equal(logits_of(again, world.test), logits_of(four_bits, world.test))


def test_what_was_quantized_is_told(kind: str, four_bits: nn.Module) -> None:
    plan = plan_of(four_bits)
    assert bool(plan.layers) == (kind != "none")
    assert bool(plan.bits_by_site()) == (kind != "none")


def test_evaluation_changes_no_statistics_and_is_repeatable(four_bits: nn.Module, world: Any) -> None:
    before = fingerprint(four_bits)
    first = logits_of(four_bits, world.test)
    assert torch.equal(logits_of(four_bits, world.test), first)
    assert fingerprint(four_bits) == before


def test_every_site_takes_at_most_2_to_the_bits_values(four_bits: nn.Module, world: Any) -> None:
    """Measured on the tensors that travel, not on the grid's own word."""
    captured: dict[str, Tensor] = {}
    grids = {name: module for name, module in four_bits.named_modules() if isinstance(module, FakeQuantize)}
    hooks = [
        grid.register_forward_hook(lambda _m, _i, out, name=name: captured.__setitem__(name, out.clone()))
        for name, grid in grids.items()
    ]
    logits_of(four_bits, world.test[:2])
    for hook in hooks:
        hook.remove()
    assert set(captured) == set(grids)
    for name, grid in grids.items():
        values = captured[name].unique()
        codes = grid.codes(values)
        assert values.numel() <= 2**grid.spec.bits, name
        assert torch.equal(codes, codes.round())
        assert codes.min() >= grid.spec.low
        assert codes.max() <= grid.spec.high
        assert torch.equal(grid(values), values)  # rounding again changes nothing
        assert float(grid.zero_point) == round(float(grid.zero_point))
    for name, layer in four_bits.named_modules():
        if isinstance(layer, QuantizedLayer):
            spec = layer.plan.weight
            assert not layer.codes.is_floating_point(), name
            assert layer.codes.min() >= spec.low
            assert layer.codes.max() <= spec.high


@pytest.mark.parametrize("kind", WITH_BITS, scope="module")
def test_8_bits_agree_with_fp32_and_the_error_falls_as_bits_rise(kind: str, worlds: tuple[Any, Any]) -> None:
    errors: dict[int, float] = {}
    agreement = 0.0
    for bits in (8, 6, 4):
        for world in worlds:
            want = logits_of(world.model, world.test)
            got = logits_of(built(kind, bits).apply(world.model, world.calibration), world.test)
            errors[bits] = errors.get(bits, 0.0) + float((got - want).square().mean() / want.square().mean()) / 2
            if bits == 8:
                agreement += float((got.argmax(1) == want.argmax(1)).float().mean()) / 2
    assert agreement >= 0.99
    assert errors[8] < errors[6] < errors[4]


@pytest.mark.parametrize("kind", WITHOUT_CHANCE, scope="module")
def test_the_order_of_calibration_images_changes_nothing(kind: str, world: Any) -> None:
    models = [built(kind, 4).apply(world.model, images) for images in (world.calibration, world.calibration[::-1])]
    assert fingerprint(models[0]) == fingerprint(models[1])


@pytest.mark.parametrize("kind", REAL, scope="module")
def test_without_a_calibration_image_it_is_refused(kind: str, world: Any) -> None:
    with pytest.raises(ModelError, match="calibration image"):
        built(kind).apply(world.model, [])


@pytest.mark.parametrize("kind", REAL, scope="module")
def test_images_that_are_not_finite_are_refused(kind: str, world: Any) -> None:
    with pytest.raises(ModelError, match=r"stem.*calibrating"):
        built(kind).apply(world.model, [torch.full((3, 64, 64), torch.nan)])


def test_none_is_the_network_itself(world: Any) -> None:
    same = registry.build("quantizers", "none").apply(world.model, [])
    assert torch.equal(logits_of(same, world.test), logits_of(world.model, world.test))


def test_a_percentile_of_100_keeps_the_extremes(world: Any) -> None:
    """Its ranges end in the middle of a bin, 0.4 % from the extreme at most."""
    clipped = built("percentile", 8, percentile=100).apply(world.model, world.calibration)
    extreme = built("minmax", 8).apply(world.model, world.calibration)
    other = {name: value for name, value in extreme.state_dict().items() if name.endswith("scale")}
    for name, scale in clipped.state_dict().items():
        if name.endswith("scale"):
            torch.testing.assert_close(scale, other[name], rtol=2**-7, atol=0)


PROGRAM = """
import hashlib, sys, torch
from hedgerow import registry
torch.manual_seed(0); torch.set_num_threads(1)
model = registry.build("backbones", {"kind": "vit", "width": 16, "depth": 1, "heads": 1, "stem": [4, 4, 8],
                                     "decoder": [8, 4, 4], "normalize": False})
images = [torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(i)) for i in range(3)]
recipe = {"kind": "spatial", "weight_bits": 4, "activation_bits": 4, "steps": 5, "crop_px": 32, "seed": 3}
quantized = registry.build("quantizers", recipe).apply(model, images)
state = b"".join(k.encode() + v.numpy().tobytes() for k, v in sorted(quantized.state_dict().items()))
print(hashlib.sha256(state).hexdigest())
"""


def test_fresh_processes_make_the_same_bytes() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        )
        for seed in ("1", "2")
    ]  # fmt: skip
    first, second = (run.communicate(timeout=120)[0] for run in runs)
    assert len(first.strip()) == 64
    assert first == second
