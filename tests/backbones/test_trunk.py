"""The trunk: parts that published transformers differ in do what their papers say, at every patch size."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.backbones._positions import CentredRope, SinCos, Table, resized
from hedgerow.backbones._trunk import SwiGLU
from hedgerow.quantization.sites import BitRule, plan_sites, quantized_copy
from hedgerow.records import CLASSES

SIZES = {"width": 32, "depth": 2, "heads": 2, "stem": (8, 8, 16), "decoder": (16, 8, 8), "normalize": False}
EVERYTHING = {
    "class_token": True, "registers": 3, "layer_scale": 0.5, "mlp": "swiglu", "hidden": 20, "key_bias": False,
    "norm_eps": 1e-6, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.25),
}  # fmt: skip
CPU = torch.device("cpu")


def network(**changes: object) -> vit.SegmentationViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return vit.build(vit.Config(**{**SIZES, **changes}))  # type: ignore[arg-type]


def image(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("patch_px", [None, 8, 14, 16])
@pytest.mark.parametrize("positions", ["rope", "rope-dinov3", "table", "sincos", "none"])
def test_every_patch_and_position_gives_logits_of_any_size(patch_px: int | None, positions: str) -> None:
    table = (3, 5) if positions == "table" else None
    model = network(patch_px=patch_px, positions=positions, table=table, **EVERYTHING)
    with torch.inference_mode():
        for size in ((48, 80), (33, 30), (5, 9)):
            logits = model(image(*size))
            assert logits.shape == (1, len(CLASSES), *size)
            assert logits.isfinite().all()
            patch = patch_px or 16
            tokens = math.ceil(size[0] / patch) * math.ceil(size[1] / patch)
            assert model.hidden(image(*size)).shape == (1, 1 + 3 + tokens, 32)
    assert model.patch_px == (patch_px or 16)


def test_all_parameters_of_a_trunk_with_everything_are_learned_but_the_key_bias() -> None:
    model = network(patch_px=8, positions="table", table=(4, 4), **EVERYTHING).train()
    model(image(40, 56)).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        if name.endswith("qkv.bias"):
            for part, learned in zip(parameter.grad.chunk(3), (True, False, True), strict=True):
                assert bool(part.abs().max() > 0) == learned, name
            assert not parameter.chunk(3)[1].any()
        else:
            assert parameter.grad.abs().max() > 0, name


def test_a_trunk_with_everything_can_be_quantized_at_every_layer() -> None:
    model = network(patch_px=8, positions="table", table=(4, 4), **EVERYTHING)
    plan = plan_sites(model, BitRule())
    assert plan.layers["patch_embed.proj"].weight.bits == 8
    twin = quantized_copy(model, plan)
    assert twin(image(16, 16)).isfinite().all()


def test_a_network_in_bfloat16_says_about_the_same() -> None:
    model, x = network(patch_px=8, positions="rope-dinov3", **EVERYTHING), image(32, 40)
    with torch.inference_mode():
        want = model.hidden(x)
        found = model.to(torch.bfloat16).hidden(x.to(torch.bfloat16))
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), want, rtol=0, atol=0.1)


def test_registers_start_apart() -> None:
    registers = network(registers=4).registers
    assert registers is not None
    assert torch.pdist(registers[0]).min() > 1e-3  # equal ones would get equal gradients for ever


def test_dinov3_s_rotation_is_a_complex_number_per_pair_of_channels() -> None:
    """Channel i and i + d / 2 are one number; places run over (-1, 1), and 2 pi times base^(-4 i / d) turns it."""
    rows, cols, width, base = 3, 5, 16, 100.0
    x = torch.randn(1, 1, 2 + rows * cols, width, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    got = CentredRope(width, base).turn((rows, cols), 2, CPU)(x)[0, 0].numpy()
    assert np.array_equal(got[:2], x[0, 0, :2].numpy())  # prefix tokens do not turn

    row, col = np.divmod(np.arange(rows * cols), cols)
    places = [(2 * row + 1) / rows - 1, (2 * col + 1) / cols - 1]
    speed = 2 * np.pi * base ** (-4 * np.arange(width // 4) / width)
    turning = np.concatenate([np.exp(1j * place[:, None] * speed) for place in places], axis=1)
    halves = x[0, 0, 2:].numpy().reshape(-1, 2, width // 2)
    want = (halves[:, 0] + 1j * halves[:, 1]) * turning
    np.testing.assert_allclose(got[2:], np.concatenate([want.real, want.imag], axis=1), atol=1e-5)


def test_sines_tell_columns_in_the_first_half_and_rows_in_the_second() -> None:
    added = SinCos().add(torch.zeros(1, 6, 16), (2, 3)).reshape(2, 3, 16)
    assert torch.equal(added[0, :, :8], added[1, :, :8])
    assert torch.equal(added[:, 0, 8:], added[:, 2, 8:])
    assert added[1, 2, 0].item() == pytest.approx(math.sin(2))  # column 2 at frequency 1
    assert added[1, 2, 12].item() == pytest.approx(math.cos(1))  # row 1
    assert added[1, 2, 1].item() == pytest.approx(math.sin(2 * 10_000 ** (-1 / 4)))


def test_a_table_is_taken_as_it_is_on_its_own_grid() -> None:
    table = Table(4, (2, 3), antialias=False)
    assert torch.equal(table.add(torch.zeros(1, 6, 4), (2, 3)), table.table)


@pytest.mark.parametrize(("antialias", "a"), [(False, -0.75), (True, -0.5)])
def test_a_table_is_interpolated_by_keys_kernel(antialias: bool, a: float) -> None:
    """Twice as many columns: a cell's new ones lie 1/4 to either side, weighted by the cubic kernel of parameter a."""
    values = torch.randn(9, generator=torch.Generator().manual_seed(4))
    table = values.repeat(9, 1).reshape(1, 81, 1)
    found = resized(table, (9, 9), (9, 18), antialias=antialias).reshape(9, 18)[4]

    def kernel(d: float) -> float:
        near, far = (a + 2) * d**3 - (a + 3) * d**2 + 1, a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
        return near if d <= 1 else far

    for column in range(6, 12):
        place = (column + 0.5) / 2 - 0.5
        want = sum(kernel(abs(place - k)) * float(values[k]) for k in range(9) if abs(place - k) < 2)
        assert found[column].item() == pytest.approx(want, abs=1e-5)


