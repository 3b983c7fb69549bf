"""What was asked for? Frozen settings, read from YAML, completed by flags, checked before any work starts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError

from hedgerow.errors import ConfigError
from hedgerow.registry import readable, unknown


class Settings(BaseModel, frozen=True, extra="forbid"):
    """Base of all settings: frozen, and a key that is not known is refused."""


S = TypeVar("S", bound=Settings)


class TruthRule(Settings):
    """Which class does a truth polygon have?"""

    attribute: str | None = None
    """Column that tells the class; None: a column `class`, else the layer's name, else `default`."""
    classes: Mapping[str, str] = Field(default_factory=dict)
    """From the column's values to field, forest or other."""
    default: str = "field"
    known: tuple[str, ...] | None = None
    """Classes that the truth tells of; what a map says of others is not held against it. None: all of them where an
    attribute tells the class, else those that occur: a file of parcels says nothing of forests."""


class Recipe(Settings):
    """An arm: how its network is made out of the FP32 one."""

    description: str = ""
    quantizer: Mapping[str, Any] = Field(default_factory=lambda: {"kind": "none"})
    calibration_tiles: int = Field(16, ge=0)
    """Seeded tiles of the input on which ranges are measured."""


class RunConfig(Settings):
    """Everything that decides the result of `run` and `compare`; a manifest holds one and can be run again."""

    inputs: tuple[str, ...] = ()
    mosaic: bool = False
    """Whether all inputs become one map instead of one each."""
    mosaic_crs: str | None = None
    """CRS of that map; None: the one that most inputs have."""
    out: str | None = None
    """Folder for the results, when it is not given beside the config."""
    arms: tuple[str, ...] = ("fp32",)
    truth: str | None = None
    truth_rule: TruthRule = TruthRule()
    model: str = "hedgerow-tiny"
    """Name of a shipped model, a model folder, or `module:factory`."""

    bands: Mapping[str, str] | None = None
    """Role -> file pattern, for scenes of single-band files."""
    stored_bands: tuple[str, ...] | None = None
    """Roles of the bands as stored, where the file does not tell."""
    nodata: float | None = None
    scaling: Mapping[str, tuple[float, ...]] | None = None
    """Constants {low: [...], high: [...]} per band in the model's order; None: percentiles of each input."""
    gsd_m: float | None = Field(None, gt=0)
    """Ground sampling distance at which the network looks, metres; None: that of the input."""

    tile_px: int = Field(512, ge=32)
    halo_px: int = Field(64, ge=0)
    tracer: Mapping[str, Any] = Field(default_factory=lambda: {"kind": "watershed"})
    simplify_m: float = Field(0.0, ge=0, allow_inf_nan=False)
    regularize_m: float = Field(0.0, ge=0, allow_inf_nan=False)
    """How far a border may stray from a straight line to become it, and a corner move to make right angles; 0: none."""
    smooth: int = Field(0, ge=0, le=6)
    """Rounds of corner cutting."""
    smooth_reach_m: float | None = Field(None, gt=0, allow_inf_nan=False)
    """How far before a corner its curve may begin, metres; None: 4 pixels."""
    min_area_m2: float = Field(0.0, ge=0, allow_inf_nan=False)
    min_hole_m2: float = Field(0.0, ge=0, allow_inf_nan=False)
    min_width_m: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Fields and forests of which twice the area by the perimeter is less are slivers and go to a neighbour."""
    min_border: float = Field(0.0, ge=0, le=1)
    """Two fields (or two forests) join if the mean border probability between them is less, the weakest first."""
    metrics: tuple[Mapping[str, Any], ...] | None = None
    """Settings of each metric; None: every metric there is, at its fixed parameters."""
    to: tuple[str | Mapping[str, Any], ...] = ("gpkg",)
    """Formats of the maps, by kind or as settings {kind: fiboa, collection: ...}; a GeoPackage is always among them."""

    seed: int = Field(0, ge=0)
    scheduler: str = "threads"
    workers: int | None = Field(None, ge=1)
    threads: int | None = Field(None, ge=1)
    """Threads of each worker's network; None: the cores, shared out among the workers."""
    device: str = "auto"


def resolve(kind: type[S], *, file: str | Path | None, changes: Mapping[str, Any], sets: Sequence[str] = ()) -> S:
    """Merge a file (or preset), then flags, then `a.b=c` assignments, into checked settings.

    Raises:
        ConfigError: an unreadable file, an unknown preset, key or value.
    """
    merged = load_yaml(find_config(file)) if file is not None else {}
    merged |= {key: value for key, value in changes.items() if value is not None}
    for assignment in sets:
        _assign(merged, assignment)
    try:
        return kind.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(readable(error, str(file or "settings"))) from error


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, or the settings in a run's manifest (JSON).

    Raises:
        ConfigError: the file is missing, is no YAML or holds no mapping.
    """
    is_json = path.suffix == ".json"
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if is_json else yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError) as error:
        kind = "JSON" if is_json else "YAML"
        raise ConfigError(f"{path}: is no {kind}: {' '.join(str(error).split())}") from error
    if is_json and isinstance(content, dict) and "config" in content:
        content = content["config"]
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no settings (a mapping of names to values is needed)")
    return content


def configs_folder() -> Path:
    """Return where the presets lie: inside an installed wheel, or at the top of a checkout."""
    here = Path(__file__).parent
    installed, checkout = here / "configs", here.parent.parent / "configs"
    return installed if installed.is_dir() else checkout


def find_config(name: str | Path, folder: str = "") -> Path:
    """Return the file of a path (YAML, or a run's manifest) or of a preset's name in `configs/<folder>`."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml", ".json"}:
        return path
    known = preset_names(folder)
    if str(name) not in known:
        what = "arm" if folder == "arms" else "preset"
        raise ConfigError(unknown(what, str(name), known))
    return configs_folder() / folder / f"{name}.yaml"


def preset_names(folder: str = "") -> tuple[str, ...]:
    """Return the names of the presets in `configs/<folder>`, sorted."""
    return tuple(sorted(file.stem for file in (configs_folder() / folder).glob("*.yaml")))


def load_recipe(arm: str) -> Recipe:
    """Return the recipe of an arm: a name in `configs/arms`, or a path to a YAML file."""
    return resolve(Recipe, file=find_config(arm, "arms"), changes={})


def arm_name(arm: str) -> str:
    """Return what an arm is called in outputs: the stem of its file."""
    return Path(arm).stem if arm.endswith((".yaml", ".yml")) else arm


def assigned(sets: Sequence[str]) -> dict[str, Any]:
    """Return the settings that `a.b=c` assignments make.

    Raises:
        ConfigError: one of them is no assignment.
    """
    settings: dict[str, Any] = {}
    for assignment in sets:
        _assign(settings, assignment)
    return settings


def _assign(settings: dict[str, Any], assignment: str) -> None:
    path, sign, text = assignment.partition("=")
    if not sign or not path:
        raise ConfigError(f"--set {assignment}: write it as a.b=value")
    *parents, last = path.split(".")
    for parent in parents:
        inner = settings.get(parent)
        settings[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        settings = settings[parent]
    try:
        settings[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {assignment}: the value is no YAML") from error
