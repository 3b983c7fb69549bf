"""The whole of `hedgerow train`: settings in, a model folder with its card and its learning curve out."""

import csv
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from hedgerow.backbones.vit import SegmentationViT, folded
from hedgerow.config import find_config, resolve
from hedgerow.contracts import Progress, silent
from hedgerow.errors import ConfigError
from hedgerow.models.store import ModelCard, half, save
from hedgerow.training.fit import Fitted, fit
from hedgerow.training.plan import SyntheticData, TrainConfig


def train(
    config: str | Path, out: Path, *, sets: Sequence[str] = (), overwrite: bool = False, progress: Progress = silent
) -> ModelCard:
    """Fit a network and write its model folder, renewed at every evaluation.

    Args:
        config: a YAML file, or the name of one in `configs/train`.
        out: model folder.
        sets: assignments `a.b=c` that change the settings.
        overwrite: whether an existing folder may be replaced.
        progress: hears of loading and of steps.

    Raises:
        ConfigError: settings that cannot be, or a folder that exists.
    """
    if out.exists() and not overwrite:
        raise ConfigError(f"{out}: exists already; choose another folder or pass --overwrite")
    settings = resolve(TrainConfig, file=find_config(config, "train"), changes={}, sets=sets)
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)

    def checkpoint(state: Fitted) -> None:
        save(out, _card(settings, state), half(_deployed(state.model).state_dict()))
        _write_curve(state.history, out / "curve.csv")

    fitted = fit(settings, checkpoint=checkpoint, progress=progress)
    return _card(settings, fitted)


def _deployed(model: nn.Module) -> nn.Module:
    return folded(model) if isinstance(model, SegmentationViT) and model.config.normalize else model


def _card(config: TrainConfig, fitted: Fitted) -> ModelCard:
    backbone = dict(config.backbone)
    if isinstance(fitted.model, SegmentationViT):
        backbone["normalize"] = False
    ranges = [entry.gsd_m for entry in config.data if isinstance(entry, SyntheticData)]
    return ModelCard(
        name=config.name,
        backbone=backbone,
        bands=config.bands,
        gsd_m=ranges[0] if ranges else None,
        licence=str(config.card.get("licence", "unknown")),
        description=str(config.card.get("description", "")),
        training={
            "command": f"hedgerow train configs/train/{config.name}.yaml -o {config.name}",
            "data": [entry.model_dump(mode="json") for entry in config.data],
            "held_out": [entry.model_dump(mode="json") for entry in config.held_out],
            "steps": int(fitted.history[-1]["step"]),
            "batch": config.batch,
            "crop_px": config.crop_px,
            "seed": config.seed,
            "hours": round(fitted.seconds / 3600, 2),
            "torch": version("torch"),
            "hedgerow": version("hedgerow"),
        },
        scores={"held_out_crops": fitted.history[-1]},
    )


def _write_curve(history: Sequence[Mapping[str, float]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(history[-1]))
        writer.writeheader()
        writer.writerows(history)
