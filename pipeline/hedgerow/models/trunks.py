"""Can a transformer that others trained be our trunk? Its settings are read off its weights, and these fit in.

    settings, guessed = trunk_settings("dinov2-small")          a local folder, or one safetensors file
    model = registry.build("backbones", settings)
    report = load_trunk(model, "dinov2-small")                  stem and decoder stay random: train them

What was loaded is stored with the model; the file is not needed again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hedgerow.backbones._names import Renamed, renamed
from hedgerow.backbones._positions import resized
from hedgerow.backbones.vit import SegmentationViT
from hedgerow.errors import ModelError
from hedgerow.models.store import WEIGHTS, read_weights, refuse_misfits

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


class TrunkSettings(NamedTuple):
    """Settings of the backbone `vit`, and which of them a file of weights does not tell."""

    backbone: dict[str, Any]
    guessed: tuple[str, ...]


@dataclass(frozen=True)
class TrunkReport:
    """What became of a file of weights."""

    loaded: int
    """Tensors of the network that were set."""
    ignored: tuple[str, ...]
    """Names in the file that are no part of a trunk."""
    notes: tuple[str, ...]
    """What was done beside renaming."""


def load_trunk(module: nn.Module, path: Path | str) -> TrunkReport:
    """Set the trunk of a `vit` from the weights of a plain ViT, DeiT, DINOv2 or DINOv3; the rest stays as it is.

    Args:
        module: a network that `backbones/vit` built; changed in place.
        path: a safetensors file, or a folder with `model.safetensors`.

    Raises:
        ModelError: the network is no `vit`; the file is a pickle or damaged; a name is not known, or a weight does
            not fit or is missing (the first few are named).
    """
    if not isinstance(module, SegmentationViT):
        raise ModelError(f"{type(module).__name__}: a trunk can be loaded into the backbone `vit` only")
    file = _file(path)
    source = _understood(file, module.config.table)
    state, notes = dict(source.state), list(source.notes)
    _fit_table(module, state, notes)
    own = {name: value for name, value in module.state_dict().items() if name.startswith(module.trunk_parts)}
    refuse_misfits(own, state, file, "the network (`trunk_settings` tells which settings fit)")
    if not module.config.key_bias and any(_key_bias(value).any() for name, value in state.items() if _is_bias(name)):
        raise ModelError(f"{file}: its keys have a bias; set `key_bias: true`")
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in state.items()}, strict=False)
    return TrunkReport(len(state), source.ignored, tuple(notes))


def trunk_settings(path: Path | str, **changes: Any) -> TrunkSettings:
    """Return settings of a `vit` into which the weights in a file fit.

    Sizes are read off the weights; heads, epsilon, wavelengths and the scale of the input off `config.json` and
    `preprocessor_config.json` beside them (as transformers writes them), else they are guessed.

    Args:
        path: a safetensors file, or a folder with `model.safetensors`.
        changes: settings that are known better; they win.

    Raises:
        ModelError: the file is a pickle or damaged, holds no plain vision transformer, or one with other parts.
    """
    file = _file(path)
    table = changes.get("table")
    source = _understood(file, None if table is None else tuple(table))
    read = _sizes(file, source)
    told = _told(file.parent, swiglu=read["mlp"] == "swiglu")
    guesses = _guesses(read, source)
    known = read | told | changes
    guessed = tuple(name for name in guesses if name not in known)
    return TrunkSettings({"kind": "vit", **guesses, **known}, guessed)


def _file(path: Path | str) -> Path:
    path = Path(path)
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        parts = " (weights in several parts: join them to one file first)" if list(path.glob("*.index.json")) else ""
        raise ModelError(f"{file}: there is no such file{parts}; give a safetensors file or a folder with {WEIGHTS}")
    return file


def _understood(file: Path, table: tuple[int, int] | None) -> Renamed:
    try:
        source = renamed(read_weights(file), table)
    except ModelError as error:
        raise error if str(file) in str(error) else ModelError(f"{file}: {error}") from error
    if source.unknown:
        raise ModelError(
            f"{file}: {len(source.unknown)} weights are no part of a plain ViT, DeiT, DINOv2 or DINOv3: "
            f"{'; '.join(sorted(source.unknown)[:3])}"
        )
    return source


def _sizes(file: Path, source: Renamed) -> dict[str, Any]:
    """Return the settings that the shapes of the weights tell."""
    state = source.state
    needed = ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight", "blocks.0.mlp.fc2.weight", "norm.weight")
    missing = [name for name in needed if name not in state]
    if missing:
        raise ModelError(f"{file}: holds no vision transformer that is known here: no {missing[0]}")
    width, bands, patch_px, _ = state["patch_embed.proj.weight"].shape
    hidden = state["blocks.0.mlp.fc2.weight"].shape[1]
    table = state.get("pos_embed.table")
    side = None if table is None else isqrt(table.shape[1])
    return (
        {
            "bands": bands,
            "width": width,
            "patch_px": patch_px,
            "depth": 1 + max(int(name.split(".")[1]) for name in state if name.startswith("blocks.")),
            "class_token": "cls_token" in state,
            "registers": state["registers"].shape[1] if "registers" in state else 0,
            "mlp": "gelu" if state["blocks.0.mlp.fc1.weight"].shape[0] == hidden else "swiglu",
            "hidden": hidden,
            "layer_scale": 1.0 if "blocks.0.ls1.gamma" in state else None,
            "qkv_bias": "blocks.0.attn.qkv.bias" in state,
            "key_bias": not source.keyless,
        }
        | ({} if side is None else {"positions": "table", "table": (side, side)})
        | _by_periods(file, width, source.periods)
    )


def _by_periods(file: Path, width: int, periods: Tensor | None) -> dict[str, Any]:
    """Return what the wavelengths of DINOv3's positions tell: there are head_width / 4 of base^(4 i / head_width)."""
    if periods is None or len(periods) < 2:
        return {}
    count = len(periods)
    base = float(round(float(periods[-1].double() ** (count / (count - 1)))))  # may be stored in bfloat16
    if base <= 1 or not torch.allclose(periods.double(), base ** (torch.arange(count).double() / count), rtol=0.02):
        raise ModelError(f"{file}: the wavelengths of its rotary positions are no powers of one base: not known here")
    return {"positions": "rope-dinov3", "heads": width // (4 * count), "rope_base": base}


def _guesses(read: Mapping[str, Any], source: Renamed) -> dict[str, Any]:
    """Return what published models mostly have, for settings that the weights do not tell."""
    dino3 = "table" not in read and read["class_token"]
    guesses: dict[str, Any] = {
        "heads": max(1, read["width"] // 64),
        "positions": "rope-dinov3" if dino3 else "none",
        "norm_eps": 1e-5 if dino3 or source.keyless else 1e-6,
    }
    if "table" in read:
        guesses["table_antialias"] = read["registers"] > 1  # one may be a distillation token; registers are mostly four
    return guesses | (_IMAGENET if read["bands"] == 3 else {})


def _told(folder: Path, *, swiglu: bool) -> dict[str, Any]:
    """Return what the files say that transformers writes beside weights.

    Raises:
        ModelError: the network has an activation that ours has not.
    """
    config, scale = _json(folder / "config.json"), _json(folder / "preprocessor_config.json")
    act = config.get("hidden_act", "gelu")
    gated = swiglu and config.get("model_type") == "dinov3_vit"  # Dinov2's gate is SiLU whatever this setting says
    if act != ("silu" if gated else "gelu"):
        raise ModelError(f"{folder / 'config.json'}: hidden_act {act!r}; ours are exact GELU and, gated, SiLU")
    names = {"num_attention_heads": "heads", "layer_norm_eps": "norm_eps", "rope_theta": "rope_base"}
    told = {ours: config[theirs] for theirs, ours in names.items() if theirs in config}
    means = {"image_mean": "mean", "image_std": "std"}
    return told | {ours: tuple(scale[theirs]) for theirs, ours in means.items() if theirs in scale}


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file}: is no JSON: {error}. Repair or remove it") from error
    return content if isinstance(content, dict) else {}


def _fit_table(module: SegmentationViT, state: dict[str, Tensor], notes: list[str]) -> None:
    """Resample a square position table to the grid that the network was built with."""
    table, want = state.get("pos_embed.table"), module.config.table
    if table is None or want is None or table.shape[1] == want[0] * want[1]:
        return
    side = isqrt(table.shape[1])
    state["pos_embed.table"] = resized(table, (side, side), want, antialias=module.config.table_antialias)
    notes.append(f"position table resampled from {side} x {side} to {want[0]} x {want[1]}")


def _is_bias(name: str) -> bool:
    return name.endswith("attn.qkv.bias")


def _key_bias(bias: Tensor) -> Tensor:
    return bias.chunk(3)[1]
