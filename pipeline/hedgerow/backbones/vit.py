"""Our own compact segmentation network: can a plain vision transformer keep borders sharp?

A convolutional stem brings the image to stride 16 and keeps its detail at strides 2, 4 and 8; a pre-norm transformer
with rotary positions (no size is built in) works on the coarse tokens; a light decoder climbs back through the stem's
detail, so that borders are not blurred by the patch grid. Weight names of the trunk follow the common ViT layout.

Sources: Dosovitskiy et al. 2021 (arXiv 2010.11929); convolutional stem, Xiao et al. 2021 (2106.14881); rotary
positions, Su et al. 2021 (2104.09864), in two axes; registers, Darcet et al. 2023 (2309.16588).
"""

import copy
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from hedgerow.quantization.taps import Tap
from hedgerow.records import CLASSES

_ROPE_BASE = 100.0  # wavelengths from 6 to 600 tokens: from neighbours to a whole scene


class Config(BaseModel, frozen=True, extra="forbid"):
    """Sizes of the network; the defaults make 3.5 M parameters."""

    bands: int = Field(3, ge=1)
    width: int = Field(192, ge=16)
    depth: int = Field(6, ge=1)
    heads: int = Field(6, ge=1)
    mlp_ratio: int = Field(4, ge=1)
    registers: int = Field(0, ge=0)
    stem: tuple[int, int, int] = (32, 64, 128)
    """Channels of the detail at strides 2, 4 and 8."""
    decoder: tuple[int, int, int] = (96, 64, 32)
    """Channels of the decoder at strides 8, 4 and 2."""
    normalize: bool = True
    """Batch normalisation in the convolutions while training; `folded` takes it away."""

    @model_validator(mode="after")
    def _heads_fit(self) -> "Config":
        if self.width % (4 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of 4 x heads ({self.heads}) for 2-D positions")
        return self


PATCH_PX = 16


def build(config: Config) -> "SegmentationViT":
    """Return a new network with random weights, in eval mode."""
    return SegmentationViT(config).eval()


class SegmentationViT(nn.Module):
    """Maps (n, bands, height, width) in [0, 1] to logits (n, classes, height, width), for any height and width."""

    patch_px = PATCH_PX

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.stem = Stem(config)
        self.registers = nn.Parameter(torch.zeros(1, config.registers, config.width)) if config.registers else None
        self.blocks = nn.ModuleList(Block(config.width, config.heads, config.mlp_ratio) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.decoder = Decoder(config)
        self.head = nn.Conv2d(config.decoder[-1], len(CLASSES) * 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        detail = self.stem(_padded((image - 0.5) * 4.0))
        coarse = detail[-1]
        tokens = self.tokens(coarse.flatten(2).transpose(1, 2), (coarse.shape[2], coarse.shape[3]))
        coarse = tokens.transpose(1, 2).reshape(coarse.shape)
        logits = F.pixel_shuffle(self.head(self.decoder(coarse, detail)), 2)
        return logits[..., :height, :width]

    def tokens(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Run the trunk on (n, rows x cols, width) tokens."""
        registers = 0 if self.registers is None else self.registers.shape[1]
        if self.registers is not None:
            tokens = torch.cat([self.registers.expand(len(tokens), -1, -1), tokens], dim=1)
        angles = _angles(grid, self.config.width // self.config.heads, registers, tokens.device)
        for block in self.blocks:
            tokens = block(tokens, angles)
        normed: Tensor = self.norm(tokens)
        return normed[:, registers:]


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, mlp_ratio * width)

    def forward(self, tokens: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens), angles)
        mixed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return mixed


class Attention(nn.Module):
    """Self-attention with fused qkv and rotary positions; its four inner tensors are taps."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.head_width = width // heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.q_tap, self.k_tap, self.v_tap, self.softmax_tap = Tap(), Tap(), Tap(), Tap()

    def forward(self, tokens: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        n, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(n, count, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)
        q, k = self.q_tap(_rotated(qkv[0], angles)), self.k_tap(_rotated(qkv[1], angles))
        v = self.v_tap(qkv[2])
        if isinstance(self.softmax_tap, Tap) and not self.softmax_tap.watched:
            mixed = F.scaled_dot_product_attention(q, k, v)  # nobody looks at the map: need not be made
        else:
            scores = (q * self.head_width**-0.5) @ k.transpose(-2, -1)  # scaled before: q is far smaller than the map
            mixed = self.softmax_tap(scores.softmax(dim=-1)) @ v
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, count, width))
        return projected


class Mlp(nn.Module):
    """Two linear layers round an exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class Stem(nn.Module):
    """Convolutions to strides 2, 4, 8 and 16; all four are kept."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        two, four, eight = config.stem
        self.detail2 = nn.Sequential(_conv(config.bands, two, config, stride=2), _conv(two, two, config))
        self.detail4 = _conv(two, four, config, stride=2)
        self.detail8 = _conv(four, eight, config, stride=2)
        self.proj = nn.Conv2d(eight, config.width, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        two = self.detail2(image)
        four = self.detail4(two)
        eight = self.detail8(four)
        return [two, four, eight, self.proj(eight)]


class Decoder(nn.Module):
    """Climb from stride 16 to stride 2, adding the stem's detail at every step."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        widths = (config.width, *config.decoder)
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


def _conv(channels_in: int, channels_out: int, config: Config, *, stride: int = 1) -> ConvUnit:
    return ConvUnit(channels_in, channels_out, stride=stride, normalize=config.normalize)


def folded(model: SegmentationViT) -> SegmentationViT:
    """Return an equal network whose batch normalisations are part of their convolutions (eval mode)."""
    plain = SegmentationViT(model.config.model_copy(update={"normalize": False}))
    state = {name: value for name, value in model.state_dict().items() if ".norm." not in name or "blocks" in name}
    for name, unit in model.named_modules():
        if isinstance(unit, ConvUnit) and isinstance(unit.norm, nn.BatchNorm2d):
            conv, norm = copy.deepcopy(unit.conv).eval(), copy.deepcopy(unit.norm).eval()
            fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
            state |= {f"{name}.conv.{key}": value for key, value in fused.state_dict().items()}
    plain.load_state_dict(state)
    return plain.eval()


def _padded(image: Tensor) -> Tensor:
    """Pad right and below to a multiple of the patch; the last pixels are repeated."""
    bottom, right = (-image.shape[-2]) % PATCH_PX, (-image.shape[-1]) % PATCH_PX
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # the cached tensors serve training, too
def _angles(grid: tuple[int, int], head_width: int, registers: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (tokens, head_width) of the rotation by row (first half) and column; registers do not turn."""
    frequencies = _ROPE_BASE ** -torch.linspace(0, 1, head_width // 4)
    rows, cols = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    turns = [place.flatten()[:, None] * frequencies for place in (rows, cols)]
    angle = torch.cat([turns[0], turns[0], turns[1], turns[1]], dim=1)
    angle = torch.cat([torch.zeros(registers, head_width), angle]).to(device)
    return angle.cos(), angle.sin()


def _rotated(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn each pair of channels of (n, heads, tokens, head_width) by its token's place."""
    row_a, row_b, col_a, col_b = x.chunk(4, dim=-1)
    quarter = torch.cat([-row_b, row_a, -col_b, col_a], dim=-1)
    return x * angles[0] + quarter * angles[1]