def test_a_gate_opens_with_the_first_half() -> None:
    gate = SwiGLU(2, 1)
    gate.load_state_dict({
        "fc1.weight": torch.eye(2), "fc1.bias": torch.zeros(2), "fc2.weight": torch.tensor([[1.0], [2.0]]),
        "fc2.bias": torch.zeros(2),
    })  # fmt: skip
    opened = 3 / (1 + math.exp(-3)) * 5  # SiLU(3) x 5
    torch.testing.assert_close(gate(torch.tensor([3.0, 5.0])), torch.tensor([opened, 2 * opened]))


def test_blocks_equal_torch_s_own_encoder_layers() -> None:
    model = network(patch_px=8, positions="none", width=32, heads=4)
    oracle = encoder_layers(model)
    x = image(24, 40)
    tokens = F.conv2d((x - 0.5) / 0.25, model.patch_embed.proj.weight, model.patch_embed.proj.bias, stride=8)
    want = F.layer_norm(oracle(tokens.flatten(2).transpose(1, 2)), (32,), model.norm.weight, model.norm.bias)
    with torch.inference_mode():
        torch.testing.assert_close(model.hidden(x), want, rtol=1e-4, atol=1e-5)


def encoder_layers(model: vit.SegmentationViT) -> nn.Sequential:
    config, layers = model.config, []
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            4 * config.width,
            dropout=0,
            activation=F.gelu,
            norm_first=True,
            batch_first=True,
        )
        ours = block.state_dict()
        renamed = {
            "self_attn.in_proj_": "attn.qkv.", "self_attn.out_proj.": "attn.proj.", "linear1.": "mlp.fc1.",
            "linear2.": "mlp.fc2.", "norm1.": "norm1.", "norm2.": "norm2.",
        }  # fmt: skip
        layer.load_state_dict({a + kind: ours[b + kind] for a, b in renamed.items() for kind in ("weight", "bias")})
        layers.append(layer.eval())
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"positions": "table"}, "needs `table"),
        ({"table": (4, 4)}, "needs `table"),
        ({"positions": "none", "width": 30, "heads": 3}, "multiple of 4 and of heads"),
        ({"positions": "rope-dinov3", "width": 40, "heads": 4}, "multiple of 4 x heads"),
        ({"patch_px": 2}, "greater than or equal to 4"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        vit.Config(**settings)  # type: ignore[arg-type]
