"""Our own compact segmentation network: can a plain vision transformer keep borders sharp?

A convolutional stem brings the image to stride 16 and keeps its detail at strides 2, 4 and 8; a pre-norm transformer
with rotary positions (no size is built in) works on the coarse tokens; a light decoder climbs back through the stem's
detail, so that borders are not blurred by the patch grid. With other settings the transformer is a DINOv2, a DINOv3
or a DeiT, whose weights then fit in (models/trunks.py); detail and decoder stay ours.

Sources: Dosovitskiy et al. 2021 (arXiv 2010.11929); convolutional stem, Xiao et al. 2021 (2106.14881); see
_trunk.py, _positions.py and _pixels.py for the parts.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from hedgerow.backbones._pixels import (
    COARSE_PX,
    Decoder,
    Detail,
    PixelConfig,
    Standardize,
    Stem,
    at_stride_16,
    folded,
    head,
    padded,
    to_pixels,
)
from hedgerow.backbones._positions import positions
from hedgerow.backbones._trunk import Block, PatchEmbed, TrunkConfig
from hedgerow.quantization.taps import TapPoint, transformer_taps

__all__ = ["Config", "SegmentationViT", "build", "folded"]


class Config(PixelConfig, TrunkConfig, frozen=True, extra="forbid"):
    """Sizes of the network; the defaults make 3.5 M parameters."""


def build(config: Config) -> "SegmentationViT":
    """Return a new network with random weights, in eval mode."""
    return SegmentationViT(config).eval()


class SegmentationViT(nn.Module):
    """Maps (n, bands, height, width) in [0, 1] to logits (n, classes, height, width), for any height and width."""

    trunk_parts: ClassVar = ("patch_embed.", "cls_token", "registers", "pos_embed.", "blocks.", "norm.")
    """How the names of the transformer's weights begin; stem, decoder and head are ours."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.patch_px = config.patch_px or COARSE_PX
        self.standardize = Standardize(config)
        self.stem = Detail(config) if config.patch_px else Stem(config, config.width)
        self.patch_embed = PatchEmbed(config.bands, config.width, config.patch_px) if config.patch_px else None
        self.cls_token = _token(1, config.width) if config.class_token else None
        self.registers = _token(config.registers, config.width) if config.registers else None
        self.pos_embed = positions(
            config.positions,
            width=config.width,
            heads=config.heads,
            base=config.rope_base,
            table=config.table,
            antialias=config.table_antialias,
        )
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.decoder = Decoder(config, config.width)
        self.head = head(config)

    def forward(self, image: Tensor) -> Tensor:
        scaled = self.standardize(image)
        detail = self.stem(padded(scaled, COARSE_PX))
        cells = self._embedded(scaled, detail)
        patches = self.encoded(cells)[:, self.config.prefix :]
        features = patches.transpose(1, 2).reshape(cells.shape)
        coarse = at_stride_16(features, self.patch_px, detail[2])
        return to_pixels(self.head(self.decoder(coarse, detail)), image)

    def hidden(self, image: Tensor) -> Tensor:
        """Return the trunk's last tokens (n, prefix + rows x cols, width): class token, registers, patches."""
        scaled = self.standardize(image)
        detail = () if self.patch_embed is not None else self.stem(padded(scaled, COARSE_PX))
        return self.encoded(self._embedded(scaled, detail))

    def encoded(self, cells: Tensor) -> Tensor:
        """Run the trunk on embedded patches (n, width, rows, cols); return what `hidden` does."""
        grid = (cells.shape[2], cells.shape[3])
        tokens = self.pos_embed.add(cells.flatten(2).transpose(1, 2), grid)
        prefix = [part.expand(len(tokens), -1, -1) for part in (self.cls_token, self.registers) if part is not None]
        tokens = torch.cat([*prefix, tokens], dim=1) if prefix else tokens
        turn = self.pos_embed.turn(grid, self.config.prefix, tokens.device)
        for block in self.blocks:
            tokens = block(tokens, turn)
        normed: Tensor = self.norm(tokens)
        return normed

    def tap_points(self) -> Mapping[str, TapPoint]:
        """Name what can be looked at inside (see quantization/taps.py)."""
        config = self.config
        inner = transformer_taps(config.depth, class_token=config.class_token, registers=config.registers)
        return inner | {f"decoder.{k}": TapPoint(f"decoder.fuse.{k}") for k in range(len(config.decoder))}

    def _embedded(self, scaled: Tensor, detail: Sequence[Tensor]) -> Tensor:
        return detail[-1] if self.patch_embed is None else self.patch_embed(padded(scaled, self.patch_px))


def _token(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(0.02 * torch.randn(1, count, width))  # not zero: equal registers would stay equal
