"""How does a recipe become a model that tiles can be sent to? Calibrate once, quantize once, store, spread by path."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hedgerow import registry
from hedgerow.config import Recipe, arm_name, load_recipe
from hedgerow.contracts import Progress
from hedgerow.errors import ConfigError
from hedgerow.jobs.planning import Plan, PlannedScene
from hedgerow.models.store import ModelCard, digest, load, save
from hedgerow.quantization.calibrated import plan_of
from hedgerow.quantization.ledger import Ledger, ledger_of
from hedgerow.quantization.sites import SitePlan
from hedgerow.randomness import rng_for
from hedgerow.records import ModelSpec, Tile
from hedgerow.scaling import Scaling
from hedgerow.stages.predict import framed

AS_IT_IS = "none"
"""The quantizer that changes nothing."""
_ENOUGH_VALID = (0.5, 1e-9)  # share of a tile, to calibrate on it: half; where no tile has that, any valid pixel


@dataclass(frozen=True)
class Arm:
    """One arm, ready to run."""

    name: str
    recipe: Recipe
    spec: ModelSpec
    simulated: bool
    ledger: Ledger
    sites: SitePlan
    seconds: float
    """What quantizing took."""


def load_recipes(arms: Sequence[str]) -> dict[str, Recipe]:
    """Read and check all recipes, before any work.

    Raises:
        ConfigError: an unknown arm, a bad recipe, or two arms of one name.
    """
    recipes: dict[str, Recipe] = {}
    for arm in arms:
        if arm_name(arm) in recipes:
            raise ConfigError(f"arm {arm_name(arm)!r} is given twice: every arm needs a name of its own")
        recipe = load_recipe(arm)
        registry.configure("quantizers", recipe.quantizer)
        recipes[arm_name(arm)] = recipe
    return recipes


def refuse_unchangeable(card: ModelCard, recipes: Mapping[str, Recipe]) -> None:
    """Refuse, before any work, to quantize a network that is no torch module.

    Raises:
        ConfigError: an arm would change a graph that its backbone can only run as it is.
    """
    changing = [name for name, recipe in recipes.items() if recipe.quantizer["kind"] != AS_IT_IS]
    if "file" in card.backbone and changing:
        raise ConfigError(
            f"model {card.name} is an {str(card.backbone['kind']).upper()} graph, which no quantizer can change: leave "
            f"out {', '.join(changing)} and run it as fp32, or bring the network as a module (`module:factory`)"
        )


def prepare(
    plan: Plan,
    recipes: Mapping[str, Recipe],
    scalings: Mapping[str, Scaling],
    folder: Path,
    *,
    device: str,
    threads: int,
    progress: Progress,
) -> tuple[Arm, ...]:
    """Quantize the model by every recipe and store each result in `folder`.

    Args:
        plan: the run.
        recipes: by arm.
        scalings: by scene name; scenes without one have no valid pixel.
        folder: where the model folders go.
        device, threads: where and how wide the tiles will run.
        progress: hears of every arm.
    """
    torch.set_num_threads(threads)
    model = load(plan.model)
    most = max(recipe.calibration_tiles for recipe in recipes.values())
    images = calibration_images(plan, scalings, most)
    arms = []
    for done, (name, recipe) in enumerate(recipes.items(), start=1):
        arms.append(_prepared(name, recipe, model, images, plan, folder / name, device, threads))
        progress("quantize", done, len(recipes))
    return tuple(arms)


def _prepared(
    name: str, recipe: Recipe, model: nn.Module, images: Sequence[Tensor], plan: Plan, folder: Path,
    device: str, threads: int,
) -> Arm:  # fmt: skip
    started = time.perf_counter()
    quantizer = registry.build("quantizers", _seeded(recipe.quantizer, plan.config.seed))
    quantized = quantizer.apply(model, images[: recipe.calibration_tiles])
    seconds = time.perf_counter() - started
    sites = plan_of(quantized)
    card = plan.card.model_copy(
        update={"name": f"{plan.card.name}/{name}", "quantization": sites.model_dump() if sites.layers else None}
    )
    save(folder, card, quantized.state_dict(), like=plan.model)
    spec = ModelSpec(name, str(folder), digest(str(folder)), device, threads)
    return Arm(name, recipe, spec, quantizer.simulated, ledger_of(quantized), sites, seconds)


def calibration_images(plan: Plan, scalings: Mapping[str, Scaling], count: int) -> list[Tensor]:
    """Return seeded tiles (bands, height, width) in [0, 1], as the network sees them, in turn from every scene."""
    for enough in _ENOUGH_VALID:
        images = _drawn(plan, scalings, count, enough)
        if images:
            return images
    return []


def _drawn(plan: Plan, scalings: Mapping[str, Scaling], count: int, enough: float) -> list[Tensor]:
    rng = rng_for(plan.config.seed, "calibration")
    queues = [
        [(scene, scene.filled[i]) for i in rng.permutation(len(scene.filled))]
        for scene in plan.scenes
        if scene.name in scalings
    ]
    images: list[Tensor] = []
    while len(images) < count and any(queues):
        for queue in queues:
            if queue and len(images) < count:
                image = _image(*queue.pop(), scalings, plan.config.halo_px, enough)
                images += [image] if image is not None else []
    return images


def _image(
    scene: PlannedScene, tile: Tile, scalings: Mapping[str, Scaling], halo_px: int, enough: float
) -> Tensor | None:
    patch = scene.source.read(tile.padded)
    if patch.valid.mean() < enough:
        return None
    image = framed(scalings[scene.name].apply(patch), tile, halo_px)
    return scene.zoom.into(torch.from_numpy(np.ascontiguousarray(image))[None])[0]


def _seeded(settings: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Give a quantizer that draws random numbers the run's seed, unless its recipe names one."""
    config = registry.configure("quantizers", settings)
    drawn = "seed" in type(config).model_fields and "seed" not in settings
    return dict(settings) | ({"seed": seed} if drawn else {})
