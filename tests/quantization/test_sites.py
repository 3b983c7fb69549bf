"""Sites: every layer and tap is planned, kept parts keep 8 bits, weights are codes, and odd networks still work."""

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.backbones import vit
from hedgerow.errors import ModelError
from hedgerow.quantization.calibrated import calibrated, plan_of
from hedgerow.quantization.grids import FakeQuantize, QSpec
from hedgerow.quantization.observers import extremes
from hedgerow.quantization.sites import (
    BitRule,
    LayerPlan,
    QuantizedLayer,
    activation_grids,
    plan_sites,
    quantized_copy,
)
from hedgerow.quantization.taps import Tap

W4A4 = BitRule(weight_bits=4, activation_bits=4)


def network() -> vit.SegmentationViT:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        config = vit.Config(width=32, depth=2, heads=2, stem=(8, 8, 16), decoder=(16, 8, 8), normalize=False)
        return vit.build(config)


def images(count: int = 2) -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    return [torch.rand(3, 48, 64, generator=generator) for _ in range(count)]


def test_the_plan_holds_every_layer_and_tap() -> None:
    model = network()
    plan = plan_sites(model, W4A4)
    assert set(plan.layers) == {n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert set(plan.taps) == {n for n, m in model.named_modules() if isinstance(m, Tap)}
    weighty = {n.rpartition(".")[0] for n, p in model.named_parameters() if p.ndim > 1}
    assert weighty == set(plan.layers)  # no matrix stays behind in float


def test_stem_and_head_keep_at_least_8_bits() -> None:
    for name, text in plan_sites(network(), W4A4).bits_by_site().items():
        kept = name.split(".")[0] in ("stem", "head")
        assert text in ({"W8 A8"} if kept else {"W4 A4", "A4"})


def test_kept_bits_are_a_floor_and_not_a_ceiling() -> None:
    rule = BitRule(weight_bits=6, activation_bits=5, keep={"head": 4, "stem": 6})
    entries = plan_sites(network(), rule).bits_by_site()
    assert entries["head"] == "W6 A5"
    assert entries["stem.proj"] == "W6 A6"


def test_more_bits_than_a_grid_has_are_refused() -> None:
    with pytest.raises(ValidationError, match="less than or equal to 8"):
        BitRule(keep={"head": 16})


@pytest.mark.parametrize("per_channel", [True, False])
def test_weights_are_symmetric_codes_of_the_largest_magnitude(per_channel: bool) -> None:
    model = network()
    twin = quantized_copy(model, plan_sites(model, BitRule(weight_bits=4, keep={}, per_channel=per_channel)))
    for name, layer in twin.named_modules():
        if isinstance(layer, QuantizedLayer):
            weight = model.get_submodule(name).weight.detach()
            assert layer.codes.dtype == torch.int8
            assert layer.codes.min() >= -7  # +-largest are the outermost codes: -8 is never used
            assert layer.codes.max() <= 7
            largest = weight.abs().flatten(1).amax(dim=1) if per_channel else weight.abs().max()
            torch.testing.assert_close(layer.weight_scale, largest / 7)
            step = layer.weight_scale.reshape(-1, *[1] * (weight.ndim - 1))
            assert ((layer.weight() - weight).abs() <= step / 2 * (1 + 1e-5)).all()


def test_the_arithmetic_is_that_of_the_layer_on_rounded_operands() -> None:
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=1, groups=2)
    plan = LayerPlan(weight=QSpec(bits=4, symmetric=True, axis=0), input=QSpec(bits=4))
    layer = QuantizedLayer(conv, plan)
    layer.input_grid.scale, layer.input_grid.zero_point = torch.tensor(0.1), torch.tensor(3.0)
    x = torch.randn(1, 4, 9, 8, generator=torch.Generator().manual_seed(1))
    rounded = ((x / 0.1).round() + 3).clamp(0, 15).sub(3).mul(0.1)
    want = F.conv2d(rounded, layer.weight(), conv.bias, stride=2, padding=1, groups=2)
    torch.testing.assert_close(layer(x), want)


def test_only_sites_that_the_images_reach_are_quantized() -> None:
    class WithSpareHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare, self.spare_tap = nn.Linear(4, 4), nn.Linear(4, 4), Tap()
            self.attention = nn.MultiheadAttention(4, 1, batch_first=True)  # reads its weights, calls no layer

        def forward(self, x: Tensor) -> Tensor:
            x = self.used(x)
            mixed: Tensor = self.attention(x, x, x, need_weights=False)[0]
            return mixed

    twin, plan = calibrated(WithSpareHead().eval(), W4A4, [torch.rand(5, 4)], extremes)
    assert set(plan.layers) == {"used"}
    assert plan_of(twin) == plan
    assert twin(torch.rand(1, 5, 4)).isfinite().all()


def test_a_network_in_training_mode_is_observed_in_eval_mode_and_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.9)).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin, _ = calibrated(model, W4A4, images(), extremes)
    assert model.training
    assert not twin.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_plan_is_read_back_from_the_network_and_from_its_dump() -> None:
    twin, plan = calibrated(network(), W4A4, images(), extremes)
    assert plan_of(twin) == plan
    assert type(plan).model_validate(plan.model_dump(mode="json")) == plan
    assert set(activation_grids(twin, plan)) == {*plan.layers, *plan.taps}


def test_padding_that_is_not_zero_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(ModelError, match="only zero padding"):
        calibrated(model, W4A4, images(), extremes)


@pytest.mark.parametrize(
    ("model", "given", "reason"),
    [(nn.ReLU(), 1, "nothing to quantize"), (nn.Linear(64, 2), 0, "no calibration image")],
)
def test_nothing_to_quantize_or_to_calibrate_on_is_refused(model: nn.Module, given: int, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        calibrated(model, W4A4, images(given), extremes)


def test_a_fresh_fake_quantizer_rounds_to_whole_numbers() -> None:
    assert FakeQuantize(QSpec(bits=4))(torch.tensor([-2.0, 1.4, 99.0])).tolist() == [0, 1, 15]
