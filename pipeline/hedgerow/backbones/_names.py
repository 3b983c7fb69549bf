"""Which weight is which? The names that published vision transformers use, turned into those of ours.

Known are the layouts of facebookresearch (DINOv2, DINOv3), of timm (ViT, DeiT, EVA-style DINOv3) and of transformers
(ViT, DeiT, Dinov2, Dinov2WithRegisters, DINOv3ViT, as stored and as in memory). Besides the names, some differ in how
a weight is cut: separate q, k and v are joined, two halves of a gate are joined, position rows of prefix tokens are
added to these tokens, and a distillation token becomes a register (attention does not care for order).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor

from hedgerow.errors import ModelError

_BLOCK = re.compile(r"(?:blocks\.(?:\d+\.)?|(?:encoder\.|model\.)?layers?\.)(\d+)\.(.+)")
_PATCHES = re.compile(r"(.*?)(?:patch_embed\.proj|embeddings\.patch_embeddings(?:\.projection)?)\.weight")


def _by_alias(names: Mapping[str, str]) -> dict[str, str]:
    """Turn {ours: 'theirs also-theirs'} round: {theirs: ours}."""
    return {alias: ours for ours, aliases in names.items() for alias in aliases.split()}


_WHOLE = _by_alias(
    {
        "patch_embed.proj": "patch_embed.proj embeddings.patch_embeddings.projection embeddings.patch_embeddings",
        "cls_token": "cls_token embeddings.cls_token",
        "registers": "registers register_tokens storage_tokens reg_token embeddings.register_tokens",
        "distillation": "dist_token embeddings.distillation_token",
        "pos_embed.table": "pos_embed.table pos_embed embeddings.position_embeddings",
        "norm": "norm layernorm",
        "periods": "rope_embed.periods rope.periods",
    }
)
_INNER = _by_alias(
    {
        "norm1": "norm1 layernorm_before",
        "attn.qkv": "attn.qkv",
        "attn.qkv.bias_mask": "attn.qkv.bias_mask",
        "attn.q": "attn.q attn.q_proj attention.q_proj attention.attention.query",
        "attn.k": "attn.k attn.k_proj attention.k_proj attention.attention.key",
        "attn.v": "attn.v attn.v_proj attention.v_proj attention.attention.value",
        "attn.q.bias": "attn.q_bias",
        "attn.k.bias": "attn.k_bias",
        "attn.v.bias": "attn.v_bias",
        "attn.proj": "attn.proj attention.o_proj attention.output.dense",
        "ls1.gamma": "ls1.gamma layer_scale1.lambda1 gamma_1",
        "norm2": "norm2 layernorm_after",
        "mlp.fc1": "mlp.fc1 intermediate.dense mlp.w12 mlp.weights_in",
        "mlp.gate": "mlp.gate_proj mlp.w1 mlp.fc1_g",
        "mlp.value": "mlp.up_proj mlp.w2 mlp.fc1_x",
        "mlp.fc2": "mlp.fc2 output.dense mlp.w3 mlp.weights_out mlp.down_proj",
        "ls2.gamma": "ls2.gamma layer_scale2.lambda1 gamma_2",
    }
)
_IGNORED = (
    "mask_token", "embeddings.mask_token", "pooler.", "head.", "head_dist.", "classifier.", "cls_classifier.",
    "distillation_classifier.", "local_cls_norm.", "stem.", "decoder.",
)  # fmt: skip


@dataclass(frozen=True)
class Renamed:
    """Weights of a trunk under our names."""

    state: Mapping[str, Tensor]
    ignored: tuple[str, ...]
    """Names in the file that are no part of a trunk: heads, mask tokens."""
    unknown: tuple[str, ...]
    """Names that nobody knows: the file holds another network."""
    keyless: bool
    """Whether queries and values have a bias and keys none."""
    periods: Tensor | None
    """Wavelengths of DINOv3's positions, where the file tells them."""
    notes: tuple[str, ...]
    """What was done beside renaming."""


def renamed(source: Mapping[str, Tensor], table: tuple[int, int] | None = None) -> Renamed:
    """Return the trunk in a file under our names.

    Args:
        source: what the file holds.
        table: rows and columns of its position table, if it is not square.

    Raises:
        ModelError: a position table that is no grid.
    """
    start = _start(source)
    inside = {name.removeprefix(start): value for name, value in source.items() if name.startswith(start)}
    ignored = [name for name in source if not name.startswith(start)]
    ignored += [start + name for name in inside if name.startswith(_IGNORED)]
    ours = {name: _our_name(name) for name in inside if not name.startswith(_IGNORED)}
    state = {known: inside[name] for name, known in ours.items() if known is not None}
    notes: list[str] = []
    periods = state.pop("periods", None)
    keyless = _joined_attention(state)
    _joined_gates(state)
    _placed(state, table, notes)
    unknown = tuple(start + name for name, known in ours.items() if known is None)
    return Renamed(state, tuple(ignored), unknown, keyless, periods, tuple(notes))


