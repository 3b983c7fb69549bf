"""The whole of `hedgerow trace`, and `hedgerow.trace` for arrays: labels, classes or probabilities to fields."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from hedgerow import registry
from hedgerow.config import RunConfig
from hedgerow.contracts import Each, Progress, one_by_one, silent
from hedgerow.edges.blocks import BLOCK_PX
from hedgerow.edges.regions import RegionStore
from hedgerow.errors import ConfigError
from hedgerow.geo.metres import pixel_size_m
from hedgerow.geo.windows import grid
from hedgerow.graph import Graph
from hedgerow.jobs.exporting import refuse_existing
from hedgerow.records import CLASSES, FieldMap
from hedgerow.sources._codes import kind_and_codes
from hedgerow.sources._traceable import KINDS, Classes, Labels, Probabilities, header, kind_of, reader
from hedgerow.stages.label import label_raster, label_scene
from hedgerow.stages.shape import Shape, refuse_wrong_sizes
from hedgerow.stages.trace import TILE_PX, TracedScene, refuse_wrong_border, trace_labels, trace_scene
from hedgerow.writers._layers import COLUMNS

_log = logging.getLogger(__name__)
_SPECKLE_PX = 4
_DEFAULT_TRACER = {"labels": "arcs", "classes": "components", "probability": "watershed"}


@dataclass(frozen=True)
class Rules:
    """What becomes of small, ragged and hardly parted things (m, m2, rounds, a probability); 0 leaves all as it is."""

    simplify_m: float = 0.0
    regularize_m: float = 0.0
    smooth: int = 0
    smooth_reach_m: float | None = None
    min_area_m2: float = 0.0
    min_hole_m2: float = 0.0
    min_width_m: float = 0.0
    min_border: float = 0.0

    def __post_init__(self) -> None:
        # The stage says so as well, but hours later.
        refuse_wrong_sizes(min_area_m2=self.min_area_m2, min_hole_m2=self.min_hole_m2, min_width_m=self.min_width_m)
        refuse_wrong_border(self.min_border)
        Shape(self.simplify_m, self.regularize_m, self.smooth, self.smooth_reach_m)

    @classmethod
    def of(cls, config: RunConfig) -> Self:
        """Return what the settings of a run say of them."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


AS_IS = Rules()


@dataclass(frozen=True)
class TracedFile:
    """The files made, and what they hold: `fields`, `borders`, `gap_m2`, `overlap_m2`."""

    files: tuple[Path, ...]
    summary: Mapping[str, float]


@dataclass(frozen=True)
class Raster:
    """A raster that can be traced, and how its pixels become regions."""

    pixels: Labels | Classes | Probabilities
    tracer: Mapping[str, Any]

    @property
    def geobox(self) -> GeoBox:
        """CRS, transform, shape."""
        return self.pixels.geobox

    def regions(self, work: Path, each: Each = one_by_one) -> RegionStore:
        """Label the raster block by block, into files under `work`."""
        if isinstance(self.pixels, Labels):
            return label_raster(self.pixels, self.pixels.valid, work, each=each)
        return label_scene(
            self.pixels, self.pixels.valid, registry.build("tracers", self.tracer), work,
            pixel_m=pixel_size_m(self.geobox), each=each,
        )  # fmt: skip

    def scene(self, regions: RegionStore, rules: Rules, *, tile_px: int, each: Each = one_by_one) -> TracedScene:
        """Trace the regions; only probabilities have confidences."""
        path = self.pixels.path
        known = isinstance(self.pixels, Probabilities)
        return trace_scene(
            regions, self.pixels if known else None, self.geobox, tile_px=tile_px, source=str(path),
            arm=path.parent.name if known else "labels", each=each, **asdict(rules),
        )  # fmt: skip


def trace(labels: NDArray[Any], geobox: GeoBox, **options: Any) -> FieldMap:
    """Return the field map of a (height, width) integer array: every 4-connected area of one value is a field.

    Args:
        labels: integers; 0 is nodata unless `valid` is given.
        geobox: CRS and transform.
        options: valid, tile_px, simplify_m, regularize_m, smooth, smooth_reach_m, min_area_m2, min_hole_m2,
            min_width_m, source: as in `stages.trace.trace_labels`.

    Raises:
        GeometryError: the labels are no integers, shapes differ, or the grid has no CRS.
    """
    return trace_labels(labels, geobox, **options)


