"""Is the transformer worth it? A plain U-Net of the same size, to compare with.

An encoder halves the resolution four times, two convolutions at each level; a decoder climbs back, each level beside
the encoder's own detail of that resolution, up to full resolution. Batch normalisation in every convolution.

Source: Ronneberger et al. 2015 (arXiv 1505.04597), with padded convolutions, so that the map is as large as the image.
"""

from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from hedgerow.backbones._pixels import ConvUnit, padded
from hedgerow.records import CLASSES


class Config(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the network; the defaults make 3.15 M parameters, within 1 % of the default `vit`."""

    bands: int = Field(3, ge=1)
    widths: tuple[int, ...] = (24, 48, 96, 176, 304)
    """Channels at strides 1, 2, 4, 8 and 16; as many levels as there are entries."""
    up: Literal["bilinear", "transposed"] = "bilinear"
    """How a level becomes twice as large: 1 x 1 convolution and interpolation, or a 2 x 2 transposed convolution, which
    the quantization kit leaves in floating point."""
    normalize: bool = True
    """Batch normalisation in the convolutions while training; `_pixels.folded` takes it away."""

    @model_validator(mode="after")
    def _levels(self) -> "Config":
        if len(self.widths) < 2 or min(self.widths) < 1:
            raise ValueError(f"widths {self.widths}: two levels or more are needed, each of at least 1 channel")
        return self


def build(config: Config) -> "UNet":
    """Return a new network with random weights, in eval mode."""
    return UNet(config).eval()


class UNet(nn.Module):
    """Maps (n, bands, height, width) in [0, 1] to logits (n, classes, height, width), for any height and width."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = _level(config.bands, widths[0], config)  # the name that quantizers keep at 8 bits
        self.encoder = nn.ModuleList(_level(a, b, config) for a, b in pairwise(widths))
        steps = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(_up(a, b, config) for a, b in steps)
        self.decoder = nn.ModuleList(_level(2 * b, b, config) for _, b in steps)
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    @property
    def patch_px(self) -> int:
        """Stride of the coarsest level: images are padded to a multiple of it."""
        return int(2 ** len(self.encoder))

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        levels = [self.stem(padded((image - 0.5) * 4.0, self.patch_px))]
        for level in self.encoder:
            levels.append(level(F.max_pool2d(levels[-1], 2)))
        coarse = levels.pop()
        for up, level in zip(self.up, self.decoder, strict=True):
            coarse = level(torch.cat([levels.pop(), up(coarse)], dim=1))
        logits: Tensor = self.head(coarse)
        return logits[..., :height, :width]


class Raise(nn.Module):
    """Twice the size by interpolation; the 1 x 1 convolution comes first, where there are four times fewer pixels."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.lift = nn.Conv2d(channels_in, channels_out, 1)

    def forward(self, coarse: Tensor) -> Tensor:
        return F.interpolate(self.lift(coarse), scale_factor=2.0, mode="bilinear", align_corners=False)


def _level(channels_in: int, channels_out: int, config: Config) -> nn.Sequential:
    return nn.Sequential(
        ConvUnit(channels_in, channels_out, stride=1, normalize=config.normalize),
        ConvUnit(channels_out, channels_out, stride=1, normalize=config.normalize),
    )


def _up(channels_in: int, channels_out: int, config: Config) -> nn.Module:
    if config.up == "transposed":
        return nn.ConvTranspose2d(channels_in, channels_out, 2, stride=2)
    return Raise(channels_in, channels_out)
