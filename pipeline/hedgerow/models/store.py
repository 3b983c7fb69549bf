"""What is in a model folder? Weights as safetensors, never a pickle, and a card that says what they are.

A backbone that reads a file of its own (an ONNX graph) names it in the card as `file`; it lies beside the card.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_safetensors
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.config import Settings
from hedgerow.errors import ModelError
from hedgerow.quantization.rebuild import wrapped
from hedgerow.records import CLASSES
from hedgerow.writers._staging import staged

WEIGHTS, CARD = "model.safetensors", "model.json"


class ModelCard(Settings):
    """What a person and a program must know of a model."""

    name: str
    backbone: Mapping[str, Any]
    bands: tuple[str, ...]
    classes: tuple[str, ...] = CLASSES
    gsd_m: tuple[float, float] | None = None
    """Range of ground sampling distances that the network was trained for."""
    scaling: Mapping[str, tuple[float, ...]] | None = None
    """Stored values {low: [...], high: [...]} per band that become 0 and 1, where the network was trained on such;
    None: percentiles of each input. A run's own `scaling` goes first."""
    licence: str = "unknown"
    attribution: str | None = None
    """Whom to name, where the licence asks for it."""
    description: str = ""
    training: Mapping[str, Any] = Field(default_factory=dict)
    scores: Mapping[str, Any] = Field(default_factory=dict)
    quantization: Mapping[str, Any] | None = None
    """Sites of a quantized model and their grids' kinds, a `SitePlan`; None for a float one."""


def shipped() -> tuple[str, ...]:
    """Return the names of the models that come with the package."""
    return tuple(sorted(card.parent.name for card in Path(__file__).parent.glob(f"*/{CARD}")))


def locate(model: str) -> str:
    """Return the folder of a shipped name or a path; `module:factory` stays as it is.

    Raises:
        ModelError: there is no such model.
    """
    if is_factory(model):
        return model
    folder = Path(__file__).parent / model if model in shipped() else Path(model)
    if not (folder / CARD).is_file() or not weights_file(folder).is_file():
        known = registry.unknown("model", model, shipped())
        raise ModelError(
            f"{known}. Or give a folder with {CARD} and the weights ({WEIGHTS}, or the `file` that the card names), or "
            "`module:factory`"
        )
    return str(folder)


def weights_file(folder: str | Path) -> Path:
    """Return where the weights of a model folder lie, there or not; a card that cannot be read is told of later."""
    try:
        card = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
        return Path(folder) / own_file(card["backbone"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return Path(folder) / WEIGHTS


def own_file(backbone: Mapping[str, Any]) -> str:
    """Return the name of the file that a backbone reads itself, else that of the weights."""
    return str(backbone.get("file", WEIGHTS))


def is_factory(model: str) -> bool:
    """Say whether a model's name is `module:factory`."""
    module, colon, factory = model.partition(":")
    return bool(colon) and module.replace(".", "").isidentifier() and factory.isidentifier()


def digest(model: str) -> str:
    """Return the SHA-256 of a model's weights (of its name, for a factory)."""
    content = model.encode() if is_factory(model) else weights_file(model).read_bytes()
    return hashlib.sha256(content).hexdigest()


def read_card(model: str) -> ModelCard:
    """Return the card of a located model; a factory's says only its name and the default bands.

    Raises:
        ModelError: the card is missing or not understood.
    """
    if is_factory(model):
        return ModelCard(name=model, backbone={"kind": "factory", "factory": model}, bands=("red", "green", "blue"))
    path = Path(model) / CARD
    try:
        card = ModelCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ValidationError) as error:
        raise ModelError(f"{path}: is no model card: {' '.join(str(error).split())}") from error
    if card.classes != CLASSES:
        raise ModelError(f"{path}: has classes {card.classes}, but maps are made of {CLASSES}")
    if len(set(card.bands)) < len(card.bands):
        raise ModelError(f"{path}: names a band twice; name each once, and its channels by `order` in the backbone")
    if Path(own_file(card.backbone)).name != own_file(card.backbone):
        raise ModelError(f"{path}: the backbone's file must lie beside the card: give its name, not a path")
    if card.backbone.get("allow_download"):
        raise ModelError(f"{path}: asks for a download, which a card may not: train with --allow-download instead")
    return card


def load(model: str) -> nn.Module:
    """Return the network of a located model, float or quantized, in eval mode.

    Raises:
        ModelError: the weights are a pickle, damaged, or do not fit the card's backbone.
    """
    card = read_card(model)
    if "file" in card.backbone:
        whole: nn.Module = registry.build("backbones", {**card.backbone, "file": str(weights_file(model))})
        return whole.eval()
    module: nn.Module = registry.build("backbones", card.backbone)
    if is_factory(model):
        return module.eval()
    state = read_weights(Path(model) / WEIGHTS)
    if card.quantization is not None:
        module = wrapped(module, card.quantization)
    fit_weights(module, state, Path(model) / WEIGHTS)
    return module.eval()


def save(folder: Path, card: ModelCard, state: Mapping[str, Tensor], *, like: str | None = None) -> None:
    """Write a model folder, all of it or nothing; other files that lie there stay.

    Args:
        folder: where to; made if need be.
        card: what a person and a program must know.
        state: the weights; not used where the backbone reads a file of its own.
        like: located model from which that file is copied.
    """
    with staged(folder / CARD) as made:
        if "file" in card.backbone:
            shutil.copyfile(weights_file(str(like)), made / own_file(card.backbone))
        else:
            (made / WEIGHTS).write_bytes(as_safetensors({name: value.contiguous() for name, value in state.items()}))
        text = json.dumps(card.model_dump(mode="json", exclude_none=True), indent=1)
        (made / CARD).write_text(text + "\n", encoding="utf-8")


def fit_weights(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load weights in the network's own types (FP32, integer codes), whatever they are stored in.

    Raises:
        ModelError: names or shapes differ; the first few are named.
    """
    own = module.state_dict()
    refuse_misfits(own, state, path, "the card's backbone")
    module.load_state_dict({name: state[name].to(own[name].dtype) for name in own})


def refuse_misfits(own: Mapping[str, Tensor], state: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Raise ModelError where names or shapes of weights differ from a network's `own`; the first few are named."""
    wrong = [f"{name} (missing)" for name in own.keys() - state.keys()]
    wrong += [f"{name} (not in the network)" for name in state.keys() - own.keys()]
    wrong += [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    if wrong:
        raise ModelError(f"{path}: {len(wrong)} weights do not fit {what}: {'; '.join(sorted(wrong)[:3])}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, by name.

    Raises:
        ModelError: it is a pickle, damaged, or not there.
    """
    try:
        state: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        if _looks_pickled(path):
            reason = "is a pickle, which can run code when opened: convert it to safetensors first"
        else:
            reason = f"is no safetensors file: {error}. Copy it again"
        raise ModelError(f"{path}: {reason}") from error
    return state


def _looks_pickled(path: Path) -> bool:
    """Say whether a file that is no safetensors starts as torch.save's do (a good file may start so by chance)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(4)
    return start == b"PK\x03\x04" or start[:1] == b"\x80"


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights as shipped: float16, which halves the file and moves no weight by more than 0.05 %."""
    return {name: value.half() if value.dtype == torch.float32 else value for name, value in state.items()}
