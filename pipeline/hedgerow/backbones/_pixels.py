"""How do coarse tokens become sharp pixels? Detail from the image at strides 2, 4 and 8, and a decoder that climbs it.

Shared by every backbone that sits our decoder on a trunk: the trunk gives features (n, width, rows, cols) at stride
16 (or another one, see `at_stride_16`), the rest is here.

    detail = self.stem(padded(self.standardize(image), 16))
    coarse = at_stride_16(trunk_features, stride_px, detail[2])
    logits = to_pixels(self.head(self.decoder(coarse, detail)), image)
"""

import copy
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from hedgerow.records import CLASSES

COARSE_PX = 16
"""Stride of the coarsest features that the decoder takes."""

M = TypeVar("M", bound=nn.Module)


class PixelConfig(BaseModel, frozen=True, extra="forbid"):
    """Input, detail and decoder: what all backbones with our decoder have in common."""

    bands: int = Field(3, ge=1)
    stem: tuple[int, int, int] = (32, 64, 128)
    """Channels of the detail at strides 2, 4 and 8."""
    decoder: tuple[int, int, int] = (96, 64, 32)
    """Channels of the decoder at strides 8, 4 and 2."""
    normalize: bool = True
    """Batch normalisation in the convolutions while training; `folded` takes it away."""
    mean: float | tuple[float, ...] = 0.5
    """What is taken from the image (in [0, 1]) before all else: one number, or one per band."""
    std: float | tuple[float, ...] = 0.25
    """What the rest is divided by."""

    @model_validator(mode="after")
    def _one_per_band(self) -> "PixelConfig":
        for name, value in (("mean", self.mean), ("std", self.std)):
            if isinstance(value, tuple) and len(value) not in (1, self.bands):
                raise ValueError(f"{name} has {len(value)} numbers for {self.bands} bands; give one, or one per band")
        if min(self.std if isinstance(self.std, tuple) else (self.std,)) <= 0:
            raise ValueError(f"std {self.std} must be above 0")
        return self


class Standardize(nn.Module):
    """(image - mean) / std, band by band; nothing of it is stored with the weights."""

    mean: Tensor
    gain: Tensor

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        self.register_buffer("mean", _per_band(config.mean), persistent=False)
        self.register_buffer("gain", 1.0 / _per_band(config.std), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        return (image - self.mean) * self.gain


class Detail(nn.Module):
    """Convolutions to strides 2, 4 and 8; all three are kept."""

    def __init__(self, config: PixelConfig) -> None:
        super().__init__()
        two, four, eight = config.stem
        self.detail2 = nn.Sequential(_conv(config.bands, two, config, stride=2), _conv(two, two, config))
        self.detail4 = _conv(two, four, config, stride=2)
        self.detail8 = _conv(four, eight, config, stride=2)

    def forward(self, image: Tensor) -> list[Tensor]:
        two = self.detail2(image)
        four = self.detail4(two)
        return [two, four, self.detail8(four)]


class Stem(Detail):
    """Detail, and from it the tokens of a trunk at stride 16, as a fourth map."""

    def __init__(self, config: PixelConfig, width: int) -> None:
        super().__init__(config)
        self.proj = nn.Conv2d(config.stem[-1], width, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        detail = super().forward(image)
        return [*detail, self.proj(detail[-1])]


class Decoder(nn.Module):
    """Climb from stride 16 to stride 2, adding the detail at every step."""

    def __init__(self, config: PixelConfig, width: int) -> None:
        super().__init__()
        widths = (width, *config.decoder)
        self.lift = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.skip = nn.ModuleList(
            nn.Conv2d(a, b, 1) for a, b in zip(reversed(config.stem), config.decoder, strict=True)
        )
        self.fuse = nn.ModuleList(_conv(b, b, config) for b in config.decoder)

    def forward(self, coarse: Tensor, detail: Sequence[Tensor]) -> Tensor:
        for lift, skip, fuse, finer in zip(self.lift, self.skip, self.fuse, reversed(detail[:3]), strict=True):
            raised = F.interpolate(lift(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
            coarse = fuse(raised + skip(finer))
        return coarse


class ConvUnit(nn.Module):
    """3 x 3 convolution, batch normalisation (until folded) and GELU."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, normalize: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out) if normalize else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        return F.gelu(self.norm(self.conv(image)))


def head(config: PixelConfig) -> nn.Conv2d:
    """Return the last layer: the four pixels of every stride-2 cell, four classes each."""
    return nn.Conv2d(config.decoder[-1], len(CLASSES) * 4, 3, padding=1)


def to_pixels(cells: Tensor, image: Tensor) -> Tensor:
    """Lay what the head gave out as logits (n, classes, height, width) of an image, its padding cut off."""
    height, width = image.shape[-2:]
    return F.pixel_shuffle(cells, 2)[..., :height, :width]


def padded(image: Tensor, multiple: int) -> Tensor:
    """Pad right and below to a multiple of so many pixels; the last ones are repeated."""
    bottom, right = (-image.shape[-2]) % multiple, (-image.shape[-1]) % multiple
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


def at_stride_16(features: Tensor, stride_px: int, detail8: Tensor) -> Tensor:
    """Resample features (n, width, rows, cols) of another stride so that the decoder can take them.

    Cells keep their place on the ground: cell i is centred on pixel stride x (i + 0.5) before and 16 x (i + 0.5) after.

    Args:
        features: of the image, padded to a multiple of `stride_px` at the right and below.
        stride_px: their stride.
        detail8: the detail at stride 8 of the same image, which says how many cells there must be.
    """
    if stride_px == COARSE_PX:
        return features
    rows, cols = detail8.shape[-2] // 2, detail8.shape[-1] // 2
    return _resampled(features, stride_px, rows, cols)


def _resampled(features: Tensor, stride_px: int, rows: int, cols: int) -> Tensor:
    needed = [-(-cells * COARSE_PX // stride_px) for cells in (rows, cols)]
    bottom, right = (max(0, want - have) for want, have in zip(needed, features.shape[-2:], strict=True))
    whole = F.pad(features, (0, right, 0, bottom), mode="replicate")
    if COARSE_PX % stride_px == 0:
        return F.avg_pool2d(whole, COARSE_PX // stride_px)[..., :rows, :cols]
    scale = stride_px / COARSE_PX  # given and not recomputed from sizes: the padding of both grids differs
    finer = F.interpolate(whole, scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=False)
    return finer[..., :rows, :cols]


def folded(model: M) -> M:
    """Return an equal network whose batch normalisations are part of their convolutions (eval mode)."""
    plain: Any = copy.deepcopy(model).eval()
    for unit in plain.modules():
        if isinstance(unit, ConvUnit) and isinstance(unit.norm, nn.BatchNorm2d):
            unit.conv, unit.norm = nn.utils.fusion.fuse_conv_bn_eval(unit.conv, unit.norm), nn.Identity()
    config = getattr(plain, "config", None)
    if isinstance(config, PixelConfig):
        plain.config = config.model_copy(update={"normalize": False})
    same: M = plain
    return same


def _conv(channels_in: int, channels_out: int, config: PixelConfig, *, stride: int = 1) -> ConvUnit:
    return ConvUnit(channels_in, channels_out, stride=stride, normalize=config.normalize)


def _per_band(value: float | tuple[float, ...]) -> Tensor:
    return torch.tensor(value).reshape(1, -1, 1, 1)
