"""Where does a network of the transformers package come from? A folder that it saved, its hub, or its settings alone.

Only config.json and safetensors are read, and no other class than those below is made: no code comes with a model.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hedgerow.backbones._extras import needed
from hedgerow.errors import ModelError
from hedgerow.quantization.taps import Tap

CLASSES = {
    "dinov2": ("Dinov2Config", "Dinov2Model"),
    "dinov2_with_registers": ("Dinov2WithRegistersConfig", "Dinov2WithRegistersModel"),
    "dinov3_vit": ("DINOv3ViTConfig", "DINOv3ViTModel"),
    "segformer": ("SegformerConfig", "SegformerModel"),
}
"""Of each `model_type` the classes of its settings and of its trunk."""
_ATTENTION = "hedgerow_taps"
_FETCHED = ["config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json"]
_OF_ITS_TIME = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype")
_UNUSED = ("mask_token", "pooler")  # a file need not hold what takes no part


def fetched(repo: str, *, allow_download: bool) -> Path:
    """Return the local folder of a hub's model; nothing is asked of a network unless `allow_download` says so.

    Raises:
        ModelError: it was never downloaded, or cannot be.
    """
    hub = needed("huggingface_hub", "hub")
    try:
        return Path(hub.snapshot_download(repo, allow_patterns=_FETCHED, local_files_only=not allow_download))
    except (OSError, ValueError, RuntimeError) as error:
        if allow_download:
            raise ModelError(f"{repo}: cannot be downloaded: {' '.join(str(error).split())[:200]}") from error
        raise ModelError(f"{repo}: is not on this machine: pass --allow-download, or give its `folder`") from error


def architecture_in(folder: Path) -> dict[str, Any]:
    """Return the settings that lie beside weights, as transformers wrote them.

    Raises:
        ModelError: there are none, or those of a network that is not known here.
    """
    return checked(_json(folder / "config.json"), str(folder / "config.json"))


def checked(architecture: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return settings of a known network, without what says only when and by whom they were written.

    Raises:
        ModelError: the network is none of those known here.
    """
    kind = architecture.get("model_type")
    if kind not in CLASSES:
        raise ModelError(f"{where}: model_type is {kind!r}; known are {', '.join(CLASSES)}")
    return {name: value for name, value in architecture.items() if name not in _OF_ITS_TIME}


def standard_in(folder: Path) -> dict[str, Any]:
    """Return mean and std of the images that a network was trained on, if its folder tells them."""
    told = _json(folder / "preprocessor_config.json", optional=True)
    names = {"image_mean": "mean", "image_std": "std"}
    return {ours: tuple(told[theirs]) for theirs, ours in names.items() if theirs in told}


def new_trunk(architecture: Mapping[str, Any]) -> Any:
    """Return a trunk with random weights.

    Raises:
        ModelError: settings that make no network.
    """
    settings, model = _classes(architecture)
    try:
        return _tapped(model._from_config(settings.from_dict(dict(architecture)), attn_implementation=_attention()))
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"architecture {architecture['model_type']}: {' '.join(str(error).split())[:300]}") from error


def pretrained_trunk(folder: Path, architecture: Mapping[str, Any]) -> Any:
    """Return the trunk that lies in a folder, in FP32.

    Raises:
        ModelError: there are no weights, only a pickle, damaged ones, or not all that it needs.
    """
    if not any((folder / name).is_file() for name in ("model.safetensors", "model.safetensors.index.json")):
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        if pickles:
            raise ModelError(
                f"{folder / pickles[0]}: is a pickle, which can run code when opened: convert it to safetensors first"
            )
        raise ModelError(f"{folder}: holds no model.safetensors")
    settings, model = _classes(architecture)
    try:
        with _quiet():
            trunk, told = model.from_pretrained(
                folder, config=settings.from_dict(dict(architecture)), attn_implementation=_attention(),
                local_files_only=True, use_safetensors=True, dtype=torch.float32, output_loading_info=True,
            )  # fmt: skip
    except Exception as error:  # transformers and safetensors raise whatever befits them
        raise ModelError(f"{folder}: cannot be loaded: {' '.join(str(error).split())[:300]}") from error
    missing = sorted(name for name in told["missing_keys"] if not any(part in name for part in _UNUSED))
    if missing:
        raise ModelError(f"{folder}: {len(missing)} weights are missing: {'; '.join(missing[:3])}")
    return _tapped(trunk)


def _classes(architecture: Mapping[str, Any]) -> tuple[Any, Any]:
    transformers = needed("transformers", "hub")
    settings, model = CLASSES[architecture["model_type"]]
    return getattr(transformers, settings), getattr(transformers, model)


def _attention() -> str:
    """Make our attention known to transformers, and return its name."""
    needed("transformers", "hub").AttentionInterface.register(_ATTENTION, _attended)
    return _ATTENTION


def _tapped(trunk: Any) -> Any:
    """Give every attention its four taps."""
    for module in attentions(trunk).values():
        for name in ("q_tap", "k_tap", "v_tap", "softmax_tap"):
            setattr(module, name, Tap())
    return trunk


def attentions(trunk: nn.Module) -> dict[str, nn.Module]:
    """Return the attentions of a trunk by name, first to last; transformers calls each one causal or not."""
    return {name: module for name, module in trunk.named_modules() if hasattr(module, "is_causal")}


def _attended(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None, *,
    scaling: float | None = None, dropout: float = 0.0, **_: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attend with taps: q, k and v (n, heads, tokens, head_width) in, (n, tokens, heads, head_width) out."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    q, k, v = module.q_tap(query), module.k_tap(key), module.v_tap(value)
    if isinstance(module.softmax_tap, Tap) and not module.softmax_tap.watched:
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask, dropout_p=dropout, scale=scale)
    else:
        scores = (q * scale) @ k.transpose(-2, -1)
        scores = scores if attention_mask is None else scores + attention_mask
        mixed = F.dropout(module.softmax_tap(scores.softmax(dim=-1)), dropout) @ v
    return mixed.transpose(1, 2).contiguous(), None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from drawing bars and tables while it loads."""
    logging = needed("transformers", "hub").utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _json(file: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}; give a folder that transformers saved") from error
    except ValueError as error:
        raise ModelError(f"{file}: is no JSON: {error}") from error
    return content if isinstance(content, dict) else {}
