"""How does a scene become maps? Predict its tiles with every arm, write probabilities, label, trace, write borders."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hedgerow import registry
from hedgerow.config import RunConfig
from hedgerow.contracts import Each, Writer, one_by_one
from hedgerow.edges.regions import RegionStore
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import Window
from hedgerow.graph import Graph
from hedgerow.jobs.planning import PlannedScene
from hedgerow.jobs.tracing import Rules
from hedgerow.records import ModelSpec, Tile
from hedgerow.scaling import Scaling
from hedgerow.stages.label import label_scene
from hedgerow.stages.predict import PredictTile
from hedgerow.stages.trace import trace_scene
from hedgerow.writers._probability import ProbabilityFile, ProbabilityRaster

PROBABILITY = "probability.tif"


@dataclass
class TileTimes:
    """Seconds that each arm's network took, tile by tile."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, arm: str, seconds: float) -> None:
        """Note one tile; tiles without a valid pixel took none and do not count."""
        if seconds > 0:
            self.seconds.setdefault(arm, []).append(seconds)

    def mean(self, arm: str) -> float | None:
        """Return the mean over all tiles."""
        noted = self.seconds.get(arm, [])
        return sum(noted) / len(noted) if noted else None


@dataclass(frozen=True)
class Written:
    """A prediction as it goes to the raster: a quarter of the bytes that travel between processes."""

    core: Window
    arm: str
    data: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    seconds: float


@dataclass(frozen=True)
class AsWritten:
    """A task: predict a tile, and turn probabilities into bytes where they were made."""

    predict: PredictTile

    def __call__(self, tile: Tile) -> tuple[Written, ...]:
        """Return what is to be written, one per model."""
        return tuple(Written(p.tile.core, p.arm, p.as_bytes(), p.valid, p.seconds) for p in self.predict(tile))


def predict_scene(
    planned: PlannedScene,
    scaling: Scaling,
    models: Sequence[ModelSpec],
    out: Path,
    *,
    halo_px: int,
    graph: Graph,
    times: TileTimes,
    tick: Callable[[], None],
) -> None:
    """Write the probability raster of every arm; a raster appears only when it is whole.

    Raises:
        HedgerowError: the first tile that could not be read or predicted.
    """
    task = AsWritten(PredictTile(planned.source, scaling, planned.zoom, halo_px, tuple(models)))
    with ExitStack() as stack:
        rasters = {
            spec.arm: stack.enter_context(
                ProbabilityRaster(probability_path(out, planned.name, spec.arm), planned.source.geobox)
            )
            for spec in models
        }
        for predictions in graph.each(task, planned.filled, tick=tick):
            for prediction in predictions:
                rasters[prediction.arm].write(prediction.core, prediction.data, prediction.valid)
                times.add(prediction.arm, prediction.seconds)


@dataclass(frozen=True)
class MapArm:
    """A task: label, trace and write one arm's map of one scene from its probability raster."""

    config: RunConfig
    out: Path
    work: Path

    def __call__(self, item: "MapItem") -> "Mapped":
        return self.run(item, one_by_one)

    def run(self, item: "MapItem", each: Each) -> "Mapped":
        """Do the work; `each` spreads blocks and tiles of a large scene."""
        folder = self.out / item.scene / item.arm
        pixels = ProbabilityFile(folder / PROBABILITY)
        store = self.work / item.scene / item.arm
        tracer = registry.build("tracers", self.config.tracer)
        pixel_m = pixel_size_m(pixels.geobox)
        regions = label_scene(pixels, pixels.valid, tracer, store, pixel_m=pixel_m, each=each)
        traced = trace_scene(
            regions,
            pixels,
            pixels.geobox,
            tile_px=max(self.config.tile_px, 256),
            **asdict(Rules.of(self.config)),
            source=item.source,
            arm=item.arm,
            each=each,
        )
        writers = writers_of(self.config)
        files = [
            f for writer in writers for f in writer.write_parts(traced.layers(), folder / f"borders{writer.extension}")
        ]
        return Mapped(item.scene, item.arm, traced.regions, tuple(files), dict(traced.summary))


def writers_of(config: RunConfig) -> list[Writer]:
    """Return the writers of a run, one per kind: a GeoPackage, which later steps read, and what else is asked for."""
    asked = {"gpkg": {"kind": "gpkg"}} | {one["kind"]: one for one in map(_as_settings, config.to)}
    return [registry.build("writers", settings) for settings in asked.values()]


def _as_settings(one: str | Mapping[str, Any]) -> Mapping[str, Any]:
    return {"kind": one} if isinstance(one, str) else one


@dataclass(frozen=True)
class MapItem:
    """Which map is to be made."""

    scene: str
    arm: str
    source: str


@dataclass(frozen=True)
class Mapped:
    """A finished map: its regions on disk, its files, and its coverage in numbers."""

    scene: str
    arm: str
    regions: RegionStore
    files: tuple[Path, ...]
    summary: Mapping[str, float]


def probability_path(out: Path, scene: str, arm: str) -> Path:
    """Return where an arm's probabilities of a scene are written."""
    return out / scene / arm / PROBABILITY
