"""The whole of `hedgerow train`: settings in, a model folder with its card and its learning curve out."""

import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hedgerow import registry
from hedgerow.backbones._pixels import folded
from hedgerow.config import find_config, resolve
from hedgerow.contracts import Progress, silent
from hedgerow.errors import ConfigError
from hedgerow.jobs.devices import device_name
from hedgerow.models.store import ModelCard, half, locate, read_card, save
from hedgerow.training.curves import write_csv, write_png
from hedgerow.training.fit import Fitted, fit
from hedgerow.training.plan import TrainConfig
from hedgerow.training.start import backbone_of
from hedgerow.training.state import STATE, State

log = logging.getLogger(__name__)


def train(
    config: str | Path,
    out: Path,
    *,
    sets: Sequence[str] = (),
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = silent,
) -> ModelCard:
    """Fit a network and write its model folder: the weights kept, the card, the learning curve.

    Args:
        config: a YAML file, or the name of one in `configs/train`.
        out: model folder; while the training runs, it also holds the state to resume from.
        sets: assignments `a.b=c` that change the settings.
        resume: whether a stopped training of the same settings goes on; where there is none yet, it begins.
        overwrite: whether an existing folder may be replaced.
        progress: hears of loading and of steps.

    Raises:
        ConfigError: settings that cannot be, or a folder that exists.
        ModelError: the loss is no longer finite (what was kept before stays), or there is nothing to resume.
    """
    if out.is_file():
        raise ConfigError(f"{out}: is a file; give a folder for the model")
    in_use = out.exists() and any(out.iterdir())
    if in_use and not (overwrite or resume):
        raise ConfigError(f"{out}: exists already; choose another folder, or pass --resume or --overwrite")
    settings = resolve(TrainConfig, file=find_config(config, "train"), changes={}, sets=sets)
    device = device_name(settings.device)
    start = _start(settings)
    if settings.scaling is None and any(getattr(entry, "scaling", None) for entry in settings.data):
        log.warning("`data` is scaled in several ways, so the card names none: tell every run its `scaling`")
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)

    def begun(state: State) -> None:
        out.mkdir(parents=True, exist_ok=True)
        state.save(out / STATE, settings.model_dump(mode="json"))

    def checkpoint(fitted: Fitted) -> None:
        if fitted.is_kept:
            save(out, _card(settings, fitted, start), half(folded(fitted.model).state_dict()))
        write_csv(fitted.history, out / "curve.csv")
        write_png(fitted.history, out / "curve.png", title=settings.name, kept_step=fitted.kept["step"])
        fitted.state.save(out / STATE, settings.model_dump(mode="json"))

    before = out / STATE if resume and in_use else None
    fit(settings, device=device, resume=before, begun=begun, checkpoint=checkpoint, progress=progress)
    (out / STATE).unlink(missing_ok=True)
    return read_card(str(out))


def _start(config: TrainConfig) -> Mapping[str, Any]:
    """Return what the card must say of the model that the training starts from; empty where there is none."""
    if config.init is None:
        return {}
    card, own = read_card(locate(config.init)), config.card.get("licence", "unknown")
    if own not in ("unknown", card.licence):
        log.warning(
            "%s, which the training starts from, has the licence %s, and `card` says %s: the card will name both",
            config.init, card.licence, own,
        )  # fmt: skip
    told = {"model": config.init, "licence": card.licence, "attribution": card.attribution}
    return {name: value for name, value in (told | {"init": card.training.get("init")}).items() if value is not None}


def _card(config: TrainConfig, fitted: Fitted, start: Mapping[str, Any]) -> ModelCard:
    """Return the card; licence and attribution that `card` leaves out are those of the model started from."""
    handed_on = {"licence": start.get("licence", "unknown"), "attribution": start.get("attribution")}
    said = handed_on | {name: str(config.card[name]) for name in handed_on if name in config.card}
    return ModelCard(
        name=config.name,
        backbone=_finished(backbone_of(config), fitted.model),
        bands=config.bands,
        gsd_m=fitted.gsd_m,
        scaling=config.scaling,
        licence=said["licence"],
        attribution=said["attribution"],
        description=str(config.card.get("description", "")),
        training={
            "config": config.model_dump(mode="json"),
            **({"init": start} if start else {}),
            "scenes": list(fitted.scenes),
            "steps": int(fitted.history[-1]["step"]),
            "kept_step": int(fitted.kept["step"]),
            "hours": round(fitted.seconds / 3600, 2),
            "torch": version("torch"),
            "hedgerow": version("hedgerow"),
        },
        scores={"held_out_crops": fitted.kept},
    )


def _finished(backbone: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Return all settings of a backbone whose batch normalisations were folded away, and that needs no other file.

    All: a default that changes later must not change what the card means.
    """
    settings: dict[str, Any]
    if stored := getattr(model, "stored_settings", None):
        settings = stored()
    else:
        settings = {"kind": backbone["kind"], **registry.configure("backbones", backbone).model_dump(mode="json")}
    return settings | ({"normalize": False} if "normalize" in settings else {})
