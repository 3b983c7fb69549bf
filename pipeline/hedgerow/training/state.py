"""Can a training that was stopped go on as if it had not been? Yes: its whole state is one safetensors file.

Batches depend on the seed and the step alone (batches.py), so weights, their running mean, the optimiser's moments and
the history are all there is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from hedgerow.errors import ModelError
from hedgerow.training.plan import completed

STATE = "training.safetensors"

FREE = ("device", "readers", "threads")
"""Settings that may differ when a training goes on: where the work is done, not what is done."""


@dataclass
class State:
    """All that a step changes."""

    model: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    averaged: int = 0
    """Steps in the running mean since it was last begun anew."""
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write everything; `path` is replaced only when the new file is whole."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self._tensors().items()}
        told = {"step": self.step, "averaged": self.averaged, "seconds": self.seconds, "history": self.history}
        metadata = {"state": json.dumps(told), "settings": json.dumps(_fixed(settings))}
        part = path.with_name(f".{path.name}.part")
        save_file(tensors, part, metadata)
        part.replace(path)

    def restore(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Take everything from a file that `save` wrote.

        Raises:
            ModelError: no such file, damaged, or made under other settings (the first is named).
        """
        tensors, metadata = _read(path)
        _refuse_other(_fixed(completed(json.loads(metadata["settings"]))), _fixed(settings), path)
        for name, part in (("model", self.model), ("average", self.average)):
            part.load_state_dict(_under(name, tensors))
        moments = _under("optimizer", tensors)
        for i, parameter in enumerate(_parameters(self.optimizer)):
            kept = {key.partition(".")[2]: value for key, value in moments.items() if key.startswith(f"{i}.")}
            if kept:
                self.optimizer.state[parameter] = {key: _like(parameter, value) for key, value in kept.items()}
        for name, value in json.loads(metadata["state"]).items():
            setattr(self, name, value)

    def _tensors(self) -> dict[str, Tensor]:
        out = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        out |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for i, parameter in enumerate(_parameters(self.optimizer)):
            for name, value in self.optimizer.state.get(parameter, {}).items():
                out[f"optimizer.{i}.{name}"] = value
        return out


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a moment where and laid out as its parameter is; the step count stays a number on the CPU."""
    if value.shape != parameter.shape or value.ndim == 0:
        return value
    return torch.empty_like(parameter).copy_(value)


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}


def _fixed(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in json.loads(json.dumps(dict(settings))).items() if key not in FREE}


def _refuse_other(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> None:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            raise ModelError(
                f"{path}: was made with another `{key}` ({old.get(key)}, now {new.get(key)}): "
                "resume with the same settings, or start anew with --overwrite"
            )


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    if not path.is_file():
        raise ModelError(f"{path}: there is nothing to resume; start without --resume")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: is damaged: {error}; start anew with --overwrite") from error
