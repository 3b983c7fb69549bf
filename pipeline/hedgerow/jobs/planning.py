"""What would run? Scenes, grids, tiles, memory and problems, known before any pixel is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hedgerow import registry
from hedgerow.config import RunConfig, arm_name
from hedgerow.contracts import Source
from hedgerow.errors import ConfigError, HedgerowError, SourceError
from hedgerow.geo.metres import ground_sampling_distance_m
from hedgerow.geo.tiling import tile_geobox
from hedgerow.graph import Graph
from hedgerow.jobs.inputs import Scene, find_scenes
from hedgerow.jobs.mosaics import Mosaic, filled_tiles, find_truth_of_all, member_rows, mosaic_of
from hedgerow.models.store import ModelCard, locate, read_card
from hedgerow.records import Tile
from hedgerow.scaling import constant_scaling
from hedgerow.sources._truth import find_truth, read_truth
from hedgerow.stages.zoom import Zoom, zoom_for

_SECONDS_PER_MPX = 1.3  # of hedgerow-tiny in FP32 on one core at 512 px tiles; see `make bench`
_BYTES_BASE = 600e6  # interpreter, torch and GDAL in one process
_BYTES_PER_TILE_PX = 900  # activations of hedgerow-tiny at their widest, and what is in flight


@dataclass(frozen=True)
class PlannedScene:
    """One scene, opened far enough to know its grid."""

    scene: Scene | Mosaic
    source: Source
    gsd_m: float
    zoom: Zoom
    tiles: tuple[Tile, ...]
    filled: tuple[Tile, ...]
    """Those that may hold a valid pixel; of a mosaic not all do."""
    truth: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """STEM of the outputs."""
        return self.scene.name

    @property
    def megapixels(self) -> float:
        """Size of the raster."""
        rows, cols = self.source.geobox.shape
        return rows * cols / 1e6

    @property
    def filled_megapixels(self) -> float:
        """Size of the tiles that may hold a valid pixel."""
        return sum(tile.core.shape[0] * tile.core.shape[1] for tile in self.filled) / 1e6


@dataclass(frozen=True)
class Failure:
    """An input that could not be worked on, and why, in one line."""

    input: str
    error: str


@dataclass(frozen=True)
class Plan:
    """Everything that a run will do."""

    config: RunConfig
    card: ModelCard
    model: str
    """Located model: a folder or `module:factory`."""
    scenes: tuple[PlannedScene, ...]
    failures: tuple[Failure, ...]
    passed_over: tuple[Path, ...]

    @property
    def constants(self) -> Mapping[str, Sequence[float]] | None:
        """Stored values that become 0 and 1: the run's, else the card's; None: percentiles of each input."""
        return self.config.scaling or self.card.scaling

    @property
    def tile_count(self) -> int:
        """Tiles of all scenes that may hold a valid pixel."""
        return sum(len(scene.filled) for scene in self.scenes)

    @property
    def megapixels(self) -> float:
        """Pixels of all scenes."""
        return sum(scene.megapixels for scene in self.scenes)

    def guess_seconds(self, workers: int) -> float:
        """Return a rough time for the networks, start-up and scores apart."""
        seen = sum(s.filled_megapixels * s.zoom.grow**2 / s.zoom.shrink**2 for s in self.scenes)
        return seen * _SECONDS_PER_MPX * len(self.config.arms) / workers

    def guess_bytes(self, workers: int) -> float:
        """Return a rough peak of memory over all workers."""
        side = self.config.tile_px + 2 * self.config.halo_px
        seen = max((s.zoom.grow / s.zoom.shrink for s in self.scenes), default=1.0) * side
        return _BYTES_BASE + workers * seen**2 * _BYTES_PER_TILE_PX


def plan(config: RunConfig) -> Plan:
    """Find and open every input, and check what can be checked before the work starts.

    Inputs with a problem become failures; the others go on.

    Raises:
        ConfigError: settings that no input can be run with.
        SourceError: no input at all, or none that can be worked on (the first one's problem is told).
    """
    model = locate(config.model)
    card = read_card(model)
    for constants in (config.scaling, card.scaling):
        if constants is not None:
            constant_scaling(constants, card.bands)  # refused here, before the work starts
    found = find_scenes(config.inputs, config.bands)
    scenes = wanted_scenes(config, found.scenes)
    planned: list[PlannedScene] = []
    failures: list[Failure] = []
    for scene in scenes:
        try:
            planned.append(plan_scene(scene, config, card))
        except ConfigError:
            raise
        except HedgerowError as error:
            if len(scenes) == 1:
                raise
            failures.append(Failure(scene.name, str(error)))
    if not planned:
        _raise_first(failures, len(scenes))
    return Plan(config, card, model, tuple(planned), tuple(failures), found.passed_over)


def describe(made: Plan) -> dict[str, Any]:
    """Return a plan as plain values, to be shown."""
    workers = Graph(made.config.scheduler, made.config.workers).workers
    return {
        "inputs": [_row(scene) for scene in made.scenes],
        "failures": [{"input": failure.input, "error": failure.error} for failure in made.failures],
        "passed_over": [str(path) for path in made.passed_over],
        "model": made.card.name,
        "licence": made.card.licence,
        "arms": [arm_name(arm) for arm in made.config.arms],
        "tiles": made.tile_count,
        "megapixels": made.megapixels,
        "workers": workers,
        "seconds": made.guess_seconds(workers),
        "gigabytes": made.guess_bytes(workers) / 1e9,
    }


def _row(scene: PlannedScene) -> dict[str, Any]:
    rows, cols = scene.source.geobox.shape
    return {
        "name": scene.name,
        "size": f"{cols} x {rows}",
        "crs": str(scene.source.geobox.crs),
        "gsd_m": f"{scene.gsd_m:.3g}",
        "network_gsd_m": f"{scene.zoom.seen_gsd_m(scene.gsd_m):.3g}",
        "tiles": len(scene.filled),
        "empty_tiles": len(scene.tiles) - len(scene.filled),
        "members": member_rows(scene.source),
        "truth": scene.truth.name if scene.truth else "-",
        "notes": "; ".join(scene.warnings),
    }


def wanted_scenes(config: RunConfig, found: Sequence[Scene]) -> Sequence[Scene | Mosaic]:
    """Return what gets a map each: every scene that was found, or one mosaic of them.

    Raises:
        ConfigError: a CRS for a mosaic that is not asked for.
    """
    if config.mosaic:
        return [mosaic_of(found, config.inputs)]
    if config.mosaic_crs is not None:
        raise ConfigError(f"mosaic_crs {config.mosaic_crs}: is the CRS of one map of all inputs; pass --mosaic as well")
    return found


def plan_scene(scene: Scene | Mosaic, config: RunConfig, card: ModelCard) -> PlannedScene:
    """Open one scene's headers and plan its tiles."""
    source: Source = registry.build("sources", source_settings(scene, config, card))
    gsd_m = ground_sampling_distance_m(source.geobox)
    tiles = tile_geobox(source.geobox, config.tile_px, config.halo_px)
    truth = (
        find_truth_of_all(config.truth, scene)
        if isinstance(scene, Mosaic)
        else find_truth(config.truth, scene.first_path, scene.name)
    )
    if truth is not None:
        read_truth(truth, source.geobox, truth_rule=config.truth_rule)  # refused here, before the work starts
    zoom = zoom_for(gsd_m, config.gsd_m)
    return PlannedScene(
        scene=scene,
        source=source,
        gsd_m=gsd_m,
        zoom=zoom,
        tiles=tiles,
        filled=filled_tiles(source, tiles, config.tile_px),
        truth=truth,
        warnings=tuple(_warnings(zoom.seen_gsd_m(gsd_m), config, card, truth)),
    )


def source_settings(scene: Scene | Mosaic, config: RunConfig, card: ModelCard) -> dict[str, Any]:
    """Return the settings of the source that reads a scene, with which anybody can build it again."""
    if isinstance(scene, Mosaic):
        members = [_of_file(member, config, card) for member in scene.members]
        return {"kind": "mosaic", "name": scene.name, "crs": config.mosaic_crs, "members": members}
    return {"kind": "geotiff", **_of_file(scene, config, card)}


def _of_file(scene: Scene, config: RunConfig, card: ModelCard) -> dict[str, Any]:
    return {
        "path": dict(scene.path) if not isinstance(scene.path, Path) else scene.path,
        "name": scene.name,
        "bands": card.bands,
        "stored_bands": config.stored_bands,
        "nodata": config.nodata,
    }


def _warnings(seen_gsd_m: float, config: RunConfig, card: ModelCard, truth: Path | None) -> Sequence[str]:
    out = []
    if card.gsd_m is not None and not card.gsd_m[0] * 0.95 <= seen_gsd_m <= card.gsd_m[1] * 1.05:
        low, high = card.gsd_m
        out.append(f"{seen_gsd_m:.3g} m per pixel is outside the model's range of {low:g} to {high:g} m")
    if config.truth is not None and truth is None:
        out.append("no truth was found for it")
    return out


def _raise_first(failures: Sequence[Failure], count: int) -> None:
    raise SourceError(f"none of {count} inputs can be worked on; the first: {failures[0].error}")
