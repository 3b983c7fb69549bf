"""The plain U-Net: any size goes in, what is folded stays equal, and every convolution can be quantized."""

import pytest
import torch
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.backbones import unet, vit
from hedgerow.backbones._pixels import folded
from hedgerow.quantization.sites import BitRule, plan_sites
from hedgerow.records import CLASSES

SMALL = unet.Config(widths=(8, 8, 16))
WAYS_UP = ("bilinear", "transposed")


def seeded(config: unet.Config = SMALL, seed: int = 0) -> unet.UNet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return unet.build(config)


def image(height: int, width: int, *, seed: int = 1) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("up", WAYS_UP)
@pytest.mark.parametrize("size", [(32, 48), (17, 15), (5, 9), (1, 1)])
def test_logits_have_the_size_of_the_image(size: tuple[int, int], up: str) -> None:
    with torch.inference_mode():
        logits = seeded(SMALL.model_copy(update={"up": up}))(image(*size))
    assert logits.shape == (1, len(CLASSES), *size)
    assert logits.isfinite().all()


def test_padding_repeats_the_last_row_and_column() -> None:
    model, small = seeded(), image(10, 13)
    rows, cols = torch.arange(12).clamp(max=9), torch.arange(16).clamp(max=12)
    with torch.inference_mode():
        torch.testing.assert_close(model(small), model(small[:, :, rows][:, :, :, cols])[..., :10, :13])


def test_images_of_a_batch_do_not_see_each_other() -> None:
    model, a, b = seeded(), image(20, 24, seed=1), image(20, 24, seed=2)
    with torch.inference_mode():
        torch.testing.assert_close(model(torch.cat([a, b])), torch.cat([model(a), model(b)]), rtol=1e-5, atol=1e-5)


def test_the_default_is_of_the_size_of_the_default_transformer() -> None:
    ours, theirs = (sum(p.numel() for p in module.build(module.Config()).parameters()) for module in (unet, vit))
    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize("up", WAYS_UP)
def test_folding_the_normalisations_changes_nothing(up: str) -> None:
    model, x = seeded(SMALL.model_copy(update={"up": up})), image(20, 24)
    generator = torch.Generator().manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                tensor.add_(0.3 * torch.randn(tensor.shape, generator=generator))
            module.running_var.mul_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    plain = folded(model.train())
    assert model.training
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.modules())
    with torch.inference_mode():
        want, got = model.eval()(x), plain(x)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))
    unet.build(model.config.model_copy(update={"normalize": False})).load_state_dict(plain.state_dict())


def test_every_convolution_is_a_site_of_quantization_and_the_ends_keep_8_bits() -> None:
    plain = folded(seeded())
    plan = plan_sites(plain, BitRule(weight_bits=4, activation_bits=4))
    assert set(plan.layers) == {name for name, module in plain.named_modules() if isinstance(module, nn.Conv2d)}
    kept = {name for name, layer in plan.layers.items() if layer.weight.bits == 8}
    assert kept == {"stem.0.conv", "stem.1.conv", "head"}


def test_the_detail_of_full_resolution_reaches_the_logits() -> None:
    """A chequerboard has no mean at stride 2, so only the skip at full resolution can tell it from its negative."""
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    one = board.float().expand(1, 3, 16, 16)
    with torch.inference_mode():
        logits = seeded()(one)
    assert (logits[..., 6, 6] - logits[..., 6, 7]).abs().max() > 1e-3


def test_gradients_reach_every_weight() -> None:
    model = seeded().train()
    model(torch.cat([image(16, 16), image(16, 16, seed=2)])).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_the_registry_builds_it_by_its_name() -> None:
    assert isinstance(registry.build("backbones", {"kind": "unet", "widths": [4, 8]}), unet.UNet)


def test_one_level_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="two levels or more"):
        unet.Config(widths=(8,))