def _start(source: Mapping[str, Tensor]) -> str:
    """Return what all names of the trunk begin with, such as `vit.` or `teacher.backbone.`."""
    found = [match.group(1) for name in source if (match := _PATCHES.fullmatch(name))]
    return min(found, key=len, default="")


def _our_name(name: str) -> str | None:
    block = _BLOCK.fullmatch(name)
    if block is None:
        return _known(name, _WHOLE)
    inner = _known(block.group(2), _INNER)
    return None if inner is None else f"blocks.{int(block.group(1))}.{inner}"


def _known(name: str, names: Mapping[str, str]) -> str | None:
    if name in names:
        return names[name]
    layer, _, kind = name.rpartition(".")
    return f"{names[layer]}.{kind}" if layer in names and kind in ("weight", "bias") else None


def _joined_attention(state: dict[str, Tensor]) -> bool:
    """Join q, k and v where they are separate; say whether keys alone have no bias."""
    keyless = False
    for place in _places(state, "attn.proj.weight"):
        parts = [state.pop(f"{place}attn.{part}.weight", None) for part in "qkv"]
        if all(part is not None for part in parts):
            state[f"{place}attn.qkv.weight"] = torch.cat([part for part in parts if part is not None])
        biases = [state.pop(f"{place}attn.{part}.bias", None) for part in "qkv"]
        like = next((bias for bias in biases if bias is not None), None)
        if like is not None:
            whole = [torch.zeros_like(like) if bias is None else bias for bias in biases]
            state[f"{place}attn.qkv.bias"] = torch.cat(whole)
            keyless |= biases[1] is None
        mask = state.pop(f"{place}attn.qkv.bias_mask", None)
        if mask is not None:
            state[f"{place}attn.qkv.bias"] = torch.where(mask == 0, 0, state[f"{place}attn.qkv.bias"])
            keyless = True
    return keyless


def _joined_gates(state: dict[str, Tensor]) -> None:
    """Put the gate before the value, as one layer; a value without a gate is a plain first layer."""
    for kind in ("weight", "bias"):
        for place in _places(state, f"mlp.value.{kind}"):
            halves = [state.pop(f"{place}mlp.{half}.{kind}", None) for half in ("gate", "value")]
            state[f"{place}mlp.fc1.{kind}"] = torch.cat([half for half in halves if half is not None])


def _places(state: Mapping[str, Tensor], ending: str) -> list[str]:
    return [name.removesuffix(ending) for name in state if name.endswith(f".{ending}")]


def _placed(state: dict[str, Tensor], grid: tuple[int, int] | None, notes: list[str]) -> None:
    """Give prefix tokens the rows of the position table that are theirs, and make a distillation token a register."""
    tokens = [name for name in ("cls_token", "distillation", "registers") if name in state]
    table = state.get("pos_embed.table")
    if table is not None:
        state["pos_embed.table"], rows = _split(table, sum(state[name].shape[1] for name in tokens), grid)
        for name in tokens:
            count = min(state[name].shape[1], rows.shape[1])
            if count:
                state[name] = torch.cat([state[name][:, :count] + rows[:, :count], state[name][:, count:]], dim=1)
                rows = rows[:, count:]
                notes.append(f"position added to {name}")
    if "distillation" in state:
        first = state.pop("distillation")
        state["registers"] = torch.cat([first, state["registers"]], dim=1) if "registers" in state else first
        notes.append("the distillation token is a register")


def _split(table: Tensor, tokens: int, grid: tuple[int, int] | None) -> tuple[Tensor, Tensor]:
    """Part a position table (1, rows, width) in that of the grid, and the rows before it."""
    table = table.reshape(1, -1, table.shape[-1])
    rows = table.shape[1]
    before = range(max(1, tokens) + 1)
    as_told = [prefix for prefix in before if grid is not None and rows - prefix == grid[0] * grid[1]]
    square = [prefix for prefix in before if rows > prefix and isqrt(rows - prefix) ** 2 == rows - prefix]
    for prefix in (*as_told, *square):
        return table[:, prefix:], table[:, :prefix]
    raise ModelError(
        f"the position table has {rows} rows: no square grid, with or without up to {before[-1]} tokens before it. "
        "Say `table: [rows, cols]`"
    )
