"""Which tiles does a fold never see, and how is its model trained? As the shipped one, without those tiles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fold_scores import ROOT

from hedgerow.models.store import locate, read_card

AERIAL, DENMARK = "naip_us_fields", "s2_dk_lpis"
MODELS = ("hedgerow-tiny", "unet")


@dataclass(frozen=True)
class Fold:
    """Names of tiles: `unseen` are for the test alone, of the `known` ones `inner` choose the best checkpoint."""

    number: int
    unseen: tuple[str, ...]
    known: tuple[str, ...]
    inner: tuple[str, ...]

    def __post_init__(self) -> None:
        if set(self.unseen) & set(self.known) or not set(self.inner) < set(self.known):
            raise ValueError(f"{self}: a tile is both seen and unseen, or none is left to train on")


def split(names: Sequence[str], folds: int, *, inner: int = 0) -> tuple[Fold, ...]:
    """Return folds whose unseen tiles partition the names: every `folds`-th in sorted order, so north and south mix.

    Args:
        names: of all tiles.
        folds: how many, at least 2.
        inner: how many of the next fold's tiles help to choose the checkpoint and are not trained on.
    """
    ordered = sorted(names)
    if not 2 <= folds <= len(ordered):
        raise ValueError(f"{folds} folds of {len(ordered)} tiles: give 2 to {len(ordered)}")
    parts = [tuple(ordered[k::folds]) for k in range(folds)]
    return tuple(
        Fold(k + 1, part, tuple(n for n in ordered if n not in part), parts[(k + 1) % folds][:inner])
        for k, part in enumerate(parts)
    )


def fold_config(base: Mapping[str, Any], fold: Fold, *, model: str, init: Path | None = None) -> dict[str, Any]:
    """Return the settings of one fold's training.

    The fold's unseen tiles are excluded, those of `inner` are the only real ones held out, and the Danish scene is
    nowhere in it.

    Args:
        base: settings of the shipped model.
        fold: the fold.
        model: hedgerow-tiny, or unet: the same with the plain network.
        init: model to start from.
    """
    config = dict(base) | {
        "name": f"{model}-fold{fold.number}",
        "data": _entries(base["data"], {"exclude": sorted({*fold.unseen, *fold.inner})}),
        "held_out": _entries(base.get("held_out", ()), None),
    }
    if fold.inner:
        chosen = _entries([one for one in base["data"] if _place(one) == AERIAL], {"include": list(fold.inner)})
        config["held_out"] += [{key: value for key, value in one.items() if key != "weight"} for one in chosen]
    config.pop("init", None)
    if model == "unet":
        config["backbone"] = {"kind": "unet"}
    if init is not None:
        refuse_leak(init)
        config["init"] = str(init.resolve())
    return config


def refuse_leak(model: Path) -> None:
    """Raise SystemExit when a model to start from has seen what the folds are tested on."""
    training = dict(read_card(locate(str(model))).training)
    told = json.dumps(training)
    seen = [name for name in (AERIAL, DENMARK) if name in told]
    if seen or "config" not in training:
        what = f"was trained on {', '.join(seen)}" if seen else "does not say what it was trained on"
        raise SystemExit(f"{model}: {what}: folds may start only from what has seen none of their tiles")
    if earlier := training["config"].get("init"):
        refuse_leak(Path(earlier))


def write_configs(
    base: Path, folds: Sequence[Fold], out: Path, *, unet_folds: int, starts: Mapping[str, Path | None]
) -> list[Path]:
    """Write `fold<k>/<model>.yaml` for every training and return the files."""
    settings = yaml.safe_load(base.read_text(encoding="utf-8"))
    files = []
    for model in MODELS:
        for fold in folds if model != "unet" else folds[:unet_folds]:
            path = out / f"fold{fold.number}" / f"{model}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            config = fold_config(settings, fold, model=model, init=starts[model])
            path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
            files.append(path)
    return files


def _entries(entries: Sequence[Mapping[str, Any]], aerial: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return data entries without Denmark, with other tiles of the aerial set (None: without it)."""
    found = []
    for entry in entries:
        place = _place(entry)
        if place == DENMARK or (place == AERIAL and aerial is None):
            continue
        here = {key: str((ROOT / entry[key]).resolve()) for key in ("path", "truth") if _is_place(entry.get(key))}
        found.append({**entry, **here, **(aerial or {} if place == AERIAL else {})})
    return found


def _place(entry: Mapping[str, Any]) -> str:
    return Path(entry.get("path", "")).name


def _is_place(value: object) -> bool:
    return isinstance(value, str) and value != "auto"
