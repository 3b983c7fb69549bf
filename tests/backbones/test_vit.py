"""The segmentation ViT: any size goes in, the common names are kept, and what is folded or watched stays equal."""

import math
import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.backbones._positions import Rope
from hedgerow.quantization.taps import Tap
from hedgerow.records import CLASSES

TINY = vit.Config(width=32, depth=2, heads=2, stem=(8, 8, 16), decoder=(16, 8, 8))


def seeded(config: vit.Config = TINY, seed: int = 0) -> vit.SegmentationViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return vit.build(config)


def image(height: int, width: int, *, bands: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(1, bands, height, width, generator=torch.Generator().manual_seed(seed))


def with_perturbed_statistics(model: vit.SegmentationViT) -> vit.SegmentationViT:
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
            module.running_var.mul_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model


@pytest.mark.parametrize("size", [(64, 64), (48, 112), (33, 70), (16, 16), (17, 15), (5, 90), (1, 1)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = seeded()(image(*size))
    assert logits.shape == (1, len(CLASSES), *size)
    assert logits.isfinite().all()


def test_images_of_a_batch_do_not_see_each_other() -> None:
    model, a, b = seeded(), image(40, 56, seed=1), image(40, 56, seed=2)
    with torch.inference_mode():
        torch.testing.assert_close(model(torch.cat([a, b])), torch.cat([model(a), model(b)]), rtol=1e-5, atol=1e-5)


def test_padding_repeats_the_last_row_and_column() -> None:
    model, small = seeded(), image(20, 30)
    rows, cols = torch.arange(32).clamp(max=19), torch.arange(32).clamp(max=29)
    with torch.inference_mode():
        torch.testing.assert_close(model(small), model(small[:, :, rows][:, :, :, cols])[..., :20, :30])


def test_weight_names_follow_the_common_layout() -> None:
    names = set(seeded().state_dict())
    for block in range(TINY.depth):
        for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"):
            assert {f"blocks.{block}.{part}.weight", f"blocks.{block}.{part}.bias"} <= names
    assert {"norm.weight", "norm.bias", "head.weight", "head.bias"} <= names
    assert seeded().blocks[0].attn.qkv.weight.shape == (3 * TINY.width, TINY.width)
    trunk = {name for name in names if name.startswith("blocks.")}
    assert all(re.fullmatch(r"blocks\.\d+\.(norm\d|attn\.(qkv|proj)|mlp\.fc\d)\.(weight|bias)", name) for name in trunk)


def test_the_default_network_has_at_most_6_million_parameters() -> None:
    assert sum(p.numel() for p in vit.build(vit.Config()).parameters()) <= 6_000_000


def test_folding_the_normalisations_changes_nothing() -> None:
    model, x = with_perturbed_statistics(seeded()), image(50, 64)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain = vit.folded(model.train())
    assert all(module.training for module in model.modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    with torch.inference_mode():
        want, got = model.eval()(x), plain(x)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_folded_weights_fit_a_network_that_was_built_without_normalisation() -> None:
    plain = vit.build(TINY.model_copy(update={"normalize": False}))
    plain.load_state_dict(vit.folded(seeded()).state_dict())


def test_registers_are_optional_and_take_part_in_attention() -> None:
    config = TINY.model_copy(update={"registers": 3})
    assert "registers" not in seeded().state_dict()
    model, x = seeded(config), image(32, 48)
    assert model.state_dict()["registers"].shape == (1, 3, TINY.width)
    with torch.inference_mode():
        before = model(x)
        model.registers.add_(torch.randn(1, 3, TINY.width, generator=torch.Generator().manual_seed(3)))
        after = model(x)
    assert before.shape == (1, len(CLASSES), 32, 48)
    assert (before - after).abs().max() > 1e-4


def test_attention_scores_depend_on_offsets_only() -> None:
    """Rotations compose: <R(a) q, R(b) k> = <q, R(b - a) k>, so one q and one k give one score per offset."""
    rows, cols, head_width = 4, 5, 16
    generator = torch.Generator().manual_seed(7)
    q, k = torch.randn(2, 1, 1, 1, head_width, generator=generator)
    turn = Rope(head_width, 100.0).turn((rows, cols), 0, torch.device("cpu"))
    everywhere = (1, 1, rows * cols, head_width)
    scores = (turn(q.expand(everywhere)) @ turn(k.expand(everywhere)).transpose(-2, -1))[0, 0].numpy()
    place = np.stack(np.divmod(np.arange(rows * cols), cols), axis=1)
    offset = place[None, :] - place[:, None]
    for step in np.unique(offset.reshape(-1, 2), axis=0):
        same = scores[(offset == step).all(axis=2)]
        np.testing.assert_allclose(same, same[0], rtol=0, atol=1e-5)
    assert np.unique(scores.round(4)).size > rows * cols  # and they do differ between offsets


def test_attention_scores_equal_complex_multiplication() -> None:
    """The oracle: each pair of channels is a complex number that turns with its token's row or column."""
    rows, cols, head_width = 3, 4, 16
    generator = torch.Generator().manual_seed(9)
    q, k = torch.randn(2, 1, 1, rows * cols, head_width, generator=generator, dtype=torch.float64)
    turn = Rope(head_width, 100.0).turn((rows, cols), 0, torch.device("cpu"))
    got = (turn(q) @ turn(k).transpose(-2, -1))[0, 0].numpy()

    quarter = head_width // 4
    frequencies = 100.0 ** -np.linspace(0, 1, quarter)
    places = np.divmod(np.arange(rows * cols), cols)  # row, column
    turning = np.concatenate([np.exp(1j * place[:, None] * frequencies) for place in places], axis=1)

    def numbers(x: Tensor) -> np.ndarray:
        parts = x[0, 0].numpy().reshape(-1, 2, 2, quarter)  # token, axis, (real, imaginary), frequency
        return (parts[:, :, 0] + 1j * parts[:, :, 1]).reshape(rows * cols, 2 * quarter) * turning

    np.testing.assert_allclose(got, (numbers(q) @ numbers(k).conj().T).real, atol=1e-5)


@pytest.mark.parametrize("how", ["register_forward_hook", "register_forward_pre_hook"])
def test_watching_the_softmax_map_changes_nothing(how: str) -> None:
    model, x = seeded(), image(48, 64)
    seen: list[Tensor] = []
    with torch.inference_mode():
        want = model(x)
        for block in model.blocks:
            getattr(block.attn.softmax_tap, how)(lambda _m, inputs, *_: seen.append(inputs[0]))
        got = model(x)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))
    tokens = math.ceil(48 / 16) * math.ceil(64 / 16)
    assert [tuple(rows.shape) for rows in seen] == [(1, TINY.heads, tokens, tokens)] * TINY.depth
    for rows in seen:
        assert (rows >= 0).all()
        torch.testing.assert_close(rows.sum(dim=-1), torch.ones(rows.shape[:-1]))


def test_every_attention_has_its_four_taps() -> None:
    taps = {name for name, module in seeded().named_modules() if isinstance(module, Tap)}
    assert taps == {f"blocks.{b}.attn.{t}_tap" for b in range(TINY.depth) for t in ("q", "k", "v", "softmax")}


def test_gradients_flow_after_inference_of_the_same_size() -> None:
    model, x = seeded(), image(32, 32)
    with torch.inference_mode():
        model(x)
    model.train()(torch.cat([x, x])).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 4 x heads"):
        vit.Config(width=40, heads=4)
