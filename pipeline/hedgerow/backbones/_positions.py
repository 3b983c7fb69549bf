"""How does a token know its place? By what is added to it, or by how its query and key are turned.

Each class is one choice of `positions`: `add` is applied once to the patch tokens, `turn` gives what every attention
does to its queries and keys. No image size is built in: all of them take any grid.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import pi
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Kind = Literal["rope", "rope-dinov3", "table", "sincos", "none"]
Turn = Callable[[Tensor], Tensor]
Grid = tuple[int, int]


class Nowhere(nn.Module):
    """No position at all, and the ground for the others."""

    def add(self, tokens: Tensor, _grid: Grid) -> Tensor:
        """Return the patch tokens (n, rows x cols, width) with what the place adds."""
        return tokens

    def turn(self, _grid: Grid, _prefix: int, _device: torch.device) -> Turn:
        """Return what turns (n, heads, prefix + rows x cols, head_width); prefix tokens have no place."""
        return _unturned


class Rope(Nowhere):
    """Rotary positions in two axes: a head's first half turns with the row, its second half with the column.

    Angles are in cells, so that a neighbour is a neighbour at any image size.
    Source: Su et al. 2021 (arXiv 2104.09864); in two axes, Heo et al. 2024 (2403.13298).
    """

    def __init__(self, head_width: int, base: float) -> None:
        super().__init__()
        self.head_width, self.base = head_width, base

    def turn(self, grid: Grid, prefix: int, device: torch.device) -> Turn:
        return Rotation(*_cell_angles(grid, self.head_width, self.base, prefix, device), _quarters)


class CentredRope(Rope):
    """DINOv3's rotary positions: places run from -1 to 1 over the image, whatever its size, times 2 pi.

    Channel i turns with channel i + head_width / 2; the first quarter with the row, the second with the column.
    Source: Simeoni et al. 2025 (arXiv 2508.10104), appendix; the frequencies are base^(-4 i / head_width).
    """

    def turn(self, grid: Grid, prefix: int, device: torch.device) -> Turn:
        return Rotation(*_centred_angles(grid, self.head_width, self.base, prefix, device), _halves)


class Table(Nowhere):
    """A learned vector per cell of one grid, bicubically interpolated to every other.

    DINOv2 does it without antialiasing, DINOv2 with registers and timm with it (which also changes the bicubic kernel).
    """

    def __init__(self, width: int, grid: Grid, *, antialias: bool) -> None:
        super().__init__()
        self.grid, self.antialias = grid, antialias
        self.table = nn.Parameter(0.02 * torch.randn(1, grid[0] * grid[1], width))

    def add(self, tokens: Tensor, grid: Grid) -> Tensor:
        return tokens + resized(self.table, self.grid, grid, antialias=self.antialias).to(tokens.dtype)


class SinCos(Nowhere):
    """Fixed sines and cosines of the column (first half of the width) and of the row, as in masked autoencoders.

    Source: Chen et al. 2021 (arXiv 2104.02057); He et al. 2022 (2111.06377).
    """

    def add(self, tokens: Tensor, grid: Grid) -> Tensor:
        return tokens + _waves(grid, tokens.shape[-1], tokens.device).to(tokens.dtype)


@dataclass(frozen=True)
class Rotation:
    """Turns pairs of channels: x cos + partner sin, each (tokens, head_width)."""

    cos: Tensor
    sin: Tensor
    partner: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return (x * self.cos + self.partner(x) * self.sin).to(x.dtype)


def positions(kind: Kind, *, width: int, heads: int, base: float, table: Grid | None, antialias: bool) -> Nowhere:
    """Return the positions of a kind."""
    choices: dict[Kind, Callable[[], Nowhere]] = {
        "rope": lambda: Rope(width // heads, base),
        "rope-dinov3": lambda: CentredRope(width // heads, base),
        "table": lambda: Table(width, table or (1, 1), antialias=antialias),
        "sincos": SinCos,
        "none": Nowhere,
    }
    return choices[kind]()


def resized(table: Tensor, have: Grid, want: Grid, *, antialias: bool) -> Tensor:
    """Return a position table (1, rows x cols, width) for another grid."""
    if have == want:
        return table
    cells = table.reshape(1, *have, -1).permute(0, 3, 1, 2).float()
    finer = F.interpolate(cells, size=want, mode="bicubic", align_corners=False, antialias=antialias)
    return finer.flatten(2).transpose(1, 2)


def _unturned(x: Tensor) -> Tensor:
    return x


def _quarters(x: Tensor) -> Tensor:
    row_a, row_b, col_a, col_b = x.chunk(4, dim=-1)
    return torch.cat([-row_b, row_a, -col_b, col_a], dim=-1)


def _halves(x: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat([-b, a], dim=-1)


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # the cached tensors serve training, too
def _cell_angles(grid: Grid, head_width: int, base: float, prefix: int, device: torch.device) -> tuple[Tensor, Tensor]:
    frequencies = base ** -torch.linspace(0, 1, head_width // 4)
    rows, cols = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    by_row, by_col = (place.flatten()[:, None] * frequencies for place in (rows, cols))
    return _turns(torch.cat([by_row, by_row, by_col, by_col], dim=1), prefix, device)


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def _centred_angles(
    grid: Grid, head_width: int, base: float, prefix: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    frequencies = 1 / base ** torch.arange(0, 1, 4 / head_width)
    centres = [2 * (torch.arange(count) + 0.5) / count - 1 for count in grid]
    rows, cols = torch.meshgrid(*centres, indexing="ij")
    by_row, by_col = (2 * pi * place.flatten()[:, None] * frequencies for place in (rows, cols))
    return _turns(torch.cat([by_row, by_col, by_row, by_col], dim=1), prefix, device)


def _turns(angle: Tensor, prefix: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine (tokens, head_width); prefix tokens do not turn."""
    whole = torch.cat([torch.zeros(prefix, angle.shape[1]), angle]).to(device)
    return whole.cos(), whole.sin()


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def _waves(grid: Grid, width: int, device: torch.device) -> Tensor:
    frequencies = 10_000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    rows, cols = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    turns = [place.flatten()[:, None] * frequencies for place in (cols, rows)]
    return torch.cat([wave for turn in turns for wave in (turn.sin(), turn.cos())], dim=1).float().to(device)
