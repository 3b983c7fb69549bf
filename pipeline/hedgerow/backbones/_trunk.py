"""What is a plain vision transformer made of? Pre-norm blocks, with the parts in which the published ones differ.

Weight names follow the common ViT layout: blocks.N.{norm1, attn.qkv, attn.proj, ls1, norm2, mlp.fc1, mlp.fc2, ls2}.

Sources: Dosovitskiy et al. 2021 (arXiv 2010.11929); layer scale, Touvron et al. 2021 (2103.17239); SwiGLU, Shazeer
2020 (2002.05202); registers, Darcet et al. 2023 (2309.16588).
"""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, Field, model_validator
from torch import Tensor, nn

from hedgerow.backbones._positions import Kind, Turn
from hedgerow.quantization.taps import Tap


class TrunkConfig(BaseModel, frozen=True, extra="forbid"):
    """Sizes and parts of the transformer."""

    width: int = Field(192, ge=16)
    depth: int = Field(6, ge=1)
    heads: int = Field(6, ge=1)
    patch_px: int | None = Field(None, ge=4, le=32)
    """Side of the patches that are embedded as they are; None: a convolutional stem brings the image to stride 16."""
    class_token: bool = False
    registers: int = Field(0, ge=0)
    mlp: Literal["gelu", "swiglu"] = "gelu"
    mlp_ratio: int = Field(4, ge=1)
    hidden: int | None = Field(None, ge=1)
    """Width between the two layers of the MLP; None: `mlp_ratio` times the width."""
    layer_scale: float | None = None
    """First value of the gains on both branches of a block; None: there are none."""
    positions: Kind = "rope"
    rope_base: float = Field(100.0, gt=1)
    """Ratio of the longest to the shortest wavelength; of `rope` 6 to 600 tokens: from neighbours to a whole scene."""
    table: tuple[int, int] | None = None
    """Rows and columns of the position table, for `positions: table`."""
    table_antialias: bool = False
    """Whether the table is interpolated with antialiasing: DINOv2 with registers and timm do, DINOv2 does not."""
    qkv_bias: bool = True
    key_bias: bool = True
    """False: keys have no bias, as in DINOv3; it is zero and stays so."""
    norm_eps: float = Field(1e-5, gt=0)

    @model_validator(mode="after")
    def _heads_fit(self) -> "TrunkConfig":
        if self.positions.startswith("rope") and self.width % (4 * self.heads):
            raise ValueError(f"width {self.width} must be a multiple of 4 x heads ({self.heads}) for 2-D positions")
        if self.width % self.heads or self.width % 4:
            raise ValueError(f"width {self.width} must be a multiple of 4 and of heads ({self.heads})")
        return self

    @model_validator(mode="after")
    def _table_is_known(self) -> "TrunkConfig":
        if (self.positions == "table") != (self.table is not None):
            raise ValueError("`positions: table` needs `table: [rows, cols]`, and the other positions must not have it")
        return self

    @property
    def prefix(self) -> int:
        """Tokens before the patches: the class token, then the registers."""
        return int(self.class_token) + self.registers


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.attn = Attention(config)
        self.ls1 = _gain(config)
        self.norm2 = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp = _MLPS[config.mlp](config.width, config.hidden or config.mlp_ratio * config.width)
        self.ls2 = _gain(config)

    def forward(self, tokens: Tensor, turn: Turn) -> Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens), turn))
        mixed: Tensor = tokens + self.ls2(self.mlp(self.norm2(tokens)))
        return mixed


class Attention(nn.Module):
    """Self-attention with fused qkv; its four inner tensors are taps."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.head_width = config.width // config.heads
        kind = nn.Linear if config.key_bias or not config.qkv_bias else KeylessBias
        self.qkv = kind(config.width, 3 * config.width, bias=config.qkv_bias)
        self.proj = nn.Linear(config.width, config.width)
        self.q_tap, self.k_tap, self.v_tap, self.softmax_tap = Tap(), Tap(), Tap(), Tap()

    def forward(self, tokens: Tensor, turn: Turn) -> Tensor:
        n, count, width = tokens.shape
        qkv = self.qkv(tokens).reshape(n, count, 3, self.heads, self.head_width).permute(2, 0, 3, 1, 4)
        q, k, v = self.q_tap(turn(qkv[0])), self.k_tap(turn(qkv[1])), self.v_tap(qkv[2])
        if isinstance(self.softmax_tap, Tap) and not self.softmax_tap.watched:
            mixed = F.scaled_dot_product_attention(q, k, v)  # nobody looks at the map: need not be made
        else:
            scores = (q * self.head_width**-0.5) @ k.transpose(-2, -1)  # scaled before: q is far smaller than the map
            mixed = self.softmax_tap(scores.softmax(dim=-1)) @ v
        projected: Tensor = self.proj(mixed.transpose(1, 2).reshape(n, count, width))
        return projected


class KeylessBias(nn.Linear):
    """A fused qkv layer whose key bias is zero and gets no gradient."""

    mask: Tensor

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        third = outputs // 3
        mask = torch.cat([torch.ones(third), torch.zeros(third), torch.ones(outputs - 2 * third)])
        self.register_buffer("mask", mask, persistent=False)
        with torch.no_grad():
            self.bias.mul_(mask)

    def forward(self, tokens: Tensor) -> Tensor:
        return F.linear(tokens, self.weight, self.bias * self.mask)


class Mlp(nn.Module):
    """Two linear layers round an exact GELU."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        mixed: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return mixed


class SwiGLU(nn.Module):
    """Two linear layers round a gate: the first half of `fc1` opens (SiLU) the second."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 2 * hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        gate, value = self.fc1(tokens).chunk(2, dim=-1)
        mixed: Tensor = self.fc2(F.silu(gate) * value)
        return mixed


class LayerScale(nn.Module):
    """A learned gain per channel."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * self.gamma


class PatchEmbed(nn.Module):
    """One linear map per patch, as a convolution: (n, bands, height, width) to (n, width, rows, cols)."""

    def __init__(self, bands: int, width: int, patch_px: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(bands, width, patch_px, stride=patch_px)

    def forward(self, image: Tensor) -> Tensor:
        cells: Tensor = self.proj(image)
        return cells


_MLPS = {"gelu": Mlp, "swiglu": SwiGLU}


def _gain(config: TrunkConfig) -> nn.Module:
    return nn.Identity() if config.layer_scale is None else LayerScale(config.width, config.layer_scale)