def trace_file(
    raster: Path,
    out: Path,
    *,
    kind: str | None = None,
    tile_px: int = TILE_PX,
    rules: Rules = AS_IS,
    tracer: str | Mapping[str, Any] = "arcs",
    layer: str | None = None,
    overwrite: bool = False,
    scheduler: str = "threads",
    workers: int | None = None,
    progress: Progress = silent,
) -> TracedFile:
    """Trace a raster file and write the map in the format of `out`'s extension.

    The raster is read by windows, and the map is written while its polygons are built: neither is ever whole in memory.

    Args:
        raster: labels, classes or probabilities.
        out: vector file.
        kind: labels, classes, probability, or classes=other,field,border where the codes 0, 1, 2 mean that; None:
            from the HEDGEROW tag, else integers are labels.
        tile_px: side of the tiles that are traced at a time; the map does not depend on it.
        rules: what becomes of small and ragged things.
        tracer: how pixels become regions; 'arcs', the default, takes labels as they are, gives border pixels of
            classes to the nearest region, and takes watershed for probabilities. Or settings: {kind: ..., neck_m: ...}.
        layer: only this layer, `fields` or `borders`; a format of one layer otherwise gets `OUT_fields.EXT` and
            `OUT_borders.EXT`.
        overwrite: whether files that are there may be replaced.
        scheduler: sync, threads, processes, or the address of a cluster.
        workers: how many work at a time; None: all cores.
        progress: hears of blocks, tiles and rows.

    Raises:
        ConfigError: an unknown kind, tracer or format, a file that exists, or a place where none can be written.
        SourceError: the raster cannot be read as what it is said to be.
    """
    writer = _writer_for(out)
    wanted = _layers(layer)
    if not overwrite:
        refuse_existing(out, wanted)
    found = open_raster(raster, kind, tracer, rules)
    with work_folder(out.parent) as work, Graph(scheduler, workers) as graph:
        regions = found.regions(work, ticking(graph, progress, "label", found.geobox, BLOCK_PX))
        _tell_speckle(found, regions.count)
        scene = found.scene(
            regions, rules, tile_px=tile_px, each=ticking(graph, progress, "trace", found.geobox, tile_px)
        )
        layers = scene.outlines.layers(graph.each)
        files = writer.write_parts({name: layers[name] for name in wanted}, out)
    if not scene.summary["fields"]:
        what = "no field" if regions.count else "no valid pixel"
        _log.warning("%s: has %s: the layers are empty", raster, what)
    return TracedFile(tuple(files), dict(scene.summary))


def _tell_speckle(found: Raster, count: int) -> None:
    """Warn of regions so small that the raster can hardly be labels; what was asked for is done all the same."""
    rows, cols = found.pixels.shape
    if isinstance(found.pixels, Labels) and count * _SPECKLE_PX > rows * cols > _SPECKLE_PX * 100:
        _log.warning(
            "%s: %d areas of %.1f px on average: is this imagery? Labels have one value per field",
            found.pixels.path, count, rows * cols / count,
        )  # fmt: skip


def open_raster(path: Path, kind: str | None, tracer: str | Mapping[str, Any], rules: Rules = AS_IS) -> Raster:
    """Look at the header of a raster and say how it will be traced.

    Raises:
        ConfigError: an unknown kind, tracer or setting of it, or one that does not go with another.
        SourceError: the raster cannot be read as what it is said to be.
    """
    told, codes = kind_and_codes("classes" if kind is None else kind, KINDS)
    settings = {"kind": tracer} if isinstance(tracer, str) else dict(tracer)
    name = str(settings.get("kind", "arcs"))
    registry.module_of("tracers", name)
    found = header(path)
    kind = kind_of(found) if kind is None else told
    if kind == "labels" and name != "arcs":
        raise ConfigError(
            f"{path}: labels are taken as they are; --tracer {name} is for probabilities and classes: "
            f"leave it out, or say what the raster holds with --as"
        )
    settings["kind"] = _DEFAULT_TRACER[kind] if name == "arcs" else name
    registry.configure("tracers", settings)
    known = kind == "probability" and found.count == len(CLASSES)
    refuse_wrong_border(rules.min_border, known=known, what=str(path))
    return Raster(reader(found, kind, codes), settings)


def ticking(graph: Graph, progress: Progress, stage: str, geobox: GeoBox, size_px: int) -> Each:
    """Return an `Each` that tells of the cells of a grid; what follows them is not counted."""
    total = sum(1 for _ in grid((geobox.shape[0], geobox.shape[1]), size_px))
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if done <= total:
            progress(stage, done, total)

    def each(function: Callable[[Any], Any], items: Any, /) -> Iterator[Any]:
        return graph.each(function, items, tick=tick)

    return each


@contextmanager
def work_folder(beside: Path | None = None) -> Iterator[Path]:
    """Yield a folder for files that are needed while the work lasts.

    Raises:
        ConfigError: nothing can be written there.
    """
    try:
        if beside is not None:
            beside.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(prefix=".trace-", suffix=".part", dir=beside, ignore_cleanup_errors=True)
    except OSError as error:
        why = "is a file, no folder" if beside and beside.is_file() else error.strerror or error
        raise ConfigError(f"{beside}: cannot be written to: {why}. Choose another place") from error
    with folder as name:
        yield Path(name)


def _layers(layer: str | None) -> tuple[str, ...]:
    if layer is not None and layer not in COLUMNS:
        raise ConfigError(registry.unknown("layer", layer, tuple(COLUMNS)))
    return tuple(COLUMNS) if layer is None else (layer,)


def _writer_for(out: Path) -> Any:
    asked, known = out.suffix.lower(), registry.available("writers")
    kinds = {registry.build("writers", kind).extension: kind for kind in known}
    fitting = [extension for extension in kinds if out.name.lower().endswith(extension)]
    if not fitting:
        raise ConfigError(f"{out}: no writer for {asked or 'a file without extension'}; known: {', '.join(kinds)}")
    return registry.build("writers", kinds[max(fitting, key=len)])  # `.fiboa.parquet` is more than `.parquet`
