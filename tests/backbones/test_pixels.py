"""Pixels: features of any stride stand on the ground where the image had them, and what is folded stays equal."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from hedgerow.backbones._pixels import (
    ConvUnit,
    Decoder,
    Detail,
    PixelConfig,
    Standardize,
    at_stride_16,
    folded,
    head,
    padded,
    to_pixels,
)

SMALL = PixelConfig(stem=(8, 8, 16), decoder=(16, 8, 8))


def centres(count: int, stride_px: int) -> Tensor:
    return stride_px * (torch.arange(count) + 0.5)


def detail8(height: int, width: int) -> Tensor:
    return torch.zeros(1, 1, -(-height // 16) * 2, -(-width // 16) * 2)


@pytest.mark.parametrize("stride_px", [4, 8, 14, 16, 32])
@pytest.mark.parametrize("size", [(224, 112), (100, 230), (33, 64)])
def test_a_ramp_keeps_its_place_whatever_the_stride(stride_px: int, size: tuple[int, int]) -> None:
    """Features that say where their cell's centre is still say so at stride 16, where there is anything round them."""
    rows, cols = (-(-side // stride_px) for side in size)
    y, x = torch.meshgrid(centres(rows, stride_px), centres(cols, stride_px), indexing="ij")
    found = at_stride_16(torch.stack([y, x])[None], stride_px, detail8(*size))[0]
    want = [centres(-(-side // 16), 16) for side in size]
    assert found.shape[1:] == (len(want[0]), len(want[1]))
    for axis, (place, count) in enumerate(zip(want, (rows, cols), strict=True)):
        line = found[axis][:, 0] if axis == 0 else found[axis][0]
        inside = (place >= stride_px / 2) & (place <= (count - 0.5) * stride_px)
        inside &= place + 8 <= count * stride_px  # an average needs its whole cell
        torch.testing.assert_close(line[inside], place[inside])


def test_features_at_stride_16_are_left_alone() -> None:
    features = torch.rand(1, 3, 4, 5)
    assert at_stride_16(features, 16, detail8(64, 80)) is features


def test_a_stranger_s_trunk_gets_pixels_of_any_size() -> None:
    """What another backbone does: a trunk of stride 14 under our detail, decoder and head."""

    class Sat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.standardize, self.stem = Standardize(SMALL), Detail(SMALL)
            self.trunk = nn.Conv2d(3, 24, 14, stride=14)
            self.decoder, self.head = Decoder(SMALL, 24), head(SMALL)

        def forward(self, image: Tensor) -> Tensor:
            scaled = self.standardize(image)
            detail = self.stem(padded(scaled, 16))
            coarse = at_stride_16(self.trunk(padded(scaled, 14)), 14, detail[2])
            return to_pixels(self.head(self.decoder(coarse, detail)), image)

    model = Sat().eval()
    for size in ((64, 64), (50, 97), (14, 15)):
        assert model(torch.rand(2, 3, *size)).shape == (2, 4, *size)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded(model).modules())


def test_folding_works_in_any_network_that_has_the_units() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        ConvUnit(3, 5, stride=2, normalize=True), nn.BatchNorm2d(5), ConvUnit(5, 4, stride=1, normalize=False)
    )
    model.train()(torch.rand(8, 3, 12, 12))  # running statistics that are not the first ones
    x = torch.rand(1, 3, 9, 9)
    plain = folded(model)
    torch.testing.assert_close(plain(x), model.eval()(x), rtol=1e-4, atol=1e-5)
    assert isinstance(plain[0].norm, nn.Identity)
    assert isinstance(model[0].norm, nn.BatchNorm2d)
    assert isinstance(plain[1], nn.BatchNorm2d)  # not one of ours: stays


def test_standardizing_is_a_difference_over_a_deviation_and_not_stored() -> None:
    scale = Standardize(PixelConfig(bands=2, mean=(0.5, 0.25), std=(0.5, 0.125)))
    image = torch.tensor([1.0, 0.5]).reshape(1, 2, 1, 1)
    assert scale(image).flatten().tolist() == [1.0, 2.0]
    assert not scale.state_dict()
    one = Standardize(PixelConfig(bands=2))
    assert one(image).flatten().tolist() == [2.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"mean": (0.1, 0.2)}, "2 numbers for 3 bands"), ({"std": (1, 0, 1)}, "above 0"), ({"std": -1}, "above 0")],
)
def test_a_scale_that_cannot_be_is_refused(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        PixelConfig(**settings)  # type: ignore[arg-type]
