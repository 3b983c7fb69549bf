"""Which choices are there, and what does a file of settings mean?"""

import ast
import json
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any

import yaml

from hedgerow import registry
from hedgerow.config import (
    RunConfig,
    Settings,
    configs_folder,
    find_config,
    load_recipe,
    load_yaml,
    preset_names,
    resolve,
)
from hedgerow.errors import ConfigError


def listing(family: str | None = None) -> dict[str, list[dict[str, Any]]]:
    """Return, by family, the name and first sentence of every kind, and the presets, arms and models.

    A model has its size, licence, bands and resolutions, too; it is listed with the backbones.

    Raises:
        ConfigError: no such family.
    """
    groups: dict[str, list[dict[str, Any]]] = {
        name: [_kind(name, kind) for kind in registry.available(name)] for name in registry.FAMILIES
    }
    groups["arms"] = [{"name": arm, "about": load_recipe(arm).description} for arm in preset_names("arms")]
    groups["presets"] = [{"name": name, "about": _comment(find_config(name))} for name in preset_names()]
    groups["models"] = models = [_model(card) for card in _cards()]
    for kind in groups["backbones"]:
        kind["models"] = [model["name"] for model in models if model["backbone"] == kind["name"]]
    if family is None:
        return groups
    if family not in groups:
        raise ConfigError(registry.unknown("family", family, tuple(groups)))
    shown = (family, "models") if family == "backbones" else (family,)  # a network is known by the models made of it
    return {name: groups[name] for name in shown}


def settings_of(name: str) -> tuple[str, str]:
    """Return what kind of settings a file holds, and all of them as YAML, defaults included.

    Raises:
        ConfigError: the file is not understood.
    """
    path = _find(name)
    keys = load_yaml(path)
    if "steps" in keys and "data" in keys:
        from hedgerow.training.plan import TrainConfig

        kind, label = TrainConfig, "training"
    elif "quantizer" in keys:
        recipe = load_recipe(str(path))
        registry.configure("quantizers", recipe.quantizer)
        return "arm", _yaml(recipe)
    else:
        kind, label = RunConfig, "run"  # type: ignore[assignment]
    return label, _yaml(resolve(kind, file=path, changes={}))


def _find(name: str) -> Path:
    for folder in ("", "arms", "train"):
        if name in preset_names(folder):
            return configs_folder() / folder / f"{name}.yaml"
    return find_config(name)


def _yaml(settings: Settings) -> str:
    return yaml.safe_dump(json.loads(settings.model_dump_json()), sort_keys=False).rstrip()


def _kind(family: str, kind: str) -> dict[str, Any]:
    """Read the first line of a kind's docstring from its source: nothing is imported to list it."""
    try:
        spec = find_spec(f"hedgerow.{family}.{kind}")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        return {"name": kind, "about": "from another package"}
    doc = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return {"name": kind, "about": doc.split("\n")[0]}


def _cards() -> list[Path]:
    return sorted((Path(__file__).parent.parent / "models").glob("*/model.json"))


def _model(card: Path) -> dict[str, Any]:
    """Read what a model is off its card and the header of its weights: no network is made to list it."""
    values, weights = json.loads(card.read_text(encoding="utf-8")), card.parent / "model.safetensors"
    found = {
        "name": card.parent.name,
        "backbone": values["backbone"]["kind"],
        "parameters": _parameters(weights),
        "megabytes": round(weights.stat().st_size / 1e6, 2),
        "licence": values.get("licence", "unknown"),
        "bands": values["bands"],
        "gsd_m": values.get("gsd_m"),
    }
    low, high = found["gsd_m"] or (None, None)
    told = [
        f"{found['backbone']} with {found['parameters'] / 1e6:.2f} M parameters",
        f"{found['megabytes']:.1f} MB",
        ", ".join(found["bands"]),
        "any resolution" if low is None else f"{low:g} to {high:g} m per pixel",
        f"licence {found['licence']}",
    ]
    return {**found, "about": "; ".join(told)}


def _parameters(weights: Path) -> int:
    """Count the numbers in a safetensors file by its header: 8 bytes of length, then JSON (the format's own page)."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n")[0]
    return first.removeprefix("#").strip()
