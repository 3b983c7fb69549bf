"""Which choices are there, and what does a file of settings mean?"""

import ast
import json
from importlib.util import find_spec
from pathlib import Path

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


def listing(family: str | None = None) -> dict[str, list[dict[str, str]]]:
    """Return, by family, the name and first sentence of every kind, and the presets, arms and models.

    Raises:
        ConfigError: no such family.
    """
    groups = {name: [_kind(name, kind) for kind in registry.available(name)] for name in registry.FAMILIES}
    groups["arms"] = [{"name": arm, "about": load_recipe(arm).description} for arm in preset_names("arms")]
    groups["presets"] = [{"name": name, "about": _comment(find_config(name))} for name in preset_names()]
    groups["models"] = [_model(card) for card in sorted((Path(__file__).parent.parent / "models").glob("*/model.json"))]
    if family is None:
        return groups
    if family not in groups:
        raise ConfigError(registry.unknown("family", family, tuple(groups)))
    return {family: groups[family]}


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


def _kind(family: str, kind: str) -> dict[str, str]:
    """Read the first line of a kind's docstring from its source: nothing is imported to list it."""
    try:
        spec = find_spec(f"hedgerow.{family}.{kind}")
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        return {"name": kind, "about": "from another package"}
    doc = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    return {"name": kind, "about": doc.split("\n")[0]}


def _model(card: Path) -> dict[str, str]:
    values = json.loads(card.read_text(encoding="utf-8"))
    size = (card.parent / "model.safetensors").stat().st_size / 1e6
    low, high = values.get("gsd_m") or (0, 0)
    about = f"{size:.1f} MB, {', '.join(values['bands'])}, {low:g} to {high:g} m per pixel, {values['licence']}"
    return {"name": card.parent.name, "about": about}


def _comment(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n")[0]
    return first.removeprefix("#").strip()
